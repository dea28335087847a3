//go:build lab

package services

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// TestMonitorsOfTheLab: the real Prometheus and Alertmanager of storage raise what
// they tell curl on the host, each alert once, of the machines that their labels
// name, and the silenced one as such. Grafana is a stand-in.
func TestMonitorsOfTheLab(t *testing.T) {
	lab := labtest.Load(t)
	storage := lab.Link(t, "storage")
	st := hostState(t, storage)
	var f fleet.Fact[[]fleet.Monitor]
	states := func() []fleet.State {
		all := []fleet.State{st}
		for _, h := range lab.Hosts {
			if h.Name != "storage" {
				all = append(all, fleet.State{Host: lab.Link(t, h.Name).Host()})
			}
		}
		all[0].Monitors = f
		return all
	}
	var got []string
	want := []string{"cloud TargetDown silenced", "printer.lan TargetDown", "router TargetDown", "vault SlowQueries"}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(time.Second) { // the rules are looked at every five seconds
		f = Monitors(t.Context(), storage, st, "lab-grafana")
		if got = nil; !f.Current() {
			t.Fatal(f.Err)
		}
		for _, a := range fleet.AlarmsOf(states()) {
			line := a.Host + " " + a.Name
			if a.Silenced {
				line += " silenced"
			}
			got = append(got, line)
		}
		if slices.Sort(got); slices.Equal(got, want) {
			break
		}
		t.Logf("%s: %q", time.Now().Format(time.TimeOnly), got)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%q, want %q; %+v", got, want, f.Value)
	}
	for _, m := range f.Value {
		if m.Err != "" || m.Kind == "prometheus" && (m.Targets != 4 || m.Down != 3) {
			t.Errorf("%+v", m)
		}
	}
	for _, a := range fleet.AlarmsOf(states()) {
		if a.Name == "TargetDown" && len(a.Sources) != 2 {
			t.Errorf("%s is raised by %q", a.Host, a.Sources)
		}
		out := labtest.Output(t, storage, "sh", "-c", `curl -sS http://127.0.0.1:9093/api/v2/alerts; curl -sS -H 'Authorization: Bearer lab-grafana' http://127.0.0.1:3000/api/alertmanager/grafana/api/v2/alerts`)
		if !strings.Contains(out, fmt.Sprintf("%q", a.Name)) || a.Since.IsZero() || !strings.Contains(out, a.Since.Format("2006-01-02T15:04:05")) {
			t.Errorf("%+v is not in what curl reads", a)
		}
	}
	if m := Monitors(t.Context(), storage, st, ""); !slices.ContainsFunc(m.Value, func(m fleet.Monitor) bool { return m.Kind == "grafana" && m.None }) {
		t.Errorf("Grafana without a token: %+v", m.Value)
	}
	router := lab.Link(t, "router")
	if f := Monitors(t.Context(), router, hostState(t, router), ""); !f.None {
		t.Errorf("router: %+v", f)
	}
}
