package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
)

// door is what can be asked of the tailnet, and changed there, beyond who is in it.
type door interface {
	Ping(ctx context.Context, nodes []fleet.Node, tell func(id string, path fleet.Fact[fleet.Path]))
	// Remove takes a node out, unless it is not as it was any more.
	Remove(ctx context.Context, n fleet.Node) error
	Rename(ctx context.Context, id, name string) error
}

// tailnetOut is what tailnet says with --json.
type tailnetOut struct {
	Schema  int                       `json:"schema"`
	At      time.Time                 `json:"at"`
	Tailnet fleet.Fact[fleet.Tailnet] `json:"tailnet"`
	Nodes   []nodeRow                 `json:"nodes"` // by name
}

// nodeRow is a node and what follows of what is known.
type nodeRow struct {
	fleet.Node
	Behind *int   `json:"releasesBehind,omitempty"` // the newest version that is known; absent: not known
	Stale  string `json:"stale,omitempty"`          // why nobody needs it any more
}

func tailnetCommand(o *options) *cobra.Command {
	var ping bool
	c := &cobra.Command{
		Use: "tailnet [NAME…]", Short: "The nodes of the tailnet: which host each is, how it is reached, its key, version and tags", Args: cobra.ArbitraryArgs,
		Long: "Lists what tailscaled and, with a credential, Tailscale's API tell. NAME is a node, the host that it is, or a pattern. " +
			"Exit code 1: the key of a host has expired, or ends within 14 days; 3: the tailnet could not be read.",
		RunE: func(cmd *cobra.Command, names []string) error {
			return failed(withApp(*o, func(a *app) error {
				a.recall()
				if err := a.find(cmd.Context(), false); err != nil {
					return err
				}
				f := a.store.Snapshot().Tailnet
				nodes, err := nodesNamed(f.Value.Nodes, names)
				if err != nil {
					return err
				}
				if ping {
					nodes = a.ping(cmd.Context(), nodes)
				}
				return printTailnet(cmd.OutOrStdout(), *o, f, nodes)
			}))
		},
	}
	c.Flags().BoolVar(&ping, "ping", false, "ask how traffic from this machine gets to those that are online, and how long it takes")
	c.AddCommand(tailnetCleanCommand(o))
	return c
}

// nodesNamed are the nodes that one of the names is of; no names: all.
func nodesNamed(nodes []fleet.Node, names []string) ([]fleet.Node, error) {
	if len(names) == 0 {
		return nodes, nil
	}
	var out []fleet.Node
	for _, name := range names {
		is := func(n fleet.Node) bool {
			return slices.ContainsFunc([]string{n.Name, n.Host}, func(s string) bool {
				ok, err := path.Match(strings.ToLower(name), strings.ToLower(s))
				return err == nil && ok && s != ""
			})
		}
		if !slices.ContainsFunc(nodes, is) {
			return nil, usageError{fmt.Errorf("no node of the tailnet is called %q", name)}
		}
		for _, n := range nodes {
			if is(n) && !slices.ContainsFunc(out, func(o fleet.Node) bool { return o.ID == n.ID }) {
				out = append(out, n)
			}
		}
	}
	return out, nil
}

// ping gives nodes with how they are reached, those that are online.
func (a *app) ping(ctx context.Context, nodes []fleet.Node) []fleet.Node {
	nodes = slices.Clone(nodes)
	at := map[string]int{}
	var online []fleet.Node
	for i, n := range nodes {
		if n.Online && !n.Self {
			at[n.ID], online = i, append(online, n)
		}
	}
	var mu sync.Mutex
	a.door.Ping(ctx, online, func(id string, p fleet.Fact[fleet.Path]) {
		mu.Lock()
		defer mu.Unlock()
		nodes[at[id]].Path = p
	})
	return nodes
}

func printTailnet(w io.Writer, o options, f fleet.Fact[fleet.Tailnet], nodes []fleet.Node) error {
	now := time.Now().UTC()
	out := tailnetOut{1, now, f, []nodeRow{}}
	worst := error(nil)
	for _, n := range nodes {
		row := nodeRow{Node: n, Stale: n.Stale(now, 0)}
		if behind, ok := f.Value.Behind(n); ok {
			row.Behind = &behind
		}
		if _, soon := n.KeyEnds(now); soon && n.Host != "" {
			worst = exitCode(exitProblem)
		}
		out.Nodes = append(out.Nodes, row)
	}
	if worst == nil && !f.Current() {
		worst = exitCode(exitUnknown)
	}
	err := o.write(w, out, func(t *table) { tailnetTable(t, out, now) })
	return cmp.Or(err, worst)
}

func tailnetTable(t *table, out tailnetOut, now time.Time) {
	t.row("NODE", "IS", "STATE", "PATH", "KEY", "VERSION", "EXIT", "TAGS")
	stale := 0
	for _, n := range out.Nodes {
		state := "online"
		if !n.Online {
			state = strings.TrimSpace("offline " + strings.TrimPrefix(age(n.LastSeen, now), "-"))
		}
		version := cmp.Or(n.Version, "-")
		if n.Behind != nil && *n.Behind > 0 {
			version += fmt.Sprintf(" (%d behind)", *n.Behind)
		}
		key, _ := n.KeyEnds(now)
		exit := map[bool]string{true: "offers", false: "-"}[n.Exit]
		t.row(n.Name, n.Is(), state, pathCell(n.Node), key, version, exit, cmp.Or(strings.Join(n.Tags, " "), "-"))
		if n.Stale != "" {
			stale++
		}
	}
	f := out.Tailnet
	if !f.Current() {
		t.note("? tailnet: " + cmp.Or(f.Err, "not asked yet"))
		cureNote(t, f.Cure)
	}
	if stale > 0 {
		t.note(fmt.Sprintf("%s that nobody needs any more: sextant tailnet clean --dry-run", plural(stale, "nodes", "no nodes")))
	}
	if f.HasValue() && !f.Value.API {
		t.note("versions, and removing nodes: Tailscale's API is needed (" + cmp.Or(f.Value.NoAPI, "it does not answer") + ")")
	}
}

func pathCell(n fleet.Node) string {
	switch {
	case n.Path.Current():
		return n.Path.Value.Word()
	case n.Path.Err != "":
		return "? " + n.Path.Err
	}
	return "-"
}

// cleaned is what tailnet clean says with --json.
type cleaned struct {
	Schema  int             `json:"schema"`
	DryRun  bool            `json:"dryRun"`
	Nodes   []fleet.Removal `json:"nodes"`
	Renamed []renamed       `json:"renamed"`
}

// renamed is a node that is to have the name back that it should have, or has it.
type renamed struct {
	ID    string `json:"id"`
	From  string `json:"from"`
	To    string `json:"to"`
	Done  bool   `json:"done"`
	Error string `json:"error,omitempty"`
}

func tailnetCleanCommand(o *options) *cobra.Command {
	var older string
	var dry, yes, rename bool
	c := &cobra.Command{
		Use: "clean", Short: "Remove nodes that nobody needs any more, after they were shown", Args: cobra.NoArgs,
		Long: "Removes earlier registrations of hosts, ephemeral nodes and nodes of services that were not seen for 7 days. They are listed first, " +
			"and each is looked at once more before it is removed. Never removed: this machine, nodes that are online, nodes of other tailnets. " +
			"Needs a credential for Tailscale's API that may write devices.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			away := time.Duration(0)
			if older != "" {
				var err error
				if away, err = span(older); err != nil {
					return usageError{fmt.Errorf("--older: %w", err)}
				}
			}
			return failed(withApp(*o, func(a *app) error {
				a.recall()
				if err := a.find(cmd.Context(), false); err != nil {
					return err
				}
				return a.cleanTailnet(cmd, away, rename, dry, yes)
			}))
		},
	}
	c.Flags().StringVar(&older, "older", "", "also every other node that was not seen for so long, hosts among them: 90d")
	c.Flags().BoolVar(&rename, "rename", false, "then give hosts called NAME-1 the name back that such a node had")
	c.Flags().BoolVar(&dry, "dry-run", false, "only tell what would be removed")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask before it begins")
	return c
}

// cleanTailnet tells what is to be removed, asks, and removes it.
func (a *app) cleanTailnet(cmd *cobra.Command, older time.Duration, rename, dry, yes bool) error {
	f := a.store.Snapshot().Tailnet
	if !f.Current() {
		return fleet.WithCure(fmt.Errorf("the tailnet is not known: %s", cmp.Or(f.Err, "not asked yet")), f.Cure)
	}
	out := cleaned{Schema: 1, DryRun: dry, Nodes: f.Value.CleanUp(time.Now(), older), Renamed: []renamed{}}
	if rename {
		out.Renamed = renames(f.Value, out.Nodes)
	}
	var err error
	if !dry && len(out.Nodes)+len(out.Renamed) > 0 {
		if err = a.mayChange("the tailnet"); err == nil && !yes {
			err = agreeTo(cmd, "the tailnet", cleanPlan(out))
		}
		if err == nil {
			err = a.clean(cmd.Context(), &out, func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), line) })
		}
	}
	if werr := a.opts.write(cmd.OutOrStdout(), out, func(t *table) { cleanTable(t, out) }); werr != nil {
		return werr
	}
	if err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "sextant: "+fleet.InFull(err))
		return changeCode(err)
	}
	return failures(out)
}

// renames are the names that hosts can have back.
func renames(t fleet.Tailnet, gone []fleet.Removal) []renamed {
	out := []renamed{}
	names := t.Renames(gone)
	for _, n := range t.Nodes {
		if to := names[n.ID]; to != "" {
			out = append(out, renamed{ID: n.ID, From: n.Name, To: to})
		}
	}
	return out
}

// cleanPlan says what will be done.
func cleanPlan(out cleaned) fleet.Plan {
	p := fleet.Plan{Title: "Remove " + fleet.Count(len(out.Nodes), "node") + " of the tailnet"}
	for _, r := range out.Nodes {
		p.Lines = append(p.Lines, r.Node.Name+": "+r.Why)
	}
	for _, r := range out.Renamed {
		p.Lines = append(p.Lines, r.From+": is called "+r.To+" from then on")
	}
	return p
}

// errKept is that not all was removed: what remains says why itself.
var errKept = errors.New("not all of it was done")

func failures(out cleaned) error {
	for _, r := range out.Nodes {
		if r.Error != "" {
			return exitCode(exitProblem)
		}
	}
	for _, r := range out.Renamed {
		if r.Error != "" {
			return exitCode(exitProblem)
		}
	}
	return nil
}

// clean removes and renames, and says so. It stops at the first that the credential
// may not do.
func (a *app) clean(ctx context.Context, out *cleaned, say func(string)) error {
	for i := range out.Nodes {
		r := &out.Nodes[i]
		if err := a.removeNode(ctx, r, say); errors.Is(err, discover.ErrMayNot) || errors.Is(err, context.Canceled) {
			return err
		}
	}
	for i := range out.Renamed {
		r := &out.Renamed[i]
		err := a.door.Rename(ctx, r.ID, r.To)
		a.recordNode("node "+r.From+" renamed to "+r.To, err)
		if errors.Is(err, discover.ErrMayNot) {
			return err
		}
		if r.Done = err == nil; err != nil {
			r.Error = fleet.InFull(err)
		}
	}
	return nil
}

// removeNode removes one node and writes that down.
func (a *app) removeNode(ctx context.Context, r *fleet.Removal, say func(string)) error {
	err := a.door.Remove(ctx, r.Node)
	a.recordNode("node "+r.Node.Name+" removed: "+r.Why, err)
	if err != nil {
		r.Error, r.Cure = err.Error(), fleet.Cure(err)
		say(r.Node.Name + ": " + fleet.InFull(err))
		return err
	}
	r.Gone = true
	say(r.Node.Name + ": removed")
	return nil
}

// recordNode writes down what was done to the tailnet.
func (a *app) recordNode(text string, err error) {
	who, client := whoAmI()
	e := fleet.Event{At: time.Now().UTC(), Host: "tailnet", Kind: fleet.EventNode, Level: fleet.Info, Text: text, Source: "sextant", Who: who, Client: client, Result: "done"}
	if err != nil {
		e.Level, e.Result = fleet.Error, fleet.InFull(err)
	}
	a.record(e)
}

func cleanTable(t *table, out cleaned) {
	if len(out.Nodes)+len(out.Renamed) == 0 {
		t.note("nothing to remove")
		return
	}
	t.row("NODE", "WHY", "STATE")
	for _, r := range out.Nodes {
		t.row(r.Node.Name, r.Why, doneWord(out.DryRun, r.Gone, r.Error, "removed"))
	}
	for _, r := range out.Renamed {
		t.row(r.From, "can be called "+r.To, doneWord(out.DryRun, r.Done, r.Error, "renamed"))
	}
}

func doneWord(dry, done bool, why, word string) string {
	switch {
	case dry:
		return "would be " + word
	case done:
		return word
	case why != "":
		return "kept: " + why
	}
	return "kept"
}

// nodeActions are what can be done to nodes of the tailnet.
func (a *app) nodeActions() []fleet.Action {
	return []fleet.Action{{
		ID: "node-remove", Title: "Remove from the tailnet", Keys: []string{"x"}, Scope: fleet.ScopeNode, Danger: true,
		Help: "remove the node, or those marked, by Tailscale's API; never this machine, nodes that are online, or of another tailnet",
		Disabled: func(t fleet.Target) string {
			for _, id := range t.Nodes {
				n, ok := a.node(id)
				if !ok {
					return "it is not there any more"
				}
				if why := n.Keeps(); why != "" {
					return n.Name + ": " + why
				}
			}
			return ""
		},
		Plan: func(_ context.Context, t fleet.Target) (fleet.Plan, error) {
			out := a.removals(t)
			p := cleanPlan(cleaned{Nodes: out})
			if p.Typed = fleet.Count(len(out), "node"); len(out) == 1 {
				p.Title, p.Typed = "Remove "+out[0].Node.Name+" from the tailnet", out[0].Node.Name
			}
			if tailnet := a.store.Snapshot().Tailnet.Value; !tailnet.API {
				return p, fleet.WithCure(errors.New("Tailscale's API is needed: "+tailnet.NoAPI), "see [tailscale] in the configuration")
			}
			return p, nil
		},
		Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
			out := cleaned{Nodes: a.removals(t)}
			if err := a.clean(ctx, &out, say); err != nil {
				return err
			}
			if failures(out) != nil {
				return errKept
			}
			return nil
		},
	}}
}

// node gives a node of the tailnet as it is known now.
func (a *app) node(id string) (fleet.Node, bool) {
	if a.store == nil {
		return fleet.Node{}, false
	}
	return a.store.Snapshot().Tailnet.Value.Node(id)
}

// removals are the nodes of a target, each with why it may go.
func (a *app) removals(t fleet.Target) []fleet.Removal {
	var out []fleet.Removal
	for _, id := range t.Nodes {
		if n, ok := a.node(id); ok {
			out = append(out, fleet.Removal{Node: n, Why: cmp.Or(n.Stale(time.Now(), 0), "asked for: last seen "+age(n.LastSeen, time.Now())+" ago")})
		}
	}
	return out
}
