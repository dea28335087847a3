// Package tui is the terminal UI: the root model, the router between screens,
// the key map and the program around them. Screens live in folders of their
// own. It reads facts from a fleet.Store, asks for what is not a fact through
// a fleet.Console, and does what fleet.Actions say; it imports nothing else of
// this module but the themes, and does no input or output in Update.
package tui

import (
	"cmp"
	"io"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Options are what the UI is made of.
type Options struct {
	Store    *fleet.Store
	Console  fleet.Console
	Actions  []fleet.Action
	Theme    string              // a name of themes.Names; "" is the default
	Glyphs   string              // "unicode" (also ""), "block" or "ascii"
	ReadOnly bool                // nothing that changes a host can be done
	Keys     map[string][]string // keys by ID of a binding or an action, in place of the declared ones
	Now      func() time.Time    // the clock that ages are told by; nil: time.Now
	Version  string
	NoMouse  bool

	// For tests and for serving the UI elsewhere; nil: this process's own.
	Input   io.Reader
	Output  io.Writer
	Environ []string
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Store == nil {
		o.Store = fleet.NewStore()
	}
	if o.Console == nil {
		o.Console = nobody{}
	}
	o.Version = cmp.Or(o.Version, "dev")
	return o
}
