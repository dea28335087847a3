# shellcheck shell=bash
# all that is slow and cached: packages of this machine, base trees, Go and Rust programs

TAILSCALE=1.102.5
RUSTIC=0.11.4
REGISTRY=3.1.2

machine_packages() {
  local want=() p
  for p in mmdebstrap:mmdebstrap systemd-nspawn:systemd-container ip:iproute2 jq:jq nft:nftables \
    ssh-keygen:openssh-client newuidmap:uidmap mkfs.ext4:e2fsprogs curl:curl flock:util-linux nix-build:nix-bin git:git; do
    command -v "${p%%:*}" >/dev/null || want+=("${p##*:}")
  done
  [ ${#want[@]} -gt 0 ] || return 0
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${want[@]}"
}

build_tailscale() {
  local d=$CACHE/tailscale-$TAILSCALE m stamp
  stamp="-X tailscale.com/version.longStamp=$TAILSCALE -X tailscale.com/version.shortStamp=$TAILSCALE"
  if [ -x "$d/tailscale" ] && [ -x "$d/tailscaled" ]; then return; fi
  for m in tailscaled tailscale; do
    # In the main module's own directory go.mod's versions would rule; a version asks for a clean one.
    (cd / && GOBIN=$d.part GOFLAGS=-buildvcs=false CGO_ENABLED=0 \
      nice go install -ldflags="-s -w $stamp" "tailscale.com/cmd/$m@v$TAILSCALE")
  done
  rm -rf "$d"
  mv "$d.part" "$d"
}

# The registry that tests of images start on a host: see test/e2e/images_test.go.
build_registry() {
  local d=$CACHE/registry-$REGISTRY
  [ ! -x "$d/registry" ] || return 0
  (cd / && GOBIN=$d.part GOFLAGS=-buildvcs=false CGO_ENABLED=0 \
    nice go install -trimpath -ldflags='-s -w' "github.com/distribution/distribution/v3/cmd/registry@v$REGISTRY")
  rm -rf "$d"
  mv "$d.part" "$d"
}

# Without cargo a stand-in that says so takes its place; everything else in the lab stays as it is.
build_rustic() {
  local d=$CACHE/rustic-rs-$RUSTIC
  [ ! -x "$d/rustic" ] || return 0
  mkdir -p "$d"
  if ! command -v cargo >/dev/null; then
    [ -x "$d-stand-in/rustic" ] || install -D -m755 "$SRC/host/rustic-stand-in" "$d-stand-in/rustic"
    return
  fi
  nice cargo install --locked --root "$d.part" --version "=$RUSTIC" rustic-rs
  mv "$d.part/bin/rustic" "$d/rustic"
  rm -rf "$d.part"
}

# Packages of the router alone. They are put in while it runs, from files: hosts reach no mirror, and with another
# list of packages all hosts of its base would be made anew.
ROUTER="kea-dhcp4-server wireguard-go wireguard-tools"
router_dir() { echo "$CACHE/router-$(basename "$(base_dir bookworm)")-$(echo "$ROUTER" | sha256sum | cut -c1-8)"; }
build_router() {
  local d p base opts
  d=$(router_dir)
  [ ! -d "$d" ] || return 0
  p=$d.part
  base=$(base_dir bookworm)
  rm -rf "$p"
  mkdir -p "$p"/{state/lists/partial,cache/archives/partial}
  opts=(-o "Dir::Etc::sourcelist=$base/etc/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State=$p/state" -o "Dir::Cache=$p/cache"
    -o "Dir::State::status=$base/var/lib/dpkg/status" -o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none)
  apt-get -qq "${opts[@]}" update
  # shellcheck disable=SC2086 # words
  apt-get -qq "${opts[@]}" -y --download-only --no-install-recommends install $ROUTER
  mkdir "$p/debs"
  mv "$p"/cache/archives/*.deb "$p/debs"
  mv "$p/debs" "$d"
  rm -rf "$p"
}

# Go itself knows what changed; asking it costs a second, so look at the clock first.
build_control() {
  [ ! -x "$LAB/bin/control" ] || [ -n "$(find "$SRC/control" "$SRC/../../go.mod" -newer "$LAB/bin/control")" ] || return 0
  (cd "$SRC/../.." && CGO_ENABLED=0 go build -ldflags='-s -w' -o "$LAB/bin/control.new" ./test/lab/control)
  mv "$LAB/bin/control.new" "$LAB/bin/control"
}

build_blocky() {
  [ ! -x "$LAB/bin/blocky" ] || [ -n "$(find "$SRC/blocky" -newer "$LAB/bin/blocky")" ] || return 0
  (cd "$SRC/../.." && CGO_ENABLED=0 go build -ldflags='-s -w' -o "$LAB/bin/blocky.new" ./test/lab/blocky)
  mv "$LAB/bin/blocky.new" "$LAB/bin/blocky"
}

# What the hosts see under /opt/lab.
put_programs() {
  local f r=$CACHE/rustic-rs-$RUSTIC/rustic
  [ -x "$r" ] || r=$CACHE/rustic-rs-$RUSTIC-stand-in/rustic
  for f in "$CACHE/tailscale-$TAILSCALE/tailscale" "$CACHE/tailscale-$TAILSCALE/tailscaled" "$CACHE/registry-$REGISTRY/registry" "$r" "$LAB/bin/blocky"; do
    cmp -s "$f" "$LAB/opt/bin/${f##*/}" || install -m755 "$f" "$LAB/opt/bin/${f##*/}"
  done
  [ -e "$LAB/opt/router/$(basename "$(router_dir)")" ] || {
    rm -rf "${LAB:?}/opt/router"
    cp -r "$(router_dir)" "$LAB/opt/router"
    touch "$LAB/opt/router/$(basename "$(router_dir)")"
  }
  for f in seed fleet; do
    diff -rq "$SRC/$f" "$LAB/opt/$f" >/dev/null 2>&1 && continue
    rm -rf "${LAB:?}/opt/$f"
    cp -r "$SRC/$f" "$LAB/opt/$f"
  done
}

base_all() {
  local kind
  # One after another: they share the network, and the programs have the processors meanwhile.
  for kind in trixie bookworm debian; do base_build "$kind"; done
}

lab_build() {
  mkdir -p "$LAB"/{bin,log,hosts,opt/bin} "$CACHE"
  # Labs share the cache.
  exec 8>"$CACHE/lock"
  flock -w 5400 8 || fail "another lab builds: it holds $CACHE/lock"
  build_missing
  exec 8>&-
  put_programs
}

build_missing() {
  local kind missing=
  for kind in trixie bookworm debian; do [ -d "$(base_dir "$kind")" ] || missing=1; done
  if [ -n "$missing" ] || ! command -v systemd-nspawn >/dev/null || ! command -v nix-build >/dev/null; then
    step packages machine_packages
  fi
  job base-trees base_all
  job control build_control
  job blocky build_blocky
  job tailscale build_tailscale
  job rustic build_rustic
  job registry build_registry
  join
  step router build_router
}
