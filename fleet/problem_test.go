package fleet_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

// up is a host that answers and of which nothing is wrong.
func up() fleet.State {
	return fleet.State{
		Reach:      fleet.Known(fleet.Reach{State: fleet.Up}, noon, "ssh"),
		System:     fleet.Known(fleet.System{NixOS: true, Running: fleet.Toplevel{Path: "/a"}, Default: fleet.Toplevel{Path: "/a"}}, noon, "probe"),
		Units:      fleet.Known([]fleet.Unit{{Name: "a.service", Active: "active"}}, noon, "probe"),
		Containers: fleet.Known([]fleet.Container{{Name: "web", State: "running", Health: "healthy"}}, noon, "podman"),
		Backups:    fleet.Known([]fleet.BackupJob{{Name: "home", State: fleet.BackupFresh}}, noon, "units"),
		Metrics:    fleet.Known(fleet.Metrics{Disks: []fleet.Disk{{Mount: "/", Used: 1, Avail: 9, Total: 10}}}, noon, "netdata"),
		Alarms:     fleet.Nothing[[]fleet.Alarm]("no monitoring", noon, "netdata"),
	}
}

func TestProblems(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fleet.State)
		want   string // severity and a word of each problem, worst first
	}{
		"nothing wrong": {func(*fleet.State) {}, ""},
		"failed unit":   {func(s *fleet.State) { s.Units.Value = []fleet.Unit{{Name: "b.service", Active: "failed"}} }, "fail b.service"},
		"unhealthy":     {func(s *fleet.State) { s.Containers.Value[0].Health = "unhealthy" }, "fail unhealthy"},
		"absent":        {func(s *fleet.State) { s.Containers.Value[0].State = fleet.Absent }, "fail absent"},
		"stopped well":  {func(s *fleet.State) { s.Containers.Value[0].State = "exited" }, ""},
		"stale":         {func(s *fleet.State) { s.Backups.Value[0].State = fleet.BackupStale }, "warn home"},
		"full disk":     {func(s *fleet.State) { s.Metrics.Value.Disks[0].Used = 400 }, "fail 98"},
		"not default":   {func(s *fleet.State) { s.System.Value.Default.Path = "/b" }, "warn default"},
		"alarm": {func(s *fleet.State) {
			s.Alarms = fleet.Known([]fleet.Alarm{{Name: "x", Status: "CRITICAL"}}, noon, "netdata")
		}, "fail alarm"},
		"unread": {func(s *fleet.State) {
			s.Containers = s.Containers.Refresh(fleet.Unknown[[]fleet.Container](errors.New("socket closed"), noon, "podman"))
		}, "unknown socket"},
		"never asked": {func(s *fleet.State) { s.Reach = fleet.Fact[fleet.Reach]{} }, "unknown asked"},
	} {
		s := up()
		c.change(&s)
		got := s.Problems(noon)
		if c.want == "" {
			if len(got) != 0 {
				t.Errorf("%s: %+v", name, got)
			}
			continue
		}
		severity, word, _ := strings.Cut(c.want, " ")
		if len(got) != 1 || string(got[0].Severity) != severity || !strings.Contains(got[0].What, word) {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}
