# shellcheck shell=bash
# oci NAME IMAGE [PODMAN OPTION…] [-- COMMAND…]: a unit as NixOS' virtualisation.oci-containers makes it
oci() {
  local name=$1 image=$2 options='' limits=''
  shift 2
  while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=" $1"; shift; done
  [ $# = 0 ] || shift
  # What is meant to stay down must not be tried for ever.
  [ "$name" != crashed ] || limits=$'StartLimitIntervalSec=60\nStartLimitBurst=2'
  cat >"/etc/systemd/system/podman-$name.service" <<U
[Unit]
After=network-online.target
Wants=network-online.target
$limits

[Service]
Type=notify
NotifyAccess=all
Environment=PODMAN_SYSTEMD_UNIT=%n
RuntimeDirectory=$name
ExecStartPre=-/usr/bin/podman rm -f $name
ExecStart=/usr/bin/podman run --name=$name --log-driver=journald --cidfile=/run/$name/ctr-id --cgroups=no-conmon --sdnotify=conmon -d --replace --rm$options $image $*
ExecStop=/usr/bin/podman stop --ignore --cidfile=/run/$name/ctr-id
ExecStopPost=-/usr/bin/podman rm -f --ignore --cidfile=/run/$name/ctr-id
Restart=always
TimeoutStartSec=0
TimeoutStopSec=120

[Install]
WantedBy=multi-user.target
U
  systemctl -q enable "podman-$name.service"
}
