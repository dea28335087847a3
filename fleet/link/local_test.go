package link_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// here is the link to this machine.
func here(t *testing.T) link.Link {
	d := &link.Dialer{SSHDir: t.TempDir()}
	t.Cleanup(d.Close)
	return d.Open(fleet.Host{ID: "here", Name: "here", Local: true})
}

func TestLocalRun(t *testing.T) {
	l := here(t)
	if reach, err := l.Connect(t.Context()); err != nil || reach.State != fleet.Up || reach.Via != fleet.ViaLocal {
		t.Errorf("%+v, %v", reach, err)
	}
	res, err := l.Run(within(t, 5*time.Second), link.Command{
		Args: []string{"sh", "-c", `cat; echo "$1$A"; echo no >&2; exit 3`, "x", "it's"}, Stdin: strings.NewReader("in "), Env: []string{"A=!"}})
	if err != nil || string(res.Stdout) != "in it's!\n" || string(res.Stderr) != "no\n" || res.Status != 3 {
		t.Errorf("%+v, %v", res, err)
	}
	if res, err := l.Run(within(t, 5*time.Second), link.Command{Args: []string{"nothing-like-this"}}); err != nil || res.Status != 127 {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := l.Run(within(t, 5*time.Second), link.Command{Args: []string{"yes"}, Limit: 1 << 16}); !errors.Is(err, link.ErrTooMuch) {
		t.Errorf("got %v", err)
	}
}

func TestLocalDial(t *testing.T) {
	l := here(t)
	path := filepath.Join(t.TempDir(), "socket")
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": path} {
		server, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := l.Dial(within(t, 5*time.Second), network, server.Addr().String())
		if err != nil {
			t.Error(err)
		} else {
			conn.Close()
		}
		server.Close()
	}
	if _, err := l.Dial(within(t, 5*time.Second), "unix", path); !errors.Is(err, link.ErrForbidden) {
		t.Errorf("no socket: %v", err)
	}
	conn, err := l.DialCommand(within(t, 5*time.Second), link.Command{Args: []string{"cat"}, User: os.Getenv("USER")})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "ping"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != "ping" {
		t.Errorf("%q, %v", b, err)
	}
}

// lives tells whether a process lives; one that waits to be reaped does not.
func lives(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return syscall.Kill(pid, 0) == nil && !os.IsNotExist(err)
	}
	_, rest, _ := bytes.Cut(b, []byte(") "))
	return len(rest) > 0 && rest[0] != 'Z'
}

// TestLocalCancel: the end of the context ends the command and what it
// started, also where it does not want to.
func TestLocalCancel(t *testing.T) {
	for name, script := range map[string]string{
		"willing": `sleep 100 & echo $!; wait`, "unwilling": `trap "" TERM; sleep 100 & echo $!; wait; sleep 100`,
	} {
		t.Run(name, func(t *testing.T) {
			l := here(t)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			p, err := l.Start(ctx, link.Script(script))
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 32)
			n, err := p.Read(b)
			pid, _ := strconv.Atoi(strings.TrimSpace(string(b[:n])))
			if err != nil || pid == 0 {
				t.Fatalf("%q, %v", b[:n], err)
			}
			cancel()
			quickly(t, 4*time.Second, "the end", func() {
				if _, err := p.Wait(); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			})
			eventually(t, "the end of what it started", func() bool { return !lives(pid) })
		})
	}
}

// TestLocalInputStaysOpen: a command that does not want its input ends without it.
func TestLocalInputStaysOpen(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	quickly(t, 4*time.Second, "the command", func() {
		res, err := here(t).Run(within(t, 10*time.Second), link.Command{Args: []string{"echo", "done"}, Stdin: r})
		if err != nil || string(res.Stdout) != "done\n" {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

func TestLocalClose(t *testing.T) {
	l := here(t)
	p, err := l.Start(context.Background(), link.Command{Args: []string{"sleep", "100"}})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	quickly(t, 3*time.Second, "the end", func() { _, _ = p.Wait() })
}

// TestLocalShell runs a program on a terminal of this machine.
func TestLocalShell(t *testing.T) {
	s := newScreen(t)
	end := s.begin(shell(t, here(t), link.Command{Args: []string{"sh", "-c", "echo hello; read line; exit 3"}}))
	s.expect("hello")
	s.press("\n")
	if err := wait(t, end); err != nil {
		t.Error(err)
	}
}

// TestLocalWithoutRoot runs itself again as nobody, who may not become root.
func TestLocalWithoutRoot(t *testing.T) {
	if os.Getenv("SEXTANT_TEST_NOBODY") != "" {
		l := here(t)
		if _, err := l.Run(within(t, 10*time.Second), link.Command{Args: []string{"id", "-u"}, Root: true}); !errors.Is(err, link.ErrNoRoot) {
			t.Errorf("Root: %v", err)
		}
		res, err := l.Run(within(t, 10*time.Second), link.Command{Args: []string{"id", "-u"}, IfRoot: true})
		if err != nil || strings.TrimSpace(string(res.Stdout)) != strconv.Itoa(os.Getuid()) {
			t.Errorf("IfRoot: %+v, %v", res, err)
		}
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root can become nobody")
	}
	dir, err := os.MkdirTemp("", "nobody")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	binary, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "link.test")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(path, binary, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-test.run=^TestLocalWithoutRoot$")
	cmd.Dir, cmd.Env = "/", []string{"SEXTANT_TEST_NOBODY=1", "PATH=" + os.Getenv("PATH"), "TMPDIR=/tmp"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
