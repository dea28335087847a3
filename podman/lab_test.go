//go:build lab

package podman_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/podman"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// asked is a host of the lab with its engines.
type asked struct {
	link    link.Link
	engines *podman.Engines
	state   fleet.State
	list    fleet.Fact[[]fleet.Container]
}

// open reads a host as the watcher does: the engines while it is probed.
func open(t *testing.T, l link.Link) *asked {
	t.Helper()
	a := &asked{link: l, engines: podman.New(l)}
	t.Cleanup(func() { a.engines.Close() })
	a.read(t)
	return a
}

// onHosts does something for each of a list: for those of one host one after the
// other, on the hosts beside each other.
func onHosts[C any](t *testing.T, list []C, host func(C) string, do func(t *testing.T, c C)) {
	var hosts []string
	of := map[string][]C{}
	for _, c := range list {
		h := host(c)
		if of[h] == nil {
			hosts = append(hosts, h)
		}
		of[h] = append(of[h], c)
	}
	for _, h := range hosts {
		t.Run(h, func(t *testing.T) {
			t.Parallel()
			for _, c := range of[h] {
				t.Run(strings.Trim(fmt.Sprint(c), "{ }"), func(t *testing.T) { do(t, c) })
			}
		})
	}
}

func (a *asked) read(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a.list = a.engines.Read(ctx, func(ctx context.Context) (fleet.State, error) {
		f, err := labtest.Probe(t).Read(ctx, a.link)
		if err != nil {
			return fleet.State{}, err
		}
		reach, err := a.link.Connect(ctx)
		a.state = fleet.State{
			Host: a.link.Host(), Reach: fleet.Known(reach, time.Now(), "ssh"), System: f.System, Inventory: f.Inventory, Units: f.Units,
		}
		return a.state, err
	})
	a.list = fleet.Derive(a.list, func(list []fleet.Container) []fleet.Container { return podman.Join(list, a.state.Units) })
}

// named gives a container of the list.
func (a *asked) named(t *testing.T, name string) fleet.Container {
	t.Helper()
	i := slices.IndexFunc(a.list.Value, func(c fleet.Container) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no container %s among %d; %s", name, len(a.list.Value), a.list.Err)
	}
	return a.list.Value[i]
}

// told is a container in the words of `podman ps`.
type told struct{ name, id, state, health, image string }

// podmanPS asks a host's own command.
func podmanPS(t *testing.T, l link.Link, cmd link.Command) []told {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd.Args = []string{"podman", "ps", "-a", "--format", "json"}
	res, err := l.Run(ctx, cmd)
	if err != nil || res.Status != 0 {
		t.Fatalf("podman ps: %v %s", err, res.Stderr)
	}
	var in []struct {
		ID                   string `json:"Id"`
		State, Status, Image string
		Names                []string
	}
	if err := json.Unmarshal(res.Stdout, &in); err != nil {
		t.Fatal(err)
	}
	var out []told
	for _, c := range in {
		w := told{c.Names[0], c.ID, c.State, "", c.Image}
		for _, h := range []string{"healthy", "unhealthy", "starting"} {
			if strings.HasSuffix(c.Status, "("+h+")") {
				w.health = h
			}
		}
		out = append(out, w)
	}
	return out
}

func compare(t *testing.T, list []fleet.Container, user string, want []told) {
	t.Helper()
	var got []told
	for _, c := range list {
		if c.User == user && c.State != fleet.Absent {
			got = append(got, told{c.Name, c.ID, c.State, c.Health, c.Image})
		}
	}
	by := func(a, b told) int { return strings.Compare(a.name, b.name) }
	slices.SortFunc(got, by)
	slices.SortFunc(want, by)
	if !slices.Equal(got, want) {
		t.Errorf("of %s:\n got %v\nwant %v", user, got, want)
	}
}

func TestLabAgreesWithPodman(t *testing.T) {
	lab := labtest.Load(t)
	for _, name := range []string{"storage", "cloud", "router", "desktop", "laptop"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t, lab.Link(t, name))
			if !a.list.Current() {
				t.Fatal(a.list.Err)
			}
			t.Logf("%s: %d containers from %s", name, len(a.list.Value), a.list.Source)
			compare(t, a.list.Value, "root", podmanPS(t, a.link, link.Command{Root: true}))
			switch name {
			case "desktop":
				compare(t, a.list.Value, "ada", podmanPS(t, a.link, link.Command{}))
				if n := a.named(t, "notes"); n.User != "ada" || !n.UserUnit || n.Unit != "notes.service" || n.UnitSub != "active/running" {
					t.Errorf("ada's: %+v", n)
				}
			case "router": // bea has no socket
				compare(t, a.list.Value, "bea", podmanPS(t, a.link, link.Command{User: "bea",
					Env: []string{"HOME=/var/lib/containers/bea", "XDG_RUNTIME_DIR=/run/user/" + uid(t, a.link, "bea")}}))
				if n := a.named(t, "wiki"); n.User != "bea" || !n.UserUnit || n.Unit != "container-wiki.service" || n.UnitSub != "active/running" {
					t.Errorf("bea's: %+v", n)
				}
			}
		})
	}
}

func TestLabJoin(t *testing.T) {
	a := open(t, labtest.Load(t).Link(t, "storage"))
	for name, want := range map[string]string{
		"jellyfin":      "running podman-jellyfin.service active/running",
		"authelia":      "running podman-authelia.service active/running",
		"unhealthy":     "running podman-unhealthy.service active/running",
		"crashed":       "absent podman-crashed.service failed/failed",
		"systemd-memos": "running memos.service active/running",
		"handmade":      "running  ",
		"finished":      "exited  ",
		"hostile":       "running  ",
	} {
		c := a.named(t, name)
		if got := fmt.Sprintf("%s %s %s", c.State, c.Unit, c.UnitSub); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if c.ImageAt.IsZero() && c.State != fleet.Absent {
			t.Errorf("%s: when its image was made is not known", name)
		}
	}
	if c := a.named(t, "crashed"); c.UnitResult != "exit-code" || c.ExitCode != 3 || !c.Broken() {
		t.Errorf("crashed: %+v", c)
	}
}

// TestLabUserContainerThatCrashed: of ada's quadlet that failed with --rm only her
// unit tells.
func TestLabUserContainerThatCrashed(t *testing.T) {
	a := open(t, labtest.Load(t).Link(t, "desktop"))
	if c := a.named(t, "reader"); c.State != fleet.Absent || c.User != "ada" || !c.UserUnit || c.Unit != "reader.service" ||
		c.UnitSub != "failed/failed" || c.UnitResult != "exit-code" || c.ExitCode != 4 || !c.Broken() {
		t.Errorf("%+v", c)
	}
	if ps := podmanPS(t, a.link, link.Command{}); slices.ContainsFunc(ps, func(c told) bool { return c.name == "reader" }) {
		t.Errorf("Podman has it: %v", ps)
	}
}

func uid(t *testing.T, l link.Link, user string) string {
	t.Helper()
	return strings.TrimSpace(labtest.Output(t, l, "id", "-u", user))
}

// TestLabLeavesNothing: of a Podman that was lent nothing is left on the host.
func TestLabLeavesNothing(t *testing.T) {
	l := labtest.Load(t).Link(t, "router")
	run := "/run/user/" + uid(t, l, "bea")
	there := func() string { return labtest.Output(t, l, "find", run, "-maxdepth", "1", "-name", "sextant.*") }
	a := open(t, l)
	a.named(t, "wiki")
	if there() == "" {
		t.Error("it was read some other way")
	}
	a.engines.Close()
	for began := time.Now(); there() != ""; time.Sleep(200 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("left behind: %s", there())
		}
	}
	if out := labtest.Output(t, l, "sh", "-c", "pgrep -u bea -fa 'podman system service' || true"); out != "" {
		t.Errorf("still running: %s", out)
	}
}

// TestLabRestarts: what restarts again and again is counted as the host counts it,
// also where Podman's list does not tell (4.3.1).
func TestLabRestarts(t *testing.T) {
	for _, name := range []string{"storage", "router"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := labtest.Load(t).Link(t, name)
			labtest.Output(t, l, "sh", "-c", "podman rm -f again >/dev/null 2>&1; podman run -d --name again --restart on-failure:30 $(podman images -q | head -n 1) /bin/sh -c 'exit 9'")
			defer labtest.Output(t, l, "podman", "rm", "-f", "again")
			a := open(t, l)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- a.engines.Watch(ctx, func() {}) }()
			defer func() { cancel(); <-ended }()
			for began := time.Now(); ; time.Sleep(300 * time.Millisecond) {
				// while it ends and starts Podman itself fails now and then (4.3.1: no such process)
				res, err := l.Run(ctx, link.Command{Args: []string{"podman", "inspect", "again", "-f", "{{.RestartCount}} {{.State.Status}}"}, IfRoot: true})
				if err != nil {
					t.Fatal(err)
				}
				want := strings.TrimSpace(string(res.Stdout))
				a.list = a.engines.Fact()
				c := a.named(t, "again")
				got := "none"
				if c.Restarts != nil {
					got = fmt.Sprintf("%d %s", *c.Restarts, c.State)
				}
				if got == want && strings.HasPrefix(want, "30 exited") {
					t.Logf("%s after %s", got, time.Since(began))
					return
				}
				if time.Since(began) > 5*time.Minute {
					t.Fatalf("told %s, inspect says %s, status %d: %s", got, want, res.Status, res.Stderr)
				}
			}
		})
	}
}

// TestLabSocketThatGoesAndComes: soon after Podman is stopped what was known is
// unknown, with its age, and soon after it is back it is live.
func TestLabSocketThatGoesAndComes(t *testing.T) {
	for _, name := range []string{"cloud", "router"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t, labtest.Load(t).Link(t, name))
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- a.engines.Watch(ctx, func() {}) }()
			defer func() { cancel(); <-ended }()
			time.Sleep(2 * time.Second)
			wait := func(what string, is func(fleet.Fact[[]fleet.Container]) bool) {
				t.Helper()
				for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
					f := a.engines.Fact()
					if is(f) {
						t.Logf("%s after %s: %s", what, time.Since(began).Round(time.Millisecond), f.Err)
						return
					}
					if time.Since(began) > time.Minute {
						t.Fatalf("%s: %d containers, %s", what, len(f.Value), f.Err)
					}
				}
			}
			wait("live", func(f fleet.Fact[[]fleet.Container]) bool { return f.Current() })
			defer labtest.Output(t, a.link, "systemctl", "start", "podman.socket")
			for range 2 {
				labtest.Output(t, a.link, "systemctl", "stop", "podman.socket", "podman.service")
				went := time.Now()
				wait("unknown", func(f fleet.Fact[[]fleet.Container]) bool { return f.HasValue() && !f.Current() && f.At.Before(went) })
				time.Sleep(4 * time.Second)
				labtest.Output(t, a.link, "systemctl", "start", "podman.socket")
				wait("live again", func(f fleet.Fact[[]fleet.Container]) bool { return f.Current() })
			}
		})
	}
}

func TestLabDocker(t *testing.T) {
	a := open(t, labtest.Load(t).Link(t, "media"))
	if !a.list.Current() {
		t.Fatal(a.list.Err)
	}
	var want []told
	for line := range strings.Lines(labtest.Output(t, a.link, "docker", "ps", "-a", "--no-trunc", "--format", "{{json .}}")) {
		var c struct{ Names, ID, State, Image string }
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		want = append(want, told{c.Names, c.ID, c.State, "", c.Image})
	}
	compare(t, a.list.Value, "root", want)
	p, s := a.named(t, "plex"), a.named(t, "sonarr")
	if p.Restarts == nil || p.Started.IsZero() || len(p.Ports) != 1 || p.Ports[0].Host != 32400 || p.ImageAt.IsZero() {
		t.Errorf("plex: %+v", p)
	}
	if s.ExitCode != 1 || !s.Broken() {
		t.Errorf("sonarr: %+v", s)
	}
}

// TestLabWithoutRights: admin may do nothing special.
func TestLabWithoutRights(t *testing.T) {
	lab := labtest.Load(t)
	for _, name := range []string{"storage", "media", "r2s"} {
		h := lab.Named(t, name).Fleet()
		h.User = "admin"
		if name == "r2s" {
			h.Addresses = h.Addresses[1:] // Tailscale SSH would let in whom its rules say
		}
		a := open(t, lab.Dialer(t, nil).Open(h))
		t.Logf("%s: none %v: %s", name, a.list.None, a.list.Err)
		if a.list.HasValue() || a.list.None != (name == "r2s") {
			t.Errorf("%s: %+v", name, a.list)
		}
	}
}

func TestLabWatch(t *testing.T) {
	for _, name := range []string{"storage", "router", "desktop"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t, labtest.Load(t).Link(t, name))
			ctx, cancel := context.WithCancel(t.Context())
			changed := make(chan time.Time, 100)
			ended := make(chan error, 1)
			go func() { ended <- a.engines.Watch(ctx, func() { changed <- time.Now() }) }()
			<-changed // it listens
			labtest.Output(t, a.link, "sh", "-c", "podman rm -f watched; podman create --name watched $(podman images -q | head -n 1) true")
			defer labtest.Output(t, a.link, "podman", "rm", "-f", "watched")
			began := time.Now()
			for !slices.ContainsFunc(a.engines.Fact().Value, func(c fleet.Container) bool { return c.Name == "watched" }) {
				select {
				case at := <-changed:
					t.Logf("told after %s", at.Sub(began))
				case <-time.After(time.Minute):
					t.Fatal("nothing is told")
				}
			}
			a.list = a.engines.Fact() // without being read
			a.named(t, "watched")
			labtest.Output(t, a.link, "podman", "rm", "-f", "watched")
			for began := time.Now(); slices.ContainsFunc(a.list.Value, func(c fleet.Container) bool { return c.Name == "watched" }); a.list = a.engines.Fact() {
				if time.Sleep(20 * time.Millisecond); time.Since(began) > time.Minute {
					t.Fatal("it was removed, and is still told")
				}
			}
			cancel()
			<-ended
		})
	}
}

func TestLabStats(t *testing.T) {
	for name, container := range map[string]string{"storage": "jellyfin", "router": "blocky", "media": "plex"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t, labtest.Load(t).Link(t, name))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			n := 0
			err := a.engines.Stats(ctx, []string{a.named(t, container).ID}, func(s []fleet.ContainerStats) {
				t.Logf("%+v", s)
				if s[0].Memory == 0 || s[0].PIDs == 0 || (container == "jellyfin") != (s[0].MemLimit == 128<<20) {
					t.Errorf("%+v", s)
				}
				if n++; n == 3 {
					cancel()
				}
			})
			if n != 3 {
				t.Error(n, err)
			}
		})
	}
}

func TestLabLogs(t *testing.T) {
	for name, driver := range map[string]string{"storage": "k8s-file", "router": "k8s-file", "media": "json-file"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := labtest.Load(t).Link(t, name)
			engine, remove := "podman", []string{"podman", "rm", "-f", "-t", "0", "logged"}
			if name == "media" {
				engine, remove = "docker", []string{"docker", "rm", "-f", "logged"}
			}
			labtest.Output(t, l, "sh", "-c", engine+" rm -f logged >/dev/null 2>&1; "+engine+" run -d --name logged --log-driver "+driver+" $("+engine+
				` images -q | head -n 1) /bin/sh -c 'printf "\033[31mone\r\n"; echo two >&2; busybox sleep 3; echo three; busybox sleep 60'`)
			defer labtest.Output(t, l, remove...)
			a := open(t, l)
			if d, err := a.engines.LogDriver(t.Context(), "logged", ""); d != driver {
				t.Errorf("driver %q %v", d, err)
			}
			s, err := a.engines.Logs(t.Context(), fleet.LogSource{Container: "logged", User: "root"}, fleet.LogQuery{Since: time.Now().Add(-time.Hour), Lines: 10, Follow: true})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			var got []string
			for len(got) < 3 {
				lines, err := s.Next(ctx)
				if err != nil {
					t.Fatal(got, err)
				}
				for _, l := range lines {
					if time.Since(l.At).Abs() > 5*time.Minute {
						t.Errorf("line of %s", l.At)
					}
					got = append(got, l.Text)
				}
			}
			if s := strings.Join(got, " "); s != "one two three" && s != "two one three" {
				t.Errorf("%q", s)
			}
		})
	}
}
