package nixops

import (
	"cmp"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Did hands on what was done to a host, in the name of who does it.
func (d *Deployer) Did(h fleet.Host, e fleet.Event) {
	if d.Record == nil {
		return
	}
	e.Host, e.HostID, e.Who, e.Client, e.Source = h.Name, h.ID, d.Who, d.Client, "audit"
	if e.Result != "" && e.Duration == 0 {
		e.Duration = fleet.Seconds(time.Since(e.At).Seconds())
	}
	e.At = e.At.UTC()
	d.Record(e)
}

// begun records that a host has taken a change up: it goes on there, whatever
// becomes of us.
func (d *Deployer) begun(h fleet.Host, r request) {
	d.Did(h, fleet.Event{
		At: time.Now(), Kind: fleet.EventKind(r.kind), Level: fleet.Warn, ID: r.id, To: r.to, Revision: r.revision,
		Text: "begun: to " + r.to.Of(h.Name) + "; its end was not seen from here",
	})
}

// over records how a change ended, as far as that was seen.
func (d *Deployer) over(h fleet.Host, c Change, began time.Time, dep fleet.Deploy, err error) {
	dep.Kind, dep.Started = cmp.Or(dep.Kind, c.Kind), began
	if dep.To.Path == "" {
		dep.To = c.To
	}
	dep.Revision = cmp.Or(dep.Revision, c.Revision)
	if dep.Why = dep.Reason(); err != nil {
		dep.Why = err.Error()
	}
	e := fleet.EventOf(h, dep, "")
	if err != nil {
		e.Level, e.Result = fleet.Error, err.Error()
	} else if e.Result == "" {
		e.Result = strings.TrimSpace(dep.State.Words() + " " + dep.Why)
	}
	e.Duration = 0
	d.Did(h, e)
}

// answered records a confirmation or a cancellation, and what came of it.
func (d *Deployer) answered(h fleet.Host, dep fleet.Deploy, word string, a Answer, err error) {
	e := fleet.Event{
		At: time.Now(), Kind: fleet.EventKind(word), Level: fleet.Info, ID: dep.ID, From: dep.From, To: dep.To, Revision: dep.Revision,
		Text: word + ": " + dep.From.Of(h.Name) + " to " + dep.To.Of(h.Name), Result: "taken",
	}
	switch {
	case err != nil:
		e.Level, e.Result = fleet.Error, err.Error()
	case !a.Taken:
		e.Level, e.Result = fleet.Warn, strings.TrimSpace(string(a.State)+" "+a.Why)
	}
	if e.Result != "taken" {
		e.Text += "; " + e.Result
	}
	d.Did(h, e)
}
