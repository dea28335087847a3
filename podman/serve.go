package podman

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sextant-fleet/sextant/fleet"
)

// Limits of what is handed on.
const (
	maxForwards = 64               // connections at once; more wait to be accepted
	lingering   = 10 * time.Second // for what a program still sends when the engine has ended
	goneEvery   = time.Second      // how often is looked whether a program that sends no more is still there
)

// Serve hands the connections of a listener on to the engine until ctx ends, and
// then ends them all. say is told, from any goroutine, why one could not be handed
// on; the program that made it is told by an answer in HTTP. It closes the listener.
func (f *Forward) Serve(ctx context.Context, l net.Listener, say func(line string)) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	places := make(chan struct{}, maxForwards)
	for {
		select {
		case places <- struct{}{}:
		default:
			say(fmt.Sprintf("%d connections are open: others wait until one ends", maxForwards))
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
		}
		near, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				near.Close()
			}
			return nil
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ECONNABORTED):
			say(err.Error())
			<-places
			pause(ctx, goneEvery)
			continue
		case err != nil:
			return err
		}
		wg.Go(func() {
			defer func() { <-places }()
			if err := f.carry(ctx, near); err != nil && ctx.Err() == nil {
				say(fleet.InFull(err))
			}
		})
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// carry hands one connection on. Nothing is begun on the host before the program
// has said something: in HTTP it speaks first.
func (f *Forward) carry(ctx context.Context, near net.Conn) error {
	defer near.Close()
	defer context.AfterFunc(ctx, func() { near.Close() })()
	head := make([]byte, 32<<10)
	n, _ := near.Read(head)
	if n == 0 {
		return nil
	}
	far, err := f.Dial(ctx)
	if err != nil {
		refuse(near, err)
		return err
	}
	defer far.Close()
	defer context.AfterFunc(ctx, func() { far.Close() })()
	if err := join(near, far, head[:n]); err != nil {
		f.eng.disconnect() // a command that lends the socket says only now that it cannot
		err = f.eng.wrong(err)
		refuse(near, err)
		return err
	}
	return nil
}

// join copies both ways, head first, until both have ended. An end is passed on as
// what it is, the end of one half: a command's input may end long before its
// output, and the other way round. It fails where the engine failed before it said
// anything.
func join(near, far net.Conn, head []byte) (failed error) {
	var wg sync.WaitGroup
	var left atomic.Bool        // the program has, and not the engine
	over := make(chan struct{}) // nothing more will come from the engine
	wg.Go(func() {
		_, err := far.Write(head)
		if err == nil {
			_, err = io.Copy(far, near)
		}
		if err == nil {
			_ = closeWrite(far)
		}
		if err != nil || leaves(near, over) {
			left.Store(true)
			far.Close()
		}
	})
	wg.Go(func() {
		defer close(over)
		n, err := io.Copy(near, far)
		switch {
		case err != nil && n == 0 && !left.Load():
			failed = err
			_ = near.SetReadDeadline(time.Now())
			return
		case err != nil:
			near.Close()
			return
		}
		_ = closeWrite(near)
		_ = near.SetReadDeadline(time.Now().Add(lingering))
	})
	wg.Wait()
	return failed
}

// leaves waits until a program that sends no more is not there at all any more, or
// until there is nothing more for it; false: that.
func leaves(near net.Conn, over <-chan struct{}) bool {
	for {
		select {
		case <-over:
			return false
		case <-time.After(goneEvery):
		}
		if hungUp(near) {
			return true
		}
	}
}

// hungUp tells whether the other end of a local socket is closed, and not only the
// half of it by which it sends.
func hungUp(c net.Conn) bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return true
	}
	up := false
	err = raw.Control(func(fd uintptr) {
		at := []unix.PollFd{{Fd: int32(fd)}}
		n, perr := unix.Poll(at, 0)
		up = perr == nil && n > 0 && at[0].Revents&unix.POLLHUP != 0
	})
	return up || err != nil
}

// refuse answers as an engine that cannot do it, so that the program says why.
func refuse(near net.Conn, err error) {
	why := "sextant: " + fleet.InFull(err)
	body, _ := json.Marshal(map[string]any{"message": why, "cause": why, "response": 502})
	_ = near.SetDeadline(time.Now().Add(time.Second))
	fmt.Fprintf(near, "HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
	_ = closeWrite(near)
	_, _ = io.Copy(io.Discard, io.LimitReader(near, 1<<20)) // to close on what is unread would break the answer off
}
