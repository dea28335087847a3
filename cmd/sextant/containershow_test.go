package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
)

// containersOnDemo hands over a simulated host whose containers were read.
func containersOnDemo(t *testing.T, host string, then func(a *app, st fleet.State)) {
	t.Helper()
	err := withDemo(t.Context(), options{timeout: 20 * time.Second}, &discover.Config{}, 0, func(a *app) error {
		if err := a.find(t.Context(), false); err != nil {
			return err
		}
		states, err := a.pick([]string{host})
		if err != nil {
			return err
		}
		a.ask(t.Context(), states, only("containers"))
		if states, err = a.pick([]string{host}); err == nil {
			then(a, states[0])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// shown runs `container show` on a container of a simulated host.
func shown(t *testing.T, a *app, st fleet.State, c fleet.Container, o options, secrets bool) (string, error) {
	t.Helper()
	var out bytes.Buffer
	a.opts.json, a.opts.plain = o.json, o.plain
	err := a.showContainer(t.Context(), &out, st.Host, c, secrets)
	return out.String(), err
}

// TestDemoContainerShow: all of a container is told, nothing secret of it unless
// that is asked for, and the unit that owns it.
func TestDemoContainerShow(t *testing.T) {
	containersOnDemo(t, "cloud", func(a *app, st fleet.State) {
		var c fleet.Container
		for _, c = range st.Containers.Value {
			if c.Health == "unhealthy" {
				break
			}
		}
		text, err := shown(t, a, st, c, options{json: true}, true)
		if err != nil {
			t.Fatal(err)
		}
		var open struct {
			fleet.ContainerDetail
			Processes fleet.Fact[fleet.ContainerTop]
		}
		if err := json.Unmarshal([]byte(text), &open); err != nil {
			t.Fatal(err)
		}
		secret := ""
		for _, e := range open.Environment {
			if e.Name == "API_KEY" {
				secret = e.Value
			}
		}
		if len(secret) < 20 || !open.Secrets || open.Hidden != 0 || open.Container.Unit == "" || open.Container.UnitSub == "" || len(open.Processes.Value.Processes) != 2 {
			t.Fatalf("%s", text)
		}
		for name, o := range map[string]options{"people": {}, "plain": {plain: true}, "machines": {json: true}} {
			text, err := shown(t, a, st, c, o, false)
			if err != nil || strings.Contains(text, secret) || strings.Count(text, fleet.Hidden) < 6 {
				t.Errorf("to %s: %v: %s", name, err, text)
			}
			for _, want := range []string{"TZ", "Etc/UTC", "/config", "/etc/localtime", "10.88.0.", "org.opencontainers.image.title", c.Unit, "returned error: 503", "journald", "/init", "podman 5.8.2"} {
				if !strings.Contains(text, want) {
					t.Errorf("to %s: no %q in\n%s", name, want, text)
				}
			}
			if name != "machines" && !strings.Contains(text, "--secrets shows them") {
				t.Errorf("to %s: not told how to see what is hidden:\n%s", name, text)
			}
		}
	})
}

// TestContainerShowOfWhatIsNotThere says why, and what to do.
func TestContainerShowOfWhatIsNotThere(t *testing.T) {
	containersOnDemo(t, "storage", func(a *app, st fleet.State) {
		if _, err := a.namedContainer(st, "nothing", ""); err == nil || !strings.Contains(fleet.InFull(err), "see sextant containers storage") {
			t.Errorf("%v", err)
		}
		gone := fleet.Container{Engine: "podman", User: "root", Name: "web", State: fleet.Absent, Unit: "podman-web.service", UnitSub: "failed/failed"}
		_, err := shown(t, a, st, gone, options{}, false)
		if err == nil || !strings.Contains(err.Error(), "podman-web.service is failed/failed") || fleet.Cure(err) != "see why: sextant logs storage web" {
			t.Errorf("%v, %q", err, fleet.Cure(err))
		}
		anew := st.Containers.Value[0]
		anew.ID = strings.Repeat("0", 64)
		if _, err := shown(t, a, st, anew, options{}, false); err == nil || !strings.Contains(fleet.Cure(err), "sextant containers storage") {
			t.Errorf("%v", err)
		}
	})
}

// TestProcessesThatAreNotTold: the rest is shown, with why, and the exit code says
// that something is unknown.
func TestProcessesThatAreNotTold(t *testing.T) {
	var out bytes.Buffer
	f := fleet.Unknown[fleet.ContainerTop](fleet.WithCure(errors.New("no cgroup"), "run it with one"), time.Now(), "podman")
	d := fleet.ContainerDetail{Container: fleet.Container{Name: "web", User: "root", Engine: "podman"}, Cut: []string{"300 labels"}}
	if err := printContainer(&out, options{}, "storage", d, f); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"? no cgroup", "-> run it with one", "none owns it", "? left out because it is too much: 300 labels"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
