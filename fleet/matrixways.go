package fleet

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// leadingSite is a route of a site that leads to a service.
type leadingSite struct {
	Name  string // the site's label
	Proxy State  // the host whose proxy serves it
	Port  uint16 // of the site
	Route Route
}

// led is where a route leads: a port of a host.
type led struct {
	leadingSite
	to   HostID
	port uint16
}

// ways is where all sites of a fleet lead.
type ways struct {
	hosts    []State
	led      map[HostID][]led
	ports    map[HostID]map[uint16]bool // to which sites lead
	unplaced []led                      // of which it is not known where they lead; port 0: nor at which
	unread   []string                   // "HOST: WHY" of proxies that were not read
	opens    map[HostID][]Exposure
	asksAt   map[spot][]watching   // what monitors ask, by where that is
	asksFor  map[string][]watching // and by the name in its URL, in small letters
	asks     int
	placed   map[string]placing // addresses that were looked for
	blind    string             // why not all that is asked is known
}

// watching is something that a monitor asks.
type watching struct {
	n      int    // in the order in which they are known
	what   string // "prometheus on storage asks 127.0.0.1:8080 (apps)"
	health string
}

// spot is a port of a host.
type spot struct {
	host HostID
	port uint16
}

// ways finds where all sites lead.
func (s Snapshot) ways(now time.Time) *ways {
	w := &ways{hosts: s.Hosts, led: map[HostID][]led{}, ports: map[HostID]map[uint16]bool{}, opens: map[HostID][]Exposure{}, asksAt: map[spot][]watching{}, asksFor: map[string][]watching{}, placed: map[string]placing{}}
	for _, st := range s.Hosts {
		if st.Sleeps() || st.offline() {
			continue // it serves nobody, and watches nothing
		}
		w.opens[st.Host.ID] = s.ExposuresOf(st, now, nil)
		w.watch(st, now)
		if !st.Sites.Usable(now) {
			if !st.Sites.None {
				w.unread = append(w.unread, st.Host.Name+": "+cmp.Or(st.Sites.Err, st.Reach.Err, "its sites were not asked yet"))
			}
			continue
		}
		for _, p := range st.Sites.Value {
			for _, why := range p.Unread {
				if !strings.Contains(why, "certificate") {
					w.unread = append(w.unread, st.Host.Name+": "+why)
				}
			}
			for _, site := range p.Sites {
				w.site(st, site)
			}
		}
	}
	return w
}

// offline tells whether the tailnet says that a host which is not reached is not there.
func (s State) offline() bool {
	p := s.Host.Presence
	return s.Reach.Err != "" && p.Current() && !p.Value.Online
}

// watch takes in what the monitors of a host ask.
func (w *ways) watch(on State, now time.Time) {
	if !on.Monitors.Usable(now) {
		if !on.Monitors.None {
			w.blind = cmp.Or(w.blind, "monitors of "+on.Host.Name+": "+cmp.Or(on.Monitors.Err, on.Reach.Err, "not asked yet"))
		}
		return
	}
	for _, m := range on.Monitors.Value {
		if m.Err != "" && !m.None {
			w.blind = cmp.Or(w.blind, m.Name(on.Host.Name)+": "+m.Err)
		}
		if n := len(m.Watched); m.Targets > n {
			w.blind = cmp.Or(w.blind, m.Name(on.Host.Name)+": only the first "+strconv.Itoa(n)+" of the "+strconv.Itoa(m.Targets)+" that it asks are known")
		}
		for _, t := range m.Watched {
			w.take(on, m.Name(on.Host.Name), t)
		}
	}
}

// take takes in what a monitor asks: at a port of a host, and by a name.
func (w *ways) take(on State, by string, t Watch) {
	w.asks++
	one := watching{w.asks, by + " asks " + t.Address + " (" + t.Job + ")", t.Health}
	if _, rest, isURL := strings.Cut(t.Address, "://"); isURL {
		name, _, _ := strings.Cut(rest, "/")
		name, _, _ = strings.Cut(name, ":")
		w.asksFor[strings.ToLower(name)] = append(w.asksFor[strings.ToLower(name)], one)
	}
	host, port, ok := Upstream{Dial: strings.TrimSuffix(t.Address, "/")}.Address()
	if !ok {
		return
	}
	if id, ok := w.place(on, host); ok {
		w.asksAt[spot{id, port}] = append(w.asksAt[spot{id, port}], one)
	}
}

// askedOf is what monitors ask of a row, at its ports or by the names of its sites.
func (w *ways) askedOf(st State, r *ServiceRow) []watching {
	var list []watching
	for _, p := range r.Ports {
		list = append(list, w.asksAt[spot{st.Host.ID, p}]...)
	}
	for _, n := range r.Names {
		list = append(list, w.asksFor[strings.ToLower(n)]...)
	}
	slices.SortFunc(list, func(a, b watching) int { return a.n - b.n })
	return slices.Compact(list)
}

func (w *ways) site(st State, site Site) {
	for _, r := range site.Routes {
		one := led{leadingSite: leadingSite{Name: site.Label(), Proxy: st, Port: site.Port, Route: r}}
		if r.Dynamic != "" {
			w.unplaced = append(w.unplaced, one)
		}
		for _, u := range r.Upstreams {
			to := one
			host, port, ok := u.Address()
			if to.port = port; ok {
				to.to, ok = w.place(st, host)
			}
			if !ok {
				w.unplaced = append(w.unplaced, to)
				continue
			}
			w.led[to.to] = append(w.led[to.to], to)
			if w.ports[to.to] == nil {
				w.ports[to.to] = map[uint16]bool{}
			}
			w.ports[to.to][port] = true
		}
	}
}

// bridges are addresses that the bridges of container engines have on every host, and
// names by which containers find their own.
var bridges = []string{"10.88.0.1", "172.17.0.1", "host.containers.internal", "host.docker.internal", "0.0.0.0", "::"}

// place is which host an address means, as it is dialled on one of them. What that one
// has itself is itself, be it that every other has it too.
func (w *ways) place(from State, host string) (HostID, bool) {
	if from.Owns(host) || from.Firewall.Value.Has(host) || slices.Contains(bridges, host) {
		return from.Host.ID, true
	}
	p, known := w.placed[host]
	if !known {
		for _, st := range w.hosts {
			if st.Has(host) || st.Firewall.Value.Has(host) {
				p = placing{st.Host.ID, p.hosts + 1}
			}
		}
		w.placed[host] = p
	}
	return p.id, p.hosts == 1
}

// placing is how many hosts have an address, and the last of them.
type placing struct {
	id    HostID
	hosts int
}

// lead gives rows of a host the sites that lead to them: of those that have the port
// the one that is called as the site is.
func (w *ways) lead(st State, rows []ServiceRow) {
	byPort := map[uint16][]int{}
	for i, r := range rows {
		for _, p := range r.Ports {
			byPort[p] = append(byPort[p], i)
		}
	}
	for _, l := range w.led[st.Host.ID] {
		at := byPort[l.port]
		if len(at) == 0 {
			continue
		}
		best := at[0]
		for _, i := range at {
			if rows[i].rank(l) > rows[best].rank(l) {
				best = i
			}
		}
		r := &rows[best]
		r.sites = append(r.sites, l.leadingSite)
		if !slices.Contains(r.Names, l.Name) {
			r.Names = append(r.Names, l.Name)
		}
	}
}

// rank is how well a row fits where a site leads: by its name, then because it runs.
func (r *ServiceRow) rank(l led) int {
	label, _, _ := strings.Cut(strings.ToLower(l.Name), ".")
	n := 0
	if strings.EqualFold(r.Name, label) {
		n += 2
	}
	if r.runs() {
		n++
	}
	return n
}

// may tells why a site of which it is not known where it leads may lead to a row; ""
// none may.
func (w *ways) may(st State, r *ServiceRow) string {
	for _, l := range w.unplaced {
		dials := l.Route.Leads()
		switch {
		case l.Route.Dynamic != "" && len(l.Route.Upstreams) == 0:
		case l.port != 0 && len(r.Ports) > 0 && !slices.Contains(r.Ports, l.port):
			continue
		case l.port == 0 && l.Proxy.Host.ID != st.Host.ID: // a socket of its own host
			continue
		}
		return l.Name + " on " + l.Proxy.Host.Name + " leads to " + dials + ", and what that is, is not known"
	}
	return ""
}

// opened are the host's exposures at a row's listeners that are not loopback's.
func (w *ways) opened(st State, r *ServiceRow) []Exposure {
	var list []Exposure
	for _, e := range w.opens[st.Host.ID] {
		of := e.Unit != "" && e.User == "" && e.Unit == r.Unit && r.User == "" || r.box != nil && r.box.ID != "" && e.Container == r.box.ID ||
			e.Unit == "" && e.Container == "" && r.Process != "" && e.Process == r.Process && strings.TrimPrefix(e.User, "0") == r.User
		sent := (e.To != "" || slices.Contains(published, e.Process)) && r.box != nil && slices.Contains(r.Ports, e.Port) && e.Proto == "tcp"
		if (of || sent) && !e.Loopback() {
			list = append(list, e)
		}
	}
	return list
}

// meant tells whether the router that sends something on to a host has it listed as
// meant.
func (w *ways) meant(st State, e Exposure) bool {
	for _, router := range w.hosts {
		if router.Host.ID == st.Host.ID {
			continue
		}
		for _, f := range router.Firewall.Value.Sent {
			if f.Proto == e.Proto && f.ToPort == e.Port && st.Firewall.Value.Has(f.To) &&
				slices.ContainsFunc(w.opens[router.Host.ID], func(o Exposure) bool { return o.Proto == f.Proto && o.Port == f.Port && o.Meant != "" }) {
				return true
			}
		}
	}
	return false
}

// proxies tells whether a row is a proxy of its host, and with how many sites.
func (s State) proxies(r *ServiceRow) (sites int, is bool) {
	for _, p := range s.Sites.Value {
		if p.Unit != "" && p.Unit == r.Unit && r.User == "" || p.Unit == "" && r.Name == p.Kind {
			return len(p.Sites), true
		}
	}
	return 0, false
}

// exposed is whether a proxy serves it, and whether the internet reaches it past one.
func (r *ServiceRow) exposed(st State, w *ways) {
	n, proxy := st.proxies(r)
	unsure := ""
	for _, e := range w.opened(st, r) {
		port := ProtoPort(e.Proto, e.Port)
		switch {
		case proxy:
		case e.Internet.State == Passes && e.Meant == "" && !w.meant(st, e):
			r.Exposed = cell(CellBroken, "the internet reaches ", port, " past any proxy: ", e.Internet.Why)
			return
		case e.Internet.State == PassesUnknown && e.Meant == "":
			unsure = cmp.Or(unsure, "whether the internet reaches "+port+" is not known: "+e.Internet.Why)
		}
	}
	past := ""
	if unsure != "" {
		past = "; " + unsure
	}
	switch {
	case proxy:
		r.Exposed = cell(CellYes, "it is the proxy, of ", strconv.Itoa(n), " sites")
	case len(r.sites) > 0:
		r.Exposed = cell(CellYes, strings.Join(r.served(), ", "), past)
	case len(w.unread) > 0:
		r.Exposed = cell(CellUnknown, w.unread[0])
	case w.may(st, r) != "":
		r.Exposed = cell(CellUnknown, w.may(st, r))
	case unsure != "":
		r.Exposed = cell(CellUnknown, unsure)
	case len(r.Ports) == 0 && !st.Listens.Current():
		r.Exposed = cell(CellUnknown, "at which ports it listens is not known: ", cmp.Or(st.Listens.Err, "not asked yet"))
	default:
		r.Exposed = cell(CellNo, "no site leads to it")
	}
}

// served are the sites of a row with the hosts whose proxies serve them.
func (r *ServiceRow) served() []string {
	var all []string
	for _, s := range r.sites {
		if text := s.Name + " by " + s.Proxy.Host.Name; !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

// signsPeopleIn tells whether a row is of the sign-in itself.
func (s State) signsPeopleIn(r *ServiceRow) bool {
	return slices.ContainsFunc(s.Services.Value, func(v Service) bool {
		return slices.Contains(signInOrder, v.Kind) && (v.Unit != "" && v.Unit == r.Unit || v.Container != "" && v.Container == r.Container)
	})
}

// protected is whether people sign in before they come to it through its sites.
func (r *ServiceRow) protected(st State, w *ways, now time.Time) {
	_, proxy := st.proxies(r)
	switch {
	case proxy:
		r.Protected = cell(CellNo, "each of its sites is judged where it leads")
		return
	case st.signsPeopleIn(r):
		r.Protected = cell(CellYes, "it is part of the sign-in itself")
		return
	case len(r.sites) == 0 && r.Exposed.State == CellUnknown:
		r.Protected = cell(CellUnknown, r.Exposed.Why)
		return
	case len(r.sites) == 0:
		r.Protected = cell(CellNo, "no site leads to it")
		return
	}
	var cells []Cell
	for _, l := range r.sites {
		cells = append(cells, w.guarded(l, now))
	}
	r.Protected = together(cells)
}

// together is what several answers amount to: the worst, and part where some hold.
func together(cells []Cell) Cell {
	var whys []string
	has := map[CellState]bool{}
	worst := CellYes
	for _, s := range []CellState{CellBroken, CellUnknown, CellPart, CellNo, CellYes} {
		for _, c := range cells {
			if c.State != s {
				continue
			}
			if has[s] = true; !slices.Contains(whys, c.Why) {
				whys = append(whys, c.Why)
			}
		}
	}
	switch {
	case has[CellBroken]:
		worst = CellBroken
	case has[CellUnknown]:
		worst = CellUnknown
	case has[CellPart], has[CellNo] && has[CellYes]:
		worst = CellPart
	case has[CellNo]:
		worst = CellNo
	}
	return cell(worst, strings.Join(whys, "; "))
}

// guarded is whether people sign in before a route is taken.
func (w *ways) guarded(l leadingSite, now time.Time) Cell {
	what := l.Name
	if c := Condition(l.Route.When); c != "" {
		what += " (" + c + ")"
	}
	a := l.Route.Auth
	if a == nil {
		return w.open(l, what, now)
	}
	if cond := Condition(a.When); cond != "" {
		return cell(CellPart, what, ": ", a.Kind, " only for ", cond)
	}
	if len(a.Upstream) == 0 {
		return cell(CellYes, what, ": ", a.Kind)
	}
	host, port, ok := Upstream{Dial: a.Upstream[0]}.Address()
	if !ok {
		return cell(CellUnknown, what, ": ", a.Kind, " asks ", a.Upstream[0], ", and what that is, is not known")
	}
	id, ok := w.place(l.Proxy, host)
	if !ok {
		return cell(CellUnknown, what, ": ", a.Kind, " of ", a.Upstream[0], ", which is no host of the fleet that is known")
	}
	return w.lets(l, what, w.asked(id, port, what+": "+a.Kind, now), now)
}

// lets is what becomes of a sign-in that is well when it is known whom it lets pass.
func (w *ways) lets(l leadingSite, what string, asked Cell, now time.Time) Cell {
	a := l.Route.Auth
	switch {
	case asked.State != CellYes:
		return asked
	case a.Bypassed():
		return w.open(l, what+": "+a.Kind+" lets everybody pass", now)
	case a.Nobody == nil:
		return cell(CellUnknown, asked.Why, "; whether it lets people pass who have not signed in is not known: ", cmp.Or(a.Unasked, "not asked yet"))
	}
	return cell(CellYes, asked.Why, ", which keeps out who has not signed in (HTTP ", strconv.Itoa(a.Nobody.Status), ")")
}

// asked is how the sign-in is that a route asks.
func (w *ways) asked(id HostID, port uint16, what string, now time.Time) Cell {
	i := slices.IndexFunc(w.hosts, func(s State) bool { return s.Host.ID == id })
	st := w.hosts[i]
	if !st.Services.Usable(now) {
		return cell(CellUnknown, what, " asks ", st.Host.Name, ", of whose sign-in nothing is known: ", cmp.Or(st.Services.Err, "not asked yet"))
	}
	for _, v := range st.Services.Value {
		_, at, ok := Upstream{Dial: v.Address}.Address()
		if !ok || at != port {
			continue
		}
		switch v.Health {
		case HealthBroken:
			return cell(CellBroken, what, " asks ", v.Kind, " on ", st.Host.Name, ", which is broken: ", v.Why)
		case HealthUnknown:
			return cell(CellUnknown, what, " asks ", v.Kind, " on ", st.Host.Name, ", of which is not known how it is: ", v.Why)
		}
		return cell(CellYes, what, " asks ", v.Kind, " on ", st.Host.Name)
	}
	return cell(CellUnknown, what, " asks ", ProtoPort("tcp", port), " on ", st.Host.Name, ", and how that is, is not checked")
}

// open is a route before which nobody is asked: meant, or reached by the internet and
// not meant to be.
func (w *ways) open(l leadingSite, what string, now time.Time) Cell {
	var doors []Door
	for _, e := range w.opens[l.Proxy.Host.ID] {
		i := slices.IndexFunc(e.Names, func(n ExposedName) bool { return n.Name == l.Name && n.Proxy == l.Proxy.Host.Name })
		if i < 0 || e.Port != l.Port {
			continue
		}
		if why := e.Names[i].Meant; why != "" {
			return cell(CellNo, what, ": bypassed, as is meant: ", why)
		}
		doors = append(doors, e.Internet)
	}
	door := MostOpen(doors)
	switch {
	case len(doors) == 0:
		door = Door{State: PassesUnknown, Why: "nothing is seen to listen for it"}
	case door.State == Stopped && !l.Proxy.Listens.Usable(now):
		door = Door{State: PassesUnknown, Why: "who listens is not known: " + cmp.Or(l.Proxy.Listens.Err, "not asked yet")}
	}
	known := l.Proxy.Firewall.Current() || l.Proxy.Firewall.HasValue() && l.Proxy.Firewall.Err == Remembered
	switch {
	case door.State == Passes:
		return cell(CellBroken, what, ": no sign-in is asked for, the internet reaches it, and it is not listed as meant")
	case !known, door.State == PassesUnknown:
		return cell(CellUnknown, what, ": no sign-in is asked for, and whether the internet reaches it is not known: ", cmp.Or(door.Why, l.Proxy.Firewall.Err, "the firewall was not asked yet"))
	}
	return cell(CellNo, what, ": bypassed: no sign-in is asked for; the internet does not reach it")
}

// monitored is whether something watches it.
func (r *ServiceRow) monitored(st State, w *ways, now time.Time) {
	if a, ok := r.alarm(st, now); ok {
		r.Monitored = cell(CellBroken, "alarm ", a)
		return
	}
	var up, down, untold []string
	for _, t := range w.askedOf(st, r) {
		switch t.health {
		case "down":
			down = append(down, t.what)
		case "up":
			up = append(up, t.what)
		default:
			untold = append(untold, t.what)
		}
	}
	switch {
	case len(down) > 0:
		r.Monitored = cell(CellBroken, down[0], ", and has no answer")
	case len(up) > 0:
		r.Monitored = cell(CellYes, up[0])
	case len(untold) > 0:
		r.Monitored = cell(CellUnknown, untold[0], ", and does not tell whether it has an answer")
	case w.blind != "":
		r.Monitored = cell(CellUnknown, w.blind)
	case st.Alarms.Usable(now):
		r.Monitored = cell(CellPart, "its host is watched (", st.Alarms.Source, "), nothing is seen to watch the service itself")
	case st.Alarms.None:
		r.Monitored = cell(CellNo, "nothing is seen to watch it: ", st.Alarms.Err)
	default:
		r.Monitored = cell(CellUnknown, "alarms of ", st.Host.Name, ": ", cmp.Or(st.Alarms.Err, "not asked yet"))
	}
}

// alarm is one that is raised of the row, by its name.
func (r *ServiceRow) alarm(st State, now time.Time) (string, bool) {
	is := func(a Alarm) bool {
		if a.Silenced {
			return false
		}
		for _, n := range []string{r.Container, r.Unit, r.Name} {
			if n != "" && strings.HasPrefix(a.Chart, "cgroup_"+n+".") {
				return true
			}
		}
		return slices.ContainsFunc(a.Labels, func(l string) bool {
			key, value, _ := strings.Cut(l, "=")
			return value != "" && slices.Contains([]string{"name", "unit", "container", "container_name", "service"}, key) && (value == r.Unit || value == r.Container || value == r.Name)
		})
	}
	if st.Alarms.Usable(now) {
		for _, a := range st.Alarms.Value {
			if is(a) {
				return a.Name + ": " + a.Value, true
			}
		}
	}
	for _, a := range st.Raised {
		if is(a.Alarm) {
			return a.Name + ": " + cmp.Or(a.Info, a.Value), true
		}
	}
	return "", false
}
