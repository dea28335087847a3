package simulate_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/simulate"
	"github.com/sextant-fleet/sextant/nixops"
)

// clock is the hosts' clock: with every look at it a step passes, so that what
// comes on a host by itself comes after so many questions to it.
type clock struct {
	mu   sync.Mutex
	now  time.Time
	step time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(c.step)
	return c.now
}

// pass lets time pass at once.
func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// stop has no time pass any more but what pass says.
func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step = 0
}

// yard is a simulated host, and who deploys to it.
type yard struct {
	*nixops.Deployer
	t     *testing.T
	clock *clock
	fleet *simulate.Fleet
	host  fleet.Host
	began time.Time
	asked *asker
}

func inYard(t *testing.T, host string) *yard {
	t.Parallel()
	y := &yard{t: t, clock: &clock{now: time.Now(), step: 300 * time.Millisecond}, asked: &asker{}}
	f := begin(t, simulate.Options{Seed: 1, Now: y.clock.Now})
	y.fleet, y.host, y.began = f, f.Host(host), y.clock.Now()
	y.Deployer = &nixops.Deployer{Links: dialer(t, f), Ask: y.asked, Who: "ada", Client: "laptop", Differences: &nixops.Differences{}, Lasting: time.Millisecond}
	return y
}

// state is what the host tells of itself.
func (y *yard) state() fleet.State {
	y.t.Helper()
	return y.stateOf(y.host.Name)
}

func (y *yard) stateOf(host string) fleet.State {
	y.t.Helper()
	l := y.Links.Open(y.fleet.Host(host))
	st := probed(y.t, l)
	if slices.Contains(st.Inventory.Value.Files, "/var/lib/sextant/deploys") {
		list, err := nixops.Deploys(soon(y.t), l)
		if err != nil {
			y.t.Fatal(err)
		}
		st.Deploys = fleet.Known(list, time.Now(), "guard")
	}
	return st
}

func (y *yard) target() fleet.Target { return fleet.Target{Hosts: []fleet.State{y.state()}} }

// wait begins a roll-back that is left to wait.
func (y *yard) wait() fleet.Deploy {
	y.t.Helper()
	dep, err := y.RollBack(soon(y.t), y.target(), nixops.ConfirmNone, nil)
	if err != nil || dep.State != fleet.Awaiting || dep.Deadline.IsZero() {
		y.t.Fatalf("%+v, %v", dep, err)
	}
	return dep
}

// ended follows the newest deploy to its end.
func (y *yard) ended(want fleet.DeployState) fleet.Deploy {
	y.t.Helper()
	dep, err := y.Attach(soon(y.t), y.host, "", nixops.ConfirmElse, nil)
	if err != nil || dep.State != want {
		y.t.Fatalf("%+v, %v; want %s", dep, err, want)
	}
	return dep
}

// asker answers what it is asked, and keeps the questions.
type asker struct {
	mu     sync.Mutex
	asked  []fleet.Question
	answer fleet.Reply
}

func (a *asker) Ask(_ context.Context, q fleet.Question) (fleet.Reply, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, q)
	return a.answer, nil
}

// TestRollBackOfTheDemo goes back on a host that does not exist: what the guard
// says there must make sense to its client, and the host runs what was confirmed.
func TestRollBackOfTheDemo(t *testing.T) {
	y := inYard(t, "vault")
	target := y.target()
	earlier, err := nixops.Earlier(target.Hosts[0])
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(y.Actions(), func(a fleet.Action) bool { return a.ID == "rollback" })
	if why := y.Actions()[i].Off(target); why != "" {
		t.Fatal(why)
	}
	plan, err := y.Actions()[i].Plan(soon(t), target)
	if text := strings.Join(plan.Lines, "\n"); err != nil || !strings.Contains(text, "tailscale 1.80.2 -> 1.78.2") || strings.Contains(text, "cannot") {
		t.Errorf("%s, %v", text, err)
	}
	more := strings.Join(plan.More(soon(t)), "\n")
	for _, want := range []string{"the way in changes with it: sshd.service, tailscaled.service", "well within 300 s, it goes back by itself", "would restart"} {
		if !strings.Contains(more, want) {
			t.Errorf("%q is not filled in: %s", want, more)
		}
	}
	var states []fleet.DeployState
	var lines []string
	dep, err := y.RollBack(soon(t), target, nixops.ConfirmAuto, func(p nixops.Progress) {
		if p.Line == "" {
			states = append(states, p.Deploy.State)
		}
		lines = append(lines, p.Line)
	})
	if err != nil || dep.State != fleet.Confirmed || dep.Why != "by ada@laptop" {
		t.Fatalf("%+v, %v", dep, err)
	}
	if want := []fleet.DeployState{fleet.Activating, fleet.Awaiting, fleet.Committing, fleet.Confirmed}; !slices.Equal(slices.DeleteFunc(states, func(s fleet.DeployState) bool { return s == fleet.Staged }), want) {
		t.Errorf("it went through %v", states)
	}
	if !slices.Contains(lines, "activating the configuration...") || slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "== ") }) {
		t.Errorf("told was %q", lines)
	}
	after := y.state()
	if sys := after.System.Value; sys.Running.Generation != earlier.Number || sys.Default.Generation != earlier.Number {
		t.Errorf("running %+v, default %+v, want generation %d", sys.Running, sys.Default, earlier.Number)
	}
	if d := after.Deploys.Value; len(d) != 1 || d[0].Who != "ada" || d[0].From.Generation != target.Hosts[0].System.Value.Running.Generation || d[0].To.Generation != earlier.Number {
		t.Errorf("%+v", d)
	}
}

// TestTheFirstAnswerCounts leaves a deploy waiting and calls it off as another client.
func TestTheFirstAnswerCounts(t *testing.T) {
	y := inYard(t, "vault")
	before := y.state().System.Value.Running.Path
	dep := y.wait()
	if now := y.state().System.Value; now.Running.Path == before || now.Default.Path != before {
		t.Errorf("while it waits: running %s, default %s", now.Running.Path, now.Default.Path)
	}
	var no *nixops.Refusal
	if _, err := y.Do(soon(t), y.host, nixops.Change{Kind: "rollback", To: dep.From}, nil); !errors.As(err, &no) || !no.Busy {
		t.Errorf("another one: %v", err)
	}
	y.clock.stop()
	phone := &nixops.Deployer{Links: y.Links, Who: "ada", Client: "phone"}
	if a, err := phone.Cancel(soon(t), y.host, ""); err != nil || !a.Taken {
		t.Fatalf("%+v, %v", a, err)
	}
	if a, err := y.Confirm(soon(t), y.host, dep.ID); err != nil || a.Taken || a.Why != "answered before: cancel ada@phone" {
		t.Errorf("a second answer: %+v, %v", a, err)
	}
	y.clock.pass(500 * time.Millisecond)
	if _, err := y.Confirm(soon(t), y.host, dep.ID); !errors.As(err, &no) || !strings.Contains(no.Why, "too late: ROLLING_BACK") {
		t.Errorf("a late answer: %v", err)
	}
	y.clock.pass(time.Second)
	if a, err := y.Confirm(soon(t), y.host, dep.ID); err != nil || a.State != fleet.Cancelled {
		t.Errorf("an answer after the end: %+v, %v", a, err)
	}
	y.ended(fleet.Cancelled)
	if after := y.state().System.Value; after.Running.Path != before || after.Default.Path != before {
		t.Errorf("it runs %s", after.Running.Path)
	}
}

// TestNobodyConfirms: the host goes back by itself, at the time that was set last.
func TestNobodyConfirms(t *testing.T) {
	y := inYard(t, "vault")
	before := y.state().System.Value.Running.Path
	y.wait()
	y.clock.stop()
	if err := y.Extend(soon(t), y.host, "", 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	y.clock.pass(9 * time.Minute)
	if d := y.state().Deploys.Value[0]; d.State != fleet.Awaiting {
		t.Errorf("before its time: %+v", d)
	}
	y.clock.pass(2 * time.Minute)
	if d := y.ended(fleet.RolledBack); d.Why != "nobody confirmed in time" {
		t.Errorf("%+v", d)
	}
	if err := y.Extend(soon(t), y.host, "", time.Minute); err == nil {
		t.Error("what is over was given more time")
	}
	if after := y.state(); after.System.Value.Running.Path != before || !strings.Contains(after.Deploys.Value[0].Result, "rolled_back") {
		t.Errorf("it runs %s: %+v", after.System.Value.Running.Path, after.Deploys.Value[0])
	}
}

// TestAUnitThatFails: a person is asked about what the checks find, and the
// answer is what becomes of the unit too.
func TestAUnitThatFails(t *testing.T) {
	for answer, want := range map[string]struct {
		reply  fleet.Reply
		state  fleet.DeployState
		failed int
	}{"kept": {fleet.Reply{}, fleet.Confirmed, 1}, "sent back": {fleet.Reply{Refuse: true}, fleet.Cancelled, 0}} {
		t.Run(answer, func(t *testing.T) {
			y := inYard(t, "cottage")
			y.asked.answer = want.reply
			dep, err := y.RollBack(soon(t), y.target(), nixops.ConfirmAuto, nil)
			if err != nil || dep.State != want.state {
				t.Fatalf("%+v, %v", dep, err)
			}
			if q := y.asked.asked; len(q) != 1 || !slices.Contains(q[0].Detail, "restic-rest-server.service failed") {
				t.Errorf("asked %+v", q)
			}
			if failed := y.state().FailedUnits().Value; len(failed) != want.failed {
				t.Errorf("failed units: %v", failed)
			}
		})
	}
}

// TestHostsThatRefuse: nothing is changed, and it is said why.
func TestHostsThatRefuse(t *testing.T) {
	for host, why := range map[string]string{"desktop": "critical components change: dbus", "raspi3": "ended with 11"} {
		t.Run(host, func(t *testing.T) {
			y := inYard(t, host)
			target := y.target()
			dep, err := y.RollBack(soon(t), target, nixops.ConfirmAuto, nil)
			if dep.State != fleet.Refused || !strings.Contains(dep.Why, why) {
				t.Errorf("%+v, %v", dep, err)
			}
			if after := y.state().System.Value; after.Running != target.Hosts[0].System.Value.Running {
				t.Errorf("it runs %+v", after.Running)
			}
		})
	}
}

// TestThePast: storage has deploys behind it.
func TestThePast(t *testing.T) {
	y := inYard(t, "storage")
	list := y.state().Deploys.Value
	if len(list) != 2 || list[0].State != fleet.Confirmed || list[1].State != fleet.RolledBack || !list[0].Started.After(list[1].Started) {
		t.Errorf("%+v", list)
	}
}

// TestCominOfTheDemo: what deploys to a host by itself is told with its last run,
// stopped, and started again.
func TestCominOfTheDemo(t *testing.T) {
	y := inYard(t, "cottage")
	if got := y.state().Pullers(); len(got) != 1 || got[0].Unit != "comin.service" || got[0].Result != "success" || got[0].Last.IsZero() || len(got[0].Commit) != 40 {
		t.Fatalf("%+v", got)
	}
	if said, err := y.PausePull(soon(t), y.host); err != nil || said != "paused comin.service" {
		t.Fatalf("%q, %v", said, err)
	}
	if s := y.state(); len(s.Pullers()) != 0 || !s.PullPaused() {
		t.Errorf("paused: %+v", s.Pullers())
	}
	if _, err := y.PausePull(soon(t), y.host); err == nil {
		t.Error("it is paused twice")
	}
	if said, err := y.ResumePull(soon(t), y.host); err != nil || said != "resumed comin.service" {
		t.Fatalf("%q, %v", said, err)
	}
	if s := y.state(); len(s.Pullers()) != 1 || s.PullPaused() {
		t.Errorf("resumed: %+v", s.Pullers())
	}
}
