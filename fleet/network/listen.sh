#!/bin/sh
# Who listens where on a host, told in one go; $1 is the mark, a random word that
# begins each section. By ss where it is there: it knows the processes, of all of
# them as root. Else by the kernel's tables, without processes.
export LC_ALL=C
exec 2>/dev/null
mark=$1
begin() { printf '\n%s %s\n' "$mark" "$1"; }
if table=$(ss -Htulnp); then
	begin ss
	printf '%s\n' "$table"
	begin cgroups
	# the last line is cgroup v2's, or that of systemd's own hierarchy
	for p in $(printf '%s\n' "$table" | grep -o 'pid=[0-9]*' | sort -u); do
		p=${p#pid=} cgroup=
		while IFS= read -r l; do cgroup=$l; done <"/proc/$p/cgroup"
		printf '%s %s\n' "$p" "$cgroup"
	done
else
	for f in tcp tcp6 udp udp6; do
		begin "$f"
		cat "/proc/net/$f"
	done
fi
begin end
