package tui_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// copied waits until the terminal was asked to keep a text in its clipboard,
// by OSC 52 as terminals read it, however far it stands.
func copied(t *testing.T, term *tuitest.Term, text string) {
	t.Helper()
	want := "\x1b]52;c;" + base64.StdEncoding.EncodeToString([]byte(text)) + "\x07"
	eventually(t, fmt.Sprintf("the clipboard has %q", text), func() bool { return strings.Contains(term.Raw(), want) })
}

func TestWhatIsSelectedIsCopied(t *testing.T) {
	term := open(t, sample(), 80, 24).WaitFor("> cloud").Press("y").WaitFor("copied name")
	copied(t, term, "cloud")
	term.Press("G", "3").WaitFor("jellyfin").Press("/", "jelly", "enter", "y")
	copied(t, term, "jellyfin")
	term.Press("esc", "4").WaitFor("immich-ml").Press("L").WaitFor("following", "/photos/59").Press("y").WaitFor("copied")
	eventually(t, "the clipboard has the log that is shown", func() bool {
		parts := strings.Split(term.Raw(), "\x1b]52;c;")
		coded, _, _ := strings.Cut(parts[len(parts)-1], "\x07")
		text, err := base64.StdEncoding.DecodeString(coded)
		return err == nil && strings.Contains(string(text), "/photos/59 200") && !strings.Contains(string(text), "/photos/1 200")
	})
}

func TestHostsAreAskedAgain(t *testing.T) {
	o := sample()
	term := open(t, o, 80, 24).WaitFor("> cloud").Press("r").WaitFor("asking every host again")
	term.Press("j", "space", "space", "r").WaitFor("asking desk, lab again")
	term.Press("esc", "G", "enter").WaitFor("[1 Overview]").Press("r").WaitFor("asking storage again")
	var asked []string
	for _, id := range console(o).Refreshes() {
		asked = append(asked, string(id))
	}
	if got := strings.Join(asked, " "); got != " n-desk n-lab n-storage" {
		t.Errorf("asked again are %q", got)
	}
}

func TestEveryRowIsMarkedOrNone(t *testing.T) {
	term := open(t, sample(), 80, 24).WaitFor("> cloud").Press("V").WaitFor(">*cloud", " *storage", " *router")
	if n := strings.Count(term.Screen(), "*"); n != 7 {
		t.Errorf("%d rows are marked:\n%s", n, term.Screen())
	}
	term.Press("V").WaitGone("*cloud").WaitGone("*storage")
	term.Press("/", "router", "enter").WaitFor("1 of 7").Press("V").WaitFor("*router").Press("esc").WaitGone("of 7").WaitFor("cloud")
	if s := term.Screen(); strings.Count(s, "*") != 1 || !strings.Contains(s, "*router") {
		t.Errorf("rows that were not shown are marked:\n%s", s)
	}
}

func TestTabsAreTurned(t *testing.T) {
	term := open(t, sample(), 120, 40).WaitFor("> cloud").Press("G", "enter").WaitFor("[1 Overview]")
	for _, step := range []struct{ key, see string }{
		{"tab", "[2 Generations]"}, {"l", "[3 Containers]"}, {"right", "[4 Units]"},
		{"h", "[3 Containers]"}, {"left", "[2 Generations]"}, {"shift+tab", "[1 Overview]"},
		{"h", "[8 Timeline]"}, {"l", "[1 Overview]"},
	} {
		term.Press(step.key).WaitFor(step.see)
	}
}

func TestPagesAreTurned(t *testing.T) {
	o := sample()
	o.Store = many(100)
	term := open(t, o, 80, 24).WaitFor("> host-0000")
	rows := strings.Count(term.Screen(), "host-0") - 1 // one is in the summary
	term.Press("pgdown").WaitGone("> host-0000")
	page := fmt.Sprintf("> host-%04d", rows-1)
	term.WaitFor(page).Press("pgdown").WaitGone(page).Press("pgup").WaitFor(page).Press("b").WaitFor("> host-0000")
	term.Press("end").WaitFor("> host-0099").Press("home").WaitFor("> host-0000")
}

func TestTheMouseIsTurnedOnAgain(t *testing.T) {
	term := open(t, sample(), 80, 24).WaitFor("storage").Press("m").WaitFor("mouse off")
	eventually(t, "the terminal reports the mouse no more", func() bool { return strings.Contains(term.Raw(), "\x1b[?1002l") })
	before := len(term.Raw())
	term.Press("m").WaitFor("mouse on")
	eventually(t, "the terminal reports it again", func() bool { return strings.Contains(term.Raw()[before:], "\x1b[?1002h") })
	term.ClickOn("router").WaitFor("> router")
}

func TestTheFilterIsTurnedRound(t *testing.T) {
	term := open(t, sample(), 80, 24).WaitFor("> cloud").Press("/", "!storage", "enter").WaitFor("6 of 7", "cloud", "desk", "lab", "laptop", "media-r2s", "router")
	term.WaitGone("storage  ")
	term.Press("esc").WaitGone("of 7").WaitFor("cloud", "router", "storage")
	term.Press("/", "!", "enter").WaitFor("cloud", "storage") // without nothing is everything
}

func TestALogIsWrappedAndFollowed(t *testing.T) {
	o := sample()
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "4", "L").WaitFor("following", "request 54, host photos")
	term.WaitFor("127.0.0.1:2283").Press("w").WaitFor("cut").WaitGone("127.0.0.1:2283") // longer than the screen is wide
	term.Press("l", "l", "right", "right").WaitFor("127.0.0.1:2283").Press("h", "h", "left", "left").WaitGone("127.0.0.1:2283").WaitFor("/photos/59")
	term.Press("w").WaitFor("127.0.0.1:2283").WaitGone("cut")
	term.Press("f").WaitFor("stopped").Press("f").WaitFor("following")
	term.Press("pgup").WaitFor("stopped").WaitGone("/photos/59").Press("pgdown").WaitFor("/photos/59", "following")
	term.Press("r")
	eventually(t, "the log is read again", func() bool { return len(console(o).OpenLogs()) == 2 })
	term.WaitFor("/photos/59", "following")
}
