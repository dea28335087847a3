// Package link is how a host is reached: it dials, checks the host's key,
// authenticates, becomes root, runs commands, forwards sockets and opens
// shells, over one connection to each host. Two kinds of host: one reached by
// SSH, and this machine, reached without.
//
// It knows nothing of what is asked: no NixOS, no Podman, no screens.
package link

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// Link is the way to one host. It is safe for concurrent use; all methods
// share one connection, which is made when first needed and again after it
// broke. Every method ends when its context does.
type Link interface {
	// Host is the host at the other end, as discovery told of it.
	Host() fleet.Host
	// Connect makes sure that there is a connection and tells how it goes.
	Connect(ctx context.Context) (fleet.Reach, error)
	// Run runs a command and waits for its end. A command that ran and ended
	// with a status is no error: see Result.Status.
	Run(ctx context.Context, cmd Command) (Result, error)
	// Start runs a command and gives its output as it comes.
	Start(ctx context.Context, cmd Command) (Process, error)
	// Dial connects to an address as the host sees it: network "tcp" with
	// "127.0.0.1:19999", or "unix" with a path. The rights are the login
	// user's, not root's.
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	// DialCommand runs a command as root where that is possible and gives its
	// standard input and output as a connection, such as
	// "podman system dial-stdio".
	DialCommand(ctx context.Context, cmd Command) (net.Conn, error)
	// Shell gives an interactive login, or an interactive command where cmd has arguments.
	Shell(cmd Command) (fleet.Session, error)
	// Close ends the connection and everything that runs over it.
	Close() error
}

// Command is a program and its arguments. They reach the program as they are,
// whatever they contain: see [Quote].
type Command struct {
	Args   []string
	Stdin  io.Reader // nil: empty
	Root   bool      // run as root; an error where we cannot become root
	IfRoot bool      // run as root where we can, else as who we are
	User   string    // run as this user (through root); empty: the login user
	Env    []string  // NAME=value, set by env(1) in front of the program
	Limit  int       // bytes of output kept; 0: DefaultLimit. More is an error
	Stderr io.Writer // is given the error output as it comes, all of it; nil: the result's is enough. For commands of the login user: who becomes root says how on it

	told   func(word string) // is told which way to root the command took; see elevate
	script string            // the program, where Args are its; see unlogged
}

// DefaultLimit bounds the output of a command that sets none: 4 MiB.
const DefaultLimit = 4 << 20

// Script makes a command of a POSIX shell program. Where root is only to be had
// by sudo or the like, the program goes there ahead of Stdin: what became of
// arguments would be written into the host's journal, whole and every time.
func Script(text string, args ...string) Command {
	return Command{Args: append([]string{"sh", "-c", text, "sextant"}, args...), script: text}
}

// Sections cuts what a script printed at its marks: a line of the mark, a space and a
// name begins the section of that name. An empty line before a mark is nobody's, and
// what stands before the first mark is left out.
func Sections(out, mark string) map[string]string {
	all := map[string]string{}
	for i, part := range strings.Split("\n"+out, "\n"+mark+" ") {
		if name, text, _ := strings.Cut(part, "\n"); i > 0 {
			all[name] = strings.TrimSuffix(text, "\n")
		}
	}
	return all
}

// Result is how a command ended.
type Result struct {
	Stdout []byte
	Stderr []byte // its first 64 KiB
	Status int    // exit status; -1: ended by a signal
}

// Process is a running command. Read gives its standard output; Close ends it.
type Process interface {
	io.ReadCloser
	// Wait waits for the end and gives the result without Stdout.
	Wait() (Result, error)
}

// Errors that callers tell apart with errors.Is.
var (
	ErrNoRoot    = errors.New("cannot become root") // why is in the wrapping error
	ErrTooMuch   = errors.New("output is larger than its limit")
	ErrRefused   = errors.New("refused by a person")      // a question was answered with no
	ErrNobody    = errors.New("nobody can be asked here") // no terminal
	ErrHostKey   = errors.New("host key changed")         // never accepted silently
	ErrUnknown   = errors.New("host key unknown")         // and nobody to ask
	ErrAuth      = errors.New("no way to log in was accepted")
	ErrForbidden = errors.New("the host's sshd refuses to forward") // or the socket is missing or closed to us
)

// Refused tells whether nobody listens where a connection was to lead, rather than
// that we are not let through: an SSH server gives one error for both, and says which
// in its words.
func Refused(err error) bool {
	if err == nil {
		return false
	}
	text := strings.ToLower(err.Error())
	return errors.Is(err, ErrForbidden) && strings.Contains(text, "refused") && !strings.Contains(text, "administratively")
}

// Asker puts a question to a person and waits for the reply.
type Asker interface {
	Ask(ctx context.Context, q fleet.Question) (fleet.Reply, error)
}
