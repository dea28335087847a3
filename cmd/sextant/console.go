package main

import (
	"context"
	"errors"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/backup"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/units"
	"github.com/sextant-fleet/sextant/podman"
)

// console is what screens may ask for beyond the facts.
type console struct{ a *app }

// Look says what is on the screen.
func (c console) Look(f fleet.Focus) { c.a.watcher.Look(f) }

// Refresh asks a host everything again.
func (c console) Refresh(id fleet.HostID) { c.a.watcher.Refresh(id) }

// Answer answers a question.
func (c console) Answer(id int, r fleet.Reply) { c.a.questions.Answer(id, r) }

// Logs opens the logs of a query as one.
func (c console) Logs(ctx context.Context, q fleet.LogQuery) (fleet.LogStream, error) {
	sources := make([]units.Source, 0, len(q.Sources))
	for _, of := range q.Sources {
		sources = append(sources, c.source(of))
	}
	return units.Merge(ctx, q, sources)
}

// Series reads measurements for charts.
func (c console) Series(ctx context.Context, id fleet.HostID, q fleet.SeriesQuery) ([]fleet.Series, error) {
	l, st, err := c.link(id)
	if err != nil {
		return nil, err
	}
	return c.a.readers.metrics.Series(ctx, l, st, q)
}

// Units reads all units of a host.
func (c console) Units(ctx context.Context, id fleet.HostID) (fleet.UnitList, error) {
	l, _, err := c.link(id)
	if err != nil {
		return fleet.UnitList{}, err
	}
	return units.Read(ctx, l)
}

// Shared reads the pods, networks and volumes of a host.
func (c console) Shared(ctx context.Context, id fleet.HostID) fleet.Fact[fleet.Shared] {
	l, _, err := c.link(id)
	if err != nil {
		return fleet.Unknown[fleet.Shared](err, time.Now(), "")
	}
	return c.a.readers.of(l).Shared(ctx)
}

// Unit reads all that is told of one unit.
func (c console) Unit(ctx context.Context, id fleet.HostID, unit, user string, secrets bool) (fleet.UnitDetail, error) {
	l, _, err := c.link(id)
	if err != nil {
		return fleet.UnitDetail{}, err
	}
	return units.Show(ctx, l, unit, user, secrets)
}

// Container reads all that is told of a container.
func (c console) Container(ctx context.Context, id fleet.HostID, ct fleet.Container, secrets bool) (fleet.ContainerDetail, error) {
	l, _, err := c.link(id)
	if err != nil {
		return fleet.ContainerDetail{}, err
	}
	return c.a.readers.inspect(ctx, l, ct, secrets)
}

// Processes reads which processes run in a container.
func (c console) Processes(ctx context.Context, id fleet.HostID, ct fleet.Container, secrets bool) (fleet.ContainerTop, error) {
	l, _, err := c.link(id)
	if err != nil {
		return fleet.ContainerTop{}, err
	}
	return c.a.readers.of(l).Top(ctx, ct.User, ct.ID, secrets)
}

// Snapshots reads the snapshots of a backup job.
func (c console) Snapshots(ctx context.Context, id fleet.HostID, job string) ([]fleet.BackupSnapshot, error) {
	l, st, j, err := c.job(id, job)
	if err != nil {
		return nil, err
	}
	return backup.Snapshots(ctx, l, st, j)
}

// SnapshotFiles reads one folder of a snapshot.
func (c console) SnapshotFiles(ctx context.Context, id fleet.HostID, job, snapshot, path string) (fleet.FileList, error) {
	l, _, j, err := c.job(id, job)
	if err != nil {
		return fleet.FileList{}, err
	}
	return backup.Files(ctx, l, j, snapshot, path)
}

// SnapshotDiff reads how two snapshots of a job differ.
func (c console) SnapshotDiff(ctx context.Context, id fleet.HostID, job, from, to string) (fleet.SnapshotDiff, error) {
	l, _, j, err := c.job(id, job)
	if err != nil {
		return fleet.SnapshotDiff{}, err
	}
	return backup.Difference(ctx, l, j, from, to)
}

func (c console) job(id fleet.HostID, name string) (link.Link, fleet.State, fleet.BackupJob, error) {
	l, st, err := c.link(id)
	if err != nil {
		return nil, st, fleet.BackupJob{}, err
	}
	_, j, err := jobOfTarget(fleet.Target{Hosts: []fleet.State{st}, Item: name})
	return l, st, j, err
}

// Ping asks how traffic gets to nodes of the tailnet.
func (c console) Ping(ctx context.Context, nodes []fleet.Node, tell func(string, fleet.Fact[fleet.Path])) {
	c.a.door.Ping(ctx, nodes, tell)
}

// Trace goes the way from a public name to what answers.
func (c console) Trace(ctx context.Context, url string) (fleet.Trace, error) {
	return c.a.trace(ctx, url, "", nil)
}

// Images reads the images of a host, after the registries were asked where newer is.
func (c console) Images(ctx context.Context, id fleet.HostID, newer bool) fleet.Fact[[]fleet.NamedImage] {
	_, st, err := c.link(id)
	if err != nil {
		return fleet.Unknown[[]fleet.NamedImage](err, time.Now(), "")
	}
	f := c.a.imagesOf(ctx, st)
	if newer {
		c.a.askRegistries(ctx, []fleet.State{st}, map[fleet.HostID]imageFact{id: f}, false)
	}
	return fleet.Derive(f, func(list []fleet.Image) []fleet.NamedImage {
		rows := []fleet.NamedImage{}
		for _, i := range list {
			rows = append(rows, c.a.named(id, i)...)
		}
		return rows
	})
}

// Shell gives a login on a host.
func (c console) Shell(id fleet.HostID) (fleet.Session, error) {
	l, _, err := c.link(id)
	if err != nil {
		return nil, err
	}
	return l.Shell(link.Command{})
}

// Exec gives a shell in a container.
func (c console) Exec(ctx context.Context, id fleet.HostID, container, user string) (fleet.Session, error) {
	st, ok := c.a.store.Get(id)
	if !ok {
		return nil, errLeft
	}
	s, done, err := c.a.execSession(ctx, fleet.Target{Hosts: []fleet.State{st}, Container: container, User: user}, podman.Command{TTY: true})
	if err != nil {
		return nil, err
	}
	return &noted{s, done}, nil
}

// errLeft is a host that was there when somebody looked.
var errLeft = errors.New("the host is no longer in the fleet")

func (c console) link(id fleet.HostID) (link.Link, fleet.State, error) {
	st, ok := c.a.store.Get(id)
	if !ok {
		return nil, st, errLeft
	}
	return c.a.links.Open(st.Host), st, nil
}
