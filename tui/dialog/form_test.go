package dialog

import (
	"reflect"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
)

// TestAFormIsTyped: every letter goes into a line that is typed, also those that are
// keys elsewhere; Enter goes to the line that is empty still, and then on.
func TestAFormIsTyped(t *testing.T) {
	a := fleet.Action{ID: "copy", Keys: []string{"c"}, Choices: []fleet.Choice{
		{ID: "from", Typed: true, Values: []string{""}}, {ID: "to", Typed: true, Values: []string{""}}, {ID: "over", Values: []string{"no", "yes"}},
	}}
	press := func(d *Form, keys ...string) (e screen.Effect) {
		for _, k := range keys {
			e = d.Key(nil, key(k))
		}
		return e
	}
	d := NewForm(a, fleet.Target{Container: "web"})
	if e := press(d, "/", "y", "n", "q", "j", "k", "h", "l", "c", " ", "backspace", "enter"); e != nil || d.at != 1 {
		t.Fatalf("%v at %d: a line is empty", e, d.at)
	}
	d.Paste(nil, "/tmp/\x1b[31mx\n")
	if press(d, "tab"); d.at != 2 {
		t.Fatalf("at %d", d.at)
	}
	press(d, "space", "up", "z", "down")
	d.Tap(nil, tapChoice{0})
	done, ok := press(d, "end", "s", "enter").(screen.ClosePopup)
	if !ok {
		t.Fatal("Enter does not go on")
	}
	want := map[string]string{"from": "/ynqjkhlcs", "to": d.typed["to"].Value(), "over": "yes"}
	if got := done.Then.(Chosen).Target; got.Container != "web" || !reflect.DeepEqual(got.Chosen, want) || want["to"] != "/tmp/xz" && want["to"] != "/tmp/x z" && want["to"] != "/tmp/[31mxz" && want["to"] != "/tmp/[31mx z" {
		t.Errorf("%q, want %q", got.Chosen, want)
	}
	if e := press(NewForm(a, fleet.Target{}), "x", "esc"); e != (screen.ClosePopup{}) {
		t.Errorf("esc: %v", e)
	}
}
