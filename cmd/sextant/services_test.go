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
		var out bytes.Buffer
		if err := printServices(&out, o, snap, snap.Hosts, serviceView{}); !errors.Is(err, exitCode(exitProblem)) {
			t.Errorf("%v", err)
		}
		var got struct {
			Services []fleet.ServiceRow
			Notes    []string
			Hosts    []hostFact
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Services) < 60 || len(got.Hosts) != 8 || len(got.Notes) != 5 {
			t.Errorf("%d services, %d hosts, %q", len(got.Services), len(got.Hosts), got.Notes)
		}
		checkServices(t, got.Services)
		out.Reset()
		_ = printServices(&out, options{}, snap, snap.Hosts[:1], serviceView{broken: true, why: true})
		for _, want := range []string{"gotify@cloud", "runs, not declared", "left over from an older system"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is not in\n%s", want, &out)
			}
		}
		if strings.Contains(out.String(), "@storage") || strings.Contains(out.String(), "lldap@") {
			t.Errorf("it has more than what is broken on cloud:\n%s", &out)
		}
		checkMissing(t, snap)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestServicesThatAreNotKnown: a host of which nothing is known makes 3, and is named.
func TestServicesThatAreNotKnown(t *testing.T) {
	unseen := fleet.State{Host: fleet.Host{ID: "u", Name: "unseen"}.Told()}
	unseen = unseen.Lost(errors.New("no answer"), time.Now())
	var out bytes.Buffer
	err := printServices(&out, options{}, fleet.Snapshot{Hosts: []fleet.State{unseen}}, []fleet.State{unseen}, serviceView{})
	if !errors.Is(err, exitCode(exitUnknown)) || !strings.Contains(out.String(), "unseen") {
		t.Errorf("%v\n%s", err, &out)
	}
}

// checkServices holds rows against what was made of them.
func checkServices(t *testing.T, rows []fleet.ServiceRow) {
	t.Helper()
	states := map[string]string{}
	for _, r := range rows {
		var all []string
		for _, c := range r.Cells() {
			all = append(all, string(c.State))
			if c.Why == "" {
				t.Errorf("%s: an answer without a reason: %+v", serviceOf(r), r)
			}
		}
		states[serviceOf(r)] = strings.Join(append(all, r.Says()), " ")
	}
	for name, want := range map[string]string{ // defined, configured, secrets, exposed, protected, monitored, backed up
		"authelia@cloud":         "yes yes yes yes yes yes yes ",
		"gotify@cloud":           "broken yes no no no part no runs, not declared",
		"searx@cloud":            "yes no no no no part no ",
		"ntfy@cloud":             "yes yes no yes no broken no ",
		"dex@cloud":              "yes broken no no yes part yes ",
		"photoprism@storage":     "yes broken no no no part no declared and missing",
		"miniflux@storage":       "yes broken no no no part no declared and missing",
		"run-transcode@storage":  "broken yes no no no part no runs, not declared",
		"immich-server@storage":  "yes yes broken yes yes yes part ",
		"home-assistant@cottage": "yes yes no yes broken part no ",
		"step-ca@vault":          "yes broken broken no no part unknown ",
		"ada/miniflux@desktop":   "no yes no no no no unknown ",
	} {
		if states[name] != want {
			t.Errorf("%s is %q, want %q", name, states[name], want)
		}
	}
}

// checkMissing: what is declared and missing is in the list of problems, and nothing
// else is said to be.
func checkMissing(t *testing.T, snap fleet.Snapshot) {
	t.Helper()
	var got []string
	for _, f := range snap.Findings(time.Now()) {
		if strings.HasPrefix(f.What, "declared and missing") {
			got = append(got, f.Host+" "+f.Key)
		}
	}
	slices.Sort(got)
	if want := "storage service:registry/miniflux, storage unit:photoprism.service"; strings.Join(got, ", ") != want {
		t.Errorf("problems are %q, want %s", got, want)
	}
}
