# shellcheck shell=bash
# a host: systemd as PID 1 in nspawn, on an overlay over a base tree, in a network namespace of its own

CONTROLLERS="cpu cpuacct cpuset memory devices freezer blkio pids systemd unified"

# --- what is on its disk before it starts; safe to repeat
host_files() { # HOST
  local h=$1 d=$LAB/hosts/$1 r=$LAB/hosts/$1/root base u
  base=$(get "$h" base)
  mkdir -p "$d"/{upper,work,root,nix,containers,docker,ada,small}
  mountpoint -q "$r" || mount -t overlay overlay \
    -o "lowerdir=$(base_dir "$base"),upperdir=$d/upper,workdir=$d/work" "$r"
  install -m755 "$SRC/host/lab-init" "$r/usr/sbin/lab-init"
  mkdir -p "$r/var/log/journal" "$r/etc/lab" "$r/etc/systemd/journald.conf.d"
  printf '[Journal]\nSystemMaxUse=64M\nRateLimitIntervalSec=0\n' >"$r/etc/systemd/journald.conf.d/lab.conf"
  echo "$h" >"$r/etc/hostname"
  [ -s "$d/machine-id" ] || tr -d - </proc/sys/kernel/random/uuid >"$d/machine-id"
  cp "$d/machine-id" "$r/etc/machine-id"
  { echo "127.0.0.1 localhost"; rows | awk '{ print $2, $1 }'; } >"$r/etc/hosts"
  ssh_files "$h" "$r"
  user_files "$h" "$r"
  # Debian starts all it installs, and a host must not seem to have what the table does not give it.
  for u in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer \
    podman-auto-update.timer systemd-journald-audit.socket systemd-networkd-wait-online.service \
    systemd-resolved.service podman.service podman-restart.service \
    netavark-firewalld-reload.service exim4.service; do
    ln -sfn /dev/null "$r/etc/systemd/system/$u"
  done
  for u in podman netdata caddy docker avahi prometheus; do
    runs "$h" "$u" || find "$r"/usr/{bin,sbin,lib/systemd/system} "$r"/etc/{init.d,systemd/system} -name "$u*" -delete
  done
  rm -f "$r/etc/systemd/system/podman.service" # started by its socket
  case $base in
    debian) ;;
    *)
      install -m644 "$SRC/host/os-release" "$r/etc/os-release.nixos"
      ln -sfn os-release.nixos "$r/etc/os-release"
      touch "$r/etc/NIXOS"
      ;;
  esac
  if runs "$h" podman; then
    # Podman 5 complains about cgroup v1, which no real host has any more.
    mkdir -p "$r/etc/systemd/system.conf.d"
    printf '[Manager]\nDefaultEnvironment=PODMAN_IGNORE_CGROUPSV1_WARNING=1\n' >"$r/etc/systemd/system.conf.d/podman.conf"
    echo PODMAN_IGNORE_CGROUPSV1_WARNING=1 >"$r/etc/environment"
    mkdir -p "$r/etc/systemd/system/sockets.target.wants"
    ln -sfn /lib/systemd/system/podman.socket "$r/etc/systemd/system/sockets.target.wants/podman.socket"
  fi
  # What waits for the network would wait for ever: nothing else asks for this target here.
  mkdir -p "$r/etc/systemd/system/multi-user.target.wants"
  ln -sfn /lib/systemd/system/network-online.target "$r/etc/systemd/system/multi-user.target.wants/network-online.target"
  if runs "$h" caddy; then sed "s/@host@/$h/g" "$SRC/host/Caddyfile" >"$r/etc/caddy/Caddyfile"; fi
  if runs "$h" netdata; then netdata_files "$h" "$r"; fi
  if runs "$h" avahi; then
    cp "$SRC/host/avahi-daemon.conf" "$r/etc/avahi/avahi-daemon.conf"
    cp "$SRC/host/avahi-ssh.service" "$r/etc/avahi/services/ssh.service"
  fi
  tailnet_files "$h"
}

# All hosts' keys are made before any host starts, and kept when one is wiped: known_hosts stays right.
host_keys() {
  local h
  mkdir -p "$LAB/hostkeys"
  [ -f "$LAB/key" ] || ssh-keygen -q -t ed25519 -N '' -C lab -f "$LAB/key"
  for h in $(hosts); do
    [ -f "$LAB/hostkeys/$h" ] || ssh-keygen -q -t ed25519 -N '' -C "root@$h" -f "$LAB/hostkeys/$h"
  done
}

ssh_files() { # HOST ROOT
  local h=$1 r=$2 k=$LAB/hostkeys/$1
  rm -f "$r"/etc/ssh/ssh_host_*
  install -m600 "$k" "$r/etc/ssh/ssh_host_ed25519_key"
  install -m644 "$k.pub" "$r/etc/ssh/ssh_host_ed25519_key.pub"
  install -d -m700 "$r/root/.ssh"
  install -m600 "$LAB/key.pub" "$r/root/.ssh/authorized_keys"
  {
    echo "Port $(get "$h" port)"
    if [ "$(get "$h" user)" = root ]; then echo 'PermitRootLogin prohibit-password'; else echo 'PermitRootLogin no'; fi
    echo 'PasswordAuthentication no'
    echo 'UseDNS no'
    echo 'HostKey /etc/ssh/ssh_host_ed25519_key'
    # Tests get refused on purpose; a newer sshd would then shut everyone out.
    [ "$(get "$h" base)" != trixie ] || echo 'PerSourcePenalties no'
  } >"$r/etc/ssh/sshd_config.d/lab.conf"
}

# admin may do nothing special. ada is in wheel: on desktop sudo asks nothing, on laptop it asks her password.
user_files() { # HOST ROOT
  local h=$1 r=$2 u users=admin
  chroot "$r" groupadd -f -r wheel
  [ "$(get "$h" user)" != ada ] || users+=" ada"
  for u in $users; do
    chroot "$r" id "$u" >/dev/null 2>&1 || chroot "$r" useradd -M -s /bin/bash "$u"
  done
  install -d -m700 -o "$(uid "$r" admin)" -g "$(uid "$r" admin)" "$r/home/admin"
  keys "$r" admin "$r/home/admin"
  [ "$users" != admin ] || return 0
  install -d "$r/home/ada"
  install -d -m700 -o "$(uid "$r" ada)" -g "$(uid "$r" ada)" "$LAB/hosts/$h/ada"
  keys "$r" ada "$LAB/hosts/$h/ada"
  chroot "$r" usermod -a -G wheel ada
  if [ "$h" = laptop ]; then
    other_ways "$r"
    echo 'ada:lab-sudo' | chroot "$r" chpasswd
    echo '%wheel ALL=(ALL:ALL) ALL' >"$r/etc/sudoers.d/wheel"
  else
    echo '%wheel ALL=(ALL:ALL) NOPASSWD: ALL' >"$r/etc/sudoers.d/wheel"
  fi
  echo 'Defaults env_keep += "PODMAN_IGNORE_CGROUPSV1_WARNING"' >>"$r/etc/sudoers.d/wheel"
  chmod 440 "$r/etc/sudoers.d/wheel"
}
# other_ways: dana, whose shell is fish, becomes root with doas, rui with run0.
other_ways() { # ROOT
  local r=$1 u
  for u in dana rui; do
    chroot "$r" id "$u" >/dev/null 2>&1 || chroot "$r" useradd -M -s /usr/bin/fish "$u"
    install -d -m700 -o "$(uid "$r" "$u")" -g "$(uid "$r" "$u")" "$r/home/$u"
    keys "$r" "$u" "$r/home/$u"
  done
  echo 'permit nopass dana as root' >"$r/etc/doas.conf"
  install -d "$r/etc/polkit-1/rules.d"
  echo 'polkit.addRule(function(action, subject) {
    if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == "rui") return polkit.Result.YES;
  });' >"$r/etc/polkit-1/rules.d/10-rui.rules"
}
uid() { awk -F: -v u="$2" '$1 == u { print $3 }' "$1/etc/passwd"; }
keys() { # ROOT USER HOME
  local n
  n=$(uid "$1" "$2")
  install -d -m700 -o "$n" -g "$n" "$3/.ssh"
  install -m600 -o "$n" -g "$n" "$LAB/key.pub" "$3/.ssh/authorized_keys"
}

# storage is the parent; the others stream to it and have no web server, as such fleets do.
netdata_files() { # HOST ROOT
  local h=$1 e=$2/etc/netdata
  if [ "$h" = storage ]; then
    cp "$SRC/host/netdata-parent.conf" "$e/netdata.conf"
    cp "$SRC/host/stream-parent.conf" "$e/stream.conf"
  else
    cp "$SRC/host/netdata-child.conf" "$e/netdata.conf"
    sed "s/@parent@/$(tailnet_address storage)/" "$SRC/host/stream-child.conf" >"$e/stream.conf"
  fi
}

# --- start and stop
# Every host's systemd, and much of what it starts, watches files; what one user of a machine may
# watch at once is made for one machine, and all hosts are the same user's.
many_hosts() {
  local f=/proc/sys/fs/inotify/max_user_instances
  [ "$(cat $f)" -ge 1024 ] || echo 1024 >$f
}
host_start() { # HOST: starts nspawn, does not wait
  local h=$1 d=$LAB/hosts/$1 c binds=()
  [ -z "$(leader "$h")" ] || return 0
  host_files "$h"
  net_up "$h"
  small_disk "$h"
  for c in $CONTROLLERS; do
    [ ! -d "/sys/fs/cgroup/$c" ] || mkdir -p "/sys/fs/cgroup/$c/$GROUP-$h"
  done
  if [ -d /sys/fs/cgroup/cpuset ]; then
    cat /sys/fs/cgroup/cpuset/cpuset.cpus >"/sys/fs/cgroup/cpuset/$GROUP-$h/cpuset.cpus"
    cat /sys/fs/cgroup/cpuset/cpuset.mems >"/sys/fs/cgroup/cpuset/$GROUP-$h/cpuset.mems"
  fi
  # No overlay on an overlay: stores and containers lie on the disk itself.
  if runs "$h" nix; then binds+=("--bind=$d/nix:/nix"); fi
  if runs "$h" podman; then binds+=("--bind=$d/containers:/var/lib/containers"); fi
  if runs "$h" docker; then binds+=("--bind=$d/docker:/var/lib/docker"); fi
  if [ "$(get "$h" user)" = ada ]; then binds+=("--bind=$d/ada:/home/ada"); fi
  if mountpoint -q "$d/small"; then binds+=("--bind=$d/small:/mnt/small"); fi
  (
    exec 9>&-
    for c in $CONTROLLERS; do
      [ ! -d "/sys/fs/cgroup/$c" ] || echo "$BASHPID" >"/sys/fs/cgroup/$c/$GROUP-$h/cgroup.procs"
    done
    export SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes SYSTEMD_SECCOMP=0 SYSTEMD_NSPAWN_TMPFS_TMP=0 LC_ALL=C
    echo "$BASHPID" >"$d/pid"
    # The two cgroup words are for systemd 257, which no longer likes cgroup v1.
    exec setsid -w systemd-nspawn --kill-signal=SIGRTMIN+3 --quiet --register=no --keep-unit \
      -D "$d/root" --machine="$h" --network-namespace-path="/run/netns/$h" --capability=all --console=pipe \
      --resolv-conf=off --timezone=off --link-journal=no \
      --bind=/dev/net/tun --bind=/dev/fuse --bind=/dev/kmsg --bind-ro="$LAB/opt:/opt/lab" "${binds[@]}" \
      --setenv=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 \
      /usr/sbin/lab-init systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1
  ) </dev/null >"$LAB/log/nspawn-$h.log" 2>&1 &
}

host_wait() { # HOST: until its sshd runs
  local i
  for ((i = 0; i < 150; i++)); do
    # shellcheck disable=SC2310 # a host that is still starting is no failure
    [ -n "$(leader "$1")" ] && hexec "$1" systemctl -q is-active ssh 2>/dev/null && return
    sleep 0.2
  done
  tail -n 5 "$LAB/log/nspawn-$1.log" >&2
  fail "$1 did not start; see $LAB/log/nspawn-$1.log"
}

# The router has a disk that is nearly full: small, real, mounted from a file.
small_disk() { # HOST
  local f=$LAB/hosts/$1/small.img m=$LAB/hosts/$1/small
  [ "$1" = router ] || return 0
  [ -f "$f" ] || { truncate -s 32M "$f"; mkfs.ext4 -q -m 0 "$f"; }
  mountpoint -q "$m" || mount -o loop "$f" "$m"
  [ -f "$m/recordings" ] || fallocate -l "$(($(df --output=avail -B1 "$m" | tail -n 1) * 95 / 100))" "$m/recordings"
}

host_stop() { # HOST: an orderly shutdown, with an end
  local h=$1 d=$LAB/hosts/$1 p i
  if alive "$d/pid" "nspawn.* -D $d/root "; then
    p=$(cat "$d/pid")
    kill -TERM "$p"
    for ((i = 0; i < 150; i++)); do
      [ -d "/proc/$p" ] || break
      sleep 0.2
    done
  fi
  host_kill "$h"
}

# A power cut: nothing is told, nothing is written. The cable goes first, or the kernel would close connections.
host_kill() { # HOST
  local h=$1 d=$LAB/hosts/$1 p c
  ip link set "v-$h" down 2>/dev/null || true
  ip link set "w-$h" down 2>/dev/null || true
  p=$(leader "$h")
  [ -z "$p" ] || kill -KILL "$p" 2>/dev/null || true
  if alive "$d/pid" "nspawn.* -D $d/root "; then kill -KILL "$(cat "$d/pid")" 2>/dev/null || true; fi
  rm -f "$d/pid"
  for c in $CONTROLLERS; do
    [ -d "/sys/fs/cgroup/$c/$GROUP-$h" ] || continue
    find "/sys/fs/cgroup/$c/$GROUP-$h" -name cgroup.procs -exec cat {} + 2>/dev/null |
      while read -r p; do kill -KILL "$p" 2>/dev/null || true; done
  done
  sleep 0.2
  for c in $CONTROLLERS; do
    [ ! -d "/sys/fs/cgroup/$c/$GROUP-$h" ] || find "/sys/fs/cgroup/$c/$GROUP-$h" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

host_clear() { # HOST: what a stopped host leaves on this machine
  local d=$LAB/hosts/$1
  net_down "$1"
  if mountpoint -q "$d/small"; then umount -d "$d/small"; fi
  if mountpoint -q "$d/root"; then umount "$d/root" 2>/dev/null || umount -l "$d/root"; fi
}
