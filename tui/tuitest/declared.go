package tuitest

import "github.com/sextant-fleet/sextant/fleet"

// Declaring has a host that serves sites tell what its modules declare: a service that
// is missing, one that is left over, one of the registry that is nowhere, and others.
func Declaring(st fleet.State) fleet.State {
	st = Serving(st)
	unit := func(name, active string, from fleet.Origin) fleet.DeclaredUnit {
		return fleet.DeclaredUnit{Name: name, Origin: from, File: "/etc/systemd/system/" + name, WantedBy: []string{"multi-user.target"}, Active: active, Sub: map[string]string{"active": "running"}[active], Type: "notify", Ran: true}
	}
	st.Declared = fleet.Known(fleet.Declared{
		Toplevel: st.System.Value.Running.Path, Settled: true,
		Registry: fleet.Registry{There: true, Entries: []fleet.RegistryEntry{{Name: "immich-server", Ports: []uint16{2283}}, {Name: "jellyfin", Ports: []uint16{8096}}, {Name: "paperless", Ports: []uint16{8010}}}},
		Units: []fleet.DeclaredUnit{
			unit("caddy.service", "active", fleet.FromModules), unit("grocy.service", "inactive", fleet.FromModules), unit("old-wiki.service", "active", fleet.FromNowhere),
			unit("podman-immich-ml.service", "failed", fleet.FromModules), unit("podman-immich-server.service", "active", fleet.FromModules), unit("podman-jellyfin.service", "active", fleet.FromModules),
			unit("podman-postgres.service", "active", fleet.FromModules), unit("podman-vaultwarden.service", "active", fleet.FromModules),
		},
		Data: map[string][]string{"immich-server": {"/srv/photos"}, "jellyfin": {"/var/lib/jellyfin", "/srv/media"}, "postgres": {"/var/lib/postgres"}},
	}, ago(0), "/etc/services.json and systemd")
	st.Backups.Value = append([]fleet.BackupJob{}, st.Backups.Value...)
	for i, paths := range [][]string{{"/home", "/var/lib/jellyfin"}, {"/srv/photos"}, {"/var/lib/postgres"}, {"/var/lib/other"}} {
		st.Backups.Value[i].Paths = paths
	}
	return st
}
