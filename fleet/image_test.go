package fleet

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestImageNames(t *testing.T) {
	for name, want := range map[string]string{
		"docker.io/library/caddy:2":              "docker.io/library/caddy 2",
		"localhost:5000/caddy":                   "localhost:5000/caddy ",
		"localhost:5000/caddy:v1@sha256:abcdef0": "localhost:5000/caddy v1",
		"ghcr.io/a/b@sha256:abcdef0":             "ghcr.io/a/b ",
		"":                                       " ",
	} {
		if got := ImageRepository(name) + " " + ImageTag(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// TestNewerIsToldOnlyWhereItIsKnown: what was not asked, failed or cannot be compared
// is neither newer nor the same.
func TestNewerIsToldOnlyWhereItIsKnown(t *testing.T) {
	now := time.Now()
	pulled := Image{Digests: []string{"docker.io/a@sha256:one", "docker.io/a@sha256:list", "docker.io/b@sha256:two"}}
	for _, c := range []struct {
		what         string
		image        Image
		registry     Fact[string]
		newer, known bool
	}{
		{"the same", pulled, Known("sha256:list", now, ""), false, true},
		{"the same by its other digest", pulled, Known("sha256:one", now, ""), false, true},
		{"another name's digest", pulled, Known("sha256:two", now, ""), true, true},
		{"not asked", pulled, Fact[string]{}, false, false},
		{"failed", pulled, Unknown[string](errors.New("no"), now, ""), false, false},
		{"failed now, answered before", pulled, Known("sha256:new", now, "").Refresh(Unknown[string](errors.New("no"), now, "")), true, true},
		{"built on the host", Image{}, Known("sha256:new", now, ""), false, false},
	} {
		if newer, known := c.image.Newer("docker.io/a:1", c.registry); newer != c.newer || known != c.known {
			t.Errorf("%s: newer %v, known %v", c.what, newer, known)
		}
	}
}

// TestVersionsOfTheFleet: only what runs counts; one image on two kinds of processor
// is one version; an image that lost its name counts by what it was called.
func TestVersionsOfTheFleet(t *testing.T) {
	at := time.Now()
	used := func(id string, made time.Duration, tag string, digests ...string) Image {
		i := Image{ID: id, Created: at.Add(-made), UsedBy: []string{"c"}, Digests: digests}
		if tag != "" {
			i.Tags = []string{"docker.io/a:" + tag}
		} else {
			i.Before = []string{"docker.io/a:1"}
		}
		return i
	}
	unused := used("9", time.Hour, "0")
	unused.UsedBy = nil
	lone := Image{ID: "7", Tags: []string{"docker.io/b:1"}, UsedBy: []string{"x"}}
	got := Versions([]HostImages{
		{"amd", []Image{used("1", time.Hour, "2", "docker.io/a@sha256:list", "docker.io/a@sha256:amd"), unused, lone}},
		{"arm", []Image{used("2", 2*time.Hour, "2", "docker.io/a@sha256:list", "docker.io/a@sha256:arm")}},
		{"old", []Image{used("3", 9*time.Hour, "", "docker.io/a@sha256:old")}},
	})
	var out []string
	for _, v := range got {
		for _, x := range v.Versions {
			out = append(out, v.Repository+" "+strings.Join(x.Tags, ",")+" "+x.Digest+" "+strings.Join(x.Hosts, "+"))
		}
	}
	if s := strings.Join(out, "; "); s != "docker.io/a 2 sha256:list amd+arm; docker.io/a  sha256:old old" {
		t.Error(s)
	}
}
