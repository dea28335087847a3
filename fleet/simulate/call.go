package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

// Call is one run of a program on a simulated host.
type Call struct {
	Context context.Context // ends when nobody waits for the program any more
	Host    string
	User    string // who logged in
	Root    bool   // it runs as root
	Args    []string
	Env     []string // NAME=value, as env(1) set them
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer

	as string // another user it was made to run as
	h  *host
	w  *wire
}

// Program plays a program and gives its exit status.
type Program func(Call) int

func (c Call) machine() *machine { return c.h.machine() }
func (c Call) fault() Fault      { return c.w.fault }
func (c Call) now() time.Time    { return c.h.f.now() }
func (c Call) hangUp()           { c.w.Close() }

// name is who it runs as.
func (c Call) name() string {
	switch {
	case c.as != "":
		return c.as
	case c.Root:
		return "root"
	}
	return c.User
}

func (c Call) uid() int {
	if c.Root {
		return 0
	}
	return 1000
}

// has tells whether an argument is among those behind the program's name.
func (c Call) has(arg string) bool { return len(c.Args) > 1 && slices.Contains(c.Args[1:], arg) }

// with is the call of another program with other arguments.
func (c Call) with(args []string) Call {
	c.Args = args
	return c
}

// split parts arguments into words and flags: --name=value, and the value in
// the next argument for those named. Only flags that are there are in the map.
func (c Call) split(withValue ...string) (words []string, flags map[string]string) {
	flags = map[string]string{}
	args := c.Args[1:]
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		switch {
		case args[i] == "--":
			return append(words, args[i+1:]...), flags
		case !strings.HasPrefix(args[i], "-"):
			words = append(words, args[i])
			continue
		case !joined && slices.Contains(withValue, name) && i+1 < len(args):
			i++
			value = args[i]
		}
		if flags[name] != "" {
			value = flags[name] + "," + value
		}
		flags[name] = value
	}
	return words, flags
}

// line runs a command line.
func (c Call) line(line string) int {
	steps, err := parse(line)
	switch {
	case errors.Is(err, errMore):
		fmt.Fprintln(c.Stderr, "sh: this host does not exist (sextant demo): it cannot run a shell program")
		return 127
	case err != nil:
		fmt.Fprintln(c.Stderr, "sh: syntax error:", err)
		return 2
	}
	status := 0
	for _, s := range steps {
		if s.when == "&&" && status != 0 || s.when == "||" && status == 0 {
			continue
		}
		status = c.with(s.words).run()
	}
	return status
}

// run runs the program that Args name.
func (c Call) run() int {
	if len(c.Args) == 0 {
		return 0
	}
	if c.Context.Err() != nil {
		return 1
	}
	name := path.Base(c.Args[0])
	if p := c.h.f.program(c.Host, name); p != nil {
		return p(c)
	}
	if p, ok := builtins[name]; ok {
		return p(c)
	}
	for _, b := range c.machine().backups {
		if name == b.tool+"-"+b.name {
			return snapshotProgram(c, b)
		}
	}
	return c.notFound(name)
}

func (c Call) notFound(name string) int {
	fmt.Fprintf(c.Stderr, "sh: %s: not found\n", name)
	return 127
}

// program is what a test set in place of a program.
func (f *Fleet) program(host, name string) Program {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.programs[host+"\x00"+name]; p != nil {
		return p
	}
	return f.programs["\x00"+name]
}

// played is the script that a test set, known by a piece of a shell program.
func (f *Fleet) played(text string) Program {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.scripts {
		if strings.Contains(text, s.piece) {
			return s.play
		}
	}
	return nil
}
