package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Netdata's web server as the host itself sees it.
const (
	port    = 19999
	address = "127.0.0.1:19999"
	base    = "http://" + address
)

// Bounds of one call.
const (
	callTimeout = 5 * time.Second
	maxBody     = 8 << 20
	maxHeader   = 64 << 10
	maxConns    = 4 // channels to one host at once
)

// Reasons why Netdata tells nothing.
var (
	errNone      = errors.New("nothing answers on " + address)
	errProtected = errors.New("netdata gives data only with a bearer token of Netdata Cloud (bearer token protection is on)")
	errNotFound  = errors.New("netdata does not know that")
)

// client asks one Netdata over the link to its host.
type client struct {
	http      *http.Client
	transport *http.Transport
	host      string
}

func newClient(l link.Link) *client {
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			return l.Dial(ctx, "tcp", address)
		},
		DisableCompression:     true,
		MaxConnsPerHost:        maxConns,
		MaxIdleConnsPerHost:    maxConns,
		IdleConnTimeout:        10 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
	}
	return &client{
		transport: t,
		host:      l.Host().Name,
		http: &http.Client{
			Transport:     t,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// close ends the connections that wait for another call.
func (c *client) close() { c.transport.CloseIdleConnections() }

// answer is what Netdata said.
type answer struct {
	body    []byte
	clock   time.Time // Netdata's own clock when it answered; zero: not told
	version string    // "v1.37.1"; "" not told
}

// get asks for a path and its parameters, and accepts nothing but JSON.
func (c *client) get(ctx context.Context, path string, query url.Values) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	target := base + path
	if len(query) > 0 { // Netdata separates words by spaces, not by pluses
		target += "?" + strings.ReplaceAll(query.Encode(), "+", "%20")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Connection", "keep-alive") // 1.37 closes where this is not said
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, c.blame(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return answer{}, c.blame(ctx, err)
	}
	if len(body) > maxBody {
		return answer{}, fmt.Errorf("netdata on %s: the answer is larger than %d MiB", c.host, maxBody>>20)
	}
	if err := judge(resp, body); err != nil {
		return answer{}, fmt.Errorf("netdata on %s: %w", c.host, err)
	}
	a := answer{body: body}
	if a.clock, err = http.ParseTime(resp.Header.Get("Date")); err != nil {
		a.clock = time.Time{}
	}
	if v, ok := strings.CutPrefix(resp.Header.Get("Server"), "Netdata Embedded HTTP Server "); ok && v != "" {
		a.version = word(v)
	}
	return a, nil
}

// blame puts an error of the way to Netdata into words.
func (c *client) blame(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("netdata on %s: no whole answer within %s: %w", c.host, callTimeout, context.DeadlineExceeded)
	case errors.Is(err, link.ErrForbidden) && strings.Contains(strings.ToLower(err.Error()), "refused") &&
		!strings.Contains(err.Error(), "administratively"):
		return fmt.Errorf("%w on %s", errNone, c.host)
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("netdata on %s: %w", c.host, err)
}

// judge tells whether an answer holds what was asked for.
func judge(resp *http.Response, body []byte) error {
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
	case code == http.StatusPreconditionFailed, code == http.StatusForbidden, code == http.StatusUnauthorized:
		return fmt.Errorf("%w: HTTP %d", errProtected, code)
	case code == http.StatusNotFound:
		return fmt.Errorf("%w: %s", errNotFound, excerpt(body))
	case code >= 300 && code < 400:
		return fmt.Errorf("answers with a redirect, which is not followed: HTTP %d", code)
	default:
		return fmt.Errorf("HTTP %d: %s", code, excerpt(body))
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/json" {
		return fmt.Errorf("answers with %s instead of JSON: what listens there may not be Netdata", word(kind))
	}
	return nil
}

// decode reads the JSON of an answer.
func decode(body []byte, into any, what string) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s cannot be read: %s", what, fleet.Short(fleet.Clean(err.Error()), 120))
	}
	return nil
}

// excerpt is the beginning of a text that is not what was asked for.
func excerpt(body []byte) string {
	return fleet.Short(fleet.Clean(strings.TrimSpace(string(body[:min(len(body), 200)]))), 100)
}

// word is a short text from outside, or "nothing".
func word(s string) string {
	if s = fleet.Short(fleet.Clean(strings.TrimSpace(s)), 40); s == "" {
		return "nothing"
	}
	return s
}
