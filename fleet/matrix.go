package fleet

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CellState is whether something holds of a service.
type CellState string

// States of cells. Unknown is neither yes nor no.
const (
	CellYes     CellState = "yes"
	CellPart    CellState = "part"    // in part
	CellNo      CellState = "no"      // it does not, and nothing says that it should
	CellBroken  CellState = "broken"  // it should, and does not
	CellUnknown CellState = "unknown" // it is not known
)

// Cell is one answer about a service, with its reason.
type Cell struct {
	State CellState `json:"state"`
	Why   string    `json:"why"`
}

// ServiceRow is a service on a host: whether it is as it should be. A service that two
// hosts have has two rows.
type ServiceRow struct {
	Host      string   `json:"host"`
	HostID    HostID   `json:"hostId"`
	Name      string   `json:"service"`
	Unit      string   `json:"unit,omitempty"`
	User      string   `json:"user,omitempty"` // whose unit or container it is; "" the system's
	Container string   `json:"container,omitempty"`
	Engine    string   `json:"engine,omitempty"`
	Process   string   `json:"process,omitempty"` // of what runs in no unit
	Listed    bool     `json:"listed"`            // in the registry of its host
	Ports     []uint16 `json:"ports"`             // of TCP, at which its host has it
	Names     []string `json:"names"`             // of the sites that lead to it

	Missing    bool `json:"missing,omitempty"`    // declared, and it does not run
	Undeclared bool `json:"undeclared,omitempty"` // it runs, and is not declared

	Defined    Cell `json:"defined"`
	Configured Cell `json:"configured"`
	Secrets    Cell `json:"secrets"`
	Exposed    Cell `json:"exposed"`
	Protected  Cell `json:"protected"`
	Monitored  Cell `json:"monitored"`
	BackedUp   Cell `json:"backedUp"`

	box   *Container
	scope string // of its process
	unit  *DeclaredUnit
	sites []leadingSite
}

// Cells are the answers in the order in which they are shown.
func (r ServiceRow) Cells() []Cell {
	return []Cell{r.Defined, r.Configured, r.Secrets, r.Exposed, r.Protected, r.Monitored, r.BackedUp}
}

// CellNames are what the cells are called, in their order.
var CellNames = []string{"defined", "configured", "secrets", "exposed", "protected", "monitored", "backed up"}

// Worst is the state of a row's worst cell: broken, unknown, or yes.
func (r ServiceRow) Worst() CellState {
	worst := CellYes
	for _, c := range r.Cells() {
		switch c.State {
		case CellBroken:
			return CellBroken
		case CellUnknown:
			worst = CellUnknown
		}
	}
	return worst
}

// Says is what is said of the row as a whole: that it is declared and missing, or that
// it runs and is not declared; "" nothing.
func (r ServiceRow) Says() string {
	switch {
	case r.Missing:
		return "declared and missing"
	case r.Undeclared:
		return "runs, not declared"
	}
	return ""
}

// Matrix are the services of hosts.
type Matrix struct {
	Rows  []ServiceRow `json:"services"`
	Notes []string     `json:"notes"` // what holds of a whole host: no registry, what was left out

	dark map[HostID]bool // hosts of which not all is known
}

// Dark tells whether of a host there may be services that are not among the rows.
func (m Matrix) Dark(id HostID) bool { return m.dark[id] }

// maxServiceRows bounds the services of one host.
const maxServiceRows = 1000

// Matrix gives the services of all hosts, by what is known of all.
func (s Snapshot) Matrix(now time.Time) Matrix {
	m := Matrix{Rows: []ServiceRow{}, Notes: []string{}, dark: map[HostID]bool{}}
	way := s.ways(now)
	for _, st := range s.Hosts {
		if st.Sleeps() {
			continue
		}
		rows, notes := st.serviceRows(now, way.ports[st.Host.ID])
		d := st.Declared.Value
		m.dark[st.Host.ID] = d.Registry.Err != "" || len(d.Unseen) > 0 || len(rows) == maxServiceRows
		way.lead(st, rows)
		for i := range rows {
			r := &rows[i]
			r.exposed(st, way)
			r.protected(st, way, now)
			r.monitored(st, way, now)
		}
		m.Rows, m.Notes = append(m.Rows, rows...), append(m.Notes, notes...)
	}
	return m
}

// serviceRows are the services of the host with what it tells of them by itself. led
// are the ports to which sites lead.
func (s State) serviceRows(now time.Time, led map[uint16]bool) (rows []ServiceRow, notes []string) {
	d, why := s.declared(now)
	b := rowBuilder{State: s, d: d, led: led, byKey: map[string]*ServiceRow{}, unitOf: map[string]*ServiceRow{}, units: map[string]*DeclaredUnit{}}
	for i := range d.Units {
		for _, n := range append([]string{d.Units[i].Name}, d.Units[i].Names...) {
			if b.units[n] == nil || n == d.Units[i].Name {
				b.units[n] = &d.Units[i]
			}
		}
	}
	b.containers()
	b.registry()
	b.listeners()
	b.declared()
	note := func(text string) { notes = append(notes, s.Host.Name+": "+text) }
	r := d.Registry
	switch {
	case why != "" && !s.Declared.None && s.Declared.Asked():
		note("what is declared is not known: " + why)
	case r.Err != "":
		note("registry unknown: /etc/services.json: " + r.Err)
	case s.Declared.HasValue() && !r.There && d.Toplevel != "":
		note("no registry (/etc/services.json): services are found by units, containers and listeners")
	}
	for _, u := range d.Unseen {
		note(u)
	}
	keys := slices.Sorted(maps.Keys(b.byKey))
	if len(keys) > maxServiceRows {
		note("only the first " + strconv.Itoa(maxServiceRows) + " of " + strconv.Itoa(len(keys)) + " services are shown")
		keys = keys[:maxServiceRows]
	}
	for _, k := range keys {
		r := b.byKey[k]
		r.Host, r.HostID = s.Host.Name, s.Host.ID
		if r.Ports == nil {
			r.Ports = []uint16{}
		}
		if r.Names == nil {
			r.Names = []string{}
		}
		slices.Sort(r.Ports)
		r.Ports = slices.Compact(r.Ports)
		s.judgeRow(r, d, why, now)
		rows = append(rows, *r)
	}
	return rows, notes
}

// rowBuilder puts together what belongs to one service.
type rowBuilder struct {
	State
	d      Declared
	units  map[string]*DeclaredUnit // by all their names
	led    map[uint16]bool          // ports to which sites lead
	byKey  map[string]*ServiceRow   // by name, and whose it is
	unitOf map[string]*ServiceRow   // the system's, by unit
}

func rowKey(user, name string) string { return name + "\x00" + user }

// row gives the row of a name, made where there is none.
func (b *rowBuilder) row(user, name string) *ServiceRow {
	k := rowKey(user, name)
	if b.byKey[k] == nil {
		b.byKey[k] = &ServiceRow{Name: name, User: user}
	}
	return b.byKey[k]
}

// owns notes that a row has a unit of the system.
func (b *rowBuilder) owns(r *ServiceRow, unit string) {
	r.Unit = unit
	if r.User != "" {
		return
	}
	if r.unit = b.units[unit]; r.unit != nil {
		b.unitOf[r.unit.Name] = r
	}
	b.unitOf[unit] = r
}

// containers are rows with their units.
func (b *rowBuilder) containers() {
	for i, c := range b.Containers.Value {
		if c.Infra {
			continue // its ports are those of its pod's containers too
		}
		user := notRoot(c.User)
		name := c.Name
		if c.Unit != "" && name == "systemd-"+stem(c.Unit) { // a quadlet names it so by itself
			name = stem(c.Unit)
		}
		r := b.row(user, name)
		if r.Container != "" && (r.box.Running() || !c.Running()) {
			continue // of two engines' the one that runs
		}
		r.Container, r.Engine, r.box = c.Name, c.Engine, &b.Containers.Value[i]
		if c.Unit != "" {
			if user == "" || c.UserUnit {
				b.owns(r, c.Unit)
			}
		}
		for _, p := range c.Ports {
			if p.Protocol == "tcp" || p.Protocol == "" {
				for n := range max(1, min(p.Range, 50)) {
					r.Ports = append(r.Ports, p.Host+n)
				}
			}
		}
	}
}

// registry are rows of the registry's entries: names before ports.
func (b *rowBuilder) registry() {
	var later []RegistryEntry
	for _, e := range b.d.Registry.Entries {
		r := b.byKey[rowKey("", e.Name)]
		if r == nil {
			unit := b.named(e.Name)
			if unit == "" {
				later = append(later, e)
				continue
			}
			if r = b.unitOf[unit]; r == nil {
				r = b.row("", e.Name)
				b.owns(r, unit)
			}
		}
		r.list(e)
	}
	byPort := map[uint16]*ServiceRow{}
	for _, k := range slices.Sorted(maps.Keys(b.byKey)) {
		if r := b.byKey[k]; !r.Listed && r.User == "" {
			for _, p := range r.Ports {
				byPort[p] = r
			}
		}
	}
	for _, e := range later {
		r := b.atPorts(e, byPort)
		if r == nil || r.Listed {
			r = b.row("", e.Name)
		}
		r.list(e)
	}
}

func (r *ServiceRow) list(e RegistryEntry) { r.Listed, r.Ports = true, append(r.Ports, e.Ports...) }

// named finds the unit of a name; "" there is none.
func (b *rowBuilder) named(name string) string {
	for _, unit := range EntryUnits(name) {
		if u := b.units[unit]; u != nil {
			return u.Name
		}
		if b.Units.HasValue() && slices.ContainsFunc(b.Units.Value, func(u Unit) bool { return u.User == "" && u.Name == unit }) {
			return unit
		}
	}
	return ""
}

// atPorts finds whose a registry's port is, where a row or a unit has it.
func (b *rowBuilder) atPorts(e RegistryEntry, byPort map[uint16]*ServiceRow) *ServiceRow {
	for _, port := range e.Ports {
		if r := byPort[port]; r != nil {
			return r
		}
		l, ok := b.ListenerAt("tcp", "127.0.0.1", port)
		if !ok || l.Unit == "" || l.User != "" || l.Container != "" {
			continue
		}
		unit := b.canonical(l.Unit)
		if b.unitOf[unit] == nil {
			b.owns(b.row("", stem(unit)), unit)
		}
		return b.unitOf[unit]
	}
	return nil
}

// published are processes that hold the ports which engines publish for containers.
var published = []string{"docker-proxy", "rootlessport", "rootlesskit"}

// holders are processes that hold ports for others, whose they are by other signs.
var holders = []string{"", "systemd", "conmon", "slirp4netns", "pasta", "pasta.avx2", "netavark", "aardvark-dns", "sshd", "sshd-session", "init", "(sd-pam)"}

// listeners are rows of units that listen, and of what listens in no unit.
func (b *rowBuilder) listeners() {
	byID := map[string]*ServiceRow{}
	for _, r := range b.byKey {
		if r.box != nil && r.box.ID != "" {
			byID[r.box.ID] = r
		}
	}
	for _, l := range b.Listens.Value {
		r := byID[l.Container]
		switch {
		case r != nil && l.Container != "":
		case l.Container != "", slices.Contains(published, l.Process):
			continue // gone since, or of an engine that is not asked
		case l.Unit != "" && l.User == "":
			if r = b.unitOf[b.canonical(l.Unit)]; r == nil {
				if platform.MatchString(l.Unit) && (l.Proto != "tcp" || !b.led[l.Port]) {
					continue
				}
				r = b.row("", stem(l.Unit))
				b.owns(r, b.canonical(l.Unit))
			}
		case l.Unit != "":
			r = b.userRow(l)
		case slices.Contains(holders, l.Process), l.Proto != "tcp":
			continue // a port of UDP may be one from which it only asks
		default:
			r = b.row(strings.TrimPrefix(l.User, "0"), l.Process) // no other number begins so
			if r.Unit == "" && r.Container == "" {
				r.Process, r.scope = l.Process, l.Scope
			}
		}
		if l.Proto == "tcp" {
			r.Ports = append(r.Ports, l.Port)
		}
	}
}

// canonical is the name under which systemd has a unit.
func (b *rowBuilder) canonical(unit string) string {
	if u := b.units[unit]; u != nil {
		return u.Name
	}
	return unit
}

// userRow is the row of a unit of a user's own systemd.
func (b *rowBuilder) userRow(l Listener) *ServiceRow {
	user := l.User
	for _, u := range b.Units.Value {
		if u.User != "" && u.Name == l.Unit {
			user = u.User
		}
	}
	r := b.row(user, strings.TrimSuffix(l.Unit, ".service"))
	r.Unit = cmp.Or(r.Unit, l.Unit)
	return r
}

// declared are rows of units that are declared and missing, and of those that run and
// are not declared.
func (b *rowBuilder) declared() {
	for _, u := range b.d.Units {
		if b.unitOf[u.Name] != nil || platform.MatchString(u.Name) || healthCheck.MatchString(u.Name) {
			continue
		}
		is, unsure := b.d.missing(u)
		if is || unsure != "" || u.Runs() && u.Sub == "running" && !u.Declares() {
			b.owns(b.row("", stem(u.Name)), u.Name)
		}
	}
}
