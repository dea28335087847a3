package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
	"github.com/sextant-fleet/sextant/podman"
)

// sweepChoice is which of the images that nothing uses are removed.
var sweepChoice = fleet.Choice{ID: "which", Title: "images that no container uses", Values: []string{"without a name", "all but kept ones", "all"}}

// sweepOf reads what was chosen.
func sweepOf(t fleet.Target) podman.Sweep {
	which := t.Chose(sweepChoice)
	return podman.Sweep{Named: which != sweepChoice.Values[0], Kept: which == sweepChoice.Values[2]}
}

// imageHostActions are what can be done to all images of a host.
func (a *app) imageHostActions(d *nixops.Deployer) []fleet.Action {
	return []fleet.Action{
		{
			ID: "image-prune", Title: "Remove unused images", Scope: fleet.ScopeHost, Danger: true, Choices: []fleet.Choice{sweepChoice},
			Help:     "remove images that no container uses, but those kept to go back to; what that frees is shown first",
			Disabled: nixops.Unreachable,
			Plan:     func(ctx context.Context, t fleet.Target) (fleet.Plan, error) { return a.planPrune(ctx, t) },
			Run:      func(ctx context.Context, t fleet.Target, say func(string)) error { return a.prune(ctx, d, t, say) },
		},
		{
			ID: "image-auto-update", Title: "Run podman auto-update", Scope: fleet.ScopeHost, Danger: true,
			Help:     "podman auto-update, for containers with its label; what it would do is shown first",
			Disabled: nixops.Unreachable,
			Plan:     func(ctx context.Context, t fleet.Target) (fleet.Plan, error) { return a.planAutoUpdate(ctx, t) },
			Run:      func(ctx context.Context, t fleet.Target, say func(string)) error { return a.autoUpdate(ctx, d, t, say) },
		},
	}
}

// unusedOf are the images that a sweep removes, and how much that frees in words.
func (a *app) unusedOf(ctx context.Context, t fleet.Target) (j imageJob, list []fleet.Image, frees string, err error) {
	if j, err = a.imagesNow(ctx, t); err != nil {
		return j, nil, "", err
	}
	if list = sweepOf(t).Unused(j.images); len(list) == 0 {
		return j, nil, "", &nixops.Refusal{Host: j.host.Name, Why: "there is no such image: nothing to remove"}
	}
	atLeast, atMost, unknown, err := j.engines.Frees(ctx, list)
	switch {
	case err != nil:
		return j, list, "", err
	case len(unknown) == len(list):
		frees = "up to " + size(atMost) + "; the engine does not tell what they share with others"
	case atLeast == atMost:
		frees = size(atLeast)
	default:
		frees = size(atLeast) + " to " + size(atMost) + ", by what they share with one another"
	}
	return j, list, frees, nil
}

// planPrune tells what is removed, and what that frees.
func (a *app) planPrune(ctx context.Context, t fleet.Target) (fleet.Plan, error) {
	j, list, frees, err := a.unusedOf(ctx, t)
	if err != nil {
		return fleet.Plan{}, err
	}
	p := fleet.Plan{Title: "Remove " + fleet.Count(len(list), "image") + " of " + j.host.Name, Lines: []string{"frees " + frees}}
	now := time.Now()
	for _, i := range list {
		r := fleet.NamedImage{Name: strings.Join(i.Tags, " "), Image: i}
		line := fmt.Sprintf("  %s  %s  %s, made %s ago", r.Title(), fleet.ShortDigest(i.ID), size(i.Size), age(i.Created, now))
		if i.User != "root" {
			line += ", of " + i.User
		}
		p.Lines = append(p.Lines, line)
	}
	if sweepOf(t).Named {
		p.Lines = append(p.Lines, "a unit that does not run just now pulls its image again when it is started")
	}
	if sweepOf(t).Kept {
		p.Lines = append(p.Lines, "those that are kept go, too: their containers cannot go back to them")
	}
	return p, nil
}

// prune removes images one by one. One that cannot be removed does not keep the
// others.
func (a *app) prune(ctx context.Context, d *nixops.Deployer, t fleet.Target, say func(string)) error {
	j, list, frees, err := a.unusedOf(ctx, t)
	if err != nil {
		return err
	}
	e := fleet.Event{At: time.Now(), Kind: fleet.EventAction, Level: fleet.Info, Text: "unused images removed"}
	var errs []error
	gone := 0
	for _, i := range list {
		if ctx.Err() != nil {
			errs = append(errs, context.Cause(ctx))
			break
		}
		if err := j.engines.Remove(ctx, i); err != nil {
			errs = append(errs, err)
			continue
		}
		gone++
		r := fleet.NamedImage{Name: strings.Join(i.Tags, " "), Image: i}
		say("removed " + r.Title() + " " + fleet.ShortDigest(i.ID))
	}
	said := fleet.Count(gone, "image") + " removed"
	if gone == len(list) {
		said += ", which frees " + frees
	}
	return a.acted(d, j.host, e, said, errors.Join(errs...), say)
}

// updateLine tells an update in a line.
func updateLine(u podman.Update) string {
	line := u.Container + "  " + u.Image + "  " + u.Updated + "  (" + u.Unit + ", " + u.Policy
	if u.User != "root" {
		line += ", of " + u.User
	}
	return line + ")"
}

// planAutoUpdate asks what podman auto-update would do.
func (a *app) planAutoUpdate(ctx context.Context, t fleet.Target) (fleet.Plan, error) {
	list, err := a.dryUpdates(ctx, t)
	if err != nil {
		return fleet.Plan{}, err
	}
	p := fleet.Plan{Title: "Run podman auto-update on " + t.Hosts[0].Host.Name}
	pending := 0
	for _, u := range list {
		p.Lines = append(p.Lines, updateLine(u))
		if u.Updated == "pending" {
			pending++
		}
	}
	switch {
	case len(list) == 0:
		return p, &nixops.Refusal{Host: t.Hosts[0].Host.Name, Why: "no container that runs there carries the label io.containers.autoupdate", Cure: "AutoUpdate=registry in a quadlet, or that label"}
	case pending == 0:
		return p, &nixops.Refusal{Host: t.Hosts[0].Host.Name, Why: "nothing is newer: " + strings.Join(p.Lines, "; ")}
	}
	p.Lines = append(p.Lines, "their units are restarted; Podman goes back where one does not start again", "what runs now is kept: sextant image revert goes back to it")
	return p, nil
}

// dryUpdates is what podman auto-update would do.
func (a *app) dryUpdates(ctx context.Context, t fleet.Target) ([]podman.Update, error) {
	j, err := a.imagesNow(ctx, t)
	if err != nil {
		return nil, err
	}
	return j.engines.AutoUpdate(ctx, true)
}

// autoUpdate keeps what runs, and runs podman auto-update.
func (a *app) autoUpdate(ctx context.Context, d *nixops.Deployer, t fleet.Target, say func(string)) error {
	j, err := a.imagesNow(ctx, t)
	if err != nil {
		return err
	}
	list, err := j.engines.AutoUpdate(ctx, true)
	if err != nil {
		return err
	}
	for _, u := range list {
		c, err := containerOf(fleet.Target{Hosts: t.Hosts, Container: u.Container, User: u.User})
		if u.Updated != "pending" || err != nil || c.ImageID == "" {
			continue
		}
		if _, err := j.engines.Keep(ctx, c, c.Image, c.ImageID, time.Now()); err != nil {
			return fmt.Errorf("nothing was updated: %w", err)
		}
	}
	e := fleet.Event{At: time.Now(), Kind: fleet.EventAction, Level: fleet.Info, Text: "podman auto-update"}
	say("podman auto-update pulls and restarts")
	done, err := j.engines.AutoUpdate(ctx, false)
	updated, bad := 0, []string{}
	for _, u := range done {
		switch u.Updated {
		case "true":
			updated++
			say(updateLine(u))
		case "failed", "rolled back":
			bad = append(bad, updateLine(u))
		}
	}
	if len(bad) > 0 {
		err = errors.Join(err, fmt.Errorf("%s: %s", j.host.Name, strings.Join(bad, "; ")))
	}
	return a.acted(d, j.host, e, plural(updated, "containers were updated", "nothing was updated"), err, say)
}
