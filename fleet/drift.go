package fleet

import (
	"fmt"
	"strings"
	"time"
)

// Repository is the flake that declares the fleet's systems, as it is now.
type Repository struct {
	Ref       string    `json:"flake"`
	Revision  string    `json:"revision"`            // of the newest commit; "" it is no repository
	Dirty     bool      `json:"dirty"`               // there are changes that are not committed
	Committed time.Time `json:"committed,omitzero"`  // the newest commit
	Nixpkgs   time.Time `json:"nixpkgs,omitzero"`    // of the locked nixpkgs; zero: none is locked
	Locked    string    `json:"nixpkgsRev,omitzero"` // its revision

	Changes string `json:"-"` // what the uncommitted changes are, as one word that is another when they are; "": it cannot be told

	Distances map[string]Distance `json:"-"` // from revisions that hosts run to Revision
	Systems   map[string]string   `json:"-"` // attribute → toplevel as the repository is now, where it was built or evaluated
}

// Distance is how far a revision is from that of the repository, in commits.
type Distance struct {
	Behind int  // commits that the repository has and it has not
	Ahead  int  // commits that it has and the repository has not
	Lost   bool // the repository does not know the revision
}

// DriftState is whether a host runs what the repository declares.
type DriftState string

// States of drift.
const (
	DriftNone    DriftState = "same"
	DriftDiffers DriftState = "differs"
	DriftUnknown DriftState = "unknown"
)

// Drift is what a host runs against what the repository declares for it.
type Drift struct {
	State    DriftState `json:"state"`
	Why      string     `json:"why"`
	By       string     `json:"by,omitempty"`       // "path": the toplevels were compared; "revision": only the commits were
	Declared string     `json:"declared,omitempty"` // toplevel, where it is known
	Behind   int        `json:"behind,omitempty"`   // commits
	Ahead    int        `json:"ahead,omitempty"`    // commits
}

// Drift compares a host that tells what it runs. By the toplevel's path, where
// that is known for the newest commit, else by the configuration's revision.
func (r Repository) Drift(s State) Drift {
	if !s.System.HasValue() {
		return Drift{State: DriftUnknown, Why: "what it runs is not known"}
	}
	sys := s.System.Value
	d := r.byRevision(sys.Revision)
	if path := r.Systems[r.attribute(s.Host)]; path != "" {
		d.By, d.Declared, d.State = "path", path, DriftDiffers
		switch {
		case sys.Running.System() == path:
			d.State, d.Why, d.Behind, d.Ahead = DriftNone, "it runs what the repository declares", 0, 0
		case d.Behind == 0 && d.Ahead == 0:
			d.Why = "it runs another system than the repository declares"
		}
	}
	return d
}

// attribute is the one of a host among the systems that are known.
func (r Repository) attribute(h Host) string {
	for _, name := range append([]string{h.Flake, h.Name}, h.Aliases...) {
		if r.Systems[name] != "" {
			return name
		}
	}
	return ""
}

// byRevision compares commits alone.
func (r Repository) byRevision(revision string) Drift {
	base, dirty := strings.CutSuffix(revision, "-dirty")
	d := Drift{State: DriftUnknown, By: "revision"}
	dist, measured := r.Distances[base]
	d.Behind, d.Ahead = dist.Behind, dist.Ahead
	switch {
	case revision == "":
		d.Why, d.By = "its system does not tell its revision: set system.configurationRevision", ""
	case r.Revision == "":
		d.Why, d.By = "the flake is in no repository", ""
	case dist.Lost:
		d.State, d.Why = DriftDiffers, "it runs "+Short(base, 12)+", which the repository does not know"
	case dist.Behind > 0 && dist.Ahead > 0:
		d.State, d.Why = DriftDiffers, fmt.Sprintf("%s behind, and %s that the repository has not", commits(dist.Behind), commits(dist.Ahead))
	case dist.Behind > 0:
		d.State, d.Why = DriftDiffers, commits(dist.Behind)+" behind"
	case dist.Ahead > 0:
		d.State, d.Why = DriftDiffers, commits(dist.Ahead)+" ahead of the repository"
	case base != r.Revision && !measured:
		d.State, d.Why = DriftDiffers, "it runs another revision, "+Short(base, 12)
	case r.Dirty:
		d.Why = "the same commit, but the repository has changes that are not committed"
	case dirty:
		d.Why = "the same commit, but with changes that were not committed"
	default:
		d.State, d.Why = DriftNone, "it runs the newest commit"
	}
	if dirty && d.State == DriftDiffers {
		d.Why += ", with changes that were not committed"
	}
	return d
}

func commits(n int) string {
	if n == 1 {
		return "1 commit"
	}
	return fmt.Sprintf("%d commits", n)
}
