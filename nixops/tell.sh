# shellcheck shell=sh disable=SC2034,SC2154 # what is not set or not used here is guard.sh's
# What the guard sees and tells of a host, and what else deploys there. guard.sh reads
# it in.

failed_units() { systemctl list-units --failed --plain --no-legend --full --no-pager 9>&- 2>/dev/null | cut -d' ' -f1 | lasting | sort; }
# lasting leaves out the units in which Podman checks a container's health: their names
# are other ones with each start of it, and the container itself tells of its health
lasting() { grep -vE '^[0-9a-f]{64}(-[0-9a-f]+)?\.(service|timer)$'; }
idle_timers() {
	systemctl list-units --all --type=timer --plain --no-legend --full --no-pager 9>&- 2>/dev/null | while read -r t _ active _; do
		[ "$active" = active ] || say "$t"
	done | lasting | sort
}
# restarts: the services that systemd has started again by itself, and how often.
# One that comes and goes is hardly ever "failed".
restarts() {
	{ systemctl show -p Id,NRestarts '*.service' 9>&- 2>/dev/null; echo; } | while IFS='=' read -r k v; do
		case $k in Id) unit=$v ;; NRestarts) often=$v ;; '') [ "${often:-0}" = 0 ] || say "$unit $often" ;; esac
	done | sort
}

# switcher: who holds the lock of NixOS' switch-to-configuration
switcher() {
	f=$root/run/nixos/switch-to-configuration.lock
	dev=$(stat -L -c %d "$f" 2>/dev/null) && inode=$(stat -L -c %i "$f") || return
	file=$(printf '%02x:%02x:%d' $(((dev >> 8) & 4095)) $(((dev & 255) | ((dev >> 12) & 1048320))) "$inode")
	while read -r _ _ _ _ pid of _; do
		[ "$of" != "$file" ] || say "process $pid $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | head -c 150)"
	done 2>/dev/null <"$root/proc/locks"
}

# --- what clients ask

list() {
	only=${1:-}
	uptime
	say "now $(date +%s) $up $(boot)"
	say "running $(target "$current")"
	say "default $(target "$profile") $(readlink "$profile")"
	for d in "$home"/*/; do
		dir=${d%/} id=${dir##*/}
		[ -z "$only" ] || [ "$only" = "$id" ] || continue
		# no program is started for what may be fifty of them
		standing "$dir" || continue
		say "deploy $id"
		for f in kind action new run number nonce window who client revision request prev prev-profile boot-id started deadline code by result; do
			[ -s "$dir/$f" ] && IFS= read -r v <"$dir/$f" && say "field $f $v"
		done
		say "field state $state $why"
		last=''
		while IFS= read -r v; do last=$v; done 2>/dev/null <"$dir/journal"
		say "field last $last"
		if over "$state"; then continue; fi
		alive "$id" && say 'field guarded 1'
		say "field line $(tail -n 20 "$dir/log" 2>/dev/null | grep -v '^== ' | tail -n 1)"
	done
	if [ "$only" ] && [ "${2:-}" ]; then
		say "log $(wc -c <"$home/$only/log")"
		tail -c +$(($2 + 1)) "$home/$only/log" | head -c 262144
	fi
}

# beyond FILE: the lines that are not in the file
beyond() { if [ -s "$1" ]; then grep -vxF -f "$1"; else cat; fi; }

# check ID: newly failed units, those that started to come and go, and timers that
# were running and are not
check() {
	load "$1"
	failed_units | beyond "$dir/baseline-failed" | sed 's/^/failed /'
	[ ! -e "$dir/restarts" ] || restarts | beyond "$dir/restarts" | cut -d' ' -f1 | beyond "$dir/baseline-restarts" | sed 's/^/restarts /'
	idle_timers | beyond "$dir/baseline-timers" | sed 's/^/idle /'
	say 'checked'
}

# in_boot FILE: whether the boot partition has a file of the store, as its name there
# has it: systemd-boot's, GRUB's where it copies, extlinux'
in_boot() {
	name=${1##*/nix/store/}
	name=$(printf %s "$name" | tr / -)
	[ -e "$b/EFI/nixos/$name.efi" ] || [ -e "$b/kernels/$name" ] || [ -e "$b/nixos/$name" ]
}

# boot_room: where the boot menu is, what is free there, and what the files of the new
# system will take beside those that are there. That is judged only where the default
# system's kernel is found there by its name: else they stay in the store, or a boot
# loader has other names for them.
boot_room() {
	b=$root/boot
	for e in "$root/efi" "$root/boot/efi"; do
		[ -d "$b/loader/entries" ] || [ ! -d "$e/loader/entries" ] || b=$e
	done
	[ -d "$b" ] || return
	df -P -k "$b" 2>/dev/null | tail -n 1 | while read -r _ _ _ free _ mount; do say "free boot $free" && say "boot $mount"; done
	f=$(target "$profile/kernel") && in_boot "$f" || return
	need=0 counted=' '
	for f in "$new/kernel" "$new/initrd" "$new"/specialisation/*/kernel "$new"/specialisation/*/initrd; do
		f=$(target "$f")
		[ -f "$f" ] || continue
		case $counted in *" $f "*) continue ;; esac
		counted="$counted$f "
		size=$(wc -c <"$f")
		in_boot "$f" || need=$((need + (size + 1023) / 1024))
	done
	say "need boot $need"
}

# specialisation: the name of the one that runs, in whichever generation has it
specialisation() {
	[ "$(target "$profile")" != "$prev" ] || return 1
	for l in "$profile"-*-link/specialisation/*; do
		# shellcheck disable=SC3013 # dash, bash and busybox know it, and start no program
		[ "$l" -ef "$current" ] && say "${l##*/}" && return
	done
	return 1
}

look() {
	new=$1
	prev=$(target "$current") run=$new
	special=$(specialisation) && say "special $special" && [ -x "$new/specialisation/$special/bin/switch-to-configuration" ] &&
		run=$(target "$new/specialisation/$special") && say "run $run"
	say "uid $(id -u)"
	say "host $(cat "$root/proc/sys/kernel/hostname") $(uname -m)"
	[ -x "$new/bin/switch-to-configuration" ] && say 'there 1'
	[ -r "$new/etc/hostname" ] && say "hostname $(cat "$new/etc/hostname")"
	[ -r "$new/system" ] && say "system $(cat "$new/system")"
	[ -d "$root/run/systemd/system" ] && say 'systemd 1'
	for p in flock timeout systemd-run nix-env nix-store; do command -v $p >/dev/null && say "has $p"; done
	df -P -k "$root/nix/store" 2>/dev/null | tail -n 1 | while read -r _ _ _ free _; do say "free store $free"; done
	df -P -k "$root/var/lib" 2>/dev/null | tail -n 1 | while read -r _ _ _ free _; do say "free state $free"; done
	boot_room
	for d in $(under_way); do alive "$d" && say "busy $(about "$d")"; done
	locked=$(switcher) && [ "$locked" ] && say "locked $locked"
	for t in prev run; do
		eval "f=\$$t/switch-inhibitors"
		[ -r "$f" ] && say "inhibitors $t $(tr -d '\n' <"$f")"
	done
	cmp -s "$prev/init-interface-version" "$run/init-interface-version" || say 'init 1'
	for k in "$prev/kernel" "$run/kernel"; do # a container has none
		[ -e "$k" ] && [ "$(target "$prev/kernel")" != "$(target "$run/kernel")" ] && say 'kernel 1' && break
	done
	changing | sed 's/^/way /'
	for u in $pullers; do systemctl is-active --quiet "$u" 2>/dev/null && say "pull $u"; done
	say 'looked'
}

# --- what deploys to this host by itself

# pullers are the units that deploy to a host by itself.
pullers='comin.service nixos-upgrade.timer'
paused=$root/run/sextant/paused

# held UNIT: the drop-in that keeps it stopped. Its condition fails for as long as
# the file beside is there: what an activation starts is then skipped, where a
# masked unit would fail it.
held() { say "$root/run/systemd/system/$1.d/sextant-paused.conf"; }

pause_pull() {
	[ "$(id -u)" = 0 ] || die 10 'not root'
	case $(systemctl show -p ActiveState nixos-upgrade.service 2>/dev/null) in
	*=activ* | *=reload*) die 11 'busy: nixos-upgrade.service deploys just now' ;;
	esac
	set --
	for u in $pullers; do systemctl is-active --quiet "$u" 2>/dev/null && set -- "$@" "$u"; done
	[ $# -gt 0 ] || die 10 'nothing that runs here deploys by itself'
	(
		umask 022
		mkdir -p "${paused%/*}" && printf '%s\n' "$@" >>"$paused" || exit
		for u; do
			f=$(held "$u") && mkdir -p "${f%/*}" && printf '[Unit]\nConditionPathExists=!%s\n' "$paused" >"$f" || exit
		done
	) || die 10 "cannot write below $root/run"
	systemctl daemon-reload
	systemctl stop "$@" || die 10 "could not be stopped: $*"
	say "paused $*"
}

resume_pull() {
	[ "$(id -u)" = 0 ] || die 10 'not root'
	[ -e "$paused" ] || die 10 'nothing is paused here'
	set --
	for u in $pullers; do
		grep -qxF "$u" "$paused" || continue
		rm -f "$(held "$u")"
		systemctl cat "$u" >/dev/null 2>&1 && set -- "$@" "$u"
	done
	rm -f "$paused"
	systemctl daemon-reload
	[ $# = 0 ] || systemctl start "$@" || die 10 "could not be started again: $*"
	say "resumed $*"
}
