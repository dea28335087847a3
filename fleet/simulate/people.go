package simulate

import (
	"fmt"
	"time"
)

// person is a user of a machine who has a systemd and a Podman of her own.
type person struct {
	uid   int
	name  string
	units []*unit
	boxes []*box
}

// person gives a machine a user.
func (m *machine) person(uid int, name string) *person {
	p := &person{uid: uid, name: name}
	m.people = append(m.people, p)
	return p
}

// quadlet gives a user a container that a unit of the user's own owns.
func (p *person) quadlet(m *machine, name, image string) *box {
	b := m.newBox(name, image, 0)
	b.unit = name + ".service"
	p.boxes = append(p.boxes, b)
	p.units = append(p.units, &unit{
		name: b.unit, kind: "notify", about: "Container " + name, active: "active", sub: "running", result: "success", started: b.made, box: b,
		file: "generated", source: "/home/" + p.name + "/.config/containers/systemd/" + name + ".container",
	})
	return b
}

// daemon gives a user a service.
func (p *person) daemon(name, about string, started time.Time) *unit {
	u := &unit{name: name + ".service", kind: "simple", about: about, active: "active", sub: "running", result: "success", started: started, file: "enabled"}
	p.units = append(p.units, u)
	return u
}

func (p *person) runtime() string { return fmt.Sprint("/run/user/", p.uid) }
func (p *person) socket() string  { return p.runtime() + "/podman/podman.sock" }

// people tells of the users' own systemds and containers; to others than root, of
// none.
func (t *teller) people() {
	t.begin("users")
	if !t.c.Root {
		return
	}
	for _, p := range t.m.people {
		t.line("%d\t%s", p.uid, p.name)
	}
	for _, p := range t.m.people {
		t.begin(fmt.Sprint("units:", p.uid))
		for _, u := range p.units {
			t.line("%s loaded %s %s %s", u.name, u.active, u.sub, u.about)
		}
		t.begin(fmt.Sprint("details:", p.uid))
		for _, u := range p.units {
			t.WriteString(u.show(t.m.seed, nil) + "\n")
		}
	}
	t.begin("rootless")
	for _, p := range t.m.people {
		if len(p.boxes) > 0 && !t.f.NoPodman {
			t.line("%s\t/home/%s\t%s", p.name, p.name, p.runtime())
		}
	}
}

// listening is the Podman behind a socket of a machine, or nil.
func (m *machine) listening(h *host, path string) *podman {
	if path == podmanSocket && m.podman() {
		return &podman{h: h, m: m}
	}
	for _, p := range m.people {
		if path == p.socket() && len(p.boxes) > 0 {
			return &podman{h: h, m: m, of: p}
		}
	}
	return nil
}

// boxes are the containers of this Podman.
func (p *podman) boxes() []*box {
	if p.of != nil {
		return p.of.boxes
	}
	return p.m.boxes
}
