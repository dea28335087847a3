package history

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"
)

// systemsFile holds which systems commits of the flake declare, as far as they
// were built or evaluated here.
const systemsFile = "systems.json"

// maxCommits is of how many commits the systems are kept.
const maxCommits = 10

// declared are the systems of one commit.
type declared struct {
	Learnt  time.Time         `json:"learnt"`
	Systems map[string]string `json:"systems"` // attribute → toplevel
}

type systems struct {
	header
	Commits map[string]declared `json:"commits"`
}

// SaveSystems adds which toplevels a commit declares, by attribute.
func (h *History) SaveSystems(commit string, paths map[string]string) error {
	all := systems{}
	err := h.load(systemsFile, &all)
	all.Schema = schema
	if all.Commits == nil {
		all.Commits = map[string]declared{}
	}
	merged := maps.Clone(all.Commits[commit].Systems)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, paths)
	all.Commits[commit] = declared{time.Now().UTC(), merged}
	byAge := slices.SortedFunc(maps.Keys(all.Commits), func(a, b string) int { return all.Commits[b].Learnt.Compare(all.Commits[a].Learnt) })
	for _, old := range byAge[min(maxCommits, len(byAge)):] {
		delete(all.Commits, old)
	}
	data, bad := json.Marshal(all)
	return errors.Join(err, bad, h.write(systemsFile, data))
}

// Systems gives which toplevels a commit declares, by attribute, as far as that
// is known here.
func (h *History) Systems(commit string) (map[string]string, error) {
	all := systems{}
	err := h.load(systemsFile, &all)
	return all.Commits[commit].Systems, err
}
