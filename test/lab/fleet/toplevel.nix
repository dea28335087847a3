# A system's toplevel as NixOS lays it out, made by real derivations, with hardly anything in it.
{ host
, version
, revision ? ""
, kernel
, systemd ? "257.5"
, packages ? { }
, units ? [ ]
  # changes the units whose text holds it: they get restarted
, payload ? ""
  # services of the list that fail when started
, broken ? [ ]
  # activating this system takes the host off the network; activating another brings it back
, cutsNetwork ? false
  # seconds the activation takes
, slow ? 0
, specialisations ? [ ]
, initInterface ? "1"
, bootLimit ? 3
}@args:
let
  script = name: builtins.path { path = ./scripts + "/${name}"; inherit name; };
  make = name: builder: env: derivation ({
    inherit name;
    system = "x86_64-linux";
    builder = "/bin/sh";
    args = [ "-e" (script builder) ];
    PATH = "/usr/bin:/bin";
  } // env);
  package = name: version: make "${name}-${version}" "package.sh" { pname = name; inherit version; };
  words = builtins.concatStringsSep " ";

  unit = name: (import ./units.nix { inherit payload; fails = builtins.elem name broken; }).${name};
  unitFiles = builtins.concatMap
    (u: map (f: "${f}=${builtins.toFile f (unit u).${f}}") (builtins.attrNames (unit u)))
    units;

  kernelPackage = make "linux-${kernel}" "kernel.sh" { version = kernel; };
  modules = make "linux-${kernel}-modules" "modules.sh" { version = kernel; };
  initrd = make "initrd-linux-${kernel}" "initrd.sh" { version = kernel; };
  path = make "system-path" "system-path.sh" {
    inherit version revision;
    packages = words (builtins.attrValues (builtins.mapAttrs package packages));
  };
  etc = make "etc" "etc.sh" { units = words unitFiles; inherit host; };
in
make "nixos-system-${host}-${version}" "toplevel.sh" {
  inherit host version revision initrd path etc initInterface kernel modules;
  kernelPackage = kernelPackage;
  systemdPackage = package "systemd" systemd;
  switch = script "switch-to-configuration";
  activate = script "activate";
  bootLoader = script "install-boot-loader";
  bootLimit = toString bootLimit;
  slow = toString slow;
  cuts = if cutsNetwork then "1" else "";
  specialisations = words (map
    (s: "${s}=${import ./toplevel.nix (args // { specialisations = [ ]; packages = packages // { busybox = "1.36.1"; }; })}")
    specialisations);
}
