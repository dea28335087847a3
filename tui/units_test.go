package tui_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// TestUnitsAreAskedForOnlyWhileTheirTabIsOpen: systemctl takes long to tell them.
func TestUnitsAreAskedForOnlyWhileTheirTabIsOpen(t *testing.T) {
	o := sample()
	var later atomic.Int64 // seconds
	o.Now = func() time.Time { return tuitest.Now.Add(time.Duration(later.Load()) * time.Second) }
	c := console(o)
	newer := func(seconds int64) { // the probe told something again
		later.Add(seconds)
		o.Store.Update("n-storage", func(s *fleet.State) { s.Units.At = o.Now() })
	}
	asked := func(n int) {
		t.Helper()
		eventually(t, "the units were asked for again", func() bool { return len(c.AskedUnits()) >= n })
	}
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "enter").WaitFor("[1 Overview]")
	newer(20)
	term.Settle(200 * time.Millisecond)
	if got := c.AskedUnits(); len(got) != 0 {
		t.Errorf("asked for %v before the tab was opened", got)
	}
	term.Press("4").WaitFor("[units 11]")
	newer(1) // they are young
	term.Settle(200 * time.Millisecond)
	if got := c.AskedUnits(); len(got) != 1 || got[0] != "n-storage" {
		t.Errorf("asked for %v", got)
	}
	newer(20)
	asked(2)
	term.Press("r").WaitFor("asking storage again") // a person wants to know it now
	asked(3)
	term.Press("enter").WaitFor("srv-photos.mount")
	newer(20)
	asked(5)
	if got := c.AskedUnits()[3:]; !slices.Equal(got, []string{"podman-immich-ml.service", "podman-immich-ml.service"}) {
		t.Errorf("while one unit is open, asked for %v", got)
	}
	term.Press("esc").WaitFor("[units 11]").Press("3").WaitFor("[3 Containers]")
	n := len(c.AskedUnits())
	newer(20)
	term.Press("esc").WaitFor("desk").Settle(200 * time.Millisecond)
	newer(20)
	if term.Settle(200 * time.Millisecond); len(c.AskedUnits()) > n {
		t.Errorf("asked for %v", c.AskedUnits()[n:])
	}
}

// TestAUnitThatMovedIsAskedAfterAtOnce: the probe and the list do not tell two
// different things for long.
func TestAUnitThatMovedIsAskedAfterAtOnce(t *testing.T) {
	o := sample()
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "4").WaitFor("[units 11]")
	list := *tuitest.AllUnits()
	for i := range list.Units {
		if list.Units[i].Name == "nginx.service" {
			list.Units[i].Active, list.Units[i].Sub = "failed", "failed"
		}
	}
	c := console(o)
	n := len(c.AskedUnits())
	o.Store.Update("n-storage", func(s *fleet.State) {
		s.Units.At, s.Units.Value = tuitest.Now.Add(time.Second), slices.Clone(s.Units.Value)
		s.Units.Value[0].Active = "failed"
	})
	eventually(t, "the units were asked for again", func() bool { return len(c.AskedUnits()) == n+1 })
	term.Settle(100 * time.Millisecond)
}

// TestUnitsAreAskedForAfterAnAction: what was done is seen at once.
func TestUnitsAreAskedForAfterAnAction(t *testing.T) {
	o := sample()
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "4").WaitFor("[units 11]")
	n := len(console(o).AskedUnits())
	term.Press(".").WaitFor("podman-immich-ml.service on storage", "restart unit").Press("enter").WaitFor("systemctl restart podman-immich-ml.service").Settle(600 * time.Millisecond)
	term.Press("y").WaitFor("done")
	eventually(t, "the units were asked for again", func() bool { return len(console(o).AskedUnits()) > n })
}

// TestTheAnswerToNobody: who leaves while the units are asked for ends the
// question, and who comes back asks anew.
func TestTheAnswerToNobody(t *testing.T) {
	o := sample()
	c, ended := console(o), make(chan error, 10)
	c.OnUnits = func(ctx context.Context) (fleet.UnitList, error) {
		if len(c.AskedUnits()) > 1 {
			return *tuitest.AllUnits(), nil
		}
		<-ctx.Done()
		ended <- ctx.Err()
		return fleet.UnitList{}, errors.New("late")
	}
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "4").WaitFor("asking", "[units 5]", "timers …")
	term.Press("M").WaitFor("7 hosts found")
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the question ended with %v", err)
	}
	term.Press("esc").WaitFor("[units 11]").WaitGone("late")
}

// TestUsersUnitsAreTheirs: an action and a log on one of them say whose it is.
func TestUsersUnitsAreTheirs(t *testing.T) {
	o := sample()
	var got fleet.Target
	o.Actions = []fleet.Action{{
		ID: "unit-start", Title: "start unit", Help: "start", Scope: fleet.ScopeUnit, Danger: true,
		Plan: func(_ context.Context, to fleet.Target) (fleet.Plan, error) {
			got = to
			return fleet.Plan{Title: "Start " + to.Unit + " of " + to.User}, nil
		},
		Run: func(context.Context, fleet.Target, func(string)) error { return nil },
	}}
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "4").WaitFor("[units 11]")
	term.Press("/", "photos-sync.service", "enter").WaitFor("> ada: photos-sync.service").Press("enter").WaitFor("exit-code 3", "Last lines of photos-sync")
	term.Press(".").WaitFor("photos-sync.service on storage").Press("enter").WaitFor("Start photos-sync.service of ada").Press("esc")
	if got.Unit != "photos-sync.service" || got.User != "ada" {
		t.Errorf("%+v", got)
	}
	term.WaitGone("Start photos-sync").Press("L").WaitFor("following")
	logs := console(o).OpenLogs()
	if of := logs[len(logs)-1].Query.Sources[0]; of.Unit != "photos-sync.service" || of.User != "ada" {
		t.Errorf("%+v", of)
	}
}

// TestTheLogOfATimerIsThatOfWhatItStarts, by its key and by a tap.
func TestTheLogOfATimerIsThatOfWhatItStarts(t *testing.T) {
	o := sample()
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "4").WaitFor("[units 11]").ClickOn("timers 5").WaitFor("> logrotate.timer", "NOT ACTIVE")
	term.Press("enter").WaitFor("Last lines of logrotate").Press("pgdown").WaitFor("the whole log").ClickOn("the whole log").WaitFor("following")
	logs := console(o).OpenLogs()
	if of := logs[len(logs)-1].Query.Sources[0]; of.Unit != "logrotate.service" {
		t.Errorf("%+v", of)
	}
	term.Press("esc").WaitFor("the whole log").Press("esc").WaitFor("[timers 5]").Press("t").WaitFor("[units 11]")
}

// TestUnitsAreSorted: the failed ones are first until somebody sorts.
func TestUnitsAreSorted(t *testing.T) {
	term := open(t, sample(), 120, 40).WaitFor("storage").Press("G", "4").WaitFor("[units 11]")
	order := func(want ...string) {
		t.Helper()
		at := -1
		for _, name := range want {
			i := strings.Index(term.Screen(), name)
			if i <= at {
				t.Errorf("%s is not where it belongs:\n%s", name, term.Screen())
			}
			at = i
		}
	}
	order("ada: photos-sync.service", "podman-immich-ml", "ada: photos-sync.timer", "nginx.service", "tailscaled")
	by := func(what, arrow string) {
		t.Helper()
		term.Press("s").WaitFor("Sort by").Press(what, "enter").WaitGone("Sort by").WaitFor(arrow)
	}
	by("when it", "since↓")
	order("podman-immich-ml", "restic-backups-home.service", "ada: photos-sync.service", "ada: photos-sync.timer")
	by("memory", "memory↓")
	order("tailscaled", "nginx.service", "sshd.service", "ada: syncthing")
	term.ClickOn("memory↓").WaitFor("memory↑")
	order("sshd.service", "nginx.service", "tailscaled", "ada: syncthing")
	term.Press("t").WaitFor("[timers 5]")
	order("logrotate.timer", "systemd-tmpfiles-clean.timer", "ada: photos-sync.timer", "restic-backups-home.timer", "fstrim.timer")
	by("last run", "last↓")
	order("restic-backups-home.timer", "systemd-tmpfiles-clean.timer", "ada: photos-sync.timer", "logrotate.timer", "fstrim.timer")
	term.Press("a").WaitFor("[all kinds 14]", "system.slice").Press("a").WaitFor("[units 11]").WaitGone("system.slice")
}

// TestWhatIsNotKnownOfUnitsIsSaid: an answer that failed leaves what was known,
// with its age and the reason.
func TestWhatIsNotKnownOfUnitsIsSaid(t *testing.T) {
	o := sample()
	c := console(o)
	c.OnUnits = func(context.Context) (fleet.UnitList, error) {
		if len(c.AskedUnits()) > 1 {
			return fleet.UnitList{}, fleet.WithCure(errors.New("systemctl tells no units"), "look at it with S")
		}
		return *tuitest.AllUnits(), nil
	}
	c.LogErr = errors.New("the journal is closed to ada")
	c.OneUnit = func(string, string, bool) (fleet.UnitDetail, error) {
		return fleet.UnitDetail{}, errors.New("systemctl does not tell of it")
	}
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "4").WaitFor("[units 11]", "units of user 1002: not root", "log in as root").Press("r")
	term.WaitFor("systemctl tells no units", "→ look at it with S", "ada: photos-sync.service")
	term.Press("enter").WaitFor("? systemctl does not tell of it", "? the journal is closed to ada", "exit-code 137")
}

// TestWhatAUnitKeepsSecretIsShownWhenAsked: and no longer than the unit is open.
func TestWhatAUnitKeepsSecretIsShownWhenAsked(t *testing.T) {
	term := open(t, sample(), 120, 60).WaitFor("storage").Press("G", "4").WaitFor("[units 11]").Press("enter")
	term.WaitFor("Environment=PATH=(hidden)", "v shows the 1 that are hidden; read as root").Press("v").WaitFor("PATH="+tuitest.Secret, "v hides again")
	term.Press("v").WaitGone(tuitest.Secret).WaitFor("PATH=(hidden)").Press("v").WaitFor(tuitest.Secret)
	term.Press("esc").WaitFor("[units 11]").Press("enter").WaitFor("PATH=(hidden)")
	if strings.Contains(term.Screen(), tuitest.Secret) {
		t.Error("it is shown to who opens the unit again")
	}
}

// TestMarkedUnitsAreActedOnTogether, and their logs are one.
func TestMarkedUnitsAreActedOnTogether(t *testing.T) {
	o := sample()
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "4").WaitFor("[units 11]").Press("g", "space", "space").WaitFor("*ada: photos-sync.service", "*podman-immich-ml")
	term.Press(".").WaitFor("(2 marked) on storage").Press("enter").WaitFor("restart unit: 2 marked", "systemctl restart photos-sync.service", "podman-immich-ml.service; what").Press("esc")
	term.WaitGone("restart unit: 2").Press("L").WaitFor("following")
	logs := console(o).OpenLogs()
	if of := logs[len(logs)-1].Query.Sources; len(of) != 2 || of[0].User != "ada" || of[1].Unit != "podman-immich-ml.service" {
		t.Errorf("%+v", of)
	}
}
