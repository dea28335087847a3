package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

// onDemoContainers asks simulated hosts for their containers.
func onDemoContainers(t *testing.T, sel []string, then func(a *app, states []fleet.State)) {
	t.Helper()
	onDemo(t, sel[0], func(a *app, _ []fleet.State) {
		states, err := a.pick(sel)
		if err != nil {
			t.Fatal(err)
		}
		a.ask(t.Context(), states, only("containers"))
		if states, err = a.pick(sel); err != nil {
			t.Fatal(err)
		}
		then(a, states)
	})
}

// imagesOut is the machine output of sextant images.
type imagesOut struct {
	Images []struct {
		Host, User, Name, ID string
		UsedBy               []string
		Size                 uint64
		Newer                *bool
		Registry             struct {
			Value, Error, Cure, Source string
			None                       bool
		}
	}
	Versions []fleet.ImageVersions
}

// TestDemoImages: without a question no registry is asked; then each name once. What
// runs in several versions is told, and what cannot be known, with the reason.
func TestDemoImages(t *testing.T) {
	onDemoContainers(t, []string{"storage", "cottage", "cloud", "desktop"}, func(a *app, states []fleet.State) {
		images := a.readImages(t.Context(), states)
		list := func(want int) (out imagesOut, table string) {
			t.Helper()
			a.opts.json = true
			var b bytes.Buffer
			if err := a.printImages(&b, states, images); code(err) != want {
				t.Fatal(err, b.String())
			}
			if err := json.Unmarshal(b.Bytes(), &out); err != nil {
				t.Fatal(err)
			}
			a.opts.json = false
			b.Reset()
			_ = a.printImages(&b, states, images)
			return out, b.String()
		}
		before, table := list(0)
		if len(before.Images) < 40 || !strings.Contains(table, "not asked") {
			t.Fatalf("%d images\n%s", len(before.Images), table)
		}
		for _, i := range before.Images {
			if i.Newer != nil || i.Size == 0 {
				t.Errorf("%+v", i)
			}
		}
		a.askRegistries(t.Context(), states, images, false)
		after, table := list(exitUnknown) // of one
		newer, same, unknown, user := 0, 0, 0, 0
		for _, i := range after.Images {
			switch {
			case i.Newer == nil:
				unknown++
				if len(i.UsedBy) > 0 && !strings.Contains(i.Registry.Error, "wants a login") && i.Name != "" {
					t.Errorf("%+v", i)
				}
			case *i.Newer:
				newer++
			default:
				same++
			}
			if i.User == "ada" && i.Name == "docker.io/miniflux/miniflux:2.2.17" && i.Newer != nil {
				user++
			}
		}
		if newer < 5 || same < 10 || unknown == 0 || user != 1 {
			t.Errorf("newer %d, the same %d, unknown %d, of users %d\n%s", newer, same, unknown, user, table)
		}
		if len(after.Versions) < 5 || after.Versions[0].Repository != "docker.io/library/postgres" && len(after.Versions[0].Versions) != 2 {
			t.Errorf("%+v", after.Versions)
		}
		for _, want := range []string{"2 versions of ghcr.io/home-assistant/home-assistant: ", " on cottage", "? cloud: ghcr.io/dexidp/dex:v2.45.0: ghcr.io wants a login", "newer"} {
			if !strings.Contains(table, want) {
				t.Errorf("no %q in\n%s", want, table)
			}
		}
		if t.Failed() || testing.Verbose() {
			t.Log(table)
		}
	})
}

// TestDemoVersions: the lists of containers alone tell which run an older image than
// another host.
func TestDemoVersions(t *testing.T) {
	onDemoContainers(t, []string{"storage", "cottage"}, func(_ *app, states []fleet.State) {
		running, older := fleet.RunningIn(states), map[string]bool{}
		for _, s := range states {
			for _, c := range s.Containers.Value {
				if len(c.Digests) == 0 || c.ImageID == "" {
					t.Errorf("%s on %s: no digests of its image", c.Name, s.Host.Name)
				}
				older[s.Host.Name+" "+c.Name] = running.Older(c.Of())
			}
		}
		for name, want := range map[string]bool{"cottage frigate": true, "cottage home-assistant": true, "storage frigate": false, "storage home-assistant": false, "cottage esphome": false, "storage jellyfin": false} {
			if got, ok := older[name]; !ok || got != want {
				t.Errorf("%s is older: %t (there: %t)", name, got, ok)
			}
		}
	})
}
