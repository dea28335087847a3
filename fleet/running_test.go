package fleet

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestRunningVersions: what containers have is told by their own lists, of hosts that
// tell them now; one image on two kinds of processor is one version.
func TestRunningVersions(t *testing.T) {
	now := time.Now()
	box := func(name, image, id string, age time.Duration, digests ...string) Container {
		c := Container{Name: name, Image: image, ImageID: id, Digests: digests}
		if age > 0 {
			c.ImageAt = now.Add(-age)
		}
		return c
	}
	host := func(name string, list ...Container) State {
		return State{Host: Host{Name: name}, Containers: Known(list, now, "podman")}
	}
	amd := box("web", "docker.io/a:2", "1", time.Hour, "docker.io/a@sha256:list", "docker.io/a@sha256:amd")
	arm := box("web", "docker.io/a:2", "2", 61*time.Minute, "docker.io/a@sha256:list", "docker.io/a@sha256:arm")
	old := box("web", "docker.io/a:1", "3", 9*time.Hour, "docker.io/a@sha256:old")
	lone, undated, gone := box("db", "docker.io/b:1", "4", time.Hour), box("web", "docker.io/a:0", "5", 0), box("x", "", "", 0)
	before := host("before", box("web", "docker.io/a:9", "9", time.Minute))
	before.Containers = before.Containers.Refresh(Unknown[[]Container](errors.New("away"), now, "podman"))
	none := State{Host: Host{Name: "none"}, Containers: Nothing[[]Container]("no engine", now, "probe")}
	r := RunningIn([]State{host("amd", amd, lone, gone), host("arm", arm), host("old", old), host("undated", undated), before, none, {Host: Host{Name: "lab"}}})
	if s := strings.Join(r.Silent, " "); s != "before lab" {
		t.Errorf("silent: %s", s)
	}
	list, own := r.Of(old.Of())
	var said []string
	for _, v := range list {
		said = append(said, strings.Join(v.Tags, ",")+" "+strings.Join(v.Hosts, "+"))
	}
	if s := strings.Join(said, "; "); s != "2 amd+arm; 1 old; 0 undated" || own != 1 {
		t.Errorf("%s, own %d", s, own)
	}
	for _, c := range []struct {
		what  string
		image Image
		older bool
	}{
		{"the newest", amd.Of(), false}, {"the same on another processor, made earlier", arm.Of(), false}, {"an old one", old.Of(), true},
		{"one of which it is not known when it was made", undated.Of(), false}, {"the only one", lone.Of(), false},
		{"one that no container has", Image{ID: "7", Tags: []string{"docker.io/a:0"}, Created: now.Add(-99 * time.Hour)}, false},
	} {
		if got := r.Older(c.image); got != c.older {
			t.Errorf("%s is older: %t", c.what, got)
		}
	}
	if list, own := r.Of(Image{Tags: []string{"docker.io/c:1"}}); list != nil || own != -1 {
		t.Errorf("a repository that nobody has: %v, %d", list, own)
	}
}
