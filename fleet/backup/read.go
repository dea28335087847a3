package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Bounds of one reading of a host.
const (
	total       = 270 * time.Second // all together
	statusLimit = 180 * time.Second // backup-status, which asks one repository after the other
	logLimit    = 60 * time.Second  // the journal
	atOnce      = 2                 // repositories asked at the same time
)

// Read tells how the jobs of a host stand from everything that knows: what
// [FromState] knows, the journal, backup-status where the host has it, and the
// repositories. It is slow, a repository may take two minutes, and costs
// requests where repositories are kept by others: ask seldom. What could not be
// asked is said in the job's Error and does not hide what the others told.
func Read(ctx context.Context, l link.Link, st fleet.State, now time.Time, limits Limits) fleet.Fact[[]fleet.BackupJob] {
	if f, ok := unread(st, now); !ok {
		return f
	}
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, total, fmt.Errorf("not all could be asked within %s", total))
	defer cancel()
	jobs := gather(st, limits)
	for i := range jobs {
		jobs[i].asked = true
	}
	if len(jobs) == 0 && !st.Inventory.Value.Has("backup-status") {
		return conclude(st, jobs, now, source)
	}
	jobs = first(ctx, l, st, jobs, limits)
	second(ctx, l, st, jobs)
	return conclude(st, jobs, now.Add(time.Since(began)), "units, journal, snapshots")
}

// first asks the journal, backup-status and Backrest, all at once.
func first(ctx context.Context, l link.Link, st fleet.State, jobs []evidence, limits Limits) []evidence {
	var log journal
	var status []Status
	var plans []Plan
	var why map[string]string
	var logErr, statusErr, plansErr error
	var tests map[string]*fleet.RestoreTest
	var tested bool
	var group errgroup.Group
	group.Go(func() error { tests, tested = readTests(ctx, l, jobs); return nil })
	group.Go(func() error {
		ctx, cancel := context.WithTimeoutCause(ctx, logLimit, fmt.Errorf("no answer within %s", logLimit))
		defer cancel()
		log, logErr = readJournal(ctx, l, jobs)
		return nil
	})
	if st.Inventory.Value.Has("backup-status") {
		group.Go(func() error {
			ctx, cancel := context.WithTimeoutCause(ctx, statusLimit, fmt.Errorf("no answer within %s", statusLimit))
			defer cancel()
			status, statusErr = readStatus(ctx, l)
			return nil
		})
	}
	daemon := slices.IndexFunc(jobs, func(e evidence) bool { return e.daemon && e.Tool == backrestTool && e.failed == "" })
	if daemon >= 0 {
		group.Go(func() error { plans, why, plansErr = readPlans(ctx, l, st); return nil })
	}
	_ = group.Wait()
	for i := range jobs {
		e := &jobs[i]
		if plansErr != nil && (i == daemon || e.has(fromBackrest)) {
			e.trouble = text(plansErr)
		}
		if tested {
			e.RestoreTest = tests[testsFile(e.BackupJob)]
		}
		if logErr == nil {
			e.hear(log)
		} else if e.lost {
			e.trouble = text(logErr)
		}
		if e.Unit == "" && statusErr != nil && e.has(fromStatus) { // only backup-status knows of it
			e.trouble = text(statusErr)
		}
	}
	if daemon >= 0 && plansErr == nil {
		jobs[daemon].trouble = "Backrest has no plan: it saves nothing" // gives way to plans
		jobs = tellPlans(jobs, plans, why, limits)
	}
	if statusErr != nil {
		return jobs
	}
	return adopt(jobs, status, limits)
}

// second asks the repositories that backup-status did not tell of.
func second(ctx context.Context, l link.Link, st fleet.State, jobs []evidence) {
	var asked []*evidence
	for i := range jobs {
		if canList(jobs[i]) && (!jobs[i].toldNow || jobs[i].listDue(time.Now())) {
			asked = append(asked, &jobs[i])
		}
	}
	if len(asked) == 0 {
		return
	}
	found, repos := make([]listing, len(asked)), make([]*fleet.BackupRepo, len(asked))
	var group errgroup.Group
	group.SetLimit(atOnce + 1)
	var ties map[string][]tie
	group.Go(func() error { ties = readTies(ctx, l, jobs); return nil })
	for i, e := range asked {
		group.Go(func() error {
			if found[i].all, found[i].err = list(ctx, l, *e); found[i].err == nil {
				repos[i] = repoOf(e.Repo, found[i].all, time.Now().UTC())
				if repos[i].ID == "" || time.Since(repos[i].IDAt) > idLasts {
					if id := askID(ctx, l, *e); id != "" { // what was told before stays
						repos[i].ID, repos[i].IDAt = id, time.Now().UTC()
					}
				}
			}
			return nil
		})
	}
	_ = group.Wait()
	for i, e := range asked { // only now: the ties are asked by the jobs meanwhile
		if repos[i] != nil {
			e.Repo = repos[i]
		}
	}
	names := hostNames(st)
	for i, e := range asked {
		found[i].name, found[i].ties = e.Name, ties[e.Unit]
		found[i].keepHost(names)
	}
	divide(found)
	readChores(ctx, l, jobs)
	for i, e := range asked {
		e.count(found[i])
	}
}

// count adds what the repository told.
func (e *evidence) count(f listing) {
	err := f.err
	switch {
	case err != nil && e.toldNow: // backup-status told of it
		return
	case errors.Is(err, errNoWay), errors.Is(err, link.ErrNoRoot):
		return // nobody could be asked: the units must do
	case errors.Is(err, errNoRepo):
		e.trouble = text(err)
		e.never = e.never || e.LastRun.IsZero() && e.LastSuccess.IsZero() && !e.Running
		return
	case err != nil:
		e.trouble = "snapshots: " + text(err)
		return
	}
	why := f.doubt()
	if why != "" && e.toldNow {
		return
	}
	e.forget()
	if why != "" {
		e.trouble = why
		return
	}
	e.listed, e.Snapshots = true, len(f.mine)
	if s, ok := newest(f.mine); ok {
		e.NewestSnapshot, e.Size, e.Sizes, e.Paths = s.At, s.Size, sizes(f.mine), saved(f.mine, s.At)
	}
	e.trouble = ""
	e.source(fromSnapshots)
}

// listDue tells whether the repository is to be listed though backup-status told
// its newest snapshot: it alone tells sizes, and who else saves into it.
func (e *evidence) listDue(now time.Time) bool {
	return e.Repo == nil || now.Sub(e.Repo.At) > listLasts
}

// forget drops what was known of a job's snapshots.
func (e *evidence) forget() {
	e.listed, e.Snapshots, e.NewestSnapshot, e.Size, e.Sizes, e.Paths = false, 0, time.Time{}, 0, nil, nil
	e.drop(fromSnapshots)
}

// maxPaths bounds the paths that are known of what a job saves.
const maxPaths = 200

// saved are the paths in the newest snapshot, and in those that were made within a day
// before it: a job may make several of different paths.
func saved(list []Snapshot, newest time.Time) []string {
	var paths []string
	for _, s := range list {
		if newest.Sub(s.At) > 24*time.Hour {
			continue
		}
		for _, p := range s.Paths {
			if len(paths) < maxPaths && strings.HasPrefix(p, "/") && !slices.Contains(paths, p) {
				paths = append(paths, p)
			}
		}
	}
	slices.Sort(paths)
	return paths
}

// hosts are whose snapshots there are, the first few.
func hosts(list []Snapshot) []string {
	var names []string
	for _, s := range list {
		if !slices.Contains(names, s.Host) {
			names = append(names, fleet.Short(s.Host, 40))
		}
		if len(names) == 3 {
			break
		}
	}
	return names
}

// text is an error on one line, without what must not be shown.
func text(err error) string { return say(err.Error()) }
