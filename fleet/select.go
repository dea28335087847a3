package fleet

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Select picks hosts by selectors: a name, a glob ("web*"), "@tag", which is a role
// or a tier as well (see [State.Placed]), "all"; a leading "!" takes out. No selector, or only such that take out, starts
// from all. A selector that matches no host is an error that names the
// nearest names.
func Select(hosts []Host, selectors []string) ([]Host, error) {
	picked := map[HostID]bool{}
	if !slices.ContainsFunc(selectors, func(s string) bool { return !strings.HasPrefix(s, "!") }) {
		for _, h := range hosts {
			picked[h.ID] = true
		}
	}
	for _, sel := range selectors {
		want, out := strings.CutPrefix(sel, "!")
		match, any := matcher(want), false
		for _, h := range hosts {
			if match(h) {
				any, picked[h.ID] = true, !out
			}
		}
		if !any {
			return nil, noMatch(hosts, want)
		}
	}
	return slices.DeleteFunc(slices.Clone(hosts), func(h Host) bool { return !picked[h.ID] }), nil
}

func matcher(sel string) func(Host) bool {
	if sel == "all" {
		return func(Host) bool { return true }
	}
	if tag, ok := strings.CutPrefix(sel, "@"); ok {
		tag = strings.TrimPrefix(tag, "tag:")
		return func(h Host) bool {
			return slices.Contains(h.Tags, tag) || tag != "" && (tag == string(h.Role) || tag == h.Tier)
		}
	}
	sel = strings.ToLower(sel)
	return func(h Host) bool {
		return slices.ContainsFunc(append([]string{h.Name}, h.Aliases...), func(n string) bool {
			ok, err := path.Match(sel, strings.ToLower(n))
			return err == nil && ok
		})
	}
}

func noMatch(hosts []Host, want string) error {
	var names []string
	for _, h := range hosts {
		names = append(names, h.Name)
	}
	if near := Nearest(want, names); near != "" {
		return fmt.Errorf("no host matches %q; the nearest name is %q", want, near)
	}
	return fmt.Errorf("no host matches %q", want)
}

// Nearest gives the candidate closest to the word by edit distance, or "" when
// none is close enough to be a likely slip of the finger.
func Nearest(word string, candidates []string) string {
	best, at := max(2, len(word)/3)+1, ""
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < best {
			best, at = d, c
		}
	}
	return at
}

// distance is Levenshtein's, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
