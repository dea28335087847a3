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
	"github.com/sextant-fleet/sextant/test/labtest"
)

// labSecret is what a container of the lab keeps secret.
const labSecret = "hunter2lab"

// looked is a container with all that is looked at, as an engine's own command
// tells of it.
type looked struct {
	*asked
	engine, user string
	by           link.Command // how the engine's command is run
}

func (l looked) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := l.by
	cmd.Args = append([]string{l.engine}, args...)
	res, err := l.link.Run(context.WithoutCancel(t.Context()), cmd) // it also cleans up
	if err == nil && res.Status != 0 {
		err = fmt.Errorf("%s %q: %s", l.engine, args, res.Stderr)
	}
	return strings.TrimSpace(string(res.Stdout)), err
}

// begin makes the container, and reads the host.
func (l looked) begin(t *testing.T) fleet.Container {
	t.Helper()
	_, _ = l.run(t, "rm", "-f", "looked")
	images, err := l.run(t, "images", "-q")
	if err != nil {
		t.Fatal(err)
	}
	image, _, _ := strings.Cut(images, "\n")
	args := []string{
		"run", "-d", "--name", "looked", "-e", "TZ=Europe/Berlin", "-e", "DB_PASSWORD=" + labSecret, "-e", "DATABASE_URL=postgres://app:" + labSecret + "@db:5432/app",
		"-l", "app.token=" + labSecret, "-l", "purpose=lab", "-v", "/etc:/host-etc:ro", "--tmpfs", "/scratch:size=1m", "--cap-drop", "NET_RAW",
		"--health-cmd", "echo said with --password " + labSecret, "--health-interval", "2s",
	}
	if l.user == "root" {
		args = append(args, "--memory", "67108864")
	} else { // they have neither cgroups nor a tun device there
		args = append(args, "--network", "none")
	}
	args = append(args, image, "/bin/sh", "-c", "trap 'exit 0' TERM; while :; do busybox sleep 1000 & wait $!; done", "server", "--token", labSecret)
	if _, err := l.run(t, args...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = l.run(t, "rm", "-f", "looked") })
	if _, err := l.run(t, "healthcheck", "run", "looked"); l.engine == "podman" && err != nil { // where no timer of systemd runs it
		t.Fatal(err)
	}
	labtest.Agree(t, time.Minute, func() string {
		if is, err := l.run(t, "inspect", "-f", "{{.State.Health.Status}}", "looked"); err != nil || is != "healthy" {
			return fmt.Sprintf("looked is %q: %v", is, err)
		}
		return ""
	})
	l.read(t)
	i := slices.IndexFunc(l.list.Value, func(c fleet.Container) bool { return c.Name == "looked" && c.User == l.user })
	if i < 0 {
		t.Fatalf("%s has no container looked: %s", l.user, l.list.Err)
	}
	return l.list.Value[i]
}

// inspection is what the engine's own inspect prints.
type inspection struct {
	ID     string `json:"Id"`
	Config struct {
		Env    []string
		Labels map[string]string
	}
	HostConfig struct {
		Memory        uint64
		LogConfig     struct{ Type string }
		RestartPolicy struct{ Name string }
		CapDrop       []string
	}
	State  struct{ Pid int }
	Mounts []struct {
		Source, Destination string
		RW                  bool
	}
	NetworkSettings struct {
		Networks map[string]struct{ IPAddress, Gateway, MacAddress string }
	}
}

func (l looked) compare(t *testing.T, d fleet.ContainerDetail) {
	t.Helper()
	text, err := l.run(t, "inspect", "looked")
	var in []inspection
	if err != nil || json.Unmarshal([]byte(text), &in) != nil || len(in) != 1 {
		t.Fatalf("%v: %s", err, text)
	}
	w := in[0]
	var env, labels, mounts, nets []string
	for _, s := range d.Environment {
		env = append(env, s.Name+"="+s.Value)
	}
	for _, s := range d.Labels {
		labels = append(labels, s.Name+"="+s.Value)
	}
	for _, m := range d.Mounts {
		if m.Type != "tmpfs" {
			mounts = append(mounts, fmt.Sprint(m.Source, m.Target, !m.ReadOnly))
		}
	}
	for _, n := range d.Networks {
		ip, _, _ := strings.Cut(n.IPv4, "/")
		nets = append(nets, fmt.Sprint(n.Name, ip, n.Gateway, n.MAC))
	}
	var wantLabels, wantMounts, wantNets []string
	for k, v := range w.Config.Labels {
		wantLabels = append(wantLabels, k+"="+v)
	}
	for _, m := range w.Mounts {
		wantMounts = append(wantMounts, fmt.Sprint(m.Source, m.Destination, m.RW))
	}
	for name, n := range w.NetworkSettings.Networks {
		wantNets = append(wantNets, fmt.Sprint(name, n.IPAddress, n.Gateway, n.MacAddress))
	}
	for what, pair := range map[string][2][]string{
		"environment": {env, w.Config.Env}, "labels": {labels, wantLabels}, "mounts": {mounts, wantMounts}, "networks": {nets, wantNets},
		"capabilities": {d.Config.CapDrop, w.HostConfig.CapDrop},
		"the rest": {
			{d.Container.ID, fmt.Sprint(d.Config.Memory), d.Config.LogDriver, d.Config.Restart, fmt.Sprint(d.Config.PID)},
			{w.ID, fmt.Sprint(w.HostConfig.Memory), w.HostConfig.LogConfig.Type, orNo(w.HostConfig.RestartPolicy.Name), fmt.Sprint(w.State.Pid)},
		},
	} {
		slices.Sort(pair[0])
		slices.Sort(pair[1])
		if !slices.Equal(pair[0], pair[1]) {
			t.Errorf("%s:\n got %q\nwant %q", what, pair[0], pair[1])
		}
	}
	if !slices.ContainsFunc(d.Mounts, func(m fleet.ContainerMount) bool { return m.Type == "tmpfs" && m.Target == "/scratch" }) {
		t.Errorf("/scratch is not told: %+v", d.Mounts)
	}
}

func orNo(s string) string {
	if s == "" {
		return "no"
	}
	return s
}

// processes compares with the engine's own top, by the host's PIDs. A health check
// may run in either.
func (l looked) processes(t *testing.T, c fleet.Container) string {
	t.Helper()
	args := []string{"top", "looked", "hpid"}
	if l.engine == "docker" {
		args = []string{"top", "looked", "-eo", "pid"}
	}
	text, wrong := l.run(t, args...)
	top, err := l.engines.Top(t.Context(), l.user, c.ID, false)
	if wrong != nil { // not there either: the reason must be the same
		if err == nil || !strings.Contains(wrong.Error(), "cgroup") || !strings.Contains(err.Error(), "cgroup") {
			return fmt.Sprintf("%v, but the engine's command says %v", err, wrong)
		}
		t.Log(err)
		return ""
	}
	var got []string
	secrets := 0
	for _, p := range top.Processes {
		got = append(got, fmt.Sprint(p.HostPID))
		if strings.Contains(p.Command, labSecret) || p.Elapsed < 0 || p.Memory == 0 || p.User == "" {
			return fmt.Sprintf("%+v", p)
		}
		if strings.HasSuffix(p.Command, "server --token "+fleet.Hidden) {
			secrets++
		}
	}
	want := strings.Fields(text)[1:]
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) || secrets == 0 {
		return fmt.Sprintf("%v: got %v, want %v: %+v", err, got, want, top)
	}
	return ""
}

// TestLabInspect: what is told of a container is what the engine's own commands
// tell, and no secret is among it unless that was asked for.
func TestLabInspect(t *testing.T) {
	lab := labtest.Load(t)
	type engine struct{ host, engine, user string }
	onHosts(t, []engine{
		{"storage", "podman", "root"}, {"router", "podman", "root"}, {"desktop", "podman", "ada"}, {"router", "podman", "bea"}, {"media", "docker", "root"},
	}, func(c engine) string { return c.host }, func(t *testing.T, c engine) {
		l := looked{asked: open(t, lab.Link(t, c.host)), engine: c.engine, user: c.user, by: link.Command{Root: c.user == "root"}}
		if c.user == "bea" {
			l.by = link.Command{User: "bea", Env: []string{"HOME=/var/lib/containers/bea", "XDG_RUNTIME_DIR=/run/user/" + uid(t, l.link, "bea")}}
		}
		ct := l.begin(t)
		began := time.Now()
		d, err := l.engines.Inspect(t.Context(), c.user, ct.ID, false)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s after %s: %d hidden; %+v", d.Source, time.Since(began).Round(time.Millisecond), d.Hidden, d.Health)
		b, _ := json.Marshal(d)
		if strings.Contains(string(b), labSecret) || !strings.Contains(string(b), "postgres://app:(hidden)@db:5432/app") || d.Hidden < 6 {
			t.Errorf("hidden %d: %s", d.Hidden, b)
		}
		if h := d.Health; h == nil || h.Status != "healthy" || len(h.Runs) == 0 || h.Runs[0].ExitCode != 0 || h.Runs[0].Output != "said with --password "+fleet.Hidden {
			t.Errorf("health: %+v", h)
		}
		d, err = l.engines.Inspect(t.Context(), c.user, ct.ID, true)
		if err != nil || d.Hidden != 0 {
			t.Fatal(d.Hidden, err)
		}
		l.compare(t, d)
		labtest.Agree(t, time.Minute, func() string { return l.processes(t, ct) })
	})
}
