package backup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// listing is what the repository of one job told.
type listing struct {
	name string
	ties []tie
	err  error
	all  []Snapshot
	ours []Snapshot // of this host
	mine []Snapshot // of this job
	sure bool       // something ties at least one of them to it
	with string     // another job that may as well have made some of them
}

// keepHost keeps the snapshots of the host, or of whom the job's own command
// says that it saves for.
func (f *listing) keepHost(names []string) {
	for _, t := range f.ties {
		if t.host != "" {
			names = append(names[:len(names):len(names)], t.host)
		}
	}
	f.ours = ofHost(f.all, names)
}

// divide gives each job its own of the snapshots of this host: several jobs may
// save into one repository, and one that has stopped must not be taken for the
// other. What fits two jobs equally well is nobody's.
func divide(found []listing) {
	holds := make([]map[string]bool, len(found))
	for i, f := range found {
		holds[i] = map[string]bool{}
		for _, s := range f.ours {
			holds[i][s.ID] = s.ID != ""
		}
	}
	for i := range found {
		f := &found[i]
		for _, s := range f.ours {
			fit := fitOf(f.ties, s)
			best, other := fitNot, ""
			for k := range found {
				if fits := fitOf(found[k].ties, s); k != i && holds[k][s.ID] && fits > best {
					best, other = fits, found[k].name
				}
			}
			if fit == fitNot || best > fit {
				continue
			}
			if best == fit {
				f.with = other
			}
			f.mine, f.sure = append(f.mine, s), f.sure || fit > fitMaybe
		}
	}
}

// doubt says why the snapshots of a job are not known though its repository
// told; "" they are.
func (f listing) doubt() string {
	switch {
	case len(f.all) == 0:
	case len(f.ours) == 0:
		return fmt.Sprintf("the repository holds %s, none of this host: they are of %s", fleet.Count(len(f.all), "snapshot"), strings.Join(hosts(f.all), ", "))
	case len(f.mine) == 0:
		return fmt.Sprintf("the repository holds %s of this host, none with the label, tags and paths of this job", fleet.Count(len(f.ours), "snapshot"))
	case f.with != "":
		return "its snapshots cannot be told from those of " + f.with + ", which saves into the same repository"
	case !f.sure && kinds(f.mine) > 1:
		return fmt.Sprintf("the repository holds %d kinds of snapshots of this host, and which are this job's its unit does not tell", kinds(f.mine))
	}
	return ""
}

// kinds counts the snapshots that differ in label, tags or paths.
func kinds(list []Snapshot) int {
	seen := map[string]bool{}
	for _, s := range list {
		tags, paths := slices.Sorted(slices.Values(s.Tags)), slices.Sorted(slices.Values(s.Paths))
		seen[strings.Join(append(append([]string{s.Label}, tags...), append([]string{"\x00"}, paths...)...), "\x00")] = true
	}
	return len(seen)
}
