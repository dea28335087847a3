# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034 # text is expanded in the hosts; PART is read in lib.sh
# lab check: is the lab what its README says? Every line asks a running host, most of them the way the product would.

# want TEXT EXPECTED CMD…: the command's output holds the expected text
want() {
  local what=$1 expected=$2 got
  shift 2
  got=$("$@" 2>&1 </dev/null || true)
  case $got in
    *"$expected"*) return ;;
  esac
  printf 'WRONG %s: wanted "%s", got "%s"\n' "$what" "$expected" "$(tail -n 1 <<<"$got" | tr -dc '[:print:]' | cut -c1-200)"
  WRONG=$((WRONG + 1))
}
op() { (operator_exec "$@"); }
by_ssh() { op ssh -n -o BatchMode=yes -o ConnectTimeout=10 "$@"; }
inside() { hexec "$1" bash -c "$2"; }
# of_user HOST USER CMD…: as a user of the host's who does not log in
of_user() {
  local h=$1 u=$2
  shift 2
  hexec "$h" sh -c 'cd / && u=$0 && exec runuser -u "$u" -- env HOME="$(getent passwd "$u" | cut -d: -f6)" XDG_RUNTIME_DIR="/run/user/$(id -u "$u")" "$@"' "$u" "$@"
}
peer() { curl -fsS "$CONTROL/lab/peers" | jq -c --arg n "$1.$DOMAIN" '.[] | select(.name == $n)'; }
links() { inside "$1" 'for l in /run/booted-system /run/current-system /nix/var/nix/profiles/system; do realpath $l/'"$2"'; done | uniq | wc -l'; }

lab_check() {
  local h
  PART=check
  WRONG=0
  for h in $(hosts); do
    want "$h is up" "$h" hexec "$h" hostname
    [ "$(get "$h" tags)" = none ] || want "$h on the tailnet" '"connectedToControl":true' peer "$h"
    [ "$h" = r2s ] || want "$h by SSH, this lab's" "$(cat "$LAB/hosts/$h/machine-id")" by_ssh "$h" cat /etc/machine-id
  done
  want "Tailscale SSH asks for no key" r2s by_ssh -o PreferredAuthentications=none r2s hostname

  want "desktop refuses root" 'Permission denied' by_ssh root@desktop true
  want "desktop: sudo without a password" 0 by_ssh desktop sudo -n id -u
  want "desktop: root's Podman is closed to ada" closed \
    by_ssh desktop 'curl -s --unix-socket /run/podman/podman.sock http://d/_ping || echo closed'
  want "laptop: sudo wants a password" 'password is required' by_ssh laptop sudo -n true
  want "laptop: lab-sudo is it" 0 op ssh -n laptop 'echo lab-sudo | sudo -S -p "" id -u'
  want "laptop: dana has doas, and fish" '0 fish' by_ssh dana@laptop 'echo (doas -n id -u) fish'
  want "laptop: rui has run0" 0 by_ssh rui@laptop run0 --no-ask-password --pipe id -u
  want "media is no NixOS" 'Debian' by_ssh media cat /etc/os-release
  want "media: Docker" 'plex' hexec media docker ps --format '{{.Names}}'

  want "storage: Podman 5" '5.4.2' hexec storage podman --version
  want "storage: Nix 2.26" '2.26.3' hexec storage nix --version
  want "router: Podman 4" '4.3.1' hexec router podman --version
  want "router: Nix 2.8" '2.8.0' hexec router nix --version
  for h in jellyfin authelia unhealthy systemd-memos handmade hostile finished; do
    want "storage: container $h" "$h" hexec storage podman ps -a --format '{{.Names}}'
  done
  want "storage: authelia is healthy" ' healthy ' inside storage 'echo " $(podman inspect authelia -f "{{.State.Health.Status}}") "'
  want "storage: unhealthy is not" unhealthy hexec storage podman inspect unhealthy -f '{{.State.Health.Status}}'
  want "storage: podman-crashed failed" failed hexec storage systemctl is-active podman-crashed
  want "storage: and left no container" 'no such' hexec storage podman inspect crashed
  want "storage: memos is a quadlet" generator hexec storage systemctl show -p FragmentPath memos
  want "desktop: ada's own container" notes by_ssh desktop podman ps --format '{{.Names}}'
  want "desktop: ada's reader failed" failed by_ssh desktop systemctl --user is-active reader
  want "desktop: and left no container" 'no such' by_ssh desktop podman inspect reader
  want "desktop: ada's photos-sync failed" failed by_ssh desktop systemctl --user is-active photos-sync
  want "router: Blocky's stand-in answers" '"enabled":true' inside router 'curl -fsS http://127.0.0.1:4000/api/blocking/status'
  want "router: bea's own container" wiki of_user router bea podman ps --format '{{.Names}}'
  want "router: bea's unit owns it" container-wiki.service of_user router bea podman inspect wiki -f '{{index .Config.Labels "PODMAN_SYSTEMD_UNIT"}}'
  want "router: bea has no podman.socket" inactive of_user router bea systemctl --user is-active podman.socket

  for h in storage cloud router r2s desktop laptop vault; do
    want "$h: four generations" 4 inside "$h" 'ls -d /nix/var/nix/profiles/system-*-link | wc -l'
  done
  want "storage: all three agree" 1 links storage .
  want "cloud: a reboot is due" 2 links cloud kernel
  want "r2s: booted another" 2 links r2s .
  want "r2s: of the same kernel" 1 links r2s kernel
  want "desktop: next boot differs" 2 links desktop .
  want "router: what runs is no generation" 0 inside router 'ls -l /nix/var/nix/profiles | grep -c "$(readlink /run/current-system)" || true'
  want "r2s: two boot entries' generations" 2 inside r2s 'ls /boot/loader/entries | grep -vc specialisation'
  want "storage runs what the flake builds" same op sh -c 'cd ~/fleet && [ "$(nix build --no-link --json .#nixosConfigurations.storage.config.system.build.toplevel | sed "s/.*\"out\":\"\([^\"]*\)\".*/\1/")" = "$(ssh -n storage readlink -f /run/current-system)" ] && echo same'

  want "backups: home is fresh" true inside storage 'backup-status | jq ".[] | select(.name == \"home\").ok"'
  want "backups: offsite is stale" false inside storage 'backup-status | jq ".[] | select(.name == \"offsite\").ok"'
  want "backups: cold is rustic" rustic inside storage 'backup-status | jq ".[] | select(.ok and .name == \"cold\").kind"'
  want "backups: broken failed" exit-code hexec cloud systemctl show -p Result restic-backups-broken
  want "backups: never ran" '"last":0' inside r2s 'systemctl list-timers --all -o json rustic-never.timer | sed "s/null/0/g"'
  want "cloud: lab-broken failed" failed hexec cloud systemctl is-active lab-broken
  want "router: a disk nearly full" full inside router 'df -P /mnt/small | grep -q " 9[0-9]% " && echo full'
  want "Netdata: cloud streams to storage" cloud inside storage 'curl -fsS http://127.0.0.1:19999/api/v1/info | jq -c .mirrored_hosts'
  want "Netdata: cloud has no web server" refused inside cloud 'curl -s -m 2 http://127.0.0.1:19999 || echo refused'
  want "Caddy" 'hello from cloud' inside cloud 'curl -fsS http://127.0.0.1/'
  want "API without a key" 401 curl -s -o /dev/null -w '%{http_code}' "$CONTROL/api/v2/tailnet/-/devices"
  want "API with one" octopi curl -fsS -u tskey-api-lab: "$CONTROL/api/v2/tailnet/-/devices"
  want "octopi's key has expired" true inside storage 'tailscale status --json | jq ".Peer[] | select(.HostName == \"octopi\").Expired"'
  [ "$WRONG" = 0 ] || fail "$WRONG things are not as they should be (\`lab seed\` puts the hosts back)"
  say "all as it should be"
}
