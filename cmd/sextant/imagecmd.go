package main

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/podman"
)

func imageCommand(o *options) *cobra.Command {
	c := &cobra.Command{Use: "image", Short: "Pull a container's image and restart its unit; go back to the one before"}
	var user string
	c.PersistentFlags().StringVar(&user, "user", "", "whose container or images")
	pull := actCommand(o, verb{word: "pull", title: "Pull"}, "CONTAINER|IMAGE", only("containers"), func(t *fleet.Target, name string) (string, error) {
		t.User = user
		return actionPull, aimPull(t, name)
	})
	pull.Short = "Pull a container's image, keep what runs, and restart its unit; or pull an image alone"
	c.AddCommand(pull, revertCommand(o, &user), pruneCommand(o), autoUpdateCommand(o))
	return c
}

// revertCommand goes back to the image that a container ran before.
func revertCommand(o *options, user *string) *cobra.Command {
	c := ofContainer(o, verb{word: "revert", title: "Go back"}, actionRevert, user)
	c.Short = "Run the image that a container ran before, which is still on the host"
	return c
}

// updateCommand pulls the image that a container runs, as `image pull CONTAINER` does.
func updateCommand(o *options, user *string) *cobra.Command {
	c := ofContainer(o, verb{word: "update", title: "Pull"}, actionPull, user)
	c.Short = "Pull a container's image, keep what runs, and restart its unit"
	return c
}

// ofContainer makes the command of an action on one container.
func ofContainer(o *options, v verb, id string, user *string) *cobra.Command {
	return actCommand(o, v, "CONTAINER", only("containers"), aimAt(id, user))
}

// aimAt names a container in a target of an action.
func aimAt(id string, user *string) func(t *fleet.Target, name string) (string, error) {
	return func(t *fleet.Target, name string) (string, error) {
		t.Container, t.User = name, *user
		_, err := containerOf(*t)
		return id, whyNot(*t, err)
	}
}

// The actions behind container update and container revert, and image's.
const (
	actionPull   = "image-pull"
	actionRevert = "image-revert"
)

func pruneCommand(o *options) *cobra.Command {
	var all, kept bool
	c := hostActCommand(o, "prune", "image-prune", func(t *fleet.Target) error {
		t.Chosen = map[string]string{sweepChoice.ID: sweepChoice.Values[0]}
		switch {
		case all && kept:
			t.Chosen[sweepChoice.ID] = sweepChoice.Values[2]
		case all:
			t.Chosen[sweepChoice.ID] = sweepChoice.Values[1]
		case kept:
			return usageError{errors.New("--kept goes with --all")}
		}
		return nil
	})
	c.Short = "Remove images that no container uses; what that frees is shown first"
	c.Flags().BoolVar(&all, "all", false, "also those that have a name (those without one)")
	c.Flags().BoolVar(&kept, "kept", false, "with --all: also those that are kept to go back to")
	return c
}

func autoUpdateCommand(o *options) *cobra.Command {
	var dry bool
	c := hostActCommand(o, "auto-update", "image-auto-update", func(*fleet.Target) error { return nil })
	c.Short = "Run podman auto-update; what it would do is shown first"
	c.Flags().BoolVar(&dry, "dry-run", false, "only tell what it would do")
	run := c.RunE
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if !dry {
			return run(cmd, args)
		}
		return failed(withHosts(cmd.Context(), *o, args, only("containers"), func(a *app, states []fleet.State) error {
			return a.printUpdates(cmd, states)
		}))
	}
	return c
}

// printUpdates tells what podman auto-update would do on hosts.
func (a *app) printUpdates(cmd *cobra.Command, states []fleet.State) error {
	type row struct {
		Host string `json:"host"`
		podman.Update
	}
	out := struct {
		Schema  int         `json:"schema"`
		Updates []row       `json:"updates"`
		Errors  []hostError `json:"errors"`
	}{1, []row{}, []hostError{}}
	for _, s := range states {
		list, err := a.dryUpdates(cmd.Context(), fleet.Target{Hosts: []fleet.State{s}})
		for _, u := range list {
			out.Updates = append(out.Updates, row{s.Host.Name, u})
		}
		if err != nil {
			out.Errors = append(out.Errors, holeOf(s.Host.Name, err))
		}
	}
	err := a.opts.write(cmd.OutOrStdout(), out, func(t *table) {
		t.row("HOST", "USER", "CONTAINER", "IMAGE", "POLICY", "UPDATED", "UNIT")
		for _, u := range out.Updates {
			t.row(u.Host, u.User, u.Container, u.Image, u.Policy, u.Updated, u.Unit)
		}
		notes(t, out.Errors)
	})
	return cmp.Or(err, unknown(out.Errors))
}

// hostActCommand does one thing to one host.
func hostActCommand(o *options, word, id string, aim func(*fleet.Target) error) *cobra.Command {
	c := actCommand(o, verb{word: word}, "", only("containers"), func(t *fleet.Target, _ string) (string, error) {
		t.Container, t.User = "", ""
		return id, aim(t)
	})
	c.Use, c.Args = word+" HOST", cobra.ExactArgs(1)
	return c
}

// aimPull takes a word for a container where there is one of this name, else for an
// image where it looks like one.
func aimPull(t *fleet.Target, name string) error {
	t.Container = name
	_, err := containerOf(*t)
	there := slices.ContainsFunc(t.Hosts[0].Containers.Value, func(c fleet.Container) bool { return c.Name == name })
	if err != nil && !there && t.Hosts[0].Containers.Current() && strings.ContainsAny(name, "/:") {
		t.Container, t.Image = "", podman.InFull(name)
		return nil
	}
	return whyNot(*t, err)
}

// whyNot gives an error about a container, or why no container is known.
func whyNot(t fleet.Target, err error) error {
	if f := t.Hosts[0].Containers; err != nil && !f.Current() {
		return errors.New(t.Hosts[0].Host.Name + ": the containers are not known: " + f.Err)
	}
	return err
}
