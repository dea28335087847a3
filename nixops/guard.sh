#!/bin/sh
# The guard: changes a NixOS host's system so that it ends in one of two states,
# the new one, running and the default after somebody reached it, or the one that
# ran before. It lives on the host for as long as a deploy does and needs nobody:
# whoever began it may be gone.
#
#   guard look TOPLEVEL             what speaks for and against activating it; reads only
#   guard stage ID NAME=VALUE...    begins a deploy; this text on the standard input
#   guard run ID                    the deploy itself, in a unit of its own
#   guard list [ID [OFFSET]]        what is and was under way, and ID's log from OFFSET on
#   guard confirm|cancel ID NONCE WHO
#   guard extend ID SECONDS         from now until it goes back by itself
#   guard check ID                  what is worse than before it began
#   guard settle ID                 finishes what a restart of the host or a lost guard left
#   guard pause                     what deploys to this host by itself stays stopped until
#   guard resume                    this, or a restart of the host
#
# The order is: activate ("test"), be reached anew and confirmed, and only then
# become the default (profile, "boot"). Undoing restores exactly the system and the
# profile link that were there before. POSIX sh, coreutils, nix; flock where it is.
#
# On the host, for each deploy, in $home/ID (root's alone): "state" (STATE why),
# "journal" (epoch, uptime, state), "log", "prev", "prev-profile", "boot-id",
# "baseline-failed", "ack" (what was answered, once), "deadline" (seconds of uptime:
# a clock that is set does not move it), the request as it came, "result".

root='' # tests put another in front of every path
home=$root/var/lib/sextant/deploys
lock=$root/run/sextant.lock
profile=$root/nix/var/nix/profiles/system
current=$root/run/current-system
gcroots=$root/nix/var/nix/gcroots/sextant
export LC_ALL=C NIXOS_INSTALL_BOOTLOADER=0 SYSTEMD_COLORS=0 SYSTEMD_PAGER='' NO_COLOR=1
umask 077

say() { printf '%s\n' "$*"; }
die() { # CODE WORDS: nothing was changed
	code=$1
	shift
	say "refused $*"
	exit "$code"
}
uptime() { IFS=' .' read -r up _ <"$root/proc/uptime"; }
target() { readlink -f -- "$1" 2>/dev/null; }
boot() { cat "$root/proc/sys/kernel/random/boot_id"; }
pause() { sleep 0.2 9>&- 2>/dev/null || sleep 1 9>&-; }
failed_units() { systemctl list-units --failed --plain --no-legend --full --no-pager 9>&- 2>/dev/null | cut -d' ' -f1 | sort; }
idle_timers() {
	systemctl list-units --all --type=timer --plain --no-legend --full --no-pager 9>&- 2>/dev/null | while read -r t _ active _; do
		[ "$active" = active ] || say "$t"
	done | sort
}
# restarts: the services that systemd has started again by itself, and how often.
# One that comes and goes is hardly ever "failed".
restarts() {
	{ systemctl show -p Id,NRestarts '*.service' 9>&- 2>/dev/null; echo; } | while IFS='=' read -r k v; do
		case $k in Id) unit=$v ;; NRestarts) often=$v ;; '') [ "${often:-0}" = 0 ] || say "$unit $often" ;; esac
	done | sort
}
# open_ways: the units of $ways that run
open_ways() {
	# shellcheck disable=SC2086 # a list
	systemctl list-units --plain --no-legend --full --no-pager --state=active $ways 9>&- 2>/dev/null | cut -d' ' -f1
}

# ways are the units by which a host is reached.
ways='sshd.service sshd.socket ssh.service ssh.socket tailscaled.service systemd-networkd.service NetworkManager.service dhcpcd.service
wpa_supplicant.service systemd-resolved.service nftables.service firewall.service network-setup.service'

# --- what lies on the disk

# put NAME VALUE: written aside, on the disk, renamed: whole or not at all. On a
# full disk the reserve makes room.
put() {
	for try in 1 2; do
		if printf '%s\n' "$2" 2>/dev/null >"$dir/.$1" && [ -s "$dir/.$1" ]; then
			sync "$dir/.$1" 2>/dev/null || sync
			mv -f "$dir/.$1" "$dir/$1" && return 0
		fi
		rm -f "$dir/.$1" "$dir/reserve"
		: "$try"
	done
	return 1
}
get() { [ -r "$dir/$1" ] && IFS= read -r got <"$dir/$1" && [ "$got" ] && say "$got"; }

# enter STATE WHY
enter() {
	state=$1
	uptime
	say "$(date +%s) $up $1 $2" >>"$dir/journal" && sync "$dir/journal" 2>/dev/null
	put state "$1 $2"
	say "== $1 $2"
}

# finish STATE WHY: the last state
finish() {
	enter "$1" "$2"
	put result "$1 $2"
	rm -f "$dir/reserve" "$gcroots/$id-new"
	[ "$1" = ROLLBACK_FAILED ] || rm -f "$gcroots/$id-prev"
	exit 0
}

# load ID: the deploy as it lies there. A state that is torn is the journal's last.
load() {
	case $1 in '' | *[!A-Za-z0-9-]*) die 2 'no ID of a deploy' ;; esac
	id=$1 dir=$home/$1
	[ -d "$dir" ] || die 2 "no deploy $1 on this host"
	state=$(get state) || state=$(tail -n 1 "$dir/journal" 2>/dev/null | cut -d' ' -f3-)
	why=${state#* } state=${state%% *}
	prev=$(get prev) link=$(get prev-profile) new=$(get new) run=$(get run) action=$(get action)
	number=$(get number) nonce=$(get nonce)
	: "${number:=0}" "${run:=$new}" "${state:=STAGED}"
}
over() {
	case $1 in CONFIRMED | REFUSED | NEEDS_REBOOT | ROLLED_BACK | ROLLBACK_FAILED | CANCELLED | CONFLICT) return 0 ;; esac
	return 1
}

# take SECONDS: the lock, which what we activate inherits: while that runs,
# nobody else begins, even if this guard dies. Without flock a directory.
take() {
	tries=$(($1 * 5))
	if command -v flock >/dev/null; then
		exec 9>>"$lock" || return 1
		until flock -n 9; do # busybox knows no -w
			[ $((tries -= 1)) -ge 0 ] || return 1
			pause
		done
		return 0
	fi
	until mkdir "$lock.d" 2>/dev/null; do
		holder=$(cat "$lock.d/pid" 2>/dev/null)
		if [ "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then
			rm -rf "$lock.d"
			continue
		fi
		[ $((tries -= 1)) -ge 0 ] || return 1
		pause
	done
	say $$ >"$lock.d/pid"
	trap 'rm -rf "$lock.d"' EXIT
}
release() {
	exec 9>&-
	command -v flock >/dev/null || rm -rf "$lock.d"
	trap - EXIT
}

# under_way: the deploy that is not over, if there is one
under_way() {
	for d in "$home"/*/; do
		[ -e "$d/result" ] || [ ! -e "$d/new" ] || { d=${d%/} && say "${d##*/}"; }
	done
}

# --- activating

# stc TOPLEVEL ACTION LIMIT: what NixOS itself does, within its time. Its exit
# code is the toplevel's own: wrappers flatten it.
stc() {
	say "== $1/bin/switch-to-configuration $2"
	timeout -k 10 "$3" "$1/bin/switch-to-configuration" "$2" &
	put child $!
	wait $!
	code=$?
	while [ $code -gt 128 ] && kill -0 "$(get child)" 2>/dev/null; do # a signal to us, not its end
		wait "$(get child)"
		code=$?
	done
	rm -f "$dir/child"
	say "== ended with $code"
	return $code
}

# orphan: what an earlier guard of this deploy was running when it died
orphan() {
	child=$(get child) || return 0
	while tr '\0' ' ' 2>/dev/null <"/proc/$child/cmdline" | grep -q switch-to-configuration; do pause; done
	rm -f "$dir/child"
}

# touched OFFSET: whether what was activated did anything, by what it says
touched() {
	tail -c +$(($1 + 1)) "$dir/log" 2>/dev/null | grep -qE '^(stopping|restarting|reloading|starting|activating|restarting systemd|updating)[ :]'
}

activate() {
	[ "$action" = boot ] && commit
	enter ACTIVATING "$run"
	before=$(wc -c <"$dir/log" 2>/dev/null) || before=0
	stc "$run" test "$(get activation || say 900)"
	code=$?
	case $code in
	0 | 4) await $code ;;
	100) [ "$(target "$current")" = "$prev" ] && finish NEEDS_REBOOT 'the new system wants a new init: it can only be booted' ;;
	1 | 11) [ "$(target "$current")" = "$prev" ] && ! touched "$before" && finish REFUSED "switch-to-configuration ended with $code and changed nothing" ;;
	124 | 137) back ROLLED_BACK 'the activation did not end in its time' ;;
	esac
	back ROLLED_BACK "the activation ended with $code"
}

# moved: whether somebody else has activated another system meanwhile
moved() {
	now=$(target "$current")
	[ "$now" != "$run" ] && [ "$now" != "$prev" ]
}
# ours: whether the profile is as we found it, or as we set it
ours() { [ "$(readlink "$profile")" = "$link" ] || [ "$(target "$profile")" = "$new" ]; }

await() {
	uptime
	put deadline $((up + $(get window || say 120)))
	put code "$1"
	restarts >"$dir/restarts"
	case $1 in 4) enter AWAITING 'it runs, with failed units' ;; *) enter AWAITING 'it runs' ;; esac
	while :; do
		answer
		uptime
		[ "$up" -lt "$(get deadline || say 0)" ] || shut 'nobody confirmed in time'
		[ -z "$asked" ] || shut 'its guard was told to stop'
		pause
	done
}

# answer: obeys what was answered
answer() {
	[ -e "$dir/ack" ] || return 0
	read -r word given who <"$dir/ack"
	case $word in
	confirm)
		[ "$given" = "$nonce" ] && commit "$who"
		say "== an answer with a wrong nonce, from $who"
		mv -f "$dir/ack" "$dir/ack-refused"
		;;
	cancel) back CANCELLED "by $who" ;;
	late) back ROLLED_BACK "$given $who" ;;
	esac
}

# shut WHY: from here on no answer counts. Whoever was first has it.
shut() {
	say "late $1" >"$dir/.late"
	ln "$dir/.late" "$dir/ack" 2>/dev/null
	answer
	back ROLLED_BACK "$1"
}

# --- becoming the default

commit() {
	[ "${1:-}" ] && put by "$1"
	enter COMMITTING "$new${1:+ confirmed by $1}"
	[ "$action" = boot ] || ! moved || finish CONFLICT "somebody else activated $(target "$current")"
	[ "$action" = boot ] || [ "$(target "$current")" = "$run" ] || finish CONFLICT 'the system before it runs again'
	ours || finish CONFLICT "somebody else set the profile to $(readlink "$profile")"
	if [ "$action" != test ]; then
		set_profile || back ROLLED_BACK 'the profile could not be set'
		stc "$new" boot "$(get commit || say 300)" || back ROLLED_BACK 'the boot loader could not be written'
	fi
	mkdir -p "$gcroots" && ln -sfn "$new" "$gcroots/last-confirmed"
	finish CONFIRMED "${1:+by $1}"
}

set_profile() {
	[ "$(target "$profile")" = "$new" ] && { [ "$number" = 0 ] || [ "$(readlink "$profile")" = "system-$number-link" ]; } && return 0
	if [ "$number" != 0 ]; then
		nix-env --profile "$profile" --switch-generation "$number" 9>&-
	else
		nix-env --profile "$profile" --set "$new" 9>&-
	fi
	[ "$(target "$profile")" = "$new" ]
}

# --- going back

# back STATE WHY
back() {
	put final "$1 $2"
	enter ROLLING_BACK "$2"
	restore || menu=', and its boot menu could not be written'
	if moved; then finish CONFLICT "somebody else activated $(target "$current")"; fi
	if [ "$action" = boot ]; then finish "$1" "$2"; fi
	for try in 1 2 3; do
		stc "$prev" test "$(get rollback || say 600)"
		code=$?
		mend
		case $code in 0 | 4) [ "$(target "$current")" = "$prev" ] && landed "$1" "$2" ;; esac
		[ "$try" = 3 ] || sleep "$((try * 5))"
	done
	if [ "$(get reboot)" = 1 ]; then
		enter ROLLING_BACK 'by a restart, as the system before does not come back without'
		systemctl reboot 9>&-
		exit 0
	fi
	finish ROLLBACK_FAILED "the system before ended with $code"
}

landed() {
	[ -z "${menu:-}" ] || finish ROLLBACK_FAILED "$2$menu"
	ours || finish CONFLICT "$2; somebody else set the profile to $(readlink "$profile")"
	finish "$1" "$2"
}

# restore: the profile as it was, if it was us who moved it
restore() {
	[ "$(readlink "$profile")" = "$link" ] && return 0
	[ "$(target "$profile")" = "$new" ] || return 0 # somebody else's
	n=${link#system-} n=${n%-link}
	case $n in
	'' | *[!0-9]*) ln -sfn "$link" "$profile" ;;
	*) nix-env --profile "$profile" --switch-generation "$n" 9>&- || ln -sfn "$link" "$profile" ;;
	esac
	stc "$(target "$profile")" boot "$(get commit || say 300)"
}

# mend: restarts the ways in that were open before and are not, or that differ
mend() {
	running=$(open_ways)
	while read -r u; do
		case "
$running
" in *"
$u
"*) same "$u" && continue ;; esac
		say "== restarting $u"
		systemctl restart "$u" 9>&-
	done <"$dir/baseline-ways"
}
same() { cmp -s "$prev/etc/systemd/system/$1" "$run/etc/systemd/system/$1"; }

# --- picking up

# resume: after this guard's death in the same boot
resume() {
	orphan
	case $state in
	STAGED) activate ;;
	COMMITTING) commit "$(get by)" ;;
	AWAITING) answer && back ROLLED_BACK 'its guard died' ;;
	ROLLING_BACK)
		final=$(get final || say 'ROLLED_BACK its guard died')
		back "${final%% *}" "${final#* }"
		;;
	*) back ROLLED_BACK 'its guard died' ;;
	esac
}

# rebooted: after a restart of the host the default runs: mostly the system before
rebooted() {
	now=$(target "$current")
	if [ "$state" = COMMITTING ] && [ "$now" = "$new" ] && [ "$(target "$profile")" = "$new" ]; then
		stc "$new" boot "$(get commit || say 300)" && finish CONFIRMED 'finished after the host was restarted'
	fi
	if [ "$now" = "$prev" ] || [ "$now" = "$(target "$(dirname "$profile")/$link")" ]; then
		restore
		ours && finish ROLLED_BACK 'the host was restarted'
	fi
	finish CONFLICT "after a restart of the host $now runs"
}

# told: to stop. While the host goes down everything stays as it lies there.
told() {
	[ "$(systemctl is-system-running 9>&-)" = stopping ] && exit 0
	asked=1
}

run() {
	load "$1"
	asked=''
	trap told TERM
	# what an earlier guard began still holds the lock; it ends in its own time, and
	# only then is it known where it ended
	take "$(($(get activation || say 900) + 60))" || exit 1
	load "$1"
	over "$state" && exit 0
	put pid $$
	if [ "$(boot)" != "$(get boot-id)" ]; then rebooted; fi
	resume
}

# --- what clients ask

# value NAME: of the arguments NAME=VALUE
value() {
	want=$1
	shift
	for a; do case $a in "$want="*) say "${a#*=}" && return ;; esac done
}

stage() {
	id=$1 dir=$home/$1
	shift
	case $id in '' | *[!A-Za-z0-9-]*) die 2 'no ID of a deploy' ;; esac
	[ "$(id -u)" = 0 ] || die 10 'not root'
	[ -d "$root/run/systemd/system" ] || die 10 'systemd does not run here'
	new=$(value new "$@") run=$(value run "$@")
	: "${run:=$new}"
	for t in "$new" "$run"; do
		[ -x "$t/bin/switch-to-configuration" ] || die 10 "not there, or no NixOS system: $t"
	done
	mkdir -p "$home" "$gcroots" || die 10 "cannot write below $home"
	take 2 || die 11 "busy: a deploy is beginning or ending, or garbage is collected: $(under_way)"
	for other in $(under_way); do
		[ "$other" = "$id" ] || die 11 "busy: deploy $other is under way"
	done
	mkdir "$dir" || die 10 "cannot write $dir"
	{ cat >"$dir/guard" && [ -s "$dir/guard" ] && dd if=/dev/zero of="$dir/reserve" bs=4096 count=16 2>/dev/null &&
		: >"$dir/log" && write "$@"; } || {
		rm -rf "$dir"
		die 10 "cannot write $dir: is the disk full?"
	}
	if ! { ln -sfn "$new" "$gcroots/$id-new" && ln -sfn "$prev" "$gcroots/$id-prev"; }; then
		rm -rf "$dir"
		die 10 "cannot protect the systems from the garbage collector below $gcroots"
	fi
	enter STAGED '' >/dev/null
	keep 50
	release
	launch || {
		enter REFUSED 'systemd did not start the guard' >/dev/null
		put result "$state systemd did not start the guard"
		die 10 'systemd did not start the guard'
	}
	say "staged $id"
}

# write NAME=VALUE...: the request, and what is now, which is what is restored
write() {
	for name in kind action new run number nonce window activation commit rollback reboot who client revision request; do
		v=$(value $name "$@")
		[ -z "$v" ] || put $name "$v" || return 1
	done
	put run "$run" && prev=$(target "$current") && put prev "$prev" && put prev-profile "$(readlink "$profile")" && put boot-id "$(boot)" &&
		put started "$(date +%s)" && { failed_units >"$dir/baseline-failed"; } && { restarts | cut -d' ' -f1 >"$dir/baseline-restarts"; } && { idle_timers >"$dir/baseline-timers"; } && { open_ways >"$dir/baseline-ways"; }
}

# keep N: of the deploys that are over only the newest
keep() {
	n=$(($(find "$home" -mindepth 1 -maxdepth 1 -type d | wc -l) - $1))
	for d in "$home"/*/; do
		[ $n -gt 0 ] || return 0
		[ -e "$d/result" ] && rm -rf "$d" && n=$((n - 1))
	done
}

launch() {
	systemd-run --no-block --collect --quiet --no-ask-password --unit="sextant-$id" --service-type=exec \
		-p KillMode=process -p Restart=on-failure -p RestartForceExitStatus=SIGTERM -p RestartSec=1 -p StartLimitIntervalSec=0 \
		-p TimeoutStopSec=20min -p OOMScoreAdjust=-900 \
		-p "StandardOutput=append:$dir/log" -p "StandardError=append:$dir/log" \
		-E "PATH=$prev/sw/bin:$PATH" -E "LOCALE_ARCHIVE=${LOCALE_ARCHIVE:-}" \
		sh "$dir/guard" run "$id"
}

list() {
	only=${1:-}
	uptime
	say "now $(date +%s) $up $(boot)"
	say "running $(target "$current")"
	say "default $(target "$profile") $(readlink "$profile")"
	for d in "$home"/*/; do
		dir=${d%/} id=${dir##*/}
		[ -e "$dir/new" ] || continue
		[ -z "$only" ] || [ "$only" = "$id" ] || continue
		# no program is started for what may be fifty of them
		last=''
		while IFS= read -r v; do last=$v; done 2>/dev/null <"$dir/journal"
		say "deploy $id"
		for f in kind action state new run number nonce window who client revision prev prev-profile boot-id started deadline code by result; do
			[ -s "$dir/$f" ] && IFS= read -r v <"$dir/$f" && say "field $f $v"
		done
		[ -s "$dir/state" ] || say "field state ${last#* * }"
		say "field last $last"
		[ -e "$dir/result" ] || { systemctl is-active --quiet "sextant-$id" && say 'field guarded 1'; }
		[ -e "$dir/result" ] || say "field line $(tail -n 20 "$dir/log" 2>/dev/null | grep -v '^== ' | tail -n 1)"
	done
	if [ "$only" ] && [ "${2:-}" ]; then
		say "log $(wc -c <"$home/$only/log")"
		tail -c +$(($2 + 1)) "$home/$only/log" | head -c 262144
	fi
}

# reply WORD ID NONCE WHO: the first answer counts
reply() {
	load "$2"
	if over "$state"; then
		say "over $state $why"
		return
	fi
	[ "$(boot)" = "$(get boot-id)" ] || {
		launch
		say 'settling'
		return
	}
	case $state in
	AWAITING) ;;
	STAGED | ACTIVATING) [ "$1" = cancel ] || die 10 "not running yet: $state" ;;
	*) die 10 "too late: $state" ;;
	esac
	[ "$3" = "$nonce" ] || die 10 'the nonce is that of another deploy'
	say "$1 $3 $4" >"$dir/.ack.$$"
	sync "$dir/.ack.$$" 2>/dev/null
	if ln "$dir/.ack.$$" "$dir/ack" 2>/dev/null; then say 'taken'; else
		read -r word _ who <"$dir/ack"
		say "before $word $who"
	fi
	rm -f "$dir/.ack.$$"
	systemctl is-active --quiet "sextant-$id" || launch # a guard that is gone for good
}

extend() {
	load "$1"
	case $2 in '' | *[!0-9]*) die 2 'no number of seconds' ;; esac
	[ "$state" = AWAITING ] || die 10 "not waiting: $state"
	uptime
	put deadline $((up + $2)) && say 'extended'
}

# check ID: newly failed units, those that started to come and go, and timers that
# were running and are not
check() {
	load "$1"
	failed_units | comm -13 "$dir/baseline-failed" - | sed 's/^/failed /'
	[ ! -e "$dir/restarts" ] || restarts | comm -13 "$dir/restarts" - | cut -d' ' -f1 | comm -13 "$dir/baseline-restarts" - | sed 's/^/restarts /'
	idle_timers | comm -13 "$dir/baseline-timers" - | sed 's/^/idle /'
	say 'checked'
}

settle() {
	load "$1"
	over "$state" || systemctl is-active --quiet "sextant-$id" || launch
	say "settling"
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
	[ -r "$home" ] && for d in $(under_way); do say "busy $d"; done
	for t in prev run; do
		eval "f=\$$t/switch-inhibitors"
		[ -r "$f" ] && say "inhibitors $t $(tr -d '\n' <"$f")"
	done
	cmp -s "$prev/init-interface-version" "$run/init-interface-version" || say 'init 1'
	for k in "$prev/kernel" "$run/kernel"; do # a container has none
		[ -e "$k" ] && [ "$(target "$prev/kernel")" != "$(target "$run/kernel")" ] && say 'kernel 1' && break
	done
	for u in $ways; do
		[ -e "$prev/etc/systemd/system/$u" ] || [ -e "$run/etc/systemd/system/$u" ] || continue
		same "$u" || say "way $u"
	done
	for u in $pullers; do systemctl is-active --quiet "$u" 2>/dev/null && say "pull $u"; done
	say 'looked'
}

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

# what the tests source is not run
[ "${1:-}" = source ] && return 0
cmd=${1:-}
[ $# = 0 ] || shift
case $cmd in
look | stage | run | list | extend | check | settle) "$cmd" "$@" ;;
pause | resume) "$cmd"_pull ;;
confirm | cancel) reply "$cmd" "$@" ;;
*) die 2 "guard: no command $cmd" ;;
esac
