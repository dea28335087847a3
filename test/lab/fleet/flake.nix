{
  description = "the lab's fleet: NixOS-like systems, without nixpkgs";

  outputs = { self }:
    let
      toplevel = import ./toplevel.nix;
      settings = import ./hosts.nix;
      revision = self.rev or "0000000000000000000000000000000000000000";
      system = name: {
        config = {
          networking.hostName = name;
          system.stateVersion = "25.05";
          system.build.toplevel = toplevel ({ host = name; inherit revision; } // settings.${name});
        };
        options = { };
      };
    in
    {
      hosts = builtins.attrNames settings;
      nixosConfigurations = builtins.mapAttrs (name: _: system name) settings;
    };
}
