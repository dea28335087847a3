# lend PODMAN HOME RUNTIME: Podman of a user who has no podman.socket, on the
# standard input and output. It listens in a folder of the user's that nobody else
# may enter, for as long as it is spoken to, and nothing of it is left behind.
export HOME="$2" PODMAN_IGNORE_CGROUPSV1_WARNING=1
if [ "$3" ]; then export XDG_RUNTIME_DIR="$3"; else unset XDG_RUNTIME_DIR; fi
cd "$HOME" || exit
d=$(umask 077 && mktemp -d "${3:-/tmp}/sextant.XXXXXXXXXX") || exit
trap 'rm -rf "$d"' EXIT
trap 'exit 1' HUP INT TERM
"$1" system service --time=5 "unix://$d/podman.sock" </dev/null >/dev/null 2>"$d/said" &
n=0
until [ -S "$d/podman.sock" ]; do
	if ! kill -0 $! 2>/dev/null || [ $((n = n + 1)) -gt 250 ]; then
		cat "$d/said" >&2
		exit 1
	fi
	sleep 0.02
done
"$1" --url "unix://$d/podman.sock" system dial-stdio
kill $! 2>/dev/null
wait
