// Package nixops changes NixOS systems: deploy, confirm, roll back. Reading
// generations is the probe's part.
//
// In this version its actions are declared, so that they have their place in
// the screens, the keys and the command line, and are off with the reason.
package nixops

import "github.com/sextant-fleet/sextant/fleet"

// notYet is why an action is off in this version.
const notYet = "not in this version yet: it shows, and does not change hosts"

// Actions are what can be done to the systems of hosts.
func Actions() []fleet.Action {
	off := func(fleet.Target) string { return notYet }
	return []fleet.Action{
		{
			ID: "rollback", Title: "Roll back", Keys: []string{"R"}, Scope: fleet.ScopeHost, Danger: true, Disabled: off,
			Help: "run an older generation, and go back by itself unless the host can be reached",
		},
		{
			ID: "deploy", Title: "Deploy", Keys: []string{"D"}, Scope: fleet.ScopeHost, Danger: true, Disabled: off,
			Help: "build and activate the flake's system under guard",
		},
		{
			ID: "reboot", Title: "Reboot", Scope: fleet.ScopeHost, Danger: true, Disabled: off,
			Help: "restart the host and wait until it is back",
		},
	}
}
