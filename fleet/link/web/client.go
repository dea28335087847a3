package web

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet/link"
)

// Bounds of a call where [Limits] say nothing, and of every call.
const (
	defaultTime = 5 * time.Second
	defaultBody = 1 << 20
	maxHeader   = 64 << 10
	maxConns    = 4 // channels to one address at once
)

// Address is where a web server of a host listens, as the host itself sees it.
type Address struct {
	Network string // "tcp" or "unix"
	At      string // "127.0.0.1:2019" or "/run/caddy/admin.sock"
	URL     string // what stands before paths: "http://localhost:2019". Servers judge by the name in it

	AnyCertificate bool // of an https URL: its certificate is judged elsewhere
}

// TCP is a server on a loopback port of the host.
func TCP(port int) Address {
	at := net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
	return Address{Network: "tcp", At: at, URL: "http://" + at}
}

// Unix is a server on a socket of the host.
func Unix(path string) Address { return Address{Network: "unix", At: path, URL: "http://localhost"} }

// Limits bound one call.
type Limits struct {
	Time time.Duration // from the first byte asked to the last one read; 0: 5 s
	Body int64         // bytes; 0: 1 MiB
}

// Client asks one web server of a host. It is safe for concurrent use, and is
// closed after it.
type Client struct {
	http      *http.Client
	transport *http.Transport
	link      link.Link
	at        Address
	limits    Limits
}

// New makes a client; nothing is dialled yet.
func New(l link.Link, at Address, lim Limits) *Client {
	lim.Time, lim.Body = cmp.Or(lim.Time, defaultTime), cmp.Or(lim.Body, defaultBody)
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, lim.Time)
			defer cancel()
			return l.Dial(ctx, at.Network, at.At)
		},
		DisableCompression:     true, // a small answer may unpack to a huge one
		MaxConnsPerHost:        maxConns,
		MaxIdleConnsPerHost:    maxConns,
		IdleConnTimeout:        10 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: at.AnyCertificate}, //nolint:gosec // see Address
	}
	return &Client{
		transport: t, link: l, at: at, limits: lim,
		http: &http.Client{
			Transport:     t,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Close ends the connections that wait for another call.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Request is a question of another kind than a plain GET.
type Request struct {
	Method string // GET, HEAD or POST; "": GET
	Path   string // begins with a slash
	Query  url.Values
	Header map[string]string // Host is taken from here, where it is other than the address'
	Type   string            // of Body
	Body   []byte
}

// Get asks for a path. An answer is one with status 200; every other is an error
// that says what it was.
func (c *Client) Get(ctx context.Context, path string, q url.Values) (Answer, error) {
	a, err := c.Ask(ctx, Request{Path: path, Query: q, Header: map[string]string{"Accept": "application/json, text/plain;q=0.9, */*;q=0.1"}})
	if err != nil {
		return Answer{}, err
	}
	return a, a.Err()
}

// Ask puts a question; any status is an answer.
func (c *Client) Ask(ctx context.Context, r Request) (Answer, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.limits.Time)
	defer cancel()
	req, err := c.request(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if c.closedToUs(err) {
			return c.byCommand(ctx, req, r.Body, began)
		}
		return Answer{}, c.blame(ctx, err)
	}
	return c.read(ctx, resp, began)
}

// request is r as HTTP has it. Words in a query are separated by %20: there are
// servers that take a plus for itself.
func (c *Client) request(ctx context.Context, r Request) (*http.Request, error) {
	target := c.at.URL + r.Path
	if len(r.Query) > 0 {
		target += "?" + strings.ReplaceAll(r.Query.Encode(), "+", "%20")
	}
	req, err := http.NewRequestWithContext(ctx, cmp.Or(r.Method, http.MethodGet), target, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Connection", "keep-alive") // Netdata 1.37 closes where this is not said
	for name, value := range r.Header {
		req.Header.Set(name, value)
	}
	if host := r.Header["Host"]; host != "" {
		req.Host = host
	}
	if r.Type != "" {
		req.Header.Set("Content-Type", r.Type)
	}
	return req, nil
}

// read takes in an answer up to the limit.
func (c *Client) read(ctx context.Context, resp *http.Response, began time.Time) (Answer, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.limits.Body+1))
	if err != nil {
		return Answer{}, c.blame(ctx, err)
	}
	if int64(len(body)) > c.limits.Body {
		return Answer{}, tooLarge(c.limits.Body)
	}
	a := Answer{Status: resp.StatusCode, Body: body, Took: time.Since(began)}
	a.Type, a.Server = resp.Header.Get("Content-Type"), resp.Header.Get("Server")
	a.Location, a.retry = resp.Header.Get("Location"), resp.Header.Get("Retry-After")
	if a.Clock, err = http.ParseTime(resp.Header.Get("Date")); err != nil {
		a.Clock = time.Time{}
	}
	return a, nil
}
