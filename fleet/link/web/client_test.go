package web_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web"
	"github.com/sextant-fleet/sextant/fleet/link/web/webtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestBad: nothing that answers badly takes longer, or more memory, than it may.
func TestBad(t *testing.T) {
	const limit = time.Second
	webtest.Bad(t, limit, func(l link.Link) error {
		c := web.New(l, web.TCP(2019), web.Limits{Time: limit})
		defer c.Close()
		a, err := c.Get(t.Context(), "/config/", nil)
		if err != nil {
			return err
		}
		var into struct{ Admin string }
		if err := a.JSON(&into, "/config/"); err != nil || into.Admin != "" {
			return err
		}
		return errors.New("it holds nothing that was asked for")
	})
}

// TestReasons: each kind of answer that is none is told apart.
func TestReasons(t *testing.T) {
	for name, want := range map[string]error{
		"drip": web.ErrLate, "silence": web.ErrLate, "endless body": web.ErrTooLarge, "endless header": web.ErrTooLarge,
		"HTML for JSON": web.ErrNotJSON, "a redirect": web.ErrRedirect, "a redirect to itself": web.ErrRedirect,
		"401": web.ErrProtected, "403": web.ErrProtected, "412": web.ErrProtected, "404": web.ErrNotFound, "429": web.ErrBusy,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &webtest.Link{Name: "storage"}
			l.Raw = map[string]func(net.Conn){"tcp 127.0.0.1:2019": webtest.Answers()[name]}
			limit := time.Minute // none but those that are late may come to it
			if errors.Is(want, web.ErrLate) {
				limit = 500 * time.Millisecond
			}
			c := web.New(l, web.TCP(2019), web.Limits{Time: limit})
			defer c.Close()
			a, err := c.Get(t.Context(), "/", nil)
			if err == nil {
				err = a.JSON(&struct{}{}, "/")
			}
			if !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		})
	}
}

// TestAsk: what is asked arrives as it was asked, and the answer as it was given.
func TestAsk(t *testing.T) {
	l := &webtest.Link{Name: "storage", Web: map[string]http.Handler{"tcp 127.0.0.1:9091": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Origin", "Sec-Fetch-Mode", "Accept-Encoding"} {
			if v := r.Header.Get(name); v != "" {
				t.Errorf("%s: %s was sent", name, v)
			}
		}
		w.Header().Set("Location", "https://auth.example/")
		w.Header().Set("Date", "Sat, 28 Nov 2020 10:00:00 GMT")
		w.WriteHeader(http.StatusFound)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.URL.RequestURI(), r.Header.Get("X-Forwarded-Host"))
	})}}
	c := web.New(l, web.TCP(9091), web.Limits{})
	defer c.Close()
	a, err := c.Ask(t.Context(), web.Request{Path: "/api/verify", Query: url.Values{"q": {"a b"}}, Header: map[string]string{"Host": "auth.example", "X-Forwarded-Host": "photos.example"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := a.Text(100), "GET auth.example /api/verify?q=a%20b photos.example"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if a.Status != http.StatusFound || a.Location != "https://auth.example/" || a.Clock.Year() != 2020 || a.Took <= 0 {
		t.Errorf("%+v", a)
	}
}

// TestNobody: that nothing listens is no fault of the way there.
func TestNobody(t *testing.T) {
	c := web.New(&webtest.Link{Name: "storage"}, web.TCP(2019), web.Limits{})
	defer c.Close()
	if _, err := c.Get(t.Context(), "/", nil); !errors.Is(err, web.ErrNone) || err.Error() != "nothing answers on 127.0.0.1:2019" {
		t.Error(err)
	}
}

// TestSocketOfRoot: a socket that is root's alone is asked by root's curl.
func TestSocketOfRoot(t *testing.T) {
	const socket = "/run/caddy/admin.sock"
	says := func(res link.Result, err error) *webtest.Link {
		return &webtest.Link{Name: "cloud", Shut: map[string]string{"unix " + socket: "open failed"},
			Do: func(_ context.Context, cmd link.Command) (link.Result, error) {
				line := strings.Join(cmd.Args, " ")
				if !cmd.IfRoot || !strings.Contains(line, "--unix-socket "+socket) || !strings.HasSuffix(line, "-- http://localhost/config/") {
					t.Errorf("%+v", cmd)
				}
				return res, err
			}}
	}
	for name, tt := range map[string]struct {
		res  link.Result
		err  error
		want error
		body string
	}{
		"it answers":  {res: link.Result{Stdout: []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")}, body: "{}"},
		"refused":     {res: link.Result{Status: 7, Stderr: []byte("curl: (7) Couldn't connect to server")}, want: web.ErrNone},
		"not root":    {res: link.Result{Status: 7, Stderr: []byte("curl: (7) Permission denied")}, want: web.ErrClosed},
		"late":        {res: link.Result{Status: 28}, want: web.ErrLate},
		"too large":   {err: link.ErrTooMuch, want: web.ErrTooLarge},
		"no curl":     {res: link.Result{Status: 127}, want: web.ErrClosed},
		"not allowed": {res: link.Result{Stdout: []byte("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")}, want: web.ErrProtected},
	} {
		t.Run(name, func(t *testing.T) {
			c := web.New(says(tt.res, tt.err), web.Unix(socket), web.Limits{})
			defer c.Close()
			a, err := c.Get(t.Context(), "/config/", nil)
			if !errors.Is(err, tt.want) || string(a.Body) != tt.body {
				t.Errorf("%q, %v", a.Body, err)
			}
		})
	}
}
