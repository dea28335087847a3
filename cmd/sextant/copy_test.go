package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

func TestCopyingOf(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     copying
		wrong    string
	}{
		{"storage:web:/etc/a", "b", copying{host: "storage", container: "web", there: "/etc/a", here: "b"}, ""},
		{"b", "storage:web:/a:b", copying{in: true, host: "storage", container: "web", there: "/a:b", here: "b"}, ""},
		{"./a:b:c", "storage:web:/", copying{in: true, host: "storage", container: "web", there: "/", here: "./a:b:c"}, ""},
		{"a", "b", copying{}, "must be HOST:CONTAINER:PATH"},
		{"storage:web:", "b", copying{}, "must be HOST:CONTAINER:PATH"},
		{"storage:web:/a", "cloud:web:/a", copying{}, "a path here"},
	} {
		got, err := copyingOf(c.from, c.to)
		if got != c.want || (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s %s: %+v, %v", c.from, c.to, got, err)
		}
	}
}

// TestPlanCopy: both paths are asked for, and what is done is said in full.
func TestPlanCopy(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	target := fleet.Target{Container: "web", Chosen: map[string]string{"there": "/etc/a"}}
	if _, err := planCopy(target, false); err == nil || err.Error() != "name both paths" {
		t.Error(err)
	}
	target.Chosen["here"] = "~/b"
	if p, err := planCopy(target, false); err != nil || p.Title != "Copy web:/etc/a" || p.Lines[0] != "to "+home+"/b" || len(p.Lines) != 1 {
		t.Errorf("%+v %v", p, err)
	}
	target.Chosen["over"] = "is overwritten"
	if p, err := planCopy(target, true); err != nil || p.Title != "Copy "+home+"/b" || strings.Join(p.Lines, "|") != "to web:/etc/a|a file that is there is overwritten" {
		t.Errorf("%+v %v", p, err)
	}
	if c := chosenCopy(target, true); !c.force || !c.in || c.here != home+"/b" || c.there != "/etc/a" {
		t.Errorf("%+v", c)
	}
}

// TestCopyIsOff where the container is absent; one that does not run is copied from.
func TestCopyIsOff(t *testing.T) {
	host := fleet.State{
		Host: fleet.Host{Name: "desktop"}, Reach: fleet.Known(fleet.Reach{State: fleet.Up}, time.Now(), "ssh"),
		Containers: fleet.Known([]fleet.Container{{Name: "web", State: "exited"}, {Name: "gone", State: fleet.Absent}}, time.Now(), "podman"),
	}
	for name, want := range map[string]string{"web": "", "gone": "gone is absent", "nobody": "no container nobody there"} {
		if why := offCopy(fleet.Target{Hosts: []fleet.State{host}, Container: name}); why == "" != (want == "") || !strings.Contains(why, want) {
			t.Errorf("%s: %s", name, why)
		}
	}
	for name, want := range map[string]string{"web": "does not run", "gone": "does not run"} {
		if why := offExec(fleet.Target{Hosts: []fleet.State{host}, Container: name}); !strings.Contains(why, want) {
			t.Errorf("%s: %s", name, why)
		}
	}
}

func TestMeterIsForTerminals(t *testing.T) {
	var out bytes.Buffer
	m := newMeter(&out)
	m.show(1<<20, 4<<20)
	m.end()
	if out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
	if s := soFar(1<<20, 4<<20); s != "1.0 MiB of 4.0 MiB (25%)" {
		t.Error(s)
	}
	if s := soFar(1<<20, 0); s != "1.0 MiB" {
		t.Error(s)
	}
}
