package link_test

import (
	"maps"
	"testing"

	"github.com/sextant-fleet/sextant/fleet/link"
)

// TestSections: only a mark at the beginning of a line begins a section, and of two of
// one name the last counts.
func TestSections(t *testing.T) {
	got := link.Sections("before\n\nM a\nold\n\nM a\none\n\ntwo M b\n\nM empty\n\nM end\n", "M")
	want := map[string]string{"a": "one\n\ntwo M b", "empty": "", "end": ""}
	if !maps.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
