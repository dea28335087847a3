package fleet

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Severity of a problem.
type Severity string

// Severities, worst first. SeverityUnknown means that something could not be
// read: neither fine nor broken.
const (
	SeverityFail    Severity = "fail"
	SeverityWarn    Severity = "warn"
	SeverityUnknown Severity = "unknown"
)

// Problem is something a person should know about a host.
type Problem struct {
	What     string    `json:"what"`
	Severity Severity  `json:"severity"`
	Since    time.Time `json:"since,omitzero"` // when it began, where that is known
	Cure     string    `json:"cure,omitempty"` // what a person can do about it, where that is known
}

// Limits from which a disk or memory is a problem, as a share of the whole.
const (
	diskWarn   = 0.90
	diskFail   = 0.97
	memoryWarn = 0.95
)

// Problems are what is wrong with the host, worst first. Of a host that does not
// answer, what could not be read because of it is folded under that; what others
// tell of it counts all the same.
func (s State) Problems(now time.Time) []Problem {
	var list []Problem
	add := func(sev Severity, since time.Time, format string, args ...any) {
		list = append(list, Problem{What: fmt.Sprintf(format, args...), Severity: sev, Since: since})
	}
	s.presenceProblems(add)
	if p, down := s.unreachable(); down {
		return append(list, p)
	}
	s.systemProblems(add)
	s.containerProblems(add)
	s.backupProblems(add)
	s.metricProblems(add)
	s.siteProblems(now, add)
	s.serviceProblems(now, add)
	list = append(list, s.unreadProblems()...)
	slices.SortStableFunc(list, func(a, b Problem) int { return cmp.Compare(rank(a.Severity), rank(b.Severity)) })
	return list
}

// Worst is the severity of the worst problem, "" when there is none.
func Worst(list []Problem) Severity {
	worst := Severity("")
	for _, p := range list {
		if worst == "" || rank(p.Severity) < rank(worst) {
			worst = p.Severity
		}
	}
	return worst
}

func rank(s Severity) int {
	return slices.Index([]Severity{SeverityFail, SeverityWarn, SeverityUnknown}, s)
}

type addProblem func(sev Severity, since time.Time, format string, args ...any)

func (s State) unreachable() (Problem, bool) {
	switch {
	case !s.Reach.Asked(), s.Reach.Err == Remembered:
		return Problem{What: "not asked yet", Severity: SeverityUnknown}, true
	case s.Reach.Err != "":
		since := s.Reach.At // the last time it did answer
		if p := s.Host.Presence; p.Current() && !p.Value.Online {
			return Problem{What: "offline: " + s.Reach.Err, Severity: SeverityUnknown, Since: p.Value.LastSeen, Cure: s.Reach.Cure}, true
		}
		return Problem{What: "not reachable: " + s.Reach.Err, Severity: SeverityUnknown, Since: since, Cure: s.Reach.Cure}, true
	}
	return Problem{}, false
}

// healthCheck is the name of the transient unit in which Podman runs a health
// check, in the user's systemd for a user's container: the container's own
// problem, which is told as such.
var healthCheck = regexp.MustCompile(`^(?:[^ ]+: )?[0-9a-f]{64}(-[0-9a-f]+)?\.(service|timer)$`)

func (s State) systemProblems(add addProblem) {
	if failed := slices.DeleteFunc(slices.Clone(s.FailedUnits().Value), healthCheck.MatchString); s.Units.Current() && len(failed) > 0 {
		add(SeverityFail, time.Time{}, "failed units: %s", strings.Join(failed, ", "))
	}
	if !s.System.Current() {
		return
	}
	sys := s.System.Value
	if sys.RebootNeeded {
		add(SeverityWarn, time.Time{}, "reboot needed: %s", strings.Join(sys.RebootWhy, ", "))
	}
	if sys.NixOS && sys.Differs() && !s.underWay() {
		add(SeverityWarn, time.Time{}, "running system is not the default")
	}
	s.deployProblem(add)
}

// presenceProblems are what Tailscale tells of the host without asking it. An
// expired key is often why it does not answer, and only a person can renew it.
func (s State) presenceProblems(add addProblem) {
	if p := s.Host.Presence; p.Current() && p.Value.Expired {
		add(SeverityWarn, p.Value.KeyExpiry, "Tailscale key expired")
	}
}

// underWay tells whether a deploy is: until it is over the running system is not
// the default on purpose.
func (s State) underWay() bool {
	return s.Deploys.Current() && len(s.Deploys.Value) > 0 && !s.Deploys.Value[0].State.Over()
}

// deployProblem tells of the newest deploy where that needs somebody: it waits,
// or it went wrong and nothing was deployed since.
func (s State) deployProblem(add addProblem) {
	if !s.Deploys.Current() || len(s.Deploys.Value) == 0 {
		return
	}
	switch d := s.Deploys.Value[0]; d.State {
	case Awaiting:
		add(SeverityWarn, d.Changed, "a new system waits to be confirmed")
	case RolledBack:
		add(SeverityWarn, d.Changed, "it went back by itself: %s", d.Why)
	case RollbackFailed:
		add(SeverityFail, d.Changed, "the roll-back failed: %s", d.Why)
	case Conflict:
		add(SeverityWarn, d.Changed, "a deploy was left undecided: %s", d.Why)
	case Staged, Activating, Committing, RollingBack:
		add(SeverityWarn, d.Changed, "deploy under way: %s", strings.TrimSpace(d.State.Words()+" "+d.Why))
	}
}

func (s State) containerProblems(add addProblem) {
	if !s.Containers.Current() {
		return
	}
	for _, c := range s.Containers.Value {
		if !c.Broken() {
			continue
		}
		why := c.State
		if c.Health == "unhealthy" {
			why = c.Health
		}
		add(SeverityFail, time.Time{}, "container %s: %s", c.Name, why)
	}
}

func (s State) backupProblems(add addProblem) {
	if !s.Backups.Current() {
		return
	}
	for _, j := range s.Backups.Value {
		switch j.State {
		case BackupFailed:
			add(SeverityFail, j.LastRun, "backup %s failed: %s", j.Name, cmp.Or(j.Error, "see its log"))
		case BackupStale:
			add(SeverityWarn, later(j.LastSuccess, j.NewestSnapshot), "backup %s is older than its limit", j.Name)
		case BackupNever:
			add(SeverityWarn, time.Time{}, "backup %s never ran", j.Name)
		case BackupUnknown:
			add(SeverityUnknown, time.Time{}, "backup %s: %s", j.Name, cmp.Or(j.Error, "unknown"))
		}
		if r := j.Repo; r != nil && !r.Check.At.IsZero() && !r.Check.OK {
			add(SeverityFail, r.Check.At, "backup %s: the check of its repository failed", j.Name)
		}
		if t := j.RestoreTest; t != nil && !t.Well() {
			add(SeverityFail, t.At, "backup %s: its restore test found %d bad files", j.Name, len(t.Bad))
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s State) metricProblems(add addProblem) {
	if s.Metrics.Current() {
		for _, d := range s.Metrics.Value.Disks {
			switch f := d.Fraction(); {
			case f >= diskFail:
				add(SeverityFail, time.Time{}, "disk %s is %.0f %% full", d.Mount, f*100)
			case f >= diskWarn:
				add(SeverityWarn, time.Time{}, "disk %s is %.0f %% full", d.Mount, f*100)
			}
		}
		if m := s.Metrics.Value.Memory; m.Total > 0 && float64(m.Used) >= memoryWarn*float64(m.Total) {
			add(SeverityWarn, time.Time{}, "memory is %.0f %% full", 100*float64(m.Used)/float64(m.Total))
		}
	}
	if s.Alarms.Current() {
		for _, a := range s.Alarms.Value {
			sev := SeverityWarn
			if a.Status == "CRITICAL" {
				sev = SeverityFail
			}
			add(sev, a.Since, "alarm %s: %s", a.Name, a.Value)
		}
	}
}

// unreadProblems names the facts that were asked for and could not be read.
func (s State) unreadProblems() []Problem {
	return slices.Concat(
		unread("system", s.System), s.unreadDeploys(), unread("units", s.Units), unread("containers", s.Containers),
		unread("backups", s.Backups), unread("metrics", s.Metrics), unread("alarms", s.Alarms),
		unreadSeldom("listeners", s.Listens), unreadSeldom("sites", s.Sites), unreadSeldom("services", s.Services),
	)
}

// unreadDeploys is no problem where we are not root: that is so every day, and is
// told with all that an ordinary login does not see.
func (s State) unreadDeploys() []Problem {
	if s.System.Current() && s.System.Value.UID > 0 {
		return nil
	}
	return unread("deploys", s.Deploys)
}

func unread[T any](name string, f Fact[T]) []Problem {
	if f.Err == "" || f.None {
		return nil
	}
	return []Problem{{What: name + " unknown: " + f.Err, Severity: SeverityUnknown, Since: f.ErrAt, Cure: f.Cure}}
}
