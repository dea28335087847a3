package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

// rebooting restarts hosts of a demo and gives what JSON says of each, with the exit code.
func rebooting(t *testing.T, i *imaginary, wait bool) ([]rebooted, int) {
	t.Helper()
	var out bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	err := i.reboot(cmd, i.store.Snapshot().Hosts, true, wait)
	var got struct{ Hosts []rebooted }
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	return got.Hosts, code(err)
}

// TestReboot: all hosts have their outcome, also behind one that is refused; this
// machine comes last, and is refused.
func TestReboot(t *testing.T) {
	i := imagine(t, simulate.Options{}, options{json: true})
	here := fleet.Host{ID: "here", Name: "a-here", Local: true}
	i.store.SetHosts([]fleet.Host{here, i.Host("laptop"), i.Host("r2s"), i.Host("raspi3")}, nil, nil)
	i.ask(t.Context(), i.store.Snapshot().Hosts[1:], only("deploys"))
	i.store.Update(here.ID, func(s *fleet.State) { s.Reach = fleet.Known(fleet.Reach{State: fleet.Up}, time.Now(), "local") })
	booted := i.state("r2s").System.Value.Uptime
	got, exit := rebooting(t, i, true)
	want := []rebooted{{Host: "laptop", State: rebootRefused}, {Host: "r2s", State: rebootBack}, {Host: "raspi3", State: rebootBack}, {Host: "a-here", State: rebootRefused}}
	if len(got) != len(want) || exit != exitRefused {
		t.Fatalf("%+v, exit %d", got, exit)
	}
	for n, w := range want {
		if g := got[n]; g.Host != w.Host || g.State != w.State || (g.Error == "") != (w.State == rebootBack) || (g.Seconds == nil) != (w.State == rebootRefused) {
			t.Errorf("%+v, want %+v", g, w)
		}
	}
	if !strings.Contains(got[3].Error, "this machine is not restarted from here") {
		t.Errorf("here: %s", got[3].Error)
	}
	i.ask(t.Context(), i.store.Snapshot().Hosts[1:], probeOnly)
	if now := i.state("r2s").System.Value.Uptime; now >= booted {
		t.Errorf("r2s is up for %v, before it was %v: it was not restarted", now.Duration(), booted.Duration())
	}
}

// TestRebootThatFails: behind a host that does not come back none is restarted; where
// nobody waits, none has come back.
func TestRebootThatFails(t *testing.T) {
	i := imagine(t, simulate.Options{Logins: map[string]simulate.Login{"r2s": {User: "ada", Sudo: simulate.SudoNone}}}, options{json: true})
	r2s := i.Host("r2s")
	r2s.User = "ada"
	i.store.SetHosts([]fleet.Host{r2s, i.Host("raspi3")}, nil, nil)
	i.ask(t.Context(), i.store.Snapshot().Hosts, only("deploys"))
	got, exit := rebooting(t, i, true)
	if exit != exitProblem || len(got) != 2 || got[0].State != rebootFailed || !strings.Contains(got[0].Error, "cannot become root") || got[0].Cure == "" || got[1].State != rebootNotBegun {
		t.Errorf("%+v, exit %d", got, exit)
	}
	i.store.SetHosts([]fleet.Host{i.Host("raspi3")}, nil, nil)
	if got, exit := rebooting(t, i, false); exit != 0 || len(got) != 1 || got[0].State != rebootBegun {
		t.Errorf("without waiting: %+v, exit %d", got, exit)
	}
}
