//go:build lab

package e2e

import (
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// done is what acting on a container or a unit says with --json.
type done struct{ Host, Done, Error string }

// TestActOnContainers acts on containers of each kind, and asks the host what
// became of it: where a unit owns one, it is the unit that was restarted.
func TestActOnContainers(t *testing.T) {
	lab := labtest.Load(t)
	for _, c := range []struct {
		host, name string
		look       link.Command // tells something that is another after a restart
	}{
		{"storage", "authelia", link.Command{Args: []string{"systemctl", "show", "-p", "InvocationID", "podman-authelia.service"}}},
		{"router", "blocky", link.Command{Args: []string{"systemctl", "show", "-p", "InvocationID", "podman-blocky.service"}}},
		{"desktop", "notes", link.Command{Args: []string{"sh", "-c", "XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user show -p InvocationID notes.service"}, User: "ada"}},
		{"storage", "handmade", link.Command{Args: []string{"podman", "inspect", "-f", "{{.State.StartedAt}}", "handmade"}, Root: true}},
		{"media", "plex", link.Command{Args: []string{"docker", "inspect", "-f", "{{.State.StartedAt}}", "plex"}, Root: true}},
	} {
		t.Run(c.host+"/"+c.name, func(t *testing.T) {
			l := lab.Link(t, c.host)
			look := func() string {
				t.Helper()
				res, err := l.Run(t.Context(), c.look)
				if err != nil || res.Status != 0 {
					t.Fatalf("%v: %s", err, res.Stderr)
				}
				return strings.TrimSpace(string(res.Stdout))
			}
			before := look()
			out, errs, code := sextant(t, "container", "restart", c.host, c.name, "--yes", "--json")
			if got := decode[done](t, out); code != 0 || got.Error != "" || got.Done == "" {
				t.Fatalf("%d: %s %s", code, out, errs)
			}
			if after := look(); after == before || after == "" {
				t.Errorf("it was %s, and is %s: not restarted", before, after)
			}
		})
	}
}

// TestActOnABareContainer stops and starts a container that no unit owns, and
// refuses what cannot be done, with nothing changed.
func TestActOnABareContainer(t *testing.T) {
	l := labtest.Load(t).Link(t, "storage")
	state := func() string {
		t.Helper()
		return strings.TrimSpace(labtest.Output(t, l, "podman", "inspect", "-f", "{{.State.Status}}", "handmade"))
	}
	for _, c := range []struct {
		verb, want string
		code       int
	}{{"remove", "running", 10}, {"stop", "exited", 0}, {"kill", "exited", 10}, {"start", "running", 0}, {"pause", "paused", 0}, {"unpause", "running", 0}} {
		out, errs, code := sextant(t, "container", c.verb, "storage", "handmade", "--yes")
		if got := state(); code != c.code || got != c.want {
			t.Errorf("%s: %d, it is %s, want %s: %s%s", c.verb, code, got, c.want, out, errs)
		}
	}
	if out, errs, code := sextant(t, "container", "stop", "storage", "handmade", "--yes", "--read-only"); code != 10 || state() != "running" {
		t.Errorf("read-only: %d: %s%s", code, out, errs)
	}
	if out, errs, code := sextant(t, "container", "stop", "storage", "handmade"); code != 10 || state() != "running" {
		t.Errorf("nobody agreed: %d: %s%s", code, out, errs)
	}
}

// TestActOnUnits: what systemctl says of a unit is said, and patterns are none.
func TestActOnUnits(t *testing.T) {
	l := labtest.Load(t).Link(t, "cloud")
	id := func() string {
		return labtest.Output(t, l, "systemctl", "show", "-p", "InvocationID", "lab-web.service")
	}
	before := id()
	here := t.TempDir()
	out, errs, code := sextantIn(t, here, "unit", "restart", "cloud", "lab-web", "--yes", "--json")
	if got := decode[done](t, out); code != 0 || got.Done != "lab-web.service is active (running)" || id() == before {
		t.Errorf("%d: %s %s", code, out, errs)
	}
	for unit, want := range map[string]string{"no-such": "not found", "lab-*.service": "not the name of a unit", "lab-broken": "lab-broken.service"} {
		out, errs, code := sextant(t, "unit", "start", "cloud", unit, "--yes")
		if code != 1 || !strings.Contains(out+errs, want) {
			t.Errorf("%s: %d: %s%s", unit, code, out, errs)
		}
	}
	if out, errs, code := sextant(t, "unit", "reset-failed", "cloud", "lab-broken", "--yes"); code != 0 || !strings.Contains(out, "inactive (dead)") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	_, _, _ = sextant(t, "unit", "start", "cloud", "lab-broken", "--yes") // the lab has it failed
	if out, errs, code := sextantIn(t, here, "history", "cloud", "--here"); code != 0 || !strings.Contains(out, "lab-web.service restarted") {
		t.Errorf("the audit: %d: %s%s", code, out, errs)
	}
}

// TestKillAndRemoveAContainer: of Podman 5 and of 4.3, a container that no unit owns
// is killed, and then removed.
func TestKillAndRemoveAContainer(t *testing.T) {
	lab := labtest.Load(t)
	const name = "e2e-doomed"
	for host, engine := range map[string]string{"storage": "5.", "router": "4.3."} {
		t.Run(host, func(t *testing.T) {
			l := lab.Link(t, host)
			sh := func(script string) string { return strings.TrimSpace(labtest.Output(t, l, "sh", "-c", script)) }
			if v := sh("podman version -f '{{.Client.Version}}'"); !strings.HasPrefix(v, engine) {
				t.Fatalf("it has Podman %s", v)
			}
			sh("podman rm -f -i " + name + " >/dev/null; podman run -d -q --pull never --entrypoint /bin/sleep --name " + name + ` "$(podman images --format '{{.Repository}}:{{.Tag}}' | grep -v none | head -n 1)" 1000`)
			defer sh("podman rm -f -i " + name + "; true")
			if out, errs, code := sextant(t, "container", "kill", host, name, "--yes"); code != 0 {
				t.Errorf("kill: %d: %s%s", code, out, errs)
			}
			// for a moment, while it is being cleaned up, Podman calls it stopped
			if got := sh("s() { podman inspect -f '{{.State.Status}} {{.State.ExitCode}}' " + name + "; }; for i in $(seq 50); do case $(s) in stopped*) sleep 0.2;; *) break;; esac; done; s"); got != "exited 137" {
				t.Errorf("killed it is %s", got)
			}
			if out, errs, code := sextant(t, "container", "remove", host, name, "--yes"); code != 0 {
				t.Errorf("remove: %d: %s%s", code, out, errs)
			}
			if got := sh("podman container exists " + name + "; echo $?"); got != "1" {
				t.Errorf("it is still there: %s", got)
			}
		})
	}
}
