package fleet

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// told writes findings as "host key(what it explains)".
func told(list []Finding) string {
	var out []string
	for _, f := range list {
		s := f.Host + " " + f.Key
		if len(f.Folded) > 0 {
			s += "(" + told(f.Folded) + ")"
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func count(list []Finding) (n int) {
	for _, f := range list {
		n += 1 + count(f.Folded)
	}
	return n
}

// TestFold: what another problem explains stands below it, nothing is lost, and
// what explains each other in a circle is told all the same.
func TestFold(t *testing.T) {
	find := func(host, key string, because ...string) Finding {
		return Finding{Host: host, HostID: HostID(host), Problem: Problem{Key: key, Severity: SeverityFail, Because: because}}
	}
	for _, c := range []struct {
		name string
		list []Finding
		want string
	}{
		{"nothing", nil, ""},
		{"two of one kind", []Finding{find("a", "x"), find("b", "x")}, "a x, b x"},
		{"on one host", []Finding{find("a", "c", "u"), find("a", "u")}, "a u(a c)"},
		{"of another host", []Finding{find("a", "c", "b u"), find("b", "u")}, "b u(a c)"},
		{"the same key of another host is not it", []Finding{find("a", "c", "u"), find("b", "u")}, "a c, b u"},
		{"a chain", []Finding{find("a", "1", "2"), find("a", "2", "3"), find("a", "3")}, "a 3(a 2(a 1))"},
		{"itself", []Finding{find("a", "1", "1")}, "a 1"},
		{"a circle", []Finding{find("a", "1", "2"), find("a", "2", "3"), find("a", "3", "1")}, "a 3(a 2(a 1))"},
		{"the first that is there", []Finding{find("a", "1", "no", "2", "3"), find("a", "2"), find("a", "3")}, "a 2(a 1), a 3"},
		{"two of one key", []Finding{find("a", "1"), find("a", "1"), find("a", "2", "1")}, "a 1(a 2), a 1"},
	} {
		got := fold(c.list)
		if told(got) != c.want || count(got) != len(c.list) {
			t.Errorf("%s: %s (%d of %d), want %s", c.name, told(got), count(got), len(c.list), c.want)
		}
	}
}

// TestFindings: of a fleet, what is worst first, what is acknowledged last.
func TestFindings(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	fresh := func(s State) State {
		s.Reach = Known(Reach{}, now, "ssh")
		s.System = Known(System{}, now, "probe")
		return s
	}
	unit := Unit{Name: "podman-app.service", Active: "failed", Exited: now.Add(-time.Hour)}
	job := Unit{Name: "restic-backups-home.service", Active: "failed"}
	storage := fresh(State{Host: Host{ID: "1", Name: "storage"}})
	storage.Units = Known([]Unit{unit, job, {Name: "notes.service", User: "ada", Active: "failed"}}, now, "probe")
	storage.Containers = Known([]Container{{Engine: "podman", User: "root", Name: "app", State: Absent, Unit: unit.Name, UnitSub: "failed/failed"}}, now, "podman")
	storage.Backups = Known([]BackupJob{{Name: "home", Tool: "restic", Unit: job.Name, State: BackupFailed}}, now, "units")
	router := State{Host: Host{ID: "2", Name: "router"}, Reach: Unknown[Reach](errors.New("no route"), now, "ssh")}
	vault := State{Host: Host{ID: "3", Name: "vault", Jump: "root@router:22"}, Reach: Unknown[Reach](errors.New("router: no route"), now, "ssh")}
	snap := Snapshot{Hosts: []State{router, storage, vault}}
	want := "storage unit:podman-app.service(storage container:app), storage unit:ada/notes.service, " +
		"storage backup:restic/home(storage unit:restic-backups-home.service), router host(vault host)"
	if got := told(snap.Findings(now)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	snap.Hosts[1].Acks = map[string]Ack{"unit:podman-app.service": {At: now, Until: now.Add(time.Hour), Severity: SeverityFail}}
	got := snap.Findings(now)
	if last := got[len(got)-1]; last.Key != "unit:podman-app.service" || last.Acked == nil || last.Folded[0].Acked == nil {
		t.Errorf("what is acknowledged is not the last: %s", told(got))
	}
	if got := snap.Findings(now.Add(time.Hour)); slices.ContainsFunc(got, func(f Finding) bool { return f.Acked != nil }) {
		t.Errorf("an acknowledgement outlives its time: %s", told(got))
	}
}

// TestAckHolds: not for what has become worse, nor by a clock that is wrong.
func TestAckHolds(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		until time.Duration
		then  Severity
		sev   Severity
		want  bool
	}{
		{"the same", time.Hour, SeverityWarn, SeverityWarn, true},
		{"better", time.Hour, SeverityFail, SeverityWarn, true},
		{"worse", time.Hour, SeverityWarn, SeverityFail, false},
		{"known at last", time.Hour, SeverityUnknown, SeverityFail, false},
		{"over", 0, SeverityWarn, SeverityWarn, false},
		{"a year ahead", 365 * 24 * time.Hour, SeverityWarn, SeverityWarn, false},
	} {
		if got := (Ack{Until: now.Add(c.until), Severity: c.then}).Holds(c.sev, now); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	list := []Problem{{Severity: SeverityFail, Acked: &Ack{}}, {Severity: SeverityUnknown}}
	if got := Worst(list); got != SeverityUnknown {
		t.Errorf("the worst is %q", got)
	}
}

// TestAcknowledge: a snapshot is not changed by what is acknowledged later.
func TestAcknowledge(t *testing.T) {
	s := NewStore()
	s.SetHosts([]Host{{ID: "1"}, {ID: "2"}}, nil, nil)
	s.Acknowledge(FullKey("1", "host"), Ack{Who: "ada"})
	before := s.Snapshot()
	s.Acknowledge(FullKey("1", "unit:a"), Ack{Who: "bea"})
	if got := before.Hosts[0].Acks; len(got) != 1 || got["host"].Who != "ada" {
		t.Errorf("%v", got)
	}
	if st, _ := s.Get("1"); len(st.Acks) != 2 {
		t.Errorf("%v", st.Acks)
	}
	version := s.Snapshot().Version
	s.SetAcks(Acks{FullKey("1", "host"): {Who: "ada"}, FullKey("1", "unit:a"): {Who: "bea"}})
	if now := s.Snapshot(); now.Version != version || len(now.Hosts[1].Acks) != 0 {
		t.Errorf("the same again is a change: %v", now.Hosts[1].Acks)
	}
}

// TestAcknowledgedExplains: what is acknowledged covers what it explains, but not
// where that is worse, and what is worse stands first wherever it is folded.
func TestAcknowledgedExplains(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	st := State{Host: Host{ID: "1", Name: "box"}, Reach: Known(Reach{}, now, "ssh"), System: Known(System{}, now, "probe")}
	st.Metrics = Known(Metrics{Disks: []Disk{{Mount: "/srv", Total: 100, Used: 91, Avail: 9}}}, now, "proc")
	st.Alarms = Known([]Alarm{{Name: "disk_space_usage", Chart: "disk_space./srv", Status: "CRITICAL", Value: "91%"}}, now, "netdata")
	st.System = Known(System{RebootNeeded: true, RebootWhy: []string{"kernel"}}, now, "probe")
	got := Snapshot{Hosts: []State{st}}.Findings(now)
	if want := "box disk:/srv(box alarm:disk_space_usage/disk_space./srv), box system:reboot"; told(got) != want {
		t.Errorf("got %s\nwant %s", told(got), want)
	}
	st.Acks = map[string]Ack{"disk:/srv": {At: now, Until: now.Add(time.Hour), Severity: SeverityWarn}}
	if worst := Worst(st.Problems(now)); worst != SeverityFail {
		t.Errorf("a critical alarm is covered by a warning that is known: %q", worst)
	}
	st.Deploys = Known([]Deploy{{ID: "a", State: RolledBack}}, now, "guard")
	st.Acks = map[string]Ack{"deploy:a": {At: now, Until: now.Add(time.Hour), Severity: SeverityWarn}}
	known := func() bool {
		return slices.ContainsFunc(st.Problems(now), func(p Problem) bool { return p.Of.Kind == KindDeploy && p.Acked != nil })
	}
	if !known() {
		t.Error("the deploy that is known counts")
	}
	st.Deploys = Known([]Deploy{{ID: "b", State: RolledBack}}, now, "guard")
	if known() {
		t.Error("the next deploy that went back is hidden by the one before")
	}
}
