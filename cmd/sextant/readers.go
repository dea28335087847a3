package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/backup"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/metrics"
	"github.com/sextant-fleet/sextant/fleet/probe"
	"github.com/sextant-fleet/sextant/fleet/services"
	"github.com/sextant-fleet/sextant/fleet/watch"
	"github.com/sextant-fleet/sextant/nixops"
	"github.com/sextant-fleet/sextant/podman"
)

// readers are the rooms that read hosts, with what they keep between readings.
// This is the one place that knows all of them.
type readers struct {
	cfg      *discover.Config
	probes   *probe.Reader
	metrics  *metrics.Reader
	services *services.Reader
	mu       sync.Mutex
	engines  map[fleet.HostID]hostEngines
	deploys  map[fleet.HostID]listed
	skews    map[fleet.HostID]time.Duration // by which logs are put in order
}

// listed are the deploys of a host as they stood when its folder of them had
// this mark.
type listed struct {
	mark string
	list []fleet.Deploy
}

// hostEngines are the container engines of a host over one link.
type hostEngines struct {
	link link.Link
	*podman.Engines
	told  string // which there are, by the probe
	moved bool   // there have been others since, and they were not asked yet
}

func newReaders(cfg *discover.Config) *readers {
	return &readers{cfg: cfg, probes: probe.New(), metrics: metrics.New(), services: services.New(), engines: map[fleet.HostID]hostEngines{}, deploys: map[fleet.HostID]listed{}, skews: map[fleet.HostID]time.Duration{}}
}

func (r *readers) close() {
	r.probes.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.engines {
		if e.Engines != nil {
			e.Close()
		}
	}
}

// forget drops what is kept of a host that has left: a Netdata on it is the
// parent of no other any more.
func (r *readers) forget(id fleet.HostID) {
	r.probes.Forget(id)
	r.metrics.Forget(id)
	r.services.Forget(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.engines[id]; e.Engines != nil {
		e.Close()
	}
	delete(r.engines, id)
	delete(r.deploys, id)
}

// of gives the container engines of a host. Those over a link that is no
// longer the host's are closed.
func (r *readers) of(l link.Link) *podman.Engines {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := l.Host().ID
	e := r.engines[id]
	if e.link == l {
		return e.Engines
	}
	if e.Engines != nil {
		e.Close()
	}
	e.link, e.Engines = l, podman.New(l)
	r.engines[id] = e
	return e.Engines
}

// probe is the first question of every round. What is told of units also tells
// how backups stand and which containers are missing.
func (r *readers) probe(ctx context.Context, l link.Link) (watch.Change, error) {
	f, err := r.probes.Read(ctx, l)
	if err != nil {
		return nil, err
	}
	r.noticeEngines(l.Host().ID, f.Inventory)
	return func(s *fleet.State) {
		s.System, s.Inventory, s.Generations = s.System.Refresh(f.System), s.Inventory.Refresh(f.Inventory), s.Generations.Refresh(f.Generations)
		s.Units, s.Timers, s.Proc = s.Units.Refresh(f.Units), s.Timers.Refresh(f.Timers), s.Proc.Refresh(f.Proc)
		s.Containers = fleet.Derive(s.Containers, func(list []fleet.Container) []fleet.Container { return podman.Join(list, s.Units) })
		s.Backups = s.Backups.Refresh(backup.FromState(*s, time.Now(), r.limits()))
	}, nil
}

// How old facts may get before they are read again. Containers are kept by
// events; the long interval is for what those missed.
const (
	everyContainers = 30 * time.Minute
	everyMissing    = 30 * time.Second // where no engine was found that could be followed
	everyDeploys    = 30 * time.Second
	lookedDeploys   = 5 * time.Second
	everyMetrics    = 30 * time.Second
	lookedMetrics   = 5 * time.Second
	everySnapshots  = 30 * time.Minute
	lookedSnapshots = 5 * time.Minute
	againSnapshots  = time.Minute // where a repository did not answer: a wrong password is not tried every few seconds
)

// collectors are the kinds of knowledge beyond the probe.
func (r *readers) collectors() []watch.Collector {
	return append([]watch.Collector{
		{Name: "containers", Every: everyContainers, Read: r.readContainers},
		{Name: "deploys", Every: everyDeploys, Looked: lookedDeploys, Slow: true, Read: r.readDeploys},
		{Name: "metrics", Every: everyMetrics, Looked: lookedMetrics, Read: r.readMetrics},
		{Name: "backups", Every: everySnapshots, Looked: lookedSnapshots, Slow: true, Timeout: 5 * time.Minute, Read: r.readBackups,
			Failed: backupsFailed, Again: againSnapshots},
	}, append(r.siteCollectors(), append(secretCollectors(), r.monitorCollector(), r.dnsCollector())...)...)
}

// deploysDir is where a host keeps what the guard wrote down.
const deploysDir = "/var/lib/sextant/deploys"

// errDeploysOfRoot is why deploys are not known of a host on which we are not root:
// one may wait there all the same.
var errDeploysOfRoot = fleet.WithCure(errors.New("deploys are root's to see, and the login there is not root's"),
	`log in as root (user = "root" for this host in config.toml), or let the user's sudo ask nothing (NOPASSWD)`)

// readDeploys asks the guard, which takes a session of its own, only where the
// probe has seen that something was written, or while one is under way.
func (r *readers) readDeploys(ctx context.Context, a watch.Ask) watch.Change {
	st, err := a.Probed(ctx)
	if err != nil {
		return nil // the probe has said why nothing is known
	}
	now, inv := time.Now(), st.Inventory.Value
	var f fleet.Fact[[]fleet.Deploy]
	switch {
	case !st.System.Value.NixOS:
		f = fleet.Nothing[[]fleet.Deploy]("not NixOS", now, "probe")
	case st.System.Value.UID != 0:
		f = fleet.Unknown[[]fleet.Deploy](errDeploysOfRoot, now, "probe")
	case !slices.Contains(inv.Files, deploysDir):
		f = fleet.Nothing[[]fleet.Deploy]("nothing was deployed to it by Sextant yet", now, "probe")
	default:
		f = r.listDeploys(ctx, a.Link, inv.Deploys, st.Inventory.At)
	}
	return func(s *fleet.State) { s.Deploys = s.Deploys.Refresh(f) }
}

// listDeploys gives the deploys of a host whose folder of them had this mark at
// this time.
func (r *readers) listDeploys(ctx context.Context, l link.Link, mark string, at time.Time) fleet.Fact[[]fleet.Deploy] {
	id := l.Host().ID
	r.mu.Lock()
	last := r.deploys[id]
	r.mu.Unlock()
	underWay := slices.ContainsFunc(last.list, func(d fleet.Deploy) bool { return !d.State.Over() })
	if mark != "" && last.mark == mark && !underWay {
		return fleet.Known(last.list, at, "guard")
	}
	list, err := nixops.Deploys(ctx, l)
	if err != nil {
		return fleet.Unknown[[]fleet.Deploy](err, time.Now(), "guard")
	}
	r.mu.Lock()
	r.deploys[id] = listed{mark, list}
	r.mu.Unlock()
	return fleet.Known(list, time.Now(), "guard")
}

func (r *readers) readContainers(ctx context.Context, a watch.Ask) watch.Change {
	e := r.of(a.Link)
	e.Expect(a.Known)
	e.Read(ctx, a.Probed)
	return containersOf(e)
}

// due asks for metrics again when the parent of a Netdata has been found, and
// for the containers when an engine has come or gone.
func (r *readers) due(id fleet.HostID) string {
	if r.metrics.Due(id) {
		return "metrics"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.engines[id].moved {
		e := r.engines[id]
		e.moved = false
		r.engines[id] = e
		return "containers"
	}
	return ""
}

// enginesOf is what the probe tells of a host's container engines, as a text
// that is another when they are.
func enginesOf(inv fleet.Inventory) string {
	return fmt.Sprint(inv.Sockets, inv.Rootless, inv.Has("podman"), inv.Has("docker"))
}

// noticeEngines keeps what the probe tells of a host's engines.
func (r *readers) noticeEngines(id fleet.HostID, inv fleet.Fact[fleet.Inventory]) {
	if !inv.Current() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e, now := r.engines[id], enginesOf(inv.Value)
	e.moved = e.moved || e.told != "" && e.told != now
	e.told = now
	r.engines[id] = e
}

// readBackups asks beyond the units: the journal, backup-status, the
// repositories. The probe tells the rest again in every round.
func (r *readers) readBackups(ctx context.Context, a watch.Ask) watch.Change {
	st, err := a.Probed(ctx)
	if err != nil {
		return nil // the probe has said why nothing is known
	}
	f := backup.Read(ctx, a.Link, st, time.Now(), r.limits())
	return func(s *fleet.State) { s.Backups = s.Backups.Refresh(f) }
}

// backupsFailed tells whether something that backups are judged by did not answer.
func backupsFailed(s fleet.State) bool {
	return s.Backups.Failed() || slices.ContainsFunc(s.Backups.Value, func(j fleet.BackupJob) bool { return j.State == fleet.BackupUnknown && j.Error != "" })
}

// limits are the person's own limits for the age of backups.
func (r *readers) limits() backup.Limits {
	limits := backup.Limits{}
	for job, d := range r.cfg.Limits.Backups {
		limits[job] = d.Or(0)
	}
	return limits
}

// trendLength is how many readings of the CPU the fleet screen draws.
const trendLength = 24

func (r *readers) readMetrics(ctx context.Context, a watch.Ask) watch.Change {
	m, alarms := r.metrics.Read(ctx, a.Link, a.Probed)
	return func(s *fleet.State) {
		s.Metrics, s.Alarms = s.Metrics.Refresh(m), s.Alarms.Refresh(alarms)
		if m.Current() && m.Value.CPU >= 0 {
			s.Trend = append(append([]float64{}, s.Trend[max(0, len(s.Trend)-trendLength+1):]...), m.Value.CPU)
		}
	}
}
