package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
)

// TestTailnetOfTheDemo is listed with how its nodes are reached; a name picks some.
func TestTailnetOfTheDemo(t *testing.T) {
	err := withDemo(t.Context(), options{json: true}, &discover.Config{}, 0, func(a *app) error {
		f := a.store.Snapshot().Tailnet
		var out bytes.Buffer
		if err := printTailnet(&out, a.opts, f, a.ping(t.Context(), f.Value.Nodes)); code(err) != exitProblem { // raspi3's key
			t.Errorf("%v", err)
		}
		var got tailnetOut
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		row := func(name string) nodeRow {
			i := slices.IndexFunc(got.Nodes, func(n nodeRow) bool { return n.Name == name })
			if i < 0 {
				t.Fatalf("no %s in %s", name, out.String())
			}
			return got.Nodes[i]
		}
		if n := row("cottage"); n.Path.Value.Direct || n.Path.Value.Relay != "tor" || n.Host != "cottage" {
			t.Errorf("%+v", n)
		}
		if n := row("r2s"); n.Behind == nil || *n.Behind != 4 || !n.Path.Value.Direct {
			t.Errorf("%+v", n)
		}
		if n := row("storage-1"); n.Stale == "" || n.Duplicate != "storage" || n.Path.Asked() {
			t.Errorf("%+v", n)
		}
		if n := row("laptop"); n.Online || n.Path.Asked() || n.Stale != "" {
			t.Errorf("%+v", n)
		}
		out.Reset()
		nodes, err := nodesNamed(f.Value.Nodes, []string{"r*", "storage"})
		if err != nil || printTailnet(&out, options{plain: true}, f, nodes) == nil {
			t.Errorf("%v", err)
		}
		for _, want := range []string{"raspi3", "1.94.2 (4 behind)", "never", "storage"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, out.String())
			}
		}
		if strings.Contains(out.String(), "pixel") || strings.Contains(out.String(), "storage-1") {
			t.Errorf("others are listed:\n%s", out.String())
		}
		if _, err := nodesNamed(f.Value.Nodes, []string{"nobody"}); code(err) != exitUsage {
			t.Errorf("%v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestATailnetThatIsNotKnown is unknown, with the reason.
func TestATailnetThatIsNotKnown(t *testing.T) {
	var out bytes.Buffer
	f := fleet.Unknown[fleet.Tailnet](fleet.WithCure(errors.New("tailscaled is not running"), "start it"), time.Now(), "tailscaled")
	if err := printTailnet(&out, options{}, f, nil); code(err) != exitUnknown || !strings.Contains(out.String(), "? tailnet: tailscaled is not running") || !strings.Contains(out.String(), "-> start it") {
		t.Errorf("%v: %s", err, out.String())
	}
}

// TestCleanOfTheTailnet: nothing is removed before it was shown and agreed to, or where
// only reading is allowed; what was removed is written down.
func TestCleanOfTheTailnet(t *testing.T) {
	err := withDemo(t.Context(), options{json: true}, &discover.Config{}, 0, func(a *app) error {
		clean := func(rename, dry, yes bool) (cleaned, error) {
			cmd := &cobra.Command{}
			var out, errs bytes.Buffer
			cmd.SetOut(&out)
			cmd.SetErr(&errs)
			cmd.SetContext(t.Context())
			err := a.cleanTailnet(cmd, 0, rename, dry, yes)
			var got cleaned
			if jerr := json.Unmarshal(out.Bytes(), &got); jerr != nil {
				t.Fatalf("%v: %s", jerr, out.String())
			}
			return got, err
		}
		names := func(c cleaned) string {
			var out []string
			for _, r := range c.Nodes {
				out = append(out, fmt.Sprintf("%s:%v", r.Node.Name, r.Gone))
			}
			return strings.Join(out, " ")
		}
		have := func() int { return len(a.store.Snapshot().Tailnet.Value.Nodes) }
		before := have()
		if got, err := clean(false, true, false); err != nil || !got.DryRun || names(got) != "photos:false storage-1:false" {
			t.Errorf("a dry run: %v, %s", err, names(got))
		}
		if got, err := clean(false, false, false); code(err) != exitRefused || names(got) != "photos:false storage-1:false" { // nobody is there to agree
			t.Errorf("without consent: %v, %s", err, names(got))
		}
		a.opts.readOnly = true
		if _, err := clean(false, false, true); code(err) != exitRefused {
			t.Errorf("read-only: %v", err)
		}
		a.opts.readOnly = false
		if have() != before || len(a.store.Snapshot().Audit) != 0 {
			t.Fatalf("something was removed: %d of %d, %+v", have(), before, a.store.Snapshot().Audit)
		}
		if got, err := clean(true, false, true); err != nil || names(got) != "photos:true storage-1:true" || have() != before-2 {
			t.Errorf("%v, %s, %d", err, names(got), have())
		}
		if audit := a.store.Snapshot().Audit; len(audit) != 2 || audit[1].Kind != fleet.EventNode || !strings.Contains(audit[1].Text, "storage-1 removed") || audit[1].Who == "" {
			t.Errorf("%+v", audit)
		}
		if got, err := clean(false, false, true); err != nil || len(got.Nodes) != 0 {
			t.Errorf("once more: %v, %s", err, names(got))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// barred is a door that a credential does not open.
type barred struct {
	door
	asked []string
	err   error
}

func (b *barred) Remove(_ context.Context, n fleet.Node) error {
	b.asked = append(b.asked, n.Name)
	return b.err
}

// TestACleanUpStops at the first thing that the credential may not do; a node that was
// kept does not keep the others.
func TestACleanUpStops(t *testing.T) {
	err := withDemo(t.Context(), options{}, &discover.Config{}, 0, func(a *app) error {
		for _, c := range []struct {
			err   error
			asked int
			fails bool
		}{{fmt.Errorf("no: %w", discover.ErrMayNot), 1, true}, {errors.New("it came online"), 2, false}, {context.Canceled, 1, true}} {
			b := &barred{err: c.err}
			a.door = b
			out := cleaned{Nodes: a.store.Snapshot().Tailnet.Value.CleanUp(time.Now(), 0)}
			err := a.clean(t.Context(), &out, func(string) {})
			if len(b.asked) != c.asked || (err != nil) != c.fails || failures(out) == nil || out.Nodes[0].Gone || out.Nodes[0].Error == "" {
				t.Errorf("%v: %v, %v, %+v", c.err, b.asked, err, out.Nodes)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNodeRemoveIsOff for this machine, hosts that are online, and nodes of others.
func TestNodeRemoveIsOff(t *testing.T) {
	err := withDemo(t.Context(), options{}, &discover.Config{}, 0, func(a *app) error {
		action := a.nodeActions()[0]
		of := func(names ...string) fleet.Target {
			var target fleet.Target
			for _, n := range a.store.Snapshot().Tailnet.Value.Nodes {
				if slices.Contains(names, n.Name) {
					target.Nodes = append(target.Nodes, n.ID)
				}
			}
			return target
		}
		for _, c := range []struct{ names, why string }{
			{"storage", "storage: it is the host storage, and online"}, {"pixel", "pixel: it is online"}, {"nas.neighbour.ts.net", "nas.neighbour.ts.net: it is not of this tailnet"},
			{"laptop", ""}, {"storage-1", ""}, {"storage-1 photos", ""}, {"storage-1 router", "router: it is the host router, and online"},
		} {
			if got := action.Off(of(strings.Fields(c.names)...)); got != c.why {
				t.Errorf("%s: %q, want %q", c.names, got, c.why)
			}
		}
		if got := action.Off(fleet.Target{Nodes: []string{"gone"}}); got != "it is not there any more" {
			t.Errorf("%q", got)
		}
		plan, err := action.Plan(t.Context(), of("storage-1", "photos"))
		if err != nil || plan.Typed != "2 nodes" || len(plan.Lines) != 2 {
			t.Errorf("%+v, %v", plan, err)
		}
		if plan, err := action.Plan(t.Context(), of("storage-1")); err != nil || plan.Typed != "storage-1" {
			t.Errorf("%+v, %v", plan, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
