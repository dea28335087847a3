//go:build lab

package podman_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// forwarded hands a local socket on to an engine of a host, and gives its path.
func forwarded(t *testing.T, a *asked, kind, user string) string {
	t.Helper()
	f, err := a.engines.Forward(kind, user)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Serve(ctx, l, func(line string) { t.Log(line) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return path
}

// program runs a program of the lab's trees on this machine.
func program(t *testing.T, stdin string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, labtest.Program(t, name)[0], append(labtest.Program(t, name)[1:], args...)...)
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Logf("%s %q: %v %s", name, args, err, out)
	}
	return string(out), err
}

// TestLabSocket: Podman's and Docker's own programs work on it, with every way to
// an engine that there is: direct, of a user, through sudo with a password, lent by
// a user who has no socket, Docker; input that ends before the output does too.
func TestLabSocket(t *testing.T) {
	type way struct{ host, user, container string }
	onHosts(t, []way{
		{"storage", "", "jellyfin"}, {"router", "", "blocky"}, {"desktop", "ada", "notes"}, {"laptop", "", ""}, {"router", "bea", ""}, {"media", "", "plex"},
	}, func(c way) string { return c.host }, func(t *testing.T, c way) {
		a := open(t, labtest.Load(t).Link(t, c.host))
		socket := "unix://" + forwarded(t, a, "", c.user)
		var want, got []string
		for _, ct := range a.list.Value {
			if (ct.User == c.user || c.user == "" && ct.User == "root") && ct.State != fleet.Absent {
				want = append(want, ct.Name)
			}
		}
		slices.Sort(want)
		podman := func(stdin string, args ...string) (string, error) {
			if c.host == "media" {
				return program(t, stdin, "docker", append([]string{"-H", socket}, args...)...)
			}
			return program(t, stdin, "podman", append([]string{"--url", socket}, args...)...)
		}
		out, err := podman("", "ps", "-a", "--format", "{{.Names}}")
		got = strings.Fields(out)
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("ps tells %q, want %q: %v", got, want, err)
		}
		if c.container == "" {
			return
		}
		out, err = podman("one\ntwo\n", "exec", "-i", c.container, "/bin/sh", "-c", "while read l; do echo got $l; done; echo end")
		if err != nil || strings.TrimSpace(strings.ReplaceAll(out, "\r", "")) != "got one\ngot two\nend" {
			t.Errorf("%v %q", err, out)
		}
		if c.host != "media" { // its own program, on Podman
			if out, err := program(t, "", "docker", "-H", socket, "ps", "--format", "{{.Names}}"); err != nil || !strings.Contains(out, c.container) {
				t.Errorf("docker ps: %v %q", err, out)
			}
		}
	})
}

// cut ends the connection to a host from the other side: the sshd that serves it.
func cut(t *testing.T, l link.Link) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := l.Run(ctx, link.Command{IfRoot: true, Args: []string{"sh", "-c",
		`p=$$; while [ "$p" -gt 1 ]; do read -r c </proc/$p/comm; case $c in sshd*) kill -9 "$p"; exit;; esac; p=$(awk '{print $4}' "/proc/$p/stat"); done; exit 9`}})
	if err == nil {
		t.Fatal("the connection was not cut")
	}
}

// TestLabSocketAfterALoss: the connection to the host ends, and the socket works on.
func TestLabSocketAfterALoss(t *testing.T) {
	a := open(t, labtest.Load(t).Link(t, "storage"))
	path := forwarded(t, a, "", "")
	ask := func() (names []struct{ Names []string }) {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		io.WriteString(c, "GET /v4.0.0/libpod/containers/json HTTP/1.0\r\n\r\n")
		b, _ := io.ReadAll(c)
		_, body, _ := strings.Cut(string(b), "\r\n\r\n")
		if err := json.Unmarshal([]byte(body), &names); err != nil {
			t.Errorf("%v in %q", err, b)
		}
		return names
	}
	before := ask()
	cut(t, a.link)
	if after := ask(); len(after) != len(before) || len(before) == 0 {
		t.Errorf("%d containers, before %d", len(after), len(before))
	}
}
