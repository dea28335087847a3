package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// commandConn is the input and output of a command as a connection.
type commandConn struct {
	Process
	in     *io.PipeWriter
	cancel context.CancelFunc
	name   string
}

// dialCommand starts a command whose context is its connection's life, not
// the dialling's.
func dialCommand(ctx context.Context, l Link, cmd Command) (net.Conn, error) {
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	cancel := func() { end(nil) }
	stop := context.AfterFunc(ctx, func() { end(context.Cause(ctx)) }) // until the command has started
	r, w := io.Pipe()
	cmd.Stdin, cmd.Root = r, cmd.User == ""
	p, err := l.Start(life, cmd)
	if !stop() && err == nil {
		p.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel()
		w.Close()
		return nil, fmt.Errorf("%s on %s: %w", cmd.title(), l.Host().Name, err)
	}
	return &commandConn{Process: p, in: w, cancel: cancel, name: cmd.title()}, nil
}

// title is what a command is called in errors: a whole program is no name.
func (c Command) title() string {
	if c.script != "" {
		return "a shell program"
	}
	return strings.Join(c.Args, " ")
}

// Read reads what the command prints; at its end it says why it ended.
func (c *commandConn) Read(b []byte) (int, error) {
	n, err := c.Process.Read(b)
	if errors.Is(err, io.EOF) && n == 0 {
		if res, werr := c.Wait(); werr == nil && res.Status != 0 {
			return 0, fmt.Errorf("%s ended with status %d: %s", c.name, res.Status, brief(res.Stderr))
		}
	}
	return n, err
}

// brief is what a command said on its error output, for a line of ours.
func brief(stderr []byte) string {
	return fleet.Short(fleet.Clean(strings.TrimSpace(string(stderr))), 200)
}

// says is what the command has said so far on its error output, where that is
// known before its end.
func (c *commandConn) says() string {
	if p, ok := c.Process.(*localProcess); ok {
		return brief(p.stderr.bytes())
	}
	return ""
}

// Write writes to the command's input.
func (c *commandConn) Write(b []byte) (int, error) { return c.in.Write(b) }

// CloseWrite ends the command's input; its output still comes.
func (c *commandConn) CloseWrite() error { return c.in.Close() }

// Close ends the command.
func (c *commandConn) Close() error {
	c.in.Close()
	c.cancel()
	return c.Process.Close()
}

// LocalAddr has no meaning for a command.
func (c *commandConn) LocalAddr() net.Addr { return commandAddr("sextant") }

// RemoteAddr names the command.
func (c *commandConn) RemoteAddr() net.Addr { return commandAddr(c.name) }

// SetDeadline does nothing: the context of each request bounds it.
func (c *commandConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (c *commandConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (c *commandConn) SetWriteDeadline(time.Time) error { return nil }

type commandAddr string

// Network is "command".
func (commandAddr) Network() string { return "command" }

// String is the command.
func (a commandAddr) String() string { return string(a) }
