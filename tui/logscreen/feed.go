package logscreen

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
)

// feed reads a log beside the event loop and hands its lines over in bundles,
// since the screen is drawn after every message.
type feed struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	pending []fleet.LogLine
	bytes   int // of pending
	lost    int // lines that came faster than they were shown, and are gone
	over    bool
	err     error
	more    chan struct{}
}

func newFeed(ctx context.Context) *feed {
	f := &feed{more: make(chan struct{}, 1)}
	f.ctx, f.cancel = context.WithCancel(ctx)
	return f
}

// bundleEvery is how often lines are handed over at most, maxPending how many
// bytes of them wait for that.
const (
	bundleEvery = 75 * time.Millisecond
	maxPending  = 2 << 20
)

// linesMsg brings lines of a log, or its end.
type linesMsg struct {
	feed  *feed
	lines []fleet.LogLine
	lost  int
	over  bool
	err   error
}

// open opens the log and begins to read it.
func (f *feed) open(console fleet.Console, q fleet.LogQuery) tea.Cmd {
	return func() tea.Msg {
		stream, err := console.Logs(f.ctx, q)
		if err != nil {
			return linesMsg{feed: f, over: true, err: err}
		}
		go f.read(stream)
		return f.take()
	}
}

// read reads until the log ends or the screen is closed.
func (f *feed) read(stream fleet.LogStream) {
	defer stream.Close()
	for {
		lines, err := stream.Next(f.ctx)
		f.put(lines, err)
		if err != nil || f.ctx.Err() != nil {
			return
		}
	}
}

func (f *feed) put(lines []fleet.LogLine, err error) {
	f.mu.Lock()
	f.pending, f.bytes = append(f.pending, lines...), f.bytes+cost(lines...)
	extra := 0
	for len(f.pending)-extra > maxLines || f.bytes > maxPending && len(f.pending)-extra > 1 {
		f.bytes -= cost(f.pending[extra])
		extra++
	}
	clear(f.pending[:extra])
	f.pending, f.lost = f.pending[extra:], f.lost+extra
	if err != nil {
		f.over = true
		if !errors.Is(err, io.EOF) {
			f.err = err
		}
	}
	f.mu.Unlock()
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// next waits for lines.
func (f *feed) next() tea.Cmd { return func() tea.Msg { return f.take() } }

func (f *feed) take() tea.Msg {
	select {
	case <-f.ctx.Done():
		return nil
	case <-f.more:
	}
	select {
	case <-f.ctx.Done():
		return nil
	case <-time.After(bundleEvery):
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	msg := linesMsg{feed: f, lines: f.pending, lost: f.lost, over: f.over, err: f.err}
	f.pending, f.bytes, f.lost = nil, 0, 0
	return msg
}
