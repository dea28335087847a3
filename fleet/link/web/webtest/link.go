// Package webtest has a host for tests of what asks web servers over a link, and
// the table of bad answers that each of them has to survive. It listens nowhere.
package webtest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Link is a host with web servers in memory. Whatever else a link can do is
// missing from it.
type Link struct {
	link.Link
	Name string
	Web  map[string]http.Handler                                  // by network and address: "tcp 127.0.0.1:2019", "unix /run/x.sock"
	Raw  map[string]func(net.Conn)                                // the same, for what is not HTTP as it should be
	Do   func(context.Context, link.Command) (link.Result, error) // runs commands; nil: there are none
	Shut map[string]string                                        // what cannot be dialled, with what the host says
	Seen func(network, address string)                            // is told what is dialled
}

// Host is the host.
func (l *Link) Host() fleet.Host {
	return fleet.Host{ID: fleet.HostID("n-" + l.Name), Name: l.Name}
}

// Dial connects to one of the servers; anywhere else the connection is refused.
func (l *Link) Dial(_ context.Context, network, address string) (net.Conn, error) {
	if l.Seen != nil {
		l.Seen(network, address)
	}
	at := network + " " + address
	if why, ok := l.Shut[at]; ok {
		return nil, fmt.Errorf("%w: %s on %s: %s", link.ErrForbidden, address, l.Name, why)
	}
	serve := l.Raw[at]
	if h := l.Web[at]; h != nil {
		serve = func(c net.Conn) { _ = (&http.Server{Handler: h}).Serve(&once{conn: c}) }
	}
	if serve == nil {
		return nil, fmt.Errorf("%w: %s on %s: Connection refused", link.ErrForbidden, address, l.Name)
	}
	ours, theirs := net.Pipe()
	go serve(theirs)
	return ours, nil
}

// Run runs a command.
func (l *Link) Run(ctx context.Context, cmd link.Command) (link.Result, error) {
	if l.Do == nil {
		return link.Result{Status: 127}, nil
	}
	return l.Do(ctx, cmd)
}

// once is a listener with one connection.
type once struct {
	mu   sync.Mutex
	conn net.Conn
}

// Accept gives the connection, and then none.
func (o *once) Accept() (net.Conn, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn == nil {
		return nil, io.EOF
	}
	c := o.conn
	o.conn = nil
	return c, nil
}

// Close closes nothing: the connection is the server's.
func (o *once) Close() error { return nil }

// Addr is nowhere.
func (o *once) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }
