package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/words"
)

// statusOut is the machine form of `sextant status`, schema 1.
type statusOut struct {
	Schema int          `json:"schema"`
	At     time.Time    `json:"at"`
	Hosts  []hostStatus `json:"hosts"`

	Fleet []fleet.Finding `json:"fleet"` // problems that no single host tells; of hosts that were named: none
}

type hostStatus struct {
	Name        string                     `json:"name"`
	Tags        []string                   `json:"tags"`
	Role        fleet.Role                 `json:"role,omitempty"` // absent: none, or not known
	RoleFrom    string                     `json:"roleFrom,omitempty"`
	Tier        string                     `json:"tier,omitempty"`
	TierFrom    string                     `json:"tierFrom,omitempty"`
	Sleeps      bool                       `json:"sleeps,omitempty"` // it is switched off, as it may be
	OS          string                     `json:"os"`
	Presence    fleet.Fact[fleet.Presence] `json:"presence,omitzero"` // what the tailnet says of it; absent where it is on none
	Reach       fleet.Fact[fleet.Reach]    `json:"reach"`
	System      fleet.Fact[fleet.System]   `json:"system"`
	FailedUnits fleet.Fact[[]string]       `json:"failedUnits"`
	Containers  fleet.Fact[containerCount] `json:"containers"`
	Backups     fleet.Fact[backupCount]    `json:"backups"`
	Metrics     fleet.Fact[fleet.Metrics]  `json:"metrics"`
	Alarms      fleet.Fact[[]fleet.Alarm]  `json:"alarms"`
	Problems    []fleet.Problem            `json:"problems"`
}

type containerCount struct {
	Running   int `json:"running"`
	Total     int `json:"total"`
	Unhealthy int `json:"unhealthy"`
}

type backupCount struct {
	Fresh   int `json:"fresh"`
	Stale   int `json:"stale"`
	Failed  int `json:"failed"`
	Never   int `json:"never"`
	Unknown int `json:"unknown"`
}

func countContainers(list []fleet.Container) containerCount {
	n := containerCount{Total: len(list)}
	for _, c := range list {
		if c.Running() {
			n.Running++
		}
		if c.Health == "unhealthy" {
			n.Unhealthy++
		}
	}
	return n
}

func countBackups(list []fleet.BackupJob) backupCount {
	var n backupCount
	for _, j := range list {
		switch j.State {
		case fleet.BackupFresh:
			n.Fresh++
		case fleet.BackupStale:
			n.Stale++
		case fleet.BackupFailed:
			n.Failed++
		case fleet.BackupNever:
			n.Never++
		default:
			n.Unknown++
		}
	}
	return n
}

func statusOf(s fleet.State, now time.Time) hostStatus {
	problems := s.Problems(now)
	if problems == nil {
		problems = []fleet.Problem{}
	}
	os := s.Host.OS
	if s.System.HasValue() {
		os = s.System.Value.OSName
	}
	role, from := s.Role()
	return hostStatus{
		Name: s.Host.Name, Tags: append([]string{}, s.Host.Tags...),
		Role: role, RoleFrom: from, Tier: s.Host.Tier, TierFrom: s.Host.TierFrom, Sleeps: s.Sleeps(), OS: os, Presence: s.Host.Presence,
		Reach: s.Reach, System: s.System, FailedUnits: s.FailedUnits(),
		Containers: fleet.Derive(s.Containers, countContainers), Backups: fleet.Derive(s.Backups, countBackups),
		Metrics: s.Metrics, Alarms: s.Alarms, Problems: problems,
	}
}

func statusCommand(o *options) *cobra.Command {
	var watch, deep bool
	c := &cobra.Command{
		Use: "status [SEL…]", Short: "One row a host: reachable, generation, units, containers, backups, load",
		RunE: func(cmd *cobra.Command, sel []string) error {
			if watch {
				return failed(watchStatus(cmd.Context(), cmd.OutOrStdout(), *o, sel))
			}
			return failed(withHosts(cmd.Context(), *o, sel, asks(deep), func(a *app, states []fleet.State) error {
				return printStatus(cmd.OutOrStdout(), *o, a.health(cmd.Context(), states, len(sel) > 0, deep))
			}))
		},
	}
	c.Flags().BoolVar(&deep, "deep", false, deepHelp)
	c.Flags().BoolVarP(&watch, "watch", "w", false, "print again on every change, until interrupted")
	return c
}

// printStatus writes the states and gives the exit code they mean.
func printStatus(w io.Writer, o options, snap fleet.Snapshot) error {
	now := time.Now().UTC()
	out := statusOut{Schema: 1, At: now, Hosts: []hostStatus{}, Fleet: append([]fleet.Finding{}, snap.OfFleet(now)...)}
	for _, s := range snap.Hosts {
		out.Hosts = append(out.Hosts, statusOf(s, now))
	}
	err := o.write(w, out, func(t *table) {
		statusTable(t, snap.Hosts, now)
		for _, f := range out.Fleet {
			problemNote(t, strings.TrimPrefix(f.Host+": ", ": "), f.Problem)
		}
	})
	if err != nil {
		return err
	}
	return judge(out)
}

// judge gives the exit code: problems before what is unknown.
func judge(out statusOut) error {
	all := problemsIn(out.Fleet)
	for _, h := range out.Hosts {
		all = append(all, h.Problems...)
	}
	return verdict(fleet.Worst(all))
}

// problemNote tells a problem below the table.
func problemNote(t *table, before string, p fleet.Problem) {
	what := p.What
	if p.Acked != nil {
		what += ", acknowledged"
	}
	t.note(fmt.Sprintf("%s%s  %s", before, p.Severity, what))
	cureNote(t, p.Cure)
}

func statusTable(t *table, states []fleet.State, now time.Time) {
	t.row("HOST", "STATE", "VIA", "GENERATION", "UNITS", "CONTAINERS", "BACKUPS", "CPU", "MEMORY", "DISK", "ALARMS", "AGE")
	for _, s := range states {
		problems := s.Problems(now)
		t.row(s.Host.Name, stateWord(s, problems), via(s), generationCell(s),
			cell(s.FailedUnits(), func(n []string) string { return plural(len(n), "failed", "ok") }),
			cell(fleet.Derive(s.Containers, countContainers), func(n containerCount) string { return fmt.Sprintf("%d/%d", n.Running, n.Total) }),
			cell(fleet.Derive(s.Backups, countBackups), backupsCell),
			cell(s.Metrics, func(m fleet.Metrics) string { return percent(m.CPU) }),
			cell(s.Metrics, func(m fleet.Metrics) string { return share(m.Memory) }),
			cell(s.Metrics, func(m fleet.Metrics) string { return fullest(m.Disks) }),
			cell(s.Alarms, func(a []fleet.Alarm) string { return fmt.Sprint(len(a)) }),
			age(s.System.At, now))
		if s.Sleeps() {
			_, from := s.Role()
			t.note("  off  as a desktop may be (" + from + "), last seen " + age(s.Host.Presence.Value.LastSeen, now) + " ago")
		}
		for _, p := range problems {
			problemNote(t, "  ", p)
		}
	}
}

// stateWord is one word for what Problems tell of a host.
func stateWord(s fleet.State, problems []fleet.Problem) string {
	worst := fleet.Worst(problems)
	if s.Reach.Err != "" && s.Host.Offline() && (worst == "" || worst == fleet.SeverityUnknown) {
		return words.Off
	}
	return severityWord(worst)
}

func severityWord(s fleet.Severity) string {
	switch s {
	case fleet.SeverityFail:
		return "FAIL"
	case fleet.SeverityWarn:
		return "warn"
	case fleet.SeverityUnknown:
		return "?"
	}
	return "ok"
}

func via(s fleet.State) string {
	if !s.Reach.Current() {
		return "-"
	}
	r := s.Reach.Value
	return cmp.Or(r.Path, string(r.Via))
}

func generationCell(s fleet.State) string {
	return cell(s.System, func(sys fleet.System) string {
		if !sys.NixOS {
			return "-"
		}
		out := "?"
		if sys.Running.Generation > 0 {
			out = sys.Running.Short()
		}
		if sys.Differs() {
			out += "≠" + fmt.Sprint(sys.Default.Generation)
		}
		if sys.RebootNeeded {
			out += " reboot"
		}
		return out
	})
}

func backupsCell(n backupCount) string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{n.Failed, "failed"}, {n.Stale, "stale"}, {n.Never, "never"}, {n.Unknown, "?"}, {n.Fresh, "ok"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.word))
		}
	}
	return cmp.Or(strings.Join(parts, " "), "none")
}

// watchStatus prints the status on every change, at most once a second.
func watchStatus(ctx context.Context, w io.Writer, o options, sel []string) error {
	a, err := openApp(o)
	if err != nil {
		return err
	}
	defer a.close()
	stop := a.start(ctx, 0)
	defer stop()
	notices, unsubscribe := a.store.Subscribe()
	defer unsubscribe()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-notices:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
		states, err := a.pick(sel)
		if err != nil {
			continue // the hosts it names may still be found
		}
		snap := a.store.Snapshot()
		if snap.Hosts = states; len(sel) > 0 {
			snap = fleet.Snapshot{Hosts: states}
		}
		if err := printStatus(w, o, snap); err != nil && !isExit(err) {
			return err
		}
	}
}
