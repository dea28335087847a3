package hostscreen

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// served is the tab of what a host serves: its sites, the services that can be
// asked how they are, and who listens where; one list at a time. Other things that are
// several lists are of this type, too.
type served struct {
	names []string // of the lists
	views []*tableTab
	at    int
}

// servedNames are what the lists are called.
var servedNames = []string{"Sites", "Services", "Listens", "Secrets"}

func newServed() *served {
	return &served{names: servedNames, views: []*tableTab{sites(), services(), listens(false), hostSecrets(false)}}
}

func (s *served) table() *tableTab { return s.views[s.at] }

func (s *served) fresh(c *screen.Context, st fleet.State) screen.Effect {
	for _, t := range s.views {
		t.take(c, []fleet.State{st})
	}
	return nil
}

func (s *served) draw(c *screen.Context, st fleet.State, p widget.Pane) {
	if s.table().open == "" {
		s.drawViews(p.Sub(1, 0, p.W-2, 1))
		p = p.Sub(0, 1, p.W, p.H-1)
	}
	s.table().draw(c, st, p)
}

// drawViews names the lists, with how many rows each has where there is room for that:
// of all, of the open one, of none.
func (s *served) drawViews(p widget.Pane) {
	for _, told := range []func(int) bool{func(int) bool { return true }, func(i int) bool { return i == s.at }, func(int) bool { return false }} {
		var names []string
		room := p.W
		for i, name := range s.names {
			if told(i) {
				name = counted(name, len(s.views[i].byID))
			}
			names = append(names, name)
			room -= widget.Width(name) + 2
		}
		if room >= 0 || !told(s.at) {
			drawNames(p, names, s.at)
			return
		}
	}
}

func (s *served) do(c *screen.Context, st fleet.State, id string) screen.Effect {
	if id == "view" {
		s.turn((s.at + 1) % len(s.views))
		return nil
	}
	return s.table().do(c, st, id)
}

func (s *served) turn(to int) {
	s.table().open = ""
	s.at = to
}

func (s *served) tap(c *screen.Context, st fleet.State, target any) screen.Effect {
	if t, ok := target.(tapView); ok {
		s.turn(t.n)
		return nil
	}
	return s.table().tap(c, st, target)
}

// back leaves another list for the sites, after what is open there.
func (s *served) back(c *screen.Context, st fleet.State) bool {
	if s.table().back(c, st) {
		return true
	}
	if s.at == 0 {
		return false
	}
	s.turn(0)
	return true
}

func (s *served) receive(c *screen.Context, st fleet.State, msg tea.Msg) screen.Effect {
	for _, t := range s.views {
		t.receive(c, st, msg)
	}
	return nil
}

func (s *served) target(st fleet.State, t *fleet.Target) { s.table().target(st, t) }

func (s *served) focus(f *fleet.Focus, st fleet.State) { s.table().focus(f, st) }

// item is the site that is open: others are not a place to come back to.
func (s *served) item() string {
	if s.at > 0 {
		return ""
	}
	return s.table().item()
}

func (s *served) scopes() []string { return append(s.table().scopes(), "served") }

func (s *served) hints() []string {
	return []string{"back", "enter", "view", "find", "menu", "shell", "refresh", "help"}
}

// openHints are of a thing in full; a service and a listener have a log.
func (s *served) openHints() []string {
	if s.at == 0 {
		return []string{"back", "menu", "copy", "shell", "help"}
	}
	return []string{"back", "logs", "menu", "copy", "shell", "help"}
}

// siteAt is a site of a host by its place among all of them, with its proxy.
func siteAt(st fleet.State, at int) (fleet.Site, fleet.Proxy) {
	for _, p := range st.SeenSites().Value {
		if at < len(p.Sites) {
			return p.Sites[at], p
		}
		at -= len(p.Sites)
	}
	return fleet.Site{}, fleet.Proxy{}
}

// standing is a word in the colour of what it says.
func standing(word string) widget.Line {
	switch word {
	case "ok":
		return widget.L(themes.OK, word)
	case "down", "broken":
		return widget.L(themes.Fail, word)
	case "certificate":
		return widget.L(themes.Warn, word)
	case "-":
		return widget.L(themes.Dim, word)
	}
	return widget.L(themes.Unknown, word)
}

// sites is the list of a host's sites.
func sites() *tableTab {
	return &tableTab{
		columns: []widget.Column{
			{Title: "site", Width: 16, Max: 40},
			{Title: "state", Width: 6, Max: 11},
			{Title: "leads to", Width: 12, Max: 44},
			{Title: "sign-in", Width: 7, Max: 16, Drop: 3},
			{Title: "certificate", Width: 11, Max: 24, Drop: 4},
		},
		rows: func(_ *screen.Context, st fleet.State) []row {
			var rows []row
			for _, p := range st.Sites.Value {
				for _, s := range p.Sites {
					rows = append(rows, row{id: fmt.Sprint(s.Label(), " ", s.Port), name: s.Label(), more: leads(s), at: len(rows)})
				}
			}
			return rows
		},
		cells: func(c *screen.Context, st fleet.State, at int) []widget.Line {
			s, _ := siteAt(st, at)
			word, _ := st.SiteWord(s, c.Now)
			return []widget.Line{widget.T(s.Label()), standing(word), widget.T(leads(s)), widget.L(themes.Dim, signIn(s)), cert(c, s)}
		},
		lines: func(c *screen.Context, st fleet.State, at int) [2]widget.Line {
			s, _ := siteAt(st, at)
			word, why := st.SiteWord(s, c.Now)
			return [2]widget.Line{widget.T(s.Label() + "  ").Join(standing(word)), widget.L(themes.Dim, "  "+cmp.Or(why, leads(s)))}
		},
		detail: site,
		missing: func(c *screen.Context, st fleet.State) []widget.Line {
			return none(c, st, st.Sites, "no site")
		},
		age: func(c *screen.Context, st fleet.State) widget.Line { return outdated(c, st, st.Sites) },
		aim: func(st fleet.State, at int, t *fleet.Target) {
			if _, p := siteAt(st, at); p.Unit != "" {
				t.Unit = p.Unit
			}
		},
		log: func(st fleet.State, at int) (fleet.LogSource, string) {
			if _, p := siteAt(st, at); p.Unit != "" {
				return fleet.LogSource{Unit: p.Unit}, ""
			}
			return fleet.LogSource{}, "its proxy has no unit"
		},
	}
}

// leads is where a site's routes lead, in one line.
func leads(s fleet.Site) string {
	var all []string
	for _, r := range s.Routes {
		all = append(all, r.Leads())
	}
	return strings.Join(all, ", ")
}

// signIn is who is asked before a site's routes are taken.
func signIn(s fleet.Site) string {
	with, word := 0, ""
	for _, r := range s.Routes {
		if r.Auth != nil && !r.Auth.Bypassed() {
			with, word = with+1, r.Auth.Kind
		}
	}
	switch with {
	case 0:
		return "-"
	case len(s.Routes):
		return word
	}
	return "in part"
}

func cert(c *screen.Context, s fleet.Site) widget.Line {
	switch {
	case !s.TLS:
		return widget.L(themes.Dim, "no TLS")
	case s.Cert == nil:
		return widget.L(themes.Unknown, "?")
	}
	role := themes.Dim
	switch sev, _ := s.Cert.Judge(c.Now); sev {
	case fleet.SeverityFail:
		role = themes.Fail
	case fleet.SeverityWarn:
		role = themes.Warn
	case fleet.SeverityUnknown:
		role = themes.Unknown
	}
	return widget.L(role, s.Cert.Word(c.Now))
}

// site is all that is known of one.
func site(c *screen.Context, st fleet.State, at, w int) widget.Doc {
	s, p := siteAt(st, at)
	word, why := st.SiteWord(s, c.Now)
	d := widget.Doc{}.Field(w, label, "site", widget.L(themes.Title, s.Label()))
	d = d.Field(w, label, "state", standing(word).And(themes.Text, "  "+why))
	d = d.Field(w, label, "listens", widget.T(cmp.Or(strings.Join(s.Listen, ", "), "?")))
	d = d.Field(w, label, "certificate", cert(c, s))
	if s.Cert != nil && s.Cert.Error == "" {
		d = d.Field(w, label, "issuer", widget.T(s.Cert.Issuer))
		d = d.Field(w, label, "for", widget.T(strings.Join(s.Cert.Names, ", ")))
		d = d.Field(w, label, "until", widget.T(s.Cert.NotAfter.Local().Format("2006-01-02 15:04")))
		if s.Cert.Trusted != nil && !*s.Cert.Trusted {
			d = d.Field(w, label, "trusted", widget.L(themes.Dim, "not by this machine: "+s.Cert.Untrusted))
		}
	}
	for i, r := range s.Routes {
		d = append(d, route(c, st, r, i, w)...)
	}
	d = d.Field(w, label, "proxy", widget.T(p.Kind+" at "+p.Admin))
	if !p.Reloaded.IsZero() {
		d = d.Field(w, label, "reloaded", widget.T(words.When(p.Reloaded, c.Now)))
	}
	for _, u := range p.Unread {
		d = d.Field(w, label, "not read", widget.L(themes.Unknown, u))
	}
	return d.Field(w, label, "source", widget.L(themes.Dim, st.Sites.Source+", "+words.AgoLong(st.Sites.At, c.Now)))
}

func route(c *screen.Context, st fleet.State, r fleet.Route, i, w int) widget.Doc {
	head := widget.T(cmp.Or(fleet.Condition(r.When), "always")).And(themes.Dim, " "+c.Glyphs.Arrow+" ").And(themes.Text, r.Leads()).And(themes.Text, "  ").Join(standing(st.RouteWord(r)))
	d := widget.Doc{}.Field(w, label, "route "+strconv.Itoa(i+1), head)
	for _, u := range r.Upstreams {
		if u.By != "" {
			d = d.Field(w, label, "", widget.L(themes.Dim, u.Dial+": "+u.By))
		}
	}
	if r.Strip != "" {
		d = d.Field(w, label, "", widget.L(themes.Dim, "without "+r.Strip+" in front"))
	}
	if len(r.Through) > 0 {
		d = d.Field(w, label, "", widget.L(themes.Unknown, "through "+strings.Join(r.Through, ", ")+", which Sextant does not know"))
	}
	if r.Auth != nil {
		d = d.Field(w, label, "", widget.L(themes.Dim, "sign-in: "+r.SignIn()+" "+strings.Join(r.Auth.Upstream, ", ")+r.Auth.URI))
		d = d.Field(w, label, "", letsPass(c, *r.Auth))
	}
	return d
}

// letsPass is whether who is asked before a route lets strangers pass.
func letsPass(c *screen.Context, a fleet.ForwardAuth) widget.Line {
	switch {
	case a.Nobody == nil && a.Kind != "forward_auth":
		return widget.L(themes.Dim, "the proxy itself asks")
	case a.Nobody == nil:
		return widget.L(themes.Unknown, "? whether strangers pass: "+cmp.Or(a.Unasked, "not asked yet"))
	}
	l := widget.L(themes.OK, "strangers are kept out")
	if a.Bypassed() {
		l = widget.L(themes.Warn, "strangers pass")
	}
	return l.And(themes.Dim, fmt.Sprintf("  HTTP %d for %s, %s", a.Nobody.Status, a.Nobody.URL, words.AgoLong(a.Nobody.At, c.Now)))
}

// services is the list of the services that can be asked how they are.
func services() *tableTab {
	return &tableTab{
		columns: []widget.Column{
			{Title: "service", Width: 10, Max: 20},
			{Title: "health", Width: 7},
			{Title: "runs as", Width: 12, Max: 36},
			{Title: "at", Width: 15, Max: 24, Drop: 3},
			{Title: "why", Width: 12, Max: 90, Drop: 2},
		},
		rows: func(_ *screen.Context, st fleet.State) []row {
			var rows []row
			for i, v := range st.Services.Value {
				rows = append(rows, row{id: v.Kind + " " + v.Unit + v.Container, name: v.Kind, more: v.Unit + " " + v.Container, at: i})
			}
			return rows
		},
		cells: func(_ *screen.Context, st fleet.State, at int) []widget.Line {
			v := st.Services.Value[at]
			return []widget.Line{widget.T(v.Kind), standing(string(v.Health)), widget.T(runsAs(v)), widget.L(themes.Dim, v.Address), widget.T(v.Why)}
		},
		lines: func(_ *screen.Context, st fleet.State, at int) [2]widget.Line {
			v := st.Services.Value[at]
			return [2]widget.Line{widget.T(v.Kind + "  ").Join(standing(string(v.Health))), widget.L(themes.Dim, "  "+cmp.Or(v.Why, runsAs(v)))}
		},
		detail: func(c *screen.Context, st fleet.State, at, w int) widget.Doc {
			v := st.Services.Value[at]
			d := widget.Doc{}.Field(w, label, "service", widget.L(themes.Title, v.Kind)).Field(w, label, "health", standing(string(v.Health)))
			if v.Why != "" {
				d = d.Field(w, label, "why", widget.T(v.Why))
			}
			if v.Cure != "" {
				d = d.Field(w, label, "cure", widget.T(v.Cure))
			}
			d = d.Field(w, label, "runs as", widget.T(runsAs(v))).Field(w, label, "asked at", orUnknown(v.Address))
			return d.Field(w, label, "source", widget.L(themes.Dim, st.Services.Source+", "+words.AgoLong(st.Services.At, c.Now)))
		},
		missing: func(c *screen.Context, st fleet.State) []widget.Line {
			return none(c, st, st.Services, "no service that can be asked")
		},
		age: func(c *screen.Context, st fleet.State) widget.Line { return outdated(c, st, st.Services) },
		aim: func(st fleet.State, at int, t *fleet.Target) { t.Unit = st.Services.Value[at].Unit },
		log: func(st fleet.State, at int) (fleet.LogSource, string) {
			return unitLog(st.Services.Value[at].Unit)
		},
	}
}

func runsAs(v fleet.Service) string {
	if v.Container != "" {
		return "container " + v.Container
	}
	return cmp.Or(v.Unit, "?")
}

// unitLog is the log of a unit of the system, where there is one.
func unitLog(unit string) (fleet.LogSource, string) {
	if unit == "" {
		return fleet.LogSource{}, "it has no unit"
	}
	return fleet.LogSource{Unit: unit}, ""
}
