package tuitest

import (
	"errors"

	"github.com/sextant-fleet/sextant/fleet"
)

// Shared is what the containers of the sample's hosts share: storage tells all of
// it, media-r2s what one of its two engines does.
func Shared() map[fleet.HostID]fleet.Fact[fleet.Shared] {
	at := ago(2 * day)
	storage := fleet.Known(fleet.Shared{
		Pods: []fleet.Pod{
			{Engine: "podman", User: "root", Name: "immich", ID: "5e1", State: "degraded", Created: at, Networks: []string{"immich"}, Containers: []string{"immich-server", "postgres"}, Stopped: []string{"postgres"}},
			{Engine: "podman", User: "vault", Name: "left-over", ID: "5e2", State: "created", Created: at, Networks: []string{}, Containers: []string{}, Stopped: []string{}},
		},
		Networks: []fleet.Network{
			{Engine: "podman", User: "root", Name: "podman", ID: "2f1", Driver: "bridge", Interface: "podman0", Subnets: []string{"10.88.0.0/16"}, Builtin: true, Created: at, Containers: []string{"caddy", "jellyfin"}},
			{Engine: "podman", User: "root", Name: "immich", ID: "2f2", Driver: "bridge", Interface: "podman1", Subnets: []string{"10.89.0.0/24", "fd12:3456::/64"}, DNS: true, Created: at, Containers: []string{"immich-server", "postgres"}},
			{Engine: "podman", User: "root", Name: "mealie", ID: "2f3", Driver: "bridge", Interface: "podman2", Subnets: []string{"10.89.1.0/24"}, Internal: true, DNS: true, Created: at, Containers: []string{}},
			{Engine: "podman", User: "vault", Name: "podman", ID: "2f4", Driver: "bridge", Interface: "podman0", Subnets: []string{"10.88.0.0/16"}, Builtin: true, Created: at, Containers: []string{}},
		},
		Volumes: []fleet.Volume{
			{Engine: "podman", User: "root", Name: "postgres-data", Driver: "local", Path: "/var/lib/containers/storage/volumes/postgres-data/_data", Created: at, Containers: []string{"postgres"}},
			{Engine: "podman", User: "root", Name: "mealie-data", Driver: "local", Path: "/var/lib/containers/storage/volumes/mealie-data/_data", Created: at, Containers: []string{}},
			{Engine: "podman", User: "root", Name: "cache", Driver: "nfs", Path: "/mnt/cache", Created: at},
			{Engine: "podman", User: "vault", Name: "vault-data", Driver: "local", Path: "/home/vault/.local/share/containers/storage/volumes/vault-data/_data", Created: at, Containers: []string{"vaultwarden"}},
		},
	}, Now, "podman 5.8")
	media := fleet.Known(fleet.Shared{Volumes: []fleet.Volume{{Engine: "docker", User: "root", Name: "plex-config", Driver: "local", Path: "/var/lib/docker/volumes/plex-config/_data", Created: at, Containers: []string{"plex"}}}}, Now, "docker 20.10")
	media.Err, media.ErrAt = "root's Podman (/run/podman/podman.sock): permission denied", Now
	return map[fleet.HostID]fleet.Fact[fleet.Shared]{
		"n-storage": storage, "n-media-r2s": media,
		"n-router": fleet.Unknown[fleet.Shared](errors.New("no answer within 20s"), Now, ""),
	}
}
