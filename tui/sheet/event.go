package sheet

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// EventIDs names each event for a list, the same after the next reading: hosts
// tell when they were started only to the second or so.
func EventIDs(events []fleet.Event) []string {
	ids, seen := make([]string, len(events)), map[string]int{}
	for i, e := range events {
		id := strings.Join([]string{string(e.HostID), string(e.Kind), e.ID, fmt.Sprint(e.At.Unix())}, " ")
		switch e.Kind {
		case fleet.EventBoot:
			id = string(e.HostID) + " boot"
		case fleet.EventUnit, fleet.EventContainer, fleet.EventBackup, fleet.EventAlarm, fleet.EventNetwork:
			id += " " + e.Text
		}
		seen[id]++
		ids[i] = fmt.Sprintf("%s #%d", id, seen[id])
	}
	return ids
}

// EventText is all of an event that a filter looks at.
func EventText(e fleet.Event) string {
	word, _ := words.Level(e.Level)
	return strings.Join([]string{e.Host, string(e.Kind), word, e.Text, e.Who + "@" + e.Client, e.Revision}, "\n")
}

// EventColumns are those of a list of events; hostW is the width of the longest
// host name, 0: they are of one host.
func EventColumns(hostW int) []widget.Column {
	columns := []widget.Column{{Title: "when", Width: 11}, {Title: "kind", Width: 10}, {Title: "what", Width: 24, Max: 90}, {Title: "who", Width: 10, Max: 26, Drop: 1}}
	if hostW > 0 {
		columns = append([]widget.Column{columns[0], {Title: "host", Width: min(hostW, 12), Max: hostW}}, columns[1:]...)
	}
	return columns
}

// EventCells is an event in a row of those columns.
func EventCells(e fleet.Event, withHost bool) []widget.Line {
	_, role := words.Level(e.Level)
	cells := []widget.Line{widget.L(themes.Dim, e.At.Local().Format("01-02 15:04")), widget.L(role, string(e.Kind)), widget.T(e.Text), widget.L(themes.Dim, who(e))}
	if withHost {
		cells = append([]widget.Line{cells[0], widget.L(themes.Title, e.Host)}, cells[1:]...)
	}
	return cells
}

// EventLines is an event in two lines of 40 cells.
func EventLines(e fleet.Event, withHost bool) [2]widget.Line {
	_, role := words.Level(e.Level)
	first := widget.L(themes.Dim, e.At.Local().Format("01-02 15:04")+" ").And(role, string(e.Kind))
	if withHost {
		first = first.And(themes.Text, " ").And(themes.Title, e.Host)
	}
	return [2]widget.Line{first.And(themes.Dim, " "+who(e)), widget.T("  " + e.Text)}
}

// Event is all that is known of one.
func Event(c *screen.Context, st fleet.State, e fleet.Event, w int) widget.Doc {
	word, role := words.Level(e.Level)
	const label = 9
	d := widget.Doc{}.Field(w, label, "when", widget.T(e.At.Local().Format("2006-01-02 15:04:05")).And(themes.Dim, "  "+words.AgoLong(e.At, c.Now)))
	d = d.Field(w, label, "host", widget.L(themes.Title, e.Host))
	d = d.Field(w, label, string(e.Kind), widget.L(role, words.Left(word, 5)).And(themes.Text, e.Text))
	for _, f := range []struct{ name, text string }{
		{"who", who(e)}, {"from", toplevel(st, e.From)}, {"to", toplevel(st, e.To)}, {"revision", e.Revision}, {"result", e.Result},
		{"took", took(e)}, {"deploy", e.ID}, {"told by", e.Source},
	} {
		if f.text != "" {
			d = d.Field(w, label, f.name, widget.T(f.text))
		}
	}
	return d
}

func who(e fleet.Event) string {
	if !e.Done() {
		return ""
	}
	return e.Who + "@" + cmp.Or(e.Client, "?")
}

func took(e fleet.Event) string {
	if e.Duration <= 0 {
		return ""
	}
	return e.Duration.Duration().Round(time.Second).String()
}

func toplevel(st fleet.State, t fleet.Toplevel) string {
	if t == (fleet.Toplevel{}) {
		return ""
	}
	return strings.TrimSpace(words.Toplevel(st, t) + "  " + t.Path)
}
