package units

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
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
func (s Source) note(level int, text string) fleet.LogLine {
	now := time.Now().UTC()
	return fleet.LogLine{At: now.Add(s.skew()), Here: now, Host: fleet.Clean(s.On), Source: fleet.Clean(s.Name()), Level: level, Note: true, Text: text}
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
// other. One that ends is told of in a line, and the rest goes on; one whose host
// is lost while it is followed goes on where it broke off when the host is back.
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

// saw keeps how far the log was read.
func (f *feed) saw(l fleet.LogLine) {
	switch {
	case f.seen == nil || l.At.After(f.last):
		f.last, f.seen = l.At, map[uint64]bool{l.ID: true}
	case l.At.Equal(f.last):
		f.seen[l.ID] = true
	}
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
	return pass(ctx, s, to)
}

// pass hands on what a log has, to its end.
func pass(ctx context.Context, s fleet.LogStream, to chan<- []fleet.LogLine) error {
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
	at.saw(l)
	return l, true
}

// failures adds which logs could not be read; it is an error only where none
// could. Of those only what may pass is followed.
func (m *merged) failures(ctx context.Context, lines []fleet.LogLine) ([]fleet.LogLine, error) {
	if ctx.Err() != nil {
		return nil, io.EOF
	}
	var all []error
	feeds := m.feeds
	m.feeds = slices.DeleteFunc(slices.Clone(feeds), func(f *feed) bool {
		if !f.over || f.err == nil {
			return false
		}
		all = append(all, f.err)
		again := m.q.Follow && passes(f.err)
		lines = append(lines, f.broken(again, f.err))
		return !again
	})
	if len(all) == len(feeds) {
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

// How long it takes until a log that broke off is opened again: twice as long each
// time, up to the latter.
const (
	againSoon = 2 * time.Second
	againLate = 30 * time.Second
)

// arrival is what came of a log that is followed.
type arrival struct {
	lines []fleet.LogLine
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
			w.add(time.Now(), a.lines...)
			if a.over {
				open--
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

// broken says that a log broke off, or has ended.
func (f *feed) broken(again bool, err error) fleet.LogLine {
	if again {
		return f.note(4, "log broke off: "+sentence(err, f.On))
	}
	return f.note(4, "log ended: "+sentence(err, f.On))
}

// follow reads what comes after the old lines. Where the log breaks off it is opened
// again; at its end that is said.
func (f *feed) follow(ctx context.Context, q fleet.LogQuery, to chan<- arrival) {
	give := func(a arrival) bool {
		select {
		case to <- a:
			return true
		case <-ctx.Done():
			return false
		}
	}
	q.Until = time.Time{}
	wait, lost := againSoon, f.err != nil
	for {
		began := time.Now()
		err := f.session(ctx, q, lost, give)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			give(arrival{lines: []fleet.LogLine{f.note(4, "log ended: nothing writes to it any more")}, over: true})
			return
		case !passes(err):
			give(arrival{lines: []fleet.LogLine{f.broken(false, err)}, over: true})
			return
		case lost && errors.As(err, new(notOpen)): // that was said
		default:
			if !give(arrival{lines: []fleet.LogLine{f.broken(true, err)}}) {
				return
			}
		}
		if time.Since(began) > againLate {
			wait = againSoon
		}
		if !sleep(ctx, wait) {
			return
		}
		wait, lost = min(2*wait, againLate), true
	}
}

// notOpen is why a log could not even be opened.
type notOpen struct{ error }

// Unwrap gives the reason.
func (e notOpen) Unwrap() error { return e.error }

// session opens the log where it was read to, and goes on until it ends or breaks off.
func (f *feed) session(ctx context.Context, q fleet.LogQuery, lost bool, give func(arrival) bool) error {
	switch {
	case q.Grep != "": // what matched last may be long ago
		q.Lines = overlap
	case !f.last.IsZero():
		q.Oldest, q.Since = true, f.last.Add(-f.skew())
	case f.err == nil: // it was read, and had no line
		q.Oldest = true
	}
	s, err := f.open(ctx, q)
	if err != nil {
		return notOpen{err}
	}
	if f.err = nil; lost && !give(arrival{lines: []fleet.LogLine{f.note(6, "log goes on")}}) {
		return s.Close()
	}
	return f.goOn(ctx, s, give)
}

// goOn hands on what was not seen, until the log ends or breaks off.
func (f *feed) goOn(ctx context.Context, s fleet.LogStream, give func(arrival) bool) (err error) {
	lines := make(chan []fleet.LogLine)
	go func() {
		defer close(lines)
		err = pass(ctx, s, lines)
	}()
	fresh := f.seen == nil
	for batch := range lines {
		if !fresh {
			batch = f.unseen(batch)
			fresh = len(batch) > 0
		}
		for _, l := range batch {
			f.saw(l)
		}
		if len(batch) > 0 && !give(arrival{lines: batch}) {
			for range lines { // until the reader has ended
			}
			return nil
		}
	}
	return err
}

// passes tells whether what a log broke off by may pass: the host is away, or the
// connection broke. Who was refused is refused again.
func passes(err error) bool {
	for _, lasting := range []error{link.ErrHostKey, link.ErrUnknown, link.ErrAuth, link.ErrRefused, link.ErrNobody, link.ErrForbidden, link.ErrNoRoot, errNoGrep} {
		if errors.Is(err, lasting) {
			return false
		}
	}
	return true
}

// sleep waits; false: nobody waits any more.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// overlap is how many lines are read twice where a search is followed.
const overlap = 200

// unseen leaves out the lines that were seen before. No clock is asked.
func (f *feed) unseen(lines []fleet.LogLine) []fleet.LogLine {
	for len(lines) > 0 && (lines[0].At.Before(f.last) || lines[0].At.Equal(f.last) && f.seen[lines[0].ID]) {
		lines = lines[1:]
	}
	return lines
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
