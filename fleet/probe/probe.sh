#!/bin/sh
# What a host is and has, told in one go, and again whenever it is asked. POSIX
# sh and coreutils; what else is there is used, what is missing is said in the
# section "unseen".
#
# A question is a line "MARK all" or "MARK moved" on the standard input, MARK a
# random word: each section of the answer begins with a line "MARK NAME", so
# that no text of the host can be taken for one. The last section is "end".
# Asked for what has moved, it says "same" in place of all that stands where
# nothing of that can have changed since it was last told.
export LC_ALL=C TZ=UTC SYSTEMD_COLORS=0 SYSTEMD_PAGER='' SYSTEMD_URLIFY=0 NO_COLOR=1
exec 2>/dev/null
begin() { printf '\n%s %s\n' "$mark" "$1"; }
cannot() { unseen="$unseen$1
"; }
# lines FILE...: their content, each on lines of its own, without starting a program
lines() {
	for f; do
		[ -r "$f" ] && while IFS= read -r l || [ "$l" ]; do printf '%s\n' "$l"; done <"$f"
	done
}
counters() {
	begin "$1"
	lines /proc/uptime
	read -r l </proc/stat && printf '%s\n' "$l"
	lines /proc/net/dev
	lines /proc/diskstats
}

p=/nix/var/nix/profiles
while read -r k l _; do [ "$k" = Uid: ] && uid=$l && break; done </proc/self/status
: "${uid:=$(id -u)}"

# signs puts into $sign what is another as soon as anything that stands is: the
# systems, the boot menu, the sockets, the folders of the deploys (each state is
# renamed into its own), and the links by which systemd (235) exports each run of
# a unit.
#
# Not all is in them: a unit may fail without having run, and a service begins to
# listen when it likes. But starting systemctl costs more than all the rest, so
# that is asked every $patience seconds only; $asked is when, in seconds since
# the boot, $clock what time it was.
patience=10 asked=0
signs() {
	IFS=. read -r now _ </proc/uptime
	links=$(stat -c '%N %y' /run/systemd/units /run/current-system /run/booted-system $p $p/system /boot/loader/entries /boot/EFI/nixos /boot/grub/grub.cfg \
		/boot/extlinux/extlinux.conf /etc/containers/systemd /run/containers/systemd /run/podman/podman.sock /run/docker.sock /run/caddy/admin.sock \
		/run/user/*/podman/podman.sock /var/lib/comin/store.json /var/lib/sextant/deploys /var/lib/sextant/deploys/*)
	# to cut a long text in two costs the shell more than another program
	theirs=$(stat -c '%N %y' /run/user /run/user/*/systemd/private /run/user/*/systemd/units /run/user/*/systemd/generator /run/user/*/libpod)
	if [ "$which" = all ] || [ "$links" != "$before" ] || [ $((now - asked)) -ge $patience ]; then
		before=$links asked=$now clock=$(date +%s) manager=
		if [ -d /run/systemd/system ]; then
			manager=$(systemctl show --no-pager -p SystemState,NFailedUnits,NNames,NJobs,NInstalledJobs,NFailedJobs)
			begin manager
			printf '%s\n' "$manager"
		fi
		begin ports
		grep -h ' 0A ' /proc/net/tcp /proc/net/tcp6
	fi
	begin clock
	printf '%s\n' "$clock" $((now - asked))
	sign="$links $manager"
}

# as UID PROGRAM...: what a user's systemd tells is asked as that user, which
# needs no PAM session and leaves no line in a log; not for long and not without
# end, because who answers is the user's own.
as() {
	n=$1
	shift
	[ "$n" = "$uid" ] || set -- chroot --userspec="$n" / "$@"
	XDG_RUNTIME_DIR=/run/user/$n timeout 3 "$@" | head -c $most
}
most=500000

# users tells of the users' own systemds what signs and standing tell of the
# system's. They are asked when something of theirs has moved, and every
# $patience seconds. One that has not answered is not asked again before
# everything is.
users() {
	if [ "$which" != all ] && [ "$theirs" = "$since" ] && [ $((now - heard)) -lt $patience ]; then
		begin same-users
		echo $((now - heard))
		return
	fi
	[ "$which" = all ] && mute=' '
	since=$theirs heard=$now lacking=
	begin users
	set --
	for d in /run/user/[0-9]*; do
		[ -S "$d/systemd/private" ] && { [ "$uid" = 0 ] || [ "$d" = "/run/user/$uid" ]; } && set -- "$@" "$d"
	done
	[ $# = 0 ] || stat -c '%u	%U' "$@"
	for d; do user "${d##*/}"; done
	begin rootless
	rootless
}
lacks() { lacking="$lacking$1
"; }

# user UID: the units of one, in detail those that failed or may own a container.
user() {
	u=
	case $mute in *" $1 "*) ;; *) u=$(as "$1" systemctl --user list-units --all --plain --no-legend --full --no-pager) ;; esac
	if [ -z "$u" ]; then
		mute="$mute$1 "
		lacks "units of user $1: the user's systemd does not answer"
		return
	fi
	[ ${#u} -lt $most ] || lacks "units of user $1: there are too many"
	begin "units:$1"
	printf '%s\n' "$u"
	begin "details:$1"
	printf '%s\n' "$u" | {
		k=$1
		set --
		for l in "/run/user/$k/systemd/generator"/*.service; do [ -e "$l" ] && set -- "$@" "${l##*/}"; done
		while read -r name _ active _; do
			case $active/$name in failed/* | */podman-*.service | */container-*.service) set -- "$@" "$name" ;; esac
		done
		[ $# = 0 ] || as "$k" systemctl --user show --no-pager --timestamp=unix -p $properties -- "$@"
	}
}

# rootless tells which users have containers of their own, whether Podman listens
# for them or not: name, home, and the folder of the session where there is one.
# Who may have some has subordinate IDs. A home may lie on a server that is gone.
rootless() {
	may=' ' homes='' n=
	while IFS=: read -r name _; do may="$may$name "; done </etc/subuid
	set --
	while IFS=: read -r name _ k _ _ home _; do
		case $may in *" $name "* | *" $k "*) [ "$uid" = 0 ] || [ "$k" = "$uid" ] && set -- "$@" "$home/.local/share/containers/storage" ;; esac
	done </etc/passwd
	[ $# = 0 ] && return
	homes=$(timeout 2 find "$@" -maxdepth 2 -type d ! -name storage ! -name '*-containers' -prune -o -name '*containers.json' -size +2c -print)
	[ $? = 124 ] && lacks 'containers of users: a home does not answer'
	[ "$homes" ] || return
	homes="
$homes"
	while IFS=: read -r name _ k _ _ home _; do
		case $homes in *"
$home/.local/share/containers/storage/"*) ;; *) continue ;; esac
		d=/run/user/$k
		[ -d "$d" ] || d=
		printf '%s\t%s\t%s\n' "$name" "$home" "$d"
	done </etc/passwd
}
properties=Id,Description,LoadState,ActiveState,SubState,Result,ExecMainCode,ExecMainStatus,ExecMainStartTimestamp,ExecMainExitTimestamp,NRestarts,Type,TriggeredBy,InvocationID,SourcePath,UnitFileState,SuccessExitStatus

# standing tells what changes only when somebody does something.
standing() {
	begin who
	printf '%s\n' "$uid"
	if read -r n </proc/sys/kernel/hostname && read -r r </proc/sys/kernel/osrelease && read -r m </proc/sys/kernel/arch; then
		printf '%s %s %s\n' "$n" "$r" "$m"
	else
		uname -nrm # a kernel before 6.1
	fi
	lines /etc/machine-id /proc/sys/kernel/random/boot_id
	begin os
	lines /etc/os-release

	begin system
	set --
	for l in /run/current-system $p/system /run/booted-system; do [ -e "$l" ] && set -- "$@" "$l"; done
	for k in kernel initrd kernel-modules systemd; do
		[ -e "/run/booted-system/$k" ] && [ -e "/run/current-system/$k" ] && set -- "$@" "/run/booted-system/$k" "/run/current-system/$k"
	done
	# one program for all links: starting one costs more than what it does
	if [ $# != 0 ]; then
		printf '%s\n' "$@"
		begin targets
		readlink -f "$@"
		begin link
		readlink "$p/system"
	fi
	if [ -d $p ]; then
		begin links
		find $p -maxdepth 1 -name 'system-*-link' -printf '%f\t%T@\t%l\n' || cannot 'generation dates: no GNU find'
		begin versions
		for l in "$p"/system-*-link/nixos-version /run/current-system/nixos-version; do
			[ -r "$l" ] && read -r v <"$l" || [ "$v" ] && printf '%s:%s\n' "$l" "$v"
			v=
		done
		begin revisions
		grep -Ho '"configurationRevision":"[^"]*"' "$p"/system-*-link/sw/bin/nixos-version /run/current-system/sw/bin/nixos-version /dev/null
		begin kernels
		for l in "$p"/system-*-link/kernel-modules/lib/modules/*; do [ -e "$l" ] && printf '%s\n' "$l"; done
		begin specialisations
		set --
		for l in "$p"/system-*-link/specialisation/*; do [ -e "$l" ] && set -- "$@" "$l"; done
		if [ $# != 0 ]; then
			printf '%s\n' "$@"
			begin specialised
			readlink -f "$@"
		fi
	fi
	begin boot
	if [ -r /boot/loader/entries ]; then
		echo readable
		for l in /boot/loader/entries/*; do printf '%s\n' "${l##*/}"; done
		# since NixOS 26.05 a hash is the name of an entry, and what is in it tells of which generation it is
		begin entries
		grep -Eho '^(title|linux|initrd|devicetree)[[:space:]].*|^version[[:space:]]+Generation [0-9]+' /boot/loader/entries/nixos-*.conf
		if [ -r /boot/EFI/nixos ] && [ -x /boot/EFI/nixos ] || [ "$uid" = 0 ]; then
			begin bootfiles
			echo /boot/EFI/nixos/ # it may be empty, or gone
			for l in /boot/EFI/nixos/*; do [ -s "$l" ] && printf '%s\n' "$l"; done
		fi
	elif [ -r /boot/grub/grub.cfg ]; then
		echo readable
		grep -o 'NixOS - Configuration [0-9]*' /boot/grub/grub.cfg
	elif [ -r /boot/extlinux/extlinux.conf ]; then
		echo readable
		grep -o 'LABEL nixos-[0-9]*' /boot/extlinux/extlinux.conf
	fi

	if [ -d /run/systemd/system ]; then
		begin quadlets
		for l in /etc/containers/systemd/*.container /run/containers/systemd/*.container; do [ -e "$l" ] && printf '%s\n' "$l"; done
		begin units
		u=$(systemctl list-units --all --plain --no-legend --full --no-pager) || cannot 'units: systemctl list-units failed'
		printf '%s\n' "$u"
		# systemd takes some milliseconds to tell all of one unit: only of those where it matters
		begin details
		printf '%s\n' "$u" | {
			set -- 'restic-*' 'rustic-*' 'borgbackup-*' 'btrbk*' 'syncoid*' 'sanoid*' 'zrepl*' 'backrest*' 'podman-*.service' 'container-*.service' 'docker-*.service' comin.service 'nixos-upgrade.*'
			for l in /etc/containers/systemd/*.container /run/containers/systemd/*.container; do
				l=${l##*/}
				[ "$l" = '*.container' ] || set -- "$@" "${l%.container}.service"
			done
			while read -r name _ active _; do
				[ "$active" = failed ] && set -- "$@" "$name"
			done
			# --all: a pattern leaves out what is inactive, which is how a job stands between its runs
			systemctl show --all --no-pager --timestamp=unix -p $properties,Unit,TimersCalendar,TimersMonotonic,NextElapseUSecRealtime,LastTriggerUSec -- "$@"
		} || cannot 'units: systemctl show failed'
	else
		cannot 'units: systemd does not run here'
	fi
	begin programs
	for c in podman docker netdata caddy restic rustic borg backrest backup-status nix nixos-rebuild flock systemd-run tailscale wg nft sudo doas run0 journalctl comin; do
		printf '%s\t' $c # its answer put into a variable would be a process each
		command -v $c || echo
	done
	for d in /run/current-system/sw/bin /usr/local/bin; do
		for l in "$d"/restic-* "$d"/rustic-*; do [ -x "$l" ] && printf '%s\t%s\n' "${l##*/}" "$l"; done
	done
	begin sockets
	for s in /run/podman/podman.sock /run/docker.sock /run/user/*/podman/podman.sock /run/caddy/admin.sock; do
		[ -S "$s" ] || continue
		o=closed
		[ -r "$s" ] && [ -w "$s" ] && o=open
		printf '%s\t%s\t%s\t%s\n' "$s" "$o" "$(stat -c %U "$s")" "$(readlink -f "$s")"
	done
	[ "$uid" = 0 ] || cannot 'rootless sockets, units and files of other users: not root'
	journal= # its folder is everyone's to read, its files are not
	for f in /var/log/journal/*/system.journal /run/log/journal/*/system.journal; do [ ! -r "$f" ] || journal=1; done
	[ "$journal" ] || [ "$uid" = 0 ] || cannot 'journal of other users: not root'
	begin files
	for f in /etc/NIXOS /etc/services.json /etc/rustic /run/agenix /run/secrets /var/lib/backrest/config.json /var/lib/sextant/deploys /run/sextant/paused; do
		[ -e "$f" ] && printf '%s\n' "$f"
	done
	if [ -r /var/lib/comin/store.json ]; then # of all that it keeps, what tells of its deployments
		begin comin
		grep -Eo '"(selected_commit_id|started_at|ended_at|error_msg|status|operation)" *: *("([^"\\]|\\.)*"|null)' /var/lib/comin/store.json | head -c 60000
	elif [ -d /var/lib/comin ] && [ ! -x /var/lib/comin ]; then
		cannot 'what comin deployed last: not root'
	fi
	begin deploys
	l=
	for d in /var/lib/sextant/deploys/*/; do
		[ -s "$d/new" ] || continue
		[ -s "$d/result" ] && read -r l <"$d/result" || l='? not over'
		case $l in '?'*) break ;; esac
	done
	printf '%s\n' "$l"
	case $links in */var/lib/sextant/deploys*) printf '%s\n' "${links#*/var/lib/sextant/deploys}" ;; esac
}

# moving tells what is another at every moment.
moving() {
	begin load
	lines /proc/loadavg
	n=0
	while read -r k _; do case $k in cpu[0-9]*) n=$((n + 1)) ;; intr) break ;; esac; done </proc/stat
	echo $n
	begin memory
	lines /proc/meminfo
	begin pressure
	for k in cpu memory io; do
		[ -r /proc/pressure/$k ] && read -r l </proc/pressure/$k && printf '%s %s\n' $k "$l"
	done
	begin temperatures
	for f in /sys/class/hwmon/hwmon*/temp*_input; do
		read -r t <"$f" || continue
		d=${f%/*} n='' l=''
		read -r n <"$d/name"
		read -r l <"${f%_input}_label"
		printf '%s\t%s\t%s\n' "$t" "$n" "$l"
	done
	begin disks
	# A dead mount would hang df for ever: local ones only, and not for long. Where
	# it ended once, it is no longer watched: whoever waits gives up and begins anew.
	if [ "$lively" ]; then
		df -P -T -l -B1 || lively=''
	elif timeout 5 df -P -T -l -B1; then
		lively=1
	else
		case $? in 124) cannot 'disks: df did not end within 5 s' ;; *) timeout 5 df -P -k || cannot 'disks: df failed' ;; esac
	fi
}

told='' before='' lively='' since='' heard=0 lacking='' mute=' '
while read -r mark which; do
	unseen=
	[ "$which" = all ] && counters before
	signs
	if [ "$which" = moved ] && [ "$sign" = "$told" ]; then
		begin same
		unseen=$missed
	else
		standing
		told=$sign missed=$unseen
	fi
	[ -d /run/systemd/system ] && users
	moving
	counters after
	begin unseen
	printf '%s%s' "$unseen" "$lacking"
	begin end
done
