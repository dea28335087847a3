// Package deployscreen shows what is and was deployed to the hosts, as they tell
// it: what is under way and what went wrong on top, then the newest first.
package deployscreen

import (
	"cmp"
	"slices"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/listing"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// deploys is what the list shows.
type deploys struct {
	sums  sums
	nameW int // of the longest host name
}

// row is a deploy of a host.
type row struct {
	fleet.Deploy
	of     fleet.State
	newest bool // nothing was deployed to its host since
	here   bool // it is done from here just now, and told of by us
}

// underWay is what is done to a host from here, as a row: of a deploy that the host
// tells of already it is the newest state and line.
func underWay(st fleet.State) (row, bool) {
	is := st.Doing
	if is.State == "" {
		return row{}, false
	}
	d := fleet.Deploy{ID: "here", Kind: is.Kind, Started: is.Since, Who: is.Who, Client: is.From}
	if list := st.Deploys.Value; st.Deploys.Current() && len(list) > 0 && !list[0].State.Over() {
		d = list[0]
	} else {
		d.From = st.System.Value.Running
	}
	d.State, d.Line = is.State, cmp.Or(is.Line, d.Line)
	return row{d, st, true, true}, true
}

// New makes the screen.
func New() *listing.Screen {
	d := &deploys{}
	return listing.New(listing.Kind{
		Screen: screen.Deploys, Title: "Deploys", What: "the deploy's ID",
		Hints:   []string{"back", "enter", "menu", "find", "rollback", "palette", "progress", "help"},
		Columns: d.columns, Rows: d.rows, Above: d.above, Below: below, Empty: d.empty,
		Focus: func(r listing.Row) fleet.Focus { return fleet.Focus{Host: r.Host} },
	})
}

func (d *deploys) rows(c *screen.Context) []listing.Row {
	d.sums, d.nameW = sums{}, 4
	var list []row
	for _, st := range c.Snap.Hosts {
		d.sums.add(st)
		rows := of(st)
		if len(rows) > 0 {
			d.nameW = max(d.nameW, min(20, widget.Width(st.Host.Name)))
		}
		list = append(list, rows...)
	}
	slices.SortStableFunc(list, func(x, y row) int {
		return cmp.Or(cmp.Compare(x.urgency(), y.urgency()), y.Started.Compare(x.Started), cmp.Compare(x.id(), y.id()))
	})
	out := make([]listing.Row, 0, len(list))
	for _, r := range list {
		out = append(out, d.row(c, r))
	}
	return out
}

// of are the deploys of a host, what is done from here just now among them.
func of(st fleet.State) []row {
	list := make([]row, 0, len(st.Deploys.Value)+1)
	doing, has := underWay(st)
	if has {
		list = append(list, doing)
	}
	for i, d := range st.Deploys.Value {
		if !has || d.ID != doing.ID {
			list = append(list, row{d, st, i == 0 && !has, false})
		}
	}
	return list
}

func (r row) id() string { return string(r.of.Host.ID) + " " + r.ID }

// urgency is the place of a row in the list: smaller is above. What went wrong
// stays on top until something is deployed to that host again.
func (r row) urgency() int {
	switch {
	case r.State == fleet.RollbackFailed && r.newest:
		return 0
	case r.State == fleet.Awaiting:
		return 1
	case !r.State.Over():
		return 2
	case r.newest && (r.State == fleet.RolledBack || r.State == fleet.Conflict):
		return 3
	}
	return 4
}

// sums count hosts by the newest deploy of each.
type sums struct{ deploys, hosts, ok, failed, waits, running, other, unknown int }

func (n *sums) add(st fleet.State) {
	n.deploys += len(st.Deploys.Value)
	if doing, ok := underWay(st); ok {
		n.hosts++
		if doing.ID == "here" {
			n.deploys++
		}
		if doing.State == fleet.Awaiting {
			n.waits++
		} else {
			n.running++
		}
		return
	}
	if !st.Deploys.Current() {
		if !st.Deploys.None {
			n.unknown++ // never counted among those that are well
		}
		return
	}
	if len(st.Deploys.Value) == 0 {
		return
	}
	n.hosts++
	switch d := st.Deploys.Value[0]; {
	case d.State == fleet.Confirmed:
		n.ok++
	case d.State == fleet.RollbackFailed, d.State == fleet.RolledBack, d.State == fleet.Conflict:
		n.failed++
	case d.State == fleet.Awaiting:
		n.waits++
	case !d.State.Over():
		n.running++
	default: // refused, called off, waits for a reboot
		n.other++
	}
}
