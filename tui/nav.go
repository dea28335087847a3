package tui

import (
	"slices"

	"github.com/sextant-fleet/sextant/tui/screen"
)

// nav is where a person is and was. A trail is the screens one above the
// other, esc takes the top one off; history is the trails one after the other.
type nav struct {
	trails [][]screen.Screen
	at     int
	last   int // the trail that was left last, for "-"
}

// maxTrails bounds the history.
const maxTrails = 50

func (n *nav) trail() []screen.Screen { return n.trails[n.at] }

// top is the screen that is shown.
func (n *nav) top() screen.Screen {
	t := n.trail()
	return t[len(t)-1]
}

// under is the screen below the one that is shown.
func (n *nav) under() (screen.Screen, bool) {
	t := n.trail()
	if len(t) < 2 {
		return nil, false
	}
	return t[len(t)-2], true
}

// open puts a screen on top.
func (n *nav) open(s screen.Screen) {
	if len(n.trails) == 0 {
		n.trails = [][]screen.Screen{{s}}
		return
	}
	n.push(append(slices.Clone(n.trail()), s))
}

// push makes a trail the current one; those after it are forgotten.
func (n *nav) push(trail []screen.Screen) {
	n.trails = append(slices.Clip(n.trails[:n.at+1]), trail)
	if extra := len(n.trails) - maxTrails; extra > 0 {
		n.trails = n.trails[extra:]
	}
	n.last, n.at = max(0, len(n.trails)-2), len(n.trails)-1
}

// leave takes the top screen off; false: it is the last.
func (n *nav) leave() bool {
	t := n.trail()
	if len(t) < 2 {
		return false
	}
	n.push(t[:len(t)-1])
	return true
}

// step goes back or forward in history.
func (n *nav) step(by int) bool {
	to := n.at + by
	if to < 0 || to >= len(n.trails) {
		return false
	}
	n.last, n.at = n.at, to
	return true
}

// swap goes to the trail that was left last.
func (n *nav) swap() bool {
	if n.last == n.at || n.last >= len(n.trails) {
		return false
	}
	n.last, n.at = n.at, n.last
	return true
}
