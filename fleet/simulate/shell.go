package simulate

import (
	"fmt"
	"io"
	"strings"
)

// greeting is what a shell says first: nobody shall take it for a real host.
const greeting = "this host does not exist (sextant demo)"

// shell is a tiny, honest prompt.
func (s *session) shell() int {
	name := s.c.h.role.name
	user := s.c.conn.User()
	mark := "$"
	if user == "root" {
		mark = "#"
	}
	t := &tty{ReadWriter: s.channel, echoes: s.pty}
	t.say(greeting + "\r\nhelp tells what can be done here; exit leaves.\r\n")
	for {
		line, err := t.ask(fmt.Sprintf("[%s@%s:~]%s ", user, name, mark))
		if err != nil {
			return 0
		}
		if status, over := s.run(t, strings.TrimSpace(line)); over {
			return status
		}
	}
}

// tty edits lines as far as people need it.
type tty struct {
	io.ReadWriter
	echoes bool
	rest   []byte
}

func (t *tty) say(text string) { _, _ = io.WriteString(t, text) }

// ask prints a prompt and reads a line, echoing what is typed.
func (t *tty) ask(prompt string) (string, error) {
	t.say(prompt)
	var line []byte
	for {
		b, err := t.key()
		if err != nil {
			return "", err
		}
		switch {
		case b == '\r' || b == '\n':
			t.echo("\r\n")
			return string(line), nil
		case b == 4 && len(line) == 0: // Ctrl-D
			t.echo("\r\n")
			return "", io.EOF
		case b == 3: // Ctrl-C
			t.echo("^C\r\n")
			return "", nil
		case b == 127 || b == 8:
			if len(line) > 0 {
				line = line[:len(line)-1]
				t.echo("\b \b")
			}
		case b >= ' ' && len(line) < 1000:
			line = append(line, b)
			t.echo(string([]byte{b}))
		}
	}
}

// echo prints what was typed, where there is a terminal to see it.
func (t *tty) echo(text string) {
	if t.echoes {
		t.say(text)
	}
}

func (t *tty) key() (byte, error) {
	if len(t.rest) == 0 {
		buf := make([]byte, 256)
		n, err := t.Read(buf)
		if n == 0 && err != nil {
			return 0, err
		}
		t.rest = buf[:n]
	}
	b := t.rest[0]
	t.rest = t.rest[1:]
	return b, nil
}

// run runs a line; over says that the shell ends.
func (s *session) run(t *tty, line string) (status int, over bool) {
	switch line {
	case "":
	case "exit", "logout":
		return 0, true
	case "help":
		t.say("exit, size, and some of what sextant runs itself: id, uname -n, systemctl show NAME, journalctl -u NAME\r\n")
	case "size":
		t.say(fmt.Sprintf("%d×%d\r\n", s.width.Load(), s.height.Load()))
	default:
		out := lineEnds{s.channel}
		Call{
			Context: s.ctx, Host: s.c.h.role.name, User: s.c.conn.User(), Root: s.c.conn.User() == "root",
			Stdin: strings.NewReader(""), Stdout: out, Stderr: out, h: s.c.h, w: s.c.w,
		}.line(line)
	}
	return 0, false
}

// lineEnds writes line ends as a terminal wants them.
type lineEnds struct{ w io.Writer }

// Write writes b with carriage returns.
func (l lineEnds) Write(b []byte) (int, error) {
	if _, err := io.WriteString(l.w, strings.ReplaceAll(string(b), "\n", "\r\n")); err != nil {
		return 0, err
	}
	return len(b), nil
}
