#!/bin/sh
# How a host is on its networks, told in one go; $1 is the mark, a random word that
# begins each section. Rates are what passes between two looks at the kernel's counters.
# No private or preshared key of WireGuard is asked for, and of public ones only the
# beginning goes out. What a DHCP server has leased is in the file that it holds open:
# its configuration, which may hold passwords, is not read.
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin:/run/wrappers/bin"
exec 2>/dev/null
set -f
mark=$1
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
counters() {
	begin "$1"
	cat /proc/uptime /proc/net/dev
}
# ask LINK GATEWAY: whether a gateway answers; beside the others
ask() {
	to=$2
	case $to in fe80:*) to=$2%$1 ;; esac
	{
		ping -n -c 1 -W 4 -I "$1" "$to" >/dev/null
		case $? in
		0) echo "$1 $2 yes" ;;
		1) echo "$1 $2 no" ;; # others: none was sent
		esac
	} &
}
# gateways: those of the default routes, "link gateway" on each line
gateways() {
	{
		ip route show default
		ip -6 route show default
	} | while read -r line; do
		gateway='' link='' last=''
		for word in $line; do
			case $last in
			via | inet | inet6) gateway=$word ;;
			dev) link=$word ;;
			esac
			last=$word
		done
		[ -z "$gateway" ] || [ -z "$link" ] || echo "$link $gateway"
	done | sort -u | head -n 4
}
# rows FILE: all of it, or its first line and the newest MiB
rows() {
	[ -f "$1" ] || return 0
	if [ "$(wc -c <"$1")" -gt 1048576 ]; then
		head -n 1 "$1"
		tail -c 1048576 "$1" | tail -n +2
		cut=yes
	else
		cat "$1"
	fi
}
begin uid
id -u
begin clock
date +%s
counters before
tell links ip -j -d -s link
tell addr ip -j addr
tell route ip -j route show default
tell route6 ip -j -6 route show default
# by which way what is far would go, where rules lead to other tables; nothing is sent
tell get ip -j route get 1.1.1.1
found=$(gateways)
if have ping; then
	begin pings
	printf '%s\n' "$found" | {
		while read -r link gateway; do
			[ -z "$gateway" ] || ask "$link" "$gateway"
		done
		wait
	}
fi
begin neighbours
printf '%s\n' "$found" | while read -r link gateway; do
	[ -z "$gateway" ] || echo "$link $gateway $(ip -j neigh show to "$gateway" dev "$link")"
done
tell queues tc -j -s qdisc show
if have wg; then
	begin 'wg links'
	wg show interfaces
	begin 'wg ports'
	links=$(wg show interfaces)
	for link in $links; do
		port=$(wg show "$link" listen-port) || begin "failed wg ports"
		printf '%s\t%s\n' "$link" "$port"
	done
	# one link at a time: of all at once, wg names only the first peer's link
	for what in endpoints allowed-ips latest-handshakes transfer persistent-keepalive; do
		begin "wg $what"
		for link in $links; do
			wg show "$link" "$what" | head -c 262144 | while IFS='	' read -r key rest; do
				printf '%s\t%.12s\t%s\n' "$link" "$key" "$rest"
			done
		done
	done
fi
for unit in kea-dhcp4-server kea-dhcp4 kea-dhcp6-server kea-dhcp6 dnsmasq; do
	[ "$(systemctl is-active "$unit.service")" = active ] || continue
	begin "dhcp $unit.service"
	systemctl show -p Id -p MainPID -p ActiveEnterTimestampMonotonic "$unit.service"
	pid=$(systemctl show -p MainPID "$unit.service")
	pid=${pid#MainPID=}
	set +f
	for fd in "/proc/$pid/fd/"*; do
		file=$(readlink "$fd")
		case $file in
		*.log | *' (deleted)') ;;
		/*[Ll]ease* | /*.csv)
			begin "leases $unit.service $file"
			cut=''
			# Kea tidies up its journal beside it: what was before comes first
			if [ -f "/proc/$pid/root$file.completed" ]; then
				rows "/proc/$pid/root$file.completed"
			else
				rows "/proc/$pid/root$file.2"
				rows "/proc/$pid/root$file.1"
			fi
			rows "/proc/$pid/root$file"
			[ -z "$cut" ] || begin "cut $unit.service"
			break
			;;
		esac
	done
	set -f
done
sleep 1
counters after
begin end
