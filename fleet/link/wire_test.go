package link_test

import (
	"testing"

	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

// TestNoOpeningIsWaitedForWithoutEnd: a channel that is opened when the connection
// has just ended is told so.
func TestNoOpeningIsWaitedForWithoutEnd(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := known(t, f, &person{})
	for range 100 {
		l := d.Open(f.Host("storage"))
		link.OpenAtTheEnd(t, l)
		l.Close()
	}
}
