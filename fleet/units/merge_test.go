package units

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// played is a log of lines at given moments: those up to now are old, the rest
// comes when its time has come.
type played struct {
	lines []fleet.LogLine
	err   error // after the last
	ends  bool  // the log ends by itself, else it waits for ever
	asked []fleet.LogQuery
}

func (p *played) open(_ context.Context, _ fleet.LogSource, q fleet.LogQuery) (fleet.LogStream, error) {
	p.asked = append(p.asked, q)
	var lines []fleet.LogLine
	for _, l := range p.lines {
		if !l.At.Before(q.Since) && (q.Until.IsZero() || !l.At.After(q.Until)) && (q.Follow || !l.Here.After(time.Now())) {
			lines = append(lines, l)
		}
	}
	if n := len(lines); !q.Oldest && !q.Follow && n > q.MaxLines() {
		lines = lines[n-q.MaxLines():]
	}
	return &play{played: p, q: q, left: lines}, nil
}

type play struct {
	*played
	q    fleet.LogQuery
	left []fleet.LogLine
}

func (p *play) Next(ctx context.Context) ([]fleet.LogLine, error) {
	if len(p.left) == 0 {
		switch {
		case p.err != nil && p.q.Follow:
			return nil, p.err
		case !p.q.Follow || p.ends:
			return nil, io.EOF
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	l := p.left[0]
	if wait := time.Until(l.Here); p.q.Follow && wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	p.left = p.left[1:]
	return []fleet.LogLine{l}, nil
}
func (p *play) Close() error { return nil }

// log makes a log whose lines are seconds after begin, by a clock that is ahead.
func log(host string, begin time.Time, ahead time.Duration, seconds ...float64) *played {
	p := &played{}
	for i, s := range seconds {
		here := begin.Add(time.Duration(s * float64(time.Second)))
		p.lines = append(p.lines, fleet.LogLine{At: here.Add(ahead), Here: here, Host: host, Text: fmt.Sprintf("%s %v", host, s), ID: uint64(i + 1)})
	}
	return p
}

func source(host string, ahead time.Duration, p *played) Source {
	return Source{LogSource: fleet.LogSource{Host: fleet.HostID(host), Unit: "web.service"}, On: host, Skew: ahead, Open: p.open}
}

// take reads n lines.
func take(t *testing.T, s fleet.LogStream, n int) []string {
	t.Helper()
	var got []string
	for len(got) < n {
		lines, err := s.Next(t.Context())
		for _, l := range lines {
			got = append(got, l.Text)
		}
		if err != nil {
			t.Fatalf("%v after %q", err, got)
		}
	}
	return got
}

func TestOldLinesOfSeveralLogsAreInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		a, b := log("a", begin, 0, -9, -7, -5, -3, -1), log("b", begin, time.Hour, -8, -6, -4, -2)
		s, err := Merge(t.Context(), fleet.LogQuery{Lines: 6}, []Source{source("a", 0, a), source("b", time.Hour, b)})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if got := strings.Join(take(t, s, 6), ","); got != "a -6,b -5" && got != "b -6,a -5,b -4,a -3,b -2,a -1" {
			t.Error(got)
		}
		if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}

// TestNewLinesOfSeveralLogs: lines that arrive within the window come in the
// order of our clock, although one host's is an hour ahead; none comes twice
// and none is lost between the old and the new.
func TestNewLinesOfSeveralLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		a, b := log("a", begin, 0, -2, -1, 1.0, 1.2, 5), log("b", begin, time.Hour, -1.5, 0.9, 1.1, 5.1)
		a.lines[2].Here = begin.Add(1250 * time.Millisecond) // it arrives late, within the window
		s, err := Merge(t.Context(), fleet.LogQuery{Follow: true}, []Source{source("a", 0, a), source("b", time.Hour, b)})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if got := strings.Join(take(t, s, 9), ","); got != "a -2,b -1.5,a -1,b 0.9,a 1,b 1.1,a 1.2,a 5,b 5.1" {
			t.Error(got)
		}
		if took := time.Since(begin); took > 5500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		if since := b.asked[1].Since; !since.Equal(b.lines[0].At) {
			t.Errorf("followed since %v", since)
		}
	})
}

func TestALogThatEndsIsToldAndTheRestGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		a, b := log("a", begin, 0, -1, 5), log("b", begin, 0, 1)
		b.err = fmt.Errorf("b: %w\x1b[2J", link.ErrAuth)
		s, err := Merge(t.Context(), fleet.LogQuery{Follow: true}, []Source{source("a", 0, a), source("b", 0, b), {On: "c", Open: func(context.Context, fleet.LogSource, fleet.LogQuery) (fleet.LogStream, error) {
			return nil, link.ErrHostKey
		}}})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(take(t, s, 5), ","); got != "a -1,log ended: host key changed,b 1,log ended: no way to log in was accepted,a 5" {
			t.Error(got)
		}
		s.Close()
	})
}

// TestALogThatBreaksOffGoesOn: one whose host is lost, and one whose host was away from
// the beginning. Nothing comes twice, nothing is lost, and what stays away is tried
// ever more seldom.
func TestALogThatBreaksOffGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		a, b, c := log("a", begin, 0, -1, 100), log("b", begin, 0, -2, 1, 3, 20), log("c", begin, 0, -3, 50)
		var tried []int // of b, by the second
		opens := Source{On: "b", Open: func(ctx context.Context, of fleet.LogSource, q fleet.LogQuery) (fleet.LogStream, error) {
			at := int(time.Since(begin).Seconds())
			if tried = append(tried, at); at > 1 && at < 10 {
				return nil, errors.New("not reachable")
			}
			b.err = nil
			if at < 10 && q.Follow {
				b.err = errors.New("connection lost")
			}
			stream, err := b.open(ctx, of, q)
			if at < 10 && q.Follow {
				stream.(*play).left = stream.(*play).left[:2] // it is lost after the line of the first second
			}
			return stream, err
		}}
		away := Source{On: "c", Open: func(ctx context.Context, of fleet.LogSource, q fleet.LogQuery) (fleet.LogStream, error) {
			if time.Since(begin) < 40*time.Second {
				return nil, errors.New("switched off")
			}
			return c.open(ctx, of, q)
		}}
		s, err := Merge(t.Context(), fleet.LogQuery{Follow: true}, []Source{source("a", 0, a), opens, away})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		// what was said meanwhile is older than that the log goes on
		want := "b -2,a -1,log broke off: switched off,b 1,log broke off: connection lost,b 3,log goes on,b 20,c -3,c 50,log goes on,a 100"
		if got := strings.Join(take(t, s, 12), ","); got != want {
			t.Errorf("%s\nbut\n%s", got, want)
		}
		if fmt.Sprint(tried) != "[0 0 3 7 15]" {
			t.Error(tried)
		}
	})
}

func TestNoLogAtAll(t *testing.T) {
	no := func(context.Context, fleet.LogSource, fleet.LogQuery) (fleet.LogStream, error) {
		return nil, errors.New("refused")
	}
	s, err := Merge(t.Context(), fleet.LogQuery{Follow: true}, []Source{{On: "a", Open: no}, {On: "b", Open: no}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Next(t.Context()); err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
}

// TestASearchIsFollowed: what matches comes from then on, and what was found
// before does not come again.
func TestASearchIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		a := log("a", begin, 0, -90, -3, -2, 1, 2, 3)
		a.lines[0].Text, a.lines[2].Text, a.lines[4].Text = "an Error", "error two", "ERROR three"
		open := func(ctx context.Context, of fleet.LogSource, q fleet.LogQuery) (fleet.LogStream, error) {
			s, _ := a.open(ctx, of, q)
			return Sift(ctx, s, q)
		}
		s, err := Merge(t.Context(), fleet.LogQuery{Follow: true, Grep: "error"}, []Source{{On: "a", Open: open}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if got := strings.Join(take(t, s, 3), ","); got != "an Error,error two,ERROR three" {
			t.Error(got)
		}
	})
}

// TestTheNewestUpToATime keeps of a log that cannot be asked for them.
func TestTheNewestUpToATime(t *testing.T) {
	a := log("a", noon, 0, 1, 2, 3, 4, 5)
	for _, c := range []struct {
		q    fleet.LogQuery
		want string
	}{
		{fleet.LogQuery{Lines: 2, Until: noon.Add(4 * time.Second)}, "a 3,a 4"},
		{fleet.LogQuery{Lines: 2, Oldest: true}, "a 1,a 2"},
		{fleet.LogQuery{Lines: 9, Grep: "a [24]"}, "a 2,a 4"},
	} {
		s, err := Sift(t.Context(), &play{played: a, left: a.lines}, c.q)
		if err != nil {
			t.Fatal(err)
		}
		lines, _ := s.Next(t.Context())
		var got []string
		for _, l := range lines {
			got = append(got, l.Text)
		}
		if strings.Join(got, ",") != c.want {
			t.Errorf("%+v: %q", c.q, got)
		}
	}
}

func TestPatternMindsCapitalsOnlyWhereThereAreSome(t *testing.T) {
	for grep, want := range map[string]bool{"error": true, "Error": false, `\Srror`: true, `err(or|s)`: true, "ERROR": true} {
		re, err := Pattern(grep)
		if err != nil || re.MatchString("an ERROR") != want {
			t.Errorf("%s: %v", grep, err)
		}
	}
	if _, err := Pattern("("); err == nil {
		t.Error("a pattern that is none")
	}
}

// loud is a log that never stops.
type loud struct{ text string }

func (l loud) Next(ctx context.Context) ([]fleet.LogLine, error) {
	lines := make([]fleet.LogLine, 16)
	for i := range lines {
		lines[i] = fleet.LogLine{At: time.Now(), Text: strings.Clone(l.text)}
	}
	return lines, ctx.Err()
}
func (loud) Close() error { return nil }

// TestTenLoudLogs: ten logs that say as much as they can are held up, and not
// kept, where nobody takes their lines; and they leave nothing behind.
func TestTenLoudLogs(t *testing.T) {
	before := runtime.NumGoroutine()
	var sources []Source
	for range 10 {
		sources = append(sources, Source{Open: func(_ context.Context, _ fleet.LogSource, q fleet.LogQuery) (fleet.LogStream, error) {
			if !q.Follow {
				return &ready{}, nil
			}
			return loud{strings.Repeat("x", maxText)}, nil
		}})
	}
	s, err := Merge(t.Context(), fleet.LogQuery{Follow: true}, sources)
	if err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	began := heap()
	for range 20 {
		if _, err := s.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		if now := heap(); now > began+64<<20 {
			t.Fatalf("%d MiB are held", (now-began)>>20)
		}
	}
	s.Close()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}

// TestNamesOfLogsAreClean: what a host calls itself and its containers is as
// hostile as what it says.
func TestNamesOfLogsAreClean(t *testing.T) {
	const evil = "a\x1b]0;x\x07\n\u202eb"
	a := log("a", noon, 0, 1)
	for _, open := range []func(context.Context, fleet.LogSource, fleet.LogQuery) (fleet.LogStream, error){
		a.open, func(context.Context, fleet.LogSource, fleet.LogQuery) (fleet.LogStream, error) {
			return nil, errors.New(evil)
		},
	} {
		s, err := Merge(t.Context(), fleet.LogQuery{}, []Source{
			{LogSource: fleet.LogSource{Container: evil}, On: evil, Open: open}, {On: "b", Open: log("b", noon, 0, 1).open},
		})
		if err != nil {
			t.Fatal(err)
		}
		lines, err := s.Next(t.Context())
		if err != nil || len(lines) != 2 {
			t.Fatal(lines, err)
		}
		for _, l := range lines {
			if strings.ContainsAny(l.Host+l.Source+l.Text, "\x1b\n\u202e") {
				t.Errorf("%+v", l)
			}
		}
		s.Close()
	}
}
