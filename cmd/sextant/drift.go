package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
)

func driftCommand(o *options) *cobra.Command {
	var ref string
	var evaluate bool
	c := &cobra.Command{
		Use: "drift [SEL…]", Short: "What hosts run against what the flake declares for them",
		Long: "By the systems' store paths where they are known for the newest commit (built, or evaluated with --evaluate), else by " +
			"system.configurationRevision: how many commits behind. Also: default other than running, a reboot that is needed, and the age of the locked nixpkgs.",
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, probeOnly, func(a *app, states []fleet.State) error {
				flake := nixops.Flake{Ref: cmp.Or(ref, a.flake)}
				if flake.Ref == "" {
					return usageError{fmt.Errorf("no flake is known: say --flake, set flake in the configuration, or go to its folder")}
				}
				states = slices.DeleteFunc(states, func(s fleet.State) bool { return s.System.HasValue() && !s.System.Value.NixOS })
				f := a.repository(cmd.Context(), flake, states)
				if !f.Current() {
					return fmt.Errorf("%s", f.Err)
				}
				var errs []hostError
				if evaluate {
					errs = a.evaluate(cmd.Context(), func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), line) }, flake, &f.Value, states)
				}
				return printDrift(cmd.OutOrStdout(), *o, f, states, errs)
			}))
		},
	}
	c.Flags().StringVar(&ref, "flake", "", "the flake (the configuration's, or the one here)")
	c.Flags().BoolVar(&evaluate, "evaluate", false, "evaluate the hosts' systems, to compare their store paths; nothing is built")
	return c
}

// evaluatedAtOnce bounds how many systems nix evaluates at the same time: one
// takes gigabytes.
const evaluatedAtOnce = 2

// evaluate adds to what is known of the repository the store path of each host's
// system, and says which could not be evaluated.
func (a *app) evaluate(ctx context.Context, say func(line string), flake nixops.Flake, r *fleet.Repository, states []fleet.State) []hostError {
	hosts, err := flake.Systems(ctx, nil)
	if err != nil {
		return []hostError{holeOf("the flake", err)}
	}
	var mu sync.Mutex
	var errs []hostError
	found := map[string]string{}
	slots := make(chan struct{}, evaluatedAtOnce)
	var wg sync.WaitGroup
	states = slices.DeleteFunc(slices.Clone(states), func(s fleet.State) bool { return !s.System.Current() })
	for _, s := range states {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			h, err := nixops.Of(s.Host, hosts)
			path := ""
			if err == nil {
				path, err = flake.Path(ctx, h.Attr)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, hostError{s.Host.Name, strings.TrimPrefix(err.Error(), s.Host.Name+": "), fleet.Cure(err)})
				return
			}
			found[h.Attr] = path
			say(fmt.Sprintf("%s: evaluated, %d of %d", s.Host.Name, len(found), len(states)))
		})
	}
	wg.Wait()
	if now, err := flake.Repository(ctx, nil); err == nil && same(now, *r) && r.Revision != "" { // nobody changed it meanwhile
		if r.Dirty {
			a.changed.keep(*r, found)
		} else {
			a.learn(r.Revision, found)
		}
	}
	known := maps.Clone(found)
	for attr, path := range r.Systems { // of hosts that were not asked for now
		if known[attr] == "" {
			known[attr] = path
		}
	}
	r.Systems = known
	slices.SortFunc(errs, func(a, b hostError) int { return strings.Compare(a.Host, b.Host) })
	return errs
}

// driftAction evaluates hosts' systems from the screen, and tells how each stands.
func (a *app) driftAction() fleet.Action {
	return fleet.Action{
		ID: "drift", Title: "Compare with the flake", Keys: []string{"F"}, Scope: fleet.ScopeHost,
		Help: "evaluate what the flake declares for the host, and compare it with what runs; nothing is built",
		Disabled: func(fleet.Target) string {
			if a.flake == "" {
				return "no flake is known: start sextant in its folder, or set flake in the configuration"
			}
			return ""
		},
		Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
			flake := nixops.Flake{Ref: a.flake}
			f := a.repository(ctx, flake, a.store.Snapshot().Hosts)
			if !f.Current() {
				return errors.New(f.Err)
			}
			errs := a.evaluate(ctx, say, flake, &f.Value, t.Hosts)
			a.store.SetRepository(f)
			for _, s := range t.Hosts {
				say(s.Host.Name + ": " + f.Value.Drift(s).Why)
			}
			var failed []error
			for _, e := range errs {
				failed = append(failed, fmt.Errorf("%s: %s", e.Host, e.Error))
			}
			return errors.Join(failed...)
		},
	}
}

// driftRow is a host in the output of drift.
type driftRow struct {
	Host string `json:"host"`
	fleet.Drift
	Running        fleet.Toplevel `json:"running"`
	Revision       string         `json:"revision"`
	DefaultDiffers bool           `json:"defaultDiffers"` // the default is not what runs
	RebootNeeded   bool           `json:"rebootNeeded"`
}

func printDrift(w io.Writer, o options, f fleet.Fact[fleet.Repository], states []fleet.State, errs []hostError) error {
	type sharing struct {
		Revision string   `json:"revision"`
		Hosts    []string `json:"hosts"`
	}
	out := struct {
		Schema     int                          `json:"schema"`
		Repository fleet.Fact[fleet.Repository] `json:"repository"`
		Hosts      []driftRow                   `json:"hosts"`
		Revisions  []sharing                    `json:"revisions"`
		Errors     []hostError                  `json:"errors"`
	}{1, f, []driftRow{}, []sharing{}, append([]hostError{}, errs...)}
	code := 0
	for _, s := range states {
		if !s.System.Current() {
			out.Errors = append(out.Errors, holeOf(s.Host.Name, cmp.Or(s.Reach.Why(), s.System.Why(), fleet.ErrNotAsked)))
			continue
		}
		sys := s.System.Value
		d := driftRow{s.Host.Name, f.Value.Drift(s), sys.Running, sys.Revision, sys.Differs(), sys.RebootNeeded}
		out.Hosts = append(out.Hosts, d)
		code = driftCode(code, d)
		i := slices.IndexFunc(out.Revisions, func(r sharing) bool { return r.Revision == sys.Revision })
		if i < 0 {
			i, out.Revisions = len(out.Revisions), append(out.Revisions, sharing{Revision: sys.Revision})
		}
		out.Revisions[i].Hosts = append(out.Revisions[i].Hosts, s.Host.Name)
	}
	if len(out.Errors) > 0 {
		code = cmp.Or(code, exitUnknown)
	}
	err := o.write(w, out, func(t *table) {
		t.note(repositoryLine(f.Value, time.Now()))
		t.row("HOST", "STATE", "RUNNING", "REVISION", "WHY")
		for _, d := range out.Hosts {
			t.row(d.Host, string(d.State), d.Running.Short(), fleet.Short(d.Revision, 12), strings.Join(d.reasons(), "; "))
		}
		notes(t, out.Errors)
	})
	if err == nil && code != 0 {
		err = exitCode(code)
	}
	return err
}

// driftCode is the exit code with one more host: a difference counts for more
// than what is not known.
func driftCode(code int, d driftRow) int {
	switch {
	case d.State == fleet.DriftDiffers, d.DefaultDiffers, d.RebootNeeded:
		return exitProblem
	case d.State == fleet.DriftUnknown && code == 0:
		return exitUnknown
	}
	return code
}

// reasons are all that there is to say of a host.
func (d driftRow) reasons() []string {
	why := []string{d.Why}
	if d.DefaultDiffers {
		why = append(why, "the default is another system")
	}
	if d.RebootNeeded {
		why = append(why, "a reboot is needed")
	}
	return why
}

// repositoryLine is the repository in one line.
func repositoryLine(r fleet.Repository, now time.Time) string {
	text := r.Ref + " at " + cmp.Or(fleet.Short(r.Revision, 12), "no revision")
	if !r.Committed.IsZero() {
		text += " of " + r.Committed.Local().Format("2006-01-02 15:04")
	}
	if r.Dirty {
		text += ", with changes that are not committed"
	}
	if !r.Nixpkgs.IsZero() {
		text += "; nixpkgs is " + fleet.Count(int(now.Sub(r.Nixpkgs).Hours()/24), "day") + " old"
	}
	return text
}
