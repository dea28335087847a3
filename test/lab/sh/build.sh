# shellcheck shell=bash
# all that is slow and cached: packages of this machine, base trees, Go and Rust programs

TAILSCALE=1.102.5
RUSTIC=0.11.4
REGISTRY=3.1.2
# beside Debian's 0.14 and 0.18
RESTIC="0.16.5 0.17.3 0.19.1"
BLOCKY=0.34.0
# The newest one that is to be had without a browser's half and with all that it needs.
AUTHELIA=4.37.5

machine_packages() {
  local want=() p
  if [ ! -d "$CACHE/authelia-$AUTHELIA" ]; then
    command -v gcc >/dev/null || want+=(gcc)
    [ -e /usr/include/stdio.h ] || want+=(libc6-dev)
  fi
  for p in mmdebstrap:mmdebstrap systemd-nspawn:systemd-container ip:iproute2 jq:jq nft:nftables \
    ssh-keygen:openssh-client newuidmap:uidmap mkfs.ext4:e2fsprogs curl:curl flock:util-linux nix-build:nix-bin git:git; do
    command -v "${p%%:*}" >/dev/null || want+=("${p##*:}")
  done
  [ ${#want[@]} -gt 0 ] || return 0
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${want[@]}"
}

# go_program NAME VERSION CGO LDFLAGS MODULE PACKAGE...: programs of a module, in the cache. They are built from a module
# of their own, in which their own go.mod's versions rule. (`go install MODULE@VERSION` does so too, but wants the list of
# all versions, and where a proxy has only some there is none.)
go_program() {
  local d=$CACHE/$1-$2 version=$2 cgo=$3 ldflags=$4 module=$5
  shift 5
  [ ! -d "$d" ] || return 0
  rm -rf "$d.part" "$d.module"
  mkdir -p "$d.part" "$d.module"
  printf 'module lab\n\ngo 1.26\n\nrequire %s v%s\n' "$module" "$version" >"$d.module/go.mod"
  (cd "$d.module" && CGO_ENABLED=$cgo GOFLAGS='-mod=mod -buildvcs=false -trimpath' nice go build -ldflags="-s -w $ldflags" -o "$d.part/" "$@")
  rm -rf "$d.module"
  mv "$d.part" "$d"
}
build_tailscale() {
  local v=tailscale.com/version
  go_program tailscale $TAILSCALE 0 "-X $v.longStamp=$TAILSCALE -X $v.shortStamp=$TAILSCALE" tailscale.com tailscale.com/cmd/tailscale{,d}
}
build_blocky() {
  local m=github.com/0xERR0R/blocky
  go_program blocky $BLOCKY 0 "-X $m/util.Version=v$BLOCKY" $m $m
}
# Its SQLite is C.
build_authelia() {
  local m=github.com/authelia/authelia/v4
  go_program authelia $AUTHELIA 1 '' $m $m/cmd/authelia
}
build_restic() {
  local m=github.com/restic/restic v
  for v in $RESTIC; do go_program restic "$v" 0 '' $m $m/cmd/restic; done
}
# The registry that tests of images start on a host: see test/e2e/images_test.go.
build_registry() {
  local m=github.com/distribution/distribution/v3
  go_program registry $REGISTRY 0 '' $m $m/cmd/registry
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

# What the hosts see under /opt/lab.
put_programs() {
  local f r=$CACHE/rustic-rs-$RUSTIC/rustic
  [ -x "$r" ] || r=$CACHE/rustic-rs-$RUSTIC-stand-in/rustic
  for f in "$CACHE"/{tailscale-$TAILSCALE/tailscale{,d},registry-$REGISTRY/registry,blocky-$BLOCKY/blocky,authelia-$AUTHELIA/authelia} "$r"; do
    cmp -s "$f" "$LAB/opt/bin/${f##*/}" || install -m755 "$f" "$LAB/opt/bin/${f##*/}"
  done
  for f in $RESTIC; do
    cmp -s "$CACHE/restic-$f/restic" "$LAB/opt/restic-$f/restic" || install -D -m755 "$CACHE/restic-$f/restic" "$LAB/opt/restic-$f/restic"
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
  step packages machine_packages
  job base-trees base_all
  job control build_control
  job tailscale build_tailscale
  job authelia build_authelia
  job blocky build_blocky
  job rustic build_rustic
  job restic build_restic
  job registry build_registry
  join
  step router build_router
}
