package units

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Source is a log that can be opened.
type Source struct {
	fleet.LogSource
	On   string        // the host's name
	Skew time.Duration // the host's clock minus ours
	// Open opens the log. The times of the query are by the host's clock.
	Open func(ctx context.Context, of fleet.LogSource, q fleet.LogQuery) (fleet.LogStream, error)
}

// minSkew is from where on the clock of a host is known to differ: it is read
// to the second, and asking takes time.
const minSkew = 2 * time.Second

func (s Source) skew() time.Duration {
	if s.Skew.Abs() < minSkew {
		return 0
	}
	return s.Skew
}

// open opens the log; its lines carry the source's name and our time.
func (s Source) open(ctx context.Context, q fleet.LogQuery) (fleet.LogStream, error) {
	for _, t := range []*time.Time{&q.Since, &q.Until} {
		if !t.IsZero() {
			*t = t.Add(s.skew())
		}
	}
	stream, err := s.Open(ctx, s.LogSource, q)
	if err != nil {
		return nil, err
	}
	return &labelled{LogStream: stream, host: fleet.Clean(s.On), name: fleet.Clean(s.Name()), skew: s.skew()}, nil
}

// note is a line about the source, by our clock.
func (s Source) note(text string) fleet.LogLine {
	now := time.Now().UTC()
	return fleet.LogLine{At: now.Add(s.skew()), Here: now, Host: fleet.Clean(s.On), Source: fleet.Clean(s.Name()), Level: 4, Note: true, Text: text}
}

// labelled names the source in the lines of a log.
type labelled struct {
	fleet.LogStream
	host, name string
	skew       time.Duration
}

// Next gives the lines with what is known of their source.
func (l *labelled) Next(ctx context.Context) ([]fleet.LogLine, error) {
	lines, err := l.LogStream.Next(ctx)
	for i := range lines {
		lines[i].Host, lines[i].Source, lines[i].Here = l.host, l.name, lines[i].At.Add(-l.skew)
	}
	return lines, err
}

// Merge opens the logs of several sources as one, in the order of our clock:
// old lines exactly, new ones as far as they arrive within a short time of each
// other. One that ends is told of in a line, and the rest goes on.
func Merge(ctx context.Context, q fleet.LogQuery, sources []Source) (fleet.LogStream, error) {
	switch {
	case len(sources) == 0:
		return nil, errors.New("no log is asked for")
	case len(sources) == 1 && (!q.Follow || q.Grep == ""):
		return sources[0].open(ctx, q)
	}
	ctx, cancel := context.WithCancel(ctx)
	m := &merged{cancel: cancel, q: q, out: make(chan []fleet.LogLine), ended: make(chan struct{})}
	for _, s := range sources {
		m.feeds = append(m.feeds, &feed{Source: s})
	}
	go m.run(ctx)
	return m, nil
}

// merged is several logs as one.
type merged struct {
	cancel context.CancelFunc
	q      fleet.LogQuery
	feeds  []*feed
	out    chan []fleet.LogLine
	ended  chan struct{}
	err    error // set before ended is closed
}

// feed is one log among several.
type feed struct {
	Source
	batches chan []fleet.LogLine
	head    []fleet.LogLine
	over    bool  // it was read to its end,
	err     error // or this is why not
	last    time.Time
	seen    map[uint64]bool // the lines of that time
}

func (m *merged) run(ctx context.Context) {
	defer close(m.ended)
	defer m.cancel()
	if m.err = m.begin(ctx); m.err == nil && m.q.Follow {
		m.follow(ctx)
	}
	if m.err == nil {
		m.err = io.EOF
	}
}

// begin gives the old lines.
func (m *merged) begin(ctx context.Context) error {
	old, err := m.old(ctx)
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(old, maxBatch) {
		if !m.give(ctx, batch) {
			return io.EOF
		}
	}
	return nil
}

// give hands lines over; false: nobody wants them any more.
func (m *merged) give(ctx context.Context, lines []fleet.LogLine) bool {
	if len(lines) == 0 {
		return true
	}
	select {
	case m.out <- lines:
		return true
	case <-ctx.Done():
		return false
	}
}

// read reads a log to its end.
func (f *feed) read(ctx context.Context, q fleet.LogQuery, to chan<- []fleet.LogLine) error {
	s, err := f.open(ctx, q)
	if err != nil {
		return err
	}
	defer s.Close()
	for {
		lines, err := s.Next(ctx)
		if len(lines) > 0 {
			select {
			case to <- lines:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// old reads the old lines of all logs at the same time and puts them in order.
// Of each log the newest are asked for, so that the newest of all are complete.
func (m *merged) old(ctx context.Context) ([]fleet.LogLine, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	q := m.q
	q.Follow = false
	for _, f := range m.feeds {
		f.batches = make(chan []fleet.LogLine)
		wg.Go(func() {
			defer close(f.batches)
			f.err = f.read(ctx, q, f.batches)
		})
	}
	kept, size := []fleet.LogLine{}, 0
	for {
		l, ok := m.first()
		if !ok {
			break
		}
		kept, size = append(kept, l), size+len(l.Text)
		if m.q.Oldest && (len(kept) >= m.q.MaxLines() || size > maxKept) {
			return m.failures(ctx, kept)
		}
		for len(kept) > m.q.MaxLines() || size > maxKept && len(kept) > 1 {
			size -= len(kept[0].Text)
			kept[0] = fleet.LogLine{}
			kept = kept[1:]
		}
	}
	return m.failures(ctx, kept)
}

// first takes the earliest line that comes next in any log.
func (m *merged) first() (fleet.LogLine, bool) {
	var at *feed
	for _, f := range m.feeds {
		if len(f.head) == 0 && !f.over {
			f.head = <-f.batches
			f.over = f.head == nil
		}
		if len(f.head) > 0 && (at == nil || f.head[0].Here.Before(at.head[0].Here)) {
			at = f
		}
	}
	if at == nil {
		return fleet.LogLine{}, false
	}
	l := at.head[0]
	at.head = at.head[1:]
	if !l.At.Equal(at.last) {
		at.last, at.seen = l.At, map[uint64]bool{}
	}
	at.seen[l.ID] = true
	return l, true
}

// failures adds which logs could not be read; it is an error only where none
// could. They are not followed.
func (m *merged) failures(ctx context.Context, lines []fleet.LogLine) ([]fleet.LogLine, error) {
	if ctx.Err() != nil {
		return nil, io.EOF
	}
	var all []error
	m.feeds = slices.DeleteFunc(m.feeds, func(f *feed) bool {
		if !f.over || f.err == nil {
			return false
		}
		all = append(all, f.err)
		lines = append(lines, f.note("log ended: "+sentence(f.err, f.On)))
		return true
	})
	if len(m.feeds) == 0 {
		return nil, errors.Join(all...)
	}
	return lines, nil
}

// How long a new line waits for earlier ones of other logs, how often it is
// looked what has waited, and how much may wait.
const (
	mergeWait  = 300 * time.Millisecond
	mergeTurn  = 50 * time.Millisecond
	mergeLines = 4000
	mergeBytes = 4 << 20
)

// arrival is what came of a log that is followed.
type arrival struct {
	lines []fleet.LogLine
	from  *feed
	over  bool
}

// follow goes on with all logs from their last line, until all have ended.
func (m *merged) follow(ctx context.Context) {
	arrivals := make(chan arrival)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer m.cancel()
	for _, f := range m.feeds {
		wg.Go(func() { f.follow(ctx, m.q, arrivals) })
	}
	var w window
	var turn <-chan time.Time
	for open := len(m.feeds); open > 0 || len(w.held) > 0; {
		var ripe []fleet.LogLine
		select {
		case a := <-arrivals:
			w.add(time.Now(), a.from.unseen(a.lines)...)
			if a.over {
				open--
				w.add(time.Now(), a.from.ending())
			}
			if len(w.held) > mergeLines || w.bytes > mergeBytes {
				ripe = w.ripe(time.Now())
			}
		case <-turn:
			turn, ripe = nil, w.ripe(time.Now().Add(-mergeWait))
		case <-ctx.Done():
			return
		}
		if turn == nil && len(w.held) > 0 {
			turn = time.After(mergeTurn)
		}
		if !m.give(ctx, ripe) {
			return
		}
	}
}

// follow reads what comes after the old lines; at the end it says so.
func (f *feed) follow(ctx context.Context, q fleet.LogQuery, to chan<- arrival) {
	q.Until = time.Time{}
	switch {
	case q.Grep != "": // what matched last may be long ago
		q.Lines = overlap
	case !f.last.IsZero():
		q.Oldest, q.Since = true, f.last.Add(-f.skew())
	default:
		q.Oldest = true
	}
	lines := make(chan []fleet.LogLine)
	go func() {
		defer close(lines)
		f.err = f.read(ctx, q, lines)
	}()
	for over := false; !over; {
		batch, more := <-lines
		over = !more
		select {
		case to <- arrival{batch, f, over}:
		case <-ctx.Done():
			for range lines { // until the reader has ended
			}
			return
		}
	}
}

// overlap is how many lines are read twice where a search is followed.
const overlap = 200

// unseen leaves out the lines that were among the old ones. No clock is asked.
func (f *feed) unseen(lines []fleet.LogLine) []fleet.LogLine {
	if f.seen == nil {
		return lines
	}
	for len(lines) > 0 && (lines[0].At.Before(f.last) || lines[0].At.Equal(f.last) && f.seen[lines[0].ID]) {
		lines = lines[1:]
	}
	if len(lines) > 0 {
		f.seen = nil
	}
	return lines
}

// ending says why a log that was followed has ended.
func (f *feed) ending() fleet.LogLine {
	if f.err != nil {
		return f.note("log ended: " + sentence(f.err, f.On))
	}
	return f.note("log ended: nothing writes to it any more")
}

// window holds lines back for a short time, to put those of several logs in order.
type window struct {
	held  []held
	bytes int
}

// held is a line and when it arrived here.
type held struct {
	line fleet.LogLine
	came time.Time
}

func (w *window) add(now time.Time, lines ...fleet.LogLine) {
	for _, l := range lines {
		w.held, w.bytes = append(w.held, held{l, now}), w.bytes+len(l.Text)
	}
}

// ripe takes out the lines that arrived up to a moment, and those that come before them.
func (w *window) ripe(until time.Time) []fleet.LogLine {
	slices.SortStableFunc(w.held, func(a, b held) int { return a.line.Here.Compare(b.line.Here) })
	n := 0
	for i, h := range w.held {
		if !h.came.After(until) {
			n = i + 1
		}
	}
	lines := make([]fleet.LogLine, n)
	for i := range n {
		lines[i], w.bytes = w.held[i].line, w.bytes-len(w.held[i].line.Text)
	}
	w.held = append([]held(nil), w.held[n:]...)
	return lines
}

// Next gives the lines that have come, at least one.
func (m *merged) Next(ctx context.Context) ([]fleet.LogLine, error) {
	select {
	case lines := <-m.out:
		return lines, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-m.ended:
		return nil, m.err
	}
}

// Close ends all logs.
func (m *merged) Close() error {
	m.cancel()
	<-m.ended
	return nil
}
