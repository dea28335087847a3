package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
)

// freshAnswer is how long what a registry said is not asked again.
const freshAnswer = time.Hour

// imageFlags say what registries are asked.
type imageFlags struct{ newer, again bool }

func imagesCommand(o *options) *cobra.Command {
	var f imageFlags
	c := &cobra.Command{
		Use: "images [SEL…]", Short: "Images of hosts: tag, digest, age, size, who uses them; whether the registry has newer ones",
		Long: "Lists the images of Podman and Docker, and which of one image's versions run where. With --newer the registries are asked which digest each tag that a " +
			"container uses has now: through the host, without a login. What they said is remembered, and shown with its age.",
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, only("containers"), func(a *app, states []fleet.State) error {
				images := a.readImages(cmd.Context(), states)
				if f.newer || f.again {
					a.askRegistries(cmd.Context(), states, images, f.again)
				}
				return a.printImages(cmd.OutOrStdout(), states, images)
			}))
		},
	}
	c.Flags().BoolVar(&f.newer, "newer", false, "ask the registries, unless they said so within the last hour")
	c.Flags().BoolVar(&f.again, "again", false, "ask them in any case; not one that wants to be left alone")
	return c
}

// imageFact are the images of a host, as far as they are known.
type imageFact = fleet.Fact[[]fleet.Image]

// readImages asks the engines of hosts for their images.
func (a *app) readImages(ctx context.Context, states []fleet.State) map[fleet.HostID]imageFact {
	return ofEach(ctx, a, states, a.imagesOf)
}

// imagesOf asks the engines of a host whose containers were read before.
func (a *app) imagesOf(ctx context.Context, s fleet.State) imageFact {
	if !s.Containers.Current() {
		return emptyHole[fleet.Image](s.Containers)
	}
	return a.readers.of(a.links.Open(s.Host)).Images(ctx)
}

// askRegistries asks which digest each name has now that a container uses, through
// the host that uses it, and remembers it. Each name is asked once.
func (a *app) askRegistries(ctx context.Context, states []fleet.State, images map[fleet.HostID]imageFact, again bool) {
	since := time.Now()
	if !again {
		since = since.Add(-freshAnswer)
	}
	var wg sync.WaitGroup
	places := make(chan struct{}, 16)
	for _, s := range states {
		for _, i := range images[s.Host.ID].Value {
			for _, name := range i.Tags {
				if len(i.UsedBy) == 0 || i.Digest(fleet.ImageRepository(name)) == "" { // nothing to compare
					continue
				}
				wg.Go(func() {
					places <- struct{}{}
					defer func() { <-places }()
					a.asked(s.Host.ID, name, a.registries.Digest(ctx, a.links.Open(s.Host), name, i.User, since))
				})
			}
		}
	}
	wg.Wait()
	a.rememberRegistries()
}

// rememberRegistries keeps what registries said for the next process.
func (a *app) rememberRegistries() {
	if a.history == nil {
		return
	}
	if err := a.history.SaveRegistry(a.registries.Answers()); err != nil {
		a.store.Note(fleet.Message{At: time.Now(), Level: fleet.Warn, Text: "what registries said is not remembered: " + err.Error()})
	}
}

// recallRegistries takes up what registries said before.
func (a *app) recallRegistries() {
	answers, err := a.history.Registry()
	if err != nil {
		a.store.Note(fleet.Message{At: time.Now(), Level: fleet.Warn, Text: "not remembered: " + err.Error()})
	}
	a.registries.Recall(answers)
}

// registryFailures are what registries did not tell when they were asked, by host
// and name; they are of this process alone.
type registryFailures struct {
	mu   sync.Mutex
	list map[string]fleet.Fact[string]
}

// asked keeps what a registry said, or why it said nothing.
func (a *app) asked(h fleet.HostID, name string, f fleet.Fact[string]) {
	a.failures.mu.Lock()
	defer a.failures.mu.Unlock()
	if a.failures.list == nil {
		a.failures.list = map[string]fleet.Fact[string]{}
	}
	a.failures.list[string(h)+" "+name] = f
}

// registry is what is known of a name on a host: what was said just now, else what
// is remembered.
func (a *app) registry(h fleet.HostID, name string) fleet.Fact[string] {
	known := a.registries.Known(h, name)
	a.failures.mu.Lock()
	defer a.failures.mu.Unlock()
	if f := a.failures.list[string(h)+" "+name]; f.Failed() && known.At.Before(f.ErrAt) {
		return f
	}
	return known
}

// imageRow is an image under one of its names.
type imageRow struct {
	Host string `json:"host"`
	fleet.NamedImage
	Newer *bool `json:"newer"` // null: not known
}

// named are the names of an image of a host, with what their registries have.
func (a *app) named(h fleet.HostID, i fleet.Image) []fleet.NamedImage {
	if len(i.Tags) == 0 {
		return []fleet.NamedImage{{Image: i}}
	}
	var list []fleet.NamedImage
	for _, name := range i.Tags {
		list = append(list, fleet.NamedImage{Name: name, Image: i, Registry: a.registry(h, name)})
	}
	return list
}

// imageRows are the images of a host, one row for each name.
func (a *app) imageRows(s fleet.State, i fleet.Image) []imageRow {
	var rows []imageRow
	for _, n := range a.named(s.Host.ID, i) {
		r := imageRow{Host: s.Host.Name, NamedImage: n}
		if newer, known := i.Newer(n.Name, n.Registry); known && n.Name != "" {
			r.Newer = &newer
		}
		rows = append(rows, r)
	}
	return rows
}

func (a *app) printImages(w io.Writer, states []fleet.State, images map[fleet.HostID]imageFact) error {
	of := func(s fleet.State) imageFact { return images[s.Host.ID] }
	nested, hosts, errs := gather(states, of, a.imageRows)
	rows := slices.Concat(nested...)
	for i := range hosts { // what was known is a list of rows, too
		if last := hosts[i].Last; last != nil {
			if lists, ok := last.Rows.([][]imageRow); ok {
				last.Rows = slices.Concat(lists...)
			}
		}
	}
	var all []fleet.HostImages
	for _, s := range states {
		if f := of(s); f.HasValue() {
			all = append(all, fleet.HostImages{Host: s.Host.Name, Images: f.Value})
		}
	}
	out := struct {
		Schema   int                   `json:"schema"`
		Images   []imageRow            `json:"images"`
		Versions []fleet.ImageVersions `json:"versions"` // of which several run in the fleet
		Errors   []hostError           `json:"errors"`
		Hosts    []hostFact            `json:"hosts"`
	}{1, append([]imageRow{}, rows...), fleet.Versions(all), errs, hosts}
	now := time.Now()
	err := a.opts.write(w, out, func(t *table) {
		t.row("HOST", "USER", "IMAGE", "DIGEST", "MADE", "SIZE", "USED BY", "REGISTRY", "ASKED")
		for _, r := range rows {
			t.row(r.Host, r.User, r.Title(), cmp.Or(fleet.ShortDigest(r.Digest(fleet.ImageRepository(r.Name))), fleet.ShortDigest(r.ID)), age(r.Created, now), size(r.Size),
				cmp.Or(strings.Join(r.UsedBy, " "), "-"), string(r.Standing()), r.askedAgo(now))
		}
		for _, line := range registryNotes(rows) {
			t.note(line)
		}
		for _, v := range out.Versions {
			t.note(versionLine(v))
		}
		holes(t, hosts, now)
	})
	if err == nil && slices.ContainsFunc(rows, func(r imageRow) bool { return r.Registry.Failed() }) {
		return exitCode(exitUnknown)
	}
	return cmp.Or(err, unknown(errs))
}

// askedAgo is how old what the registry said is.
func (r imageRow) askedAgo(now time.Time) string {
	if s := r.Standing(); s != fleet.Same && s != fleet.Newer && s != fleet.NotKnown || !r.Registry.HasValue() {
		return "-"
	}
	return age(r.Registry.At, now)
}

// registryNotes say why registries did not tell, each reason once.
func registryNotes(rows []imageRow) []string {
	var lines []string
	for _, r := range rows {
		if r.Registry.None || r.Registry.Err == "" {
			continue
		}
		if line := "? " + r.Host + ": " + r.Name + ": " + fleet.InFull(r.Registry.Why()); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// versionLine tells which versions of an image run where.
func versionLine(v fleet.ImageVersions) string {
	var parts []string
	for _, x := range v.Versions {
		parts = append(parts, fmt.Sprintf("%s (%s) on %s", cmp.Or(strings.Join(x.Tags, "/"), "older"), fleet.ShortDigest(cmp.Or(x.Digest, x.ID)), strings.Join(x.Hosts, " ")))
	}
	return fmt.Sprintf("%d versions of %s: %s", len(v.Versions), v.Repository, strings.Join(parts, ", "))
}
