package nixops

import (
	"context"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Actions are what can be done to the systems of hosts.
func (d *Deployer) Actions() []fleet.Action {
	return append([]fleet.Action{
		{
			ID: "rollback", Title: "Roll back", Keys: []string{"R"}, Scope: fleet.ScopeHost, Danger: true,
			Help:     "run an older generation, and go back by itself unless the host can be reached",
			Disabled: offRollBack, Plan: d.planRollBack,
			Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
				kind := "rollback"
				if Cancels(t) {
					kind = "cancel"
				}
				dep, err := d.RollBack(ctx, t, ConfirmAuto, Saying(say))
				return errorOf(t.Hosts[0].Host, kind, dep, err)
			},
		},
		{
			ID: "deploy", Title: "Deploy", Keys: []string{"D"}, Scope: fleet.ScopeHost, Danger: true,
			Help:     "build and activate the flake's system, and go back by itself unless the host can be reached",
			Disabled: offDeploy, Choices: d.choices(), Prepare: d.planDeploy, Run: d.runDeploy,
		},
		{
			ID: "confirm", Title: "Confirm", Scope: fleet.ScopeHost, Danger: true, Disabled: offWaiting,
			Help: "keep the new system that waits, and make it the default",
			Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
				dep, err := d.answerAndFollow(ctx, t, d.Confirm, Saying(say))
				return errorOf(t.Hosts[0].Host, "confirm", dep, err)
			},
		},
		{
			ID: "cancel", Title: "Cancel the deploy", Scope: fleet.ScopeHost, Danger: true, Disabled: offCancel,
			Help: "go back to the system before the deploy that waits",
			Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
				dep, err := d.answerAndFollow(ctx, t, d.Cancel, Saying(say))
				return errorOf(t.Hosts[0].Host, "cancel", dep, err)
			},
		},
		{
			ID: "extend", Title: "Wait longer", Scope: fleet.ScopeHost, Disabled: offWaiting,
			Help: "give the new system that waits another five minutes from now on, before the host goes back by itself",
			Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
				if err := d.Extend(ctx, t.Hosts[0].Host, "", MoreTime); err != nil {
					return err
				}
				say("it waits for another " + MoreTime.String())
				return nil
			},
		},
		{
			ID: "reboot", Title: "Reboot", Scope: fleet.ScopeHost, Danger: true, Disabled: offReboot,
			Help: "restart the host and wait until it is back",
			Plan: func(_ context.Context, t fleet.Target) (fleet.Plan, error) { return planReboot(t), nil },
			Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
				return d.Reboot(ctx, t.Hosts[0].Host, say)
			},
		},
	}, append(d.pullActions(), d.garbageActions()...)...)
}

// MoreTime is how much longer a host waits where no other time is said.
const MoreTime = 5 * time.Minute

// offReboot is why a host cannot be restarted now.
func offReboot(t fleet.Target) string {
	if why := Unreachable(t); why != "" {
		return why
	}
	if t.Hosts[0].Host.Local {
		return "this machine is not restarted from here"
	}
	return ""
}

// planReboot tells what a restart will do: which system comes up.
func planReboot(t fleet.Target) fleet.Plan {
	s := t.Hosts[0]
	p := fleet.Plan{Title: "Restart " + s.Host.Name, Typed: typedFor(s)}
	if s.System.HasValue() && s.System.Value.NixOS {
		p.Lines = append(p.Lines, "it comes up with "+name(s.System.Value.Default))
		if s.System.Value.Default.Path != s.System.Value.Running.System() {
			p.Lines = append(p.Lines, "that is not what runs now")
		}
	}
	if dep, ok := waiting(s); ok {
		p.Lines = append(p.Lines, "the system that waits to be confirmed since "+dep.Changed.Local().Format("15:04")+" is lost: it goes back to "+name(dep.From))
	}
	return p
}

// offWaiting is why there is nothing to confirm or to cancel.
func offWaiting(t fleet.Target) string {
	if why := offHost(t); why != "" {
		return why
	}
	s := t.Hosts[0]
	if f := s.Deploys; !f.HasValue() && f.Failed() {
		return "not known whether a deploy is under way on " + s.Host.Name + ": " + f.Err
	}
	if !s.Deploys.HasValue() || len(s.Deploys.Value) == 0 || s.Deploys.Value[0].State.Over() {
		return "no deploy is under way on " + s.Host.Name
	}
	return ""
}

// offCancel is why there is nothing to cancel. A restart of the host may have left
// something to put right.
func offCancel(t fleet.Target) string {
	if why := offHost(t); why != "" {
		return why
	}
	if d := t.Hosts[0].Deploys; d.HasValue() && len(d.Value) > 0 && d.Value[0].Unsettled {
		return ""
	}
	return offWaiting(t)
}

// answerAndFollow answers the newest deploy of a host and stays to its end.
func (d *Deployer) answerAndFollow(ctx context.Context, t fleet.Target, answer func(context.Context, fleet.Host, string) (Answer, error), tell func(Progress)) (fleet.Deploy, error) {
	h := t.Hosts[0].Host
	a, err := answer(ctx, h, "")
	if err != nil {
		return fleet.Deploy{}, err
	}
	if !a.Taken && a.Why != "" {
		tell(Progress{Line: a.Why})
	}
	dep, err := d.Attach(ctx, h, "", ConfirmElse, tell)
	if a.Taken {
		dep.Findings = append(dep.Findings, a.Findings...)
	}
	return dep, err
}

// Saying makes lines of progress: the states in words, and what the host says.
func Saying(say func(string)) func(Progress) {
	return func(p Progress) {
		if p.Line == "" {
			p.Line = strings.TrimSuffix(p.Deploy.State.Words()+": "+p.Deploy.Why, ": ")
		}
		say(p.Line)
	}
}
