package fleet_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

func TestHowAUnitEndedLast(t *testing.T) {
	for want, u := range map[string]fleet.Unit{
		"exit-code 2": {Result: "exit-code", ExitStatus: 2}, "timeout": {Result: "timeout"}, "0": {Result: "success", Exited: time.Unix(1, 0)},
		"3": {ExitStatus: 3, Exited: time.Unix(1, 0)}, "": {Result: "success"},
	} {
		if got := u.LastExit(); got != want {
			t.Errorf("%+v ended with %q, want %q", u, got, want)
		}
	}
}

func TestWhichUnitsAreListed(t *testing.T) {
	for u, want := range map[[3]string]bool{
		{"a.service", "loaded", "active"}: true, {"a.socket", "loaded", "inactive"}: true, {"a.mount", "loaded", "failed"}: true,
		{"a.service", "not-found", "inactive"}: false, {"a.target", "loaded", "active"}: false, {"a.service", "not-found", "failed"}: true,
		{strings.Repeat("0a", 32) + "-40969c72a670a5a1.service", "loaded", "failed"}: false,
	} {
		if got := (fleet.Unit{Name: u[0], Load: u[1], Active: u[2]}).Listed(); got != want {
			t.Errorf("%v: %v", u, got)
		}
	}
}

func TestLabelsAreReadBack(t *testing.T) {
	for _, u := range []fleet.Unit{{Name: "a.service"}, {Name: "a@b:c.service", User: "ada"}} {
		if name, user := fleet.UnitLabelled(u.Label()); name != u.Name || user != u.User {
			t.Errorf("%s is %q of %q", u.Label(), name, user)
		}
	}
}
