package tui

import (
	"slices"
	"testing"

	"github.com/sextant-fleet/sextant/tui/messagescreen"
)

func TestTrails(t *testing.T) {
	var n nav
	a, b, c := messagescreen.New(), messagescreen.New(), messagescreen.New()
	n.open(a)
	if n.leave() || n.step(-1) || n.step(1) || n.swap() {
		t.Fatal("there is somewhere to go from the first screen")
	}
	n.open(b)
	n.open(c)
	if !n.leave() || n.top() != b {
		t.Fatal("leaving c does not lead to b")
	}
	if !n.step(-1) || n.top() != c || !n.step(-1) || n.top() != b || !n.step(-1) || n.top() != a || n.step(-1) {
		t.Fatal("history does not lead back")
	}
	if !n.step(1) || n.top() != b || !n.swap() || n.top() != a || !n.swap() || n.top() != b {
		t.Fatal("the last screen is not the last screen")
	}
	n.open(a) // what was ahead is forgotten
	if n.step(1) || n.top() != a {
		t.Fatal("there is a future")
	}
	for range 2 * maxTrails {
		n.open(b)
		n.leave()
	}
	if len(n.trails) > maxTrails || n.at != len(n.trails)-1 {
		t.Fatalf("%d trails, at %d", len(n.trails), n.at)
	}
}

// TestNoKeyOpensTwoScreens: a key that works everywhere does one thing.
func TestNoKeyOpensTwoScreens(t *testing.T) {
	of := map[string]string{}
	for _, b := range builtin() {
		for _, k := range b.Keys {
			if !slices.Contains(b.In, "global") {
				continue
			}
			if other := of[k]; other != "" {
				t.Errorf("%s is %s and %s", k, other, b.ID)
			}
			of[k] = b.ID
		}
	}
}
