// Package units reads the journal of a host: what its units and containers
// said, now and back in time.
package units

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Bounds of one log stream.
const (
	maxEntry = 1 << 20 // bytes of one journal entry as JSON; a longer one is told, not shown
	maxText  = 16 << 10
	maxTurn  = 64 << 20 // bytes of entries that are turned round; what is older is told, not shown

	// What waits to be taken: many streams may be open at the same time.
	maxWaiting = 64        // lines
	maxBatch   = 1000      // lines that Next gives at most,
	batchBytes = 256 << 10 // and bytes
)

// Logs opens the journal of a unit or container. The times of the query are by
// the host's clock. The stream ends with io.EOF after the last line, or when it
// is closed; it is read as fast as Next is called, and no faster.
func Logs(ctx context.Context, l link.Link, of fleet.LogSource, q fleet.LogQuery) (fleet.LogStream, error) {
	if q.Grep != "" {
		return grep(ctx, l, of, q)
	}
	args := options(q)
	// journalctl of systemd 252 counts from the journal's end on, also what is
	// after the last moment: only backwards does it count from there.
	turned := !q.Until.IsZero() && !q.Oldest && !q.Follow
	if turned {
		args = append(args, "--reverse")
	}
	s, err := open(ctx, l, of, args, turned)
	if err != nil {
		return nil, err
	}
	if q.Oldest && !q.Follow { // journalctl of systemd 252 has no word for it
		return &firsts{LogStream: s, left: q.MaxLines()}, nil
	}
	return s, nil
}

// options are those of journalctl that say which lines are wanted.
func options(q fleet.LogQuery) []string {
	var args []string
	switch {
	case !q.Oldest:
		args = append(args, "--lines="+strconv.Itoa(q.MaxLines()))
	case q.Follow: // else it begins ten lines before the end
		args = append(args, "--no-tail")
	}
	if q.Follow {
		args = append(args, "--follow")
	}
	if !q.Since.IsZero() {
		args = append(args, "--since="+moment(q.Since))
	}
	if !q.Until.IsZero() {
		args = append(args, "--until="+moment(q.Until))
	}
	return args
}

// moment is a time as journalctl reads it, to the microsecond.
func moment(t time.Time) string {
	return fmt.Sprintf("@%d.%06d", t.Unix(), t.Nanosecond()/1000)
}

// open starts journalctl. With turned, what it tells newest first is given in
// the order of time, once it has ended.
func open(ctx context.Context, l link.Link, of fleet.LogSource, options []string, turned bool) (*stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	p, err := l.Start(ctx, journalctl(of, options))
	if err != nil {
		cancel()
		return nil, fmt.Errorf("reading the journal of %s: %w", l.Host().Name, err)
	}
	s := &stream{process: p, cancel: cancel, host: l.Host().Name, turned: turned, lines: make(chan fleet.LogLine, maxWaiting), ended: make(chan struct{})}
	s.joins.off = !turned && slices.Contains(options, "--reverse") // the pieces of a line come last first
	go s.read(ctx)
	return s, nil
}

// stream is a journal as it is read.
type stream struct {
	process link.Process
	cancel  context.CancelFunc
	host    string
	turned  bool
	joins   joiner
	lines   chan fleet.LogLine
	ended   chan struct{}
	err     error // set before ended is closed
	once    sync.Once
}

// read turns the process's output into lines until its end.
func (s *stream) read(ctx context.Context) {
	defer close(s.ended)
	entries := make(chan entry, 64)
	var over error
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer close(entries)
		put := func(e entry) error {
			select {
			case entries <- e:
				return nil
			case <-ctx.Done():
				return io.EOF
			}
		}
		if s.turned {
			over = s.turn(put)
		} else {
			over = s.entries(put)
		}
	})
	var late <-chan time.Time // when pieces of a line have waited for the rest
	for {
		var lines []fleet.LogLine
		select {
		case e, more := <-entries:
			if !more {
				s.put(ctx, s.joins.all())
				s.err = s.end(ctx, over)
				return
			}
			lines = s.joins.add(e)
		case <-late:
			late, lines = nil, s.joins.all()
		}
		if late == nil && len(s.joins.open) > 0 {
			late = time.After(pieceWait)
		}
		if !s.put(ctx, lines) {
			s.err = io.EOF
			return
		}
	}
}

// entries reads the process's output, an entry a line, until it ends or one is
// not taken.
func (s *stream) entries(take func(entry) error) error {
	r := bufio.NewReaderSize(s.process, 64<<10)
	for {
		b, err := readEntry(r)
		if len(b) > 0 {
			if err := take(s.parse(b)); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// errTurned says that there was more than is turned round.
var errTurned = errors.New("too much to turn round")

// turn reads entries that come newest first to their end, and hands them over
// in the order of time.
func (s *stream) turn(put func(entry) error) error {
	var all []entry
	size := 0
	err := s.entries(func(e entry) error {
		if size += len(e.raw); size > maxTurn {
			return errTurned
		}
		all = append(all, e)
		return nil
	})
	if errors.Is(err, errTurned) {
		s.process.Close() // it has more to say, which nobody reads
		first := all[len(all)-1].line.At
		all = append(all, entry{line: fleet.LogLine{At: first, Host: s.host, Level: 5, Note: true, Text: fmt.Sprintf("(what is older was left out: %d MiB were read)", maxTurn>>20)}})
	}
	for _, e := range slices.Backward(all) {
		if put(e) != nil {
			return io.EOF
		}
	}
	return err
}

// put hands lines over; false: nobody wants them any more.
func (s *stream) put(ctx context.Context, lines []fleet.LogLine) bool {
	for _, l := range lines {
		select {
		case s.lines <- l:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// tooLong stands for an entry beyond maxEntry: it has no time, which says so.
var tooLong = []byte("{}")

// readEntry reads one line; of one that is too long only that it was there.
func readEntry(r *bufio.Reader) ([]byte, error) {
	var entry []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(entry) <= maxEntry {
			entry = append(entry, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if len(entry) > maxEntry {
			entry = tooLong
		}
		return bytes.TrimSpace(entry), err
	}
}

// parse reads an entry; of one that cannot be read it says so.
func (s *stream) parse(b []byte) entry {
	e, err := parse(b)
	if err != nil {
		e.line = fleet.LogLine{Level: 4, Note: true, Text: "(a journal entry that cannot be read: " + fleet.Short(fleet.Clean(err.Error()), 100) + ")"}
	}
	e.line.Host = s.host
	return e
}

// end says why the stream ended: by itself, by us, or because the host or
// journalctl failed.
func (s *stream) end(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, errTurned) {
		return io.EOF
	}
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the journal of %s: %w", s.host, err)
	}
	res, err := s.process.Wait()
	if err != nil {
		return fmt.Errorf("reading the journal of %s: %w", s.host, err)
	}
	said := fleet.Short(fleet.Clean(strings.TrimSpace(string(res.Stderr))), 200)
	switch {
	case strings.Contains(said, "pattern matching"): // "Compiled without pattern matching support"
		return fmt.Errorf("%w: %s", errNoGrep, said)
	case res.Status == 1 && said == "": // nothing matched
	case res.Status != 0:
		return fmt.Errorf("journalctl on %s ended with status %d: %s", s.host, res.Status, said)
	}
	return io.EOF
}

// Next gives the lines that have come, at least one.
func (s *stream) Next(ctx context.Context) ([]fleet.LogLine, error) {
	var first fleet.LogLine
	select {
	case first = <-s.lines:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-s.ended:
		select { // what was read before the end comes first
		case first = <-s.lines:
		default:
			return nil, s.err
		}
	}
	batch, size := []fleet.LogLine{first}, len(first.Text)
	for len(batch) < maxBatch && size < batchBytes {
		select {
		case line := <-s.lines:
			batch, size = append(batch, line), size+len(line.Text)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// Close ends the stream and journalctl on the host.
func (s *stream) Close() error {
	s.once.Do(func() {
		s.cancel()
		s.process.Close()
		<-s.ended
	})
	return nil
}
