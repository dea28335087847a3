#!/bin/sh
# What the firewall of a host is made of, told in one go; $1 is the mark, a random
# word that begins each section. Sets are told without what is in them: some hold a
# million addresses. Behind the mark may come sets whose elements are wanted, three
# words each (family, table, name), and then nothing else is told.
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
exec 2>/dev/null
mark=$1
shift
begin() { printf '\n%s %s\n' "$mark" "$1"; }
have() { command -v "$1" >/dev/null; }
# tell NAME CMD…: a section, only where the command was there and went well
tell() {
	name=$1
	shift
	have "$1" || return 0
	begin "$name"
	"$@" || begin "failed $name"
}
if [ $# -gt 0 ]; then
	while [ $# -ge 3 ]; do
		begin "set $1 $2 $3"
		nft -j list set "$1" "$2" "$3" | head -c 65536
		shift 3
	done
	begin end
	exit 0
fi
begin uid
id -u
tell nft nft -j -t list ruleset
tell iptables iptables-save
tell ip6tables ip6tables-save
# tables of the older kind, which the newer programs do not show
if [ -s /proc/net/ip_tables_names ]; then
	begin legacy
	tell legacy4 iptables-legacy-save
fi
if [ -s /proc/net/ip6_tables_names ]; then
	begin legacy
	tell legacy6 ip6tables-legacy-save
fi
begin forwards
cat /proc/sys/net/ipv4/ip_forward
tell addr ip -j addr
tell route ip -j route
tell route6 ip -j -6 route
begin end
