package hostscreen

import (
	"slices"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
)

// TestImagesByTheirOwnNames: registries and folders are in the detail.
func TestImagesByTheirOwnNames(t *testing.T) {
	for in, want := range map[string]string{
		"docker.io/library/caddy:2.10": "caddy:2.10", "ghcr.io/immich-app/server:v2": "server:v2", "": "",
		"docker.io/x/y@sha256:0123456789abcdef0123456789abcdef": "y@sha256:0123456", "localhost:5000/lab/app:1": "app:1",
	} {
		if got := image(in); got != want {
			t.Errorf("image(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPorts(t *testing.T) {
	ct := fleet.Container{Ports: []fleet.Port{
		{HostIP: "0.0.0.0", Host: 443, Container: 443, Protocol: "tcp"}, {HostIP: "::", Host: 443, Container: 443, Protocol: "tcp"},
		{Host: 8053, Container: 53, Protocol: "udp"}, {Host: 5000, Container: 5000, Range: 10, Protocol: "tcp"},
	}}
	if got := ports(ct); got != "443 8053>53/udp 5000+9" {
		t.Errorf("%q", got)
	}
	if got := portList(ct); got[2] != "*:8053 > 53/udp" || got[3] != "*:5000 > 5000/tcp (10 ports)" {
		t.Errorf("%q", got)
	}
}

func TestStatesAreWordsAndRoles(t *testing.T) {
	for _, c := range []struct {
		ct   fleet.Container
		want string
		role themes.Role
	}{
		{fleet.Container{State: "running"}, "running", themes.OK}, {fleet.Container{State: "exited"}, "exited", themes.Warn},
		{fleet.Container{State: "exited", ExitCode: 137}, "FAIL 137", themes.Fail}, {fleet.Container{State: fleet.Absent}, "absent", themes.Fail},
		{fleet.Container{}, "?", themes.Unknown}, {fleet.Container{State: "paused"}, "paused", themes.Warn},
	} {
		if got := containerState(c.ct); got.String() != c.want || got[0].Role != c.role {
			t.Errorf("%+v: %v", c.ct, got)
		}
	}
	for _, c := range []struct {
		u    fleet.Unit
		want string
	}{
		{fleet.Unit{Active: "failed", Sub: "failed"}, "FAIL"}, {fleet.Unit{Active: "active", Sub: "running"}, "running"}, {fleet.Unit{Active: "active"}, "active"},
		{fleet.Unit{Active: "activating", Sub: "auto-restart"}, "activating"}, {fleet.Unit{}, "?"},
	} {
		if got := unitState(c.u); got.String() != c.want {
			t.Errorf("%+v: %v", c.u, got)
		}
	}
}

func TestTheBrokenComeFirst(t *testing.T) {
	st := fleet.State{
		Units:      fleet.Fact[[]fleet.Unit]{Value: []fleet.Unit{{Name: "a"}, {Name: "z", Active: "failed"}, {Name: "b"}}},
		Containers: fleet.Fact[[]fleet.Container]{Value: []fleet.Container{{Name: "b", State: "running"}, {Name: "a", State: "running"}, {Name: "z", State: "dead"}, {Name: "a", User: "u", State: "running"}}},
	}
	names := func(rows []row) (out []string) {
		for _, r := range rows {
			out = append(out, r.name)
		}
		return out
	}
	all := units(t.Context())
	all.every = true
	all.refill(nil, st)
	if got := all.list.All(); !slices.Equal(got, []string{"z", "a", "b"}) {
		t.Errorf("%v", got)
	}
	tab := containers(false)
	tab.take(nil, []fleet.State{st})
	var rows []row
	for _, id := range tab.list.All() {
		rows = append(rows, tab.byID[id])
	}
	if got := names(rows); !slices.Equal(got, []string{"z", "a", "a", "b"}) || rows[1].id == rows[2].id {
		t.Errorf("%v %v", got, rows)
	}
}

func TestFilters(t *testing.T) {
	tab := units(t.Context())
	r := row{name: "podman-caddy.service", more: "active running Caddy"}
	for filter, want := range map[string]bool{"": true, "caddy": true, "CADDY": true, "pdmcd": true, "running": true, "zz": false, "!caddy": false, "!zz": true, "!": true} {
		tab.filter = filter
		if got := tab.passes(r); got != want {
			t.Errorf("/%s: %v", filter, got)
		}
	}
}

// TestWhyAHostIsNotReachedIsSaidOnce: in a tab that has nothing to show for it.
func TestWhyAHostIsNotReachedIsSaidOnce(t *testing.T) {
	c := &screen.Context{Glyphs: themes.Unicode}
	say := func(fact, reach string) string {
		st := fleet.State{}
		st.Reach.Err, st.Generations.Err = reach, fact
		var b strings.Builder
		for _, l := range none(c, st, st.Generations, "no generation") {
			b.WriteString(l.String() + "\n")
		}
		return b.String()
	}
	if got := say("host not reachable: no answer", "no answer"); strings.Count(got, "no answer") != 1 {
		t.Errorf("%q", got)
	}
	if got := say("denied", "no answer"); !strings.Contains(got, "denied") || !strings.Contains(got, "no answer") {
		t.Errorf("both are to be told: %q", got)
	}
}

func TestReleaseLeavesTheCommitOut(t *testing.T) {
	for version, want := range map[string]string{
		"26.05.20261123.3d78f12": "26.05.20261123", "26.05pre-git": "26.05pre-git", "": "", "25.11.1.2": "25.11.1.2",
	} {
		if got := release(version); got != want {
			t.Errorf("%q is %q, want %q", version, got, want)
		}
	}
}
