# shellcheck shell=bash
# the tailnet: the control server on the bridge, a real tailscaled on every host that belongs to it

control_up() {
  local i
  alive "$LAB/control.pid" bin/control && return
  (
    exec 9>&-
    exec setsid "$LAB/bin/control" -hosts "$SRC/hosts.tbl" -domain "$DOMAIN" -state "$LAB/tailnet.json"
  ) </dev/null >>"$LAB/log/control.log" 2>&1 &
  echo $! >"$LAB/control.pid"
  for ((i = 0; i < 50; i++)); do
    # A node that is still up holds the old server's key: its tailscaled must ask anew.
    if curl -fsS -m 1 "$CONTROL/lab/peers" >/dev/null 2>&1; then touch "$LAB/control.fresh"; return; fi
    sleep 0.1
  done
  fail "the control server does not answer; see $LAB/log/control.log"
}

control_down() {
  alive "$LAB/control.pid" bin/control || return 0
  kill "$(cat "$LAB/control.pid")"
  rm -f "$LAB/control.pid"
}

tailnet_files() { # HOST: before it starts, so that it comes up with the machine
  local r=$LAB/hosts/$1/root w=$LAB/hosts/$1/root/etc/systemd/system
  [ "$(get "$1" tags)" != none ] || return 0
  cp "$SRC/host/tailscaled.service" "$w/tailscaled.service"
  mkdir -p "$w/multi-user.target.wants" "$r/usr/local/bin"
  ln -sfn ../tailscaled.service "$w/multi-user.target.wants/tailscaled.service"
  ln -sfn /opt/lab/bin/tailscale "$r/usr/local/bin/tailscale"
}

tailnet_join() { # HOST
  local h=$1 tags flags=()
  tags=$(get "$h" tags)
  [ "$tags" != none ] || return 0
  [ "$tags" = - ] || flags+=("--advertise-tags=$tags")
  # Tailscale's own SSH server on one host: it asks for no key at all.
  [ "$h" != r2s ] || flags+=(--ssh)
  [ ! -e "$LAB/control.fresh" ] || hexec "$h" systemctl restart tailscaled
  if [ "$(hexec "$h" tailscale status --json | jq -r '.BackendState + " " + (.TailscaleIPs[0] // "")')" != "Running $(tailnet_address "$h")" ]; then
    hexec "$h" tailscale up --login-server="$CONTROL" --hostname="$h" --accept-dns=false --timeout=30s "${flags[@]}"
  fi
  # a key that is about to expire
  [ "$h" != laptop ] || curl -fsS -m 5 -o /dev/null -X POST "$CONTROL/lab/peers/laptop?expires=120h"
}
