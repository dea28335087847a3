package dialog

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

func TestGrace(t *testing.T) {
	at := time.Unix(0, 0)
	var g Grace
	g.begin(at)
	ms := func(n int) time.Time { return at.Add(time.Duration(n) * time.Millisecond) }
	for i := range 7 { // somebody types on
		if !g.swallow(ms(200*i), quietSurprise) {
			t.Fatalf("the key after %d ms counted", 200*i)
		}
	}
	if g.swallow(ms(1500), quietSurprise) {
		t.Error("keys never count while somebody types")
	}
	g.begin(at)
	if !g.swallow(ms(100), quietSurprise) || g.swallow(ms(600), quietSurprise) || g.swallow(ms(601), quietSurprise) {
		t.Error("keys do not count after a quiet moment")
	}
}

// clock is a time that tests move.
type clock struct{ now time.Time }

func (c *clock) get() time.Time { return c.now }

func key(name string) screen.Key {
	if len(name) == 1 {
		return screen.Key{Name: name, Text: name}
	}
	return screen.Key{Name: name}
}

func TestOnlyYesAgrees(t *testing.T) {
	for k, want := range map[string]string{"y": "agree", "n": "stop", "enter": "stop", "esc": "stop", "x": ""} {
		ck := &clock{time.Unix(100, 0)}
		j := NewJob(context.Background(), 0, fleet.Action{}, fleet.Target{})
		d := NewConfirm(j, ck.get)
		ck.now = ck.now.Add(time.Second)
		if e := d.Key(nil, key("y")); e != nil {
			t.Fatalf("agreed to a plan that is not there: %v", e)
		}
		j.Plan = &fleet.Plan{Title: "x"}
		d.Planned()
		if k != "esc" {
			if e := d.Key(nil, key(k)); e != nil {
				t.Errorf("%s counted before the plan could be read", k)
			}
		}
		ck.now = ck.now.Add(time.Second)
		got := ""
		if c, ok := d.Key(nil, key(k)).(screen.ClosePopup); ok {
			switch c.Then.(type) {
			case Agree:
				got = "agree"
			case Stop:
				got = "stop"
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", k, got, want)
		}
		j.Cancel()
	}
}

func TestANameMustBeTyped(t *testing.T) {
	ck := &clock{time.Unix(100, 0)}
	j := NewJob(context.Background(), 0, fleet.Action{}, fleet.Target{})
	defer j.Cancel()
	j.Plan = &fleet.Plan{Typed: "router"}
	d := NewConfirm(j, ck.get)
	ck.now = ck.now.Add(time.Second)
	d.Paste(nil, "router")
	wrong := func(typed string) {
		t.Helper()
		if f, ok := d.Key(nil, key("enter")).(screen.Flash); !ok || !strings.Contains(f.Text, "not router") {
			t.Fatalf("%q agreed, or it is not said that it is not the name", typed)
		}
	}
	d.Key(nil, key("y"))
	wrong("y")
	for _, k := range []string{"backspace", "r", "o", "u", "t", "e"} {
		if d.Key(nil, key(k)) != nil {
			t.Fatalf("%s ended it", k)
		}
	}
	wrong("route")
	d.Key(nil, key("r"))
	if c, ok := d.Key(nil, key("enter")).(screen.ClosePopup); !ok || c.Then != (Agree{j}) {
		t.Error("the name did not agree")
	}
}

func TestQuestionsRefuseByDefault(t *testing.T) {
	for _, c := range []struct {
		kind fleet.QuestionKind
		keys []string
		want any
	}{
		{fleet.AskHostKey, []string{"enter"}, fleet.Reply{Refuse: true}},
		{fleet.AskHostKey, []string{"n"}, fleet.Reply{Refuse: true}},
		{fleet.AskHostKey, []string{"y"}, fleet.Reply{}},
		{fleet.AskHostKey, []string{"q", "space"}, nil},
		{fleet.AskPassword, []string{"enter"}, nil},
		{fleet.AskPassword, []string{"y", "n", "enter"}, fleet.Reply{Text: "yn"}},
		{fleet.AskSudo, []string{"x", "esc"}, fleet.Reply{Refuse: true}},
		{fleet.AskVisit, []string{"enter"}, nil},
		{fleet.AskVisit, []string{"esc"}, fleet.Reply{Refuse: true}},
	} {
		ck := &clock{time.Unix(100, 0)}
		d := NewQuestion(fleet.Question{ID: 4, Kind: c.kind}, ck.get)
		ck.now = ck.now.Add(time.Second)
		var got any
		for _, k := range c.keys {
			if e, ok := d.Key(nil, key(k)).(screen.ClosePopup); ok {
				got = e.Then.(screen.Answer).Reply
			}
		}
		if got != c.want {
			t.Errorf("%s %v: %v, want %v", c.kind, c.keys, got, c.want)
		}
	}
}

func TestAJobKeepsItsLastLines(t *testing.T) {
	j := NewJob(context.Background(), 0, fleet.Action{Title: "restart"}, fleet.Target{Unit: "x.service", Hosts: []fleet.State{{Host: fleet.Host{Name: "a"}}, {Host: fleet.Host{Name: "b"}}}})
	defer j.Cancel()
	for range maxLines + 10 {
		j.Say("line\x1b[2J")
	}
	if l := j.Lines(); len(l) != maxLines || l[0] != "line" {
		t.Errorf("%d lines, %q", len(l), l[0])
	}
	if j.Title() != "restart x.service on a, b" || j.State() != "asking" {
		t.Errorf("%q %q", j.Title(), j.State())
	}
}

func TestOneActionIsOne(t *testing.T) {
	theme, err := themes.Named("")
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]string{1: "1 action is under way", 2: "2 actions are under way"} {
		canvas := widget.NewCanvas(80, 20, theme, themes.ASCII)
		(&Quit{Running: n}).Draw(nil, canvas.Pane())
		if got := ansi.Strip(canvas.String()); !strings.Contains(got, want) {
			t.Errorf("want %q in %s", want, got)
		}
	}
}
