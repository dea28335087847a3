package services

import (
	"github.com/sextant-fleet/sextant/fleet"
)

// owner is who listens at an address of a host: a container, or a unit.
type owner struct {
	what   string // "container immich-server", "unit caddy.service"; "" not known
	state  string // how it is, in a word
	unit   string // of the system, that is started to mend it
	name   string // of the container
	broken bool
	ended  bool // it does not run
}

// verb is what is done to its unit to mend it.
func (o owner) verb() string {
	if o.ended {
		return "start"
	}
	return "restart"
}

// ownerAt finds who listens at an address of a host, or should: who publishes the
// port and does not run, or who listened there before.
func ownerAt(st fleet.State, host string, port uint16) owner {
	l, listens := st.ListenerAt("tcp", local(st, host), port)
	gone, left := st.LeftAt("tcp", local(st, host), port)
	if !listens && left {
		l = gone.Listener
	}
	for _, c := range st.Containers.Value {
		if c.ID != "" && c.ID == l.Container || l.Unit != "" && l.Unit == c.Unit && !c.UserUnit && l.User == "" || publishes(c, port) {
			return ofContainer(c)
		}
	}
	if l.Unit == "" {
		return owner{}
	}
	o := owner{what: "unit " + fleet.Unit{Name: l.Unit, User: l.User}.Label(), state: "active"}
	if !listens {
		o.state, o.broken, o.ended = "gone from there", true, true
	}
	if l.User != "" {
		return o
	}
	o.unit = l.Unit
	if u, known := unitOf(st, l.Unit); known {
		o.state, o.broken, o.ended = u.Active, u.Failed() || !listens, u.Active != "active"
	}
	return o
}

// local is an address of the host as its listeners have it.
func local(st fleet.State, host string) string {
	switch host {
	case st.Host.Name:
		return "0.0.0.0"
	case "localhost":
		return "127.0.0.1"
	}
	return host
}

func publishes(c fleet.Container, port uint16) bool {
	for _, p := range c.Ports {
		if p.Protocol == "tcp" && p.Host != 0 && port >= p.Host && port <= p.Host+max(p.Range, 1)-1 {
			return true
		}
	}
	return false
}

func ofContainer(c fleet.Container) owner {
	o := owner{what: "container " + c.Name, name: c.Name, state: c.State, broken: c.Broken() || !c.Running(), ended: !c.Running()}
	if c.Health != "" {
		o.state += ", " + c.Health
	}
	if !c.UserUnit {
		o.unit = c.Unit
	}
	return o
}

// changed is what was last changed about it: its host's last deploy, or when its
// container was made anew, whichever is newer.
func (w *walk) changed(st fleet.State, o owner) *fleet.Event {
	for _, e := range fleet.Timeline([]fleet.State{st}, nil, w.Now().AddDate(-1, 0, 0)) {
		switch e.Kind {
		case fleet.EventDeploy, fleet.EventRollback, fleet.EventGeneration:
			return &e
		case fleet.EventContainer:
			for _, c := range st.Containers.Value {
				if o.name != "" && c.Name == o.name && e.At.Equal(c.Created) {
					return &e
				}
			}
		}
	}
	return nil
}
