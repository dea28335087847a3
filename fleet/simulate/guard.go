package simulate

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// deploying is a deploy on a simulated host. Where it stands is computed from
// the time that has passed; what was answered is kept.
type deploying struct {
	id, kind, action, nonce, who, client string

	to, from  int // generations
	number    int
	window    time.Duration
	began     time.Time
	answered  time.Time // zero: nobody has
	word, by  string    // "confirm" or "cancel", and who
	refreshed bool      // the host runs what it came to
}

// How long the steps of a simulated deploy take.
const (
	simulatedActivation = 2 * time.Second
	simulatedCommit     = time.Second
)

// state is where it stands at a time, why, and since when.
func (d *deploying) state(now time.Time) (state, why string, since time.Time) {
	runs := d.began.Add(simulatedActivation)
	deadline := runs.Add(d.window)
	switch {
	case now.Before(d.began.Add(200 * time.Millisecond)):
		return "STAGED", "", d.began
	case now.Before(runs):
		return "ACTIVATING", "", d.began
	case d.word == "confirm" && now.Before(d.answered.Add(simulatedCommit)):
		return "COMMITTING", "confirmed by " + d.by, d.answered
	case d.word == "confirm":
		return "CONFIRMED", "by " + d.by, d.answered.Add(simulatedCommit)
	case d.word == "cancel" && now.Before(d.answered.Add(simulatedCommit)):
		return "ROLLING_BACK", "by " + d.by, d.answered
	case d.word == "cancel":
		return "CANCELLED", "by " + d.by, d.answered.Add(simulatedCommit)
	case now.After(deadline):
		return "ROLLED_BACK", "nobody confirmed in time", deadline
	}
	return "AWAITING", "it runs", runs
}

// land has the host run what its deploys came to. The machine is locked.
func (m *machine) land(now time.Time) {
	for _, d := range m.deploys {
		state, _, _ := d.state(now)
		switch state {
		case "AWAITING", "COMMITTING":
			m.running = d.to
		case "CONFIRMED":
			if !d.refreshed {
				m.running, m.standard, d.refreshed = d.to, d.to, true
			}
		case "ROLLED_BACK", "CANCELLED":
			if !d.refreshed {
				m.running, d.refreshed = d.from, true
			}
		}
	}
}

// guardProgram plays nixops' guard: its first argument is the command.
func guardProgram(c Call) int {
	args := behind(c.Args)
	m, now := c.machine(), c.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.land(now)
	if len(args) == 0 {
		return 2
	}
	if !c.Root && args[0] != "look" && args[0] != "list" {
		fmt.Fprintln(c.Stdout, "refused not root")
		return 10
	}
	g := guarding{c, m, now, args}
	switch args[0] {
	case "look":
		return g.look()
	case "stage":
		return g.stage()
	case "list":
		return g.list()
	case "confirm", "cancel":
		return g.reply()
	case "check":
		fmt.Fprintln(c.Stdout, "checked")
		return 0
	}
	return 2
}

// guarding is one command of the guard.
type guarding struct {
	Call
	m    *machine
	now  time.Time
	args []string
}

func (g guarding) say(format string, args ...any) { fmt.Fprintf(g.Stdout, format+"\n", args...) }

func (g guarding) arg(i int) string {
	if i < len(g.args) {
		return g.args[i]
	}
	return ""
}

// systemAt is the generation of a store path; 0: none is there.
func (m *machine) systemAt(path string) int {
	for _, gen := range m.gens {
		if m.path(gen) == path {
			return gen.number
		}
	}
	return 0
}

func (g guarding) look() int {
	g.say("uid %d\nhost %s %s\nsystemd 1\nhostname %s", g.uid(), g.m.name, g.m.arch, g.m.name)
	if g.m.systemAt(g.arg(1)) > 0 {
		g.say("there 1")
	}
	for _, p := range []string{"flock", "timeout", "systemd-run", "nix-env", "nix-store"} {
		g.say("has %s", p)
	}
	for _, d := range g.m.deploys {
		if state, _, _ := d.state(g.now); !d.refreshed && state != "CONFIRMED" {
			g.say("busy %s", d.id)
		}
	}
	g.say("looked")
	return 0
}

func (g guarding) stage() int {
	_, _ = io.Copy(io.Discard, g.Stdin)
	d := &deploying{id: g.arg(1), began: g.now, from: g.m.running}
	seconds := 0
	for _, a := range g.args[2:] {
		name, value, _ := strings.Cut(a, "=")
		switch name {
		case "new":
			d.to = g.m.systemAt(value)
		case "window":
			_, _ = fmt.Sscan(value, &seconds)
		case "number":
			_, _ = fmt.Sscan(value, &d.number)
		default:
			if into := map[string]*string{"kind": &d.kind, "action": &d.action, "nonce": &d.nonce, "who": &d.who, "client": &d.client}[name]; into != nil {
				*into = value
			}
		}
	}
	if d.to == 0 {
		g.say("refused not there, or no NixOS system")
		return 10
	}
	d.window = time.Duration(seconds) * time.Second
	if len(g.m.deploys) == 0 {
		g.m.files = append(g.m.files, "/var/lib/sextant/deploys")
	}
	g.m.deploys = append(g.m.deploys, d)
	g.say("staged %s", d.id)
	return 0
}

func (g guarding) list() int {
	up := g.now.Sub(g.m.boot()).Seconds()
	boot := hexID(g.m.seed, 32, g.m.name, "boot", g.m.boot().String())
	g.say("now %d %.0f %s", g.now.Unix(), up, boot)
	g.say("running %s", g.m.path(g.m.generation(g.m.running)))
	g.say("default %s system-%d-link", g.m.path(g.m.generation(g.m.standard)), g.m.standard)
	for _, d := range g.m.deploys {
		if only := g.arg(1); only != "" && only != d.id {
			continue
		}
		state, why, since := d.state(g.now)
		g.say("deploy %s", d.id)
		for _, f := range [][2]string{
			{"kind", d.kind}, {"action", d.action}, {"state", state + " " + why}, {"new", g.m.path(g.m.generation(d.to))},
			{"number", fmt.Sprint(d.number)}, {"nonce", d.nonce}, {"who", d.who}, {"client", d.client},
			{"prev", g.m.path(g.m.generation(d.from))}, {"prev-profile", fmt.Sprintf("system-%d-link", d.from)}, {"boot-id", boot},
			{"started", fmt.Sprint(d.began.Unix())}, {"last", fmt.Sprintf("%d 0 %s", since.Unix(), state)}, {"guarded", "1"},
			{"deadline", fmt.Sprintf("%.0f", d.began.Add(simulatedActivation+d.window).Sub(g.m.boot()).Seconds())},
		} {
			g.say("field %s %s", f[0], f[1])
		}
	}
	if g.arg(2) != "" {
		g.say("log 0")
	}
	return 0
}

func (g guarding) reply() int {
	for _, d := range g.m.deploys {
		if d.id != g.arg(1) {
			continue
		}
		state, why, _ := d.state(g.now)
		switch {
		case d.word != "":
			g.say("before %s %s", d.word, d.by)
		case state != "AWAITING":
			g.say("over %s %s", state, why)
		case d.nonce != g.arg(2):
			g.say("refused the nonce is that of another deploy")
			return 10
		default:
			d.word, d.by, d.answered = g.arg(0), g.arg(3), g.now
			g.say("taken")
		}
		return 0
	}
	g.say("refused no deploy %s on this host", g.arg(1))
	return 2
}

// packagesOf are what a simulated system is made of: names with versions that
// grow with the generation.
func packagesOf(number int) map[string]string {
	return map[string]string{
		"openssh": fmt.Sprintf("10.0p%d", 1+number/4), "caddy": fmt.Sprintf("2.%d.0", 8+number/2), "podman": fmt.Sprintf("5.%d.1", number/3),
		"glibc": "2.40", "systemd": "258.2", "tailscale": fmt.Sprintf("1.%d.2", 90+number), "nix": "2.31.2",
	}
}

// tellDifference plays nixops' diff: mark, from, to.
func tellDifference(c Call) int {
	m, mark := c.machine(), c.arg(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, side := range []string{"from", "to"} {
		path := c.arg(2 + i)
		n := m.systemAt(path)
		if n == 0 {
			fmt.Fprintf(c.Stdout, "\n%s missing\n%s\n", mark, path)
			continue
		}
		gen := m.generation(n)
		fmt.Fprintf(c.Stdout, "\n%s paths-%s\n%s\n", mark, side, path)
		for name, version := range packagesOf(n) {
			fmt.Fprintf(c.Stdout, "/nix/store/%s-%s-%s\n", storeHash(m.seed, name, version), name, version)
		}
		fmt.Fprintf(c.Stdout, "\n%s kernel-%s\n%s\n\n%s parts-%s\nkernel %s\n\n%s units-%s\n%d 10 ./caddy.service\n1 10 ./sshd.service\n",
			mark, side, gen.kernel, mark, side, m.part("kernel", gen), mark, side, n/2)
	}
	fmt.Fprintf(c.Stdout, "\n%s sizes\n\n%s end\n", mark, mark)
	return 0
}
