package words

import (
	"errors"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestAges(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{{-1, ""}, {0, "now"}, {59 * time.Second, "now"}, {time.Minute, "1m"}, {3599 * time.Second, "59m"}, {time.Hour, "1h"}, {47 * time.Hour, "1d"}, {999 * 24 * time.Hour, "999d"}, {5 * 365 * 24 * time.Hour, "5y"}} {
		if got := Age(c.d); got != c.want || len(got) > 4 {
			t.Errorf("Age(%v) = %q, want %q", c.d, got, c.want)
		}
	}
	if got := AgoLong(now.Add(3*time.Hour), now); got != "in 3h" {
		t.Errorf("%q", got)
	}
	if got := AgoLong(time.Time{}, now); got != "never" {
		t.Errorf("%q", got)
	}
	if got := Limit(26 * time.Hour); got != "26h" {
		t.Errorf("%q", got)
	}
}

func TestBytes(t *testing.T) {
	for _, c := range []struct {
		n    uint64
		want string
	}{{0, "0B"}, {999, "999B"}, {1000, "1.0K"}, {1 << 20, "1.0M"}, {5 << 30, "5.0G"}, {16 << 30, "16G"}, {1023 << 20, "1.0G"}, {93 << 40, "93T"}, {^uint64(0), "16E"}} {
		if got := Bytes(c.n); got != c.want {
			t.Errorf("Bytes(%d) = %q, want %q", c.n, got, c.want)
		}
	}
}

// fine is a host of which everything was read, and nothing is wrong.
func fine() fleet.State {
	return fleet.State{
		Host:       fleet.Host{ID: "a", Name: "a"},
		Reach:      fleet.Known(fleet.Reach{State: fleet.Up, Via: fleet.ViaTailnet, Path: "relay"}, now, "ssh"),
		System:     fleet.Known(fleet.System{NixOS: true, Running: fleet.Toplevel{Path: "/x", Generation: 9}, Default: fleet.Toplevel{Path: "/x", Generation: 9}}, now, "probe"),
		Units:      fleet.Known([]fleet.Unit{}, now, "probe"),
		Containers: fleet.Known([]fleet.Container{}, now, "podman"),
		Backups:    fleet.Known([]fleet.BackupJob{}, now, "probe"),
		Metrics:    fleet.Known(fleet.Metrics{CPU: 0.5, Memory: fleet.Memory{Used: 1, Total: 2}}, now, "proc"),
		Alarms:     fleet.Nothing[[]fleet.Alarm]("no monitoring", now, "probe"),
	}
}

func TestUnknownNeverPassesForFine(t *testing.T) {
	offline := func(st *fleet.State) {
		st.Host.Presence = fleet.Known(fleet.Presence{LastSeen: now}, now, "tailscaled")
		*st = st.Lost(errors.New("timeout"), now)
	}
	for _, c := range []struct {
		name   string
		change func(*fleet.State)
		want   string
	}{
		{"all read", func(*fleet.State) {}, OK},
		{"never asked", func(st *fleet.State) { *st = fleet.State{} }, Unknown},
		{"asking for the first time", func(st *fleet.State) { *st = fleet.State{Asking: true} }, Asking},
		{"remembered", func(st *fleet.State) { st.Reach = st.Reach.Remember(now) }, Unknown},
		{"remembered, asking", func(st *fleet.State) { st.Reach, st.Asking = st.Reach.Remember(now), true }, Asking},
		{"only reached", func(st *fleet.State) { *st = fleet.State{Reach: st.Reach} }, Unknown},
		{"units never asked", func(st *fleet.State) { st.Units = fleet.Fact[[]fleet.Unit]{} }, Unknown},
		{"backups never asked", func(st *fleet.State) { st.Backups = fleet.Fact[[]fleet.BackupJob]{} }, Unknown},
		{"backups unreadable", func(st *fleet.State) {
			st.Backups = fleet.Unknown[[]fleet.BackupJob](errors.New("denied"), now, "probe")
		}, Unknown},
		{"a unit failed", func(st *fleet.State) { st.Units.Value = []fleet.Unit{{Name: "x.service", Active: "failed"}} }, Fail},
		{"reboot", func(st *fleet.State) { st.System.Value.RebootNeeded = true }, Warn},
		{"lost", func(st *fleet.State) { *st = st.Lost(errors.New("timeout"), now) }, Unknown},
		{"offline", offline, Off},
	} {
		st := fine()
		c.change(&st)
		if j := Judge(st, now); j.Word != c.want {
			t.Errorf("%s: %s, want %s (%v)", c.name, j.Word, c.want, j.Problems)
		}
	}
}

func TestCells(t *testing.T) {
	w := Teller{Now: now, Glyphs: themes.Unicode}
	none := fleet.State{}
	for name, got := range map[string]Cell{
		"path": w.Path(none), "generation": w.Generation(none), "failed": w.Failed(none), "containers": w.Containers(none), "backups": w.Backups(none),
		"cpu": w.CPU(none), "memory": w.Memory(none), "disk": w.Disk(none), "alarms": w.Alarms(none),
	} {
		if got.Text != "?" || got.Role != themes.Unknown {
			t.Errorf("%s of a host nobody asked is %+v", name, got)
		}
	}
	asking := fleet.State{Asking: true}
	if got := w.Containers(asking); got.Text != "…" {
		t.Errorf("while asking: %+v", got)
	}
	st := fine()
	st.Metrics.Value.CPU = -1
	for name, c := range map[string]struct{ got, want Cell }{
		"path":           {w.Path(st), Cell{Text: "relay"}},
		"generation":     {w.Generation(st), Cell{Text: "9"}},
		"no alarms":      {w.Alarms(st), Cell{Text: "–", Role: themes.Dim}},
		"no disk told":   {w.Disk(st), Cell{Text: "?", Role: themes.Unknown}},
		"no cpu told":    {w.CPU(st), Cell{Text: "?", Role: themes.Unknown}},
		"memory":         {w.Memory(st), Cell{Text: "50%"}},
		"no backup jobs": {w.Backups(st), Cell{Text: "–", Role: themes.Dim}},
	} {
		if c.got != c.want {
			t.Errorf("%s: %+v, want %+v", name, c.got, c.want)
		}
	}
}

func TestOldFactsShowTheirAge(t *testing.T) {
	w, st := Teller{Now: now, Glyphs: themes.Unicode}, fine()
	st.Containers = fleet.Known([]fleet.Container{{State: "running"}}, now.Add(-26*time.Minute), "podman").Refresh(fleet.Unknown[[]fleet.Container](errors.New("denied"), now, "podman"))
	if got := w.Containers(st); got.Text != "1/1" || got.Age != "26m" || got.Role != themes.Unknown {
		t.Errorf("%+v", got)
	}
	st = fine().Lost(errors.New("timeout"), now)
	st.Containers.At = now.Add(-time.Hour)
	if got := w.Containers(st); got.Role != themes.Dim || got.Age != "" {
		t.Errorf("%+v", got)
	}
	if got := w.Age(st, Judge(st, now)); got.Text != "1h" {
		t.Errorf("%+v", got)
	}
}

func TestBackupsAreCountedWorstFirst(t *testing.T) {
	w, st := Teller{Now: now, Glyphs: themes.Unicode}, fine()
	for _, s := range []fleet.BackupState{fleet.BackupFresh, fleet.BackupStale, fleet.BackupFresh, fleet.BackupUnknown} {
		st.Backups.Value = append(st.Backups.Value, fleet.BackupJob{State: s})
	}
	if got := w.Backups(st); got.Text != "1stale 1? 2ok" || got.Role != themes.Warn {
		t.Errorf("%+v", got)
	}
	if got := w.BackupsWorst(st); got.Text != "1stale/4" || got.Role != themes.Warn {
		t.Errorf("in a column: %+v", got)
	}
	st.Backups.Value = st.Backups.Value[:1]
	if got := w.BackupsWorst(st); got.Text != "1ok" || got.Role != themes.Text {
		t.Errorf("all well: %+v", got)
	}
	for _, s := range []fleet.BackupState{fleet.BackupUnknown, "", "new word"} {
		if got := BackupState(s); got.Text != "?" {
			t.Errorf("%q is told as %q", s, got.Text)
		}
	}
}

func TestTheSum(t *testing.T) {
	good, broken := fine(), fine()
	good.Host.ID, broken.Host.ID = "f", "b"
	broken.Units.Value = []fleet.Unit{{Active: "failed"}}
	f := JudgeAll([]fleet.State{good, broken, {Host: fleet.Host{ID: "n"}}, {Host: fleet.Host{ID: "l"}, Asking: true}}, now)
	var text string
	for _, p := range f.Sum("~") {
		text += p.Text + ";"
	}
	if text != "4 hosts;1 ok;1 FAIL;1 ?;1 ~;" {
		t.Errorf("%q", text)
	}
	if one := (Fleet{Total: 1}).Sum(""); one[0].Text != "1 host" {
		t.Errorf("%q", one[0].Text)
	}
}
