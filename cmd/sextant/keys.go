package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui"
	"github.com/sextant-fleet/sextant/tui/screen"
)

// checkUI refuses what the UI could not be shown with, in every command: who writes a
// configuration tries it with the first that comes to mind.
func checkUI(ui discover.UIConfig) error {
	var errs []error
	if _, err := themes.Named(ui.Theme); err != nil {
		errs = append(errs, fmt.Errorf("[ui] theme: %w", err))
	}
	if _, err := themes.GlyphSet(ui.Glyphs); err != nil {
		errs = append(errs, fmt.Errorf("[ui] glyphs: %w", err))
	}
	if len(ui.Keys) > 0 { // else every command would make all bindings for nothing
		_, err := boundKeys(ui.Keys)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// boundKeys are the keys that the configuration binds, by the ID of what they
// do. An ID that does not exist is refused with the nearest one, and so is what leaves
// nobody a key to get about with.
func boundKeys(keys map[string]string) (map[string][]string, error) {
	var ids []string
	all := tui.Bindings(declared())
	for _, b := range all {
		ids = append(ids, b.ID)
	}
	bound := map[string][]string{}
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		switch near := fleet.Nearest(id, ids); {
		case slices.Contains(ids, id):
			bound[id] = strings.Fields(keys[id])
		case near != "":
			errs = append(errs, fmt.Errorf("[ui] keys: there is no action %q; did you mean %q?", id, near))
		default:
			errs = append(errs, fmt.Errorf("[ui] keys: there is no action %q; docs/keys.md lists them", id))
		}
	}
	k := screen.NewKeymap(all, bound)
	for _, id := range needed {
		if b, ok := k.Named(id); ok && len(b.Keys) == 0 {
			errs = append(errs, fmt.Errorf("[ui] keys: %s is left without a key; bind %s to another", id, id))
		}
	}
	for i, b := range all {
		for _, other := range all[i+1:] {
			if both := bothOf(bound[b.ID], bound[other.ID]); both != "" && b.Meets(other) {
				errs = append(errs, fmt.Errorf("[ui] keys: %s and %s both have %q", b.ID, other.ID, both))
			}
		}
	}
	return bound, errors.Join(errs...)
}

// bothOf is the first key that is in both lists; "" there is none.
func bothOf(a, b []string) string {
	if i := slices.IndexFunc(a, func(key string) bool { return slices.Contains(b, key) }); i >= 0 {
		return a[i]
	}
	return ""
}

// needed are the actions without whose keys nobody gets anywhere, or out again.
var needed = []string{"enter", "back", "palette", "help", "quit", "up", "down"}
