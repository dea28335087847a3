// Package units reads the journal of a host: what its units and containers
// said, now and back in time.
package units

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Bounds of one log stream.
const (
	defaultLines = 500
	maxEntry     = 1 << 20 // bytes of one journal entry as JSON; a longer one is told, not shown
	maxText      = 16 << 10
	maxBatch     = 1000
)

// Logs opens the journal of what the query names. The stream ends with io.EOF
// after the last line, or when it is closed; it is read as fast as Next is
// called, and no faster.
func Logs(ctx context.Context, l link.Link, q fleet.LogQuery) (fleet.LogStream, error) {
	ctx, cancel := context.WithCancel(ctx)
	p, err := l.Start(ctx, link.Command{Args: journalctl(q), IfRoot: true, Env: []string{"LC_ALL=C", "SYSTEMD_COLORS=0"}})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("reading the journal of %s: %w", l.Host().Name, err)
	}
	s := &stream{process: p, cancel: cancel, host: l.Host().Name, lines: make(chan fleet.LogLine, maxBatch), ended: make(chan struct{})}
	go s.read(ctx)
	return s, nil
}

// journalctl are the arguments that a query becomes.
func journalctl(q fleet.LogQuery) []string {
	n := q.Lines
	if n == 0 {
		n = defaultLines
	}
	args := []string{"journalctl", "--output=json", "--no-pager", "--all", "--quiet", "--lines=" + strconv.Itoa(n),
		"--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_SYSTEMD_UNIT,UNIT,CONTAINER_NAME,_BOOT_ID"}
	if q.Follow {
		args = append(args, "--follow")
	}
	if !q.Since.IsZero() {
		args = append(args, "--since=@"+strconv.FormatInt(q.Since.Unix(), 10))
	}
	switch {
	case q.Container != "":
		args = append(args, "CONTAINER_NAME="+q.Container)
	case q.User != "" && q.User != "root":
		args = append(args, "--user-unit="+q.Unit)
	case q.Unit != "":
		args = append(args, "--unit="+q.Unit)
	}
	return args
}

// stream is a journal as it is read.
type stream struct {
	process link.Process
	cancel  context.CancelFunc
	host    string
	lines   chan fleet.LogLine
	ended   chan struct{}
	err     error // set before ended is closed
	once    sync.Once
}

// read turns the process's output into lines until its end.
func (s *stream) read(ctx context.Context) {
	defer close(s.ended)
	r := bufio.NewReaderSize(s.process, 64<<10)
	for {
		entry, err := readEntry(r)
		if len(entry) > 0 {
			select {
			case s.lines <- s.line(entry):
			case <-ctx.Done():
				s.err = io.EOF
				return
			}
		}
		if err != nil {
			s.err = s.end(ctx, err)
			return
		}
	}
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

func (s *stream) line(entry []byte) fleet.LogLine {
	line, err := ParseEntry(entry)
	if err != nil {
		line = fleet.LogLine{Level: 4, Text: "(a journal entry that cannot be read: " + fleet.Short(fleet.Clean(err.Error()), 100) + ")"}
	}
	line.Host = s.host
	return line
}

// end says why the stream ended: by itself, by us, or because the host or
// journalctl failed.
func (s *stream) end(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return io.EOF
	}
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the journal of %s: %w", s.host, err)
	}
	res, err := s.process.Wait()
	switch {
	case err != nil:
		return fmt.Errorf("reading the journal of %s: %w", s.host, err)
	case res.Status != 0:
		return fmt.Errorf("journalctl on %s ended with status %d: %s", s.host, res.Status,
			fleet.Short(fleet.Clean(strings.TrimSpace(string(res.Stderr))), 200))
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
	batch := []fleet.LogLine{first}
	for len(batch) < maxBatch {
		select {
		case line := <-s.lines:
			batch = append(batch, line)
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

// entry are the fields of the journal's JSON that are read; every value is a
// string, a list of byte numbers where it holds bytes that are not printable,
// a list of these where the field is repeated, or null where it is too large.
type entry struct {
	Time       text `json:"__REALTIME_TIMESTAMP"` // microseconds since 1970
	Priority   text `json:"PRIORITY"`
	Message    text `json:"MESSAGE"`
	Identifier text `json:"SYSLOG_IDENTIFIER"`
	Unit       text `json:"_SYSTEMD_UNIT"`
	OfUnit     text `json:"UNIT"` // what PID 1 says about a unit
	Container  text `json:"CONTAINER_NAME"`
	Boot       text `json:"_BOOT_ID"`
}

// text is a value of the journal in any of its shapes.
type text string

// UnmarshalJSON reads any of the shapes.
func (t *text) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = text(one)
		return nil
	}
	var numbers []int
	if json.Unmarshal(b, &numbers) == nil {
		raw := make([]byte, len(numbers))
		for i, n := range numbers {
			raw[i] = byte(n)
		}
		*t = text(raw)
		return nil
	}
	var many []text
	if err := json.Unmarshal(b, &many); err != nil {
		return err
	}
	parts := make([]string, len(many))
	for i, m := range many {
		parts[i] = string(m)
	}
	*t = text(strings.Join(parts, " "))
	return nil
}

// ParseEntry reads one line of `journalctl -o json`.
func ParseEntry(b []byte) (fleet.LogLine, error) {
	var e entry
	if err := json.Unmarshal(b, &e); err != nil {
		return fleet.LogLine{}, err
	}
	us, err := strconv.ParseInt(string(e.Time), 10, 64)
	if err != nil {
		return fleet.LogLine{}, errors.New("an entry without a time, or too long to be read")
	}
	line := fleet.LogLine{
		At: time.UnixMicro(us).UTC(), Level: 6, Boot: fleet.Clean(string(e.Boot)),
		Text: fleet.Clean(fleet.Short(string(e.Message), maxText)),
	}
	if p, err := strconv.Atoi(string(e.Priority)); err == nil && p >= 0 && p <= 7 {
		line.Level = p
	}
	for _, from := range []text{e.Container, e.Identifier, e.OfUnit, e.Unit} {
		if from != "" {
			line.From = fleet.Clean(string(from))
			break
		}
	}
	return line, nil
}
