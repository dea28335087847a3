package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// perSource bounds how long one repository may take to answer.
const perSource = 120 * time.Second

// maxJobs bounds how many jobs one host may tell of.
const maxJobs = 500

// Status is one line of the host's own backup-status
// (arsfeld/nixos modules/constellation/backup-status.nix).
type Status struct {
	Name   string
	Tool   string        // "rustic" or "restic"
	Newest time.Time     // its newest snapshot; zero: none, or not known
	MaxAge time.Duration // 0: not told
	OK     bool
	Error  string
}

// ParseBackupStatus reads what backup-status prints. The age it computes is
// not used: it is of the moment at which it was printed.
func ParseBackupStatus(out []byte) ([]Status, error) {
	var in []struct {
		Name   string   `json:"name"`
		Kind   string   `json:"kind"`
		Last   *string  `json:"lastSnapshot"`
		MaxAge *float64 `json:"maxAgeHours"`
		OK     bool     `json:"ok"`
		Error  *string  `json:"error"`
	}
	if err := json.Unmarshal(out, &in); err != nil {
		return nil, fmt.Errorf("backup-status: what it prints cannot be read: %s", say(err.Error()))
	}
	if in == nil {
		return nil, errors.New("backup-status: it prints no list")
	}
	list := []Status{}
	for _, r := range in[:min(len(in), maxJobs)] {
		s := Status{Name: fleet.Short(fleet.Clean(r.Name), 100), Tool: fleet.Short(fleet.Clean(r.Kind), 20), OK: r.OK}
		if r.Error != nil {
			s.Error = say(*r.Error)
		}
		if r.MaxAge != nil && *r.MaxAge > 0 && *r.MaxAge < 1e6 {
			s.MaxAge = time.Duration(*r.MaxAge * float64(time.Hour))
		}
		if r.Last != nil {
			at, err := time.Parse(time.RFC3339Nano, *r.Last)
			if err != nil {
				s.OK, s.Error = false, "backup-status: the time of its newest snapshot cannot be read: "+say(*r.Last)
			} else {
				s.Newest = at.UTC()
			}
		}
		if s.Name != "" {
			list = append(list, s)
		}
	}
	return list, nil
}

// readStatus runs backup-status as root. It asks each repository in turn.
func readStatus(ctx context.Context, l link.Link) ([]Status, error) {
	res, err := l.Run(ctx, link.Command{Args: []string{"backup-status"}, Root: true})
	if err != nil {
		return nil, fmt.Errorf("backup-status: %w", err)
	}
	list, err := ParseBackupStatus(res.Stdout)
	if err != nil && res.Status != 0 {
		return nil, fmt.Errorf("backup-status: exit code %d: %s", res.Status, complaint(res.Stderr))
	}
	return list, err
}

// adopt joins what backup-status told with the jobs of the units. It gives the
// jobs with those added that have no unit, and without those it no longer tells.
func adopt(jobs []evidence, list []Status, limits Limits) []evidence {
	told := map[int]bool{}
	times := map[time.Time]int{}
	for _, s := range list {
		times[s.Newest]++
	}
	for _, s := range list {
		i := match(jobs, s)
		if i < 0 {
			jobs = append(jobs, evidence{BackupJob: fleet.BackupJob{Name: s.Name, Tool: s.Tool}, asked: true})
			i = len(jobs) - 1
			limit, own := limits.of(s.Name, "", fleet.Timer{})
			jobs[i].own, jobs[i].MaxAge = own, fleet.Seconds(limit.Seconds())
		}
		told[i] = true
		jobs[i].adopt(s)
		// It asks for the newest of a repository. Where several jobs save into one
		// that is the newest of any of them: the repository must be asked itself.
		if times[s.Newest] > 1 && !s.Newest.IsZero() {
			jobs[i].forget()
			jobs[i].toldNow = false
			jobs[i].trouble = "backup-status tells the same snapshot of several jobs"
		}
	}
	var kept []evidence
	for i, e := range jobs {
		if told[i] || e.Unit != "" || e.has(fromBackrest) {
			kept = append(kept, e)
		}
	}
	return kept
}

// match finds the job that a line of backup-status is about. Backrest's plans are
// restic's to it.
func match(jobs []evidence, s Status) int {
	for i, e := range jobs {
		if e.Name == s.Name && (e.Tool == s.Tool || s.Tool == "" || s.Tool == "restic" && e.has(fromBackrest)) && !e.daemon {
			return i
		}
	}
	return -1
}

func (e *evidence) adopt(s Status) {
	if s.MaxAge > 0 && !e.own {
		e.MaxAge = fleet.Seconds(s.MaxAge.Seconds())
	}
	e.source(fromStatus)
	if s.Newest.IsZero() {
		e.trouble = s.Error
		if e.trouble == "" {
			e.trouble = "backup-status tells no snapshot, nor why"
		}
		return
	}
	e.NewestSnapshot, e.listed, e.toldNow = s.Newest, true, true
	e.source(fromSnapshots)
}
