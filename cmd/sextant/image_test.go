package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// doImage does an action to a container of a simulated host, after what it plans
// was asked for, and gives both in words.
func doImage(t *testing.T, a *app, id, host, container, user string) (plan string, said []string, err error) {
	t.Helper()
	states, err := a.pick([]string{host})
	if err != nil {
		t.Fatal(err)
	}
	plan, said, err = doAction(t, a, id, fleet.Target{Hosts: states, Container: container, User: user})
	if states, pickErr := a.pick([]string{host}); pickErr == nil {
		a.ask(t.Context(), states, only("containers"))
	}
	return plan, said, err
}

// doAction does an action after it was planned, and gives what that says, and what
// was said while it ran.
func doAction(t *testing.T, a *app, id string, target fleet.Target) (plan string, said []string, err error) {
	t.Helper()
	action, err := a.allowed(a.deployer(), id, target)
	if err != nil {
		return "", nil, err
	}
	p, err := action.Planned(t.Context(), target, func(string) {})
	if err != nil {
		return "", nil, err
	}
	err = action.Run(t.Context(), target, func(s string) { said = append(said, s) })
	return p.Title + "\n" + strings.Join(p.Lines, "\n"), said, err
}

// imageRun is the image that a container runs, by the engine.
func imageRun(t *testing.T, a *app, host, container, user string) string {
	t.Helper()
	states, err := a.pick([]string{host})
	if err != nil {
		t.Fatal(err)
	}
	c, err := containerOf(fleet.Target{Hosts: states, Container: container, User: user})
	if err != nil {
		t.Fatal(err)
	}
	return c.ImageID
}

// TestContainerUpdateAndRevert: they are the pull and the going back of images, by the
// name of a container.
func TestContainerUpdateAndRevert(t *testing.T) {
	user := "ada"
	for word, id := range map[string]string{"update": actionPull, "revert": actionRevert} {
		c, _, err := containerCommand(&options{}).Find([]string{word})
		if err != nil || c.Name() != word || c.Flags().Lookup("yes") == nil || c.InheritedFlags().Lookup("user") == nil {
			t.Errorf("container %s: %v, %v", word, c.Name(), err)
		}
		target := fleet.Target{Hosts: []fleet.State{{Host: fleet.Host{Name: "desktop"}, Containers: fleet.Known([]fleet.Container{{Name: "web", User: "ada"}}, time.Now(), "podman")}}}
		if got, err := aimAt(id, &user)(&target, "web"); got != id || err != nil || target.Container != "web" || target.User != "ada" || target.Image != "" {
			t.Errorf("%s: %s, %v, %+v", word, got, err, target)
		}
		if _, err := aimAt(id, &user)(&target, "docker.io/library/redis:7"); err == nil {
			t.Errorf("%s takes an image for a container", word)
		}
	}
	list := (&app{}).imageActions(nil)
	for _, id := range []string{actionPull, actionRevert} {
		if !slices.ContainsFunc(list, func(a fleet.Action) bool { return a.ID == id }) {
			t.Errorf("no action %s", id)
		}
	}
}

// TestDemoPullAndRevert: a pull brings the newer image and restarts the unit; going
// back runs the one before, and going back again the newer.
func TestDemoPullAndRevert(t *testing.T) {
	onDemoContainers(t, []string{"storage"}, func(a *app, states []fleet.State) {
		before := imageRun(t, a, "storage", "plex", "")
		if _, _, err := doImage(t, a, "image-revert", "storage", "plex", ""); err == nil || !strings.Contains(err.Error(), "no image that ran as plex before") {
			t.Errorf("%v", err)
		}
		plan, said, err := doImage(t, a, "image-pull", "storage", "plex", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Pull lscr.io/linuxserver/plex:latest for plex on storage", "it runs ", "was not asked", "sextant image revert storage plex", "podman-plex.service is restarted"} {
			if !strings.Contains(plan, want) {
				t.Errorf("no %q in\n%s", want, plan)
			}
		}
		newer := imageRun(t, a, "storage", "plex", "")
		if newer == before || !strings.HasPrefix(said[0], "Trying to pull") || !strings.Contains(said[len(said)-1], "plex runs ") || !strings.Contains(said[len(said)-1], "active (running)") {
			t.Errorf("%s became %s: %q", before, newer, said)
		}
		_, said, err = doImage(t, a, "image-pull", "storage", "plex", "")
		if err != nil || said[len(said)-1] != "plex runs what the registry has: nothing was restarted" {
			t.Errorf("%q, %v", said, err)
		}
		plan, said, err = doImage(t, a, "image-revert", "storage", "plex", "")
		if now := imageRun(t, a, "storage", "plex", ""); err != nil || now != before || !strings.Contains(plan, "nothing is downloaded") || !strings.Contains(plan, ", kept ") {
			t.Errorf("%s, then %s, went back to %s: %q, %v\n%s", before, newer, now, said, err, plan)
		}
		if _, _, err = doImage(t, a, "image-revert", "storage", "plex", ""); err != nil || imageRun(t, a, "storage", "plex", "") != newer {
			t.Error(err)
		}
		f := a.readImages(t.Context(), states)[states[0].Host.ID]
		kept := 0
		for _, i := range f.Value {
			kept += len(i.Kept)
		}
		if kept > 3 {
			t.Errorf("%d are kept", kept)
		}
		// What uses the same image is told of, and kept for.
		plan, _, err = doImage(t, a, "image-pull", "storage", "immich-redis", "")
		if err != nil || !strings.Contains(plan, "nextcloud-redis has the same image") {
			t.Errorf("%v\n%s", err, plan)
		}
		plan, _, err = doImage(t, a, "image-revert", "storage", "nextcloud-redis", "")
		if err == nil || !strings.Contains(err.Error(), "no image") { // it runs the older one still
			t.Errorf("%v\n%s", err, plan)
		}
		if _, _, err = doImage(t, a, "image-revert", "storage", "gatus", ""); err == nil || !strings.Contains(fleet.InFull(err), "pull=always") {
			t.Errorf("%v", err)
		}
		events := a.store.Snapshot().Audit
		if !slices.ContainsFunc(events, func(e fleet.Event) bool { return e.Text == "image of plex reverted" && e.Host == "storage" }) {
			t.Errorf("%+v", events)
		}
	})
}

// TestDemoPullOfAUser: hers is pulled by her own Podman, and her own systemd restarts it.
func TestDemoPullOfAUser(t *testing.T) {
	onDemoContainers(t, []string{"desktop"}, func(a *app, _ []fleet.State) {
		_, said, err := doImage(t, a, "image-pull", "desktop", "miniflux", "ada")
		if err != nil || !strings.Contains(said[len(said)-1], "nothing was restarted") {
			t.Errorf("%q, %v", said, err)
		}
	})
}

// TestAimOfAPull: a word is a container where there is one, else an image where it
// looks like one.
func TestAimOfAPull(t *testing.T) {
	onDemoContainers(t, []string{"storage"}, func(a *app, states []fleet.State) {
		for word, want := range map[string]string{"plex": "plex|", "docker.io/library/caddy:2": "|docker.io/library/caddy:2", "ghcr.io/a/b": "|ghcr.io/a/b:latest"} {
			target := fleet.Target{Hosts: states}
			if err := aimPull(&target, word); err != nil || target.Container+"|"+target.Image != want {
				t.Errorf("%s: %+v, %v", word, target.Container+"|"+target.Image, err)
			}
		}
		if err := aimPull(&fleet.Target{Hosts: states}, "nothing"); err == nil || !strings.Contains(err.Error(), "no container nothing there") {
			t.Error(err)
		}
		target := fleet.Target{Hosts: states, Image: "docker.io/library/redis:7"}
		var said []string
		if err := a.pullName(t.Context(), a.deployer(), target, func(s string) { said = append(said, s) }); err != nil {
			t.Fatal(err)
		}
		if last := said[len(said)-1]; !strings.Contains(last, "immich-redis runs the older one until it is restarted") {
			t.Error(last)
		}
		f := a.readImages(t.Context(), states)[states[0].Host.ID]
		i := slices.IndexFunc(f.Value, func(i fleet.Image) bool { return len(i.Kept) > 0 })
		if i < 0 || len(f.Value[i].Kept) != 3 || len(f.Value[i].UsedBy) != 3 {
			t.Errorf("%+v", f.Value)
		}
	})
}

// doHost does an action to a simulated host, and gives what it planned and said.
func doHost(t *testing.T, a *app, id, host string, chosen map[string]string) (plan string, said []string, err error) {
	t.Helper()
	states, err := a.pick([]string{host})
	if err != nil {
		t.Fatal(err)
	}
	return doAction(t, a, id, fleet.Target{Hosts: states, Chosen: chosen})
}

// TestDemoPrune: what is shown goes, and nothing else; what a container may go back to
// stays until that is asked for, too.
func TestDemoPrune(t *testing.T) {
	onDemoContainers(t, []string{"storage"}, func(a *app, states []fleet.State) {
		if _, _, err := doImage(t, a, "image-pull", "storage", "plex", ""); err != nil {
			t.Fatal(err)
		}
		count := func() (all, unnamed, kept int) {
			for _, i := range a.readImages(t.Context(), states)[states[0].Host.ID].Value {
				all++
				if len(i.Kept) > 0 {
					kept++
				} else if len(i.Tags) == 0 {
					unnamed++
				}
			}
			return all, unnamed, kept
		}
		before, unnamed, kept := count()
		if unnamed < 3 || kept != 1 {
			t.Fatalf("%d without a name, %d kept", unnamed, kept)
		}
		plan, said, err := doHost(t, a, "image-prune", "storage", nil)
		all, left, kept := count()
		if err != nil || all != before-unnamed || left != 0 || kept != 1 || len(said) != unnamed+1 || !strings.Contains(plan, "frees ") || strings.Count(plan, "(was ") != unnamed {
			t.Errorf("%d, then %d: %d, %d left, %d kept: %q, %v\n%s", before, unnamed, all, left, kept, said, err, plan)
		}
		if _, _, err := doHost(t, a, "image-prune", "storage", nil); err == nil || !strings.Contains(err.Error(), "nothing to remove") {
			t.Error(err)
		}
		if _, _, err := doHost(t, a, "image-prune", "storage", map[string]string{sweepChoice.ID: sweepChoice.Values[1]}); err == nil {
			t.Error("there is nothing that has a name and is not used")
		}
		plan, _, err = doHost(t, a, "image-prune", "storage", map[string]string{sweepChoice.ID: sweepChoice.Values[2]})
		if _, _, kept := count(); err != nil || kept != 0 || !strings.Contains(plan, "kept for plex") {
			t.Errorf("%v, %d kept\n%s", err, kept, plan)
		}
		if _, _, err := doImage(t, a, "image-revert", "storage", "plex", ""); err == nil {
			t.Error("it went back to what is gone")
		}
	})
}

// TestDemoAutoUpdate: first what it would do; then it is done, and can be gone back from.
func TestDemoAutoUpdate(t *testing.T) {
	onDemoContainers(t, []string{"storage", "cloud"}, func(a *app, _ []fleet.State) {
		before := imageRun(t, a, "storage", "freshrss", "")
		plan, said, err := doHost(t, a, "image-auto-update", "storage", nil)
		if err != nil || !strings.Contains(plan, "freshrss  lscr.io/linuxserver/freshrss:latest  pending") || !strings.Contains(plan, "homepage  lscr.io/linuxserver/homepage:latest  false") ||
			!strings.Contains(said[len(said)-1], "2 containers were updated") {
			t.Fatalf("%q, %v\n%s", said, err, plan)
		}
		states, _ := a.pick([]string{"storage"})
		a.ask(t.Context(), states, only("containers"))
		if now := imageRun(t, a, "storage", "freshrss", ""); now == before {
			t.Error("it runs what it ran")
		}
		if _, _, err := doImage(t, a, "image-revert", "storage", "freshrss", ""); err != nil || imageRun(t, a, "storage", "freshrss", "") != before {
			t.Error(err)
		}
		if _, _, err := doHost(t, a, "image-auto-update", "cloud", nil); err == nil || !strings.Contains(err.Error(), "carries the label") {
			t.Error(err)
		}
	})
}
