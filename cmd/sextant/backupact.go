package main

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/backup"
	"github.com/sextant-fleet/sextant/nixops"
)

// backupWorks are what can be done for a backup job, as actions and commands.
var backupWorks = []struct {
	work                backup.Work
	title, past, help   string
	asks                []fleet.Choice
	about, how, dangers string
}{
	{
		backup.Run, "Run the backup", "run", "start the unit of the backup now, and follow what it says until it has ended",
		[]fleet.Choice{choiceWait}, "Run it now", "systemctl starts its unit", "",
	},
	{
		backup.Check, "Check the repository of the backup", "checked", "check the repository, by the unit that does so on the host, or by the tool itself",
		[]fleet.Choice{choiceData, choiceWait}, "Check its repository", "its tool checks the repository", "",
	},
	{
		backup.Prune, "Prune the repository of the backup", "pruned", "give back the space of what no snapshot needs, by the unit that does so on the host, or by the tool itself",
		[]fleet.Choice{choiceWait}, "Give back the space of what no snapshot needs", "its tool prunes the repository; no snapshot is forgotten",
		"what no snapshot needs is deleted for good",
	},
}

// The choices of what is done for a backup.
var (
	choiceWait = fleet.Choice{ID: "wait", Title: "until it has ended", Values: []string{"wait", "do not wait"}}
	choiceData = fleet.Choice{ID: "data", Title: "of the data, read", Values: []string{"none", "5%", "all"}, Help: "none: that all is there; else also that it can be read, which takes long and may cost"}
)

// jobOfTarget is the job that a target names.
func jobOfTarget(t fleet.Target) (fleet.State, fleet.BackupJob, error) {
	if len(t.Hosts) != 1 {
		return fleet.State{}, fleet.BackupJob{}, fmt.Errorf("%d hosts are meant; this is for one", len(t.Hosts))
	}
	st := t.Hosts[0]
	j, ok := st.Job(t.Item)
	if !ok {
		return st, j, &nixops.Refusal{Host: st.Host.Name, Why: "no one backup job " + t.Item + " there", Cure: "see sextant backups " + st.Host.Name + "; TOOL/NAME where several have the name"}
	}
	return st, j, nil
}

// offJob is why nothing can be done for a job now.
func offJob(t fleet.Target) string {
	if why := nixops.Unreachable(t); why != "" {
		return why
	}
	_, j, err := jobOfTarget(t)
	if err != nil {
		return err.Error()
	}
	return backup.Workable(j)
}

// backupActions are what can be done for a backup job.
func (a *app) backupActions(d *nixops.Deployer) []fleet.Action {
	var list []fleet.Action
	for _, w := range backupWorks {
		list = append(list, fleet.Action{
			ID: "backup-" + string(w.work), Title: w.title, Help: w.help, Scope: fleet.ScopeJob, Danger: true, Single: true, Choices: w.asks,
			Disabled: func(t fleet.Target) string {
				why := offJob(t)
				if _, j, err := jobOfTarget(t); why == "" && err == nil && j.Running {
					why = j.Unit + " runs already"
				}
				return why
			},
			Plan: func(ctx context.Context, t fleet.Target) (fleet.Plan, error) {
				st, j, err := jobOfTarget(t)
				if err != nil {
					return fleet.Plan{}, err
				}
				p, err := a.planWork(ctx, st, j, orderOf(w.work, st, j, t), w.how)
				if w.dangers != "" {
					p.Lines, p.Typed = append(p.Lines, w.dangers), j.Name
				}
				p.Title = w.title + " " + j.Name + " of " + st.Host.Name
				return p, err
			},
			Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
				st, j, err := jobOfTarget(t)
				if err != nil {
					return err
				}
				e := fleet.Event{At: time.Now(), Kind: fleet.EventAction, Level: fleet.Info, Text: "backup " + j.Key() + " " + w.past}
				said, err := a.work(ctx, st, j, orderOf(w.work, st, j, t), t.Chose(choiceWait) == choiceWait.Values[0], say)
				return a.acted(d, st.Host, e, said, err, say)
			},
		})
	}
	return append(list, a.restoreAction(d), a.restoreTestAction(d))
}

// orderOf is what was chosen to be done for a job.
func orderOf(work backup.Work, _ fleet.State, _ fleet.BackupJob, t fleet.Target) backup.Order {
	o := backup.Order{Work: work}
	if data := t.Chose(choiceData); work == backup.Check && data != choiceData.Values[0] {
		o.Data = data
	}
	return o
}

// planWork says how it is done on the host, or why not.
func (a *app) planWork(ctx context.Context, st fleet.State, j fleet.BackupJob, o backup.Order, how string) (fleet.Plan, error) {
	r, err := backup.Prepare(ctx, a.links.Open(st.Host), j, o.Others)
	if err != nil {
		return fleet.Plan{}, err
	}
	if len(r.Busy) > 0 {
		return fleet.Plan{}, &nixops.Refusal{Host: st.Host.Name, Why: j.Name + " is at work already: " + r.Busy[0], Cure: "follow it with its log, and try again when it has ended"}
	}
	unit := o.Unit(j, r)
	lines := []string{"systemctl start " + unit}
	switch {
	case o.Work == backup.Run:
	case unit == r.Check || unit == r.Prune:
		lines = append(lines, "it is the host's own unit for it: what it does beside, such as forgetting old snapshots, its module says")
	default:
		lines = []string{how + ", as unit " + unit + ", with the credentials of " + j.Unit}
	}
	return fleet.Plan{Lines: append(lines, "it goes on on the host, also when Sextant has ended")}, nil
}

// work begins it, and follows it where it is waited for.
func (a *app) work(ctx context.Context, st fleet.State, j fleet.BackupJob, o backup.Order, wait bool, say func(string)) (string, error) {
	l := a.links.Open(st.Host)
	b, err := backup.Begin(ctx, l, j, o)
	if err != nil {
		return "", err
	}
	said := b.Unit + " was started"
	if b.Queued {
		said += "; it waits for something else"
	}
	if !wait {
		return said, nil
	}
	say(said)
	if err := b.Follow(ctx, l, say); err != nil {
		return "", err
	}
	return b.Unit + " ended well", nil
}

// dataShare is how much of a repository's data a check may read.
var dataShare = regexp.MustCompile(`^(all|[1-9][0-9]?%)$`)

// backupCommand is one job: what is done for it, and what is looked at.
func backupCommand(o *options) *cobra.Command {
	c := &cobra.Command{Use: "backup", Short: "Run, check or prune a backup of a host; look into its snapshots, restore from them, and test that"}
	c.AddCommand(backupSnapshotsCommand(o), backupFilesCommand(o), backupDiffCommand(o), backupRestoreCommand(o), backupTestCommand(o))
	for _, w := range backupWorks {
		var data string
		var detach bool
		act := actCommand(o, verb{string(w.work), w.about, w.past}, "JOB", probeOnly, func(t *fleet.Target, name string) (string, error) {
			t.Item, t.Chosen = name, map[string]string{choiceWait.ID: choiceWait.Values[0], choiceData.ID: cmp.Or(data, choiceData.Values[0])}
			if data != "" && !dataShare.MatchString(data) {
				return "", usageError{fmt.Errorf("--data %s: say how much: 5%%, all", data)}
			}
			if detach {
				t.Chosen[choiceWait.ID] = choiceWait.Values[1]
			}
			return "backup-" + string(w.work), nil
		})
		act.Short = w.about
		act.Flags().BoolVar(&detach, "detach", false, "do not wait for its end: it goes on on the host")
		if w.work == backup.Check {
			act.Flags().StringVar(&data, "data", "", "also read so much of the data: 5%, all")
		}
		c.AddCommand(act)
	}
	return c
}
