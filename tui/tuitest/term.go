// Package tuitest drives a terminal program as a person does: it runs on a
// pseudo-terminal, what it writes goes to a terminal emulator, and tests press
// keys and read the screen.
//
//	term := tuitest.Start(t, exec.Command(binary, "demo"), 80, 24)
//	term.WaitFor("7 hosts").Press("j", "enter").WaitFor("Overview")
package tuitest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"

	"github.com/sextant-fleet/sextant/test/pty"
)

// Patience is how long WaitFor and its kin wait.
var Patience = time.Minute

// Term is a terminal with a program in it.
type Term struct {
	t    testing.TB
	pty  *os.File
	done chan struct{} // closed when the program has ended
	read chan struct{} // closed when all it wrote is on the screen
	err  error         // how it ended

	mu    sync.Mutex
	emu   *vt.Emulator
	bytes int
	raw   bytes.Buffer
	last  time.Time
	title string
}

// Start runs a program in a new terminal. It is killed at the end of the test
// if it still runs.
func Start(t testing.TB, cmd *exec.Cmd, cols, rows int) *Term {
	t.Helper()
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append([]string{"TERM=xterm-256color"}, slices.DeleteFunc(cmd.Env, func(kv string) bool { return kv == "TERM="+os.Getenv("TERM") })...)
	file, err := pty.Start(cmd, cols, rows)
	if err != nil {
		t.Fatalf("starting %s: %v", cmd, err)
	}
	term := attach(t, file, cols, rows)
	go func() {
		term.err = cmd.Wait()
		close(term.done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-term.done
		term.close()
	})
	return term
}

// Run runs a function that takes a terminal, in this process. The function
// must return when the terminal is closed or the test's context ends.
func Run(t testing.TB, cols, rows int, program func(tty *os.File) error) *Term {
	t.Helper()
	file, tty, err := pty.Open(cols, rows)
	if err != nil {
		t.Fatal(err)
	}
	term := attach(t, file, cols, rows)
	go func() {
		term.err = program(tty)
		tty.Close()
		close(term.done)
	}()
	t.Cleanup(func() {
		<-term.done
		term.close()
	})
	return term
}

func attach(t testing.TB, file *os.File, cols, rows int) *Term {
	term := &Term{t: t, pty: file, emu: vt.NewEmulator(cols, rows), done: make(chan struct{}), read: make(chan struct{}), last: time.Now()}
	term.emu.SetCallbacks(vt.Callbacks{Title: func(s string) { term.title = s }})
	go term.show()
	go term.reply()
	return term
}

// show gives what the program writes to the emulator.
func (t *Term) show() {
	defer close(t.read)
	buf := make([]byte, 32<<10)
	for {
		n, err := t.pty.Read(buf)
		t.mu.Lock()
		if n > 0 {
			t.bytes += n
			t.raw.Write(buf[:n])
			t.last = time.Now()
			_, _ = t.emu.Write(buf[:n])
		}
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// reply gives what the emulator answers to the program.
func (t *Term) reply() {
	buf := make([]byte, 4<<10)
	for {
		n, err := t.emu.Read(buf)
		if err != nil {
			return
		}
		if _, err := t.pty.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (t *Term) close() {
	t.pty.Close()
	if w, ok := t.emu.InputPipe().(io.Closer); ok { // Emulator.Close would race with its Read
		w.Close()
	}
}

// Screen is the text on the screen, its lines without the blanks at their end.
func (t *Term) Screen() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := make([]string, t.emu.Height())
	for y := range lines {
		var b strings.Builder
		for x := 0; x < t.emu.Width(); x++ {
			cell := t.emu.CellAt(x, y)
			switch {
			case cell == nil || cell.Content == "" && cell.Width == 1:
				b.WriteByte(' ')
			default:
				b.WriteString(cell.Content)
			}
		}
		lines[y] = strings.TrimRight(b.String(), " ")
	}
	return strings.Join(lines, "\n")
}

// Row is a line of the screen, from 0; negative ones count from the bottom.
func (t *Term) Row(y int) string {
	lines := strings.Split(t.Screen(), "\n")
	if y < 0 {
		y += len(lines)
	}
	return lines[y]
}

// Cursor is where the terminal's cursor is.
func (t *Term) Cursor() (x, y int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.emu.CursorPosition()
	return p.X, p.Y
}

// Title is the title of the window.
func (t *Term) Title() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.title
}

// AltScreen tells whether the program has the alternate screen.
func (t *Term) AltScreen() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.emu.IsAltScreen()
}

// Written is how many bytes the program has written.
func (t *Term) Written() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes
}

// Raw is everything the program has written.
func (t *Term) Raw() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.raw.String()
}

// names are the bytes of keys that are not letters.
var names = map[string]string{
	"enter": "\r", "esc": "\x1b", "tab": "\t", "space": " ", "backspace": "\x7f", "up": "\x1b[A", "down": "\x1b[B",
	"right": "\x1b[C", "left": "\x1b[D", "home": "\x1b[H", "end": "\x1b[F", "pgup": "\x1b[5~", "pgdown": "\x1b[6~",
	"ctrl+c": "\x03", "ctrl+d": "\x04", "shift+tab": "\x1b[Z",
}

// Press presses keys one after the other: "enter", "up", or text to type.
func (t *Term) Press(keys ...string) *Term {
	t.t.Helper()
	for _, k := range keys {
		if s, ok := names[k]; ok {
			t.Send(s)
			if k == "esc" { // alone, or it is the beginning of a longer key
				time.Sleep(200 * time.Millisecond)
			}
			continue
		}
		for _, r := range k {
			t.Send(string(r))
			time.Sleep(2 * time.Millisecond)
		}
	}
	return t
}

// Send sends bytes as they are.
func (t *Term) Send(s string) *Term {
	t.t.Helper()
	if _, err := t.pty.WriteString(s); err != nil {
		t.t.Fatalf("sending %q: %v", s, err)
	}
	return t
}

// Paste pastes text, in brackets.
func (t *Term) Paste(s string) *Term { return t.Send("\x1b[200~" + s + "\x1b[201~") }

// Click taps a cell.
func (t *Term) Click(x, y int) *Term {
	return t.Send(fmt.Sprintf("\x1b[<0;%d;%dM\x1b[<0;%d;%dm", x+1, y+1, x+1, y+1))
}

// ClickOn taps the first place where the text is on the screen.
func (t *Term) ClickOn(text string) *Term {
	t.t.Helper()
	for y, line := range strings.Split(t.Screen(), "\n") {
		if i := strings.Index(line, text); i >= 0 {
			return t.Click(len([]rune(line[:i])), y)
		}
	}
	t.t.Fatalf("there is no %q to click on:\n%s", text, t.Screen())
	return t
}

// Resize changes the size of the terminal.
func (t *Term) Resize(cols, rows int) *Term {
	t.t.Helper()
	t.mu.Lock()
	t.emu.Resize(cols, rows)
	t.mu.Unlock()
	if err := pty.Resize(t.pty, cols, rows); err != nil {
		t.t.Fatal(err)
	}
	return t
}

// WaitFor waits until all the texts are on the screen.
func (t *Term) WaitFor(texts ...string) *Term {
	t.t.Helper()
	return t.wait(func(s string) string {
		for _, text := range texts {
			if !strings.Contains(s, text) {
				return fmt.Sprintf("%q did not appear", text)
			}
		}
		return ""
	})
}

// WaitGone waits until the text is not on the screen.
func (t *Term) WaitGone(text string) *Term {
	t.t.Helper()
	return t.wait(func(s string) string {
		if strings.Contains(s, text) {
			return fmt.Sprintf("%q did not go away", text)
		}
		return ""
	})
}

// wait waits until a look at the screen finds nothing wrong with it.
func (t *Term) wait(wrong func(screen string) string) *Term {
	t.t.Helper()
	var why, s string
	for end := time.Now().Add(Patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		s = t.Screen()
		if why = wrong(s); why == "" {
			return t
		}
	}
	t.t.Fatalf("%s:\n%s", why, s)
	return t
}

// Settle waits until nothing was written for a while.
func (t *Term) Settle(quiet time.Duration) *Term {
	t.t.Helper()
	for end := time.Now().Add(Patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		t.mu.Lock()
		still := time.Since(t.last)
		t.mu.Unlock()
		if still >= quiet {
			return t
		}
	}
	t.t.Fatalf("the screen does not settle:\n%s", t.Screen())
	return t
}

// Wait waits until the program has ended and what it wrote is on the screen,
// and gives how it ended.
func (t *Term) Wait() error {
	t.t.Helper()
	select {
	case <-t.done:
		select {
		case <-t.read:
		case <-time.After(time.Second): // something it started holds the terminal
		}
		return t.err
	case <-time.After(Patience):
		t.t.Fatalf("the program does not end:\n%s", t.Screen())
		return nil
	}
}

// Golden waits until the screen is as the file of the name under testdata has it, as
// long as a busy machine may take; with update it writes the file, once the screen rests.
func (t *Term) Golden(name string, update bool) {
	t.t.Helper()
	path := "testdata/" + name + ".txt"
	if update {
		screen := t.Settle(500 * time.Millisecond).Screen()
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, []byte(screen+"\n"), 0o644)); err != nil {
			t.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.t.Fatalf("%v (run the test with -update)", err)
	}
	screen := t.Screen()
	for end := time.Now().Add(20 * time.Second); screen+"\n" != string(want); screen = t.Screen() {
		if time.Now().After(end) {
			t.t.Errorf("%s is not as it was (-update, if that is right).\nIt is:\n%s\nIt was:\n%s", name, screen, want)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
