#!/bin/sh
# The guard: changes a NixOS host's system so that it ends in one of two states,
# the new one, running and the default after somebody reached it, or the one that
# ran before. It lives on the host for as long as a deploy does and needs nobody:
# whoever began it may be gone.
#
#   guard look TOPLEVEL             what speaks for and against activating it; reads only
#   guard stage ID NAME=VALUE...    begins a deploy; this text on the standard input. What a
#                                   restart of the host or a lost guard left is put right first
#   guard run ID                    the deploy itself, in a unit of its own
#   guard list [ID [OFFSET]]        what is and was under way, and ID's log from OFFSET on
#   guard confirm|cancel ID NONCE WHO
#   guard extend ID SECONDS         from now until it goes back by itself
#   guard check ID                  what is worse than before it began
#   guard pause                     what deploys to this host by itself stays stopped until
#   guard resume                    this, or a restart of the host
#
# The order is: activate ("test"), be reached anew and confirmed, and only then
# become the default (profile, "boot"). Undoing restores exactly the system and the
# profile link that were there before. POSIX sh, coreutils, diffutils, nix; flock
# where it is.
#
# On the host, for each deploy, in $home/ID (root's alone): "state" (STATE why),
# "journal" (epoch, uptime, state), "log", "prev", "prev-profile", "boot-id", what was
# before in "baseline-…", "ack" (what was answered, once), "deadline" (seconds of
# uptime: a clock that is set does not move it), "set" and "menu" (that the profile and
# the boot menu are touched), the request as it came, "result" (nothing is left to do).

# shellcheck source=nixops/host.sh
. "${0%/*}/host.sh"
# shellcheck source=nixops/contact.sh
. "${0%/*}/contact.sh"
# shellcheck source=nixops/tell.sh
. "${0%/*}/tell.sh"
umask 077

uptime() { IFS=' .' read -r up _ <"$root/proc/uptime"; }

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
# relink TARGET LINK: at once, where mv can do that
relink() { { ln -sfn "$1" "$2.new" && mv -fT "$2.new" "$2"; } 2>/dev/null || { rm -f "$2.new" && ln -sfn "$1" "$2"; }; }

# enter STATE WHY
enter() {
	state=$1 why=$2
	uptime
	say "$(date +%s) $up $1 $2" >>"$dir/journal" && sync "$dir/journal" 2>/dev/null
	put state "$1 $2"
	say "== $1 $2"
}

# finish STATE WHY: the last state
finish() {
	enter "$1" "$2"
	tidy
	exit 0
}

# tidy: what is left to do for a deploy that is over. "result" is written when it is done.
tidy() {
	rm -f "$dir/reserve"
	(unroot "$state")
	put result "$state $why"
}
# unroot STATE: gives to the garbage collector what deploys that are over kept from
# it. Where going back failed that is the system before, until another is confirmed.
unroot() {
	for r in "$gcroots"/*-new "$gcroots"/*-prev; do
		[ -h "$r" ] || continue
		d=${r##*/}
		if standing "$home/${d%-*}"; then
			over "$state" || continue
			case $state$r in ROLLBACK_FAILED*-prev) [ "$1" = CONFIRMED ] || continue ;; esac
		fi
		rm -f "$r"
	done
}

# load ID: the deploy as it lies there
load() {
	case $1 in '' | *[!A-Za-z0-9-]*) die 2 'no ID of a deploy' ;; esac
	id=$1 dir=$home/$1
	standing "$dir" || die 2 "no deploy $1 on this host"
	prev=$(get prev) link=$(get prev-profile) new=$(get new) run=$(get run) action=$(get action)
	number=$(get number) nonce=$(get nonce)
	: "${number:=0}" "${run:=$new}"
}

# --- activating

# stc TOPLEVEL ACTION LIMIT: what NixOS itself does, within its time. Its exit
# code is the toplevel's own: wrappers flatten it.
stc() {
	say "== $1/bin/switch-to-configuration $2"
	uptime
	put until $((up + $3 + 15))
	timeout -k 10 "$3" "$1/bin/switch-to-configuration" "$2" 9>&- &
	child=$!
	wait $child
	code=$?
	while [ $code -gt 128 ] && kill -0 "$child" 2>/dev/null; do # a signal to us, not its end
		wait $child
		code=$?
	done
	# what a killed one leaves running may hold NixOS' lock: nothing could go back then
	[ $code -lt 124 ] || kill -s KILL -- "-$child" 2>/dev/null
	say "== ended with $code"
	return $code
}

# orphan: what an earlier guard of this deploy was running when it died may go on to
# its end, for only then it is known where that is; but not beyond its time.
orphan() {
	until=$(get until || say 0)
	while
		left=$(switching)
		[ "$left" ]
	do
		uptime
		if [ "$up" -ge "$until" ]; then
			say "== ending what was left running: $left"
			for p in $left; do kill -s KILL -- "-$(group "$p")" "$p" 2>/dev/null; done
			until=$((up + 5)) # one that cannot be killed even so is not waited for
			tries=$((${tries:-0} + 1))
			[ $tries -lt 3 ] || return 0
		fi
		pause
	done
}
# switching: the processes of a switch-to-configuration that this deploy began
switching() {
	grep -lsF "SEXTANT_DEPLOY=$dir" /proc/[0-9]*/environ | while read -r p; do
		p=${p%/environ}
		grep -qs '[s]witch-to-configuration' "$p/cmdline" && say "${p#/proc/}"
	done
}
# group PID: its process group; "timeout" gives one to what it runs
group() {
	IFS= read -r stat 2>/dev/null <"/proc/$1/stat" || return 0
	# shellcheck disable=SC2086 # fields
	set -- ${stat##*) }
	say "$3"
}

# refusing OFFSET: whether what was activated says why it does nothing, and nothing of
# having done something. Where it says nothing, as on a full disk, nobody knows.
refusing() {
	words=$(tail -c +$(($1 + 1)) "$dir/log" 2>/dev/null | grep -v '^== ')
	[ "$words" ] && ! say "$words" | grep -qE '^(stopping|restarting|reloading|starting|activating|restarting systemd|updating)[ :]'
}

activate() {
	if [ -e "$dir/ack" ] && read -r word _ who <"$dir/ack" && [ "$word" = cancel ]; then
		finish CANCELLED "by $who, before anything was changed"
	fi
	[ "$action" = boot ] && commit
	enter ACTIVATING "$run"
	before=$(wc -c <"$dir/log" 2>/dev/null) || before=0
	stc "$run" test "$(get activation || say 900)"
	code=$?
	case $code in
	0 | 4) await $code ;;
	100) [ "$(target "$current")" = "$prev" ] && finish NEEDS_REBOOT 'the new system wants a new init: it can only be booted' ;;
	1 | 11) [ "$(target "$current")" = "$prev" ] && refusing "$before" && refuse $code ;;
	124 | 137) back ROLLED_BACK 'the activation did not end in its time' ;;
	esac
	back ROLLED_BACK "the activation ended with $code"
}
refuse() {
	[ "$1" != 11 ] || finish REFUSED "busy: another program switches this host: $(switcher)"
	finish REFUSED "switch-to-configuration ended with $1 and changed nothing"
}
# moved: whether somebody else has activated another system meanwhile
moved() {
	now=$(target "$current")
	[ "$now" != "$run" ] && [ "$now" != "$prev" ]
}
# mine: whether the profile is where we have set it
mine() {
	now=$(readlink "$profile")
	[ "$now" != "$link" ] && [ "$now" = "$(get set)" ] && [ "$(target "$profile")" = "$new" ]
}

await() {
	uptime
	deadline=$((up + $(get window || say 120)))
	put deadline $deadline
	put code "$1"
	restarts >"$dir/restarts"
	case $1 in 4) enter AWAITING 'it runs, with failed units' ;; *) enter AWAITING 'it runs' ;; esac
	while :; do
		answer
		more
		uptime
		[ "$up" -lt "$deadline" ] || shut 'nobody confirmed in time'
		[ -z "$asked" ] || shut 'its guard was told to stop'
		pause
	done
}

# more: time, where somebody asked for it. Only the guard moves its deadline: who
# asked sees by it that it was not too late.
more() {
	[ -e "$dir/extend" ] || return 0
	uptime
	deadline=$((up + $(get extend || say 0)))
	put deadline $deadline
	rm -f "$dir/extend"
}

# answer: obeys what was answered
answer() {
	[ -e "$dir/ack" ] || return 0
	word='' given='' who=''
	read -r word given who <"$dir/ack"
	case $word in
	confirm)
		[ "$given" = "$nonce" ] && commit "$who"
		say "== an answer with a wrong nonce, from $who"
		mv -f "$dir/ack" "$dir/ack-refused"
		;;
	cancel) back CANCELLED "by $who" ;;
	late) back ROLLED_BACK "$who" ;;
	esac
}

# shut WHY: from here on no answer counts. Whoever was first has it.
shut() {
	put .late "late - $1"
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
	[ "$(readlink "$profile")" = "$link" ] || [ "$(target "$profile")" = "$new" ] || finish CONFLICT "somebody else set the profile to $(readlink "$profile")"
	if [ "$action" != test ]; then
		set_profile || back ROLLED_BACK 'the profile could not be set'
		put menu 1
		stc "$new" boot "$(get commit || say 300)" || back ROLLED_BACK 'the boot loader could not be written'
	fi
	mkdir -p "$gcroots" && relink "$new" "$gcroots/last-confirmed"
	finish CONFIRMED "${1:+by $1}"
}

# set_profile: where it is to be is written down before. One that somebody else has set
# to the same system is left so: it is not ours to put back either.
set_profile() {
	now=$(readlink "$profile")
	if [ "$(target "$profile")" = "$new" ]; then
		if [ "$number" = 0 ] || [ "$now" = "system-$number-link" ] || [ "$now" != "$link" ]; then return 0; fi
	fi
	if [ "$number" != 0 ]; then
		put set "system-$number-link"
		nix_env --switch-generation "$number"
	else
		put set "$(next)"
		nix_env --set "$new"
		[ "$(target "$profile")" != "$new" ] || put set "$(readlink "$profile")"
	fi
	[ "$(target "$profile")" = "$new" ]
}
nix_env() { timeout -k 10 "$(get commit || say 300)" nix-env --profile "$profile" "$@" 9>&-; }
# next: the generation that "nix-env --set" makes: above the highest, or that itself
next() {
	high=0
	for l in "$profile"-*-link; do
		n=${l#"$profile-"} n=${n%-link}
		whole "$n" && [ "$n" -gt "$high" ] && high=$n
	done
	[ "$(target "$profile-$high-link")" = "$new" ] || high=$((high + 1))
	say "system-$high-link"
}

# --- going back

# back STATE WHY
back() {
	put final "$1 $2"
	enter ROLLING_BACK "$2"
	lost=''
	restore
	if moved; then finish CONFLICT "somebody else activated $(target "$current")"; fi
	[ "$action" != boot ] || landed "$1" "$2"
	for try in 1 2 3; do
		stc "$prev" test "$(get rollback || say 600)"
		code=$?
		case $code in 0 | 4)
			if [ "$(target "$current")" = "$prev" ]; then
				prove || last_step "it is not reached as before: $lost"
				landed "$1" "$2"
			fi
			;;
		esac
		mend
		[ "$try" = 3 ] || sleep "$((try * 5))" 9>&-
	done
	last_step "the system before ended with $code"
	finish ROLLBACK_FAILED "the system before ended with $code"
}

# last_step WHY: a restart of the host, where it is allowed
last_step() {
	[ "$(get reboot)" = 1 ] || return 0
	enter ROLLING_BACK "by a restart of the host: $1"
	systemctl reboot 9>&- && exit 0
}

landed() {
	if mine; then finish ROLLBACK_FAILED "$2, and the profile could not be put back"; fi
	[ -z "$unwritten" ] || finish ROLLBACK_FAILED "$2$unwritten"
	[ "$(readlink "$profile")" = "$link" ] || finish CONFLICT "$2; somebody else set the profile to $(readlink "$profile")"
	finish "$1" "$2$as_it_was${lost:+; not as before: $lost}"
}

# restore: the profile and the boot menu as they were, if it was us who moved them
restore() {
	unwritten='' as_it_was=''
	if mine; then
		n=${link#system-} n=${n%-link}
		if ! whole "$n" || ! nix_env --switch-generation "$n"; then relink "$link" "$profile"; fi
	fi
	[ "$(get menu)" ] && [ "$(readlink "$profile")" = "$link" ] || return 0
	stc "$(target "$profile")" boot "$(get commit || say 300)" && return 0
	as_before || unwritten=', and its boot menu could not be written'
}
# menu: what a start of the host goes by: the menu, and the kernels that lie beside it
menu() {
	for b in "$root/boot" "$root/boot/efi" "$root/efi"; do
		sha256sum "$b"/loader/loader.conf "$b"/loader/entries/*.conf "$b"/grub/grub.cfg "$b"/extlinux/extlinux.conf 2>/dev/null | sed 's/^/menu /'
		stat -c 'kernel %s %n' "$b"/EFI/nixos/* "$b"/EFI/Linux/* "$b"/kernels/* "$b"/nixos/* 2>/dev/null
	done | sort
}
# as_before: whether that can be read, and the host starts by itself as it did: nothing
# differs but kernels that were added, and entries that are not the default
as_before() {
	grep -qs '^menu ' "$dir/baseline-menu" || return 1
	now=$(menu)
	differs=$(missing "$dir/baseline-menu" "$now" && say "$now" | beyond "$dir/baseline-menu" | grep '^menu ')
	if [ -z "$differs" ]; then
		as_it_was='; the boot menu is as it was, it could not be written again'
		return
	fi
	default=$(by_itself)
	if [ -z "$default" ] || [ "$(say "$differs" | needed)" ]; then return 1; fi
	as_it_was='; the boot menu starts what it did, but could not be written again: other entries are not as before'
}
# needed: those lines of what differs by which the host starts when nobody chooses
needed() {
	while IFS= read -r line; do
		case $line in
		'menu '*/loader/entries/*.conf | 'kernel '*) say "$default" | grep -xF "${line##* }" ;;
		*) say "$line" ;;
		esac
	done
}
# by_itself: the entry of systemd-boot that is started where nobody chooses, and its
# files. Nothing, where that is not certain: another boot loader is there, or two of
# it, or the firmware's variables say something else.
by_itself() {
	guid=4a67b082-0a4c-41cf-b6c7-440b29bb8c4f menus=0
	for b in "$root/sys/firmware/efi/efivars/LoaderEntryDefault-$guid" "$root/sys/firmware/efi/efivars/LoaderEntryOneShot-$guid"; do
		[ ! -e "$b" ] || return
	done
	for b in "$root/boot" "$root/boot/efi" "$root/efi"; do
		if [ -e "$b/grub/grub.cfg" ] || [ -e "$b/extlinux/extlinux.conf" ]; then return; fi
		[ ! -e "$b/loader/loader.conf" ] || menus=$((menus + 1))
	done
	[ "$menus" = 1 ] || return
	for b in "$root/boot" "$root/boot/efi" "$root/efi"; do
		d=$(sed -n 's/^default[[:space:]]*//p' "$b/loader/loader.conf" 2>/dev/null)
		if [ -z "$d" ] || [ ! -f "$b/loader/entries/$d" ]; then continue; fi
		say "$b/loader/entries/$d"
		while read -r word file more; do
			case $word in linux | initrd | devicetree | efi | uki) say "$b$file" ;; devicetree-overlay) for f in $file $more; do say "$b$f"; done ;; esac
		done <"$b/loader/entries/$d"
	done
}

# --- picking up

# resume: after this guard's death in the same boot
resume() {
	orphan
	case $state in
	STAGED) activate ;;
	COMMITTING) commit "$(get by)" ;;
	AWAITING)
		answer
		back ROLLED_BACK 'its guard died'
		;;
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
		stc "$new" boot "$(get commit || say 300)" || unwritten='; its boot menu could not be written once more'
		finish CONFIRMED "finished after the host was restarted${unwritten:-}"
	fi
	if [ "$now" = "$prev" ] || [ "$now" = "$(target "$(dirname "$profile")/$link")" ]; then
		restore
		lost=''
		landed ROLLED_BACK 'the host was restarted'
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
	take 60 "deploy $1" || exit 1
	load "$1"
	if over "$state"; then # it died at its very end
		tidy
		exit 0
	fi
	put pid $$
	if stale "$id"; then rebooted; fi
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
	case $1 in '' | *[!A-Za-z0-9-]*) die 2 'no ID of a deploy' ;; esac
	[ "$(id -u)" = 0 ] || die 10 'not root'
	[ -d "$root/run/systemd/system" ] || die 10 'systemd does not run here'
	this=$1
	shift
	new=$(value new "$@") run=$(value run "$@")
	for t in "$new" "${run:-$new}"; do
		[ -x "$t/bin/switch-to-configuration" ] || die 10 "not there, or no NixOS system: $t"
	done
	mkdir -p "$home" "$gcroots" || die 10 "cannot write below $home"
	settle "$(value who "$@")"
	take 2 "deploy $this begins" || die 11 "busy: $(busy)"
	for other in $(under_way); do die 11 "busy: $(about "$other")"; done
	sweep
	id=$this dir=$home/$this
	: "${run:=$new}"
	mkdir "$dir" || die 10 "cannot write $dir"
	{ cat >"$dir/guard" && [ -s "$dir/guard" ] && dd if=/dev/zero of="$dir/reserve" bs=4096 count=16 2>/dev/null &&
		{ sync "$dir/guard" 2>/dev/null || sync; } && : >"$dir/log" && write "$@"; } || {
		rm -rf "$dir"
		die 10 "cannot write $dir: is the disk full?"
	}
	if ! { ln -sfn "$new" "$gcroots/$id-new" && ln -sfn "$prev" "$gcroots/$id-prev"; }; then
		rm -rf "$dir" "$gcroots/$id-new"
		die 10 "cannot protect the systems from the garbage collector below $gcroots"
	fi
	enter STAGED '' >/dev/null
	release
	launch || {
		enter REFUSED 'systemd did not start the guard' >/dev/null
		rm -f "$gcroots/$id-new" "$gcroots/$id-prev"
		put result "$state $why"
		die 10 "$why"
	}
	say "staged $id"
}

# write NAME=VALUE...: the request, and what is now, which is what is restored
write() {
	for name in kind action new number nonce window activation commit rollback reboot who client revision request; do
		v=$(value $name "$@")
		[ -z "$v" ] || put $name "$v" || return 1
	done
	put run "$run" && prev=$(target "$current") && put prev "$prev" && put prev-profile "$(readlink "$profile")" && put boot-id "$(boot)" &&
		put started "$(date +%s)" && { [ -z "${SSH_CONNECTION:-}" ] || put port "${SSH_CONNECTION##* }"; } &&
		{ failed_units >"$dir/baseline-failed"; } && { restarts | cut -d' ' -f1 >"$dir/baseline-restarts"; } && { idle_timers >"$dir/baseline-timers"; } &&
		{ contact >"$dir/baseline-contact"; } && { menu >"$dir/baseline-menu"; }
}

# settle WHO: deploys that are not over and have no guard any more are brought to their
# end by a new one: in the same boot as cancelled, which finishes a commit all the same.
settle() {
	tries=100 # clients wait for no longer than half a minute
	for other in $(under_way); do
		alive "$other" && die 11 "busy: $(about "$other")"
		(
			load "$other"
			stale "$id" || answered cancel "$1, who found it without its guard"
			[ $? != 2 ] && launch
		) || alive "$other" || die 10 "deploy $other has lost its guard, and a new one could not be started"
	done
	while [ "$(under_way)" ]; do
		[ $((tries -= 1)) -ge 0 ] || die 11 "busy: $(for other in $(under_way); do about "$other"; done)"
		pause
	done
}

# sweep: what is left of deploys that broke off as they began, or whose guard died at
# its very end, and of all but the newest 50
sweep() {
	n=-49
	for d in "$home"/*/; do
		if standing "${d%/}"; then n=$((n + 1)); else rm -rf "$d"; fi
	done
	for d in "$home"/*/; do
		dir=${d%/} id=${dir##*/}
		if standing "$dir" && over "$state"; then
			[ -e "$dir/result" ] || tidy
			[ $n -le 0 ] || { rm -rf "$dir" && n=$((n - 1)); }
		fi
	done
	(unroot '')
}

launch() {
	systemd-run --no-block --collect --quiet --no-ask-password --unit="sextant-$id" --service-type=exec \
		-p KillMode=process -p Restart=on-failure -p RestartForceExitStatus=SIGTERM -p RestartSec=1 -p StartLimitIntervalSec=0 \
		-p TimeoutStopSec=20min -p OOMScoreAdjust=-900 \
		-p "StandardOutput=append:$dir/log" -p "StandardError=append:$dir/log" \
		-E "PATH=$prev/sw/bin:$PATH" -E "LOCALE_ARCHIVE=${LOCALE_ARCHIVE:-}" -E "SEXTANT_DEPLOY=$dir" \
		sh "$dir/guard" run "$id"
}

# answered WORD WHO: the answer is there, whole; 1: there was one already; 2: it cannot
# be written
answered() {
	put ".ack.$$" "$1 $nonce $2" || return 2
	ln "$dir/.ack.$$" "$dir/ack" 2>/dev/null
	taken=$?
	rm -f "$dir/.ack.$$"
	[ $taken = 0 ] && return 0
	[ ! -s "$dir/ack" ] && return 2
	return 1
}

# reply WORD ID NONCE WHO: the first answer counts
reply() {
	load "$2"
	if over "$state"; then
		say "over $state $why"
		return
	fi
	if stale "$id"; then
		alive "$id" || launch || alive "$id" || die 10 'its guard could not be started'
		say 'settling'
		return
	fi
	case $state in
	AWAITING) ;;
	STAGED | ACTIVATING) [ "$1" = cancel ] || die 10 "not running yet: $state" ;;
	*)
		alive "$id" || launch
		die 10 "too late: $state"
		;;
	esac
	[ "$3" = "$nonce" ] || die 10 'the nonce is that of another deploy'
	answered "$1" "$4"
	case $? in
	0) said=taken ;;
	1) said=$(earlier) ;;
	*) die 10 'the answer cannot be written: is the disk full?' ;;
	esac
	alive "$id" || launch || alive "$id" || die 10 'its guard is gone, and a new one could not be started'
	say "$said"
}
# earlier: what was answered before, or that it was too late
earlier() {
	word='' who=''
	read -r word _ who <"$dir/ack"
	case $word in late) say "late $who" ;; *) say "before $word $who" ;; esac
}

extend() {
	load "$1"
	if ! whole "$2" || [ ${#2} -gt 6 ]; then die 2 'no number of seconds'; fi
	if [ "$state" != AWAITING ] || [ -e "$dir/ack" ]; then die 10 "not waiting: $state"; fi
	put extend "$2" || die 10 'it cannot be written: is the disk full?'
	tries=25
	while [ -e "$dir/extend" ]; do
		[ $((tries -= 1)) -ge 0 ] || { rm -f "$dir/extend" && die 10 'too late, or its guard does not answer'; }
		pause
	done
	say 'extended'
}

cmd=${1:-}
[ $# = 0 ] || shift
case $cmd in
look | stage | run | list | extend | check) "$cmd" "$@" ;;
pause | resume) "$cmd"_pull ;;
confirm | cancel) reply "$cmd" "$@" ;;
*) die 2 "guard: no command $cmd" ;;
esac
