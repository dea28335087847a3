# shellcheck shell=bash
# the machine a person sits at: a namespace with its own tailscaled, home and Nix store

OP=$LAB/operator

operator_up() {
  local ns=operator
  mkdir -p "$OP/home/.ssh" "$OP/nix" /etc/netns/$ns
  net_up $ns
  # mDNS
  ip -n $ns route replace 224.0.0.0/4 dev eth0
  operator_home
  if ! alive "$OP/pid" "$OP/tailscaled.sock"; then
    (
      exec 9>&-
      export TS_PORTLIST=0 # as on the hosts
      exec ip netns exec $ns setsid "$LAB/opt/bin/tailscaled" --state="$OP/tailscaled.state" \
        --socket="$OP/tailscaled.sock" --tun=ts-operator --port=41641 --no-logs-no-support
    ) </dev/null >>"$LAB/log/operator-tailscaled.log" 2>&1 &
    echo $! >"$OP/pid"
  elif [ -e "$LAB/control.fresh" ]; then
    kill "$(cat "$OP/pid")"
    rm -f "$OP/pid"
    sleep 0.5
    operator_up
    return
  fi
  local i
  for ((i = 0; i < 50; i++)); do [ -S "$OP/tailscaled.sock" ] && break; sleep 0.1; done
  [ "$(tailscale status --json | jq -r .BackendState)" = Running ] ||
    tailscale up --login-server="$CONTROL" --hostname=$ns --accept-dns=false --timeout=30s
}
tailscale() { "$LAB/opt/bin/tailscale" --socket="$OP/tailscaled.sock" "$@"; }

# Names are tailnet names, as MagicDNS would give them; without DNS a hosts file does it.
operator_home() {
  local h a s=$OP/home/.ssh
  chmod 700 "$s"
  install -m600 "$LAB/key" "$s/id_ed25519"
  install -m644 "$LAB/key.pub" "$s/id_ed25519.pub"
  {
    echo '127.0.0.1 localhost operator'
    for h in $(hosts); do
      a=$(tailnet_address "$h")
      [ -z "$a" ] || echo "$a $h $h.$DOMAIN"
    done
  } >/etc/netns/operator/hosts
  : >/etc/netns/operator/resolv.conf
  # The flake the hosts' newest systems come from, as a repository to change and deploy from.
  if [ ! -d "$OP/home/fleet" ] || ! cmp -s "$LAB/fleet.revision" "$OP/fleet.revision"; then
    rm -rf "$OP/home/fleet"
    fleet_repository "$LAB/opt/fleet" "$OP/home/fleet"
    cp "$LAB/fleet.revision" "$OP/fleet.revision"
  fi
  mkdir -p "$OP/home/.config/nix" "$OP"/nix/var/nix/{profiles,gcroots,db}
  printf '%s\n' 'experimental-features = nix-command flakes' 'sandbox = false' 'build-users-group =' 'substituters =' \
    >"$OP/home/.config/nix/nix.conf"
  [ -f "$s/known_hosts" ] || known_hosts >"$s/known_hosts"
  [ -f "$s/config" ] || cat >"$s/config" <<'S'
Host vault
	Port 2222
	HostName 10.78.0.18
	ProxyJump root@router

Host desktop laptop desktop.* laptop.*
	User ada

Host storage cloud router r2s media vault storage.* cloud.* router.* r2s.* media.*
	User root
S
}

known_hosts() {
  local h a p names
  for h in $(hosts); do
    [ -f "$LAB/hostkeys/$h.pub" ] || continue
    p=$(get "$h" port)
    names=$h,$(get "$h" address)
    a=$(tailnet_address "$h")
    [ -z "$a" ] || names+=",$h.$DOMAIN,$a"
    [ "$p" = 22 ] || names="[${names//,/]:$p,[}]:$p"
    echo "$names $(cut -d' ' -f1,2 "$LAB/hostkeys/$h.pub")"
  done
}

operator_down() {
  if alive "$OP/pid" "$OP/tailscaled.sock"; then kill "$(cat "$OP/pid")"; fi
  rm -f "$OP/pid"
  net_down operator
}

# ssh takes its home from the password file, not from HOME: put the operator's .ssh, and a Nix store
# that is the operator's own, in the places where programs look, in this command's mount namespace only.
operator_exec() { # CMD…
  [ -e /run/netns/operator ] || fail "the operator's machine is down"
  mkdir -p /root/.ssh /nix
  local gopath gocache
  gopath=$(go env GOPATH 2>/dev/null || echo "$HOME/go")
  gocache=$(go env GOCACHE 2>/dev/null || echo "$HOME/.cache/go-build")
  trap - EXIT
  # shellcheck disable=SC2016 # expanded inside
  exec ip netns exec operator sh -c 'mount --bind "$0/home/.ssh" /root/.ssh && mount --bind "$0/nix" /nix && exec "$@"' "$OP" \
    env -u SSH_AUTH_SOCK -u XDG_CONFIG_HOME -u XDG_STATE_HOME -u XDG_CACHE_HOME -u XDG_DATA_HOME \
    HOME="$OP/home" GOPATH="$gopath" GOCACHE="$gocache" NIX_CONF_DIR="$OP/home/.config/nix" \
    SEXTANT_LAB="$LAB" SEXTANT_LAB_JSON="$LAB/lab.json" SEXTANT_TAILSCALE_SOCKET="$OP/tailscaled.sock" \
    SEXTANT_TAILSCALE_API="$CONTROL" PATH="$LAB/opt/bin:$PATH" "$@"
}
