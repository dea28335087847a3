package podman

import (
	"context"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// TestSweep: never what a container uses; what is kept only where that is said.
func TestSweep(t *testing.T) {
	id := func(c string) string { return strings.Repeat(c, 64) }
	images := []fleet.Image{
		{ID: id("a"), Tags: []string{"docker.io/a:1"}, UsedBy: []string{"c"}},
		{ID: id("b"), UsedBy: []string{"c"}},
		{ID: id("c")},
		{ID: "sha256:" + id("d"), Tags: []string{"docker.io/d:1"}},
		{ID: id("e"), Kept: []fleet.Kept{{Container: "c"}}},
		{ID: id("f"), Kept: []fleet.Kept{{Container: "c"}}, UsedBy: []string{"c"}},
		{ID: "../x"},
	}
	for _, c := range []struct {
		sweep Sweep
		want  string
	}{{Sweep{}, "c"}, {Sweep{Named: true}, "cd"}, {Sweep{Kept: true}, "ce"}, {Sweep{Named: true, Kept: true}, "cde"}} {
		got := ""
		for _, i := range c.sweep.Unused(images) {
			got += i.ID[len(i.ID)-1:]
		}
		if got != c.want {
			t.Errorf("%+v: %s, want %s", c.sweep, got, c.want)
		}
	}
}

// TestRemove: an image that has another name by now is not what was shown.
func TestRemove(t *testing.T) {
	e, p := pulling(t, nil)
	p.images = []byte(`[{"Id":"` + someID + `","RepoTags":["docker.io/u/a:1","localhost/sextant-kept/docker.io/u/a:20261128T124501Z-1-c-1"]}]`)
	shown := fleet.Image{Engine: "podman", User: "root", ID: someID, Tags: []string{"docker.io/u/a:2"}}
	if err := e.Remove(t.Context(), shown); err == nil || len(p.done) != 0 {
		t.Errorf("%v: %q", err, p.done)
	}
	shown.Tags[0] = "docker.io/u/a:1"
	if err := e.Remove(t.Context(), shown); err != nil || len(p.done) != 3 || !strings.HasPrefix(p.done[2], "DELETE /images/"+someID+"?") ||
		!strings.Contains(p.done[0]+p.done[1], "untag?repo=docker.io%2Fu%2Fa&tag=1") || !strings.Contains(p.done[0]+p.done[1], "sextant-kept") {
		t.Errorf("%v: %q", err, p.done)
	}
}

// updating is a host whose podman auto-update says this.
type updating struct {
	*host
	out, err string
	status   int
	ran      []link.Command
}

func (u *updating) Run(_ context.Context, cmd link.Command) (link.Result, error) {
	u.ran = append(u.ran, cmd)
	return link.Result{Stdout: []byte(u.out), Stderr: []byte(u.err), Status: u.status}, nil
}

func TestAutoUpdate(t *testing.T) {
	const said = `[{"Unit":"memos.service","Container":"0123456789ab (memos)","ContainerName":"memos\u001b[31m","Image":"docker.io/u/a:1","Policy":"registry","Updated":"pending"}]`
	h := &updating{host: newHost(t), out: said}
	h.listen(rootSocket, newPodman(t, "5.4.2"))
	h.listen(adaSock.Path, newPodman(t, "5.4.2"))
	e := New(h)
	defer e.Close()
	e.Read(t.Context(), probed(state(rootSock, adaSock)))
	list, err := e.AutoUpdate(t.Context(), true)
	if err != nil || len(list) != 2 || list[0].User != "root" || list[1].User != "ada" || strings.Contains(list[0].Container, "\x1b") || list[0].Updated != "pending" {
		t.Errorf("%+v, %v", list, err)
	}
	for i, cmd := range h.ran {
		if cmd.Args[len(cmd.Args)-1] != "--dry-run" || cmd.Root != (i == 0) || cmd.User != []string{"", "ada"}[i] {
			t.Errorf("%+v", cmd)
		}
	}
	h.err, h.status = "Error: unable to \x1b[2Jpull", 125
	if list, err = e.AutoUpdate(t.Context(), false); err == nil || len(list) != 2 || !strings.Contains(err.Error(), "podman auto-update of ada on storage: Error: unable to") || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%+v, %v", list, err)
	}
	h.out, h.err, h.status = "", "", 0
	if _, err = e.AutoUpdate(t.Context(), true); err == nil {
		t.Error("it said nothing, and that passed for nothing to do")
	}
}
