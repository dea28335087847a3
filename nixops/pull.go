package nixops

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// PausePull stops what deploys to a host by itself (comin, the timer of
// system.autoUpgrade), and keeps it stopped through activations, until it is
// resumed or the host is restarted.
func (d *Deployer) PausePull(ctx context.Context, h fleet.Host) (string, error) {
	return d.pull(ctx, h, "pause", "paused what deploys by itself")
}

// ResumePull has it run again.
func (d *Deployer) ResumePull(ctx context.Context, h fleet.Host) (string, error) {
	return d.pull(ctx, h, "resume", "resumed what deploys by itself")
}

// pull gives what was paused or resumed, in the guard's words.
func (d *Deployer) pull(ctx context.Context, h fleet.Host, word, text string) (string, error) {
	e := fleet.Event{At: time.Now(), Kind: fleet.EventDeploy, Level: fleet.Info, Text: text}
	out, err := guard(ctx, d.Links.Open(h), word)
	said := fleet.Clean(lastLine(out))
	e.Result = said
	if err != nil {
		e.Level, e.Result = fleet.Error, err.Error()
	}
	d.Did(h, e)
	return said, err
}

// pullLines tell what may undo a change of a host; none: nothing does.
func pullLines(s fleet.State) []string {
	if s.PullPaused() {
		return []string{"what deploys to it by itself is paused until it is resumed, or the host restarted"}
	}
	var lines []string
	for _, p := range s.Pullers() {
		last := p.Tell(func(t time.Time) string { return t.Local().Format("2006-01-02 15:04") })
		lines = append(lines, fmt.Sprintf("%s deploys to it by itself (%s) and may undo this: pause it first, sextant pause %s", p.Unit, last, s.Host.Name))
	}
	return lines
}

// offPause is why there is nothing to pause.
func offPause(t fleet.Target) string {
	if why := offHost(t); why != "" {
		return why
	}
	if s := t.Hosts[0]; len(s.Pullers()) == 0 {
		return "nothing that runs on " + s.Host.Name + " deploys by itself"
	}
	return ""
}

// offResume is why there is nothing to resume.
func offResume(t fleet.Target) string {
	if why := offHost(t); why != "" {
		return why
	}
	if s := t.Hosts[0]; !s.PullPaused() {
		return "nothing is paused on " + s.Host.Name
	}
	return ""
}

// planPause tells what is stopped, and for how long.
func planPause(t fleet.Target) fleet.Plan {
	var units []string
	for _, p := range t.Hosts[0].Pullers() {
		units = append(units, p.Unit)
	}
	return fleet.Plan{
		Title: "Pause what deploys to " + t.Hosts[0].Host.Name + " by itself",
		Lines: []string{strings.Join(units, ", "), "until it is resumed, or the host restarted"},
	}
}

// pullActions pause and resume what deploys to a host by itself.
func (d *Deployer) pullActions() []fleet.Action {
	run := func(do func(context.Context, fleet.Host) (string, error)) func(context.Context, fleet.Target, func(string)) error {
		return func(ctx context.Context, t fleet.Target, say func(string)) error {
			said, err := do(ctx, t.Hosts[0].Host)
			if err == nil {
				say(said)
			}
			return err
		}
	}
	return []fleet.Action{
		{
			ID: "pause-pull", Title: "Pause what deploys by itself", Scope: fleet.ScopeHost, Disabled: offPause,
			Help: "stop comin or nixos-upgrade.timer until it is resumed, or the host restarted",
			Plan: func(_ context.Context, t fleet.Target) (fleet.Plan, error) { return planPause(t), nil },
			Run:  run(d.PausePull),
		},
		{
			ID: "resume-pull", Title: "Resume what deploys by itself", Scope: fleet.ScopeHost, Disabled: offResume,
			Help: "start comin or nixos-upgrade.timer again", Run: run(d.ResumePull),
		},
	}
}
