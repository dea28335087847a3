#!/bin/sh
# What the modules of a host declare, and how systemd stands to it, told in one go; $1
# is the mark, a random word that begins each section. The registry of services, the
# units of the system that runs and what wants them, what systemd has loaded, and what
# containers mount. As root where that is to be had: only for containers it is needed.
export LC_ALL=C TZ=UTC SYSTEMD_COLORS=0 SYSTEMD_PAGER='' SYSTEMD_URLIFY=0
exec 2>/dev/null
mark=$1
begin() { printf '\n%s %s\n' "$mark" "$1"; }
s=/run/current-system

# age is how many seconds ago the system that runs was switched to, by the host's clock.
begin toplevel
readlink -f $s
begin age
n=$(stat -c %Y $s) && echo $(($(date +%s) - n))
begin uptime
cut -d. -f1 /proc/uptime

r=/etc/services.json
if [ -e $r ] || [ -L $r ]; then
	if [ ! -f $r ]; then
		begin registry-unread
		echo 'it is no file, or leads nowhere'
	elif [ ! -r $r ]; then
		begin registry-unread
		echo 'it may not be read by this login'
	else
		begin registry
		timeout 3 head -c 262145 $r
	fi
fi

if [ ! -d /run/systemd/system ]; then
	begin no-systemd
	begin end
	exit
fi
# Names and where they lead; then those that are masked: NixOS has them lead to a path
# in its store that leads to /dev/null. One more than is taken in tells that it is cut.
units() {
	find "$1/" -maxdepth 1 -name '*.service' -printf '%f\t%l\n' | head -n 3001
	find -L "$1/" -maxdepth 1 -name '*.service' -type c -printf '%f\t/dev/null\n' | head -n 3001
}
d=$s/etc/systemd/system
if [ -d $d ]; then
	begin modules
	units $d
	wants=$(find $d/ -mindepth 2 -maxdepth 2 \( -path '*.wants/*.service' -o -path '*.requires/*.service' \) -printf '%P\n' | head -n 3001)
	begin wants
	printf '%s\n' "$wants"
fi
begin etc
units /etc/systemd/system
begin quadlets
for f in /etc/containers/systemd/*.container /run/containers/systemd/*.container /usr/share/containers/systemd/*.container; do
	[ -e "$f" ] && printf '%s\t%s\n' "$f" "$(readlink -f "$f")"
done | head -n 1001

# With a name that is none, such as a template's, systemctl stops there. Only what it
# ended well with is whole.
begin show
{
	printf '%s\n' "$wants" | sed 's|^.*/||'
	printf '%s\n' "$wants" | sed -n -e 's|\.wants/.*||p' -e 's|\.requires/.*||p'
} | sed -e '/^$/d' -e '/@\./d' | sort -u | xargs -d '\n' systemctl show --all --no-pager --timestamp=unix -p Id,Names,LoadState,ActiveState,SubState,Result,Type,RemainAfterExit,DynamicUser,Restart,FragmentPath,SourcePath,ExecMainStartTimestamp,TriggeredBy,ConditionResult,ConditionTimestamp,Job,StateDirectory -- '*.service' '*.timer' '*.socket' '*.path' && begin shown

# Name, and what it mounts from where. A container may go away meanwhile: those that
# are not told are not known.
for e in podman docker; do
	[ "$(id -u)" = 0 ] || break
	command -v $e >/dev/null || continue
	case $e in
	podman) [ -d /var/lib/containers/storage ] || continue ;; # else it would make one
	docker)
		[ -S /run/docker.sock ] || continue
		case $(readlink -f "$(command -v docker)") in *podman*) continue ;; esac
		;;
	esac
	begin "mounts $e"
	timeout 5 $e ps -aq | head -n 501 | timeout 8 xargs -r $e inspect --type container --format '{{.Name}}{{range .Mounts}}{{"\t"}}{{.Type}} {{.Source}}{{end}}'
	[ $? = 124 ] || begin "mounted $e"
done
begin end
