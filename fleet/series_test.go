package fleet

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestMarks(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	at := func(h int) time.Time { return now.Add(-time.Duration(h) * time.Hour) }
	events := []Event{
		{At: at(1), Kind: EventAlarm, Level: Warn, Text: "ram_in_use 91%"},
		{At: at(2), Kind: EventDeploy, Text: "refused: 3 to 4", Result: "refused the disk is full"},
		{At: at(5), Kind: EventDeploy, Level: Warn, Text: "rolled back: 2 to 3", Result: "rolled back not reached", Duration: 1800},
		{At: at(7), Kind: EventDeploy, Text: "confirmed: 1 to 2", Result: "confirmed", Duration: 60},
		{At: at(9).Add(time.Minute), Kind: EventBoot, Text: "started", HostID: "a"},
		{At: at(9), Kind: EventReboot, Text: "restarted", HostID: "a"},
		{At: at(15), Kind: EventReboot, Text: "restarted", HostID: "a"},
		{At: at(16), Kind: EventRollback, Text: "confirmed: 2 to 1", Result: "confirmed"},
		{At: at(17), Kind: EventCancel, Text: "cancel"},
		{At: at(18), Kind: EventContainer, Text: "web started"},
		{At: at(20), Kind: EventGeneration, Text: "generation 1 was made"},
		{At: at(30), Kind: EventBoot, Text: "before"},
	}
	var got []string
	for _, m := range Marks(events, at(24), now) {
		got = append(got, fmt.Sprintf("-%s %s", now.Sub(m.At), m.Kind))
	}
	want := []string{"-20h0m0s deploy", "-16h0m0s rollback", "-15h0m0s boot", "-8h59m0s boot", "-7h0m0s deploy", "-5h0m0s deploy", "-4h30m0s rollback", "-1h0m0s alarm"}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

func TestTheWorstOfAHost(t *testing.T) {
	for want, m := range map[string]Metrics{
		"":            {CPU: -1},
		"cpu":         {CPU: 0.5, Memory: Memory{Used: 1, Total: 4}},
		"memory":      {CPU: 0.5, Memory: Memory{Used: 3, Total: 4}},
		"disk /srv":   {CPU: 0.5, Disks: []Disk{{Mount: "/", Used: 1, Avail: 9}, {Mount: "/srv", Used: 9, Avail: 1}}},
		"pressure io": {CPU: 0.1, Pressure: map[string]float64{"cpu": 0.2, "io": 0.7}},
	} {
		if got := m.Worst(); got.What != want {
			t.Errorf("%+v, want %q", got, want)
		}
	}
}
