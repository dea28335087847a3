# shellcheck shell=bash
# base trees: what every host of one kind shares, read-only, under an overlay of its own

# The mirror this machine uses itself: deb822 first, then the one-line form.
mirror() {
  local m
  m=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed -n 's/^URIs: *\([^ ]*\).*/\1/p' | grep -m1 '/debian/*$') ||
    m=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
      sed -n 's/^deb  *\(\[[^]]*\] *\)\{0,1\}\([^ ]*\) .*/\2/p' | grep -m1 '/debian/*$') || return 1
  echo "$m"
}

base_packages() { sed 's/#.*//' "$SRC/packages/$1" | tr -s ' \n' ','; }

# The cache is keyed by what goes in, so that a changed list makes a new tree.
base_dir() { echo "$CACHE/base-$1-$({ cat "$SRC/packages/$1"; declare -f base_build; } | sha256sum | cut -c1-12)"; }

base_build() { # KIND
  local kind=$1 dir m suite=$1 more=()
  dir=$(base_dir "$kind")
  [ -d "$dir" ] && return
  m=$(mirror) || fail "no Debian mirror in this machine's apt sources"
  case $kind in
    debian) suite=bookworm ;;
    # Netdata left Debian with trixie; bookworm's runs there. Nothing else may come from bookworm.
    trixie)
      more+=("deb $m bookworm main")
      printf 'Package: *\nPin: release n=bookworm\nPin-Priority: 100\n' >"$CACHE/pin-bookworm"
      ;;
  esac
  rm -rf "$dir.part"
  mmdebstrap --variant=apt --mode=root --components=main --include="$(base_packages "$kind")" \
    --aptopt='Apt::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' \
    --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
    --setup-hook="mkdir -p \"\$1\"/etc/apt/preferences.d; cp $CACHE/pin-bookworm \"\$1\"/etc/apt/preferences.d/bookworm 2>/dev/null || true" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$suite" "$dir.part" "deb $m $suite main" "${more[@]}"
  mv "$dir.part" "$dir"
}
