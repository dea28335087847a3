package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
)

// written is an output that a test reads while a command writes to it.
type written struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *written) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// TestSocketOfTheDemo: what `sextant socket` hands on is the host's engine, and
// nothing of it is left.
func TestSocketOfTheDemo(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	withContainers(t, []string{"storage"}, func(a *app, states []fleet.State) {
		a.opts.json = true
		var out, errs written
		ctx, end := context.WithCancel(t.Context())
		cmd := &cobra.Command{}
		cmd.SetOut(&out)
		cmd.SetErr(&errs)
		cmd.SetContext(ctx)
		done := make(chan error, 1)
		go func() { done <- a.serveSocket(cmd, states[0], "", "") }()
		var open struct{ Host, User, Engine, Path, URL string }
		for limit := time.Now().Add(10 * time.Second); open.Path == "" && time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
			_ = json.Unmarshal([]byte(out.String()), &open)
		}
		if want := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "sextant/storage/podman.sock"); open.Path != want || open.URL != "unix://"+want || open.User != "root" || open.Engine != "podman 5.8.2" {
			t.Fatalf("%+v %s", open, errs.String())
		}
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", open.Path)
		}}}
		resp, err := c.Get("http://d/v5.0.0/libpod/containers/json?all=true")
		if err != nil {
			t.Fatal(err)
		}
		var list []struct{ Names []string }
		err = json.NewDecoder(resp.Body).Decode(&list)
		resp.Body.Close()
		if err != nil || len(list) != len(states[0].Containers.Value) || len(list) == 0 {
			t.Errorf("%d containers, want %d: %v", len(list), len(states[0].Containers.Value), err)
		}
		if err := a.serveSocket(cmd, states[0], "", ""); err == nil || !strings.Contains(fleet.InFull(err), fmt.Sprintf("in use by another sextant, process %d", os.Getpid())) {
			t.Errorf("a second one: %v", err)
		}
		end()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(filepath.Dir(open.Path)); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		a.opts.readOnly = true
		cmd.SetContext(t.Context())
		if err := a.serveSocket(cmd, states[0], "", ""); err == nil || !strings.Contains(err.Error(), "--read-only") {
			t.Errorf("with --read-only: %v", err)
		}
	})
}

// TestStaleSocketIsReplaced: one of a process that died, with its lock.
func TestStaleSocketIsReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "podman.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if err := os.WriteFile(path+".lock", []byte("123456\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := listenAt(dir, "podman.sock")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if c, err := s.Accept(); err == nil {
			io.WriteString(c, "new")
			c.Close()
		}
	}()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, _ := io.ReadAll(c); string(b) != "new" {
		t.Errorf("%q", b)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	s.Remove()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := listenAt(filepath.Join(dir, strings.Repeat("x", 100)), "s"); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Error(err)
	}
}

// TestSocketDir: the folder is only ours, also where there is no XDG_RUNTIME_DIR,
// and one that somebody else put there is not taken.
func TestSocketDir(t *testing.T) {
	run, tmp := t.TempDir(), t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", run)
	t.Setenv("TMPDIR", tmp)
	dir, note, err := socketDir("../a b")
	if err != nil || note != "" || dir != filepath.Join(run, "sextant/.._a_b") {
		t.Errorf("%s %q %v", dir, note, err)
	}
	for _, name := range []string{"..", ".", "", "/"} {
		if f := fileName(name); f == "" || f == "." || f == ".." || strings.Contains(f, "/") {
			t.Errorf("%q is called %q", name, f)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if dir, _, err = socketDir("../a b"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	t.Setenv("XDG_RUNTIME_DIR", "")
	mine := filepath.Join(tmp, fmt.Sprintf("sextant-%d", os.Getuid()))
	dir, note, err = socketDir("storage")
	if err != nil || dir != filepath.Join(mine, "storage") || note != "XDG_RUNTIME_DIR is not set: the socket is in "+mine {
		t.Errorf("%s %q %v", dir, note, err)
	}
	if err := os.RemoveAll(mine); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(run, mine); err != nil {
		t.Fatal(err)
	}
	if _, _, err := socketDir("storage"); err == nil || !strings.Contains(err.Error(), "not a folder of yours") {
		t.Errorf("a link of somebody's is taken: %v", err)
	}
}
