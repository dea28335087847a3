package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

//go:embed probe.sh
var script string

// Bounds of a probe.
const (
	timeout = 30 * time.Second // for an answer
	limit   = 8 << 20          // bytes of an answer
	// anew is after how long a host tells everything again, whether something
	// seems to have moved or not: for what its signs do not show.
	anew = 5 * time.Minute
)

// Reader probes hosts. On each the program stays open, so that asking again
// starts next to nothing there; it ends with its connection, or with Close.
type Reader struct {
	mu    sync.Mutex
	hosts map[fleet.HostID]*host
}

// host is one host and the conversation with it; nil: none yet.
type host struct {
	turn chan struct{} // holds who asks: one at a time
	open *conversation
}

// New makes a reader.
func New() *Reader { return &Reader{hosts: map[fleet.HostID]*host{}} }

// Close ends the programs on all hosts.
func (r *Reader) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, h := range r.hosts {
		if h.open != nil {
			h.open.hangUp()
		}
		delete(r.hosts, id)
	}
}

// Forget drops what is kept of a host that left the fleet.
func (r *Reader) Forget(id fleet.HostID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.hosts[id]; h != nil && h.open != nil {
		h.open.hangUp()
	}
	delete(r.hosts, id)
}

// Read probes the host. An error means that nothing was learnt: the host did
// not answer, or what it said broke off.
func (r *Reader) Read(ctx context.Context, l link.Link) (Facts, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	h := r.of(l)
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return Facts{}, fmt.Errorf("%s: %w", l.Host().Name, context.Cause(ctx))
	}
	if c := h.open; c != nil && c.goesOn(ctx, l) {
		if f, err := c.ask(ctx); err == nil || ctx.Err() != nil {
			return f, err
		} // it has ended since, such as with its connection: begin another
	}
	c, err := begin(ctx, l)
	if err != nil {
		return Facts{}, err
	}
	r.keep(h, c)
	return c.ask(ctx)
}

func (r *Reader) of(l link.Link) *host {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.hosts[l.Host().ID]
	if h == nil {
		h = &host{turn: make(chan struct{}, 1)}
		r.hosts[l.Host().ID] = h
	}
	return h
}

// keep puts a conversation in place of the one before.
func (r *Reader) keep(h *host, c *conversation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.open != nil {
		h.open.hangUp()
	}
	h.open = c
}

// conversation is the program that runs on a host, with what it told last.
type conversation struct {
	link link.Link
	run  link.Process
	out  *bufio.Reader
	in   *io.PipeWriter
	end  context.CancelFunc

	root  string // the way to root when it last answered
	last  sections
	whole time.Time // when it last told everything
}

// begin starts the program on a host. It outlives ctx, unless that ends first.
func begin(ctx context.Context, l link.Link) (*conversation, error) {
	stay, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, end)
	defer stop()
	questions, in := io.Pipe()
	cmd := link.Script(script)
	cmd.IfRoot, cmd.Stdin = true, questions
	p, err := l.Start(stay, cmd)
	if err != nil {
		end()
		in.CloseWithError(err)
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return &conversation{link: l, run: p, out: bufio.NewReaderSize(p, 64<<10), in: in, end: end}, nil
}

// hangUp ends the program.
func (c *conversation) hangUp() {
	c.in.CloseWithError(io.EOF) // it reads to the end of its questions
	c.run.Close()
	c.end()
}

// goesOn tells whether the conversation is the one to go on with over a link:
// what was begun without root is begun anew when there is a way by now.
func (c *conversation) goesOn(ctx context.Context, l link.Link) bool {
	reach, err := l.Connect(ctx)
	return c.link == l && err == nil && c.root == reach.Root
}

// ask puts the question, and hangs up where there is no whole answer.
func (c *conversation) ask(ctx context.Context) (Facts, error) {
	stop := context.AfterFunc(ctx, c.hangUp)
	defer stop()
	which := "moved"
	if c.last == nil || time.Since(c.whole) > anew {
		which = "all"
	}
	mark, began := rand.Text(), time.Now()
	text, err := c.answer(mark, which)
	if err == nil {
		var f Facts
		if f, c.last, err = parse(text, mark, time.Now(), c.last); err == nil {
			f.System.Value.ClockSkew = certain(f.System.Value.ClockSkew, time.Since(began))
			c.told(ctx, which)
			return f, nil
		}
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("%s: %w", c.link.Host().Name, context.Cause(ctx))
	} else if errors.Is(err, errBrokenOff) {
		err = c.complaint(err)
	}
	c.hangUp()
	return Facts{}, err
}

// certain is by how much a host's clock differs, of which an answer that took so long
// tells: the clock is read to the second, somewhere in that time.
func certain(skew fleet.Seconds, took time.Duration) fleet.Seconds {
	if skew.Duration().Abs() <= took+time.Second {
		return 0
	}
	return skew
}

// complaint adds what the host said on its error output before it ended.
func (c *conversation) complaint(err error) error {
	c.in.CloseWithError(io.EOF)
	res, _ := c.run.Wait()
	if text := fleet.Clean(strings.TrimSpace(string(res.Stderr))); text != "" {
		err = fmt.Errorf("%w: %s", err, fleet.Short(text, 200))
	}
	return err
}

// told keeps what the next question depends on.
func (c *conversation) told(ctx context.Context, which string) {
	if which == "all" {
		c.whole = time.Now()
	}
	if reach, err := c.link.Connect(ctx); err == nil {
		c.root = reach.Root
	}
}

// answer puts a question and reads to the end of the answer, or to where it
// breaks off.
func (c *conversation) answer(mark, which string) ([]byte, error) {
	if _, err := io.WriteString(c.in, mark+" "+which+"\n"); err != nil {
		return nil, err
	}
	last := []byte(mark + " end\n")
	var text []byte
	for {
		line, err := c.out.ReadSlice('\n')
		text = append(text, line...)
		switch {
		case bytes.Equal(line, last), errors.Is(err, io.EOF):
			return text, nil
		case len(text) > limit:
			return nil, fmt.Errorf("%w of %d bytes", link.ErrTooMuch, limit)
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
