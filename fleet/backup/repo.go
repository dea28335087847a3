package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Bounds of what is known of a repository.
const (
	maxRepoHosts = 100
	idLasts      = 24 * time.Hour // an ID is asked again after it
	listLasts    = 6 * time.Hour  // and a repository, where backup-status tells of the newest
)

// repoID is the ID of a repository, as restic and rustic have it.
var repoID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// askID asks a repository for its ID; "" where it does not tell.
func askID(ctx context.Context, l link.Link, e evidence) string {
	if e.Tool == "borg" {
		return ""
	}
	args := []string{"cat", "config", "--no-lock"}
	if e.Tool == "rustic" {
		args = args[:2]
	}
	res, err := ask(ctx, l, e.BackupJob, asked{args: args, limit: 60 * time.Second, bytes: 64 << 10})
	var config struct {
		ID string `json:"id"`
	}
	if err != nil || json.Unmarshal(res.Stdout, &config) != nil || !repoID.MatchString(config.ID) {
		return ""
	}
	return config.ID
}

// repoOf puts together what a listing tells of a repository.
func repoOf(before *fleet.BackupRepo, all []Snapshot, now time.Time) *fleet.BackupRepo {
	r := fleet.BackupRepo{At: now, Snapshots: len(all), Hosts: []fleet.RepoHost{}}
	if before != nil {
		r.ID, r.IDAt, r.Check, r.Prune = before.ID, before.IDAt, before.Check, before.Prune
	}
	for _, s := range all {
		i := slices.IndexFunc(r.Hosts, func(h fleet.RepoHost) bool { return h.Name == s.Host })
		if i < 0 {
			if len(r.Hosts) == maxRepoHosts {
				continue
			}
			i, r.Hosts = len(r.Hosts), append(r.Hosts, fleet.RepoHost{Name: s.Host})
		}
		r.Hosts[i].Snapshots++
		if s.At.After(r.Hosts[i].Newest) {
			r.Hosts[i].Newest = s.At
		}
	}
	slices.SortFunc(r.Hosts, func(a, b fleet.RepoHost) int { return b.Newest.Compare(a.Newest) })
	return &r
}

// maxChores is how many lines of the journal are asked for.
const maxChores = 1000

// choresScript prints what systemd said of units that check and prune, newest first:
// $1 lines at most, of the units that follow. First since when the journal is, and who reads it.
const choresScript = `# When the repositories of backups were checked and pruned.
export LC_ALL=C TZ=UTC SYSTEMD_COLORS=0 SYSTEMD_PAGER=
lines=$1
shift
echo "uid $(id -u)"
echo "since $(timeout 5 journalctl -q --no-pager -o short-unix 2>/dev/null | head -n 1 | cut -d. -f1)"
for u; do set -- "$@" "UNIT=$u"; shift; done
timeout 30 journalctl -q --no-pager -r -n "$lines" -o json --output-fields=UNIT,MESSAGE_ID,MESSAGE,INVOCATION_ID,UNIT_RESULT,EXIT_CODE,EXIT_STATUS,JOB_RESULT "$@" \
	MESSAGE_ID=` + msgStarted + ` MESSAGE_ID=` + msgFailed + ` MESSAGE_ID=` + msgBad + ` MESSAGE_ID=` + msgWell + ` 2>/dev/null && echo end
`

// choresOf are the units that may check, or prune, the repository of a job.
func choresOf(j fleet.BackupJob, work Work) []string {
	base := strings.TrimSuffix(j.Unit, ".service")
	list := []string{base + "-" + string(work) + ".service", "sextant-" + string(work) + "-" + j.Tool + "-" + j.Name + ".service"}
	return append(list, j.Tool+"-"+string(work)+"-"+j.Name+".service")
}

// readChores asks the journal when repositories were checked and pruned, and adds
// that to what is known of them.
func readChores(ctx context.Context, l link.Link, jobs []evidence) {
	var units []string
	for _, e := range jobs {
		if e.Repo != nil {
			units = append(append(units, choresOf(e.BackupJob, Check)...), choresOf(e.BackupJob, Prune)...)
		}
	}
	if len(units) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, logLimit)
	defer cancel()
	cmd := link.Script(choresScript, append([]string{strconv.Itoa(maxChores)}, units...)...)
	cmd.IfRoot, cmd.Limit = true, 16<<20
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return
	}
	ends, since := parseChores(res.Stdout)
	for i := range jobs {
		if r := jobs[i].Repo; r != nil {
			told := *r
			told.Check, told.Prune = upkeep(r.Check, ends, since, choresOf(jobs[i].BackupJob, Check)), upkeep(r.Prune, ends, since, choresOf(jobs[i].BackupJob, Prune))
			jobs[i].Repo = &told
		}
	}
}

// parseChores reads what choresScript prints: the newest run of each unit that has
// ended, and since when all would be told; no time where it would not.
func parseChores(out []byte) (map[string]run, time.Time) {
	told := 0
	events, since, root, whole := map[string][]entry{}, time.Time{}, false, false
	for line := range bytes.Lines(out) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] == '{' {
			var of struct {
				Unit json.RawMessage `json:"UNIT"`
			}
			if e, ok := parseEntry(line); ok && json.Unmarshal(line, &of) == nil {
				unit := field(of.Unit)
				events[unit], told = append(events[unit], e), told+1
			}
			continue
		}
		word, rest, _ := strings.Cut(string(line), " ")
		switch word {
		case "uid":
			root = rest == "0"
		case "end":
			whole = true
		case "since":
			if s, err := strconv.ParseInt(rest, 10, 64); err == nil && s > 0 && s < 1<<33 {
				since = time.Unix(s, 0).UTC()
			}
		}
	}
	ends := map[string]run{}
	for unit, list := range events {
		if runs, _ := runsOf(list, !strings.HasPrefix(unit, "sextant-")); len(runs) > 0 {
			ends[unit] = runs[0]
		}
	}
	if !root || !whole || told >= maxChores { // what is older may be missing
		since = time.Time{}
	}
	return ends, since
}

// upkeep is the newest end of some units, or what was known before.
func upkeep(before fleet.Upkeep, ends map[string]run, since time.Time, units []string) fleet.Upkeep {
	u := before
	u.Since = since
	for _, unit := range units {
		if r, ok := ends[unit]; ok && (r.well || r.bad) && !r.end.Before(u.At) {
			u.At, u.OK, u.By = r.end, r.well, unit
		}
	}
	return u
}
