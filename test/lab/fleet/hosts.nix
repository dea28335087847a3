# What each host should run. See toplevel.nix for what can be set.
let
  now = {
    version = "25.05.20250603.abcdef4";
    kernel = "6.12.31";
    packages = { caddy = "2.10.0"; openssh = "10.0p2"; podman = "5.4.2"; };
    units = [ "lab-web" "lab-worker" "lab-keep" "lab-reload" "lab-new" "lab-tick" ];
    payload = "four";
  };
in
{
  storage = now // { specialisations = [ "rescue" ]; };
  cloud = now // { kernel = "6.12.35"; };
  router = now;
  r2s = now // { bootLimit = 2; };
  desktop = now;
  laptop = now;
  vault = now;
}
