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
	d.Tap(nil, tapChoice{"from"})
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

// rare is an action with a line that is hardly ever chosen, and one that is asked
// only with a value of another.
var rare = fleet.Action{ID: "deploy", Keys: []string{"D"}, Choices: []fleet.Choice{
	{ID: "build", Title: "build", Values: []string{"here", "there"}},
	{ID: "builder", Title: "builder", Typed: true, Values: []string{""}, When: func(t fleet.Target) bool { return t.Chosen["build"] == "there" }},
	{ID: "flake", Title: "flake", Typed: true, Optional: true, Rare: true, Values: []string{""}, Wrong: func(t fleet.Target) string {
		if t.Chosen["flake"] == "wrong" {
			return "there is no such flake"
		}
		return ""
	}},
}}

// chosen presses keys until the form ends and gives what it chose; nil: it has not ended.
func chosen(d *Form, keys ...string) map[string]string {
	for _, k := range keys {
		if done, ok := d.Key(nil, key(k)).(screen.ClosePopup); ok {
			return done.Then.(Chosen).Target.Chosen
		}
	}
	return nil
}

// TestWhatIsRareIsBehindOneLine, and asks for nothing: one key takes what is usual.
func TestWhatIsRareIsBehindOneLine(t *testing.T) {
	for _, c := range []struct {
		keys []string
		want map[string]string
	}{
		{[]string{"enter"}, map[string]string{}},
		{[]string{"D"}, map[string]string{}},
		{[]string{"j", "enter", "x", "enter"}, map[string]string{"flake": "x"}},
		{[]string{"k", "l", "x", "enter"}, map[string]string{"flake": "x"}},
		{[]string{"l", "enter", "b", "enter"}, map[string]string{"build": "there", "builder": "b"}},
		{[]string{"l", "j", "b", "up", "h", "enter"}, map[string]string{"build": "here"}}, // what was typed is asked no more
		{[]string{"l", "j", "enter", "enter"}, nil},                                       // something must be typed
	} {
		if got := chosen(NewForm(rare, fleet.Target{}), c.keys...); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %q, not %q", c.keys, got, c.want)
		}
	}
}

// TestWhatIsWrongIsToldAndKept: the cursor goes there, the word stays to be mended,
// and nothing goes on before it is.
func TestWhatIsWrongIsToldAndKept(t *testing.T) {
	d := NewForm(rare, fleet.Target{Chosen: map[string]string{"flake": "wrong"}})
	if d.Key(nil, key("enter")) != nil || d.fault != "there is no such flake" || d.on().ID != "flake" {
		t.Fatalf("%q is told on %s", d.fault, d.on().ID)
	}
	if got := chosen(d, "s", "enter"); got["flake"] != "wrongs" || d.fault != "" {
		t.Errorf("%q, and %q is told", got, d.fault)
	}
}
