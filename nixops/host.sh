# shellcheck shell=sh disable=SC2034 # most of it is for those who read this in
# What the programs on a host share: where things are, the deploys that lie there,
# the lock. guard.sh and garbage.sh read it in; to a host goes one text of both.

root='' # tests put another in front of every path
home=$root/var/lib/sextant/deploys
lock=$root/run/sextant.lock
profile=$root/nix/var/nix/profiles/system
current=$root/run/current-system
gcroots=$root/nix/var/nix/gcroots/sextant
export LC_ALL=C NIXOS_INSTALL_BOOTLOADER=0 SYSTEMD_COLORS=0 SYSTEMD_PAGER='' NO_COLOR=1

say() { printf '%s\n' "$*"; }
die() { # CODE WORDS: nothing was changed
	code=$1
	shift
	say "refused $*"
	exit "$code"
}
target() { readlink -f -- "$1" 2>/dev/null; }
boot() { cat "$root/proc/sys/kernel/random/boot_id"; }
pause() { sleep 0.2 9>&- 2>/dev/null || sleep 1 9>&-; }
whole() { case $1 in '' | *[!0-9]*) return 1 ;; esac }

# --- the deploys that lie here

# standing FOLDER: sets $state and $why of a deploy, as they were written last; where
# the file is torn the journal has them. False: it is none, or never began. No
# program is started: there may be fifty of them.
standing() {
	[ -e "$1/state" ] || [ -e "$1/journal" ] || return 1
	why=''
	IFS= read -r why 2>/dev/null <"$1/state"
	if [ -z "$why" ]; then
		while IFS= read -r line; do why=$line; done 2>/dev/null <"$1/journal"
		why=${why#* } why=${why#* }
	fi
	state=${why%% *} why=${why#"${why%% *}"} why=${why# }
	: "${state:=TORN}"
}
# over STATE: whether nothing more will happen. There is no other sign of it.
over() {
	case $1 in CONFIRMED | REFUSED | NEEDS_REBOOT | ROLLED_BACK | ROLLBACK_FAILED | CANCELLED | CONFLICT) return 0 ;; esac
	return 1
}
# under_way: the deploys that are not over
under_way() {
	for d in "$home"/*/; do
		d=${d%/}
		if standing "$d" && ! over "$state"; then say "${d##*/}"; fi
	done
}
# stale ID: whether the host was restarted since: what is left waits to be put right
stale() { [ "$(boot)" != "$(cat "$home/$1/boot-id" 2>/dev/null)" ]; }
# alive ID: whether its guard runs, or is about to be started again
alive() {
	case $(systemctl is-active "sextant-$1" 2>/dev/null 9>&-) in active | activating | deactivating | reloading) return 0 ;; esac
	return 1
}
# about ID: a deploy for those whom it is in the way of
about() {
	standing "$home/$1"
	say "deploy $1 of $(cat "$home/$1/who" 2>/dev/null), from $(cat "$home/$1/client" 2>/dev/null), is under way ($state)"
}

# --- the lock

# take SECONDS WHAT: the lock. This shell alone holds it: what an activation leaves
# behind would keep what it inherits for ever. What is under way keeps others from
# beginning also where its guard has died.
take() {
	tries=$(($1 * 5))
	until grab; do
		[ $((tries -= 1)) -ge 0 ] || return 1
		pause
	done
	say "$$ $2" 2>/dev/null >"$lock" # for who finds it held
	return 0
}
grab() {
	if command -v flock >/dev/null; then
		# where that cannot be written, the shell itself would end at "exec"
		(: >>"$lock") 2>/dev/null || return 1
		exec 9>>"$lock"
		flock -n 9 # busybox knows no -w
		return
	fi
	claim
}
# claim: the lock where there is no flock. The newest of numbered files names who
# holds it. When that one has died the next number is linked, whole or not at all;
# nobody takes away any but its own. So there are never two who hold it.
claim() {
	mkdir -p "$lock.d" || return 1
	n=0
	while [ -e "$lock.d/$((n + 1))" ]; do n=$((n + 1)); done
	if [ $n -gt 0 ]; then
		read -r pid since 2>/dev/null <"$lock.d/$n" || return 1 # let go just now
		[ "$(born "$pid")" != "$since" ] || return 1
	fi
	claimed=$lock.d/$((n + 1))
	say "$$ $(born $$)" >"$lock.d/.$$" && ln "$lock.d/.$$" "$claimed" 2>/dev/null
	n=$?
	rm -f "$lock.d/.$$"
	[ $n != 0 ] || trap 'rm -f "$claimed"' EXIT
	return $n
}
# born PID: when a process was started. Its number alone may be another's by now.
born() {
	IFS= read -r stat 2>/dev/null <"/proc/$1/stat" || return 0
	# shellcheck disable=SC2086 # fields
	set -- ${stat##*) }
	shift 19
	say "$1"
}
release() {
	exec 9>&-
	[ -z "${claimed:-}" ] || rm -f "$claimed"
	trap - EXIT
}
# busy: who is at work on this host, where the lock could not be had
busy() {
	for d in $(under_way); do about "$d"; done
	# who had it last is written there
	if read -r pid what 2>/dev/null <"$lock" && [ -e "/proc/$pid" ]; then say "the lock is held by: $what (process $pid)"; else say 'somebody holds the lock'; fi
}
