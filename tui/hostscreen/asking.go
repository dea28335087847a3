package hostscreen

import (
	"context"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// asking is a question under way, and when it may be asked again.
type asking struct {
	n     int                // numbers the questions: late answers to earlier ones are nobody's
	stop  context.CancelFunc // of the one under way; nil: there is none
	began time.Time
	took  time.Duration
	after time.Time // when the host's facts were read that it was asked after
	again bool      // it is wanted anew
}

// unitsEvery is how often what only a screen asks for is asked while it is looked
// at; a host that takes long to tell it is asked less often.
const unitsEvery = 10 * time.Second

// due tells whether it is time to ask. Like the store's facts it follows how
// often the host is asked at all: hardly ever, while nobody looks.
func (a *asking) due(now, read time.Time, moved bool) bool {
	switch {
	case a.stop != nil:
		return false
	case a.again || a.after.IsZero():
		return true
	case !read.After(a.after):
		return false
	}
	since := now.Sub(a.began)
	return since >= 10*a.took && (moved || since >= unitsEvery)
}

// begin notes that a question is asked, and gives its number and what ends it.
func (a *asking) begin(ctx context.Context, now, read time.Time) (context.Context, int) {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	a.n++
	a.stop, a.began, a.after, a.again = stop, now, read, false
	if a.after.IsZero() {
		a.after = now
	}
	return ctx, a.n
}

// end notes that a question was answered; false: nobody waits for that answer.
func (a *asking) end(n int, now time.Time) bool {
	if a.stop == nil || n != a.n {
		return false
	}
	a.drop()
	a.took = now.Sub(a.began)
	return true
}

// drop ends what is asked.
func (a *asking) drop() {
	if a.stop != nil {
		a.stop()
		a.stop = nil
	}
}

// readAt is when the host was last asked for its units by whoever keeps the store.
func readAt(st fleet.State) time.Time {
	if st.Units.ErrAt.After(st.Units.At) {
		return st.Units.ErrAt
	}
	return st.Units.At
}

// told is a fact of what was just asked for.
func told[T any](v T, err error, now time.Time, source string) fleet.Fact[T] {
	if err != nil {
		return fleet.Unknown[T](err, now, source)
	}
	return fleet.Known(v, now, source)
}
