// Package alarmscreen shows what all monitoring of the fleet raises as one list.
package alarmscreen

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/listing"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// alarms is what the list shows.
type alarms struct {
	silenced bool // those that are silenced, too
	quiet    int  // silenced and not shown
}

// New makes the screen.
func New() *listing.Screen {
	a := &alarms{}
	return listing.New(listing.Kind{
		Screen: screen.Alarms, Title: "Alarms", Group: "alarms", What: "alarm",
		Hints:   []string{"back", "enter", "silenced", "find", "menu", "copy", "refresh", "help"},
		Columns: columns, Rows: a.rows, Above: a.above, Below: below, Empty: a.empty, Do: a.do,
	})
}

func columns(*screen.Context) []widget.Column {
	return []widget.Column{
		{Title: "state", Width: 5}, {Title: "host", Width: 8, Max: 20}, {Title: "alarm", Width: 16, Max: 40},
		{Title: "value", Width: 7, Max: 20, Drop: 1}, {Title: "since", Width: 5, Right: true}, {Title: "source", Width: 12, Max: 50, Drop: 2},
	}
}

func (a *alarms) do(id string) bool {
	if id == "silenced" {
		a.silenced = !a.silenced
	}
	return id == "silenced"
}

func (a *alarms) rows(c *screen.Context) []listing.Row {
	a.quiet = 0
	var out []listing.Row
	for _, al := range fleet.AlarmsOf(c.Snap.Hosts) {
		if al.Silenced && !a.silenced {
			a.quiet++
			continue
		}
		out = append(out, row(c, al))
	}
	return out
}

func row(c *screen.Context, al fleet.HostAlarm) listing.Row {
	word, role := state(al)
	text := themes.Text
	if al.Silenced {
		text = themes.Dim
	}
	since, source := words.Ago(al.Since, c.Now), strings.Join(al.Sources, ", ")
	return listing.Row{
		ID: string(al.HostID) + " " + al.Host + " " + al.Name + " " + al.Chart, Of: al, Host: al.HostID, Tab: "metrics",
		Find: al.Host + "\n" + word + "\n" + al.Name + "\n" + al.Info + "\n" + source + "\n" + strings.Join(al.Labels, "\n"),
		Copy: al.Host + ": " + al.Name + " " + al.Value,
		Cells: []widget.Line{
			widget.L(role, word), widget.L(themes.Title, al.Host), widget.L(text, al.Name), widget.L(text, al.Value),
			widget.L(themes.Dim, since), widget.L(themes.Dim, source),
		},
		Lines: [2]widget.Line{
			widget.L(role, words.Left(word, 6)).And(themes.Title, al.Host).And(themes.Dim, "  "+since),
			widget.L(text, "  "+al.Name+" "+al.Value),
		},
	}
}

// state is how bad an alarm is in a word.
func state(al fleet.HostAlarm) (string, themes.Role) {
	switch {
	case al.Silenced:
		return "quiet", themes.Dim
	case al.Status == "CRITICAL":
		return words.Severity(fleet.SeverityFail)
	}
	return words.Severity(fleet.SeverityWarn)
}

// above says what is left out, and who does not tell.
func (a *alarms) above(c *screen.Context) widget.Line {
	var l widget.Line
	if a.quiet > 0 {
		key, _ := c.Keys.Named("silenced")
		l = l.And(themes.Dim, fmt.Sprintf("%d silenced (%s)  ", a.quiet, key.Key()))
	}
	holes, closed := lacking(c)
	if len(holes) > 0 {
		l = l.And(themes.Unknown, "? ").And(themes.Text, strings.Join(holes, ", ")+"  ")
	}
	return l.And(themes.Dim, strings.Join(closed, ", "))
}

// lacking names the monitoring that does not tell its alarms now, and apart that
// which is not meant to, with the reason.
func lacking(c *screen.Context) (out, closed []string) {
	for _, st := range c.Snap.Hosts {
		if f := st.Alarms; f.Failed() && f.HasValue() {
			out = append(out, "netdata of "+st.Host.Name)
		}
		for _, m := range st.Monitors.Value {
			switch name := m.Name(st.Host.Name); {
			case m.None:
				closed = append(closed, name+": "+m.Err)
			case !st.Monitors.Current() && st.Monitors.Err != fleet.Remembered || m.Err != "":
				out = append(out, name)
			}
		}
	}
	return out, closed
}

func (a *alarms) empty(c *screen.Context) []widget.Line {
	monitored := false
	for _, st := range c.Snap.Hosts {
		monitored = monitored || st.Alarms.Current() || st.Monitors.Current()
	}
	switch {
	case len(c.Snap.Hosts) == 0:
		return []widget.Line{widget.T("There is no host yet.")}
	case !monitored:
		return []widget.Line{widget.T("No monitoring is known yet."), widget.L(themes.Dim, "Netdata, Prometheus, Alertmanager and Grafana are looked for on every host.")}
	}
	return []widget.Line{widget.L(themes.OK, "No alarm is raised.")}
}

// below is all that is told of an alarm, and by whom.
func below(c *screen.Context, r listing.Row, w int) widget.Doc {
	al, _ := r.Of.(fleet.HostAlarm)
	word, role := state(al)
	d := widget.Doc{}.Add(w, 6, widget.L(role, words.Left(word, 6)).And(themes.Text, strings.TrimSpace(al.Name+" "+al.Value)))
	if al.Info != "" {
		d = d.Add(w, 6, widget.T("      "+al.Info))
	}
	if !al.Since.IsZero() {
		d = d.Add(w, 6, widget.L(themes.Dim, "      since "+words.When(al.Since, c.Now)))
	}
	if al.HostID == "" {
		d = d.Add(w, 6, widget.L(themes.Unknown, "      "+al.Host+" is no host of the fleet"))
	}
	d = d.Add(w, 6, widget.L(themes.Dim, "      by "+strings.Join(al.Sources, ", ")+", "+words.AgoLong(al.At, c.Now)))
	if link := c.Snap.AlarmLink(al); link != "" {
		from := len(d)
		d = d.Add(w, 6, widget.L(themes.Accent, "      "+link)).Link(from, link)
	}
	if about := cmp.Or(strings.Join(al.Labels, "  "), al.Chart); about != "" {
		d = d.Add(w, 6, widget.L(themes.Dim, "      "+about))
	}
	return d
}
