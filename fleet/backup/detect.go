package backup

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// tool is a kind of backup by the names that NixOS' modules, and modules of
// their users, give its units.
type tool struct {
	name   string
	prefix string // of jobs: what follows is the job's name
	single string // the whole name of a unit that does everything
	daemon bool   // runs all the time: its unit tells nothing of its backups
}

// tools are asked in this order; the first that fits counts.
var tools = []tool{
	{name: "restic", prefix: "restic-backups-"},
	{name: "rustic", prefix: "rustic-backups-"}, // modules of third parties
	{name: "rustic", prefix: "rustic-backup-"},  // nixpkgs' services.rustic
	{name: "rustic", prefix: "rustic-"},         // the reference fleet's module
	{name: "borg", prefix: "borgbackup-job-"},
	{name: "borg", single: "borgmatic"},
	{name: "btrbk", prefix: "btrbk-", single: "btrbk"},
	{name: "syncoid", prefix: "syncoid-", single: "syncoid"},
	{name: "sanoid", single: "sanoid"},
	{name: "backrest", single: "backrest", daemon: true},
	{name: "zrepl", single: "zrepl", daemon: true},
}

// chores are units beside a job that save nothing themselves.
var chores = []string{"prune", "check", "forget"}

// otherRustic are units of rustic that are no jobs: of nixpkgs' module those
// that do the work of a job of another kind, and servers.
var otherRustic = []string{"postgres-", "server", "exporter"}

// identify tells which job a service is.
func identify(unit string) (t tool, name string, ok bool) {
	base, ok := strings.CutSuffix(unit, ".service")
	if !ok || strings.HasSuffix(base, "@") { // a template is no unit
		return tool{}, "", false
	}
	for _, t := range tools {
		if t.single == base {
			return t, base, true
		}
		name, ok := strings.CutPrefix(base, t.prefix)
		if t.prefix == "" || !ok || name == "" {
			continue
		}
		return t, name, !chore(t, name)
	}
	return tool{}, "", false
}

// chore tells the units beside a job of rustic from the job. Beside jobs of
// other tools only a module of somebody's own makes such units: see aside.
func chore(t tool, name string) bool {
	if t.name != "rustic" {
		return false
	}
	for _, c := range chores {
		if strings.HasSuffix(name, "-"+c) || name == c || strings.HasPrefix(name, c+"-") {
			return true
		}
	}
	return slices.ContainsFunc(otherRustic, func(p string) bool { return strings.HasPrefix(name, p) })
}

// aside tells a unit that stands beside a job, which has the same name but for
// the chore.
func aside(f found, all map[string]found) bool {
	for _, c := range chores {
		job, ok := strings.CutSuffix(f.unit.Name, "-"+c+".service")
		if _, beside := all[job+".service"]; ok && beside {
			return true
		}
	}
	return false
}

// found is a job as systemd shows it.
type found struct {
	tool  tool
	name  string
	unit  fleet.Unit // only Name is set where systemd has not loaded it
	timer fleet.Timer
}

// find gives the jobs of a host by name: of its units, and of timers whose
// service systemd has not loaded because it never ran.
func find(units []fleet.Unit, timers []fleet.Timer) []found {
	byUnit := map[string]found{}
	for _, u := range units {
		t, name, ok := identify(u.Name)
		if ok && u.Load != "not-found" && u.Load != "masked" {
			byUnit[u.Name] = found{tool: t, name: name, unit: u}
		}
	}
	for _, timer := range timers {
		t, name, ok := identify(timer.Activates)
		if !ok {
			continue
		}
		f, known := byUnit[timer.Activates]
		if !known {
			f = found{tool: t, name: name, unit: fleet.Unit{Name: timer.Activates}}
		}
		if f.timer.Name == "" || timer.Next.Before(f.timer.Next) && !timer.Next.IsZero() {
			f.timer = timer
		}
		byUnit[timer.Activates] = f
	}
	var out []found
	for _, f := range byUnit {
		if !aside(f, byUnit) {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.unit.Name, b.unit.Name))
	})
	return out
}
