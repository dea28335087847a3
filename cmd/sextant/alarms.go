package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/watch"
)

// alarmScope is what is asked for alarms: containers too, in which monitoring runs.
func alarmScope(c watch.Collector) bool {
	return c.Name == "metrics" || c.Name == "monitors" || c.Name == "containers"
}

func alarmsCommand(o *options) *cobra.Command {
	var silenced bool
	c := &cobra.Command{
		Use: "alarms [SEL…]", Short: "What monitoring calls wrong now: Netdata, Prometheus, Alertmanager, Grafana",
		Long: "Each alarm once, with all who raise it. What they raise of a host may be raised on another: all hosts are asked, and those that are named are told of. " +
			"Those that somebody has silenced are counted only; --silenced tells them too.",
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, nothing, func(a *app, _ []fleet.State) error {
				return a.tellAlarms(cmd.Context(), cmd.OutOrStdout(), sel, silenced)
			}))
		},
	}
	c.Flags().BoolVar(&silenced, "silenced", false, "also those that are silenced")
	return c
}

func (a *app) tellAlarms(ctx context.Context, w io.Writer, sel []string, silenced bool) error {
	a.ask(ctx, a.store.Snapshot().Hosts, alarmScope)
	states, err := a.pick(sel)
	if err != nil {
		return err
	}
	return printAlarmsOf(w, a.opts, a.store.Snapshot(), states, len(sel) == 0, silenced)
}

type alarmRow struct {
	fleet.HostAlarm
	Link string `json:"link,omitempty"` // where a person can look at it
}

type monitorRow struct {
	Host string `json:"host"`
	fleet.Monitor
	Link string `json:"link,omitempty"`
}

// printAlarmsOf tells the alarms of these hosts, and where all are meant of machines
// that are none of the fleet, too.
func printAlarmsOf(w io.Writer, o options, snap fleet.Snapshot, states []fleet.State, all, silenced bool) error {
	_, hosts, errs := gather(states, func(s fleet.State) fleet.Fact[[]fleet.Alarm] { return s.Alarms }, func(_ fleet.State, a fleet.Alarm) fleet.Alarm { return a })
	monitors, unasked := monitorRows(snap, states)
	errs = append(errs, unasked...)
	rows, quiet, bad := []alarmRow{}, 0, false
	for _, a := range fleet.AlarmsOf(snap.Hosts) {
		of := slices.ContainsFunc(states, func(s fleet.State) bool { return s.Host.ID == a.HostID })
		if !of && (!all || a.HostID != "") {
			continue
		}
		if a.Silenced && !silenced {
			quiet++
			continue
		}
		bad = bad || !a.Silenced
		rows = append(rows, alarmRow{a, snap.AlarmLink(a)})
	}
	out := struct {
		Schema   int          `json:"schema"`
		Alarms   []alarmRow   `json:"alarms"`
		Silenced int          `json:"silenced"` // that are left out
		Monitors []monitorRow `json:"monitors"`
		Errors   []hostError  `json:"errors"`
		Hosts    []hostFact   `json:"hosts"`
	}{1, rows, quiet, monitors, errs, hosts}
	now := time.Now()
	err := o.write(w, out, func(t *table) {
		t.row("HOST", "ALARM", "STATUS", "VALUE", "SINCE", "AGE", "SOURCE", "INFO", "LINK")
		for _, a := range rows {
			status := a.Status
			if a.Silenced {
				status += " silenced"
			}
			t.row(a.Host, a.Name, status, cmp.Or(a.Value, "-"), age(a.Since, now), age(a.At, now), strings.Join(a.Sources, ", "), cmp.Or(a.Info, "-"), cmp.Or(a.Link, "-"))
		}
		monitorNotes(t, monitors)
		if quiet > 0 {
			t.note(fmt.Sprintf("%d silenced (--silenced)", quiet))
		}
		for _, s := range states {
			if len(rows)+quiet+len(monitors) == 0 && s.Alarms.None { // that nothing is raised says nothing where nobody looks
				t.note("- " + s.Host.Name + ": " + s.Alarms.Err)
			}
		}
		holes(t, hosts, now)
		for _, e := range unasked {
			t.note("? " + e.Host + ": " + e.Error)
			cureNote(t, e.Cure)
		}
	})
	if err == nil && bad {
		return exitCode(exitProblem)
	}
	return cmp.Or(err, unknown(errs))
}

// monitorRows are the monitoring servers of the fleet, and why some do not tell: of
// those on other hosts too, for they may have something to say of these.
func monitorRows(snap fleet.Snapshot, states []fleet.State) (rows []monitorRow, errs []hostError) {
	rows, errs = []monitorRow{}, []hostError{}
	for _, s := range snap.Hosts {
		named := slices.ContainsFunc(states, func(of fleet.State) bool { return of.Host.ID == s.Host.ID })
		f := s.Monitors
		if f.Failed() && s.Reach.Err == "" && (named || len(f.Value) > 0) || s.Reach.Err != "" && len(f.Value) > 0 {
			errs = append(errs, hostError{s.Host.Name, "its monitoring servers: " + cmp.Or(f.Err, s.Reach.Err), f.Cure})
		}
		if !f.Current() {
			continue
		}
		for _, m := range f.Value {
			rows = append(rows, monitorRow{s.Host.Name, m, snap.MonitorLink(s, m)})
			if m.Err != "" && !m.None {
				errs = append(errs, hostError{s.Host.Name, m.Kind + ": " + m.Err, m.Cure})
			}
		}
	}
	return rows, errs
}

func monitorNotes(t *table, rows []monitorRow) {
	for _, m := range rows {
		line := fmt.Sprintf("%s on %s: ", m.Kind, m.Host)
		switch {
		case m.None:
			t.note("- " + line + m.Err)
			cureNote(t, m.Cure)
			continue
		case m.Err != "":
			continue // it is among what could not be read
		case m.Targets > 0:
			line += fmt.Sprintf("%d targets, %d of them down, ", m.Targets, m.Down)
		}
		t.note(strings.TrimSuffix(line+fleet.Count(len(m.Alarms), "alarm")+"; "+m.Link, "; "))
	}
}
