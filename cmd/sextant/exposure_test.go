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

// TestExposureOfTheDemo: of the simulated fleet one host is reached by the internet and
// is not meant to be; what is suggested for it is a configuration with which it is.
func TestExposureOfTheDemo(t *testing.T) {
	o := options{json: true, timeout: 30 * time.Second}
	err := withDemo(t.Context(), o, &discover.Config{}, 8, func(a *app) error {
		if err := a.find(t.Context(), false); err != nil {
			return err
		}
		a.ask(t.Context(), a.store.Snapshot().Hosts, exposureScope)
		states := a.store.Snapshot().Hosts
		list, err := a.exposures(t.Context(), states)
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := printExposures(&out, o, states, list, false); !errors.Is(err, exitCode(exitProblem)) {
			t.Errorf("%v\n%s", err, &out)
		}
		var got struct{ Exposures []fleet.Exposure }
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		var bad []string
		for _, e := range got.Exposures {
			if e.Loopback() {
				t.Errorf("told without --all: %+v", e)
			}
			if e.Problem {
				bad = append(bad, e.Host+" "+fleet.ProtoPort(e.Proto, e.Port)+" "+string(e.Severity))
			}
			if e.Host == "cloud" && e.Port == 443 && (e.Meant == "" || len(e.Names) != 5 || e.Names[0].Cloudflare == nil || !*e.Names[0].Cloudflare) {
				t.Errorf("%+v", e)
			}
			if e.Host == "storage" && e.Port == 8000 && (e.Internet.State != fleet.Stopped || e.Tailnet.State != fleet.Passes) {
				t.Errorf("%+v", e)
			}
		}
		if want := "cottage tcp/80 warn, cottage tcp/443 fail"; strings.Join(bad, ", ") != want {
			t.Errorf("problems are %q, want %s", bad, want)
		}
		checkHealthOfExposure(t, a)
		out.Reset()
		if err := suggestMeant(&out, list); err != nil {
			return err
		}
		cfg, err := discover.ParseConfig("suggested", out.Bytes())
		if err != nil {
			t.Fatalf("%v:\n%s", err, &out)
		}
		a.store.SetMeant(append(cfg.MeantList(), states[0].Meant...))
		if list, err = a.exposures(t.Context(), states); err != nil {
			return err
		}
		for _, e := range list {
			if exposureBad(e) > 0 {
				t.Errorf("it was said to be meant: %+v", e)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checkHealthOfExposure: the list of problems has it, with what closes it.
func checkHealthOfExposure(t *testing.T, a *app) {
	t.Helper()
	for _, f := range a.store.Snapshot().Findings(time.Now()) {
		if f.Host == "cottage" && f.Key == "exposure:tcp/443" {
			if f.Severity != fleet.SeverityFail || !strings.Contains(f.Cure, "networking.firewall.allowedTCPPorts") {
				t.Errorf("%+v", f)
			}
			return
		}
	}
	t.Error("the list of problems does not have it")
}
