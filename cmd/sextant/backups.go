package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
)

// jobRow is a backup job with its host, and what is worked out of it.
type jobRow struct {
	Host string `json:"host"`
	fleet.BackupJob
	Growth *jobGrowth `json:"growth"` // null where it is not known
	Worn   *float64   `json:"worn"`   // the age of the last good backup as a share of the limit; null where it is not known
}

// jobGrowth is by how much the data of a job have grown.
type jobGrowth struct {
	Bytes  int64         `json:"bytes"`  // fewer than none: they have shrunk
	Within fleet.Seconds `json:"within"` // seconds between the two snapshots that are compared
}

func jobRowOf(s fleet.State, j fleet.BackupJob) jobRow {
	r := jobRow{Host: s.Host.Name, BackupJob: j}
	if bytes, within := j.Growth(); within > 0 {
		r.Growth = &jobGrowth{bytes, fleet.Seconds(within.Seconds())}
	}
	if worn := j.Worn(time.Now()); worn >= 0 {
		r.Worn = &worn
	}
	return r
}

// grown is how much the data of a job have grown by, in words.
func grown(j fleet.BackupJob) string {
	bytes, within := j.Growth()
	switch {
	case within == 0:
		return "-"
	case bytes < 0:
		return "-" + size(uint64(-bytes)) + fmt.Sprintf("/%dd", int(within.Hours()/24+0.5))
	}
	return "+" + size(uint64(bytes)) + fmt.Sprintf("/%dd", int(within.Hours()/24+0.5))
}

// testedAgo is how long ago a restore was tested.
func testedAgo(j fleet.BackupJob, now time.Time) string {
	switch t := j.RestoreTest; {
	case t == nil:
		return "never"
	case !t.Well():
		return "FAIL " + age(t.At, now)
	default:
		return age(t.At, now)
	}
}

// sizeOrNot is a size, or "-" where it is not told.
func sizeOrNot(b uint64) string {
	if b == 0 {
		return "-"
	}
	return size(b)
}

// withoutBackup names the hosts that save nothing.
func withoutBackup(t *table, states []fleet.State) {
	var names []string
	for _, s := range states {
		if f := s.Backups; f.None || f.Current() && len(f.Value) == 0 {
			names = append(names, s.Host.Name)
		}
	}
	if len(names) > 0 {
		t.note("no backup: " + strings.Join(names, ", "))
	}
}

func backupsCommand(o *options) *cobra.Command {
	var repos bool
	c := &cobra.Command{
		Use: "backups [SEL…]", Short: "Backup jobs of hosts: last success, newest snapshot, size and growth, next run, age against the limit",
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, only("backups"), func(_ *app, states []fleet.State) error {
				if repos {
					return printRepositories(cmd.OutOrStdout(), *o, states)
				}
				return printBackups(cmd.OutOrStdout(), *o, states)
			}))
		},
	}
	c.Flags().BoolVar(&repos, "repos", false, "the repositories in place of the jobs: who saves there, orphans, last check and prune")
	return c
}

// printRepositories prints the repositories as the hosts together see them.
func printRepositories(w io.Writer, o options, states []fleet.State) error {
	_, hosts, errs := gather(states, func(s fleet.State) fleet.Fact[[]fleet.BackupJob] { return s.Backups }, jobRowOf)
	out := struct {
		Schema       int              `json:"schema"`
		Repositories []fleet.SeenRepo `json:"repositories"`
		Errors       []hostError      `json:"errors"`
		Hosts        []hostFact       `json:"hosts"`
	}{1, append([]fleet.SeenRepo{}, fleet.Repositories(states)...), errs, hosts}
	now, failed := time.Now(), false
	err := o.write(w, out, func(t *table) {
		t.row("REPOSITORY", "TOOL", "JOBS", "SNAPSHOTS", "OF", "CHECKED", "PRUNED", "LISTED")
		for _, r := range out.Repositories {
			var of []string
			for _, h := range r.Hosts {
				name := h.Name
				if h.Orphan {
					name += " (orphan)"
				}
				of = append(of, name)
			}
			t.row(fleet.ShortRepo(r.ID), r.Tool, strings.Join(r.Jobs, " "), fmt.Sprint(r.Snapshots), strings.Join(of, ", "), kept(r.Check, now), kept(r.Prune, now), age(r.At, now))
		}
		for _, s := range states {
			for _, j := range s.Backups.Value {
				if j.Repo == nil && j.Error != "" {
					t.note("? " + s.Host.Name + " " + j.Name + ": " + j.Error)
				}
			}
		}
		holes(t, hosts, now)
	})
	for _, r := range out.Repositories {
		failed = failed || !r.Check.At.IsZero() && !r.Check.OK
	}
	if err == nil && failed {
		return exitCode(exitProblem)
	}
	return cmp.Or(err, unknown(errs))
}

// kept is when a repository was last checked or pruned, in words.
func kept(u fleet.Upkeep, now time.Time) string {
	switch {
	case u.At.IsZero() && u.Since.IsZero():
		return "?"
	case u.At.IsZero():
		return "not in " + age(u.Since, now)
	case !u.OK:
		return "FAILED " + age(u.At, now)
	}
	return age(u.At, now)
}

func printBackups(w io.Writer, o options, states []fleet.State) error {
	rows, hosts, errs := gather(states, func(s fleet.State) fleet.Fact[[]fleet.BackupJob] { return s.Backups },
		jobRowOf)
	out := struct {
		Schema int         `json:"schema"`
		Jobs   []jobRow    `json:"jobs"`
		Errors []hostError `json:"errors"`
		Hosts  []hostFact  `json:"hosts"`
	}{1, rows, errs, hosts}
	now := time.Now()
	ages := aged(hosts, now)
	bad, open := false, false
	for _, j := range rows {
		bad = bad || j.State == fleet.BackupFailed || j.State == fleet.BackupStale || j.State == fleet.BackupNever
		open = open || j.State == fleet.BackupUnknown
	}
	err := o.write(w, out, func(t *table) {
		t.row("HOST", "JOB", "STATE", "UNIT WELL", "NEWEST SNAPSHOT", "LIMIT", "SIZE", "GROWTH", "NEXT", "TESTED", "TOOL", "AGE", "ERROR")
		for _, j := range rows {
			next := "-"
			if !j.Next.IsZero() {
				next = j.Next.Local().Format("01-02 15:04")
			}
			t.row(j.Host, j.Name, string(j.State), age(j.LastSuccess, now), age(j.NewestSnapshot, now),
				age(now.Add(-j.MaxAge.Duration()), now), sizeOrNot(j.Size), grown(j.BackupJob), next, testedAgo(j.BackupJob, now), j.Tool, ages[j.Host], j.Error)
		}
		holes(t, hosts, now)
		withoutBackup(t, states)
	})
	switch {
	case err == nil && bad:
		return exitCode(exitProblem)
	case err == nil && open:
		return exitCode(exitUnknown)
	}
	return cmp.Or(err, unknown(errs))
}
