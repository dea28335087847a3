package main

import (
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
		return "image-pull", aimPull(t, name)
	})
	pull.Short = "Pull a container's image, keep what runs, and restart its unit; or pull an image alone"
	revert := actCommand(o, verb{word: "revert", title: "Go back"}, "CONTAINER", only("containers"), func(t *fleet.Target, name string) (string, error) {
		t.Container, t.User = name, user
		_, err := containerOf(*t)
		return "image-revert", whyNot(*t, err)
	})
	revert.Short = "Run the image that a container ran before, which is still on the host"
	c.AddCommand(pull, revert)
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
