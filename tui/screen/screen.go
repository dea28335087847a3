// Package screen is what the root model and the screens know of each other:
// what a screen is told, what it may ask for, and the key map. Screens do not
// know one another, and none of them does input or output.
package screen

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Widths from which screens are laid out differently, and the smallest size.
const (
	Wide      = 120 // list and detail side by side
	Split     = 80  // detail below the list
	Narrow    = 50  // below it: two lines a row
	MinWidth  = 32
	MinHeight = 10
)

// Context is what screens are told when they draw or handle a key.
type Context struct {
	Snap     fleet.Snapshot
	Fleet    words.Fleet // what the snapshot amounts to
	Now      time.Time
	Theme    *themes.Theme
	Glyphs   themes.Glyphs
	Keys     *Keymap
	Console  fleet.Console
	ReadOnly bool
	W, H     int // of the whole terminal
	Version  string
}

// Tell tells facts in the context's signs and at its time.
func (c *Context) Tell() words.Teller { return words.Teller{Now: c.Now, Glyphs: c.Glyphs} }

// Judge is what a host's facts amount to.
func (c *Context) Judge(st fleet.State) words.Judgement {
	if j, ok := c.Fleet.Hosts[st.Host.ID]; ok {
		return j
	}
	return words.Judge(st, c.Now)
}

// Word is the judgement's word in the context's signs.
func (c *Context) Word(j words.Judgement) string {
	if j.Word == words.Asking {
		return c.Glyphs.Asking
	}
	return j.Word
}

// Place is where a person is: a screen and what it shows.
type Place struct {
	Screen string
	Host   fleet.HostID
	Tab    string
	Item   string            // the container or unit within the tab
	Log    []fleet.LogSource // for the log screen
}

// Names of screens.
const (
	Fleet      = "fleet"
	Host       = "host"
	Logs       = "logs"
	Messages   = "messages"
	Containers = "containers"
	Deploys    = "deploys"
	Timeline   = "timeline"
)

// Trace is the screen of the way from a public name to what answers; Item is the URL.
const Trace = "trace"

// Secrets is the screen of encrypted files and who can read them.
const Secrets = "secrets"

// Backups is the screen of the backup jobs of all hosts.
const Backups = "backups"

// Exposure is the screen of who listens on all hosts, and who reaches it.
const Exposure = "exposure"

// Network is the screen of how all hosts are on their networks, or one where the
// place has a host; its tab is the list that is open.
const Network = "network"

// Matrix is the screen of the services of all hosts, and whether they are as they
// should be.
const Matrix = "matrix"

// Snapshots is the screen of the snapshots of one backup job: the place's item.
const Snapshots = "snapshots"

// Health is the screen of the problems of all hosts.
const Health = "health"

// Tailnet is the screen of the nodes of the tailnet.
const Tailnet = "tailnet"

// Alarms is the screen of what all monitoring raises.
const Alarms = "alarms"

// DNS is the screen of the DNS servers of all hosts, and of their names in mDNS.
const DNS = "dns"

// Load is the screen of how busy all hosts are.
const Load = "load"

// Images is the screen of the images of one host.
const Images = "images"

// Screen is one full-screen part of the UI.
type Screen interface {
	// Place is what the screen shows, for the title, history and focus.
	Place() Place
	// Title is the path to the screen, outermost first: "storage", "containers".
	Title(*Context) []string
	// Scopes are the groups of the key map that apply, the most special first.
	Scopes() []string
	// Hints are the IDs of the bindings worth a place in the footer, best first.
	Hints(*Context) []string
	// Draw draws the screen's body.
	Draw(*Context, widget.Pane)
	// Do does what a binding says, where it is the screen's to do.
	Do(c *Context, id string) Effect
	// Tap handles a tap on one of the screen's targets.
	Tap(c *Context, target any) Effect
	// Fresh is called after every new snapshot.
	Fresh(*Context) Effect
	// Receive gets messages that are nobody else's.
	Receive(*Context, tea.Msg) Effect
	// Open is called whenever the screen comes to the front, Close when it leaves.
	Open(*Context) Effect
	Close()
	// Back goes back one level inside of the screen; false: there is none.
	Back(*Context) bool
	// Target is what actions act on.
	Target(*Context) fleet.Target
	// Focus is what should be kept live.
	Focus(*Context) fleet.Focus
}

// Finder is a screen in which "/" looks for something.
type Finder interface {
	// Finding is the text that is looked for, and what the line is called.
	Finding() (text, label string)
	// Find looks for text; it is called after every key while typing.
	Find(c *Context, text string, done bool)
}

// Sieve is a screen that leaves lines out besides finding some.
type Sieve interface {
	Sieve() Finder
}

// Copier is a screen that has something to copy.
type Copier interface {
	Copy(*Context) (what, text string)
}

// Asker is a screen that asks for more than the store knows. It asks again when
// a person wants it, and when an action has changed something.
type Asker interface {
	Again(*Context) Effect
}

// Popup is drawn over a screen and gets all keys.
type Popup interface {
	Draw(*Context, widget.Pane)
	Key(*Context, Key) Effect
	Paste(*Context, string) Effect
	Tap(c *Context, target any) Effect
}

// Key is one press of a key: its name ("enter", "a"), the text it types, and
// the Latin letter in its place where it types another.
type Key struct {
	Name string
	Text string
	Base string
}

// Effect is what a screen asks of the root model: one of the types below, or
// nil. Screens change nothing but themselves.
type Effect any

// Go opens a place.
type Go struct{ Place Place }

// Leave goes back one level.
type Leave struct{}

// Flash shows a line for some seconds. Errors and warnings are kept in the messages.
type Flash struct {
	Level fleet.Level
	Host  string
	Text  string
}

// Copy puts text in the clipboard of the person's terminal.
type Copy struct{ What, Text string }

// Press does what a binding does.
type Press struct{ ID string }

// Run has a command run in the background.
type Run struct{ Cmd tea.Cmd }

// Theme changes the skin.
type Theme struct{ Name string }

// Answer answers a question.
type Answer struct {
	ID    int
	Reply fleet.Reply
}

// Show opens a popup.
type Show struct{ Popup Popup }

// ClosePopup closes the popup on top, then does what follows.
type ClosePopup struct{ Then Effect }

// All is several effects, in order.
type All []Effect

// TapKey is a tap on the name of a binding.
type TapKey struct{ ID string }

// TapRow is a tap on a row of a list.
type TapRow struct{ ID string }

// OpensRow tells whether a tap opens a row of a list: the first one selects it, and its
// detail begins at the top; one on the selected row opens it.
func OpensRow(target any, list *widget.List, detail *widget.Scroll) bool {
	t, ok := target.(TapRow)
	switch {
	case !ok:
		return false
	case list.Tap(t.ID):
		return true
	}
	detail.Reset()
	return false
}
