package tuitest

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Images are those of a host, after its registries were asked or not.
func Images(newer bool) fleet.Fact[[]fleet.NamedImage] {
	image := func(n int, name string, made time.Duration, used ...string) fleet.NamedImage {
		id := strings.Repeat(string("0123456789abcdef"[n]), 64)
		i := fleet.NamedImage{Name: name, Image: fleet.Image{
			Engine: "podman", User: "root", ID: id, Tags: []string{}, Digests: []string{}, Created: ago(made), Size: uint64(n+1) * 97 << 20, UsedBy: used,
		}}
		if name != "" {
			i.Tags, i.Digests = []string{name}, []string{fleet.ImageRepository(name) + "@sha256:" + id}
		}
		return i
	}
	said := func(i *fleet.NamedImage, digest string) {
		if newer {
			i.Registry = fleet.Known("sha256:"+digest, ago(time.Minute), "docker.io through storage")
		}
	}
	jellyfin, redis, private := image(1, "docker.io/jellyfin/jellyfin:10.11", 400*time.Hour, "jellyfin"), image(2, "docker.io/library/redis:7", 90*time.Hour, "immich-redis", "paperless-redis"), image(3, "registry.example.org/private/app:2", 40*time.Hour, "app")
	said(&jellyfin, strings.Repeat("f", 64))
	said(&redis, redis.ID)
	if newer {
		private.Registry = fleet.Unknown[string](fleet.WithCure(errors.New("registry.example.org wants a login for it, or does not have it"), "install skopeo on the host: it asks with the logins and certificates that Podman has there"), ago(time.Minute), "registry.example.org")
	}
	built, old, lost := image(4, "localhost/tools:latest", 900*time.Hour), image(5, "", 2000*time.Hour), image(6, "", 3000*time.Hour, "grafana")
	built.Registry = fleet.Nothing[string]("it was built on the host: no registry has it", Now, "image")
	old.Kept = []fleet.Kept{{Container: "jellyfin", Image: "docker.io/jellyfin/jellyfin:10.11", At: ago(30 * time.Hour)}}
	lost.Before = []string{"docker.io/grafana/grafana:latest"}
	return fleet.Known([]fleet.NamedImage{jellyfin, redis, private, built, old, lost}, ago(4*time.Minute), "podman 5.8.2")
}

// Images implements fleet.Console.
func (c *Console) Images(_ context.Context, _ fleet.HostID, newer bool) fleet.Fact[[]fleet.NamedImage] {
	if c.AllImages == nil {
		return fleet.Unknown[[]fleet.NamedImage](errors.New("no images here"), Now, "podman")
	}
	return c.AllImages(newer)
}
