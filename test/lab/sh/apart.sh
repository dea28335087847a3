# shellcheck shell=bash
# labs beside each other. Names, addresses and folders are the same in every lab; what keeps them
# apart are a mount and a network namespace, which every lab but the usual one has for itself.

# Resource groups have no namespace: their names differ.
# shellcheck disable=SC2034 # used in host.sh
GROUP=lab
if [ "$LAB" != "$USUAL" ]; then GROUP=lab${LAB//\//-}; fi

HOLDER="sextant-lab-apart $LAB" # what the process that holds the namespaces is called

apart() { [ "$LAB" != "$USUAL" ]; }
apart_held() { alive "$LAB/apart.pid" "$HOLDER"; }
# apart_inside: are we in there already?
apart_inside() {
  local n p
  apart_held || return
  p=$(cat "$LAB/apart.pid")
  for n in mnt net; do [ "/proc/self/ns/$n" -ef "/proc/$p/ns/$n" ] || return; done
}

# apart_hold: makes the namespaces, and a process that holds them until `lab down`
apart_hold() {
  local i
  ! apart_held || return 0
  mkdir -p "$LAB/log" /etc/netns
  rm -f "$LAB/apart.ready"
  (
    exec 9>&-
    # shellcheck disable=SC2016 # expanded inside
    exec setsid unshare -m -n --propagation private bash -euc '
      # of the other labs there is nothing here: what they unmount must be free
      findmnt -rno TARGET | grep -E "^/run/netns/|/hosts/[^/]*/(root|small)$" | xargs -r -n1 umount -l
      # what the hosts, `ip netns` and nspawn are known by
      mount -t tmpfs -o mode=755 tmpfs /run
      mount -t tmpfs -o mode=755 tmpfs /etc/netns
      touch "$0/apart.ready"
      exec -a "$1" sleep infinity' "$LAB" "$HOLDER"
  ) </dev/null >"$LAB/log/apart.log" 2>&1 &
  echo $! >"$LAB/apart.pid"
  for ((i = 0; i < 50; i++)); do
    if [ -e "$LAB/apart.ready" ] && apart_held; then return; fi
    sleep 0.1
  done
  cat "$LAB/log/apart.log" >&2
  fail "no namespaces of its own for the lab in $LAB"
}

# apart_enter CMD…: this command of the lab's in there, from where we stand
apart_enter() {
  apart_held || fail "the lab in $LAB is down"
  trap - EXIT
  exec nsenter -t "$(cat "$LAB/apart.pid")" -m -n -- env -C "$PWD" "$SRC/lab" "$@"
}

apart_end() {
  ! apart_held || kill "$(cat "$LAB/apart.pid")"
  rm -f "$LAB/apart.pid" "$LAB/apart.ready"
}
