# shellcheck shell=bash
# shellcheck disable=SC2034 # used by the other parts
# what every part of the lab needs: places, the table of hosts, jobs

USUAL=/var/tmp/sextant-lab
LAB=${SEXTANT_LAB:-$USUAL}
CACHE=${SEXTANT_LAB_CACHE:-/var/cache/sextant-lab}
CONTROL=http://10.77.0.1:8080
DOMAIN=lab.ts.net
PART=start

say() { printf 'lab: %s\n' "$*" >&2; }
fail() {
  say "$PART: $*"
  trap - EXIT
  exit 1
}
# A command that failed on its own must still name its part.
failed() { [ "$1" = 0 ] || say "failed in: $PART (exit $1)"; }
trap 'failed $?' EXIT

# --- the table
rows() { grep -vE '^[[:space:]]*(#|$)' "$SRC/hosts.tbl"; }
hosts() { rows | awk '$5 != "operator" { print $1 }'; }
# get HOST COLUMN: one cell of the table
get() {
  local c
  case $2 in name) c=1 ;; address) c=2 ;; port) c=3 ;; user) c=4 ;; base) c=5 ;; runs) c=6 ;; tags) c=7 ;; via) c=8 ;; esac
  rows | awk -v h="$1" -v c="$c" '$1 == h { print $c }'
}
runs() { case ",$(get "$1" runs)," in *",$2,"*) ;; *) return 1 ;; esac }
tailnet_address() { [ "$(get "$1" tags)" = none ] || echo "100.64.0.$(get "$1" address | cut -d. -f4)"; }
# wanted [HOST…]: the hosts named, or all; an unknown name is an error
wanted() {
  local h
  [ $# -gt 0 ] || { hosts; return; }
  for h; do
    hosts | grep -qxF "$h" || fail "no host \"$h\" in the table"
    echo "$h"
  done
}

# --- a running host
# alive FILE WORD: the process of that pid file runs, and is what we started
alive() { [ -s "$1" ] && tr '\0' ' ' 2>/dev/null <"/proc/$(cat "$1")/cmdline" | grep -q -- "$2"; }
# leader HOST: PID 1 of the host, as seen from here; empty when it is down
leader() {
  local p
  alive "$LAB/hosts/$1/pid" "nspawn.* -D $LAB/hosts/$1/root " || return 0
  p=$(cat "$LAB/hosts/$1/pid")
  cut -d' ' -f1 "/proc/$p/task/$p/children" 2>/dev/null
}
# hexec HOST CMD…: run a command inside a host, without SSH
hexec() {
  local h=$1 p
  shift
  p=$(leader "$h")
  [ -n "$p" ] || fail "$h is down"
  nsenter -t "$p" -m -u -i -n -p -C -- env -i HOME=/root USER=root PODMAN_IGNORE_CGROUPSV1_WARNING=1 TERM="${TERM:-dumb}" LANG=C.UTF-8 \
    PATH=/run/current-system/sw/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# --- jobs: each has a log of its own, all are waited for, the failed ones are named
declare -A JOBS=()
job() { # NAME CMD…
  local name=$1
  shift
  # The lock must not live on in what the job starts.
  ( exec 8>&- 9>&-; PART=$name; set -e; "$@" ) >"$LAB/log/$name.log" 2>&1 </dev/null &
  JOBS[$name]=$!
}
join() {
  local n bad=
  for n in "${!JOBS[@]}"; do
    wait "${JOBS[$n]}" && continue
    bad+=" $n"
    say "$n failed; the end of $LAB/log/$n.log:"
    tail -n 8 "$LAB/log/$n.log" >&2
  done
  JOBS=()
  [ -z "$bad" ] || fail "failed:$bad"
}
# step NAME CMD…: one job, waited for
step() {
  PART=$1
  job "$@"
  join
}
