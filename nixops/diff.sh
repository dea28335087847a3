#!/bin/sh
# What two systems of a host are made of, told in one go. $1 is a random word,
# with which each section begins ("$1 NAME"), $2 and $3 are the toplevels. POSIX
# sh, coreutils and nix-store; needs no root.
mark=$1 from=$2 to=$3
export LC_ALL=C
exec 2>/dev/null
begin() { printf '\n%s %s\n' "$mark" "$1"; }

for t in "$from" "$to"; do
	[ -e "$t/bin/switch-to-configuration" ] || {
		begin missing
		printf '%s\n' "$t"
	}
done
side() { # NAME TOPLEVEL PATHS
	begin "paths-$1"
	printf '%s\n' "$3"
	begin "kernel-$1"
	for k in "$2"/kernel-modules/lib/modules/*; do [ -e "$k" ] && printf '%s\n' "${k##*/}" && break; done
	begin "parts-$1"
	for k in kernel initrd kernel-modules systemd; do printf '%s %s\n' $k "$(readlink -f "$2/$k")"; done
	begin "units-$1"
	# what a unit says counts, not where it lies
	(cd "$2/etc/systemd/system" && find -L . -type f ! -path '*.wants/*' ! -path '*.requires/*' ! -path '*.upholds/*' -exec cksum {} +)
}
old=$(nix-store -qR "$from")
new=$(nix-store -qR "$to")
side from "$from" "$old"
side to "$to" "$new"
begin sizes
# of what is not in both: the rest takes the same room
printf '%s\n%s\n' "$old" "$new" | sort | uniq -u | {
	set --
	while read -r p; do set -- "$@" "$p"; done
	[ $# = 0 ] || nix-store -q --size "$@" | { for p; do read -r n && printf '%s %s\n' "$n" "$p"; done; }
}
begin end
