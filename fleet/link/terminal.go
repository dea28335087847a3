package link

import (
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/muesli/cancelreader"
)

// Terminal is this program's terminal, taken for something that runs elsewhere:
// keys go there as they are pressed, also Ctrl-C. Read gives them.
type Terminal struct {
	Kind          string // TERM
	Width, Height int    // in cells, when it was taken

	file *os.File
	in   *Input
	old  *term.State
	end  func()
}

// TerminalOf gives the file where it is a terminal.
func TerminalOf(stream any) (*os.File, bool) {
	f, ok := stream.(*os.File)
	return f, ok && f != nil && term.IsTerminal(f.Fd())
}

// TakeTerminal takes a terminal, until Release. resized is told each new size.
func TakeTerminal(file *os.File, resized func(width, height int)) (*Terminal, error) {
	t := &Terminal{Kind: os.Getenv("TERM"), file: file}
	if t.Kind == "" {
		t.Kind = "xterm"
	}
	var err error
	if t.Width, t.Height, err = term.GetSize(file.Fd()); err != nil || t.Width == 0 {
		t.Width, t.Height = 80, 24
	}
	if t.in, err = NewInput(file); err != nil {
		return nil, err
	}
	if t.old, err = term.MakeRaw(file.Fd()); err != nil {
		return nil, err
	}
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	released := make(chan struct{})
	go func() {
		for {
			select {
			case <-changed:
				if w, h, err := term.GetSize(file.Fd()); err == nil {
					resized(w, h)
				}
			case <-released:
				return
			}
		}
	}()
	t.end = func() {
		signal.Stop(changed)
		close(released)
	}
	return t, nil
}

// Read gives what is pressed, until Release.
func (t *Terminal) Read(b []byte) (int, error) { return t.in.Read(b) }

// Release gives the terminal back as it was.
func (t *Terminal) Release() {
	t.end()
	t.in.Stop()
	_ = term.Restore(t.file.Fd(), t.old)
}

// Input reads an input of this program for something that runs elsewhere, and
// leaves what comes after that unread.
type Input struct {
	r     cancelreader.CancelReader
	begun atomic.Bool // somebody has read
	once  sync.Once
	over  chan struct{} // nobody reads any more
}

// NewInput makes a reader of r that can be stopped where r is a file.
func NewInput(r io.Reader) (*Input, error) {
	in, err := cancelreader.NewReader(r)
	if err != nil { // a plain file, which needs no stopping
		in, err = cancelreader.NewReader(struct{ io.Reader }{r})
	}
	return &Input{r: in, over: make(chan struct{})}, err
}

// Read reads on; after an error nobody may again.
func (i *Input) Read(b []byte) (int, error) {
	i.begun.Store(true)
	n, err := i.r.Read(b)
	if err != nil {
		i.once.Do(func() { close(i.over) })
	}
	return n, err
}

// Stop ends a Read that waits: what comes next is another's. Who reads must do so
// until there is an error.
func (i *Input) Stop() {
	if !i.r.Cancel() {
		return
	}
	if !i.begun.Load() {
		i.r.Close()
		return
	}
	select {
	case <-i.over:
		i.r.Close()
	case <-time.After(time.Second):
	}
}
