package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui"
	"github.com/sextant-fleet/sextant/tui/screen"
)

// boundKeys are the keys that the configuration binds, by the ID of what they
// do. An ID that does not exist is refused with the nearest one.
func boundKeys(keys map[string]string) (map[string][]string, error) {
	var ids []string
	for _, b := range tui.Bindings(actions()) {
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
	return bound, errors.Join(errs...)
}

// keysDoc is docs/keys.md.
func keysDoc() string {
	var b strings.Builder
	b.WriteString("# Keys\n\nMade from the key map by `go test ./cmd/sextant -update`; `?` in the program shows the same, with the reason where a key is off.\n" +
		"Nothing needs Ctrl, Alt or a function key, and everything can be tapped. `[ui] keys` in the [configuration](configuration.md) binds other keys, by ID.\n\n" +
		"| key | does | where | ID |\n|---|---|---|---|\n")
	for _, k := range tui.Bindings(actions()) {
		var names []string
		for _, key := range k.Keys {
			names = append(names, "`"+screen.KeyName(key)+"`")
		}
		does := k.Help
		if k.Action != nil && k.Action.Disabled != nil {
			if why := k.Action.Off(fleet.Target{}); why != "" {
				does += " (" + why + ")"
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", strings.Join(names, " "), does, strings.Join(k.In, ", "), k.ID)
	}
	return b.String()
}
