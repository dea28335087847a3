package logscreen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"go.uber.org/goleak"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func lines(from, to int) []fleet.LogLine {
	var out []fleet.LogLine
	for i := from; i < to; i++ {
		out = append(out, fleet.LogLine{Level: 6, Text: fmt.Sprint("line ", i)})
	}
	return out
}

func TestTheRingIsBounded(t *testing.T) {
	var r ring
	for i := range 30 {
		r.add(lines(i*1000, (i+1)*1000))
	}
	if len(r.lines) != maxLines || r.end() != 30_000 || r.at(29_999).Text != "line 29999" || r.at(r.first).Text != "line 20000" {
		t.Errorf("%d lines from %d", len(r.lines), r.first)
	}
	huge := fleet.LogLine{Text: strings.Repeat("x", 1<<20)}
	for range 20 {
		r.add([]fleet.LogLine{huge})
	}
	if r.bytes > maxBytes || len(r.lines) > 8 || r.end() != 30_020 {
		t.Errorf("%d bytes in %d lines", r.bytes, len(r.lines))
	}
	r = ring{}
	r.add([]fleet.LogLine{{Text: strings.Repeat("x", maxBytes*2)}})
	if len(r.lines) != 1 {
		t.Error("a line that is too long left nothing")
	}
}

func draw(t *testing.T, s *Screen, w, h int) string {
	t.Helper()
	theme, _ := themes.Named("")
	c := &screen.Context{W: w, H: h, Theme: theme, Glyphs: themes.ASCII, Now: time.Now()}
	canvas := widget.NewCanvas(w, h, theme, themes.ASCII)
	s.Draw(c, canvas.Pane())
	var rows []string
	for _, l := range strings.Split(ansi.Strip(canvas.String()), "\n") {
		rows = append(rows, strings.TrimSpace(l))
	}
	return strings.Join(rows[1:], "|")
}

func TestScrollingAndFollowing(t *testing.T) {
	s := New(context.Background(), screen.Place{})
	s.ring.add(lines(0, 10))
	if got := draw(t, s, 40, 4); got != "line 7|line 8|line 9" {
		t.Fatal(got)
	}
	s.scroll("up")
	s.ring.add(lines(10, 12)) // does not move what is read
	if got := draw(t, s, 40, 4); got != "line 6|line 7|line 8" || s.follow {
		t.Fatal(got)
	}
	s.scroll("page-down")
	s.scroll("page-down")
	if got := draw(t, s, 40, 4); got != "line 9|line 10|line 11" || !s.follow {
		t.Fatal(got, s.follow)
	}
	s.scroll("top")
	if got := draw(t, s, 40, 4); got != "line 0|line 1|line 2" {
		t.Fatal(got)
	}
	s.scroll("up")
	s.scroll("page-up")
	if got := draw(t, s, 40, 4); got != "line 0|line 1|line 2" {
		t.Fatal(got)
	}
	s.ring.add(lines(12, 12+maxLines)) // what is read is dropped: the oldest that is left is shown
	s.top.line = max(s.top.line, s.ring.first)
	if got := draw(t, s, 40, 4); got != "line 12|line 13|line 14" {
		t.Fatal(got)
	}
}

func TestPlacesOfALogThatIsGone(t *testing.T) {
	s := New(context.Background(), screen.Place{})
	s.ring.add(lines(0, 100))
	draw(t, s, 40, 5)
	s.Do(&screen.Context{}, "follow")
	if got := draw(t, s, 40, 5); got != "line 96|line 97|line 98|line 99" {
		t.Error(got)
	}
	s.ring, s.search, s.only = ring{}, "line", true // read anew
	s.ring.add(lines(0, 3))
	for _, id := range []string{"up", "down", "page-up", "next-match", "previous-match", "wrap", "bottom", "top", "follow", "follow"} {
		s.Do(&screen.Context{}, id)
		if got := draw(t, s, 40, 5); got != "line 0|line 1|line 2|" {
			t.Errorf("%s: %q", id, got)
		}
	}
	s.ring = ring{}
	for _, id := range []string{"up", "down", "page-up", "next-match", "previous-match", "bottom", "top", "follow", "page-down"} {
		s.Do(&screen.Context{}, id)
		draw(t, s, 40, 5)
	}
}

func TestLongLinesAreBroken(t *testing.T) {
	s := New(context.Background(), screen.Place{})
	s.ring.add([]fleet.LogLine{{Level: 6, Text: "first"}, {Level: 3, Text: strings.Repeat("a long line that goes on ", 8)}, {Level: 6, Text: "last"}})
	got := draw(t, s, 40, 6)
	if !strings.HasSuffix(got, "|last") || strings.Contains(got, "first") || strings.Contains(got, "~") {
		t.Error(got)
	}
	s.scroll("up")
	if up := draw(t, s, 40, 6); strings.HasSuffix(up, "last") {
		t.Error(up)
	}
	s.Do(&screen.Context{}, "wrap")
	s.scroll("bottom")
	if got := draw(t, s, 40, 6); !strings.Contains(got, "first|ERR a long line that goes on") || !strings.Contains(got, "~|last") {
		t.Error(got)
	}
	s.Do(&screen.Context{}, "right")
	if got := draw(t, s, 40, 6); strings.Contains(got, "first") {
		t.Error(got)
	}
}

func TestFindingWithoutMatches(t *testing.T) {
	s := New(context.Background(), screen.Place{})
	if s.find(1) == nil {
		t.Error("nothing to search for, and nothing said")
	}
	s.ring.add(lines(0, 100))
	draw(t, s, 40, 5)
	s.Find(nil, "nowhere", true)
	if s.find(1) == nil || !s.follow {
		t.Error("nothing was found, and nothing said")
	}
	s.Find(nil, "line 5", false)
	if s.found != 59 {
		t.Errorf("found %d, want the newest", s.found)
	}
	if got := draw(t, s, 40, 5); !strings.Contains(got, "line 59") {
		t.Error(got)
	}
	if f, ok := s.find(1).(screen.Flash); !ok || s.found != 5 || !strings.Contains(f.Text, "beginning") {
		t.Errorf("after the last match comes %d: %v", s.found, f)
	}
	if s.find(-1) == nil || s.found != 59 {
		t.Errorf("before the first match comes %d", s.found)
	}
	s.only = true
	s.setFollow(true)
	if got := draw(t, s, 40, 5); got != "line 56|line 57|line 58|line 59" {
		t.Error(got)
	}
}

func TestSearchMindsCapitalsOnlyWhenTyped(t *testing.T) {
	for _, c := range []struct {
		text, want string
		found      int
	}{{"Error here, error there", "error", 2}, {"Error here, error there", "Error", 1}, {"İstanbul error", "error", 1}, {"", "x", 0}, {"x", "", 0}} {
		if got := indexAll(c.text, c.want); len(got) != c.found {
			t.Errorf("%q in %q: %v", c.want, c.text, got)
		}
	}
}

// flood is a log that never stops.
type flood struct{ closed chan struct{} }

func (f *flood) Next(ctx context.Context) ([]fleet.LogLine, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return lines(0, 500), nil
}
func (f *flood) Close() error { close(f.closed); return nil }

type console struct {
	fleet.Console
	stream fleet.LogStream
	err    error
}

func (c console) Logs(context.Context, fleet.LogQuery) (fleet.LogStream, error) {
	return c.stream, c.err
}

func TestAFloodComesInBundles(t *testing.T) {
	f := newFeed(context.Background())
	stream := &flood{closed: make(chan struct{})}
	began := time.Now()
	msg := f.open(console{stream: stream}, fleet.LogQuery{})().(linesMsg)
	if took := time.Since(began); took < bundleEvery || len(msg.lines) > maxLines || len(msg.lines) == 0 {
		t.Errorf("%d lines after %v", len(msg.lines), took)
	}
	if msg = f.next()().(linesMsg); len(msg.lines) == 0 || msg.over {
		t.Errorf("%d lines, over %v", len(msg.lines), msg.over)
	}
	f.cancel()
	select {
	case <-stream.closed:
	case <-time.After(5 * time.Second):
		t.Error("the log was not closed")
	}
	if f.next()() != nil {
		t.Error("a closed feed still tells")
	}
}

type ending struct{ err error }

func (e ending) Next(context.Context) ([]fleet.LogLine, error) { return lines(0, 1), e.err }
func (e ending) Close() error                                  { return nil }

func TestEnds(t *testing.T) {
	for _, c := range []struct {
		con  console
		want string
	}{
		{console{stream: ending{io.EOF}}, ""}, {console{stream: ending{errors.New("lost")}}, "lost"}, {console{err: errors.New("refused")}, "refused"},
	} {
		f := newFeed(context.Background())
		msg := f.open(c.con, fleet.LogQuery{})().(linesMsg)
		if !msg.over || (msg.err == nil) != (c.want == "") || msg.err != nil && msg.err.Error() != c.want {
			t.Errorf("%+v", msg)
		}
		f.cancel()
	}
}
