package tui_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// longLog is a console with a log of n lines a second apart, of which the last
// 500 come first; queries are answered as a host does.
func longLog(o *tui.Options, n int) {
	all := make([]fleet.LogLine, n)
	for i := range all {
		at := tuitest.Now.Add(-time.Duration(n-i) * time.Second)
		all[i] = fleet.LogLine{At: at, Here: at, Host: "storage", From: "nginx", Level: 6, Text: fmt.Sprintf("line %d.", i), ID: uint64(i + 1)}
	}
	c := console(*o)
	c.Lines = all[n-500:]
	c.Old = func(q fleet.LogQuery) []fleet.LogLine {
		got := slices.DeleteFunc(slices.Clone(all), func(l fleet.LogLine) bool {
			return l.Here.Before(q.Since) || !q.Until.IsZero() && l.Here.After(q.Until) || !strings.Contains(l.Text, strings.ReplaceAll(q.Grep, `\`, ""))
		})
		if q.Oldest {
			return got[:min(len(got), q.MaxLines())]
		}
		return got[max(0, len(got)-q.MaxLines()):]
	}
}

// TestALogBackInTime scrolls beyond what was loaded, finds a line by a search on
// the host, goes there, and comes back to what is new.
func TestALogBackInTime(t *testing.T) {
	o := sample()
	longLog(&o, 3000)
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "4", "L").WaitFor("following", "line 2999.")
	term.Press("g").WaitFor("line 2500.").WaitFor("stopped").Settle(100 * time.Millisecond).Press("k").WaitFor("line 2499.")
	term.Press("/", "line 17.", "enter").WaitFor("not among what is loaded").Press("J").WaitFor("in all of the log on storage", "1 line")
	term.Press("enter").WaitFor("back in time", "line 17.", "line 12.")
	term.Press("esc", "g").WaitFor("line 0.").Settle(100 * time.Millisecond).Press("k").WaitFor("the beginning of the log")
	for range 60 {
		term.Press("pgdown")
	}
	term.WaitFor("line 8").Press("G").WaitFor("following", "line 2999.").WaitGone("back in time")
}

// TestWhatIsReadStaysWhileLinesCome: a reader who is not at the end is told of
// new lines, and what he reads does not go.
func TestWhatIsReadStaysWhileLinesCome(t *testing.T) {
	o := sample()
	longLog(&o, 600)
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "4", "L").WaitFor("line 599.").Press("g").WaitFor("line 100.", "stopped").Settle(150 * time.Millisecond)
	log := console(o).OpenLogs()[0]
	more := make([]fleet.LogLine, 9000)
	for i := range more {
		more[i] = fleet.LogLine{At: tuitest.Now, Here: tuitest.Now, Host: "storage", Level: 6, Text: fmt.Sprint("new ", i), ID: uint64(10_000 + i)}
	}
	log.Write(more...)
	term.WaitFor("9000 new")
	log.Write(more...)
	term.WaitFor("18000 new, not kept", "line 100.").Press("f").WaitFor("following", "line 599.")
}

func TestFilterLevelMarksAndSave(t *testing.T) {
	o := sample()
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "4", "L").WaitFor("/photos/59")
	term.Press("F").WaitFor("filter").Press("slow", "enter").WaitGone("upstream").WaitFor("/slow", "slow request 55")
	term.Press("F", "backspace", "backspace", "backspace", "backspace", "!slow", "enter").WaitFor("upstream", "/!slow").WaitGone("slow request")
	term.Press("esc").WaitFor("slow request").Press("v").WaitFor("no debug").Press("v").WaitFor("warnings and worse").WaitGone("/photos/59").Press("v").WaitFor("errors and worse").WaitGone("slow request")
	term.Press("W").WaitFor("saved 5 lines to /home/ada")
	if lines := console(o).Saved("/home/ada/.local/state/sextant/logs/storage-podman-immich-ml.log"); len(lines) != 5 || !strings.HasPrefix(lines[4], "2026-11-22T11:59:18.000Z upstream timed out") {
		t.Errorf("saved %q", lines)
	}
	term.Press("esc").WaitFor("/photos/59").Press("space").WaitFor("1 marked").Press("g").WaitFor("/photos/0 ").Press("'").WaitFor("/photos/59").Press("G", "space").WaitGone("1 marked")
}

// TestLogsOfSeveralHosts adds a log of another host, and takes it away.
func TestLogsOfSeveralHosts(t *testing.T) {
	o := sample()
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "4", "/", "sshd", "enter", "L").WaitFor("/photos/59").Press("a").WaitFor("Logs on one clock").Press("sshd on router", "enter").WaitFor("storage, router", "nginx", "following")
	q := console(o).OpenLogs()[1].Query
	if want := []fleet.LogSource{{Host: "n-storage", Unit: "sshd.service"}, {Host: "n-router", Unit: "sshd.service"}}; !slices.Equal(q.Sources, want) {
		t.Errorf("asked for %+v", q.Sources)
	}
	term.Press("a").WaitFor("without sshd on router").Press("without sshd on router", "enter").WaitGone("storage, router").WaitFor("/photos/59")
	eventually(t, "the merged log is closed", console(o).OpenLogs()[1].Closed)
}

// TestALogGoesOnWhenTheHostIsBack: a log that broke off with its host goes on by
// itself, with the lines that came meanwhile, each once.
func TestALogGoesOnWhenTheHostIsBack(t *testing.T) {
	o := sample()
	longLog(&o, 600)
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "4", "L").WaitFor("line 599.")
	log := console(o).OpenLogs()[0]
	log.Break(errors.New("storage: the connection was lost"))
	term.WaitFor("the connection was lost", "r reads it again")
	o.Store.Update("n-storage", func(s *fleet.State) { *s = s.Lost(errors.New("no route to host"), tuitest.Now) })
	term.WaitFor("it goes on when the host is back")
	o.Store.Update("n-storage", func(s *fleet.State) { s.Reach = fleet.Known(s.Reach.Value, tuitest.Now, "ssh") })
	term.WaitGone("the connection was lost").WaitFor("following", "line 598.", "line 599.")
	q := console(o).OpenLogs()[1].Query
	if last := tuitest.Now.Add(-time.Second); !q.Since.Equal(last) || !q.Follow {
		t.Errorf("it goes on with %+v, want what came since %s", q, last)
	}
	console(o).OpenLogs()[1].Write(fleet.LogLine{At: tuitest.Now, Here: tuitest.Now, Host: "storage", Level: 6, Text: "after the outage", ID: 9999})
	screen := term.WaitFor("after the outage").Screen()
	if strings.Count(screen, "line 599.") != 1 {
		t.Errorf("a line came twice:\n%s", screen)
	}
}
