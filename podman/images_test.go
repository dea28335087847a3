package podman

import (
	"slices"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

func TestImagesOfPodmanAndDocker(t *testing.T) {
	h := newHost(t)
	p := newPodman(t, "5.4.2")
	h.listen(rootSocket, p)
	h.listen(dockerSock.Path, dockerServer(t, nil))
	e := h.engines()
	if f := e.Images(t.Context()); f.HasValue() {
		t.Errorf("before anything was read: %+v", f)
	}
	e.Read(t.Context(), probed(state(rootSock, dockerSock)))
	f := e.Images(t.Context())
	if !f.Current() || f.Source != "podman 5.4.2, docker 20.10.24+dfsg1" {
		t.Fatalf("%+v", f)
	}
	named := func(name string) fleet.Image {
		i := slices.IndexFunc(f.Value, func(i fleet.Image) bool { return slices.Contains(i.Tags, name) })
		if i < 0 {
			t.Fatalf("no image %s in %+v", name, f.Value)
		}
		return f.Value[i]
	}
	if i := named("docker.io/jellyfin/jellyfin:10.10.7"); i.Engine != "podman" || i.User != "root" || i.Size != 12167399 || i.Created.IsZero() || strings.Join(i.UsedBy, " ") != "jellyfin" {
		t.Errorf("%+v", i)
	}
	if i := named("docker.io/jellyfin/jellyfin:10.10.6"); i.UsedBy == nil || len(i.UsedBy) != 0 {
		t.Errorf("%+v", i)
	}
	if i := named("docker.io/linuxserver/plex:1.41.7"); i.Engine != "docker" || strings.Join(i.UsedBy, " ") != "hc plex" {
		t.Errorf("%+v", i)
	}
}

// TestImagesOfAnEngineThatFails: the others' are told, and the list is not whole.
func TestImagesOfAnEngineThatFails(t *testing.T) {
	h := newHost(t)
	good := newPodman(t, "5.4.2")
	h.listen(rootSocket, good)
	bad := newPodman(t, "5.4.2")
	bad.images = []byte(`{"cause":"\u001b[31m"}`)
	h.listen(adaSock.Path, bad)
	e := h.engines()
	e.Read(t.Context(), probed(state(rootSock, adaSock)))
	f := e.Images(t.Context())
	if f.Current() || len(f.Value) == 0 || !strings.Contains(f.Err, "ada's Podman") {
		t.Errorf("%d images, %s", len(f.Value), f.Err)
	}
	good.images = bad.images
	if f := e.Images(t.Context()); f.HasValue() || f.Err == "" {
		t.Errorf("%d images, %s", len(f.Value), f.Err)
	}
}

// TestListedImages: what a name is kept for is no name, and nothing of a host's text
// reaches a terminal.
func TestListedImages(t *testing.T) {
	list, err := parseImageList([]byte(`[{"Id":"` + strings.Repeat("a", 64) + `","RepoTags":["docker.io/a:2","localhost/sextant-kept/docker.io/a:20261128T124501Z-1-c-1","localhost/sextant-kept/docker.io/a:20261129T124501Z-1-c-1"],
		"RepoDigests":["docker.io/a@sha256:1","localhost/sextant-kept/docker.io/a@sha256:1"],"History":["docker.io/a:2","docker.io/a:1","docker.io/a@sha256:1"],"Size":-5,"Created":-1},
		{"Id":"\u001b[31m","RepoTags":["<none>:<none>","\u001b]0;owned\u0007"],"RepoDigests":["<none>@<none>"]},{}]`))
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	i := list[0]
	if strings.Join(i.Tags, " ") != "docker.io/a:2" || strings.Join(i.Digests, " ") != "docker.io/a@sha256:1" || strings.Join(i.Before, " ") != "docker.io/a:1" ||
		len(i.Kept) != 2 || i.Kept[0].At.Before(i.Kept[1].At) || i.Size != 0 || !i.Created.IsZero() {
		t.Errorf("%+v", i)
	}
	if s := strings.Join(append(list[1].Tags, list[1].ID), ""); strings.ContainsAny(s, "\x1b\a") || len(list[1].Tags) != 1 || len(list[1].Digests) != 0 {
		t.Errorf("%+v", list[1])
	}
}

func FuzzImages(f *testing.F) {
	for _, v := range []string{"4.3.1", "5.4.2"} {
		f.Add(fixture(f, "podman-"+v+"-images.json"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _ := parseImageList(b)
		for _, i := range list {
			for _, s := range slices.Concat(i.Tags, i.Digests, i.Before) {
				if s != fleet.Clean(s) {
					t.Errorf("%q", s)
				}
			}
		}
	})
}
