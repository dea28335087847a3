# shellcheck shell=bash
# bridges in this machine's namespace, one namespace per host; no NAT, no default route

# br-lab carries the control server's address; br-vault only joins the router and what is behind it.
bridges() {
  local b
  ip link set lo up
  for b in br-lab br-vault; do
    ip link show "$b" >/dev/null 2>&1 || ip link add "$b" type bridge
    ip link set "$b" up
  done
  ip -o addr show dev br-lab | grep -q 10.77.0.1/ || ip addr add 10.77.0.1/24 dev br-lab
}

# plug HOST DEVICE BRIDGE ADDRESS: a cable from the bridge into the host's namespace
plug() {
  local h=$1 dev=$2 br=$3 addr=$4 v="v-$1"
  [ "$dev" = eth0 ] || v="w-$1"
  if ! ip -n "$h" link show "$dev" >/dev/null 2>&1; then
    ip link del "$v" 2>/dev/null || true
    ip link add "$v" type veth peer name "$dev" netns "$h"
    ip -n "$h" addr add "$addr/24" dev "$dev"
  fi
  ip link set "$v" master "$br" up
  ip -n "$h" link set "$dev" up
}

net_up() { # HOST
  local h=$1 addr br="br-lab"
  addr=$(get "$h" address)
  case $addr in 10.78.*) br="br-vault" ;; esac
  [ -e "/run/netns/$h" ] || ip netns add "$h"
  ip -n "$h" link set lo up
  plug "$h" eth0 "$br" "$addr"
  [ "$h" != router ] || plug router eth1 br-vault 10.78.0.1
}

net_down() { # HOST
  ip link del "v-$1" 2>/dev/null || true
  ip link del "w-$1" 2>/dev/null || true
  ip netns del "$1" 2>/dev/null || true
}
