#!/bin/sh
# One unit: what systemd tells of it, its file, and what it needs, five steps far.
# $1 is the mark, a random word that begins each section, $2 the unit, $3 "user"
# where it is one of the user's who runs this.
export LC_ALL=C TZ=UTC SYSTEMD_COLORS=0 SYSTEMD_PAGER='' SYSTEMD_URLIFY=0
exec 2>/dev/null
mark=$1 unit=$2 whose=--system
begin() { printf '\n%s %s\n' "$mark" "$1"; }
if [ "$3" = user ]; then
	XDG_RUNTIME_DIR=/run/user/$(id -u)
	export XDG_RUNTIME_DIR
	whose=--user
fi
# never Environment: it holds secrets
begin show
systemctl $whose show --no-pager --timestamp=unix -p Id,Names,Description,LoadState,LoadError,ActiveState,SubState,UnitFileState,FragmentPath,DropInPaths,SourcePath,NeedDaemonReload,StateChangeTimestamp,Type,Restart,Result,NRestarts,MainPID,ExecMainCode,ExecMainStatus,ExecMainStartTimestamp,ExecMainExitTimestamp,MemoryCurrent,MemoryPeak,MemoryMax,TasksCurrent,CPUUsageNSec,User,Group,ControlGroup,Triggers,TriggeredBy,ConditionResult,ConditionTimestamp,AssertResult,InvocationID,Unit,LastTriggerUSec -- "$unit"
begin who
id -un
begin file
systemctl $whose cat --no-pager -- "$unit"
next=$unit seen="
$unit
"
for step in 1 2 3 4 5 6; do
	set -f
	# shellcheck disable=SC2086 # names of units hold no blank
	set -- $next
	[ $# != 0 ] || break
	begin "needs $step"
	out=$(systemctl $whose show --no-pager -p Id,LoadState,ActiveState,SubState,Result,Requires,BindsTo,Requisite,Wants -- "$@")
	printf '%s\n' "$out"
	next='' n=0
	for u in $(printf '%s\n' "$out" | sed -n 's/^\(Requires\|BindsTo\|Requisite\|Wants\)=//p'); do
		case $seen in *"
$u
"*) continue ;; esac
		seen="$seen$u
" next="$next $u" n=$((n + 1))
		if [ $n = 400 ]; then
			begin many
			break
		fi
	done
done
begin end
