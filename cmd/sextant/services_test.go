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

// TestServicesOfTheDemo: the simulated fleet has a service of every kind, and what is
// said of each is what was made of it.
func TestServicesOfTheDemo(t *testing.T) {
	o := options{json: true, timeout: 60 * time.Second}
	err := withDemo(t.Context(), o, &discover.Config{}, 8, func(a *app) error {
		if err := a.find(t.Context(), false); err != nil {
			return err
		}
		a.ask(t.Context(), a.store.Snapshot().Hosts, everything)
		snap := a.store.Snapshot()
		var plain bytes.Buffer
		_ = printServices(&plain, options{plain: true}, snap, snap.Hosts, serviceView{why: true})
		t.Logf("\n%s", &plain)
		var out bytes.Buffer
		if err := printServices(&out, o, snap, snap.Hosts, serviceView{}); !errors.Is(err, exitCode(exitProblem)) {
			t.Errorf("%v", err)
		}
		var got struct {
			Services []fleet.ServiceRow
			Notes    []string
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		_ = strings.Join
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
