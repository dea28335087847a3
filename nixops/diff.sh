#!/bin/sh
# What two systems of a host are made of, told in one go. $1 is a random word,
# with which each section begins ("$1 NAME"), $2 and $3 are the toplevels. POSIX
# sh, coreutils, findutils and nix-store; needs no root, writes nothing. What
# could not be seen is said in the section "unseen", what nix says against it on
# the standard error.
mark=$1 from=$2 to=$3
export LC_ALL=C
begin() { printf '\n%s %s\n' "$mark" "$1"; }
unseen=
cannot() { unseen="$unseen$1
"; }
finish() {
	begin unseen
	printf '%s' "$unseen"
	begin end
	exit 0
}

gone=
for t in "$from" "$to"; do
	case $t in /*) [ -e "$t" ] && continue ;; esac
	begin missing
	printf '%s\n' "$t"
	gone=1
done
[ "$gone" ] && finish

# Text only: the JSON of nix is another one every few versions.
old=$(nix-store -qR "$from") || old=
new=$(nix-store -qR "$to") || new=

# units tells what each unit file and drop-in says: that counts, not in which
# store path it lies. A masked unit is a link to a device, one to nowhere is a
# link still.
units() {
	(cd "$1/etc/systemd/system/" && find -L . \( -name '*.wants' -o -name '*.requires' -o -name '*.upholds' \) -prune \
		-o -type f -exec cksum {} + -o -type c -exec printf '0 masked %s\n' {} + -o -type l -exec printf '0 dangling %s\n' {} +)
}

side() { # NAME TOPLEVEL PATHS
	begin "paths-$1"
	printf '%s\n' "$3"
	begin "kernel-$1"
	for k in "$2"/kernel-modules/lib/modules/*; do [ -e "$k" ] && printf '%s\n' "${k##*/}" && break; done
	begin "parts-$1"
	# containers have no kernel: a part that is nowhere is no part that differs
	for k in kernel initrd kernel-modules systemd; do
		[ -e "$2/$k" ] && printf '%s %s\n' "$k" "$(readlink -f "$2/$k")"
	done
	begin "units-$1"
	units "$2" 2>/dev/null || cannot "all unit files of $2"
}
side from "$from" "$old"
side to "$to" "$new"

begin sizes
# Of what is not in both: the rest takes the same room. In portions, since a
# command line has an end; nix-store prints a line for each path, in their order.
only=$(printf '%s\n%s\n' "$old" "$new" | sort | uniq -u)
# shellcheck disable=SC2016 # for the inner shell
[ "$only" ] && printf '%s\n' "$only" | xargs -n 1000 sh -c 'nix-store -q --size "$@" | for p; do read -r n && printf "%s %s\n" "$n" "$p"; done' sh
finish
