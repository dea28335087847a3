package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
)

// withContainers asks simulated hosts for their containers and hands them over.
func withContainers(t *testing.T, sel []string, then func(a *app, states []fleet.State)) {
	t.Helper()
	err := withDemo(t.Context(), options{timeout: 20 * time.Second}, &discover.Config{}, 0, func(a *app) error {
		if err := a.find(t.Context(), false); err != nil {
			return err
		}
		states, err := a.pick(sel)
		if err != nil {
			return err
		}
		a.ask(t.Context(), states, only("containers"))
		if states, err = a.pick(sel); err == nil {
			then(a, states)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDemoShared: what the containers of hosts that do not exist share, and who
// uses it, of root and of users.
func TestDemoShared(t *testing.T) {
	withContainers(t, []string{"storage", "desktop", "r2s"}, func(a *app, states []fleet.State) {
		all := a.readShared(t.Context(), states)
		var out bytes.Buffer
		if err := printVolumes(&out, options{json: true}, states, all, false); err != nil {
			t.Errorf("%v: %s", err, out.String())
		}
		var volumes struct{ Volumes []volumeRow }
		if err := json.Unmarshal(out.Bytes(), &volumes); err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for _, v := range volumes.Volumes {
			found[v.Host+"/"+v.User+"/"+v.Name] = strings.Join(v.Containers, " ")
			if v.Unused == nil || *v.Unused != (len(v.Containers) == 0) {
				t.Errorf("%+v", v)
			}
		}
		if found["storage/root/immich-models"] != "immich-ml immich-server" || found["desktop/ada/miniflux-data"] != "miniflux" || found["storage/root/immich-postgres-data"] != "immich-postgres" {
			t.Errorf("%v", found)
		}
		if used, ok := found["storage/root/mealie-data"]; !ok || used != "" {
			t.Errorf("mealie-data: %q %v", used, ok)
		}
		for _, c := range []struct {
			print  func() error
			want   []string
			absent string
		}{
			{func() error { return printVolumes(&out, options{}, states, all, true) }, []string{"mealie-data", "unused"}, "immich-models"},
			{func() error { return printNetworks(&out, options{}, states, all, false) }, []string{"immich-server", "mealie", "unused", "10.88.0.0/16", "ada"}, "? "},
			{func() error { return printNetworks(&out, options{}, states, all, true) }, []string{"mealie"}, "immich"},
			{func() error { return printPods(&out, options{}, states, all, false) }, []string{"paperless", "paperless-redis paperless-tika", "running"}, "infra"},
		} {
			out.Reset()
			if err := c.print(); err != nil {
				t.Error(err)
			}
			for _, w := range c.want {
				if !strings.Contains(out.String(), w) {
					t.Errorf("no %q in\n%s", w, out.String())
				}
			}
			if strings.Contains(out.String(), c.absent) {
				t.Errorf("%q in\n%s", c.absent, out.String())
			}
		}
	})
}

// TestSharedOfAnEngineThatFailed: what the others tell stays, and the hole is told.
func TestSharedOfAnEngineThatFailed(t *testing.T) {
	st := fleet.State{Host: fleet.Host{ID: "a", Name: "a"}}
	f := fleet.Known(fleet.Shared{Volumes: []fleet.Volume{{Name: "data", User: "root"}}}, time.Now(), "podman 5.4.2")
	f.Err, f.ErrAt = "ada's Podman: no answer", time.Now()
	lost := fleet.State{Host: fleet.Host{ID: "b", Name: "b"}}
	all := sharedOf{"a": f, "b": fleet.Unknown[fleet.Shared](errors.New("no way there"), time.Now(), "")}
	var out bytes.Buffer
	err := printVolumes(&out, options{json: true}, []fleet.State{st, lost}, all, false)
	var got struct {
		Volumes []volumeRow
		Errors  []hostError
	}
	if jerr := json.Unmarshal(out.Bytes(), &got); jerr != nil || !isExit(err) || len(got.Volumes) != 1 || got.Volumes[0].Unused != nil || len(got.Errors) != 2 {
		t.Errorf("%v %v %s", err, jerr, out.String())
	}
	out.Reset()
	_ = printVolumes(&out, options{}, []fleet.State{st, lost}, all, false)
	for _, want := range []string{"? a: ada's Podman: no answer", "? b: no way there", "? of 1 it was not told who uses them"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// TestDemoContainersInFull: what the list of a host tells beyond names and states.
func TestDemoContainersInFull(t *testing.T) {
	withContainers(t, []string{"cloud"}, func(a *app, states []fleet.State) {
		states = a.lookInto(t.Context(), states, true)
		var out bytes.Buffer
		if err := printContainers(&out, options{json: true}, states, true); err != nil {
			t.Fatal(err)
		}
		var got struct{ Containers []containerRow }
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		for _, c := range got.Containers {
			if c.Digest == "" || c.Restarts == nil || c.ImageAt.IsZero() || (c.Health != "") != (c.Check != nil) {
				t.Errorf("%+v", c)
			}
			if c.Use == nil || c.Use.Memory == 0 || c.Use.CPU < 0 || c.Use.At.IsZero() {
				t.Errorf("%s: %+v", c.Name, c.Use)
			}
		}
		i := slices.IndexFunc(got.Containers, func(c containerRow) bool { return c.Name == "dex" })
		if i < 0 || got.Containers[i].Check.ExitCode != 1 || !strings.Contains(got.Containers[i].Check.Output, "503") {
			t.Errorf("%+v", got.Containers)
		}
		out.Reset()
		_ = printContainers(&out, options{}, states, false)
		for _, want := range []string{"RESTARTS", "DIGEST", "5556", "unhealthy", "its check", "exit code 1: curl: (22)"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, out.String())
			}
		}
		out.Reset()
		_ = printContainers(&out, options{}, states, true)
		if s := out.String(); !strings.Contains(s, "CPU") || !strings.Contains(s, "MiB") || !strings.Contains(s, "%") {
			t.Errorf("%s", s)
		}
	})
}
