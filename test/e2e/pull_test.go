//go:build lab

package e2e

import (
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/test/labtest"
)

// upgrades gives a host a timer as system.autoUpgrade makes it, which has run.
const upgrades = `set -e
mkdir -p /run/systemd/system
printf '[Service]\nType=oneshot\nExecStart=/bin/true\n' >/run/systemd/system/nixos-upgrade.service
printf '[Timer]\nOnCalendar=04:40\n' >/run/systemd/system/nixos-upgrade.timer
systemctl daemon-reload
systemctl start nixos-upgrade.timer nixos-upgrade.service`

const noUpgrades = `systemctl stop nixos-upgrade.timer
rm -rf /run/systemd/system/nixos-upgrade.* /run/sextant
systemctl daemon-reload`

// TestPausesWhatDeploysByItself goes back on a host that upgrades itself: the
// timer is stopped first, stays so through the activation, and is no finding.
func TestPausesWhatDeploysByItself(t *testing.T) {
	lab := labtest.Load(t)
	l := lab.Link(t, "cloud")
	sh := func(script string) string { return strings.TrimSpace(labtest.Output(t, l, "sh", "-c", script)) }
	sh(upgrades)
	defer sh(noUpgrades) // before the link is closed
	timer := func() string { return sh("systemctl is-active nixos-upgrade.timer; true") }
	before := runs(t, "cloud")

	ui := screen(t, 120, 40) // with what is wrong with the host there may be much above it
	answer(ui)
	ui.Press("/").Send("cloud").WaitFor("1 of 10").Press("enter").WaitFor("pulls", "nixos-upgrade.timer")
	ui.Press("R").WaitFor("Roll cloud back", "deploys to it by itself").Press("esc").Press("q")

	out, errs, code := sextant(t, "rollback", "cloud", "--pause", "--yes", "--json")
	if code != 0 || !strings.Contains(errs, "paused nixos-upgrade.timer") || strings.Contains(out, "findings") {
		t.Errorf("%d: %s %s", code, out, errs)
	}
	if got := timer(); got != "inactive" {
		t.Errorf("after the roll-back the timer is %s", got)
	}
	// an activation starts the timers that the system has: this one is skipped, and that is no failure
	if got := sh("systemctl start nixos-upgrade.timer && systemctl is-active nixos-upgrade.timer; true"); got != "inactive" {
		t.Errorf("started while it is paused it is %s", got)
	}
	if _, errs, code := sextant(t, "pause", "cloud"); code != 10 {
		t.Errorf("paused twice: %d: %s", code, errs)
	}
	if _, errs, code := sextant(t, "rollback", "cloud", "--to", number(t, "cloud", before), "--yes"); code != 0 {
		t.Errorf("back again: %d: %s", code, errs)
	}
	if out, errs, code := sextant(t, "resume", "cloud", "--json"); code != 0 || !strings.Contains(out, "resumed nixos-upgrade.timer") {
		t.Errorf("resume: %d: %s %s", code, out, errs)
	}
	if got := timer(); got != "active" {
		t.Errorf("resumed it is %s", got)
	}
	if _, errs, code := sextant(t, "resume", "cloud"); code != 10 {
		t.Errorf("resumed twice: %d: %s", code, errs)
	}
}
