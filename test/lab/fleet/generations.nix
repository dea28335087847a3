# The systems a host has had, oldest first; the last is what the flake builds.
{ host, revision }:
let
  toplevel = import ./toplevel.nix;
  past = [
    {
      version = "25.05.20250501.abcdef1";
      kernel = "6.12.25";
      packages = { caddy = "2.9.1"; openssh = "10.0p1"; podman = "5.4.1"; nano = "8.3"; };
      units = [ "lab-web" "lab-worker" "lab-keep" "lab-reload" "lab-old" ];
      payload = "one";
      revision = "1111111111111111111111111111111111111111";
    }
    {
      version = "25.05.20250520.abcdef2";
      kernel = "6.12.31";
      packages = { caddy = "2.9.1"; openssh = "10.0p2"; podman = "5.4.2"; };
      units = [ "lab-web" "lab-worker" "lab-keep" "lab-reload" "lab-old" "lab-tick" ];
      payload = "two";
      revision = "2222222222222222222222222222222222222222";
      specialisations = [ "rescue" ];
    }
    {
      version = "25.05.20250527.abcdef3";
      kernel = "6.12.31";
      packages = { caddy = "2.10.0"; openssh = "10.0p2"; podman = "5.4.2"; };
      units = [ "lab-web" "lab-worker" "lab-keep" "lab-reload" "lab-tick" ];
      payload = "three";
      revision = "";
    }
  ];
  now = { inherit revision; } // (import ./hosts.nix).${host};
in
map (g: toplevel ({ inherit host; } // g)) (past ++ [ now ])
