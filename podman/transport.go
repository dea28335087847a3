package podman

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Limits on what an engine may send.
const (
	maxAnswer = 64 << 20 // bytes of one whole answer: a host with 10,000 containers stays below
	maxDetail = 8 << 20  // bytes of an answer about one container
	maxLine   = 4 << 20  // bytes of one message in a stream of them
	maxError  = 64 << 10 // bytes of an error's text that are read
	maxHeader = 64 << 10
)

// flow says how an answer comes, which decides over its limit and its
// connection. It travels in the request's context, because neither client
// lets a request carry anything else of ours.
type flow int

const (
	whole flow = iota // one answer of at most maxAnswer
	lines             // messages without end, a line each, of at most maxLine
	raw               // a stream whose reader has limits of its own
	slow              // one answer as whole, that takes its time
	about             // one answer of at most maxDetail
)

type flowKey struct{}

func flowing(ctx context.Context, f flow) context.Context {
	return context.WithValue(ctx, flowKey{}, f)
}

// wire carries HTTP requests to one engine. Streams have connections of their
// own, so that an answer never waits behind one.
type wire struct {
	answers, streams *http.Transport
	first            chan net.Conn          // the connection by which the way was found, until it is used
	server           atomic.Pointer[string] // the Server header: who answers, and its version
}

// dialFunc opens a connection to an engine; stream tells what it is for.
type dialFunc func(ctx context.Context, stream bool) (net.Conn, error)

// newWire makes a wire whose first connection is open, that dials further
// ones with dial and keeps at most conns for answers, each for idle after its
// last use.
func newWire(first net.Conn, dial dialFunc, conns int, idle time.Duration) *wire {
	w := &wire{first: make(chan net.Conn, 1)}
	w.first <- first
	w.streams = &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, true) },
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
	}
	w.answers = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if c := w.fresh(); c != nil {
				return c, nil
			}
			return dial(ctx, false)
		},
		DisableCompression:     true, // a small answer must not unpack to a large one
		MaxResponseHeaderBytes: maxHeader,
		ReadBufferSize:         32 << 10,
		MaxConnsPerHost:        conns,
		MaxIdleConnsPerHost:    conns,
		IdleConnTimeout:        idle,
	}
	return w
}

// serial tells whether answers come over one connection, one after another.
func (w *wire) serial() bool { return w.answers.MaxConnsPerHost == 1 }

// RoundTrip sends a request the way its flow wants.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	f, _ := req.Context().Value(flowKey{}).(flow)
	transport := w.streams
	if f == whole || f == about {
		transport = w.answers
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if s := resp.Header.Get("Server"); s != "" {
		w.server.Store(&s)
	}
	switch f {
	case whole, slow:
		resp.Body = &limited{ReadCloser: resp.Body, left: maxAnswer}
	case about:
		resp.Body = &limited{ReadCloser: resp.Body, left: maxDetail}
	case lines:
		resp.Body = &limited{ReadCloser: resp.Body, left: maxLine, perLine: true}
	}
	return resp, nil
}

// fresh is the connection by which the way was found, where nobody has used it
// yet; else nil.
func (w *wire) fresh() net.Conn {
	select {
	case c := <-w.first:
		return c
	default:
		return nil
	}
}

// close ends the connections that nobody uses.
func (w *wire) close() {
	w.answers.CloseIdleConnections()
	w.streams.CloseIdleConnections()
	if c := w.fresh(); c != nil {
		c.Close()
	}
}

// version is the engine's version by its Server header, such as
// "Libpod/5.4.2 (linux)" or "Docker/20.10.24+dfsg1 (linux)"; "" before the first answer.
func (w *wire) version() string {
	s := w.server.Load()
	if s == nil {
		return ""
	}
	_, v, _ := strings.Cut(*s, "/")
	v, _, _ = strings.Cut(v, " ")
	return fleet.Short(fleet.Clean(v), 32)
}

// limited is a body that ends with an error when it grows too large: as a
// whole, or in one of its lines.
type limited struct {
	io.ReadCloser
	left    int
	perLine bool
}

// Read reads on until the limit is passed.
func (l *limited) Read(b []byte) (int, error) {
	n, err := l.ReadCloser.Read(b)
	if i := bytes.LastIndexByte(b[:n], '\n'); l.perLine && i >= 0 {
		l.left = maxLine - (n - 1 - i)
	} else {
		l.left -= n
	}
	if l.left < 0 {
		return 0, fmt.Errorf("the answer of the engine: %w", link.ErrTooMuch)
	}
	return n, err
}

// final hands a failure on as an answer. The bindings try every request three
// times and sleep in between, whatever the context says; but a refused or
// hanging socket is final for us: it was asked through a connection that
// works, and the time matters.
type final struct{ http.RoundTripper }

// errBrokenOff is a connection that ended before the answer.
var errBrokenOff = errors.New("the engine hung up")

// noAnswer is the status of an answer that never came; its body is the error.
const noAnswer = 599

// RoundTrip never fails; see [final].
func (f final) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := f.RoundTripper.RoundTrip(req)
	if errors.Is(err, io.EOF) { // else it would pass for an answer without words
		err = errBrokenOff
	}
	if err != nil {
		resp = &http.Response{
			StatusCode: noAnswer, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{}, Body: failed{err}, Request: req,
		}
	}
	return resp, nil
}

// failed is a body that is only an error.
type failed struct{ err error }

// Read fails.
func (f failed) Read([]byte) (int, error) { return 0, f.err }

// Close does nothing.
func (failed) Close() error { return nil }
