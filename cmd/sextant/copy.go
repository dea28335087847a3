package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/nixops"
	"github.com/sextant-fleet/sextant/podman"
)

// copying is one copy: out of a container or into it.
type copying struct {
	in                    bool
	host, container, user string
	there, here           string
	force                 bool
}

// place splits HOST:CONTAINER:PATH; ok tells whether it is one. A path of this
// machine that looks like one is written with ./ in front.
func place(arg string) (host, container, path string, ok bool) {
	part := strings.SplitN(arg, ":", 3)
	if len(part) != 3 || part[0] == "" || part[1] == "" || part[2] == "" || strings.Contains(part[0], "/") {
		return "", "", "", false
	}
	return part[0], part[1], part[2], true
}

// copyingOf is what two arguments mean.
func copyingOf(from, to string) (copying, error) {
	h1, c1, p1, out := place(from)
	h2, c2, p2, in := place(to)
	switch {
	case out && !in:
		return copying{host: h1, container: c1, there: p1, here: to}, nil
	case in && !out:
		return copying{in: true, host: h2, container: c2, there: p2, here: from}, nil
	case in:
		return copying{}, errors.New("one of both must be a path here")
	}
	return copying{}, errors.New("one of both must be HOST:CONTAINER:PATH")
}

func copyCommand(o *options, user *string) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "cp HOST:CONTAINER:PATH LOCAL | LOCAL HOST:CONTAINER:PATH", Short: "Copy a file out of a container, or into it", Args: cobra.ExactArgs(2),
		Long: "Copies a file, or out of a container also a folder, by the engine. It takes its name when it is whole; nothing that is there is overwritten without --force. " +
			"What the host sends cannot lead out of where it is put: links and devices are left out, permissions are no more than rwxr-xr-x.",
		RunE: func(cmd *cobra.Command, args []string) error {
			what, err := copyingOf(args[0], args[1])
			if err != nil {
				return usageError{err}
			}
			what.user, what.force = *user, force
			return failed(withHosts(cmd.Context(), *o, []string{what.host}, only("containers"), func(a *app, states []fleet.State) error {
				if len(states) != 1 {
					return usageError{fmt.Errorf("%s names %d hosts: name one", what.host, len(states))}
				}
				return a.copyFile(cmd, states, what)
			}))
		},
	}
	c.Flags().BoolVar(&force, "force", false, "overwrite a file that is there")
	return c
}

// copyFile copies, and tells of it.
func (a *app) copyFile(cmd *cobra.Command, states []fleet.State, what copying) error {
	meter := newMeter(cmd.ErrOrStderr())
	done, err := a.copy(cmd.Context(), a.deployer(), fleet.Target{Hosts: states, Container: what.container, User: what.user}, what, meter.show)
	meter.end()
	out := struct {
		Schema    int      `json:"schema"`
		Host      string   `json:"host"`
		Container string   `json:"container"`
		Bytes     int64    `json:"bytes"`
		Files     int64    `json:"files"`
		Left      []string `json:"left,omitempty"`
		Error     string   `json:"error,omitempty"`
	}{1, states[0].Host.Name, what.container, done.Bytes, done.Files, done.Left, ""}
	if err != nil {
		out.Error = fleet.InFull(err)
	}
	werr := a.opts.write(cmd.OutOrStdout(), out, func(t *table) {
		if err != nil {
			t.note(out.Error)
			return
		}
		t.note(inWords(done))
		for _, l := range done.Left {
			t.note("left out: " + l)
		}
	})
	if werr != nil {
		return werr
	}
	return changeCode(err)
}

// inWords is what was copied, in words.
func inWords(done podman.Copied) string {
	text := "copied " + size(uint64(done.Bytes))
	if done.Files != 1 {
		text += " in " + fleet.Count(int(done.Files), "file")
	}
	return text
}

// copy copies and writes it down. Out of a container is reading: only this machine
// is changed.
func (a *app) copy(ctx context.Context, d *nixops.Deployer, t fleet.Target, what copying, progress func(bytes, of int64)) (podman.Copied, error) {
	host := t.Hosts[0].Host
	if err := a.mayChange(host.Name); what.in && err != nil {
		return podman.Copied{}, err
	}
	if why := nixops.Unreachable(t); why != "" {
		return podman.Copied{}, errors.New(host.Name + ": " + why)
	}
	c, err := containerOf(t)
	if err != nil {
		return podman.Copied{}, err
	}
	e := fleet.Event{At: time.Now(), Kind: fleet.EventAction, Level: fleet.Info}
	engines := a.readers.of(a.links.Open(host))
	var done podman.Copied
	if what.in {
		e.Text = what.here + " copied into container " + c.Name + ", to " + what.there
		done, err = engines.CopyIn(ctx, c.Name, c.User, what.here, what.there, what.force, progress)
	} else {
		e.Text = what.there + " copied out of container " + c.Name + ", to " + what.here
		done, err = engines.CopyOut(ctx, c.Name, c.User, what.there, what.here, what.force, progress)
	}
	if e.Result = inWords(done); err != nil {
		e.Level, e.Result = fleet.Error, fleet.InFull(err)
	}
	d.Did(host, e)
	return done, err
}

// meter shows how far a copy is, on a terminal.
type meter struct {
	w    io.Writer
	last time.Time
	used bool
}

func newMeter(w io.Writer) *meter {
	if _, ok := link.TerminalOf(w); !ok {
		w = io.Discard
	}
	return &meter{w: w}
}

// meterEvery is how often it is written.
const meterEvery = 200 * time.Millisecond

func (m *meter) show(bytes, of int64) {
	if time.Since(m.last) < meterEvery {
		return
	}
	m.last, m.used = time.Now(), true
	fmt.Fprintf(m.w, "\r\x1b[K%s", soFar(bytes, of))
}

func (m *meter) end() {
	if m.used {
		fmt.Fprint(m.w, "\r\x1b[K")
	}
}

// soFar is how far a copy is, in words.
func soFar(bytes, of int64) string {
	text := size(uint64(bytes))
	if of > 0 {
		text += fmt.Sprintf(" of %s (%d%%)", size(uint64(of)), min(100, bytes*100/of))
	}
	return text
}

// The choices of a copy on the screen.
var (
	choiceThere = fleet.Choice{ID: "there", Title: "in the container", Typed: true, Values: []string{""}}
	choiceHere  = fleet.Choice{ID: "here", Title: "here", Typed: true, Values: []string{""}}
	choiceOver  = fleet.Choice{ID: "over", Title: "what is there", Values: []string{"is kept", "is overwritten"}}
)

// copyActions are the two copies, as the screen has them.
func (a *app) copyActions(d *nixops.Deployer) []fleet.Action {
	action := func(id, title, help string, in bool, choices ...fleet.Choice) fleet.Action {
		return fleet.Action{
			ID: id, Title: title, Help: help, Scope: fleet.ScopeContainer, Danger: in, Single: true, Choices: append(choices, choiceOver),
			Disabled: offCopy,
			Plan: func(_ context.Context, t fleet.Target) (fleet.Plan, error) {
				return planCopy(t, in)
			},
			Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
				last := time.Now()
				done, err := a.copy(ctx, d, t, chosenCopy(t, in), func(bytes, of int64) {
					if time.Since(last) > time.Second {
						last = time.Now()
						say(soFar(bytes, of))
					}
				})
				if err != nil {
					return err
				}
				for _, l := range done.Left {
					say("left out: " + l)
				}
				say(inWords(done))
				return nil
			},
		}
	}
	return []fleet.Action{
		action("copy-out", "Copy out of the container", "copy a file or folder of the container to this machine", false, choiceThere, choiceHere),
		action("copy-in", "Copy into the container", "copy a file of this machine into the container", true, choiceHere, choiceThere),
	}
}

// chosenCopy is the copy that was typed.
func chosenCopy(t fleet.Target, in bool) copying {
	return copying{
		in: in, container: t.Container, user: t.User, there: t.Chose(choiceThere), here: nixops.InHome(t.Chose(choiceHere)),
		force: t.Chose(choiceOver) == choiceOver.Values[1],
	}
}

// planCopy says what is copied where.
func planCopy(t fleet.Target, in bool) (fleet.Plan, error) {
	c := chosenCopy(t, in)
	if c.there == "" || c.here == "" {
		return fleet.Plan{}, errors.New("name both paths")
	}
	here, err := filepath.Abs(c.here)
	if err != nil {
		return fleet.Plan{}, err
	}
	from, to := c.container+":"+c.there, here
	if in {
		from, to = to, from
	}
	p := fleet.Plan{Title: "Copy " + from, Lines: []string{"to " + to}}
	if c.force {
		p.Lines = append(p.Lines, "a file that is there is overwritten")
	}
	return p, nil
}

// offCopy is why nothing can be copied now. A container need not run for it.
func offCopy(t fleet.Target) string {
	if why := nixops.Unreachable(t); why != "" {
		return why
	}
	c, err := containerOf(t)
	switch {
	case err != nil:
		return err.Error()
	case c.State == fleet.Absent:
		return c.Name + " is absent"
	}
	return ""
}
