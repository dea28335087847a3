package podman

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Limits of a log.
const (
	maxLogLine = 64 << 10  // bytes; what is longer is cut
	logBatch   = 256       // lines that Next gives at most,
	batchBytes = 256 << 10 // and bytes
	logWaiting = 16        // lines that wait to be taken
)

// logQuery is what is asked of a log.
type logQuery struct {
	since, until time.Time // zero: no bound
	lines        int       // old ones, at most; 0: all
	follow       bool
}

// tail is the number of old lines as engines read it.
func (q logQuery) tail() string {
	if q.lines == 0 {
		return "all"
	}
	return strconv.Itoa(q.lines)
}

// Logs opens the log of a container as its engine keeps it, with the engine's
// timestamps: what is needed where the container does not log to the journal
// (see [Engines.LogDriver]). Engines count lines before they look at times,
// search nothing and give no oldest lines: where the query has Until, Grep or
// Oldest, the whole log comes, from Since on, and the caller chooses. Lines are
// cut at 64 KiB. The stream ends with ctx or with Close.
func (e *Engines) Logs(ctx context.Context, of fleet.LogSource, q fleet.LogQuery) (fleet.LogStream, error) {
	ask := logQuery{since: q.Since, until: q.Until, follow: q.Follow}
	if q.Follow && !q.Oldest || q.Until.IsZero() && q.Grep == "" && !q.Oldest {
		ask.lines = q.MaxLines()
	}
	name := of.Container
	var body io.ReadCloser
	var framed bool
	ctx, cancel := e.bound(ctx)
	late := time.AfterFunc(readPatience, cancel) // the stream may last, its beginning may not
	err := e.ask(ctx, name, of.User, func(api api, id string) (err error) {
		body, framed, err = api.logs(ctx, id, ask)
		return err
	})
	if !late.Stop() {
		if err == nil {
			body.Close()
		}
		err = errSilent
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("log of %s on %s: %w", name, e.link.Host().Name, told{err})
	}
	return newLogStream(body, framed, cancel, fleet.LogLine{Host: e.link.Host().Name, From: text(name), Level: 6}), nil
}

// LogDriver says where the log of a container goes: "journald", where it is
// read with journalctl, or "k8s-file", "json-file", "local", "none", ….
func (e *Engines) LogDriver(ctx context.Context, name, user string) (string, error) {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, readPatience)
	defer stop()
	var driver string
	err := e.ask(ctx, name, user, func(api api, id string) (err error) {
		driver, err = api.logDriver(ctx, id)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("log driver of %s on %s: %w", name, e.link.Host().Name, told{err})
	}
	return driver, nil
}

// ask finds the engine that has the container and asks it by its ID.
func (e *Engines) ask(ctx context.Context, name, user string, question func(api api, id string) error) error {
	eng, c, err := e.find(name, user)
	if err != nil {
		return err
	}
	api, err := eng.connect(ctx, nil)
	if err != nil {
		return eng.wrong(err)
	}
	return question(api, c.ID)
}

// find finds a container by its name or ID, and the engine that has it, by what
// was read last.
func (e *Engines) find(name, user string) (*engine, fleet.Container, error) {
	user = cmp.Or(user, rootUser)
	engines, _ := e.there()
	if len(engines) == 0 {
		return nil, fleet.Container{}, ErrNotRead
	}
	for _, eng := range engines {
		if eng.where().user != user {
			continue
		}
		list, _ := eng.lastKnown()
		for _, c := range list {
			if (c.Name == name || c.ID == name) && containerID.MatchString(c.ID) {
				return eng, c, nil
			}
		}
	}
	return nil, fleet.Container{}, fmt.Errorf("%w: %s has no container of this name", errNotFound, user)
}

// logs opens GET /libpod/containers/ID/logs, which is always framed.
func (p *podmanAPI) logs(ctx context.Context, id string, q logQuery) (io.ReadCloser, bool, error) {
	params := url.Values{
		"stdout": {"true"}, "stderr": {"true"}, "timestamps": {"true"},
		"follow": {strconv.FormatBool(q.follow)}, "tail": {q.tail()},
	}
	if !q.until.IsZero() {
		params.Set("until", q.until.UTC().Format(time.RFC3339Nano))
	}
	if !q.since.IsZero() {
		params.Set("since", q.since.UTC().Format(time.RFC3339Nano))
	}
	body, err := p.open(flowing(ctx, raw), "/containers/%s/logs", params, id)
	return body, true, err
}

// logDriver says where a container's log goes.
func (p *podmanAPI) logDriver(ctx context.Context, id string) (string, error) {
	b, err := p.get(ctx, "/containers/%s/json", nil, id)
	if err != nil {
		return "", err
	}
	var in struct {
		HostConfig struct {
			LogConfig struct{ Type string }
		}
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return "", fmt.Errorf("this is no container: %w", jsonError(err))
	}
	return text(in.HostConfig.LogConfig.Type), nil
}

// logStream reads a log as fast as its reader takes it.
type logStream struct {
	batches chan []fleet.LogLine
	end     context.CancelFunc
	done    chan struct{}
	once    sync.Once
	err     error // why it ended; set before batches is closed
}

func newLogStream(body io.ReadCloser, framed bool, end context.CancelFunc, like fleet.LogLine) *logStream {
	s := &logStream{batches: make(chan []fleet.LogLine, 1), end: end, done: make(chan struct{})}
	lines := make(chan fleet.LogLine, logWaiting)
	a := &assembler{like: like, emit: func(l fleet.LogLine) bool {
		select {
		case lines <- l:
			return true
		case <-s.done:
			return false
		}
	}}
	var read error
	go func() {
		defer close(lines)
		defer body.Close()
		if framed {
			read = a.frames(bufio.NewReaderSize(body, 32<<10))
		} else {
			read = a.plain(bufio.NewReaderSize(body, 32<<10))
		}
	}()
	go func() {
		defer end()
		s.batch(lines)
		s.err = read
		close(s.batches)
	}()
	return s
}

// batch gathers what is there into batches.
func (s *logStream) batch(lines <-chan fleet.LogLine) {
	for l := range lines {
		batch, size := []fleet.LogLine{l}, len(l.Text)
		for more := true; more && len(batch) < logBatch && size < batchBytes; {
			select {
			case l, ok := <-lines:
				if more = ok; ok {
					batch, size = append(batch, l), size+len(l.Text)
				}
			default:
				more = false
			}
		}
		select {
		case s.batches <- batch:
		case <-s.done:
		}
	}
}

// Next gives the lines that came, or waits for some.
func (s *logStream) Next(ctx context.Context) ([]fleet.LogLine, error) {
	select {
	case <-s.done: // closed: what still came is not wanted
		return nil, io.EOF
	default:
	}
	select {
	case batch, ok := <-s.batches:
		if ok {
			return batch, nil
		}
		if s.err != nil && !errors.Is(s.err, io.EOF) {
			return nil, told{s.err}
		}
		return nil, io.EOF
	case <-s.done:
		return nil, io.EOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close ends the log.
func (s *logStream) Close() error {
	s.once.Do(func() { close(s.done); s.end() })
	return nil
}

// assembler makes lines of what an engine sends: frames of one of two
// streams, each with a timestamp, not always a whole line.
type assembler struct {
	like fleet.LogLine // what all lines have in common
	emit func(fleet.LogLine) bool
	part [3]struct { // unfinished lines, by stream
		at   time.Time
		text []byte
		some bool
	}
}

var errStopped = errors.New("stopped")

// frames reads a multiplexed log: [stream, 0, 0, 0, length, 4 bytes big endian].
func (a *assembler) frames(in *bufio.Reader) error {
	var head [8]byte
	buf := make([]byte, maxLogLine+64) // and the timestamp
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return a.flush(err)
		}
		if head[0] > 2 || head[1]|head[2]|head[3] != 0 {
			return errors.New("this is no log of an engine")
		}
		size := int64(binary.BigEndian.Uint32(head[4:]))
		keep := buf[:min(size, int64(len(buf)))]
		if _, err := io.ReadFull(in, keep); err != nil {
			return a.flush(err)
		}
		if rest := size - int64(len(keep)); rest > 0 { // far too long for one line: cut it and end it here
			if _, err := io.CopyN(io.Discard, in, rest); err != nil {
				return a.flush(err)
			}
			keep[len(keep)-1] = '\n'
		}
		if !a.take(int(head[0]), keep) {
			return errStopped
		}
	}
}

// plain reads a log that is a single stream, as of a container with a terminal.
func (a *assembler) plain(in *bufio.Reader) error {
	for {
		b, err := in.ReadSlice('\n')
		if len(b) > 0 && !a.take(1, b) {
			return errStopped
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return a.flush(err)
		}
	}
}

// take adds bytes to a stream and emits the lines they finish.
func (a *assembler) take(stream int, b []byte) bool {
	p := &a.part[stream]
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		if at, text, ok := stamped(line); ok {
			line = text
			if !p.some {
				p.at = at
			}
		}
		p.some = true
		p.text = append(p.text, line[:min(len(line), maxLogLine-len(p.text))]...)
		if b = rest; whole && !a.out(stream) {
			return false
		}
	}
	return true
}

// out emits a stream's line.
func (a *assembler) out(stream int) bool {
	p := &a.part[stream]
	l := a.like
	l.At, l.Text = p.at, fleet.Clean(string(bytes.TrimRight(p.text, "\r\n")))
	if level, ok := fleet.GuessLevel(l.Text); ok {
		l.Level, l.Guessed = level, true
	}
	h := fnv.New64a() // an engine numbers no lines
	fmt.Fprint(h, stream, p.at.UnixNano(), l.Text)
	l.ID = h.Sum64()
	p.text, p.some = p.text[:0], false
	return a.emit(l)
}

// flush emits what has no end of line, since nothing more will come.
func (a *assembler) flush(err error) error {
	for i := range a.part {
		if a.part[i].some && !a.out(i) {
			return errStopped
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return err
}

// stamped splits "2026-11-22T19:41:59.389987405Z text" at its timestamp.
func stamped(b []byte) (time.Time, []byte, bool) {
	word, _, _ := bytes.Cut(b[:min(len(b), 40)], []byte{' '})
	at, err := time.Parse(time.RFC3339Nano, string(word))
	if err != nil {
		return time.Time{}, b, false
	}
	return at.UTC(), b[min(len(b), len(word)+1):], true
}
