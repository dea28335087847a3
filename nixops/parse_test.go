package nixops

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

const listing = `now 1000 500 boot-a
running /nix/store/x-new
default /nix/store/x-old system-4-link
deploy 20261123T000000-aaaaaa
field kind rollback
field action switch
field state AWAITING it runs
field new /nix/store/x-new
field number 3
field nonce secret
field who ada
field client laptop
field prev /nix/store/x-old
field prev-profile system-4-link
field boot-id boot-a
field started 990
field deadline 560
field guarded 1
field last 995 495 AWAITING it runs
deploy 20261122T000000-bbbbbb
field kind deploy
field action switch
field state ACTIVATING /nix/store/y
field new /nix/store/y
field boot-id boot-before
field started 100
log 3
a
b
`

func TestParseListing(t *testing.T) {
	now := time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)
	l, err := parseListing([]byte(listing), now)
	if err != nil || len(l.Deploys) != 2 {
		t.Fatalf("%+v, %v", l, err)
	}
	want := fleet.Deploy{
		ID: "20261123T000000-aaaaaa", Kind: "rollback", Action: "switch", State: fleet.Awaiting, Why: "it runs",
		From: fleet.Toplevel{Path: "/nix/store/x-old", Generation: 4}, To: fleet.Toplevel{Path: "/nix/store/x-new", Generation: 3},
		Who: "ada", Client: "laptop", Started: now.Add(-10 * time.Second), Changed: now.Add(-5 * time.Second), Deadline: now.Add(60 * time.Second),
	}
	if !reflect.DeepEqual(l.Deploys[0], want) {
		t.Errorf("got  %+v\nwant %+v", l.Deploys[0], want)
	}
	if d := l.Deploys[1]; d.State != fleet.RolledBack || !strings.Contains(d.Why, "restarted") || !d.Unsettled {
		t.Errorf("a deploy that a restart ended: %+v", d)
	}
	if l.nonces[want.ID] != "secret" || string(l.Log) != "a\nb\n" || l.LogSize != 3 || l.Running != "/nix/store/x-new" {
		t.Errorf("%+v", l)
	}
	for _, bad := range []string{"", "running x\n", "now 1\n"} {
		if _, err := parseListing([]byte(bad), now); err == nil {
			t.Errorf("%q passes for an answer", bad)
		}
	}
}

// TestDeployWithoutItsGuard: it waits on, and its time is what it was: a guard may be
// just about to be started again.
func TestDeployWithoutItsGuard(t *testing.T) {
	l, err := parseListing([]byte(strings.Replace(listing, "field guarded 1\n", "", 1)), time.Now())
	if err != nil || !strings.Contains(l.Deploys[0].Why, "guard is not running") || l.Deploys[0].Deadline.IsZero() {
		t.Errorf("%+v, %v", l.Deploys[0], err)
	}
}

// looked is what a good host says of a good system.
const looked = `uid 0
host storage x86_64
there 1
hostname storage
system x86_64-linux
systemd 1
has flock
has timeout
has systemd-run
has nix-env
free state 1000000
free boot 500000
looked
`

func TestRefusals(t *testing.T) {
	host := fleet.Host{Name: "storage"}
	deploy := Change{Kind: "deploy", Action: "switch"}
	for _, c := range []struct {
		from, to string // what is another in the answer
		change   Change
		why      string // "": nothing is refused
	}{
		{"", "", deploy, ""},
		{"there 1\n", "", deploy, "not in its store"},
		{"systemd 1\n", "", deploy, "systemd"},
		{"has nix-env\n", "", deploy, "nix-env"},
		{"hostname storage", "hostname cloud", deploy, "the system is of cloud"},
		{"hostname storage", "hostname cloud", Change{Action: "switch", As: "cloud"}, ""},
		{"x86_64-linux", "aarch64-linux", deploy, "for aarch64-linux"},
		{"looked", "busy deploy 2026-x of ada, from here, is under way (AWAITING)\nlooked", deploy, "under way"},
		{"free state 1000000", "free state 10", deploy, "/var is full"},
		{"free boot 500000", "free boot 30000\nboot /efi\nneed boot 40000", deploy, "/efi has 29.3 MiB free, and the boot menu with this system needs 39.3 MiB"},
		{"free boot 500000", "free boot 30000\nneed boot 40000", Change{Action: "switch", To: fleet.Toplevel{Generation: 3}}, "boot partition has"},
		{"free boot 500000", "free boot 30000\nneed boot 40000", Change{Action: "boot"}, "boot partition has"},
		{"free boot 500000", "free boot 30000\nneed boot 40000", Change{Action: "test"}, ""},
		{"free boot 500000", "free boot 30000\nneed boot 0", deploy, ""},
		{"free boot 500000", "free boot 10\nneed boot 0", deploy, "boot partition has"},
		{"looked", "inhibitors prev {\"dbus\":\"a\"}\ninhibitors run {\"dbus\":\"b\"}\nlooked", deploy, "dbus: a -> b"},
		{"looked", "inhibitors prev {\"dbus\":\"a\"}\ninhibitors run {\"dbus\":\"b\"}\nlooked", Change{Action: "boot"}, ""},
		{"looked", "locked process 7 nixos-rebuild\nlooked", deploy, "nixos-rebuild"},
		{"looked", "init 1\nlooked", deploy, "another init"},
	} {
		no := parseLook([]byte(strings.Replace(looked, c.from, c.to, 1))).refusal(host, c.change)
		switch {
		case no == nil && c.why != "":
			t.Errorf("%q for %q: nothing is refused, want %q", c.to, c.from, c.why)
		case no != nil && (c.why == "" || !strings.Contains(no.Error(), c.why) || no.Cure == ""):
			t.Errorf("%q for %q: %v, want %q with a cure", c.to, c.from, no, c.why)
		}
	}
}

func TestWindow(t *testing.T) {
	p := parseLook([]byte("way sshd.service\nlooked\n"))
	if got := p.window(Limits{}).Confirm; got != longConfirm {
		t.Errorf("ssh changes, and it waits for %s", got)
	}
	if got := p.window(Limits{Confirm: time.Second}).Confirm; got != time.Second {
		t.Errorf("a second was asked for, and it waits for %s", got)
	}
}

func TestProgress(t *testing.T) {
	p := progress{kinds: map[uint64]int{}}
	for _, line := range []string{
		`@nix {"action":"start","id":1,"level":0,"text":"","type":104}`,
		`@nix {"action":"result","fields":[1,5,0,0],"id":1,"type":105}`,
		`@nix {"action":"start","id":18446744073709551615,"level":3,"type":105,"fields":["/nix/store/abc-caddy-2.10.0.drv","",1,1]}`,
		`@nix {"action":"result","fields":["cc: no"],"id":18446744073709551615,"type":101}`,
		`@nix {"action":"frobnicate","id":3,"type":999}`, "warning: dirty", `@nix {"broken`,
		`@nix {"action":"msg","level":0,"msg":"\u001b[31;1merror:\u001b[0m attribute 'x' missing"}`,
	} {
		p.read([]byte(line))
	}
	if got := p.String(); got != "1/5 built, building caddy-2.10.0" {
		t.Errorf("%q", got)
	}
	if got := p.failure(); !strings.HasPrefix(got, "attribute 'x' missing") || !strings.Contains(got, "cc: no") {
		t.Errorf("%q", got)
	}
	long := progress{errors: strings.Split(strings.Repeat("while evaluating this\nline\n", 300), "\n")}
	if got := strings.Count(long.failure(), "\n"); got > errorLines {
		t.Errorf("%d lines of an error", got)
	}
}

func TestAttribute(t *testing.T) {
	there := []string{"storage", "cloud-1", "router"}
	for _, c := range []struct {
		host fleet.Host
		want string
		err  string
	}{
		{fleet.Host{Name: "storage"}, "storage", ""},
		{fleet.Host{Name: "cloud", Flake: "cloud-1"}, "cloud-1", ""},
		{fleet.Host{Name: "gate", Aliases: []string{"router"}}, "router", ""},
		{fleet.Host{Name: "storag"}, "", `did you mean "storage"`},
		{fleet.Host{Name: "x", Flake: "routr"}, "", `did you mean "router"`},
	} {
		got, err := attribute(c.host, there)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: %q, %v", c.host, got, err)
		}
	}
}

func TestWaves(t *testing.T) {
	named := func(name string, tags ...string) Ready {
		return Ready{State: fleet.State{Host: fleet.Host{Name: name, Tags: tags}.Told()}}
	}
	local := named("here")
	local.State.Host.Local = true
	for want, sizes := range map[string][]int{
		"a | b c | gate | here": nil, "a b c | gate | here": {3}, "a b | c | gate | here": {2, 1}, "a | b | c | gate | here": {1}, "a | b c | gate | here ": {1, 9},
	} {
		var got []string
		for _, w := range waves([]Ready{named("gate", "router"), local, named("a"), named("b"), named("c")}, sizes) {
			var names []string
			for _, r := range w {
				names = append(names, r.State.Host.Name)
			}
			got = append(got, strings.Join(names, " "))
		}
		if strings.Join(got, " | ") != strings.TrimSpace(want) {
			t.Errorf("%v: %q, want %q", sizes, got, want)
		}
	}
}

// TestTheOrderOfWaves: what matters least is first, what is not ready shows nothing.
func TestTheOrderOfWaves(t *testing.T) {
	var ready []Ready
	for _, h := range []fleet.Host{
		{Name: "a-router", Tags: []string{"router"}}, {Name: "b", Tags: []string{"tier2"}}, {Name: "c", Tags: []string{"tier1"}}, {Name: "cloud"},
		{Name: "desktop"}, {Name: "here", Local: true, Tags: []string{"desktop"}}, {Name: "laptop"}, {Name: "pi", Tags: []string{"edge"}},
		{Name: "router"}, {Name: "storage"}, {Name: "z-nas", Tags: []string{"nas", "tier1"}},
	} {
		r := Ready{State: fleet.State{Host: h.Told()}}
		if h.Name == "desktop" {
			r.Err = errors.New("it is switched off")
		}
		ready = append(ready, r)
	}
	before := slices.Clone(ready)
	var got []string
	for _, w := range waves(ready, nil) {
		for _, r := range w {
			got = append(got, r.State.Host.Name)
		}
		got = append(got, "|")
	}
	if want := "laptop | pi c b cloud z-nas storage desktop | a-router | router | here |"; strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	for i := range ready {
		if ready[i].State.Host.Name != before[i].State.Host.Name {
			t.Fatal("the caller's list is in another order")
		}
	}
}

// TestTheNameIsTyped of a host on which others depend, whoever says that they do.
func TestTheNameIsTyped(t *testing.T) {
	works := fleet.State{Host: fleet.Host{Name: "box"}}
	works.Units = fleet.Known([]fleet.Unit{{Name: "nfs-server.service", Active: "active"}}, time.Now(), "probe")
	for _, c := range []struct {
		state fleet.State
		want  string
	}{
		{fleet.State{Host: fleet.Host{Name: "gate", Tags: []string{"router"}}.Told()}, "gate"},
		{fleet.State{Host: fleet.Host{Name: "storage"}.Told()}, "storage"},
		{works, "box"},
		{fleet.State{Host: fleet.Host{Name: "storage", Role: fleet.RoleNone}.Told()}, ""},
		{fleet.State{Host: fleet.Host{Name: "desktop"}.Told()}, ""},
		{fleet.State{Host: fleet.Host{Name: "x"}}, ""},
	} {
		if got := typedFor(c.state); got != c.want {
			t.Errorf("%s: %q, want %q", c.state.Host.Name, got, c.want)
		}
	}
}

func FuzzParseListing(f *testing.F) {
	f.Add([]byte(listing))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = parseListing(b, time.Now())
		parseLook(b)
		p := progress{kinds: map[uint64]int{}}
		p.read(append([]byte("@nix "), b...))
		_ = p.failure()
	})
}

// TestRefusalOfAHostThatIsNotThere: a host that nobody reached refused nothing.
func TestRefusalOfAHostThatIsNotThere(t *testing.T) {
	gone := &Refusal{Host: "web", Why: "web is not reachable: no answer", Cure: "start it"}
	if got, want := gone.Error(), "web is not reachable: no answer; start it"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	full := &Refusal{Host: "web", Why: "its /var is full"}
	if got, want := full.Error(), "web refuses: its /var is full"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
