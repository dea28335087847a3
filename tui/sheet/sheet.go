// Package sheet writes what is known of a host, or of the fleet, as lines to
// read. Screens put the parts together.
package sheet

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Label is the width of the names of fields.
const Label = 8

// Summary is a host in short, under its name: what is wrong first, then what
// it is.
func Summary(c *screen.Context, st fleet.State, w int) widget.Doc {
	j := c.Judge(st)
	head := widget.L(themes.Title, st.Host.Name).And(themes.Text, "  ").And(j.Role, c.Word(j))
	if j.Old && !j.Oldest.IsZero() {
		head = head.And(themes.Dim, "  facts of "+words.AgoLong(j.Oldest, c.Now))
	}
	return append(widget.Doc{}.Add(w, 2, head), Body(c, st, w)...)
}

// Body is the summary without the name.
func Body(c *screen.Context, st fleet.State, w int) widget.Doc {
	deploy := Deploy(c, st, w)
	var d widget.Doc
	if newest, ok := words.Newest(st); ok && !newest.State.Over() {
		d, deploy = deploy, nil // before all else: it may end by itself
	}
	d = append(d, asks(c, st, w)...)
	d = append(d, Problems(c, st, w)...)
	d = append(d, asleep(c, st, w)...)
	if !st.Reach.HasValue() && !st.System.HasValue() {
		return d // nothing was ever read: the one reason is among the problems
	}
	d = append(d, Reach(c, st, w)...)
	d = append(d, System(c, st, w)...)
	d = append(d, Drift(c, st, w)...)
	d = append(d, deploy...)
	d = append(d, counts(c, st, w)...)
	return append(d, Disks(c, st, w)...)
}

// asks are the questions that a host waits with until it is looked into; others open
// by themselves.
func asks(c *screen.Context, st fleet.State, w int) widget.Doc {
	var d widget.Doc
	for _, q := range c.Snap.Questions {
		if q.Host == st.Host.Name && q.Kind == fleet.AskSudo {
			d = d.Add(w, 5, widget.L(themes.Accent, words.Left("asks", 5)).And(themes.Text, q.Text))
		}
	}
	return d
}

// asleep says why a host that does not answer is no problem.
func asleep(c *screen.Context, st fleet.State, w int) widget.Doc {
	if !st.Sleeps() {
		return nil
	}
	_, from := st.Role()
	l := widget.L(themes.Dim, words.Left(words.Off, 5)).And(themes.Text, "switched off, as a desktop may be").And(themes.Dim, " ("+from+")")
	if seen := st.Host.Presence.Value.LastSeen; !seen.IsZero() {
		l = l.And(themes.Dim, "  since "+words.AgoLong(seen, c.Now))
	}
	return widget.Doc{}.Add(w, 5, l)
}

// Problems are what is wrong, worst first, each with what can be done about it
// where that is known, once.
func Problems(c *screen.Context, st fleet.State, w int) widget.Doc {
	var d widget.Doc
	told := map[string]bool{"": true}
	for _, p := range c.Judge(st).Problems {
		word, role := words.Severity(p.Severity)
		l := widget.L(role, words.Left(word, 5)).And(themes.Text, p.What)
		if !p.Since.IsZero() && c.Now.Sub(p.Since) >= time.Minute {
			l = l.And(themes.Dim, "  since "+words.AgoLong(p.Since, c.Now))
		}
		d = d.Add(w, 5, l)
		if !told[p.Cure] {
			told[p.Cure] = true
			d = d.Add(w, 5, widget.L(themes.Accent, words.Left(c.Glyphs.Arrow, 5)).And(themes.Text, p.Cure))
		}
	}
	return d
}

// Field adds a fact to a document: its value, with its age where it is old,
// or why there is none.
func Field[T any](c *screen.Context, st fleet.State, d widget.Doc, w int, name string, f fleet.Fact[T], of func(T) widget.Line) widget.Doc {
	if !f.HasValue() {
		return d.Field(w, Label, name, Missing(c, st, f))
	}
	l := of(f.Value)
	if f.Err != "" || st.Reach.Err != "" {
		l = l.And(themes.Dim, "  "+words.AgoLong(f.At, c.Now))
	}
	return d.Field(w, Label, name, l)
}

// Missing says why a fact has no value.
func Missing[T any](c *screen.Context, st fleet.State, f fleet.Fact[T]) widget.Line {
	switch {
	case f.None:
		return widget.L(themes.Dim, c.Glyphs.None+" "+f.Err)
	case f.Err == fleet.Remembered && st.Asking:
		return widget.L(themes.Dim, c.Glyphs.Asking+" asking")
	case f.Err != "":
		return widget.L(themes.Unknown, "? ").And(themes.Text, f.Err)
	case st.Reach.Err != "":
		return widget.L(themes.Unknown, "? ").And(themes.Text, "the host was never reached")
	case st.Asking:
		return widget.L(themes.Dim, c.Glyphs.Asking+" asking")
	}
	return widget.L(themes.Unknown, "? ").And(themes.Text, "not asked yet")
}

// Reach is the way to the host.
func Reach(c *screen.Context, st fleet.State, w int) widget.Doc {
	return Field(c, st, nil, w, "reached", st.Reach, func(r fleet.Reach) widget.Line {
		parts := []string{c.Tell().Path(st).Text, r.Address}
		if r.User != "" {
			as := "as " + r.User
			if r.Root != "" && r.Root != "root" {
				as += " (" + r.Root + ")"
			} else if r.Root == "" {
				as += ", not root"
			}
			parts = append(parts, as)
		}
		if r.Latency > 0 {
			parts = append(parts, latency(r.Latency.Duration()))
		}
		return widget.T(join(c, parts...))
	})
}

// latency is a time to two digits, so that it does not change at every reading.
func latency(d time.Duration) string {
	step := time.Millisecond
	if d >= 10*time.Millisecond {
		step = 5 * time.Millisecond
	}
	return max(step, d.Round(step)).String()
}

// System is what the host runs.
func System(c *screen.Context, st fleet.State, w int) widget.Doc {
	if !st.System.HasValue() {
		return Field(c, st, nil, w, "system", st.System, nil)
	}
	s := st.System.Value
	d := Field(c, st, nil, w, "system", st.System, func(s fleet.System) widget.Line {
		name := s.OSName
		if s.NixOS && s.NixOSVersion != "" {
			name = "NixOS " + s.NixOSVersion
		}
		up := "up " + words.Span(s.Uptime.Duration())
		if w <= 36 {
			return widget.T(join(c, short(name), up))
		}
		return widget.T(join(c, name, s.Kernel, s.Arch, up))
	})
	if s.NixOS {
		d = d.Field(w, Label, "running", generation(c, st))
		d = append(d, pullers(c, st, w)...)
	}
	if skew := s.ClockSkew.Duration(); skew.Abs() >= 10*time.Second {
		way := "ahead of ours"
		if skew < 0 {
			way = "behind ours"
		}
		d = d.Field(w, Label, "clock", widget.L(themes.Warn, words.Span(skew.Abs())+" "+way))
	}
	if s.Manager != "" && s.Manager != "running" {
		d = d.Field(w, Label, "systemd", widget.T(s.Manager))
	}
	return d
}

// short is a version without the part that only a machine reads.
func short(version string) string {
	if i := strings.LastIndexByte(version, '.'); i > 0 && strings.Count(version, ".") > 2 {
		return version[:i]
	}
	return version
}

// generation is the running generation, and how it differs from the default
// and from what was booted.
func generation(c *screen.Context, st fleet.State) widget.Line {
	s := st.System.Value
	l := widget.T("generation " + number(s.Running))
	for _, g := range st.Generations.Value {
		if g.Number == s.Running.Generation && g.Number != 0 && !g.Date.IsZero() {
			l = l.And(themes.Text, ", made "+words.AgoLong(g.Date, c.Now))
		}
	}
	if s.Differs() {
		l = l.And(themes.Text, ", ").And(themes.Warn, "the default is "+number(s.Default))
	}
	if s.RebootNeeded {
		l = l.And(themes.Text, ", ").And(themes.Warn, "reboot needed")
		if s.Booted.Generation != 0 && s.Booted.System() != s.Running.System() {
			l = l.And(themes.Text, ", booted "+number(s.Booted))
		}
	}
	return l
}

// pullers tell what deploys to the host by itself, and when it last did.
func pullers(c *screen.Context, st fleet.State, w int) widget.Doc {
	if st.PullPaused() {
		return widget.Doc{}.Field(w, Label, "pulls", widget.L(themes.Warn, "paused, until it is resumed or restarted"))
	}
	var d widget.Doc
	for _, p := range st.Pullers() {
		role := themes.Text
		if p.Failed() {
			role = themes.Warn
		}
		l := widget.T(p.Unit).And(themes.Text, ", ").And(role, p.Tell(func(t time.Time) string { return words.AgoLong(t, c.Now) }))
		d = d.Field(w, Label, "pulls", l)
	}
	return d
}

// number is a generation's number, "?" where no profile link tells it.
func number(t fleet.Toplevel) string {
	if t.Generation == 0 {
		return "?"
	}
	return strconv.Itoa(t.Generation)
}

// counts are units, containers, backups, load, memory and alarms in one line each.
func counts(c *screen.Context, st fleet.State, w int) widget.Doc {
	t := c.Tell()
	var d widget.Doc
	d = Field(c, st, d, w, "units", st.FailedUnits(), func([]string) widget.Line {
		f := t.Failed(st)
		return widget.L(f.Role, f.Text+" failed")
	})
	d = Field(c, st, d, w, "ctrs", st.Containers, func([]fleet.Container) widget.Line {
		cell := t.Containers(st)
		return widget.L(cell.Role, cell.Text+" up")
	})
	d = Field(c, st, d, w, "backups", st.Backups, func([]fleet.BackupJob) widget.Line {
		cell := t.Backups(st)
		return widget.L(cell.Role, cell.Text)
	})
	d = Field(c, st, d, w, "load", st.Metrics, func(m fleet.Metrics) widget.Line {
		load := fmt.Sprintf("cpu %s, load %.1f", words.Percent(m.CPU), m.Load1)
		if m.Cores > 0 {
			load += fmt.Sprintf(" on %d cores", m.Cores)
		}
		return widget.T(load)
	})
	return Field(c, st, d, w, "memory", st.Metrics, func(m fleet.Metrics) widget.Line {
		return used(m.Memory.Used, m.Memory.Total, t.Memory(st).Role)
	})
}

// used is "3.1G of 7.7G (40%)".
func used(n, all uint64, role themes.Role) widget.Line {
	if all == 0 {
		return widget.L(themes.Unknown, "?")
	}
	return widget.T(words.Bytes(n)+" of "+words.Bytes(all)+" ").And(role, words.Percent(float64(n)/float64(all)))
}

// Disks are the mounted file systems, the fullest first.
func Disks(c *screen.Context, st fleet.State, w int) widget.Doc {
	var d widget.Doc
	for i, disk := range Fullest(st.Metrics.Value.Disks) {
		name := ""
		if i == 0 {
			name = "disks"
		}
		l := widget.L(words.Fullness(disk.Fraction()), words.Right(words.Percent(disk.Fraction()), 4)).
			And(themes.Text, " "+disk.Mount)
		if w > 36 {
			l = l.And(themes.Dim, "  "+words.Bytes(disk.Avail)+" free")
		}
		d = d.Field(w, Label, name, l)
	}
	return d
}

// join writes the parts that are not empty with the glyph set's dot between.
func join(c *screen.Context, parts ...string) string {
	var out []string
	for _, p := range parts {
		if strings.TrimSpace(p) != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, " "+c.Glyphs.Dot+" ")
}
