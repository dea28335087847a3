//go:build lab

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// pulled is the image that the tests push and pull; the registry is the host's own.
const pulled = "localhost:5000/lab/pulled:1"

// stand is a host of the lab with a registry, and a container of an image from it.
type stand struct {
	testing.TB
	l    link.Link
	host string
	base string // the image that others are made of
	user string // whose container; "": root's
}

// as runs a program of the shell as who has the container.
func (s stand) as(script string) string {
	s.Helper()
	cmd := link.Command{Args: []string{"sh", "-c", "cd / && export PODMAN_IGNORE_CGROUPSV1_WARNING=1 && " + script}, Root: true}
	if s.user != "" {
		cmd = link.Command{Args: []string{"sh", "-c", "cd && export XDG_RUNTIME_DIR=/run/user/$(id -u) DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$(id -u)/bus PODMAN_IGNORE_CGROUPSV1_WARNING=1 && " + script}, User: s.user,
			Env: []string{"HOME=/home/" + s.user}}
	}
	res, err := s.l.Run(s.Context(), cmd)
	if err != nil || res.Status != 0 {
		s.Fatalf("%s on %s: %v, status %d: %s", script, s.host, err, res.Status, res.Stderr)
	}
	return strings.TrimSpace(string(res.Stdout))
}

// registry starts the host's registry, and ends it with the test.
func (s stand) registry() {
	s.Helper()
	labtest.Output(s, s.l, "sh", "-c", `systemctl stop lab-registry 2>/dev/null
		rm -rf /var/lib/lab/registry && mkdir -p /var/lib/lab/registry /etc/containers/registries.conf.d
		printf '[[registry]]\nlocation = "localhost:5000"\ninsecure = true\n' >/etc/containers/registries.conf.d/lab.conf
		printf 'version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /var/lib/lab/registry\nhttp:\n  addr: 127.0.0.1:5000\n' >/run/lab-registry.yml
		systemd-run -q --collect --unit=lab-registry env OTEL_TRACES_EXPORTER=none /opt/lab/bin/registry serve /run/lab-registry.yml
		systemctl stop podman.service 2>/dev/null # one that serves a test before has read its configuration
		for i in 1 2 3 4 5 6 7 8 9 10; do curl -fs http://127.0.0.1:5000/v2/ >/dev/null && exit; sleep 0.5; done; exit 1`)
	if s.user != "" {
		s.as("systemctl --user stop podman.service 2>/dev/null; true")
	}
	s.Cleanup(func() {
		// the test's context has ended
		ctx, cancel := contextFor(30 * time.Second)
		defer cancel()
		_, _ = s.l.Run(ctx, link.Command{Root: true, Args: []string{"sh", "-c", "systemctl stop lab-registry; umount /var/tmp 2>/dev/null; rm -rf /var/lib/lab/registry /run/lab-registry.yml /etc/containers/registries.conf.d/lab.conf"}})
	})
}

// push makes a version of the image and pushes it; it is not left on the host.
func (s stand) push(version int) {
	s.Helper()
	s.as(fmt.Sprintf(`d=$(mktemp -d) && head -c 3000000 /dev/urandom >$d/noise && printf 'FROM %s\nCOPY noise /noise\nLABEL v=%d\n' >$d/Containerfile &&
		podman build -q -t localhost/next:%d $d && podman push -q --tls-verify=false localhost/next:%d docker://%s && podman rmi -f localhost/next:%d; rm -rf $d`, s.base, version, version, version, pulled, version))
}

// unit writes the unit that runs the container, with more options for podman run, and starts it.
func (s stand) unit(options string) {
	s.Helper()
	ctl, dir := "systemctl", "/run/systemd/system"
	if s.user != "" {
		ctl, dir = "systemctl --user", "$HOME/.config/systemd/user"
	}
	s.as("podman rm -f -t 0 pulled >/dev/null 2>&1; mkdir -p " + dir + " && cat >" + dir + "/podman-pulled.service <<'U'\n" + `[Unit]
Description=The container of the tests of images
[Service]
Type=notify
NotifyAccess=all
Environment=PODMAN_SYSTEMD_UNIT=%n PODMAN_IGNORE_CGROUPSV1_WARNING=1
ExecStart=/usr/bin/podman run --name=pulled --cgroups=no-conmon --sdnotify=conmon -d --replace --rm --network none ` + options + " " + pulled + `
ExecStop=/usr/bin/podman stop -t 0 --ignore pulled
ExecStopPost=-/usr/bin/podman rm -f -t 0 --ignore pulled
TimeoutStopSec=20
` + "U\n" + ctl + " daemon-reload && " + ctl + " restart podman-pulled.service")
	s.Cleanup(func() {
		ctx, cancel := contextFor(60 * time.Second)
		defer cancel()
		script := ctl + " stop podman-pulled.service; rm -f " + dir + "/podman-pulled.service; " + ctl + " daemon-reload; " + ctl + ` reset-failed podman-pulled.service 2>/dev/null; podman rm -f -t 0 pulled
			for i in $(podman images --format '{{.Repository}}:{{.Tag}}' | grep -e '^localhost:5000/' -e '^localhost/sextant-kept/'); do podman untag $i; done; podman image prune -f`
		cmd := link.Command{Args: []string{"sh", "-c", "cd / && " + script}, Root: true}
		if s.user != "" {
			cmd = link.Command{Args: []string{"sh", "-c", "cd && export XDG_RUNTIME_DIR=/run/user/$(id -u) && " + script}, User: s.user, Env: []string{"HOME=/home/" + s.user}}
		}
		_, _ = s.l.Run(ctx, cmd)
	})
}

// version is that of the image that the container runs, by the engine itself.
func (s stand) version() string {
	s.Helper()
	return s.as(`podman inspect -f '{{.State.Status}} {{index .Config.Labels "v"}}' pulled`)
}

// newer is what the product tells of the image: whether the registry has a newer one.
func (s stand) newer() string {
	s.Helper()
	out, errs, code := sextant(s, "images", s.host, "--newer", "--json")
	for _, i := range decode[struct {
		Images []struct {
			Name     string
			Newer    *bool
			UsedBy   []string
			Registry struct{ Error, Source string }
		}
	}](s, out).Images {
		if i.Name == pulled && i.Newer != nil && slices.Equal(i.UsedBy, []string{"pulled"}) {
			return fmt.Sprint(*i.Newer)
		}
		if i.Name == pulled {
			return fmt.Sprintf("%+v", i)
		}
	}
	s.Fatalf("%d: it is not in %s %s", code, out, errs)
	return ""
}

// do has the product do something, and gives what it said and its exit code.
func (s stand) do(args ...string) (done, int) {
	s.Helper()
	args = append(args, "--yes", "--json")
	if s.user != "" {
		args = append(args, "--user", s.user)
	}
	out, errs, code := sextant(s, args...)
	if out == "" {
		s.Fatalf("%v: %d: %s", args, code, errs)
	}
	d := decode[done](s, out)
	s.Logf("%v: %d %s%s\n%s", args, code, d.Done, d.Error, errs)
	return d, code
}

// TestImages: a newer image is seen after it was pushed, pulled, and run after the
// unit's restart; going back and forth is by what lies on the host, from any client;
// what is kept is not pruned.
func TestImages(t *testing.T) {
	lab := labtest.Load(t)
	for _, c := range []stand{
		{host: "storage", base: "docker.io/library/lab-busybox:1.0"},
		{host: "router", base: "docker.io/spx01/blocky:v0.26"},
		{host: "desktop", base: "docker.io/library/notes:2.1", user: "ada"},
	} {
		t.Run(c.host, func(t *testing.T) {
			s := c
			s.TB, s.l = t, lab.Link(t, c.host)
			s.registry()
			s.push(1)
			s.as("podman pull -q " + pulled)
			s.unit("")
			if got := s.newer(); got != "false" {
				t.Fatalf("newer: %s", got)
			}
			if d, code := s.do("image", "revert", s.host, "pulled"); code != 10 || !strings.Contains(d.Error, "no image that ran") {
				t.Errorf("%d: %+v", code, d)
			}
			s.push(2)
			if got := s.newer(); got != "true" {
				t.Fatalf("newer: %s", got)
			}
			if d, code := s.do("image", "pull", s.host, "pulled"); code != 0 || s.version() != "running 2" || !strings.Contains(d.Done, "pulled runs ") {
				t.Fatalf("%d: %+v, it is %s", code, d, s.version())
			}
			if got := s.newer(); got != "false" {
				t.Errorf("newer: %s", got)
			}
			if d, code := s.do("container", "update", s.host, "pulled"); code != 0 || !strings.Contains(d.Done, "nothing was restarted") {
				t.Errorf("%d: %+v", code, d)
			}
			s.as("podman image prune -f") // the host's own timer does not take it away
			if d, code := s.do("image", "revert", s.host, "pulled"); code != 0 || s.version() != "running 1" {
				t.Errorf("%d: %+v, it is %s", code, d, s.version())
			}
			if d, code := s.do("container", "revert", s.host, "pulled"); code != 0 || s.version() != "running 2" {
				t.Errorf("%d: %+v, it is %s", code, d, s.version())
			}
			s.failing()
		})
	}
}

// failing are pulls that fail, on a stand that runs version 2: what runs goes on, and
// it is said what is wrong.
func (s stand) failing() {
	s.Helper()
	s.push(3)
	labtest.Output(s, s.l, "mount", "-t", "tmpfs", "-o", "size=1m,mode=1777", "tmpfs", "/var/tmp")
	d, code := s.do("image", "pull", s.host, "pulled")
	labtest.Output(s, s.l, "umount", "/var/tmp")
	if code != 1 || !strings.Contains(d.Error, "no space left") || !strings.Contains(d.Error, "sextant image prune "+s.host) || s.version() != "running 2" {
		s.Errorf("with a full disk: %d: %+v, it is %s", code, d, s.version())
	}
	labtest.Output(s, s.l, "systemctl", "stop", "lab-registry")
	if d, code := s.do("image", "pull", s.host, "pulled"); code != 1 || !strings.Contains(d.Error, "pull of "+pulled+" on "+s.host) || s.version() != "running 2" {
		s.Errorf("without its registry: %d: %+v, it is %s", code, d, s.version())
	}
	if got := s.newer(); !strings.Contains(got, "Error:") || strings.Contains(got, "Error: ") {
		s.Errorf("newer without its registry: %s", got)
	}
}

// TestPrune removes what nothing uses, and not what can be gone back to.
func TestPrune(t *testing.T) {
	s := stand{TB: t, l: labtest.Load(t).Link(t, "storage"), host: "storage", base: "docker.io/library/lab-busybox:1.0"}
	s.registry()
	s.push(1)
	s.as("podman pull -q " + pulled)
	s.unit("")
	s.push(2)
	if _, code := s.do("image", "pull", "storage", "pulled"); code != 0 {
		t.Fatal(code)
	}
	s.as(`printf 'FROM scratch\nLABEL v=lost\n' | podman build -q -t localhost/lost:1 - && podman untag localhost/lost:1`)
	lost := func() string { return s.as(`podman images -q --filter dangling=true --filter label=v=lost`) }
	if lost() == "" {
		t.Fatal("there is nothing to prune")
	}
	if d, code := s.do("image", "prune", "storage"); code != 0 || lost() != "" || !strings.Contains(d.Done, " removed, which frees") {
		t.Errorf("%d: %+v, left %q", code, d, lost())
	}
	if d, code := s.do("image", "revert", "storage", "pulled"); code != 0 || s.version() != "running 1" {
		t.Errorf("%d: %+v, it is %s", code, d, s.version())
	}
	if out := s.as("podman images --format '{{.Repository}}'"); !strings.Contains(out, "jellyfin") {
		t.Errorf("more was removed: %s", out)
	}
}

// TestStartThatPulls: what its unit would undo is not gone back to.
func TestStartThatPulls(t *testing.T) {
	s := stand{TB: t, l: labtest.Load(t).Link(t, "storage"), host: "storage", base: "docker.io/library/lab-busybox:1.0"}
	s.registry()
	s.push(1)
	s.unit("--pull=always --tls-verify=false")
	s.push(2)
	if d, code := s.do("image", "pull", "storage", "pulled"); code != 0 || s.version() != "running 2" {
		t.Fatalf("%d: %+v", code, d)
	}
	if d, code := s.do("image", "revert", "storage", "pulled"); code != 10 || !strings.Contains(d.Error, "pull=always") || s.version() != "running 2" {
		t.Errorf("%d: %+v, it is %s", code, d, s.version())
	}
}

// TestAutoUpdate: what podman auto-update would do, and does, and how to go back.
func TestAutoUpdate(t *testing.T) {
	s := stand{TB: t, l: labtest.Load(t).Link(t, "storage"), host: "storage", base: "docker.io/library/lab-busybox:1.0"}
	s.registry()
	s.push(1)
	s.as("podman pull -q " + pulled)
	s.unit("--label io.containers.autoupdate=registry")
	pending := func() string {
		out, errs, code := sextant(t, "image", "auto-update", "storage", "--dry-run", "--json")
		for _, u := range decode[struct {
			Updates []struct{ Container, Updated string }
		}](t, out).Updates {
			if u.Container == "pulled" {
				return u.Updated
			}
		}
		return fmt.Sprint(code, out, errs)
	}
	if got := pending(); got != "false" {
		t.Fatal(got)
	}
	s.push(2)
	if got := pending(); got != "pending" {
		t.Fatal(got)
	}
	if d, code := s.do("image", "auto-update", "storage"); code != 0 || s.version() != "running 2" {
		t.Fatalf("%d: %+v, it is %s", code, d, s.version())
	}
	if d, code := s.do("image", "revert", "storage", "pulled"); code != 0 || s.version() != "running 1" {
		t.Errorf("%d: %+v, it is %s", code, d, s.version())
	}
}

// contextFor is a context for what is put back after a test, whose own has ended.
func contextFor(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}
