//go:build lab

package e2e

import (
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/test/labtest"
	"github.com/sextant-fleet/sextant/tui/tuitest"
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

	ui := screen(t, 120, 40)
	answer(ui)
	pulls(t, ui, "cloud", `pulls +nixos-upgrade\.timer`)
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

// pulls opens a host, on which what deploys to it by itself is to be seen.
func pulls(t *testing.T, ui *tuitest.Term, host, pattern string) {
	t.Helper()
	pick(ui, host)
	ui.Press("enter").WaitFor("[1 Overview]")
	see(t, ui, "what deploys to "+host, always(pattern))
}

// comin stands in for comin, which is not in the lab: a service of its name that
// only waits, and a store.json as comin's source has it written.
const comin = `set -e
mkdir -p /run/systemd/system /var/lib/comin
cat >/var/lib/comin/store.json <<EOF
{"deployments":[{"uuid":"1", "generation":{"source":{"git":{"selected_commit_id":"4f2a9c1e77aa"}}, "selected_commit_id":""}, "started_at":"$(date -u -d '-2 hours' +%Y-%m-%dT%H:%M:%SZ)", "ended_at":"$(date -u -d '-119 minutes' +%Y-%m-%dT%H:%M:%SZ)", "error_msg":"exit status 4", "status":"done", "operation":"switch"}], "generations":[]}
EOF
printf '[Service]\nExecStart=/bin/sleep infinity\n' >/run/systemd/system/comin.service
systemctl daemon-reload
systemctl start comin.service`

const noComin = `systemctl stop comin.service
rm -rf /run/systemd/system/comin.service /run/systemd/system/comin.service.d /run/sextant /var/lib/comin
systemctl daemon-reload`

// TestPausesComin goes back on a host that comin deploys to: its last run is told,
// with how it ended, it is stopped first, and started again when that is asked for.
func TestPausesComin(t *testing.T) {
	lab := labtest.Load(t)
	l := lab.Link(t, "vault")
	sh := func(script string) string { return strings.TrimSpace(labtest.Output(t, l, "sh", "-c", script)) }
	sh(comin)
	defer sh(noComin) // before the link is closed
	active := func() string { return sh("systemctl is-active comin.service; true") }
	before := runs(t, "vault")

	ui := screen(t, 40, 20)
	answer(ui)
	pulls(t, ui, "vault", `pulls +comin\.service[\s\S]{0,400}4f2a9c1e[\s\S]{0,400}failed 2h`) // a page may end within
	ui.Press("R").WaitFor("Roll vault back").Press("esc").Press("q")

	out, errs, code := sextant(t, "rollback", "vault", "--pause", "--yes", "--json")
	if code != 0 || !strings.Contains(errs, "paused comin.service") || strings.Contains(out, "findings") {
		t.Errorf("%d: %s %s", code, out, errs)
	}
	if got := active(); got != "inactive" {
		t.Errorf("after the roll-back it is %s", got)
	}
	if got := sh("systemctl start comin.service; systemctl is-active comin.service; true"); got != "inactive" {
		t.Errorf("started while it is paused it is %s", got)
	}
	if _, errs, code := sextant(t, "rollback", "vault", "--to", number(t, "vault", before), "--yes"); code != 0 {
		t.Errorf("back again: %d: %s", code, errs)
	}
	if out, errs, code := sextant(t, "resume", "vault", "--json"); code != 0 || !strings.Contains(out, "resumed comin.service") {
		t.Errorf("resume: %d: %s %s", code, out, errs)
	}
	if got := active(); got != "active" {
		t.Errorf("resumed it is %s", got)
	}
}
