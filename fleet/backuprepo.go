package fleet

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// BackupRepo is the repository that a job saves into, as its host sees it. Where it
// is, is not told: that stands in the environment of the job, which is never read.
type BackupRepo struct {
	ID        string     `json:"id"` // its own, the same from every host
	IDAt      time.Time  `json:"idAt,omitzero"`
	At        time.Time  `json:"at"`        // when its snapshots were listed
	Hosts     []RepoHost `json:"hosts"`     // whose snapshots it holds, the newest first; 100 at most
	Snapshots int        `json:"snapshots"` // of all hosts
	Check     Upkeep     `json:"check"`
	Prune     Upkeep     `json:"prune"`
}

// RepoHost is a host name under which a repository holds snapshots.
type RepoHost struct {
	Name      string    `json:"name"`
	Snapshots int       `json:"snapshots"`
	Newest    time.Time `json:"newest"`
}

// Upkeep is when a repository was last checked or pruned, as the host's journal tells.
type Upkeep struct {
	At    time.Time `json:"at,omitzero"`    // its end; zero: not since Since
	OK    bool      `json:"ok"`             // how that ended
	By    string    `json:"by,omitempty"`   // the unit
	Since time.Time `json:"since,omitzero"` // the first entry of the journal; zero: it could not be read
}

// SeenRepo is a repository as all hosts together see it.
type SeenRepo struct {
	ID        string     `json:"id"`
	Tool      string     `json:"tool"`
	Jobs      []string   `json:"jobs"`  // HOST:TOOL/NAME
	Hosts     []SeenHost `json:"hosts"` // whose snapshots it holds
	Snapshots int        `json:"snapshots"`
	Check     Upkeep     `json:"check"` // the newest that any host tells of
	Prune     Upkeep     `json:"prune"`
	At        time.Time  `json:"at"` // when it was last listed
}

// SeenHost is a host name in a repository, with the host of the fleet that has it.
type SeenHost struct {
	RepoHost
	Host   string `json:"host,omitempty"`
	Orphan bool   `json:"orphan,omitempty"` // no host of the fleet has the name, now or as an alias: renamed, or gone
}

// ShortRepo is as much of a repository's ID as its tools show.
func ShortRepo(id string) string { return id[:min(8, len(id))] }

// Repositories joins what the hosts tell of repositories, by their IDs.
func Repositories(states []State) []SeenRepo {
	byID := map[string]*SeenRepo{}
	for _, st := range states {
		for _, j := range st.Backups.Value {
			if j.Repo == nil || j.Repo.ID == "" {
				continue
			}
			r := byID[j.Repo.ID]
			if r == nil {
				r = &SeenRepo{ID: j.Repo.ID, Tool: j.Tool}
				byID[j.Repo.ID] = r
			}
			r.Jobs = append(r.Jobs, st.Host.Name+":"+j.Key())
			r.see(*j.Repo)
		}
	}
	var out []SeenRepo
	for _, r := range byID {
		for i := range r.Hosts {
			r.Hosts[i].Host = ownerOf(states, r.Hosts[i].Name)
			r.Hosts[i].Orphan = r.Hosts[i].Host == ""
		}
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b SeenRepo) int {
		return cmp.Or(strings.Compare(a.Jobs[0], b.Jobs[0]), strings.Compare(a.ID, b.ID))
	})
	return out
}

// see takes in what one host tells: the newest listing counts, and the newest check.
func (r *SeenRepo) see(s BackupRepo) {
	if s.At.After(r.At) {
		r.At, r.Snapshots, r.Hosts = s.At, s.Snapshots, []SeenHost{}
		for _, h := range s.Hosts {
			r.Hosts = append(r.Hosts, SeenHost{RepoHost: h})
		}
	}
	r.Check, r.Prune = r.Check.newer(s.Check), r.Prune.newer(s.Prune)
}

// newer is the later of two; where there was none, the one that was looked for
// further back.
func (u Upkeep) newer(v Upkeep) Upkeep {
	switch {
	case v.At.After(u.At), u.At.IsZero() && v.At.IsZero() && !v.Since.IsZero() && (u.Since.IsZero() || v.Since.Before(u.Since)):
		return v
	}
	return u
}

// ownerOf is the host of the fleet that has a name; "" none.
func ownerOf(states []State, name string) string {
	for _, st := range states {
		for _, n := range append([]string{st.Host.Name, st.System.Value.Hostname}, st.Host.Aliases...) {
			a, _, _ := strings.Cut(n, ".")
			b, _, _ := strings.Cut(name, ".")
			if n != "" && (strings.EqualFold(n, name) || strings.EqualFold(a, b) && (a == n || b == name)) {
				return st.Host.Name
			}
		}
	}
	return ""
}
