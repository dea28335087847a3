package labtest

import (
	"regexp"
	"testing"
	"time"
)

// Agree reads again what is held against a host, until nothing differs: between two
// readings hosts move. What differs to the end fails the test.
func Agree(t testing.TB, limit time.Duration, differs func() string) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(500 * time.Millisecond) {
		what := differs()
		if what == "" {
			return
		}
		if time.Now().After(end) {
			t.Errorf("after %s still: %s", limit, what)
			return
		}
	}
}

var ofCheck = regexp.MustCompile(`^[0-9a-f]{64}[-.]`)

// OfCheck tells whether a unit runs the health check of a container, whose ID it is
// named by: it comes and goes.
func OfCheck(unit string) bool { return ofCheck.MatchString(unit) }
