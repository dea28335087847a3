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
	t.Parallel()
	type try struct{ host, user, container, mv string }
	tries := map[string][]try{"storage": {{"storage", "", "finished", ""}}}
	for _, w := range where {
		tries[w.host] = append(tries[w.host], try{w.host, w.user, w.container, ""}, try{w.host, w.user, w.container, "mv"})
	}
	lab := labtest.Load(t)
	for host, all := range tries {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			lab.Look(t, host)
			for _, c := range all {
				t.Run(c.user+c.container+c.mv, func(t *testing.T) { copies(t, lab, c.host, c.user, c.container, c.mv != "") })
			}
		})
	}
}

// copies into a container and out of it, where it has mv or has not.
func copies(t *testing.T, lab labtest.Lab, host, user, container string, mv bool) {
	a := open(t, lab.Link(t, host))
	if mv { // the lab's images have none
		if _, _, errs, err := sh(t.Context(), a, container, user, "", "/bin/busybox ln -sf busybox /bin/mv && /bin/busybox ln -sf busybox /bin/rm"); err != nil || errs != "" {
			t.Fatal(errs, err)
		}
		defer sh(context.WithoutCancel(t.Context()), a, container, user, "", "/bin/busybox rm /bin/mv /bin/rm")
	}
	dir := t.TempDir()
	want := make([]byte, 5<<20+123)
	_, _ = rand.Read(want)
	local := filepath.Join(dir, "in")
	if err := os.WriteFile(local, want, 0o640); err != nil {
		t.Fatal(err)
	}
	name := "/sextant copied " + time.Now().Format("150405.000")
	done, err := a.engines.CopyIn(t.Context(), container, user, local, name, false, nil)
	if err != nil || done.Bytes != int64(len(want)) {
		t.Fatalf("%+v %v", done, err)
	}
	if running := container != "finished"; done.Direct == mv || !running && mv {
		t.Errorf("%+v: written aside where there is mv", done)
	}
	if _, err := a.engines.CopyIn(t.Context(), container, user, local, name, false, nil); err == nil || !strings.Contains(err.Error(), "is there") {
		t.Errorf("overwritten: %v", err)
	}
	done, err = a.engines.CopyOut(t.Context(), container, user, name, filepath.Join(dir, "out"), false, nil)
	got, rerr := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil || rerr != nil || !bytes.Equal(got, want) {
		t.Errorf("%+v %v %v: %d bytes", done, err, rerr, len(got))
	}
	if info, err := os.Stat(filepath.Join(dir, "out")); err != nil || info.Mode() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	done, err = a.engines.CopyOut(t.Context(), container, user, "/bin", dir, false, nil)
	if err != nil || done.Files == 0 {
		t.Errorf("a folder: %+v %v", done, err)
	}
	if _, err := a.engines.CopyOut(t.Context(), container, user, "/not/there", dir, false, nil); err == nil || !strings.Contains(err.Error(), "no such file or folder") {
		t.Errorf("%v", err)
	}
	if container != "finished" {
		if _, out, _, err := sh(t.Context(), a, container, user, "", `for f in /* /.[!.]*; do case $f in *sextant*) echo "$f"; esac; done; busybox rm -f /sextant* || rm -f /sextant*`); err != nil || out != name+"\n" {
			t.Errorf("there is %q: %v", out, err)
		}
	}
}
