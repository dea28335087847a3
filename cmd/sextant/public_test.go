package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/fleet/history"
)

// TestPublicNames asks the demo's public, tells it to people and programs, and keeps it
// for the process that comes after.
func TestPublicNames(t *testing.T) {
	h, err := history.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	err = withDemo(t.Context(), options{timeout: time.Minute}, &discover.Config{}, 0, func(a *app) error {
		if err := a.find(t.Context(), false); err != nil {
			return err
		}
		a.ask(t.Context(), a.store.Snapshot().Hosts, siteScope)
		a.history = h
		if n := a.askPublic(t.Context()); n < 5 {
			t.Errorf("%d names were asked of", n)
		}
		var text, out bytes.Buffer
		if err := printPublic(&text, options{}, a.store.Snapshot()); code(err) != 0 {
			t.Errorf("%v: %s", err, &text)
		}
		for _, want := range []string{"photos.fleet.example", "proxied", "A 203.0.113.3 (proxied)", "tunnel cottage is healthy", "jellyfin.fleet.example"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("no %q in\n%s", want, &text)
			}
		}
		_ = printPublic(&out, options{json: true}, a.store.Snapshot())
		var got struct {
			Names []struct {
				Name, Way, State string
				ServedBy         []string
				Cloudflare       bool
			}
			Tunnels []struct{ Name, Status string }
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got.Tunnels) != 1 {
			t.Errorf("%v: %s", err, &out)
		}
		ways := map[string]string{}
		for _, n := range got.Names {
			ways[n.Name] = n.Way
			if len(n.ServedBy) == 0 || n.State != string(fleet.HealthOK) {
				t.Errorf("%+v", n)
			}
		}
		if ways["home.fleet.example"] != "tunnel" || ways["photos.fleet.example"] != "proxied" || ways["jellyfin.fleet.example"] != "direct" {
			t.Errorf("%v", ways)
		}
		f, err := h.Public()
		if err != nil || !f.Usable(time.Now()) || len(f.Value.Tunnels) != 1 {
			t.Errorf("%v %+v", err, f)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
