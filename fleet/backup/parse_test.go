package backup

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/sextant-fleet/sextant/fleet"
)

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func at(s string) time.Time {
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return v.UTC()
}

func TestSnapshotsInEveryShape(t *testing.T) {
	for name, c := range map[string]struct {
		count  int
		newest Snapshot
	}{
		"restic-0.14-snapshots.json": {3, Snapshot{
			ID: "0cb7b77080d91c561de1c8dfbdb3f15ad2ff19758b4eab0ba8025bce8b2af4dd", At: at("2026-11-22T19:20:12.997333583Z"),
			Host: "basestar", Paths: []string{"/srv/lab/restic/src/a"},
		}},
		"restic-0.14-snapshots-grouped.json": {3, Snapshot{
			ID: "0cb7b77080d91c561de1c8dfbdb3f15ad2ff19758b4eab0ba8025bce8b2af4dd", At: at("2026-11-22T19:20:12.997333583Z"),
			Host: "basestar", Paths: []string{"/srv/lab/restic/src/a"},
		}},
		"restic-0.18-snapshots.json": {6, Snapshot{
			ID: "", At: at("2026-11-22T21:17:23.701247622Z"), Host: "storage", Paths: []string{"/srv/home", "/srv/photos"}, Size: 600145,
		}},
		"rustic-0.9-snapshots.json": {2, Snapshot{
			ID: "c284e250f5e85f398114f7aa837f8b372e9a5028ca135a3d51f8264a963ff6a8", At: at("2026-11-30T04:10:10.111669831Z"), Host: "galactica", Label: "docs",
			Tags: []string{"weekly"}, Paths: []string{"/srv/docs"}, Size: 5005, Added: 697,
		}},
		"rustic-0.10-snapshots.json": {2, Snapshot{
			ID: "9abee52f59686cc0060157875c4a3d4b56a48159ef3c37b1af4cfaac757ba558", At: at("2026-11-30T04:10:12.944494695Z"), Host: "galactica", Label: "docs",
			Tags: []string{"weekly"}, Paths: []string{"/srv/docs"}, Size: 5005, Added: 695,
		}},
		"rustic-0.11-snapshots.json": {4, Snapshot{
			At: at("2026-11-22T21:17:24.7800528Z"), Host: "storage", Label: "cold", Tags: []string{}, Paths: []string{"/srv/archive"}, Size: 300006,
		}},
	} {
		parse := ParseRestic
		if strings.HasPrefix(name, "rustic") {
			parse = ParseRustic
		}
		list, err := parse(sample(t, name))
		if err != nil || len(list) != c.count {
			t.Errorf("%s: %d snapshots, %v", name, len(list), err)
			continue
		}
		got, _ := newest(list)
		if c.newest.ID == "" {
			got.ID = ""
		}
		if d := cmp.Diff(c.newest, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	flat := []byte(`[{"time":"2026-08-16T04:44:12.5-04:00","hostname":"a","paths":["/"],"id":"x"}]`)
	if list, err := ParseRustic(flat); err != nil || len(list) != 1 {
		t.Error("rustic ungrouped", list, err)
	}
	for _, none := range []string{"[]", "null", "[]\n", `[{"group_key":{},"snapshots":[]}]`} {
		if list, err := ParseRestic([]byte(none)); err != nil || len(list) != 0 || list == nil {
			t.Error(none, list, err)
		}
	}
}

func TestSnapshotsThatAreNone(t *testing.T) {
	for _, bad := range []string{``, `{}`, `"x"`, `[1]`, `[[1]]`, `[[{},1]]`, `[{"snapshots":7}]`, `[{"time":"yesterday"}]`, `[{"time":7}]`, `[{"time":"2026-08-16T04:44:12Z","paths":"x"}]`,
		"\xff\xfe", `[{"time":"2026-08-16T04:44:12Z"}`, strings.Repeat("[", 100000)} {
		if list, err := ParseRestic([]byte(bad)); err == nil || list != nil {
			t.Errorf("%.40q gave %v", bad, list)
		}
	}
	list, err := ParseRustic([]byte(`[{"time":"2026-08-16T04:44:12Z","hostname":"a\u001b[31mb","label":"\u202e","tags":["\u0007x"],"paths":["/a\nb"],"id":"` + strings.Repeat("z", 1000) + `","summary":{"total_bytes_processed":-5}}]`))
	if err != nil || list[0].Host != "ab" || list[0].Tags[0] != "x" || list[0].Paths[0] != "/a b" || len([]rune(list[0].ID)) > 64 || list[0].Size != 0 {
		t.Errorf("%+v %v", list, err)
	}
}

func TestSnapshotsOfOneHost(t *testing.T) {
	list, err := ParseRestic(sample(t, "restic-0.14-snapshots.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		names []string
		want  int
	}{
		{[]string{"galactica"}, 2}, {[]string{"Galactica.example.org"}, 2}, {[]string{"basestar", "galactica"}, 3}, {[]string{"galac"}, 0}, {[]string{""}, 0}, {nil, 0},
	} {
		if got := len(ofHost(list, c.names)); got != c.want {
			t.Errorf("%v: %d", c.names, got)
		}
	}
	if sameHost("a.one", "a.two") {
		t.Error("two domains are one")
	}
}

func TestBackupStatus(t *testing.T) {
	got, err := ParseBackupStatus(sample(t, "reference-backup-status-CONSTRUCTED.json"))
	want := []Status{
		{Name: "ovh", Tool: "rustic", Newest: at("2026-08-16T04:44:12.5-04:00"), MaxAge: 192 * time.Hour, OK: true},
		{Name: "hetzner", Tool: "restic", MaxAge: 48 * time.Hour, Error: "query failed"},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Error(err, d)
	}
	got, err = ParseBackupStatus(sample(t, "backup-status-lab.json"))
	if err != nil || len(got) != 3 || got[1].Newest != at("2026-10-13T04:00:00Z") || got[1].OK {
		t.Errorf("%+v %v", got, err)
	}
	for _, bad := range []string{``, `{}`, `null`, `[1]`, `"x"`, `[{"name":7}]`, `[{"maxAgeHours":"x"}]`, "backup-status: command not found"} {
		if list, err := ParseBackupStatus([]byte(bad)); err == nil || list != nil {
			t.Errorf("%s gave %v", bad, list)
		}
	}
	got, err = ParseBackupStatus([]byte(`[{"name":"a\u001b[31m","kind":"restic","lastSnapshot":"soon\u0007","maxAgeHours":-4,"ok":true,"error":"rest:https://u:p@h/ failed"},{"name":""}]`))
	if err != nil || len(got) != 1 || got[0].Name != "a" || got[0].OK || got[0].MaxAge != 0 || !strings.Contains(got[0].Error, "soon") {
		t.Errorf("%+v %v", got, err)
	}
}

func TestJournalOfTheLab(t *testing.T) {
	j, err := parseJournal(sample(t, "journal-storage.txt"))
	if err != nil || !j.whole || j.since.IsZero() || len(j.units) != 3 {
		t.Fatalf("%+v %v", j, err)
	}
	home := j.units["restic-backups-home.service"]
	runs, skipped := runsOf(home.events, true)
	if len(runs) == 0 || !runs[0].well || runs[0].bad || skipped != "" || !home.persistent {
		t.Errorf("%+v %q", runs, skipped)
	}
	runs, skipped = runsOf(j.units["restic-backups-offsite.service"].events, true)
	if len(runs) != 0 || skipped != "ConditionPathIsMountPoint=/mnt/offsite" {
		t.Errorf("%+v %q", runs, skipped)
	}
	j, err = parseJournal(sample(t, "journal-cloud.txt"))
	if err != nil {
		t.Fatal(err)
	}
	broken := j.units["restic-backups-broken.service"]
	runs, _ = runsOf(broken.events, true)
	if len(runs) == 0 || !runs[0].bad || runs[0].well || runs[0].status != 10 || runs[0].result != "exit-code" {
		t.Errorf("%+v", runs)
	}
	const want = "Fatal: repository does not exist: unable to open config file: stat /mnt/nowhere/repository/config: no such file or directory"
	if line := broken.line(runs[0].invocation); line != want {
		t.Errorf("%q", line)
	}
	j, err = parseJournal(sample(t, "journal-r2s.txt"))
	if err != nil || len(j.units["rustic-never.service"].events) != 0 || j.units["rustic-never.service"].persistent {
		t.Errorf("%+v %v", j, err)
	}
}

// TestJournalOfSystemd252 reads lines that journalctl wrote with all fields,
// oldest first.
func TestJournalOfSystemd252(t *testing.T) {
	var events []entry
	for line := range bytes.Lines(sample(t, "journal-invocation.jsonl")) {
		if e, ok := parseEntry(line); ok {
			events = append([]entry{e}, events...)
		}
	}
	runs, _ := runsOf(events, true)
	if len(runs) != 1 || !runs[0].bad || runs[0].status != 10 || !runs[0].end.Equal(time.UnixMicro(1795375729789490)) {
		t.Errorf("%+v", runs)
	}
	if c := condition("x.service - y was skipped because of an unmet condition check (ConditionPathExists=/a)."); c != "ConditionPathExists=/a" {
		t.Errorf("%q", c)
	}
	e, ok := parseEntry(bytes.TrimSpace(sample(t, "journal-binary-message.jsonl")))
	if !ok || e.text != "bad\uFFFDbytesred" && e.text != "bad\uFFFD\uFFFDbytesred" {
		t.Errorf("%q", e.text)
	}
}

func TestRunsOfUnitsThatAreNoOneshot(t *testing.T) {
	events := func(ids ...string) (out []entry) {
		for i, id := range ids {
			out = append(out, entry{id: id, invocation: "a", at: hours(float64(i)), result: "done"})
		}
		return out
	}
	for name, c := range map[string]struct {
		events []entry
		well   bool
		runs   int
	}{
		"ended well":        {events(msgWell, msgStarted), true, 1},
		"was stopped":       {events(msgStopped, msgWell, msgStarted), false, 1},
		"still runs":        {events(msgStarted), false, 0},
		"failed":            {events(msgFailed, msgBad, msgExit, msgStarted), false, 1},
		"without its start": {events(msgWell), true, 1},
	} {
		runs, _ := runsOf(c.events, false)
		if len(runs) != c.runs || len(runs) > 0 && runs[0].well != c.well {
			t.Errorf("%s: %+v", name, runs)
		}
	}
}

func TestJournalsThatSayNothing(t *testing.T) {
	for _, bad := range []string{"", "\n\n", "{}", "uid 0\nsince x\n", "\xff\xfe", `{"MESSAGE":"x"}`} {
		if j, err := parseJournal([]byte(bad)); err == nil {
			t.Errorf("%q gave %+v", bad, j)
		}
	}
	j, err := parseJournal([]byte("uid 1000\nunit a.service\n{\"__REALTIME_TIMESTAMP\":\"-5\"}\n{torn\n{\"__REALTIME_TIMESTAMP\":\"1795380424000000\",\"MESSAGE\":null,\"EXIT_STATUS\":[\"3\",\"4\"]}\nunread\nlog a.service\n"))
	if err != nil || j.whole || !j.units["a.service"].unread || len(j.units["a.service"].events) != 1 || j.units["a.service"].events[0].status != 3 {
		t.Errorf("%+v %v", j, err)
	}
}

func seed(f *testing.F) {
	names, err := filepath.Glob("testdata/*.*")
	if err != nil || len(names) == 0 {
		f.Fatal(names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		b = b[:min(len(b), 6000)]
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
}

func clean(t *testing.T, texts ...string) {
	for _, s := range texts {
		for _, r := range s {
			if unicode.IsControl(r) {
				t.Errorf("%q reaches the terminal", s)
			}
		}
	}
}

func FuzzSnapshots(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) ([]Snapshot, error){ParseRestic, ParseRustic} {
			list, err := parse(b)
			if (list == nil) != (err != nil) {
				t.Error("no list and no reason, or both")
			}
			if err != nil {
				clean(t, err.Error())
			}
			for _, s := range list {
				clean(t, append(append([]string{s.ID, s.Host, s.Label}, s.Paths...), s.Tags...)...)
			}
			newest(ofHost(list, []string{"storage"}))
		}
	})
}

func FuzzBackupStatus(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := ParseBackupStatus(b)
		if (list == nil) != (err != nil) {
			t.Error("no list and no reason, or both")
		}
		for _, s := range list {
			clean(t, s.Name, s.Tool, s.Error)
		}
		for _, e := range adopt(nil, list, nil) {
			j := e.judge(now)
			clean(t, j.Error)
			if j.State == fleet.BackupFresh && j.NewestSnapshot.IsZero() {
				t.Errorf("%+v", j)
			}
		}
	})
}

func FuzzJournal(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		j, err := parseJournal(b)
		if err != nil {
			return
		}
		for unit := range j.units {
			for _, oneshot := range []bool{true, false} {
				e := evidence{BackupJob: fleet.BackupJob{Name: "x", Tool: "restic", Unit: unit, MaxAge: day}, oneshot: oneshot, asked: true}
				e.hear(j)
				job := e.judge(now)
				clean(t, job.Error)
				if job.State == fleet.BackupFresh && job.LastSuccess.IsZero() {
					t.Errorf("%+v", job)
				}
			}
		}
	})
}

func FuzzComplaint(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) { clean(t, complaint(b)) })
}
