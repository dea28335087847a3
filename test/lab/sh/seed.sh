# shellcheck shell=bash
# what the hosts hold: made once where it lies on the disk, at each boot where it does not

# One git commit with fixed dates: the same files always have the same revision, here and in the hosts.
fleet_revision() {
  local d=$LAB/fleet.git
  rm -rf "$d"
  fleet_repository "$LAB/opt/fleet" "$d"
  git -C "$d" rev-parse HEAD
  rm -rf "$d"
}
fleet_repository() { # FROM TO
  cp -r "$1" "$2"
  git -C "$2" init -q -b main
  git -C "$2" -c user.name=lab -c user.email=lab@example.com add -A
  GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z' \
    git -C "$2" -c user.name=lab -c user.email=lab@example.com -c commit.gpgsign=false commit -q -m 'The fleet'
}

# seed_host HOST [again]: nothing where all is in place; "again" puts everything back
seed_host() {
  local h=$1 want have
  want=$(cat "$LAB/seed.version")
  have=$(hexec "$h" sh -c 'cat /var/lib/lab/seeded; [ ! -e /run/lab/seeded ] || echo booted' 2>/dev/null) || true
  case ${2:-}/$have in
    /"$want"*booted) return ;;
    /"$want"*) seed_in "$h" boot ;;
    *) seed_in "$h" disk boot ;;
  esac
  hexec "$h" sh -c "echo $want >/var/lib/lab/seeded; mkdir -p /run/lab; touch /run/lab/seeded"
}
seed_in() { # HOST PHASE…
  local h=$1
  shift
  hexec "$h" env LAB_RUNS="$(get "$h" runs)" LAB_REVISION="$(cat "$LAB/fleet.revision")" LAB_TAILNET="$(tailnet_address "$h")" \
    /opt/lab/seed/all "$@"
}

# When the lab's own files change, hosts are seeded anew at the next up.
seed_version() {
  local v
  v=$(find "$LAB/opt/seed" "$LAB/opt/fleet" -type f -print0 | sort -z | xargs -0 cat | sha256sum | cut -c1-16)
  [ "$(cat "$LAB/seed.version" 2>/dev/null)" != "$v" ] || return 0
  fleet_revision >"$LAB/fleet.revision"
  echo "$v" >"$LAB/seed.version"
}
