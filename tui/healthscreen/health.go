// Package healthscreen shows the problems of all hosts as one list: what is worst
// first, each with what it explains.
package healthscreen

import (
	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/listing"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// health is what the list shows.
type health struct {
	nameW int // of the longest host name
}

// New makes the screen.
func New() *listing.Screen {
	h := &health{}
	return listing.New(listing.Kind{
		Screen: screen.Health, Title: "Health", Group: "health", What: "finding",
		Hints:   []string{"back", "enter", "acknowledge", "logs", "menu", "find", "help"},
		Columns: h.columns, Rows: h.rows, Below: below, Empty: empty, Act: act, Target: target,
		Above: func(*screen.Context) widget.Line { return nil },
	})
}

func (h *health) rows(c *screen.Context) []listing.Row {
	h.nameW = 4
	return h.add(c, nil, c.Snap.Findings(c.Now), 0)
}

// add adds findings and, below each, what is folded into it.
func (h *health) add(c *screen.Context, out []listing.Row, list []fleet.Finding, depth int) []listing.Row {
	for _, f := range list {
		h.nameW = max(h.nameW, min(20, widget.Width(f.Host)))
		out = h.add(c, append(out, row(c, f, depth)), f.Folded, depth+1)
	}
	return out
}

// act is what a key does to a finding: it opens on what it is about.
func act(c *screen.Context, key string, r listing.Row) (screen.Effect, bool) {
	f, _ := r.Of.(fleet.Finding)
	switch key {
	case "enter":
		return screen.Go{Place: placeOf(c, f)}, true
	case "logs":
		return logs(f), true
	}
	return nil, false
}

// placeOf is where the thing is that a finding is about.
func placeOf(c *screen.Context, f fleet.Finding) screen.Place {
	p := screen.Place{Screen: screen.Host, Host: f.HostID, Tab: "overview"}
	switch of := f.Of; of.Kind {
	case fleet.KindUnit:
		p.Tab, p.Item = "units", fleet.Unit{Name: of.Name, User: of.User}.Label()
	case fleet.KindContainer:
		p.Tab = "containers"
		if st, ok := c.Snap.Host(f.HostID); ok {
			if ct, ok := st.ContainerOf(of); ok {
				p.Item = ct.Engine + "/" + ct.User + "/" + ct.Name
			}
		}
	case fleet.KindBackup, fleet.KindBackupCheck, fleet.KindRestoreTest:
		p.Tab, p.Item = "backups", of.Name
	case fleet.KindSystem:
		p.Tab = "generations"
	case fleet.KindSite, fleet.KindCertificate, fleet.KindService:
		p.Tab = "services"
	case fleet.KindSecret:
		return screen.Place{Screen: screen.Secrets, Tab: "hosts"}
	case fleet.KindDNS:
		return screen.Place{Screen: screen.DNS}
	case fleet.KindNetwork:
		return screen.Place{Screen: screen.Network, Host: f.HostID}
	case fleet.KindPublic:
		return screen.Place{Screen: screen.Trace}
	case fleet.KindSealed:
		return screen.Place{Screen: screen.Secrets}
	case fleet.KindDisk, fleet.KindMemory, fleet.KindAlarm:
		p.Tab = "metrics"
	}
	return p
}

// logs opens the log of the unit or the container that a finding is about.
func logs(f fleet.Finding) screen.Effect {
	of := fleet.LogSource{Host: f.HostID, User: f.Of.User}
	switch f.Of.Kind {
	case fleet.KindUnit:
		of.Unit = f.Of.Name
	case fleet.KindContainer:
		of.Container = f.Of.Name
	default:
		return screen.Flash{Level: fleet.Info, Text: "it has no log of its own"}
	}
	return screen.Go{Place: screen.Place{Screen: screen.Logs, Host: f.HostID, Log: []fleet.LogSource{of}}}
}

// target is what the finding is about, with its host.
func target(c *screen.Context, r listing.Row) fleet.Target {
	f, _ := r.Of.(fleet.Finding)
	st, in := c.Snap.Host(f.HostID)
	switch {
	case !in && f.HostID != "":
		return fleet.Target{}
	case !in: // it is no host's
		return fleet.Target{Finding: f.Key}
	}
	t := fleet.Target{Hosts: []fleet.State{st}, Finding: f.Key}
	switch f.Of.Kind {
	case fleet.KindUnit:
		t.Unit, t.User = f.Of.Name, f.Of.User
	case fleet.KindContainer:
		t.Container, t.User = f.Of.Name, f.Of.User
	case fleet.KindSecret:
		t.Unit = st.UnitOfSecret(f.Of.Name)
	case fleet.KindBackup, fleet.KindBackupCheck, fleet.KindRestoreTest:
		t.Item = f.Of.Name
	}
	return t
}

// role is how a finding is shown: dim where it is acknowledged.
func role(f fleet.Finding) (string, themes.Role) {
	word, r := words.Severity(f.Severity)
	if f.Acked != nil {
		return word, themes.Dim
	}
	return word, r
}
