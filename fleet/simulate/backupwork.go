package simulate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// work is what a unit of a backup does on request.
type work struct {
	backup string
	unit   string
	began  time.Time
	lines  []string // one every half second
	status int
	marks  bool // it is a unit of Sextant's, which says itself how it ended
	over   bool
}

// workPace is the time between two lines of a backup at work.
const workPace = 500 * time.Millisecond

// askBackupTool plays the script that asks the tool of a job: $1 is the tool, $2 the
// job, $5 the unit that is to run it by itself, or begins with "-"; its arguments follow.
func askBackupTool(c Call) int {
	args := c.Args[min(6, len(c.Args)):]
	if strings.HasPrefix(c.arg(5), "-") {
		return c.with(append([]string{c.arg(1) + "-" + c.arg(2)}, args...)).run()
	}
	if !c.Root {
		fmt.Fprintln(c.Stderr, "Failed to start transient service unit: Interactive authentication required.")
		return 1
	}
	lines := []string{"using temporary cache", "create exclusive lock for repository", "load indexes", "check all packs", "check snapshots, trees and blobs", "no errors were found"}
	if slices.Contains(args, "prune") {
		lines = []string{"loading indexes", "loading all snapshots", "finding data that is still in use for 59 snapshots", "to delete: 812 blobs / 3.021 GiB", "total prune: 812 blobs / 3.021 GiB", "done"}
	}
	c.machine().begin(c, work{backup: c.arg(2), unit: c.arg(5), lines: lines, marks: true})
	return 0
}

// tellReady plays how a job stands for being worked on: $2 is its name, $3 its unit.
func tellReady(c Call) int {
	m := c.machine()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, line := range m.backupAtWork(c.arg(2), c.arg(3)) {
		fmt.Fprintln(c.Stdout, line)
	}
	fmt.Fprintln(c.Stdout, "check \nprune \nway wrapper")
	return 0
}

// backupAtWork tells which units of a job are at work. The machine is locked.
func (m *machine) backupAtWork(name, unit string) []string {
	var out []string
	if u := m.unit(unit); u != nil && u.active == "activating" {
		out = append(out, "busy "+unit+" (activating)")
	}
	for _, w := range m.works {
		if w.backup == name && !w.over && w.unit != unit {
			out = append(out, "busy "+w.unit+" (active)")
		}
	}
	return out
}

// beginBackup plays the start of a job's unit: $2 is the job, $4 the unit.
func beginBackup(c Call) int {
	m := c.machine()
	name, unit := c.arg(2), c.arg(4)
	m.mu.Lock()
	busy := m.backupAtWork(name, c.arg(3))
	i := slices.IndexFunc(m.backups, func(b backup) bool { return b.name == name })
	m.mu.Unlock()
	switch {
	case !c.Root:
		fmt.Fprintf(c.Stderr, "Failed to start %s: Interactive authentication required.\n", unit)
		return 1
	case len(busy) > 0:
		fmt.Fprintln(c.Stdout, busy[0])
		return 0
	case i < 0:
		fmt.Fprintf(c.Stderr, "Failed to start %s: Unit %s not found.\n", unit, unit)
		return 5
	}
	b := m.backups[i]
	w := work{backup: name, unit: unit, status: b.failed, lines: []string{"open repository", "using parent snapshot 3f1c9a02", "Files: 41 new, 112 changed", "Added to the repository: 1.207 GiB (903.1 MiB stored)", "snapshot saved"}}
	if b.failed != 0 {
		w.lines = []string{"open repository", "Fatal: repository does not exist: unable to open config file: stat /mnt/backup/" + name + "/config: no such file or directory"}
	}
	fmt.Fprintf(c.Stdout, "since %d\n", c.now().Unix())
	m.begin(c, w)
	fmt.Fprintln(c.Stdout, "begun")
	return 0
}

// begin has a unit work, until it has said its lines.
func (m *machine) begin(c Call, w work) {
	w.began = c.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if u := m.unit(w.unit); u != nil {
		u.active, u.sub, u.started, u.exited, u.result, u.status = "activating", "start", w.began, time.Time{}, "success", 0
	}
	m.works = append(slices.DeleteFunc(m.works, func(old *work) bool { return old.unit == w.unit }), &w)
	now := c.h.f.now
	time.AfterFunc(time.Duration(len(w.lines))*workPace, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.end(&w, now())
	})
}

// end ends the work of a unit. The machine is locked.
func (m *machine) end(w *work, at time.Time) {
	w.over = true
	u := m.unit(w.unit)
	switch {
	case u == nil:
	case w.status != 0:
		u.fail(at, w.status)
	default:
		u.active, u.sub, u.exited = "inactive", "dead", at
		if m.made == nil {
			m.made = map[string][]time.Time{}
		}
		m.made[w.backup] = append(m.made[w.backup], w.began)
	}
}

// madeNow are the times of the snapshots that a job made since the fleet began.
func (m *machine) madeNow(name string) []time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.made[name])
}

// tellWork plays how a unit does and what it has said: $1 is the unit, $2 how many
// of its lines are known.
func tellWork(c Call) int {
	m := c.machine()
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.works, func(w *work) bool { return w.unit == c.arg(1) })
	if i < 0 {
		fmt.Fprintf(c.Stdout, "LoadState=not-found\nActiveState=inactive\nSubState=dead\nResult=success\nExecMainStatus=0\n")
		return 0
	}
	w := m.works[i]
	active, result := "active", "success"
	switch u := m.unit(w.unit); {
	case u != nil:
		active, result = u.active, u.result
	case w.over:
		active = "inactive"
	}
	fmt.Fprintf(c.Stdout, "LoadState=loaded\nActiveState=%s\nSubState=dead\nResult=%s\nExecMainStatus=%d\n", active, result, w.status)
	known, _ := strconv.Atoi(strings.TrimPrefix(c.arg(2), "line"))
	lines := slices.Clone(w.lines)
	if w.marks {
		lines = append(lines, fmt.Sprint("sextant: ended with status ", w.status))
	}
	for n, text := range lines {
		at := w.began.Add(time.Duration(n) * workPace)
		if n < known || at.After(c.now()) && !w.over {
			continue
		}
		line, _ := json.Marshal(map[string]string{"__CURSOR": fmt.Sprint("line", n+1), "__REALTIME_TIMESTAMP": fmt.Sprint(at.UnixMicro()), "MESSAGE": text, "PRIORITY": "6"})
		fmt.Fprintf(c.Stdout, "%s\n", line)
	}
	return 0
}
