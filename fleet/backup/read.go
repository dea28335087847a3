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

// first asks the journal and backup-status, both at once.
func first(ctx context.Context, l link.Link, st fleet.State, jobs []evidence, limits Limits) []evidence {
	var log journal
	var status []Status
	var logErr, statusErr error
	var group errgroup.Group
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
	_ = group.Wait()
	for i := range jobs {
		e := &jobs[i]
		if logErr == nil {
			e.hear(log)
		} else if e.lost {
			e.trouble = text(logErr)
		}
		if e.Unit == "" && statusErr != nil { // only backup-status knows of it
			e.trouble = text(statusErr)
		}
	}
	if statusErr != nil {
		return jobs
	}
	return adopt(jobs, status, limits)
}

// second asks the repositories that backup-status did not tell of.
func second(ctx context.Context, l link.Link, st fleet.State, jobs []evidence) {
	names := hostNames(st)
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i := range jobs {
		e := &jobs[i]
		if !canList(*e) || e.toldNow {
			continue
		}
		group.Go(func() error {
			snapshots, err := list(ctx, l, *e)
			e.count(snapshots, err, names)
			return nil
		})
	}
	_ = group.Wait()
}

// count adds what the repository told.
func (e *evidence) count(all []Snapshot, err error, names []string) {
	switch {
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
	ours := ofHost(all, names)
	if len(ours) == 0 && len(all) > 0 {
		e.trouble = fmt.Sprintf("the repository holds %d snapshots, none of this host: they are of %s", len(all), strings.Join(hosts(all), ", "))
		return
	}
	e.listed, e.Snapshots, e.NewestSnapshot, e.Size = true, len(ours), time.Time{}, 0
	if s, ok := newest(ours); ok {
		e.NewestSnapshot, e.Size = s.At, s.Size
	}
	e.trouble = ""
	e.source(fromSnapshots)
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
