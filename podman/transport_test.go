package podman

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet/link"
)

// TestNothingIsTriedThreeTimes: the bindings would, and sleep in between.
func TestNothingIsTriedThreeTimes(t *testing.T) {
	broken := errors.New("broken pipe")
	dials := 0
	c, s := net.Pipe()
	s.Close()
	w := newWire(c, func(context.Context, bool) (net.Conn, error) { dials++; return nil, broken }, 1, time.Second)
	p := newPodmanAPI(w, rootSocket)
	_, err := p.get(t.Context(), "/containers/json", nil) // over the first connection, which is closed
	if err == nil {
		t.Error("a closed connection answers")
	}
	if _, err = p.get(t.Context(), "/containers/json", nil); !errors.Is(err, broken) {
		t.Error("the reason is lost:", err)
	}
	if dials > 2 {
		t.Errorf("dialled %d times", dials)
	}
	w.close()
}

func TestLimited(t *testing.T) {
	for name, c := range map[string]struct {
		body    string
		left    int
		perLine bool
		ok      bool
	}{
		"short":             {"abc", 3, false, true},
		"long":              {"abcd", 3, false, false},
		"short lines":       {strings.Repeat("abc\n", 100), maxLine, true, true},
		"one line too long": {strings.Repeat("x", maxLine+1), maxLine, true, false},
	} {
		_, err := io.ReadAll(&limited{ReadCloser: io.NopCloser(strings.NewReader(c.body)), left: c.left, perLine: c.perLine})
		if ok := err == nil; ok != c.ok || !ok && !errors.Is(err, link.ErrTooMuch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVersionOfServer(t *testing.T) {
	w := &wire{}
	for header, want := range map[string]string{
		"Libpod/5.4.2 (linux)": "5.4.2", "Docker/20.10.24+dfsg1 (linux)": "20.10.24+dfsg1", "nginx": "", "x/\x1b[31m1 y": "1",
	} {
		if w.server.Store(&header); w.version() != want {
			t.Errorf("%q: %q", header, w.version())
		}
	}
}

var _ http.RoundTripper = (*wire)(nil)
