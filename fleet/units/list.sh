#!/bin/sh
# All units and timers of a host's systemds, told in one go: $1 is the mark, a
# random word that begins each section. Of users, root tells of everybody who has
# a systemd running, another login of its own.
export LC_ALL=C TZ=UTC SYSTEMD_COLORS=0 SYSTEMD_PAGER='' SYSTEMD_URLIFY=0
exec 2>/dev/null
mark=$1 uid=$(id -u)
begin() { printf '\n%s %s\n' "$mark" "$1"; }

# tell WHOSE COMMAND...: what one systemd tells, by the command that asks it.
tell() {
	w=$1
	shift
	begin "units $w"
	"$@" list-units --all --plain --no-legend --full --no-pager && begin "told $w"
	begin "show $w"
	"$@" show --all --no-pager --timestamp=unix -p Id,LoadState,StateChangeTimestamp,MemoryCurrent,Result,ExecMainStatus,ExecMainStartTimestamp,ExecMainExitTimestamp,NRestarts,Type,TriggeredBy,SourcePath,UnitFileState,ConditionResult,ConditionTimestamp,Unit,LastTriggerUSec -- '*'
	begin "timers $w"
	"$@" list-timers --all --output=json --no-pager
	begin "files $w"
	"$@" list-unit-files --type=timer --plain --no-legend --no-pager
}

# own UID ARGS...: asked as the user, which needs no session; not for long and not
# without end, because who answers is the user's own.
own() {
	n=$1
	shift
	set -- systemctl --user "$@"
	[ "$n" = "$uid" ] || set -- chroot --userspec="$n" / "$@"
	XDG_RUNTIME_DIR=/run/user/$n timeout 3 "$@" | head -c 1000000
}

if [ ! -d /run/systemd/system ]; then
	begin none
	exit
fi
tell system systemctl
for d in /run/user/[0-9]*; do
	[ -d "$d" ] || continue
	if [ "$uid" != 0 ] && [ "$d" != "/run/user/$uid" ]; then # nobody else may look into it
		begin "closed ${d##*/}"
		stat -c %U "$d"
	elif [ -S "$d/systemd/private" ]; then
		begin "user ${d##*/}"
		stat -c %U "$d"
		tell "${d##*/}" own "${d##*/}"
	fi
done
begin end
