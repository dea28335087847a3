package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// TestRemoteCommandIsLikeOurs: input goes to the command while its outputs come, all
// of both, and its exit code is ours.
func TestRemoteCommandIsLikeOurs(t *testing.T) {
	d := &link.Dialer{SSHDir: t.TempDir()}
	t.Cleanup(d.Close)
	l := d.Open(fleet.Host{ID: "here", Name: "here", Local: true})
	in, typed := io.Pipe()
	said, errs := io.Pipe()
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	context.AfterFunc(ctx, func() { said.CloseWithError(context.Cause(ctx)) })
	done := make(chan error, 1)
	go func() {
		done <- runRemote(ctx, l, link.Command{Args: []string{"sh", "-c", `echo name? >&2; read n; echo "hello $n"; head -c 200000 /dev/zero | tr '\0' x >&2; exit 7`}, Stdin: in, Stderr: errs}, &out)
		errs.Close()
	}()
	r := bufio.NewReader(said)
	if line, err := r.ReadString('\n'); line != "name?\n" { // only then is anything typed
		t.Fatalf("%q, %v", line, err)
	}
	go func() { _, _ = io.WriteString(typed, "ada\n") }()
	rest, err := io.ReadAll(r)
	if err != nil || string(rest) != strings.Repeat("x", 200_000) {
		t.Errorf("%d bytes of error output: %v", len(rest), err)
	}
	var exit exitCode
	if err := <-done; !errors.As(err, &exit) || exit != 7 || out.String() != "hello ada\n" {
		t.Errorf("%v, %q", err, out.String())
	}
}

// TestNoShellWhereNothingMayBeChanged: whoever has a shell can change anything.
func TestNoShellWhereNothingMayBeChanged(t *testing.T) {
	a := newApp(options{readOnly: true}, &discover.Config{})
	defer a.close()
	for _, args := range [][]string{nil, {"true"}} {
		if err := a.ssh(t.Context(), fleet.Host{ID: "here", Name: "here", Local: true}, args); err == nil || !strings.Contains(err.Error(), "--read-only") {
			t.Errorf("ssh %v: %v", args, err)
		}
	}
}
