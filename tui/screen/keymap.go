package screen

import (
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// Binding is something a key does. It is declared once, in package tui; help,
// footer, menu and palette are made of it.
type Binding struct {
	ID     string
	Title  string // a word or two: "logs"
	Help   string // one line
	Keys   []string
	In     []string // the groups it belongs to; "global" applies everywhere
	Danger bool     // changes a host
	Plain  bool     // moves about: not in the palette and the menu
	Off    func(*Context, Screen) string
	Action *fleet.Action
}

// Why gives the reason why the binding cannot be used now, or "".
func (b Binding) Why(c *Context, s Screen) string {
	switch {
	case b.Danger && c.ReadOnly:
		return "read-only"
	case b.Off != nil:
		return b.Off(c, s)
	}
	return ""
}

// Key is how the binding's first key is written, "" without one.
func (b Binding) Key() string {
	if len(b.Keys) == 0 {
		return ""
	}
	return KeyName(b.Keys[0])
}

// KeyName is how a key is written on the screen.
func KeyName(key string) string {
	switch key {
	case "pgup":
		return "PgUp"
	case "pgdown":
		return "PgDn"
	case "enter":
		return "Enter"
	}
	return key
}

// Keymap is all bindings.
type Keymap struct{ list []Binding }

// NewKeymap makes a key map. Keys that a person bound replace those declared,
// and are taken away from other bindings of the same groups.
func NewKeymap(list []Binding, rebound map[string][]string) *Keymap {
	k := &Keymap{list: slices.Clone(list)}
	for i, b := range k.list {
		if keys, ok := rebound[b.ID]; ok {
			k.list[i].Keys = keys
			continue
		}
		k.list[i].Keys = slices.DeleteFunc(slices.Clone(b.Keys), func(key string) bool {
			return slices.ContainsFunc(list, func(other Binding) bool {
				return other.ID != b.ID && slices.Contains(rebound[other.ID], key) && b.Meets(other)
			})
		})
	}
	return k
}

// Meets tells whether two bindings can apply at the same time.
func (b Binding) Meets(other Binding) bool {
	if slices.Contains(b.In, "global") || slices.Contains(other.In, "global") {
		return true
	}
	return slices.ContainsFunc(b.In, func(s string) bool { return slices.Contains(other.In, s) })
}

// All are all bindings in the order of their declaration.
func (k *Keymap) All() []Binding { return k.list }

// Named finds a binding by its ID.
func (k *Keymap) Named(id string) (Binding, bool) {
	i := slices.IndexFunc(k.list, func(b Binding) bool { return b.ID == id })
	if i < 0 {
		return Binding{}, false
	}
	return k.list[i], true
}

// Find finds what a key does in the given groups, the most special one first.
func (k *Keymap) Find(key string, scopes []string) (Binding, bool) {
	for _, scope := range append(slices.Clone(scopes), "global") {
		for _, b := range k.list {
			if slices.Contains(b.In, scope) && slices.Contains(b.Keys, key) {
				return b, true
			}
		}
	}
	return Binding{}, false
}

// In are the bindings that apply in the given groups, without those whose keys
// all mean something more special there.
func (k *Keymap) In(scopes []string) []Binding {
	scopes = append(slices.Clone(scopes), "global")
	var out []Binding
	for _, b := range k.list {
		if !slices.ContainsFunc(b.In, func(s string) bool { return slices.Contains(scopes, s) }) {
			continue
		}
		hidden := len(b.Keys) > 0
		for _, key := range b.Keys {
			if first, ok := k.Find(key, scopes); ok && first.ID == b.ID {
				hidden = false
			}
		}
		if !hidden {
			out = append(out, b)
		}
	}
	return out
}

// KeyList writes all keys of a binding: "k ↑".
func (b Binding) KeyList() string {
	names := make([]string, 0, len(b.Keys))
	for _, key := range b.Keys {
		names = append(names, KeyName(key))
	}
	return strings.Join(names, " ")
}
