package fleet

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Monitor is a monitoring server of a host, and what it raises of whatever machine.
type Monitor struct {
	Kind      string  `json:"kind"` // "prometheus", "alertmanager", "grafana"
	Unit      string  `json:"unit,omitempty"`
	Container string  `json:"container,omitempty"` // the name of the container it runs in
	Address   string  `json:"address,omitempty"`   // where it was asked
	Port      uint16  `json:"port,omitempty"`
	Version   string  `json:"version,omitempty"`
	Targets   int     `json:"targets,omitempty"` // what Prometheus asks
	Down      int     `json:"down,omitempty"`    // and of those, what does not answer
	Watched   []Watch `json:"watched,omitempty"` // what Prometheus asks, the first thousand
	Alarms    []Alarm `json:"alarms"`
	Err       string  `json:"error,omitempty"` // why its alarms are not known
	Cure      string  `json:"cure,omitempty"`
	None      bool    `json:"none,omitempty"` // it is not meant to be asked: Err says so, and it is no problem
}

// Watch is something that a monitor asks again and again.
type Watch struct {
	Job     string `json:"job"`
	Address string `json:"address"` // "storage:9100", or a URL that something asks for it
	Health  string `json:"health"`  // "up", "down", "unknown"
}

// Name is what the monitor is called among those of all hosts.
func (m Monitor) Name(host string) string { return m.Kind + " on " + host }

// HostAlarm is an alarm, the machine it is of, and who raises it.
type HostAlarm struct {
	Host   string `json:"host"`
	HostID HostID `json:"hostId,omitempty"` // "": it is no host of the fleet
	Alarm
	Sources []string  `json:"sources"` // who raises it: "netdata v1.37.1", "prometheus on storage"
	At      time.Time `json:"at"`      // when that was read
}

// AlarmsOf are the alarms of all monitoring that is known of hosts, each once, those
// that are not silenced first, then the worst, then the newest. Only what is current
// is among them.
func AlarmsOf(states []State) []HostAlarm {
	var list alarmList
	for _, s := range states {
		if s.Alarms.Current() {
			for _, a := range s.Alarms.Value {
				list.add(HostAlarm{Host: s.Host.Name, HostID: s.Host.ID, Alarm: a, Sources: []string{s.Alarms.Source}, At: s.Alarms.At})
			}
		}
	}
	who := namesOf(states)
	for _, s := range states {
		if s.Monitors.Current() {
			for _, a := range s.monitored(who) {
				list.add(a)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b HostAlarm) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), b.Since.Compare(a.Since), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Chart, b.Chart))
	})
	return list
}

// rank is where an alarm stands among others.
func (a Alarm) rank() int {
	switch {
	case a.Silenced:
		return 2
	case a.Status == "CRITICAL":
		return 0
	}
	return 1
}

// monitored is what the monitors of a host raise.
func (s State) monitored(who roster) []HostAlarm {
	var out []HostAlarm
	for _, m := range s.Monitors.Value {
		for _, a := range m.Alarms {
			row := HostAlarm{Host: s.Host.Name, HostID: s.Host.ID, Alarm: a, Sources: []string{m.Name(s.Host.Name)}, At: s.Monitors.At}
			if a.On != "" {
				row.HostID = who.ids[nameKey(a.On)]
				row.Host = cmp.Or(who.names[row.HostID], a.On)
			}
			out = append(out, row)
		}
	}
	return out
}

// roster is who is who: hosts by what monitoring may call them, and their names.
type roster struct {
	ids   map[string]HostID
	names map[HostID]string
}

// namesOf finds hosts by names, other names, what they call themselves, addresses.
// What two of them are called is nobody's.
func namesOf(states []State) roster {
	who := roster{ids: map[string]HostID{}, names: map[HostID]string{}}
	add := func(name string, id HostID) {
		key := nameKey(name)
		if key == "" {
			return
		}
		if other, taken := who.ids[key]; taken && other != id {
			id = ""
		}
		who.ids[key] = id
	}
	for _, s := range states {
		if s.Host.ID != "" {
			who.names[s.Host.ID] = s.Host.Name
		}
		add(s.Host.Name, s.Host.ID)
		for _, a := range s.Host.Aliases {
			add(a, s.Host.ID)
		}
		add(s.System.Value.Hostname, s.Host.ID)
		for _, a := range s.Host.Addresses {
			add(a.Host, s.Host.ID)
		}
	}
	return who
}

// nameKey is a name as it is compared: addresses whole, of names the first label.
func nameKey(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if strings.Contains(name, ":") || strings.Trim(name, "0123456789.") == "" {
		return name
	}
	name, _, _ = strings.Cut(name, ".")
	return name
}

// alarmList gathers alarms, those that several monitors raise once: a Prometheus
// hands its alerts to its Alertmanager.
type alarmList []HostAlarm

func (l *alarmList) add(a HostAlarm) {
	i := slices.IndexFunc(*l, func(b HostAlarm) bool { return b.same(a) })
	if i < 0 {
		*l = append(*l, a)
		return
	}
	b := &(*l)[i]
	b.Sources = append(b.Sources[:len(b.Sources):len(b.Sources)], a.Sources...)
	b.Silenced = b.Silenced || a.Silenced
	b.Value, b.Info, b.URL = cmp.Or(b.Value, a.Value), cmp.Or(b.Info, a.Info), cmp.Or(b.URL, a.URL)
	if b.Since.IsZero() || !a.Since.IsZero() && a.Since.Before(b.Since) {
		b.Since = a.Since
	}
	if len(a.Labels) > len(b.Labels) {
		b.Labels = a.Labels
	}
}

// same tells whether two monitors raise one alarm: of the same machine, by the same
// name, with labels of which the one may have some more.
func (a HostAlarm) same(b HostAlarm) bool {
	if a.Name != b.Name || a.HostID != b.HostID || !strings.EqualFold(a.Host, b.Host) || len(a.Labels) == 0 || len(b.Labels) == 0 || slices.Equal(a.Sources, b.Sources) {
		return false
	}
	less, more := a.Labels, b.Labels
	if len(less) > len(more) {
		less, more = more, less
	}
	return !slices.ContainsFunc(less, func(label string) bool { return !slices.Contains(more, label) })
}

// elsewhere gives each of the hosts what monitors raise of it, be they on another.
func elsewhere(states []State) {
	if !slices.ContainsFunc(states, func(s State) bool { return len(s.Monitors.Value) > 0 }) {
		return
	}
	who, by := namesOf(states), map[HostID]alarmList{}
	for _, s := range states {
		if !s.Monitors.Current() && s.Monitors.Err != Remembered {
			continue
		}
		for _, a := range s.monitored(who) {
			l := by[a.HostID]
			l.add(a)
			by[a.HostID] = l
		}
	}
	for i := range states {
		states[i].Raised = by[states[i].Host.ID]
	}
}

// monitorProblems are alarms that monitors raise of the host and nobody has
// silenced, and monitors of its that do not tell theirs.
func (s State) monitorProblems(now time.Time, b *bench) {
	for _, a := range s.Raised {
		if a.Silenced || now.Sub(a.At) > usable {
			continue
		}
		sev := SeverityWarn
		if a.Status == "CRITICAL" {
			sev = SeverityFail
		}
		text := strings.TrimSuffix(a.Name+": "+cmp.Or(a.Info, a.Value), ": ")
		b.add(Object{Kind: KindAlarm, Name: a.Name + "/" + a.Chart}, sev, a.Since, "alarm %s", text)
	}
	if !s.Monitors.Usable(now) {
		return
	}
	for _, m := range s.Monitors.Value {
		if m.Err == "" || m.None {
			continue
		}
		p := b.add(Object{Kind: KindMonitor, Name: strings.TrimSuffix(m.Kind+"/"+cmp.Or(m.Unit, m.Container), "/")}, SeverityUnknown, time.Time{}, "%s: its alarms are not known: %s", m.Kind, m.Err)
		p.Cure = m.Cure
		if m.Unit != "" {
			p.Because = append(p.Because, Object{Kind: KindUnit, Name: m.Unit}.Key())
		}
		if m.Container != "" {
			p.Because = append(p.Because, Object{Kind: KindContainer, Name: m.Container}.Key())
		}
	}
}
