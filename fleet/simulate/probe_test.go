package simulate_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/probe"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

// TestProbeAgain: what is told again is whole and of now, also where the host
// said only what moved.
func TestProbeAgain(t *testing.T) {
	f := begin(t, simulate.Options{})
	l, r := dialer(t, f).Open(f.Host("vault")), prober(t)
	read := func() probe.Facts {
		t.Helper()
		facts, err := r.Read(soon(t), l)
		if err != nil {
			t.Fatal(err)
		}
		return facts
	}
	first, second := read(), read()
	if len(first.Units.Value) == 0 || len(second.Units.Value) != len(first.Units.Value) || len(second.Generations.Value) != len(first.Generations.Value) {
		t.Errorf("%d units and %d generations, then %d and %d", len(first.Units.Value), len(first.Generations.Value), len(second.Units.Value), len(second.Generations.Value))
	}
	if !second.Units.At.After(first.Units.At) || second.System.Value.Uptime < first.System.Value.Uptime {
		t.Error("the second answer is not of now")
	}
	if second.Proc.Value.Before != first.Proc.Value.After {
		t.Error("rates are not over the time between the two")
	}
	unit := first.Units.Value[0].Name
	if res, err := l.Run(soon(t), link.Command{Args: []string{"systemctl", "stop", unit}, Root: true}); err != nil || res.Status != 0 {
		t.Fatal(res, err)
	}
	third := read()
	i := slices.IndexFunc(third.Units.Value, func(u fleet.Unit) bool { return u.Name == unit })
	if i < 0 || third.Units.Value[i].Active == "active" {
		t.Errorf("%s was stopped: %+v", unit, third.Units.Value)
	}
}

// TestProbeAfterTheConnection: a connection that broke takes the program with
// it; the next question begins another.
func TestProbeAfterTheConnection(t *testing.T) {
	f := begin(t, simulate.Options{})
	l, r := dialer(t, f).Open(f.Host("cloud")), prober(t)
	for range 3 {
		if _, err := r.Read(soon(t), l); err != nil {
			t.Fatal(err)
		}
		if err := f.SetFault("cloud", simulate.Fault{Refuse: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(soon(t), l); err == nil {
			t.Fatal("a host that is down answered")
		}
		if err := f.SetFault("cloud", simulate.Fault{}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestProbeThatHangs: who asks decides how long that may take; and a host that
// has come to is asked anew.
func TestProbeThatHangs(t *testing.T) {
	f := begin(t, simulate.Options{})
	l, r := dialer(t, f).Open(f.Host("cloud")), prober(t)
	if _, err := r.Read(soon(t), l); err != nil {
		t.Fatal(err)
	}
	hung := make(chan struct{})
	f.Script("# What a host is and has", func(c simulate.Call) int {
		close(hung)
		<-c.Context.Done()
		return 1
	})
	r.Close() // begins the program again
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("the person has left")
	go func() { <-hung; cancel(why) }()
	if _, err := r.Read(ctx, l); !errors.Is(err, why) {
		t.Errorf("it ended with %v", err)
	}
}

// TestProbeOfManyAtOnce asks one host from several sides.
func TestProbeOfManyAtOnce(t *testing.T) {
	f := begin(t, simulate.Options{})
	l, r := dialer(t, f).Open(f.Host("storage")), prober(t)
	done := make(chan error)
	for range 4 {
		go func() {
			_, err := r.Read(soon(t), l)
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
