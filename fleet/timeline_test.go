package fleet

import (
	"slices"
	"testing"
	"time"
)

// TestTimeline: the host is believed where it tells of a deploy, the audit where
// it does not; a generation that a deploy made is not told twice.
func TestTimeline(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	s := State{Host: Host{ID: "n1", Name: "storage"}}
	s.Generations = Known([]Generation{
		{Number: 7, Path: "/nix/store/a", Date: ago(48 * time.Hour), NixOSVersion: "25.05"},
		{Number: 8, Path: "/nix/store/b", Date: ago(time.Hour - 9*time.Second)},
	}, now, "probe")
	s.Deploys = Known([]Deploy{{
		ID: "d1", Kind: "deploy", State: Confirmed, Why: "by ada@laptop", From: Toplevel{Path: "/nix/store/a", Generation: 7}, To: Toplevel{Path: "/nix/store/b"},
		Who: "ada", Client: "laptop", Started: ago(time.Hour), Changed: ago(time.Hour - 10*time.Second), Result: "confirmed by ada@laptop",
	}}, now, "guard")
	s.Units = Known([]Unit{{Name: "caddy.service", Active: "failed", Result: "exit-code", Exited: ago(30 * time.Minute)}, {Name: "ok.service", Active: "active"}}, now, "probe")
	s.Backups = Known([]BackupJob{{Name: "home", State: BackupFailed, LastSuccess: ago(30 * time.Hour), LastRun: ago(6 * time.Hour), Error: "locked"}}, now, "units")
	theirs := now.Add(2 * time.Hour) // the host's clock is two hours ahead
	s.DNS = Known([]DNSServer{{
		Kind: "blocky", Unit: "blocky.service", At: now, Lists: &DNSLists{At: theirs, Refreshed: theirs.Add(-5 * time.Minute), Failed: 2, FailedSeen: theirs.Add(-7 * time.Hour)},
	}}, now, "blocky")
	audit := []Event{
		{At: ago(time.Hour), HostID: "n1", Host: "storage", Kind: EventDeploy, ID: "d1", Text: "to b: begun", Who: "ada"},
		{At: ago(time.Hour - 8*time.Second), HostID: "n1", Host: "storage", Kind: EventConfirm, ID: "d1", Text: "confirm", Who: "ada"},
		{At: ago(20 * time.Minute), HostID: "n1", Host: "storage", Kind: EventRollback, ID: "d2", Text: "to a: begun", Who: "ada"},
		{At: ago(20 * time.Minute), HostID: "n1", Host: "storage", Kind: EventRollback, ID: "d2", Text: "to a: refused", Who: "ada"},
		{At: ago(10 * time.Minute), HostID: "n9", Host: "gone", Kind: EventReboot, Text: "restarted", Who: "ada"},
	}
	var got []string
	for _, e := range Timeline([]State{s}, audit, ago(40*time.Hour)) {
		got = append(got, e.Host+" "+string(e.Kind)+" "+e.Text)
	}
	want := []string{
		"storage dns blocky made its lists anew",
		"gone reboot restarted",
		"storage rollback to a: refused",
		"storage unit caddy.service failed exit-code",
		"storage confirm confirm",
		"storage deploy confirmed: 7 to 8; by ada@laptop",
		"storage backup backup home failed: locked",
		"storage dns blocky: 2 attempts to download lists failed",
		"storage backup backup home well",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if e := Timeline([]State{s}, nil, time.Time{}); len(e) == 0 || e[len(e)-1].Kind != EventGeneration || e[len(e)-1].To.Generation != 7 {
		t.Errorf("the generation that another tool made is missing: %+v", e)
	}
	if d := Timeline([]State{s}, nil, ago(2*time.Hour)); d[2].Duration != 10 || d[2].From.Generation != 7 || d[2].To.Generation != 8 {
		t.Errorf("the deploy: %+v", d[2])
	}
}
