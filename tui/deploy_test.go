package tui_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui"
)

// works is an action that is planned for as long as a test says, and remembers
// what it was asked.
type works struct {
	mu      sync.Mutex
	planned []fleet.Target
	ran     []fleet.Target
	stopped chan struct{} // the plan's context ended
	going   chan fleet.Plan
	fails   error
	more    chan []string
}

func (w *works) action() fleet.Action {
	return fleet.Action{
		ID: "deploy", Title: "Deploy", Help: "build and activate", Keys: []string{"D"}, Scope: fleet.ScopeHost, Danger: true,
		Choices: []fleet.Choice{
			{ID: "action", Title: "action", Values: []string{"switch", "boot", "test"}}, {ID: "confirm", Title: "confirm", Values: []string{"auto", "ask"}},
		},
		Prepare: func(ctx context.Context, t fleet.Target, say func(string)) (fleet.Plan, error) {
			w.mu.Lock()
			w.planned = append(w.planned, t)
			w.mu.Unlock()
			host := t.Hosts[0].Host.Name
			say(host + ": evaluating " + host)
			say(host + ": 3/17 built, 40/120 copied, 1.2 GiB, building caddy-2.10.0")
			select {
			case <-ctx.Done():
				close(w.stopped)
				return fleet.Plan{}, ctx.Err()
			case p := <-w.going:
				return p, w.fails
			}
		},
		Run: func(_ context.Context, t fleet.Target, say func(string)) error {
			w.mu.Lock()
			w.ran = append(w.ran, t)
			w.mu.Unlock()
			say("confirmed")
			return nil
		},
	}
}

func atWork() (*works, func(*tui.Options)) {
	w := &works{stopped: make(chan struct{}), going: make(chan fleet.Plan, 1), more: make(chan []string, 1)}
	return w, func(o *tui.Options) {
		o.Actions = append(slices.DeleteFunc(o.Actions, func(a fleet.Action) bool { return a.ID == "deploy" }), w.action())
	}
}

// plan is what the work is planned to do.
func (w *works) plan() fleet.Plan {
	return fleet.Plan{Title: "Deploy ~/fleet: switch", Lines: []string{"caddy 2.9.1 -> 2.10.0"}, More: func(context.Context) []string { return <-w.more }}
}

// TestDeployInThreeKeys: what is usual takes three keys, with progress on the way,
// and what is still missing of the plan is filled in.
func TestDeployInThreeKeys(t *testing.T) {
	for _, size := range sizes {
		w, with := atWork()
		o := sample()
		with(&o)
		term := open(t, o, size[0], size[1]).WaitFor("storage").Press("G")
		term.Press("D").WaitFor("< switch >", "< auto >").Press("enter")
		term.WaitFor("3/17 built", "1.2 GiB", "stop")
		w.going <- w.plan()
		term.WaitFor("caddy 2.9.1", "still reading what will change")
		w.more <- []string{"would restart the following units: caddy.service"}
		term.WaitFor("would restart").WaitGone("still reading what will change")
		time.Sleep(2 * time.Second) // what was pressed while it opened is swallowed
		term.Press("y").WaitFor("done after")
		w.mu.Lock()
		if len(w.ran) != 1 || len(w.planned) != 1 || w.ran[0].Hosts[0].Host.Name != "storage" || len(w.ran[0].Chosen) != 0 {
			t.Errorf("planned %+v, ran %+v", w.planned, w.ran)
		}
		w.mu.Unlock()
	}
}

// TestWhatIsChosenIsDone: other values reach the plan and the run.
func TestWhatIsChosenIsDone(t *testing.T) {
	w, with := atWork()
	o := sample()
	with(&o)
	term := open(t, o, 40, 20).WaitFor("storage").Press("G", "D").WaitFor("< switch >")
	term.Press("l").WaitFor("< boot >").Press("j", "h").WaitFor("< ask >").Press("k", "l").WaitFor("< test >").Press("l").WaitFor("< switch >").Press("h").WaitFor("< test >")
	w.going <- fleet.Plan{Title: "Deploy"}
	term.Press("enter").WaitFor("yes")
	time.Sleep(2 * time.Second)
	term.Press("y").WaitFor("done after")
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, got := range []fleet.Target{w.planned[0], w.ran[0]} {
		if got.Chosen["action"] != "test" || got.Chosen["confirm"] != "ask" {
			t.Errorf("%v was chosen", got.Chosen)
		}
	}
}

// TestAPlanCanBeStopped: leaving it ends what finds it out.
func TestAPlanCanBeStopped(t *testing.T) {
	w, with := atWork()
	o := sample()
	with(&o)
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "D").WaitFor("< switch >").Press("enter").WaitFor("3/17 built").Press("esc").WaitGone("3/17 built")
	select {
	case <-w.stopped:
	case <-time.After(10 * time.Second):
		t.Error("it goes on")
	}
	_ = term
}

// TestTheLogOfABuildThatFails is a key away, and scrolls.
func TestTheLogOfABuildThatFails(t *testing.T) {
	w, with := atWork()
	o := sample()
	with(&o)
	log := []string{"the build of /nix/store/x-caddy.drv failed:"}
	for range 60 {
		log = append(log, "cc: working")
	}
	w.fails = errors.New("storage: builder for caddy failed")
	term := open(t, o, 40, 20).WaitFor("storage").Press("G", "D").WaitFor("< switch >").Press("enter").WaitFor("3/17 built")
	w.going <- fleet.Plan{Log: append(log, "cc: boom")}
	term.WaitFor("It cannot be planned", "log of the build")
	time.Sleep(2 * time.Second)
	term.Press("l").WaitFor("the build of", "cc: working").Press(strings.Split(strings.Repeat("j ", 60), " ")[:60]...).WaitFor("cc: boom")
	term.Press("l").WaitFor("It cannot be planned")
}

// TestWhatCannotBePlannedIsChosenAnew: leaving the reason goes back to the form, which
// has what was typed; leaving that too asks nothing more.
func TestWhatCannotBePlannedIsChosenAnew(t *testing.T) {
	for _, size := range append(sizes, [2]int{32, 10}) {
		w := &works{stopped: make(chan struct{}), going: make(chan fleet.Plan, 1)}
		o := sample()
		a := w.action()
		a.Choices = append(a.Choices, fleet.Choice{ID: "flake", Title: "flake", Typed: true, Optional: true, Rare: true, Values: []string{""}, Hint: "~/fleet", Help: "where the systems are declared"})
		o.Actions = append(slices.DeleteFunc(o.Actions, func(a fleet.Action) bool { return a.ID == "deploy" }), a)
		term := open(t, o, size[0], size[1]).WaitFor("cloud").Press("G", "D").WaitFor("< switch >").Press("k").WaitFor("> more").Press("enter").WaitFor("> flake  ~/fleet")
		term.Press("~/flet").WaitFor("> flake  ~/flet")
		w.fails = errors.New("no such flake")
		w.going <- fleet.Plan{}
		term.Press("enter").WaitFor("It cannot be planned")
		time.Sleep(2 * time.Second)
		term.Press("esc").WaitFor("flake  ~/flet").Press("k", "backspace").WaitFor("> flake  ~/fle")
		term.Press("et", "enter").WaitFor("3/17 built").Press("esc").WaitGone("3/17 built")
		w.mu.Lock()
		if len(w.planned) != 2 || w.planned[0].Chosen["flake"] != "~/flet" || w.planned[1].Chosen["flake"] != "~/fleet" {
			t.Errorf("planned %+v", w.planned)
		}
		w.mu.Unlock()
	}
}
