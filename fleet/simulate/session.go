package simulate

import (
	"context"
	"io"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
)

// session is one session channel: a command or a shell.
type session struct {
	c       *client
	channel ssh.Channel
	ctx     context.Context
	end     context.CancelFunc
	pty     bool
	width   atomic.Int32
	height  atomic.Int32
	resized chan struct{} // holds a notice after a change
	started bool
	begun   func() int // what a request has begun
}

// session serves the requests of a channel until it is closed.
func (c *client) session(ch ssh.NewChannel) {
	channel, requests, err := ch.Accept()
	if err != nil {
		return
	}
	s := &session{c: c, channel: channel, resized: make(chan struct{}, 1)}
	s.ctx, s.end = context.WithCancel(c.ctx)
	defer s.end()
	defer channel.Close()
	defer context.AfterFunc(c.ctx, func() { channel.Close() })()
	for req := range requests {
		ok := s.request(req)
		if req.WantReply {
			_ = req.Reply(ok, nil)
		}
		if run := s.begun; run != nil { // only now: what it says must not come before the reply
			s.begun = nil
			s.start(run)
		}
	}
}

// request serves one request.
func (s *session) request(req *ssh.Request) bool {
	switch req.Type {
	case "pty-req":
		var p struct {
			Term          string
			Width, Height uint32
			W, H          uint32
			Modes         string
		}
		if ssh.Unmarshal(req.Payload, &p) != nil {
			return false
		}
		s.pty = true
		s.resize(p.Width, p.Height)
		return true
	case "window-change":
		var p struct{ Width, Height, W, H uint32 }
		if ssh.Unmarshal(req.Payload, &p) == nil {
			s.resize(p.Width, p.Height)
		}
		return true
	case "signal":
		s.end()
		return true
	case "exec":
		var p struct{ Line string }
		if s.started || s.c.w.fault.NoExec || ssh.Unmarshal(req.Payload, &p) != nil {
			return false
		}
		s.started, s.begun = true, func() int { return s.exec(p.Line) }
		return true
	case "shell":
		if s.started || s.c.w.fault.NoExec {
			return false
		}
		s.started, s.begun = true, s.shell
		return true
	}
	return false // env, agent forwarding and X11, as from sshd's defaults
}

func (s *session) resize(width, height uint32) {
	s.width.Store(int32(min(width, 10000)))
	s.height.Store(int32(min(height, 10000)))
	select {
	case s.resized <- struct{}{}:
	default: // a notice waits already
	}
}

// start runs something and tells its status when it ends.
func (s *session) start(run func() int) {
	s.c.h.f.wg.Go(func() {
		status := run()
		if s.ctx.Err() == nil {
			_, _ = s.channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
			_ = s.channel.CloseWrite()
		}
		s.channel.Close()
	})
}

// exec runs a command line as the login shell of the user would.
func (s *session) exec(line string) int {
	fault := s.c.w.fault
	if s.c.h.f.opts.Record {
		s.c.h.mu.Lock()
		s.c.h.heard = append(s.c.h.heard, line)
		s.c.h.mu.Unlock()
	}
	call := Call{
		Context: s.ctx, Host: s.c.h.role.name, User: s.c.conn.User(), Root: s.c.conn.User() == "root",
		Stdin: s.channel, Stdout: s.channel, Stderr: s.channel.Stderr(), h: s.c.h, w: s.c.w,
	}
	if fault.Deaf {
		<-s.ctx.Done()
		return 1
	}
	if fault.Flood > 0 && !flood(s.ctx, s.channel, fault.Flood) {
		return 1
	}
	return call.line(line)
}

// flood writes so many bytes.
func flood(ctx context.Context, w io.Writer, n int64) bool {
	return pour(ctx, w, "all work and no play makes a dull host\n", n)
}

// pour writes a text again and again, until so many bytes are written.
func pour(ctx context.Context, w io.Writer, text string, n int64) bool {
	block := make([]byte, 64<<10)
	for i := range block {
		block[i] = text[i%len(text)]
	}
	for ; n > 0; n -= int64(len(block)) {
		if _, err := w.Write(block[:min(n, int64(len(block)))]); err != nil || ctx.Err() != nil {
			return false
		}
	}
	return true
}
