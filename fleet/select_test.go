package fleet_test

import (
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

func TestSelect(t *testing.T) {
	hosts := []fleet.Host{
		{ID: "1", Name: "storage", Tags: []string{"tier1"}, Aliases: []string{"galactica"}},
		{ID: "2", Name: "web1", Tags: []string{"tier1", "web"}},
		{ID: "3", Name: "web2", Tags: []string{"web"}, Role: fleet.RoleCloud, Tier: "tier2"},
	}
	for _, c := range []struct{ sel, want, err string }{
		{"", "storage web1 web2", ""},
		{"all", "storage web1 web2", ""},
		{"web*", "web1 web2", ""},
		{"WEB1", "web1", ""},
		{"galactica", "storage", ""},
		{"@web", "web1 web2", ""},
		{"@tag:web", "web1 web2", ""},
		{"@cloud", "web2", ""},
		{"@tag:tier2", "web2", ""},
		{"@tier1 @tier2", "storage web1 web2", ""},
		{"@", "", "no host matches"},
		{"!web2", "storage web1", ""},
		{"@web !web1", "web2", ""},
		{"storge", "", `nearest name is "storage"`},
		{"@nosuch", "", "no host matches"},
		{"[", "", "no host matches"},
	} {
		got, err := fleet.Select(hosts, strings.Fields(c.sel))
		var names []string
		for _, h := range got {
			names = append(names, h.Name)
		}
		if strings.Join(names, " ") != c.want || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %v, %v", c.sel, names, err)
		}
	}
}
