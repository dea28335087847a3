#!/bin/sh
# The garbage of a NixOS host: what takes room there and could go. Who deletes holds
# the guard's lock and looks at everything again: what a client saw is from before.
#
#   garbage look               the store, the boot partition, the generations; reads only
#   garbage delete NUMBER...   generations, all of them or none, with their boot entries
#   garbage collect            the dead store paths; it stops when the standard input ends
#
# A refusal says why, and nothing was changed (10; 11: somebody else is at work).
# POSIX sh, coreutils, xargs, nix; flock where it is.

# shellcheck source=nixops/host.sh
. "${0%/*}/host.sh"

# begin: from here on no deploy is under way, and none begins. What one that a restart
# of the host has broken off still needs is kept.
begin() {
	[ "$(id -u)" = 0 ] || die 10 'not root'
	umask 077 # nobody else may hold the lock; what follows is no secret
	take 2 "garbage $cmd" || die 11 "busy: $(busy)"
	umask 022
	for d in $(under_way); do stale "$d" || die 11 "busy: $(about "$d")"; done
}

# --- what is kept

# keepers: why a system must stay, and its path, a line each
keepers() {
	say "running $(target "$root/run/current-system")"
	say "booted $(target "$root/run/booted-system")"
	say "last-confirmed $(target "$gcroots/last-confirmed")"
	for d in $(under_way); do
		for f in new prev; do
			IFS= read -r path <"$home/$d/$f" && say "deploy $path"
		done
	done
}

# kept NUMBER: why this generation must stay; nothing: it may go. What runs may be
# a specialisation: that is no generation, and stays with the system it is of.
kept() {
	[ "$(readlink "$profile")" = "system-$1-link" ] && say default
	systems=" $(target "$profile-$1-link") "
	[ "$systems" != '  ' ] || say 'where it leads cannot be read'
	for l in "$profile-$1-link"/specialisation/*; do # one at a time: busybox reads no more
		[ ! -e "$l" ] || systems="$systems$(target "$l") "
	done
	say "$keepers" | while read -r why path; do
		case $systems in *" ${path:-/} "*) say "$why" ;; esac
	done | sort -u
}

# numbers: of the generations there are
numbers() {
	for l in "$profile"-*-link; do
		n=${l#"$profile-"} n=${n%-link}
		whole "$n" && [ -h "$l" ] && say "$n"
	done | sort -n
}

# --- looking

look() {
	keepers=$(keepers)
	room store "$root/nix/store"
	boot_partition
	for n in $(numbers); do
		say "generation $n $(stat -c %Y "$profile-$n-link") $(target "$profile-$n-link")"
		for why in $(kept "$n"); do say "kept $n $why"; done
	done
	[ "$(id -u)" = 0 ] || say 'unseen which systems a deploy needs, and which was confirmed last: not root'
	for d in $(under_way); do stale "$d" || say "busy $d"; done
	dead
	say 'looked'
}

# room NAME DIRECTORY: of its file system, in KiB
room() {
	df -P -k "$2" 2>/dev/null | tail -n 1 | while read -r _ total used free _ mount; do say "room $1 $total $used $free $mount"; done
}

# boot_partition: the fill of the boot partition, and whose the files there are
boot_partition() {
	b=$root/boot
	for e in "$root/efi" "$root/boot/efi"; do
		# only where the entries are there is it known whose the files are
		[ -d "$b/loader/entries" ] || [ ! -d "$e/loader/entries" ] || b=$e
	done
	[ -d "$b" ] || return
	room boot "$b"
	systemd_boot
	if [ -r "$b/grub/grub.cfg" ]; then grub <"$b/grub/grub.cfg"; fi
	if [ -r "$b/extlinux/extlinux.conf" ]; then extlinux <"$b/extlinux/extlinux.conf"; fi
	[ -r "$b/loader/entries" ] || [ -r "$b/grub/grub.cfg" ] || [ -r "$b/extlinux/extlinux.conf" ] ||
		say "unseen which generations the files in $b are of: no boot menu of NixOS can be read there"
	stat -c 'size %s %n' "$b"/EFI/nixos/* "$b"/EFI/Linux/* "$b"/kernels/* "$b"/nixos/* 2>/dev/null
}

# inside ENTRY: the generation of the system's profile that an entry says it is of
inside() {
	of=
	while read -r key word rest; do
		case $key in
		title) case $rest in *\]*) return ;; esac ;; # of another profile
		version) [ "$word" != Generation ] || of=${rest%%[!0-9]*} ;;
		esac
	done <"$1"
	say "$of"
}

systemd_boot() {
	for e in "$b"/loader/entries/nixos-*.conf "$b"/EFI/Linux/nixos-generation-*.efi; do
		[ -r "$e" ] || continue
		case ${e##*/} in
		nixos-generation-*) n=${e##*/nixos-generation-} n=${n%%[!0-9]*} ;;
		nixos-*-generation-*) continue ;; # of another profile
		*) n=$(inside "$e") ;; # since NixOS 26.05 a hash is its name
		esac
		[ "$n" ] || continue
		case $e in *.efi) # one file with all in it, as lanzaboote makes them
			say "file $n $e"
			continue
			;;
		esac
		while read -r key path _; do
			case $key in linux | initrd | devicetree | efi) say "file $n $b/${path#/}" ;; esac
		done <"$e"
	done
}

# grub: kernels that are not copied to the boot partition lie in the store, and take no room here
grub() {
	n=
	while read -r key path rest; do
		case $key in
		menuentry | submenu)
			n=${rest#*Configuration } && [ "$n" != "$rest" ] || n=
			n=${n%%[!0-9]*}
			;;
		linux | initrd)
			case $n$path in [0-9]*/kernels/*) say "file $n $b/kernels/${path##*/kernels/}" ;; esac
			;;
		esac
	done
}

extlinux() {
	n=
	while read -r key path _; do
		case $key in
		LABEL) n=${path#nixos-} n=${n%%[!0-9]*} ;;
		LINUX | INITRD) [ -z "$n" ] || say "file $n $b/nixos/${path##*/}" ;;
		esac
	done
}

# dead: the paths that nothing leads to. Looking has nix tidy away roots that lead
# nowhere. A path of which only the files are left is not valid, and would spoil
# the sizes of all that are asked with it.
dead() {
	if ! list=$(timeout 90 nix-store --gc --print-dead); then
		say 'unseen what is dead: nix-store does not tell'
		return
	fi
	[ "$list" ] || { say 'dead 0 0 0' && return; }
	invalid=$(say "$list" | timeout 30 xargs -n 500 nix-store --check-validity --print-invalid 2>/dev/null)
	{ say "$list" && say "$invalid"; } | sort | uniq -u | timeout 60 xargs -n 500 nix-store -q --size 2>/dev/null | {
		counted=0 bytes=0
		while read -r size; do
			whole "$size" && bytes=$((bytes + size)) counted=$((counted + 1))
		done
		say "dead $(say "$list" | wc -l) $bytes $counted"
	}
}

# --- deleting

delete() {
	[ $# -gt 0 ] || die 2 'no generation is named'
	for n; do whole "$n" || die 2 "no number of a generation: $n"; done
	begin
	switch=$(target "$profile")/bin/switch-to-configuration
	[ -x "$switch" ] || die 10 "the default system is none of NixOS: there is no $switch"
	keepers=$(keepers)
	for n; do
		[ -h "$profile-$n-link" ] || die 10 "there is no generation $n"
		why=$(kept "$n" | tr '\n' ' ')
		[ -z "$why" ] || die 10 "generation $n must stay: ${why% }"
	done
	# From here on it goes to its end, whether or not somebody still listens: therefore
	# all is said at the end.
	trap '' HUP INT PIPE TERM
	words=$(nix-env --profile "$profile" --delete-generations "$@" 2>&1)
	code=$?
	gone='' menu='' wrote=0
	for n; do [ -h "$profile-$n-link" ] || gone="$gone $n"; done
	if [ "$gone" ]; then
		menu=$(timeout -k 10 300 "$switch" boot 2>&1)
		wrote=$?
	fi
	for n in $gone; do say "deleted $n"; done
	say "nix-env $code $(say "$words" | tail -n 1)"
	say "menu $wrote $(say "$menu" | tail -n 1)"
	say 'done'
}

# collect: nix itself tells what it does, and at its end what was freed, also where
# it is stopped.
collect() {
	begin
	exec 3<&0 # what runs in the background has no input
	nix-store --gc 2>&1 3<&- &
	child=$!
	trap 'kill "$child" 2>/dev/null' HUP INT PIPE TERM
	# more than once: nix that is just about to wait for its lock does not notice
	(while read -r _; do :; done; while kill "$child"; do sleep 1; done) <&3 >/dev/null 2>&1 9>&- &
	watcher=$!
	wait "$child"
	code=$?
	while [ $code -gt 128 ] && kill -0 "$child" 2>/dev/null; do # a signal to us, not its end
		wait "$child"
		code=$?
	done
	kill "$watcher" 2>/dev/null
	say "ended $code"
}

cmd=${1:-}
[ $# = 0 ] || shift
case $cmd in
look | delete | collect) "$cmd" "$@" ;;
*) die 2 "garbage: no command $cmd" ;;
esac
