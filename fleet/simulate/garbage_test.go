package simulate_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/nixops"
)

// TestGarbageOfTheDemo deletes a generation and collects on a host that does not
// exist: what it says must make sense to its client, and the host has less after.
func TestGarbageOfTheDemo(t *testing.T) {
	y := inYard(t, "storage")
	before, err := y.Garbage(soon(t), y.host)
	if err != nil || before.Boot == nil || before.Store.Total == 0 || before.Dead == nil || before.Dead.Paths == 0 || len(before.BootFiles) == 0 || len(before.Unseen) != 0 {
		t.Fatalf("%+v, %v", before, err)
	}
	var free, kept int
	for _, u := range before.Generations {
		switch {
		case len(u.Kept) > 0:
			kept = u.Number
		case free == 0:
			free = u.Number
		}
	}
	var no *nixops.Refusal
	if gone, err := y.DeleteGenerations(soon(t), y.host, []int{free, kept}); !errors.As(err, &no) || len(gone) != 0 {
		t.Errorf("%d was deleted: %v, %v", kept, gone, err)
	}
	if gone, err := y.DeleteGenerations(soon(t), y.host, []int{free}); err != nil || !slices.Equal(gone, []int{free}) {
		t.Errorf("%v, %v", gone, err)
	}
	after, err := y.Garbage(soon(t), y.host)
	if _, there := after.Generation(free); err != nil || there || len(after.Generations) != len(before.Generations)-1 || after.Dead.Paths <= before.Dead.Paths {
		t.Errorf("%+v, %v", after, err)
	}
	var told []string
	freed, err := y.Collect(soon(t), y.host, func(line string) { told = append(told, line) })
	if err != nil || freed.Paths != after.Dead.Paths || freed.Bytes < after.Dead.Bytes-1<<20 || !strings.Contains(strings.Join(told, "\n"), "deleting path 1: ") {
		t.Errorf("%+v, %v: %q", freed, err, told)
	}
	if end, err := y.Garbage(soon(t), y.host); err != nil || end.Dead.Paths != 0 || end.Store.Used >= after.Store.Used {
		t.Errorf("%+v, %v", end, err)
	}
}

// TestCollectionIsGivenUp: what was freed until then is told.
func TestCollectionIsGivenUp(t *testing.T) {
	y := inYard(t, "storage")
	ctx, stop := context.WithCancel(soon(t))
	freed, err := y.Collect(ctx, y.host, func(line string) {
		if strings.HasPrefix(line, "deleting path") {
			stop()
		}
	})
	if !errors.Is(err, context.Canceled) || freed.Paths == 0 || !strings.Contains(err.Error(), "storage: stopped, ") {
		t.Errorf("%+v, %v", freed, err)
	}
}

// TestGarbageDuringADeploy: nothing is deleted while one is under way.
func TestGarbageDuringADeploy(t *testing.T) {
	y := inYard(t, "vault")
	dep := y.wait()
	g, err := y.Garbage(soon(t), y.host)
	if err != nil || !slices.Equal(g.Deploys, []string{dep.ID}) {
		t.Errorf("%+v, %v", g, err)
	}
	var no *nixops.Refusal
	if _, err := y.Collect(soon(t), y.host, func(string) {}); !errors.As(err, &no) || !no.Busy {
		t.Errorf("collecting: %v", err)
	}
	if _, err := y.DeleteGenerations(soon(t), y.host, []int{1}); !errors.As(err, &no) || !no.Busy {
		t.Errorf("deleting: %v", err)
	}
}
