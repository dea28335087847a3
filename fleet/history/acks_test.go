package history

import (
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// TestAcks: two processes know of each other's, one is taken back, and what is
// over is forgotten.
func TestAcks(t *testing.T) {
	dir := t.TempDir()
	one, two := open(t, dir), open(t, dir)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	until := time.Now().Add(time.Hour).UTC()
	must(one.SaveAcks(fleet.Acks{"1 unit:a.service": {Who: "ada", Until: until}}))
	must(two.SaveAcks(fleet.Acks{"2 host": {Who: "bea", Until: until}, "3 old": {Until: time.Now().Add(-time.Second)}}))
	got, err := one.Acks()
	if err != nil || len(got) != 2 || got["1 unit:a.service"].Who != "ada" || !got["2 host"].Until.Equal(until) {
		t.Errorf("%v %v", got, err)
	}
	must(two.SaveAcks(fleet.Acks{"1 unit:a.service": {}}))
	if got, _ := one.Acks(); len(got) != 1 {
		t.Errorf("one was taken back: %v", got)
	}
}
