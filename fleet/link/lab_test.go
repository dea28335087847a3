//go:build lab

package link_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// TestEveryHostIsReached runs a command as the login user and as root on each.
func TestEveryHostIsReached(t *testing.T) {
	lab := labtest.Load(t)
	d := lab.Dialer(t, labtest.Answers{fleet.AskSudo: labtest.SudoPassword})
	d.Find = func(name string) (fleet.Host, bool) {
		for _, h := range lab.Hosts {
			if h.Name == name {
				return h.Fleet(), true
			}
		}
		return fleet.Host{}, false
	}
	for _, h := range lab.Hosts {
		t.Run(h.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			l := d.Open(h.Fleet())
			res, err := l.Run(ctx, link.Command{Args: []string{"sh", "-c", "id -un; hostname; cat"}, Stdin: strings.NewReader("in it's"), Root: true})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(res.Stdout), "root\n"+h.Name+"\nin it's"; got != want {
				t.Errorf("as root: %q (%s), want %q", got, res.Stderr, want)
			}
			res, err = l.Run(ctx, link.Command{Args: []string{"id", "-un"}})
			if err != nil || strings.TrimSpace(string(res.Stdout)) != h.User {
				t.Errorf("as the login user: %q, %v; want %q", res.Stdout, err, h.User)
			}
			reach, err := l.Connect(ctx)
			if err != nil || reach.State != fleet.Up || reach.Root == "" {
				t.Errorf("reach: %+v, %v", reach, err)
			}
		})
	}
}

// TestOtherWaysToRoot: doas and run0 make root of users whose login shell is fish.
func TestOtherWaysToRoot(t *testing.T) {
	lab := labtest.Load(t)
	for user, way := range map[string]string{"dana": "doas", "rui": "run0"} {
		t.Run(way, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			h := lab.Named(t, "laptop").Fleet()
			h.User = user
			l := lab.Dialer(t, nil).Open(h)
			args := []string{"sh", "-c", `id -u; printf '%s\n' "$@"; cat`, "sh", "it's", `$HOME \ "quoted"`, ""}
			want := "it's\n$HOME \\ \"quoted\"\n\nin"
			for root, id := range map[bool]string{true: "0\n", false: ""} {
				res, err := l.Run(ctx, link.Command{Args: args, Stdin: strings.NewReader("in"), Root: root})
				if err != nil || !strings.HasSuffix(string(res.Stdout), want) || !strings.HasPrefix(string(res.Stdout), id) {
					t.Errorf("root %v: %q (%s), %v", root, res.Stdout, res.Stderr, err)
				}
			}
			if reach, err := l.Connect(ctx); err != nil || reach.Root != way {
				t.Errorf("reach: %+v, %v", reach, err)
			}
		})
	}
}

func TestSudoPasswordIsRefused(t *testing.T) {
	lab := labtest.Load(t)
	for name, asker := range map[string]link.Asker{
		"nobody": nil, "refused": labtest.Answers{}, "wrong": labtest.Answers{fleet.AskSudo: "wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			l := lab.Dialer(t, asker).Open(lab.Named(t, "laptop").Fleet())
			if _, err := l.Run(ctx, link.Command{Args: []string{"true"}, Root: true}); !errors.Is(err, link.ErrNoRoot) {
				t.Errorf("got %v, want ErrNoRoot", err)
			} else {
				t.Log(err)
			}
			res, err := l.Run(ctx, link.Command{Args: []string{"id", "-u"}, IfRoot: true})
			if err != nil || strings.TrimSpace(string(res.Stdout)) == "0" {
				t.Errorf("IfRoot: %q, %v", res.Stdout, err)
			}
		})
	}
}

func TestDialCommandCarriesBytes(t *testing.T) {
	lab := labtest.Load(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := lab.Link(t, "desktop").DialCommand(ctx, link.Command{Args: []string{"cat"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "ping\n"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != "ping\n" {
		t.Fatalf("%q, %v", b, err)
	}
}
