package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/simulate"
	"github.com/sextant-fleet/sextant/nixops"
	"github.com/sextant-fleet/sextant/tui"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// TestDeploysWithoutRoot: of a host on which we are not root it is not known whether
// something was deployed, or waits. That is a hole in every list, with its cure, and
// no problem of the host.
func TestDeploysWithoutRoot(t *testing.T) {
	i := imagine(t, simulate.Options{Logins: map[string]simulate.Login{"cottage": {User: "ada", Sudo: simulate.SudoNone}}}, options{json: true})
	i.links.Asker = nil
	cottage := i.Host("cottage")
	cottage.User = "ada"
	i.store.SetHosts([]fleet.Host{cottage, i.Host("cloud")}, nil, nil)
	i.ask(t.Context(), i.store.Snapshot().Hosts, withDeploys)
	states := i.store.Snapshot().Hosts
	if f := i.state("cottage").Deploys; f.Current() || f.None || f.Cure == "" {
		t.Errorf("deploys of a host without root: %+v", f)
	}
	if slices.ContainsFunc(i.state("cottage").Problems(time.Now()), func(p fleet.Problem) bool { return strings.Contains(p.What, "deploys") }) {
		t.Error("what an ordinary login never sees is a problem")
	}
	for name, print := range map[string]func(*bytes.Buffer, options) error{
		"deploys": func(b *bytes.Buffer, o options) error { return printDeploys(b, o, states) },
		"history": func(b *bytes.Buffer, o options) error { return printHistory(b, o, nil, silentHosts(states)) },
	} {
		for _, o := range []options{{json: true}, {}} {
			var out bytes.Buffer
			if exit := code(print(&out, o)); exit != exitUnknown || !strings.Contains(out.String(), "root's to see") || !strings.Contains(out.String(), "NOPASSWD") || strings.Contains(out.String(), "cloud: ") {
				t.Errorf("%s, json %t: exit %d: %s", name, o.json, exit, out.String())
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	term := tuitest.Run(t, 80, 24, func(tty *os.File) error {
		return tui.Run(ctx, tui.Options{Input: tty, Output: tty, Environ: []string{"TERM=xterm-256color"}, Store: i.store, Console: console{i.app}, Version: "test"})
	})
	term.WaitFor("cottage").Press(":", "d", "e", "p", "l", "o", "y", "s").WaitFor("Deploys").Press("enter").WaitFor("› Deploys")
	term.WaitFor("1 host: 0 ok  1 ?", "No deploy is known of.", "? cottage: deploys are root's to see", "log in as root")
	cancel()
	_ = term.Wait()
}

// TestWhatOnlyARebootCanDo: the plan says that the host would refuse, and what does it
// instead; that changes what the next boot starts, and nothing that runs. What is over
// by then cannot be answered once more.
func TestWhatOnlyARebootCanDo(t *testing.T) {
	onDemo(t, "desktop", func(a *app, states []fleet.State) {
		d, ctx := a.deployer(), t.Context()
		to := fleet.Target{Hosts: states}
		planned := func(to fleet.Target) string {
			for _, action := range d.Actions() {
				if action.ID == "rollback" {
					p, err := action.Planned(ctx, to, func(string) {})
					if err != nil {
						t.Fatal(err)
					}
					return strings.Join(append(p.Lines, p.More(ctx)...), "\n")
				}
			}
			return ""
		}
		was := states[0].System.Value.Running
		before, err := nixops.Earlier(states[0])
		if err != nil {
			t.Fatal(err)
		}
		cure := fmt.Sprintf("sextant rollback desktop --to %d --boot, then sextant reboot desktop", before.Number)
		if plan := planned(to); !strings.Contains(plan, "it will be refused: critical components change: dbus") || !strings.Contains(plan, cure) || strings.Contains(plan, "goes back by itself") {
			t.Errorf("the plan says\n%s", plan)
		}
		if _, err := d.RollBack(ctx, to, nixops.ConfirmAuto, nil); err == nil || !strings.Contains(err.Error(), cure) {
			t.Errorf("it says %v", err)
		}
		to = nixops.OnlyBoot(to)
		if plan := planned(to); !strings.Contains(plan, "nothing is activated: the next boot starts it") || strings.Contains(plan, "refused") {
			t.Errorf("the plan of it says\n%s", plan)
		}
		dep, err := d.RollBack(ctx, to, nixops.ConfirmAuto, nil)
		if err != nil || dep.State != fleet.Confirmed {
			t.Fatalf("%+v, %v", dep, err)
		}
		a.ask(ctx, states, quick)
		if sys := a.anew(states)[0].System.Value; sys.Running.Path != was.Path || sys.Default.Generation != before.Number {
			t.Errorf("%d runs and %d is the default; want %d and %d", sys.Running.Generation, sys.Default.Generation, was.Generation, before.Number)
		}
		audit := len(a.store.Snapshot().Audit)
		for _, answer := range []func(context.Context, fleet.Host, string) (nixops.Answer, error){d.Confirm, d.Cancel} {
			if _, err := answer(ctx, states[0].Host, ""); err == nil || !strings.Contains(err.Error(), "no deploy is under way; the newest, ") {
				t.Errorf("an answer to nothing: %v", err)
			}
		}
		if n := len(a.store.Snapshot().Audit); n != audit {
			t.Errorf("%d answers to nothing are in the history", n-audit)
		}
	})
}

// TestNoSuchUnit: a unit that is not there is an error with the nearest that is.
func TestNoSuchUnit(t *testing.T) {
	onDemo(t, "storage", func(_ *app, states []fleet.State) {
		if err := noUnit(states[0], "cady.service"); !strings.Contains(err.Error(), `the nearest is "caddy.service"`) {
			t.Error(err)
		}
		if err := noUnit(states[0], "zzzzzzzz.service"); !strings.Contains(err.Error(), "sextant units storage") {
			t.Error(err)
		}
	})
}
