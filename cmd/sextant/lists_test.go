package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// listed states: one host that tells, one that has stopped answering, one of
// which nothing was asked, one that has nothing.
func fourStates(at time.Time) []fleet.State {
	well := fleet.State{
		Host: fleet.Host{Name: "well"}, Reach: fleet.Known(fleet.Reach{State: fleet.Up}, at, "ssh"),
		Containers: fleet.Known([]fleet.Container{{Name: "web", State: "running"}}, at, "podman 5.4.2"),
		Units:      fleet.Known([]fleet.Unit{{Name: "web.service", Active: "active"}}, at, "probe"),
		Backups:    fleet.Known([]fleet.BackupJob{{Name: "home", State: fleet.BackupFresh}}, at, "units, timers"),
		Alarms:     fleet.Known([]fleet.Alarm{{Name: "ram", Status: "WARNING"}}, at, "netdata v1.37.1"),
	}
	lost := well
	lost.Host.Name = "lost"
	lost = lost.Lost(errors.New("no answer"), at.Add(3*time.Hour))
	none := fleet.State{
		Host: fleet.Host{Name: "none"}, Reach: well.Reach,
		Containers: fleet.Nothing[[]fleet.Container]("no engine", at, "probe"), Units: fleet.Nothing[[]fleet.Unit]("no systemd", at, "probe"),
		Backups: fleet.Nothing[[]fleet.BackupJob]("no jobs", at, "units, timers"), Alarms: fleet.Nothing[[]fleet.Alarm]("no monitoring", at, "netdata"),
	}
	return []fleet.State{lost, none, {Host: fleet.Host{Name: "unasked"}}, well}
}

// TestListsTellTheirAge: each list says of every host when and by whom its part
// was told, and what was known where it is not told now.
func TestListsTellTheirAge(t *testing.T) {
	at := time.Now().Add(-4 * time.Hour).Truncate(time.Second)
	for name, c := range map[string]struct {
		print  func(io.Writer, options, []fleet.State) error
		source string
		exit   int
	}{
		"containers": {func(w io.Writer, o options, states []fleet.State) error { return printContainers(w, o, states, false) }, "podman 5.4.2", exitUnknown},
		"jobs":       {printBackups, "units, timers", exitUnknown},
		"alarms": {func(w io.Writer, o options, states []fleet.State) error {
			return printAlarmsOf(w, o, fleet.Snapshot{Hosts: states}, states, true, false)
		}, "netdata v1.37.1", exitProblem},
		"units": {func(w io.Writer, o options, s []fleet.State) error { return printUnits(w, o, s, whichUnits{}) },
			"probe", exitUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			var out, text bytes.Buffer
			if got := code(c.print(&out, options{json: true}, fourStates(at))); got != c.exit {
				t.Errorf("exit code %d, want %d", got, c.exit)
			}
			var got struct {
				Hosts []struct {
					Host, Source, Error string
					At                  time.Time
					None                bool
					Last                struct {
						At    time.Time
						Value []map[string]any
					}
				}
				Errors []hostError
			}
			var lists map[string]json.RawMessage
			if err := errors.Join(json.Unmarshal(out.Bytes(), &got), json.Unmarshal(out.Bytes(), &lists)); err != nil {
				t.Fatal(err)
			}
			var rows []map[string]any
			if err := json.Unmarshal(lists[name], &rows); err != nil || len(rows) != 1 || rows[0]["host"] != "well" {
				t.Errorf("%v: only what is current is in the list: %s", err, lists[name])
			}
			lost, none, unasked, well := got.Hosts[0], got.Hosts[1], got.Hosts[2], got.Hosts[3]
			if well.Source != c.source || !well.At.Equal(at) || well.Error != "" {
				t.Errorf("%+v", well)
			}
			if lost.Error != "host not reachable: no answer" || !lost.At.Equal(at.Add(3*time.Hour)) || !lost.Last.At.Equal(at) || len(lost.Last.Value) != 1 {
				t.Errorf("%+v", lost)
			}
			if !none.None || none.Error == "" || unasked.Error != "not asked yet" || len(got.Errors) != 2 {
				t.Errorf("%+v %+v %+v", none, unasked, got.Errors)
			}
			_ = c.print(&text, options{}, fourStates(at))
			for _, want := range []string{"AGE", "4h", "? lost: host not reachable: no answer; last known 4h ago", "? unasked: not asked yet"} {
				if !strings.Contains(text.String(), want) {
					t.Errorf("no %q in\n%s", want, text.String())
				}
			}
		})
	}
}

// TestAnUnknownJobIsNotWell: a list of backups that holds one ends with 3.
func TestAnUnknownJobIsNotWell(t *testing.T) {
	st := fourStates(time.Now())[3:]
	st[0].Backups.Value[0].State = fleet.BackupUnknown
	if got := code(printBackups(io.Discard, options{json: true}, st)); got != exitUnknown {
		t.Errorf("exit code %d", got)
	}
}
