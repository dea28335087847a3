package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
	"github.com/sextant-fleet/sextant/podman"
)

// Exit codes of what changes a host's system, beside those of all commands.
const (
	exitAccepted     = 4  // confirmed with findings that a person accepted
	exitRefused      = 10 // nothing was changed
	exitBusy         = 11
	exitRolledBack   = 20
	exitBackFailed   = 21
	exitNotKnown     = 30
	exitRebootNeeded = 100
)

// deployer changes systems in the name of whoever runs this.
func (a *app) deployer() *nixops.Deployer {
	d := &nixops.Deployer{Links: a.links, Ask: a.asker(), Differences: a.differences, Record: a.record, Learn: a.learn}
	d.Who, d.Client = whoAmI()
	d.Broken, d.Flake.Ref, d.Fleet = a.broken, a.flake, a.store.Snapshot
	d.Show = func(h fleet.Host, is fleet.Doing) {
		a.store.Update(h.ID, func(s *fleet.State) { s.Doing = is })
	}
	c := a.cfg.Deploy
	d.MayReboot, d.NeverHere = c.MayReboot, c.BuildHere != nil && !*c.BuildHere
	for _, s := range a.store.Snapshot().Hosts {
		d.NeverHere = d.NeverHere || s.Host.Local && s.Host.NeverBuild
	}
	d.Limits = nixops.Limits{
		Preflight: c.Preflight.Or(0), CopyStall: c.CopyStall.Or(0), Activation: c.Activation.Or(0), Confirm: c.Confirm.Or(0),
		Check: c.Check.Or(0), Commit: c.Commit.Or(0), RollBack: c.RollBack.Or(0), Reboot: c.Reboot.Or(0),
	}
	return d
}

// whoAmI is who runs this, and on which machine.
func whoAmI() (who, client string) {
	who, client = "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	if name, err := os.Hostname(); err == nil {
		client = name
	}
	return who, client
}

// broken names the containers of a host that are broken now.
func (a *app) broken(ctx context.Context, h fleet.Host) ([]string, error) {
	st, ok := a.store.Get(h.ID)
	if !ok || !st.Inventory.HasValue() {
		return nil, nil // nothing is known of it: nothing can be worse
	}
	f := a.readers.of(a.links.Open(h)).Read(ctx, func(context.Context) (fleet.State, error) { return st, nil })
	if f.None {
		return nil, nil
	}
	if !f.Current() {
		return nil, errors.New(f.Err)
	}
	var names []string
	for _, c := range podman.Join(f.Value, st.Units) {
		if c.Broken() {
			names = append(names, c.Name+" is "+cmp.Or(c.Health, c.State))
		}
	}
	return names, nil
}

// refusalCode is the exit code where nothing was changed because it was refused; 0:
// it was not.
func refusalCode(err error) int {
	var no *nixops.Refusal
	switch {
	case errors.As(err, &no) && no.Busy:
		return exitBusy
	case errors.As(err, &no):
		return exitRefused
	}
	return 0
}

// changeCode is the exit code of a change that is no deploy.
func changeCode(err error) error {
	if err == nil {
		return nil
	}
	return exitCode(cmp.Or(refusalCode(err), exitProblem))
}

// deployCode is the exit code of how a deploy ended.
func deployCode(d fleet.Deploy, err error) int {
	if code := refusalCode(err); code != 0 {
		return code
	}
	switch d.State {
	case fleet.Confirmed:
		if len(d.Findings) > 0 {
			return exitAccepted
		}
		return 0
	case fleet.Refused:
		if strings.HasPrefix(d.Why, "busy: ") {
			return exitBusy
		}
		return exitRefused
	case fleet.NeedsReboot:
		return exitRebootNeeded
	case fleet.RolledBack, fleet.Cancelled:
		return exitRolledBack
	case fleet.RollbackFailed:
		return exitBackFailed
	case fleet.Conflict:
		return exitProblem
	case fleet.Awaiting:
		return 0 // it was left to wait, as asked
	}
	return exitNotKnown
}

// deployRow is a deploy in machine output, with its host.
type deployRow struct {
	Host string `json:"host"`
	fleet.Deploy
}

// ended tells how a change of one host ended, in words and as exit code.
func ended(w io.Writer, o options, h fleet.Host, d fleet.Deploy, err error) error {
	out := struct {
		Schema int    `json:"schema"`
		Error  string `json:"error,omitempty"`
		deployRow
	}{Schema: 1, deployRow: deployRow{h.Name, d}}
	if err != nil {
		out.Error = fleet.InFull(err)
	}
	werr := o.write(w, out, func(t *table) {
		switch {
		case err != nil:
			t.note(fleet.InFull(err))
		default:
			t.note(strings.TrimSpace(h.Name + ": " + d.State.Words() + " " + d.Reason()))
		}
	})
	if werr != nil {
		return werr
	}
	if code := deployCode(d, err); code != 0 {
		return exitCode(code)
	}
	return nil
}

// calledOff is ended for who wanted the host to go back: then that is well.
func calledOff(w io.Writer, o options, h fleet.Host, d fleet.Deploy, err error) error {
	end := ended(w, o, h, d, err)
	if code := exitCode(0); errors.As(end, &code) && err == nil && (d.State == fleet.Cancelled || d.State == fleet.RolledBack) {
		return nil
	}
	return end
}

// telling writes the progress of a host's change to the error output. How it ended is
// its result, and comes after.
func telling(w io.Writer, host string) func(nixops.Progress) {
	say := nixops.Saying(func(line string) { fmt.Fprintln(w, host+": "+line) })
	return func(p nixops.Progress) {
		if p.Line != "" || !p.Deploy.State.Over() {
			say(p)
		}
	}
}

// changeFlags are those of all that changes a system.
type changeFlags struct {
	confirm string
	window  time.Duration
	limit   time.Duration
	reboot  bool
	yes     bool
}

func (f *changeFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.confirm, "confirm", "auto", "auto: keep it when the checks find nothing; ask: ask here; else: stay until somebody else says; none: leave it waiting")
	c.Flags().DurationVar(&f.window, "confirm-timeout", 0, "how long it waits before it goes back by itself (120 s; 300 s where ssh, network or tailscale change)")
	c.Flags().DurationVar(&f.limit, "activation-timeout", 0, "how long the activation may take before the host goes back (15 min)")
	for _, name := range []string{"confirm-timeout", "activation-timeout"} {
		c.Flags().Lookup(name).DefValue = "" // 0 is what the text says
	}
	c.Flags().BoolVar(&f.reboot, "may-reboot", false, "the host may be restarted as the last step back, where the system before does not come back without")
	c.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask before it begins")
}

// confirmation reads --confirm; without a terminal nobody is asked.
func (f *changeFlags) confirmation(d *nixops.Deployer) (nixops.Confirmation, error) {
	c := nixops.Confirmation(f.confirm)
	switch c {
	case nixops.ConfirmAuto, nixops.ConfirmNone, nixops.ConfirmAsk, nixops.ConfirmElse:
	default:
		return "", usageError{fmt.Errorf("--confirm %s: auto, ask, else or none", f.confirm)}
	}
	if isTerminal(os.Stdin) {
		d.Ask = onTerminal
	} else if c == nixops.ConfirmAsk {
		return "", usageError{errors.New("--confirm ask needs a terminal; auto and none do not")}
	}
	d.Limits.Confirm, d.Limits.Activation = cmp.Or(f.window, d.Limits.Confirm), cmp.Or(f.limit, d.Limits.Activation)
	d.MayReboot = d.MayReboot || f.reboot
	return c, nil
}

// oneHost finds one host and asks what it is and what is under way.
func oneHost(cmd *cobra.Command, o options, sel string, then func(*app, fleet.State) error) error {
	return failed(withHosts(cmd.Context(), o, []string{sel}, only("deploys"), func(a *app, states []fleet.State) error {
		if len(states) != 1 {
			return usageError{fmt.Errorf("%s names %d hosts: name one", sel, len(states))}
		}
		return then(a, states[0])
	}))
}

var errReadOnly = errors.New("nothing is changed: --read-only")

// readOnly tells whether nothing may be changed, by the flag or by the configuration.
func (a *app) readOnly() bool { return a.opts.readOnly || a.cfg.ReadOnly }

// mayChange refuses to change a host where only reading is allowed; nil: it is not.
func (a *app) mayChange(host string) error {
	if a.readOnly() {
		return &nixops.Refusal{Host: host, Why: errReadOnly.Error()}
	}
	return nil
}

func rollbackCommand(o *options) *cobra.Command {
	var f changeFlags
	var to int
	var pause, boot bool
	c := &cobra.Command{
		Use: "rollback HOST", Short: "Go back to an older generation, under guard", Args: cobra.ExactArgs(1),
		Long: "Activates an older generation and makes it the default once the host was reached anew and is well; " +
			"otherwise the host goes back by itself. A deploy that waits to be confirmed is cancelled. Needs no flake, no build and no network beyond the host.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return oneHost(cmd, *o, args[0], func(a *app, s fleet.State) error {
				d := a.deployer()
				confirm, err := f.confirmation(d)
				if err != nil {
					return err
				}
				t := fleet.Target{Hosts: []fleet.State{s}, Generation: to}
				if boot {
					t = nixops.OnlyBoot(t)
				}
				if err := a.agree(cmd, d, "rollback", t, f.yes); err != nil {
					return ended(cmd.OutOrStdout(), *o, s.Host, fleet.Deploy{State: fleet.Refused}, err)
				}
				if pause && !s.PullPaused() {
					said, err := d.PausePull(cmd.Context(), s.Host)
					if err != nil {
						return ended(cmd.OutOrStdout(), *o, s.Host, fleet.Deploy{State: fleet.Refused}, err)
					}
					fmt.Fprintln(cmd.ErrOrStderr(), s.Host.Name+": "+said)
				}
				dep, err := d.RollBack(cmd.Context(), t, confirm, telling(cmd.ErrOrStderr(), s.Host.Name))
				if nixops.Cancels(t) {
					return calledOff(cmd.OutOrStdout(), *o, s.Host, dep, err)
				}
				return ended(cmd.OutOrStdout(), *o, s.Host, dep, err)
			})
		},
	}
	c.Flags().IntVar(&to, "to", 0, "the generation to go to (the one before the running one)")
	c.Flags().BoolVar(&boot, "boot", false, "activate nothing: only make it what the next boot starts, where only a reboot can change what differs")
	c.Flags().BoolVar(&pause, "pause", false, "first stop what deploys to the host by itself, until sextant resume or a restart")
	f.add(c)
	return c
}

// agree shows the plan of an action and asks whether to go on.
func (a *app) agree(cmd *cobra.Command, d *nixops.Deployer, id string, t fleet.Target, yes bool) error {
	action, err := a.allowed(d, id, t)
	if err != nil || yes || !action.Plans() {
		return err
	}
	w := cmd.ErrOrStderr()
	plan, err := action.Planned(cmd.Context(), t, func(line string) { fmt.Fprintln(w, line) })
	if err != nil {
		return err
	}
	if plan.More != nil { // nobody waits for the question before it is whole
		plan.Lines = append(plan.Lines, plan.More(cmd.Context())...)
	}
	return agreeTo(cmd, t.Hosts[0].Host.Name, plan)
}

// allowed gives an action, where it may and can be done.
func (a *app) allowed(d *nixops.Deployer, id string, t fleet.Target) (fleet.Action, error) {
	host := t.Hosts[0].Host.Name
	if err := a.mayChange(host); err != nil {
		return fleet.Action{}, err
	}
	for _, action := range a.actionsWith(d) {
		if action.ID != id {
			continue
		}
		if why := action.Off(t); why != "" {
			return action, &nixops.Refusal{Host: host, Why: why}
		}
		return action, nil
	}
	return fleet.Action{}, nil
}

// agreeTo shows a plan and asks whether to go on.
func agreeTo(cmd *cobra.Command, host string, plan fleet.Plan) error {
	w := cmd.ErrOrStderr()
	fmt.Fprintln(w, plan.Title)
	for _, l := range plan.Lines {
		fmt.Fprintln(w, "  "+l)
	}
	return consent(cmd.Context(), host)
}

// consent asks on the terminal; without one there must be --yes.
func consent(ctx context.Context, host string) error {
	if !isTerminal(os.Stdin) {
		return &nixops.Refusal{Host: host, Why: "nobody agreed", Cure: "say --yes where nobody can be asked"}
	}
	reply, err := onTerminal.Ask(ctx, fleet.Question{Kind: fleet.AskConfirm, Text: "go on?"})
	if err == nil && reply.Refuse {
		err = &nixops.Refusal{Host: host, Why: "nobody agreed"}
	}
	return err
}

func deploysCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "deploys [SEL…]", Short: "What is and was deployed, read from the hosts",
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, only("deploys"), func(_ *app, states []fleet.State) error {
				return printDeploys(cmd.OutOrStdout(), *o, states)
			}))
		},
	}
}

func printDeploys(w io.Writer, o options, states []fleet.State) error {
	rows, hosts, errs := gather(states, func(s fleet.State) fleet.Fact[[]fleet.Deploy] { return s.Deploys },
		func(s fleet.State, d fleet.Deploy) deployRow { return deployRow{s.Host.Name, d} })
	out := struct {
		Schema  int         `json:"schema"`
		Deploys []deployRow `json:"deploys"`
		Errors  []hostError `json:"errors"`
		Hosts   []hostFact  `json:"hosts"`
	}{1, rows, errs, hosts}
	err := o.write(w, out, func(t *table) {
		t.row("HOST", "ID", "STATE", "FROM", "TO", "WHO", "STARTED", "WHY")
		for _, d := range rows {
			t.row(d.Host, d.ID, string(d.State), d.From.Short(), d.To.Short(), d.Who+"@"+d.Client, d.Started.Local().Format("2006-01-02 15:04"), d.Why)
		}
		holes(t, hosts, time.Now())
	})
	return cmp.Or(err, unknown(errs))
}

func attachCommand(o *options) *cobra.Command {
	var f changeFlags
	c := &cobra.Command{
		Use: "attach HOST [ID]", Short: "Follow a deploy that is under way, whoever began it", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return oneHost(cmd, *o, args[0], func(a *app, s fleet.State) error {
				d := a.deployer()
				confirm, err := f.confirmation(d)
				if err != nil {
					return err
				}
				began := time.Now()
				dep, err := a.attach(cmd, d, s.Host, at(args, 1), confirm)
				if note := over(dep, began); note != "" {
					fmt.Fprintln(cmd.ErrOrStderr(), s.Host.Name+": "+note)
				}
				return ended(cmd.OutOrStdout(), *o, s.Host, dep, err)
			})
		},
	}
	c.Flags().StringVar(&f.confirm, "confirm", "else", "auto: keep it when the checks find nothing; ask: ask here; else: only look on, to the end")
	return c
}

// attach follows a deploy. Where it would confirm it, a system is made the default:
// that is a change like any other.
func (a *app) attach(cmd *cobra.Command, d *nixops.Deployer, h fleet.Host, id string, confirm nixops.Confirmation) (fleet.Deploy, error) {
	if confirm == nixops.ConfirmAuto || confirm == nixops.ConfirmAsk {
		if err := a.mayChange(h.Name); err != nil {
			return fleet.Deploy{State: fleet.Refused}, err
		}
	}
	return d.Attach(cmd.Context(), h, id, confirm, telling(cmd.ErrOrStderr(), h.Name))
}

// over tells that a deploy had ended before anybody looked on; "" where it had not.
func over(dep fleet.Deploy, began time.Time) string {
	const slack = 5 * time.Second // the host's clock is read apart
	if !dep.State.Over() || dep.Changed.IsZero() || !dep.Changed.Before(began.Add(-slack)) {
		return ""
	}
	return "it was over already, " + age(dep.Changed, began) + " ago: that is what it told then"
}

// at is argument i, or "".
func at(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}

// answerCommand confirms or cancels what waits on a host.
func answerCommand(o *options, word, short string, answer func(*nixops.Deployer) func(context.Context, fleet.Host, string) (nixops.Answer, error)) *cobra.Command {
	return &cobra.Command{
		Use: word + " HOST [ID]", Short: short, Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return oneHost(cmd, *o, args[0], func(a *app, s fleet.State) error {
				if err := a.mayChange(s.Host.Name); err != nil {
					return ended(cmd.OutOrStdout(), *o, s.Host, fleet.Deploy{State: fleet.Refused}, err)
				}
				d := a.deployer()
				got, err := answer(d)(cmd.Context(), s.Host, at(args, 1))
				if err != nil {
					return ended(cmd.OutOrStdout(), *o, s.Host, fleet.Deploy{State: fleet.Refused}, err)
				}
				if !got.Taken && got.Why != "" {
					fmt.Fprintln(cmd.ErrOrStderr(), s.Host.Name+": "+got.Why)
				}
				dep, err := d.Attach(cmd.Context(), s.Host, at(args, 1), nixops.ConfirmElse, telling(cmd.ErrOrStderr(), s.Host.Name))
				if got.Taken {
					dep.Findings = append(dep.Findings, got.Findings...)
				}
				if word == "cancel" {
					return calledOff(cmd.OutOrStdout(), *o, s.Host, dep, err)
				}
				return ended(cmd.OutOrStdout(), *o, s.Host, dep, err)
			})
		},
	}
}

func confirmCommand(o *options) *cobra.Command {
	return answerCommand(o, "confirm", "Keep the system that waits on a host, and make it the default", func(d *nixops.Deployer) func(context.Context, fleet.Host, string) (nixops.Answer, error) {
		return d.Confirm
	})
}

func cancelCommand(o *options) *cobra.Command {
	return answerCommand(o, "cancel", "Go back to the system before the deploy that waits", func(d *nixops.Deployer) func(context.Context, fleet.Host, string) (nixops.Answer, error) {
		return d.Cancel
	})
}
