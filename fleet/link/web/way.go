package web

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// blame puts an error of the way to the server into words.
func (c *Client) blame(ctx context.Context, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	text := strings.ToLower(err.Error())
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w within %s: %w", ErrLate, c.limits.Time, context.DeadlineExceeded)
	case link.Refused(err), errors.Is(err, link.ErrForbidden) && !strings.Contains(text, "administratively") && strings.Contains(text, "no such file"):
		return c.none()
	case errors.Is(err, link.ErrForbidden):
		return fmt.Errorf("%w: %w", ErrClosed, err)
	case strings.Contains(text, "server response headers exceeded"):
		return tooLarge(maxHeader)
	}
	return err
}

func (c *Client) none() error { return fmt.Errorf("%w on %s", ErrNone, c.at.At) }

// closedToUs tells whether root may get in where the login user does not: Caddy's
// socket is root's alone, and OpenSSH then says no more than that it cannot connect.
func (c *Client) closedToUs(err error) bool {
	return c.at.Network == "unix" && errors.Is(err, link.ErrForbidden)
}

// byCommand has curl ask as root, on the host. Only what is asked without a body
// goes this way.
func (c *Client) byCommand(ctx context.Context, req *http.Request, body []byte, began time.Time) (Answer, error) {
	if len(body) > 0 {
		return Answer{}, fmt.Errorf("%w: %s", ErrClosed, c.at.At)
	}
	args := []string{"curl", "-q", "-sS", "-i", "--http1.1", "--max-time", strconv.Itoa(max(1, int(c.limits.Time/time.Second))),
		"--max-filesize", strconv.FormatInt(c.limits.Body, 10), "--unix-socket", c.at.At}
	switch req.Method {
	case http.MethodGet:
	case http.MethodHead:
		args = append(args, "--head")
	default:
		args = append(args, "-X", req.Method)
	}
	for name, values := range req.Header {
		args = append(args, "-H", name+": "+values[0])
	}
	res, err := c.link.Run(ctx, link.Command{Args: append(args, "-H", "Host: "+req.Host, "--", req.URL.String()), IfRoot: true, Limit: int(c.limits.Body) + maxHeader})
	switch {
	case errors.Is(err, link.ErrTooMuch):
		return Answer{}, tooLarge(c.limits.Body)
	case err != nil:
		return Answer{}, c.blame(ctx, err)
	case res.Status != 0:
		return Answer{}, c.curlFailed(res)
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(res.Stdout)), req)
	if err != nil {
		return Answer{}, Unreadable("what curl gives", err)
	}
	return c.read(ctx, resp, began)
}

// Exit statuses of curl.
const (
	curlNoConnection = 7
	curlLate         = 28
	curlTooLarge     = 63
	shellNotFound    = 127
)

func (c *Client) curlFailed(res link.Result) error {
	said := fleet.Short(fleet.Clean(strings.TrimSpace(string(res.Stderr))), 120)
	switch res.Status {
	case curlNoConnection:
		if strings.Contains(strings.ToLower(said), "denied") {
			return fmt.Errorf("%w: %s", ErrClosed, c.at.At)
		}
		return c.none()
	case curlLate:
		return fmt.Errorf("%w within %s: %w", ErrLate, c.limits.Time, context.DeadlineExceeded)
	case curlTooLarge:
		return tooLarge(c.limits.Body)
	case shellNotFound:
		return fmt.Errorf("%w: %s (and there is no curl by which root could ask)", ErrClosed, c.at.At)
	}
	return fmt.Errorf("curl on the host: status %d: %s", res.Status, said)
}
