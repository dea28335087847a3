//go:build lab

package podman_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/test/labtest"
)

// TestLabCopy: byte for byte in and out, also of a container that does not run, and
// nothing beside it.
func TestLabCopy(t *testing.T) {
	type try struct{ host, user, container, mv string }
	tries := []try{{"storage", "", "finished", ""}}
	for _, w := range where {
		tries = append(tries, try{w.host, w.user, w.container, ""}, try{w.host, w.user, w.container, "mv"})
	}
	onHosts(t, tries, func(c try) string { return c.host }, func(t *testing.T, c try) {
		a := open(t, labtest.Load(t).Link(t, c.host))
		if c.mv != "" { // the lab's images have none
			if _, _, errs, err := sh(t.Context(), a, c.container, c.user, "", "/bin/busybox ln -sf busybox /bin/mv && /bin/busybox ln -sf busybox /bin/rm"); err != nil || errs != "" {
				t.Fatal(errs, err)
			}
			defer sh(context.WithoutCancel(t.Context()), a, c.container, c.user, "", "/bin/busybox rm /bin/mv /bin/rm")
		}
		dir := t.TempDir()
		want := make([]byte, 5<<20+123)
		_, _ = rand.Read(want)
		local := filepath.Join(dir, "in")
		if err := os.WriteFile(local, want, 0o640); err != nil {
			t.Fatal(err)
		}
		name := "/sextant copied " + time.Now().Format("150405.000")
		done, err := a.engines.CopyIn(t.Context(), c.container, c.user, local, name, false, nil)
		if err != nil || done.Bytes != int64(len(want)) {
			t.Fatalf("%+v %v", done, err)
		}
		if running := c.container != "finished"; done.Direct != (c.mv == "") || !running && c.mv != "" {
			t.Errorf("%+v: written aside where there is mv", done)
		}
		if _, err := a.engines.CopyIn(t.Context(), c.container, c.user, local, name, false, nil); err == nil || !strings.Contains(err.Error(), "is there") {
			t.Errorf("overwritten: %v", err)
		}
		done, err = a.engines.CopyOut(t.Context(), c.container, c.user, name, filepath.Join(dir, "out"), false, nil)
		got, rerr := os.ReadFile(filepath.Join(dir, "out"))
		if err != nil || rerr != nil || !bytes.Equal(got, want) {
			t.Errorf("%+v %v %v: %d bytes", done, err, rerr, len(got))
		}
		if info, err := os.Stat(filepath.Join(dir, "out")); err != nil || info.Mode() != 0o640 {
			t.Errorf("%v %v", info.Mode(), err)
		}
		done, err = a.engines.CopyOut(t.Context(), c.container, c.user, "/bin", dir, false, nil)
		if err != nil || done.Files == 0 {
			t.Errorf("a folder: %+v %v", done, err)
		}
		if _, err := a.engines.CopyOut(t.Context(), c.container, c.user, "/not/there", dir, false, nil); err == nil || !strings.Contains(err.Error(), "no such file or folder") {
			t.Errorf("%v", err)
		}
		if c.container != "finished" {
			if _, out, _, err := sh(t.Context(), a, c.container, c.user, "", `for f in /* /.[!.]*; do case $f in *sextant*) echo "$f"; esac; done; busybox rm -f /sextant* || rm -f /sextant*`); err != nil || out != name+"\n" {
				t.Errorf("there is %q: %v", out, err)
			}
		}
	})
}
