package fleet_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

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
		"cannot boot": {func(s *fleet.State) {
			s.Generations = fleet.Known([]fleet.Generation{{Number: 7, Default: true, BootMissing: []string{"/boot/EFI/nixos/k.efi"}}}, noon, "probe")
		}, "fail /boot/EFI/nixos/k.efi"},
		"another cannot boot": {func(s *fleet.State) {
			s.Generations = fleet.Known([]fleet.Generation{{Number: 7, BootMissing: []string{"/boot/EFI/nixos/k.efi"}}}, noon, "probe")
		}, ""},
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

// TestAnExpiredKeyIsToldOfHostsThatDoNotAnswer: it is why they do not.
func TestAnExpiredKeyIsToldOfHostsThatDoNotAnswer(t *testing.T) {
	expired := fleet.Known(fleet.Presence{Expired: true, KeyExpiry: noon.Add(-time.Hour), LastSeen: noon.Add(-time.Hour)}, noon, "tailscale")
	for name, c := range map[string]struct {
		change func(*fleet.State)
		want   []string
	}{
		"answers": {func(*fleet.State) {}, []string{"Tailscale key expired"}},
		"does not answer": {func(s *fleet.State) { *s = s.Lost(errors.New("no answer"), noon) },
			[]string{"Tailscale key expired", "offline: no answer"}},
		"was not asked": {func(s *fleet.State) { s.Reach = fleet.Fact[fleet.Reach]{} }, []string{"Tailscale key expired", "not asked yet"}},
		"by what was known before only": {func(s *fleet.State) {
			*s = s.Lost(errors.New("no answer"), noon)
			s.Host.Presence = s.Host.Presence.Remember(noon)
		}, []string{"not reachable: no answer"}},
	} {
		s := up()
		s.Host.Presence = expired
		c.change(&s)
		var got []string
		for _, p := range s.Problems(noon) {
			got = append(got, p.What)
			if p.What == c.want[0] && len(c.want) > 1 && (p.Severity != fleet.SeverityWarn || !p.Since.Equal(noon.Add(-time.Hour))) {
				t.Errorf("%s: %+v", name, p)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
