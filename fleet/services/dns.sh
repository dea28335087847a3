#!/bin/sh
# What a host tells of DNS: where its Blocky has its HTTP API, by its configuration,
# and the names that it has in mDNS; $1 is the mark, a random word that begins each
# line, and behind it stand those that are asked: blocky, avahi, resolved. Of files
# only the settings named here leave the host: there may be passwords beside them.
export LC_ALL=C
exec 2>/dev/null
mark=$1
shift
tell() { printf '%s %s\n' "$mark" "$*"; }
each() { head -c 16384 | while IFS= read -r l; do printf '%s %s %s\n' "$mark" "$1" "$l"; done; }
# argument UNIT LONG SHORT: what stands behind an option in the command of a unit
argument() {
	args=$(systemctl show -p ExecStart --value "$1")
	args=${args#*argv\[\]=}
	args=${args%%" ; ignore_errors="*}
	before=
	set -f
	for a in $args; do
		case $a in "$2="* | "$3="*)
			printf '%s\n' "${a#*=}"
			return
			;;
		esac
		case $before in "$2" | "$3")
			printf '%s\n' "$a"
			return
			;;
		esac
		before=$a
	done
}
blocky() {
	file=$(argument blocky.service --config -c)
	case $file in
	/*) ;;
	*) tell blocky-unread "its unit names no file with --config" && return ;;
	esac
	if [ -d "$file" ]; then
		tell blocky-unread "$file is a folder"
	elif [ ! -r "$file" ]; then
		tell blocky-unread "$file cannot be read"
	elif head -n 1 "$file" | grep -q '^[[:space:]]*[{]'; then
		tell blocky-unread "$file is not written in lines"
	else
		lines=$(awk '
			/^[^ \t#-]/ {
				key = $0
				sub(/[ \t]*:.*/, "", key)
				gsub(/["\47]/, "", key)
				whole = key == "ports" || key == "httpPort" || key == "prometheus"
				some = key == "blocking"
			}
			/^[ \t]*#/ { next }
			{ sub(/[ \t]#.*/, "") }
			whole { print }
			some && !period && /^[ \t]+["\47]?refreshPeriod["\47]?[ \t]*:/ { period = 1; sub(/^[ \t]+/, ""); print }
		' "$file") || {
			tell blocky-unread "$file cannot be read: there is no awk"
			return
		}
		printf '%s\n' "$lines" | each blocky
		tell blocky-file "$file"
	fi
}
avahi() {
	pid=$(systemctl show -p MainPID --value avahi-daemon.service)
	tell avahi-title "$(tr '\0' ' ' <"/proc/$pid/cmdline" | head -c 400)"
	file=$(argument avahi-daemon.service --file -f)
	file=${file:-/etc/avahi/avahi-daemon.conf}
	if [ -r "$file" ]; then
		tell avahi-file "$file"
		grep -E '^[[:space:]]*(host-name|domain-name|allow-interfaces|disable-publishing|publish-addresses)[[:space:]]*=' "$file" | each avahi
	fi
}
resolved() {
	timeout 2 resolvectl --no-pager mdns | each resolved
	tell resolved-name "$(timeout 2 busctl get-property org.freedesktop.resolve1 /org/freedesktop/resolve1 org.freedesktop.resolve1.Manager LLMNRHostname | head -c 300)"
}
tell hostname "$(uname -n)"
for what; do
	case $what in blocky | avahi | resolved) "$what" ;; esac
done
tell end
