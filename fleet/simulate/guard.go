package simulate

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// guardProgram plays nixops' guard: its first argument is the command.
func guardProgram(c Call) int {
	args := behind(c.Args)
	m, now := c.machine(), c.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.land(now)
	g := guarding{c, m, now, args}
	if !c.Root && g.arg(0) != "look" && g.arg(0) != "list" {
		return g.refuse(10, "not root")
	}
	switch g.arg(0) {
	case "look":
		return g.look()
	case "stage":
		return g.stage()
	case "list":
		return g.list()
	case "confirm", "cancel":
		return g.reply()
	case "extend":
		return g.extend()
	case "check":
		return g.check()
	case "pause", "resume":
		return g.pull(g.arg(0) == "pause")
	}
	return g.refuse(2, "guard: no command "+g.arg(0))
}

// guarding is one command of the guard.
type guarding struct {
	Call
	m    *machine
	now  time.Time
	args []string
}

func (g guarding) say(format string, args ...any) { fmt.Fprintf(g.Stdout, format+"\n", args...) }

// refuse says why nothing was changed.
func (g guarding) refuse(code int, format string, args ...any) int {
	g.say("refused "+format, args...)
	return code
}

func (g guarding) arg(i int) string {
	if i < len(g.args) {
		return g.args[i]
	}
	return ""
}

// pull stops what deploys to the host by itself, or starts it again.
func (g guarding) pull(pause bool) int {
	u, paused := g.m.unit("comin"), slices.Contains(g.m.files, fleet.PausedFile)
	switch {
	case pause && (u == nil || u.active != "active"):
		return g.refuse(10, "nothing that runs here deploys by itself")
	case pause:
		u.active, u.sub = "inactive", "dead"
		g.m.files = append(g.m.files, fleet.PausedFile)
		g.say("paused %s", u.name)
	case !paused:
		return g.refuse(10, "nothing is paused here")
	default:
		u.active, u.sub, u.started = "active", "running", g.now
		g.m.files = slices.DeleteFunc(g.m.files, func(f string) bool { return f == fleet.PausedFile })
		g.say("resumed %s", u.name)
	}
	return 0
}

// named is the deploy with the ID in argument 1; nil: there is none, and it was said.
func (g guarding) named() *deploying {
	for _, d := range g.m.deploys {
		if d.id == g.arg(1) {
			return d
		}
	}
	g.refuse(2, "no deploy %s on this host", g.arg(1))
	return nil
}

// underWay is the deploy that is not over, or nil.
func (g guarding) underWay() *deploying {
	for _, d := range g.m.deploys {
		if !over(d.at(g.m, g.now).state) {
			return d
		}
	}
	return nil
}

// waysIn are those units of simulated hosts by which they are reached.
var waysIn = []string{"sshd.service", "tailscaled.service", "systemd-networkd.service", "systemd-resolved.service"}

func (g guarding) look() int {
	m := g.m
	g.say("uid %d\nhost %s %s", g.uid(), m.name, m.arch)
	to := m.systemAt(g.arg(1))
	if to > 0 {
		g.say("there 1\nhostname %s\nsystem %s-linux", m.name, m.arch)
	}
	g.say("systemd 1")
	for _, p := range []string{"flock", "timeout", "systemd-run", "nix-env", "nix-store"} {
		g.say("has %s", p)
	}
	root := m.disks[0]
	free := int64(float64(root.size)*(1-root.full)) >> 10
	g.say("free store %d\nfree state %d", free, free)
	if d := g.underWay(); d != nil && g.Root {
		g.say("busy deploy %s of %s, from %s, is under way (%s)", d.id, d.who, d.client, d.at(m, g.now).state)
	}
	if m.inhibits != "" && to != m.running {
		g.say("inhibitors prev {%q:%q}", m.inhibits, m.inhibits)
		g.say("inhibitors run {%q:%q}", m.inhibits, m.inhibits+"-broker")
	}
	if m.generation(m.running).kernel != m.generation(to).kernel {
		g.say("kernel 1")
	}
	_, changed, _ := m.unitsBetween(m.generation(m.running), m.generation(to))
	for _, u := range changed {
		if slices.Contains(waysIn, u) {
			g.say("way %s", u)
		}
	}
	g.say("looked")
	return 0
}

func (g guarding) stage() int {
	_, _ = io.Copy(io.Discard, g.Stdin)
	m := g.m
	d := &deploying{id: g.arg(1), began: g.now, from: m.running, link: m.standard, refuses: m.refuses, breaks: m.breaks}
	asked := map[string]string{}
	for _, a := range g.args[2:] {
		name, value, _ := strings.Cut(a, "=")
		asked[name] = value
	}
	if d.to = m.systemAt(asked["new"]); d.to == 0 {
		return g.refuse(10, "not there, or no NixOS system: %s", asked["new"])
	}
	if other := g.underWay(); other != nil {
		return g.refuse(11, "busy: deploy %s of %s, from %s, is under way (%s)", other.id, other.who, other.client, other.at(m, g.now).state)
	}
	d.kind, d.action, d.nonce, d.revision = asked["kind"], asked["action"], asked["nonce"], asked["revision"]
	d.number, d.who, d.client = asked["number"], asked["who"], asked["client"]
	seconds, _ := strconv.Atoi(asked["window"])
	d.window = time.Duration(seconds) * time.Second
	if d.to == d.from {
		d.breaks = "" // nothing is started anew
	}
	m.keep(d)
	g.say("staged %s", d.id)
	return 0
}

// keep adds a deploy. With the first there is a folder of them.
func (m *machine) keep(d *deploying) {
	if len(m.deploys) == 0 {
		m.files = append(m.files, "/var/lib/sextant/deploys")
	}
	m.deploys = append(m.deploys, d)
}

func (g guarding) list() int {
	m := g.m
	boot := m.bootID()
	g.say("now %d %d %s", g.now.Unix(), m.uptimeAt(g.now), boot)
	g.say("running %s", m.path(m.generation(m.running)))
	g.say("default %s system-%d-link", m.path(m.generation(m.standard)), m.standard)
	if !g.Root {
		return 0 // the folder is root's
	}
	for _, d := range m.deploys {
		if only := g.arg(1); only == "" || only == d.id {
			g.tell(d, boot)
		}
	}
	if from, err := strconv.Atoi(g.arg(2)); err == nil {
		g.tellLog(max(from, 0))
	}
	return 0
}

// tell lists a deploy: what lies in its folder.
func (g guarding) tell(d *deploying, boot string) {
	m, is := g.m, d.at(g.m, g.now)
	to := m.path(m.generation(d.to))
	g.say("deploy %s", d.id)
	field := func(name, value string) {
		if value != "" {
			g.say("field %s %s", name, value)
		}
	}
	field("kind", d.kind)
	field("action", d.action)
	field("state", is.state+" "+is.why)
	field("new", to)
	field("run", to)
	field("number", d.number)
	field("nonce", d.nonce)
	field("window", fmt.Sprint(int(d.window.Seconds())))
	field("who", d.who)
	field("client", d.client)
	field("revision", d.revision)
	field("prev", m.path(m.generation(d.from)))
	field("prev-profile", fmt.Sprintf("system-%d-link", d.link))
	field("boot-id", boot)
	field("started", fmt.Sprint(d.began.Unix()))
	if !g.now.Before(d.runs()) && d.activates() {
		field("deadline", fmt.Sprint(m.uptimeAt(d.deadline())))
		field("code", map[bool]string{true: "4", false: "0"}[d.breaks != ""])
	}
	if d.word == "confirm" {
		field("by", d.by)
	}
	if over(is.state) {
		field("result", is.state+" "+is.why)
	}
	field("last", fmt.Sprintf("%d %d %s %s", is.since.Unix(), m.uptimeAt(is.since), is.state, is.why))
	if !over(is.state) {
		field("guarded", "1")
		last := ""
		for line := range strings.Lines(d.log(g.m, g.now)) {
			if !strings.HasPrefix(line, "== ") {
				last = strings.TrimSpace(line)
			}
		}
		field("line", last)
	}
}

// tellLog is the log of the deploy that is named, from a byte on.
func (g guarding) tellLog(from int) {
	for _, d := range g.m.deploys {
		if d.id == g.arg(1) {
			log := d.log(g.m, g.now)
			g.say("log %d", len(log))
			_, _ = io.WriteString(g.Stdout, log[min(from, len(log)):])
		}
	}
}

// bootID is what the kernel calls this boot, as the guard writes it down.
func (m *machine) bootID() string { return hexID(m.seed, 32, m.name, "boot", m.boot().String()) }

// uptimeAt is the machine's uptime at a time, in seconds.
func (m *machine) uptimeAt(at time.Time) int { return int(at.Sub(m.boot()).Seconds()) }

// systemAt is the generation of a store path; 0: none is there.
func (m *machine) systemAt(path string) int {
	for _, gen := range m.gens {
		if m.path(gen) == path {
			return gen.number
		}
	}
	return 0
}

// reply confirms or cancels: the first answer counts.
func (g guarding) reply() int {
	d := g.named()
	if d == nil {
		return 2
	}
	word, is := g.arg(0), d.at(g.m, g.now)
	switch {
	case over(is.state):
		g.say("over %s %s", is.state, is.why)
		return 0
	case is.state == "STAGED" || is.state == "ACTIVATING":
		if word == "confirm" {
			return g.refuse(10, "not running yet: %s", is.state)
		}
	case is.state != "AWAITING":
		return g.refuse(10, "too late: %s", is.state)
	}
	if g.arg(2) != d.nonce {
		return g.refuse(10, "the nonce is that of another deploy")
	}
	if d.word != "" {
		g.say("before %s %s", d.word, d.by)
		return 0
	}
	d.word, d.by, d.answered = word, g.arg(3), g.now
	g.say("taken")
	return 0
}

// extend gives more time, from now on.
func (g guarding) extend() int {
	d := g.named()
	if d == nil {
		return 2
	}
	seconds, err := strconv.Atoi(g.arg(2))
	if err != nil || seconds < 0 {
		return g.refuse(2, "no number of seconds")
	}
	if is := d.at(g.m, g.now); is.state != "AWAITING" {
		return g.refuse(10, "not waiting: %s", is.state)
	}
	d.until = g.now.Add(time.Duration(seconds) * time.Second)
	g.say("extended")
	return 0
}

// check tells what is worse than before it began.
func (g guarding) check() int {
	d := g.named()
	if d == nil {
		return 2
	}
	if u := g.m.unit(d.breaks); d.breaks != "" && u != nil && u.active == "failed" {
		g.say("failed %s", u.name)
	}
	g.say("checked")
	return 0
}
