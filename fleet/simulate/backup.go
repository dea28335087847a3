package simulate

import (
	"encoding/json"
	"fmt"
	"time"
)

// backup is a job that saves data.
type backup struct {
	name, tool string
	every      time.Duration
	size       uint64
	count      int // of snapshots; 0: it never ran
	failed     int // status of the last run; 0: it went well
	missed     int // runs that did not take place, because its timer was stopped
	started    time.Time
}

// backup adds a job; its unit and timer come when the machine is settled.
func (m *machine) backup(name, tool string, every time.Duration, size uint64, count int) *backup {
	m.backups = append(m.backups, backup{name: name, tool: tool, every: every, size: size, count: count})
	return &m.backups[len(m.backups)-1]
}

// backupUnits makes the jobs' units, once all is known of the jobs.
func (m *machine) backupUnits() {
	for i := range m.backups {
		b := &m.backups[i]
		unit, about := "restic-backups-"+b.name, "Restic backup of "+b.name
		if b.tool == "rustic" {
			unit, about = "rustic-"+b.name, "Rustic backup of "+b.name
		}
		calendar := fmt.Sprintf("*-*-* 03:%02d:00", 5+10*i)
		if b.every > day {
			calendar = "Sun " + calendar
		}
		u := m.timed(unit, about, b.every, calendar, 0)
		u.started = u.started.Add(-time.Duration(b.missed) * b.every)
		u.exited = u.started.Add(4 * time.Minute)
		b.started = u.started
		switch {
		case b.count == 0:
			u.started, u.exited = time.Time{}, time.Time{}
		case b.failed != 0:
			u.fail(u.started.Add(90*time.Second), b.failed)
		case b.missed > 0:
			u.next = time.Time{}
		}
	}
}

// newest is when the newest snapshot was made.
func (b backup) newest(m *machine) time.Time {
	if made := m.madeNow(b.name); len(made) > 0 {
		return made[len(made)-1]
	}
	return b.scheduled(m)
}

// scheduled is when its timer had the newest made.
func (b backup) scheduled(m *machine) time.Time {
	at := b.started
	if b.failed != 0 { // the run before was good
		at = at.Add(-b.every)
	}
	return at.Add(time.Duration(share(m.seed, m.name, b.name, "ms") * 1e9))
}

// snapshot is one in the JSON of restic 0.18, of which rustic's is a part.
type snapshot struct {
	Time     time.Time `json:"time"`
	Parent   string    `json:"parent,omitempty"`
	Tree     string    `json:"tree"`
	Paths    []string  `json:"paths"`
	Hostname string    `json:"hostname"`
	Username string    `json:"username"`
	Tags     []string  `json:"tags,omitempty"`
	Program  string    `json:"program_version"`
	Summary  summary   `json:"summary"`
	ID       string    `json:"id"`
	Short    string    `json:"short_id,omitempty"`
}

type summary struct {
	Start     time.Time `json:"backup_start"`
	End       time.Time `json:"backup_end"`
	New       int       `json:"files_new"`
	Changed   int       `json:"files_changed"`
	Same      int       `json:"files_unmodified"`
	Added     uint64    `json:"data_added"`
	Packed    uint64    `json:"data_added_packed"`
	Files     int       `json:"total_files_processed"`
	Processed uint64    `json:"total_bytes_processed"`
}

// snapshots are those a job made, oldest first; only the newest where latest.
func (m *machine) snapshots(b backup, latest bool) []snapshot {
	out := []snapshot{}
	made := m.madeNow(b.name)
	count := b.count + len(made)
	first := 0
	if latest && count > 0 {
		first = count - 1
	}
	for i := first; i < count; i++ {
		at := b.scheduled(m).Add(-time.Duration(b.count-1-i) * b.every)
		if i >= b.count {
			at = made[i-b.count]
		}
		id := hexID(m.seed, 64, m.name, b.name, fmt.Sprint("snapshot", i))
		added := uint64(float64(b.size) / 200 * share(m.seed, id))
		files := int(b.size>>20) + 1
		s := snapshot{
			Time: at, Tree: hexID(m.seed, 64, id, "tree"), Paths: b.saves(m.name), Hostname: m.name, Username: "root",
			Program: "restic 0.18.1", ID: id, Short: id[:8],
			Summary: summary{Start: at, End: at.Add(4 * time.Minute), New: files / 900, Changed: files / 300, Same: files - files/900 - files/300,
				Added: added, Packed: added * 3 / 4, Files: files, Processed: b.size - uint64(count-1-i)*added/8},
		}
		if i > 0 {
			s.Parent = hexID(m.seed, 64, m.name, b.name, fmt.Sprint("snapshot", i-1))
		}
		if b.tool == "rustic" {
			s.Program, s.Short = "rustic 0.11.3", ""
		}
		out = append(out, s)
	}
	return out
}

// snapshotProgram answers `restic-NAME snapshots --json` and rustic's.
func snapshotProgram(c Call, b backup) int {
	if !c.Root {
		fmt.Fprintln(c.Stderr, "Fatal: unable to open repository: permission denied")
		return 1
	}
	if !c.has("snapshots") {
		return lookInto(c, b)
	}
	m := c.machine()
	list := append(m.orphans(b), m.snapshots(b, c.has("--latest"))...)
	if b.tool != "rustic" {
		return c.json(list)
	}
	if len(list) == 0 {
		return c.json([]int{})
	}
	type key struct {
		Hostname string   `json:"hostname"`
		Label    string   `json:"label"`
		Paths    []string `json:"paths"`
	}
	return c.json([]any{struct {
		Key  key        `json:"group_key"`
		List []snapshot `json:"snapshots"`
	}{key{m.name, b.name, list[len(list)-1].Paths}, list}})
}

// backupStatus answers the reference fleet's `backup-status`.
func backupStatus(c Call) int {
	if !c.Root {
		fmt.Fprintln(c.Stderr, "query failed (not root — rerun with sudo)")
		return 1
	}
	type row struct {
		Name    string   `json:"name"`
		Kind    string   `json:"kind"`
		Last    *string  `json:"lastSnapshot"`
		Age     *float64 `json:"ageHours"`
		MaxAge  float64  `json:"maxAgeHours"`
		OK      bool     `json:"ok"`
		Problem *string  `json:"error"`
	}
	rows, m := []row{}, c.machine()
	for _, b := range m.backups {
		r := row{Name: b.name, Kind: b.tool, MaxAge: 48}
		if b.every > day {
			r.MaxAge = 192
		}
		if b.count == 0 && len(m.madeNow(b.name)) == 0 {
			why := "no snapshots"
			r.Problem = &why
		} else {
			at, age := b.newest(m).Format(time.RFC3339Nano), c.now().Sub(b.newest(m)).Hours()
			r.Last, r.Age, r.OK = &at, &age, age <= r.MaxAge
		}
		rows = append(rows, r)
	}
	return c.json(rows)
}

// json prints a value.
func (c Call) json(v any) int {
	if err := json.NewEncoder(c.Stdout).Encode(v); err != nil {
		return 1
	}
	return 0
}
