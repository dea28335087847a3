package main

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/simulate"
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
	term.WaitFor("0/1 ok  1 ?", "No deploy is known of.", "? cottage: deploys are root's to see", "log in as root")
	cancel()
	_ = term.Wait()
}
