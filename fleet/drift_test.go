package fleet

import (
	"strings"
	"testing"
	"time"
)

func TestDrift(t *testing.T) {
	const head, old, strange = "aaaaaaaaaaaa1111", "bbbbbbbbbbbb2222", "cccccccccccc3333"
	repo := Repository{
		Revision: head, Systems: map[string]string{"known": "/nix/store/1-known"},
		Distances: map[string]Distance{head: {}, old: {Behind: 3}, strange: {Lost: true}, "dddddddddddd": {Behind: 2, Ahead: 1}, "eeeeeeeeeeee": {Ahead: 1}},
	}
	dirty := repo
	dirty.Dirty = true
	bare := Repository{Ref: "/etc/nixos"}
	remote := Repository{Revision: head}
	for _, c := range []struct {
		repo           Repository
		host, path     string
		revision, want string
	}{
		{repo, "a", "", head, "same/revision: it runs the newest commit"},
		{repo, "a", "", old, "differs/revision: 3 commits behind"},
		{repo, "a", "", strange, "differs/revision: it runs ccccccccccc…, which the repository does not know"},
		{repo, "a", "", "dddddddddddd", "differs/revision: 2 commits behind, and 1 commit that the repository has not"},
		{repo, "a", "", "eeeeeeeeeeee", "differs/revision: 1 commit ahead"},
		{repo, "a", "", head + "-dirty", "unknown/revision: the same commit, but with changes"},
		{repo, "a", "", old + "-dirty", "differs/revision: 3 commits behind, with changes"},
		{repo, "a", "", "", "unknown/: its system does not tell its revision"},
		{dirty, "a", "", head, "unknown/revision: the same commit, but the repository has changes"},
		{dirty, "known", "/nix/store/2-known", head, "differs/path: it runs another system"},
		{bare, "a", "", head, "unknown/: the flake is in no repository"},
		{remote, "a", "", old, "differs/revision: it runs another revision"},
		{repo, "known", "/nix/store/1-known", "", "same/path: it runs what the repository declares"},
		{repo, "known", "/nix/store/1-known", old, "same/path: "},
		{repo, "known", "/nix/store/2-known", head, "differs/path: it runs another system"},
		{repo, "known", "/nix/store/2-known", old, "differs/path: 3 commits behind"},
	} {
		s := State{Host: Host{Name: c.host}}
		s.System = Known(System{NixOS: true, Revision: c.revision, Running: Toplevel{Path: c.path}}, time.Now(), "probe")
		d := c.repo.Drift(s)
		if got := string(d.State) + "/" + d.By + ": " + d.Why; !strings.HasPrefix(got, c.want) {
			t.Errorf("%+v: got %q", c, got)
		}
	}
	if d := repo.Drift(State{}); d.State != DriftUnknown {
		t.Errorf("of a host that was never asked: %+v", d)
	}
}
