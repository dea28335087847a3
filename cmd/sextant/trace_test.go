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

// TestTraceOfTheDemo: in the simulated fleet a way is gone over real SSH, from one
// host to another; one that is well ends with its page, one whose upstream is dead
// stops there. What hosts serve is told in `sites`.
func TestTraceOfTheDemo(t *testing.T) {
	o := options{json: true, timeout: 30 * time.Second}
	err := withDemo(t.Context(), o, &discover.Config{}, 2, func(a *app) error {
		if err := a.find(t.Context(), false); err != nil {
			return err
		}
		a.ask(t.Context(), a.store.Snapshot().Hosts, traceScope)
		for url, want := range map[string]struct {
			kind, what string
			code       exitCode
		}{
			"https://photos.fleet.example/":    {"service", "container immich-server", exitUnknown}, // Cloudflare is not asked
			"https://paperless.fleet.example/": {"upstream", "upstream storage:3710: nothing listens there", exitProblem},
			"https://nobody.fleet.example/":    {"name", "no host serves nobody.fleet.example", exitProblem},
		} {
			var out bytes.Buffer
			tr, err := a.trace(t.Context(), url, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			var code exitCode
			if err := printTrace(&out, o, tr); !errors.As(err, &code) || code != want.code {
				t.Errorf("%s: exit %v, want %v\n%s", url, err, want.code, &out)
			}
			var got fleet.Trace
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			for _, h := range got.Hops {
				if h.Kind == want.kind && !strings.Contains(h.What+h.Why, want.what) {
					t.Errorf("%s: %+v", url, h)
				}
			}
		}
		var out bytes.Buffer
		states := a.store.Snapshot().Hosts
		if err := printSites(&out, options{}, states); !errors.Is(err, exitCode(exitProblem)) {
			t.Errorf("%v\n%s", err, &out)
		}
		for _, want := range []string{"paperless.fleet.example", "storage:3710", "down", "ends in 4d: its renewal does not work", "dex on cloud: broken: HTTP 500: Health check failed"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, &out)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
