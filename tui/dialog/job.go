package dialog

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Job is an action that was begun: asked about, under way or over.
type Job struct {
	ID     int
	Action fleet.Action
	Target fleet.Target
	Plan   *fleet.Plan // nil: none was made yet, or none is needed
	Failed error       // why no plan could be made

	Ctx    context.Context
	Cancel context.CancelFunc

	Asked        time.Time // when finding out what it would do began
	Began, Ended time.Time // zero: not yet
	Err          error     // how it ended

	mu     sync.Mutex
	lines  []string
	newest map[string]string // the newest line of each host
	more   chan struct{}
}

// maxLines bounds what is kept of an action's lines.
const maxLines = 5000

// NewJob makes a job that has not begun.
func NewJob(ctx context.Context, id int, a fleet.Action, t fleet.Target) *Job {
	j := &Job{ID: id, Action: a, Target: t, more: make(chan struct{}, 1)}
	j.Ctx, j.Cancel = context.WithCancel(ctx)
	return j
}

// Say adds a line; it may be called from anywhere.
func (j *Job) Say(line string) {
	line = fleet.Clean(line)
	j.mu.Lock()
	j.lines = append(j.lines, line)
	if host, text, ok := strings.Cut(line, ": "); ok && j.Has(host) {
		if j.newest == nil {
			j.newest = map[string]string{}
		}
		j.newest[host] = text
	}
	if extra := len(j.lines) - maxLines; extra > 0 {
		j.lines = append(j.lines[:0:0], j.lines[extra:]...)
	}
	j.mu.Unlock()
	select {
	case j.more <- struct{}{}:
	default:
	}
}

// More is told when there are new lines.
func (j *Job) More() <-chan struct{} { return j.more }

// Lines are the lines so far.
func (j *Job) Lines() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lines[:len(j.lines):len(j.lines)]
}

// Newest is the newest line of a host; "": nothing was said of it.
func (j *Job) Newest(host string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.newest[host]
}

// Has tells whether the job is about a host, by its name.
func (j *Job) Has(host string) bool {
	return slices.ContainsFunc(j.Target.Hosts, func(st fleet.State) bool { return st.Host.Name == host })
}

// Running tells whether the job is under way.
func (j *Job) Running() bool { return !j.Began.IsZero() && j.Ended.IsZero() }

// Hosts are the names of the hosts it is about.
func (j *Job) Hosts() string {
	names := make([]string, 0, len(j.Target.Hosts))
	for _, st := range j.Target.Hosts {
		names = append(names, st.Host.Name)
	}
	return strings.Join(names, ", ")
}

// Object is the container or unit it is about, or "" where it is about hosts.
func (j *Job) Object() string {
	if s := j.Action.Scope; s == fleet.ScopeHost || s == fleet.ScopeFleet {
		return ""
	}
	return j.Target.Object()
}

// Title is the job in a few words: "Restart caddy on storage".
func (j *Job) Title() string {
	t := j.Action.Title
	if o := j.Object(); o != "" {
		t += " " + o
	}
	if h := j.Hosts(); h != "" {
		t += " on " + h
	}
	return t
}

// State is a word for how the job is doing.
func (j *Job) State() string {
	switch {
	case j.Began.IsZero():
		return "asking"
	case j.Ended.IsZero():
		return "running"
	case j.Err != nil:
		return "FAIL"
	}
	return "done"
}
