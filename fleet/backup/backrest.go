package backup

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web"
)

// Backrest plans restic's backups by itself: what became of them it alone tells, by
// Connect's JSON on its port. It is asked for nothing that holds a credential, which
// its configuration does.
const (
	backrestTool = "backrest"
	backrestPort = 9898 // unless its unit listens elsewhere
	backrestTime = 10 * time.Second
	backrestBody = 4 << 20
	backrestBack = 30 // days, of which it tells
	backrestLast = 50 // operations of a plan, among which the one that failed is looked for
	backrestWhy  = 5  // plans of which the reason of a failure is asked
)

// Plan is a plan of Backrest with its runs of the last 30 days, newest first
// (SummaryDashboardResponse.Summary in Backrest's proto/v1/service.proto). Dry runs
// are not told from others.
type Plan struct {
	Name string
	Runs []PlanRun
	Next time.Time // zero: none is planned
	Size uint64    // bytes of the newest good backup; 0: older versions do not tell it
}

// PlanRun is one run of a plan.
type PlanRun struct {
	Began, Ended time.Time
	Status       string // of Backrest's OperationStatus, without "STATUS_"
}

// ParsePlans reads what Backrest answers for its summary.
func ParsePlans(body []byte) ([]Plan, error) {
	var in *struct {
		Config string `json:"configPath"`
		Plans  []struct {
			ID     string      `json:"id"`
			Next   json.Number `json:"nextBackupTimeMs"`
			Size   json.Number `json:"protectedBytes"`
			Recent struct {
				At     []json.Number `json:"timestampMs"`
				Took   []json.Number `json:"durationMs"`
				Status []string      `json:"status"`
			} `json:"recentBackups"`
		} `json:"planSummaries"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, web.Unreadable("its summary", err)
	}
	if in == nil || in.Config == "" && in.Plans == nil {
		return nil, errors.New("answers with something else than Backrest's summary")
	}
	list := []Plan{}
	for _, p := range in.Plans[:min(len(in.Plans), maxJobs)] {
		plan := Plan{Name: fleet.Short(fleet.Clean(p.ID), 100), Next: milliseconds(p.Next)}
		if n, err := p.Size.Int64(); err == nil && n > 0 {
			plan.Size = uint64(n)
		}
		r := p.Recent
		if len(r.At) != len(r.Status) || len(r.Took) != len(r.At) {
			return nil, fmt.Errorf("its summary cannot be read: %d runs of a plan with %d ends", len(r.At), len(r.Status))
		}
		for i := range r.At {
			began, took := milliseconds(r.At[i]), milliseconds(r.Took[i])
			if began.IsZero() {
				return nil, errors.New("its summary cannot be read: a run without a time")
			}
			run := PlanRun{Began: began, Ended: began, Status: r.Status[i][min(len("STATUS_"), len(r.Status[i])):]}
			if !took.IsZero() {
				run.Ended = began.Add(time.Duration(took.UnixMilli()) * time.Millisecond)
			}
			plan.Runs = append(plan.Runs, run)
		}
		slices.SortFunc(plan.Runs, func(a, b PlanRun) int { return b.Began.Compare(a.Began) })
		if plan.Name != "" {
			list = append(list, plan)
		}
	}
	return list, nil
}

// milliseconds is a time in them since 1970; zero where there is none, or none that
// a backup may have.
func milliseconds(n json.Number) time.Time {
	ms, err := n.Int64()
	if err != nil || ms <= 0 || ms > time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// readPlans asks the Backrest of a host for its plans, and for the reasons of runs
// that failed, by the plan's name.
func readPlans(ctx context.Context, l link.Link, st fleet.State) ([]Plan, map[string]string, error) {
	port := backrestPort
	for _, o := range st.ListensOf(backrestTool+".service", "") {
		if o.Proto == "tcp" {
			port = int(o.Port)
		}
	}
	c := web.New(l, web.TCP(port), web.Limits{Time: backrestTime, Body: backrestBody})
	defer c.Close()
	a, err := call(ctx, c, "GetSummaryDashboard", struct{}{})
	if err != nil {
		return nil, nil, fmt.Errorf("backrest: %w", err)
	}
	plans, err := ParsePlans(a.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("backrest: %w", err)
	}
	why := map[string]string{}
	for _, p := range plans {
		if ended, ok := p.last(); ok && ended.Status == "ERROR" && len(why) < backrestWhy {
			why[p.Name] = reasonOf(ctx, c, p.Name, ended)
		}
	}
	return plans, why, nil
}

// call calls a method of Backrest.
func call(ctx context.Context, c *web.Client, method string, args any) (web.Answer, error) {
	body, err := json.Marshal(args)
	if err != nil {
		return web.Answer{}, err
	}
	a, err := c.Ask(ctx, web.Request{Method: http.MethodPost, Path: "/v1.Backrest/" + method, Type: "application/json", Body: body})
	if err != nil {
		return web.Answer{}, err
	}
	if a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden {
		return a, errors.New("it wants a password, which Sextant neither has nor reads: what became of its plans is not known (backup-status on the host can tell of them)")
	}
	return a, cmp.Or(a.Err(), a.CalledJSON())
}

// reasonOf is what Backrest says of a run that failed; "" where it says nothing.
func reasonOf(ctx context.Context, c *web.Client, plan string, run PlanRun) string {
	a, err := call(ctx, c, "GetOperations", map[string]any{"selector": map[string]string{"planId": plan}, "lastN": fmt.Sprint(backrestLast)})
	if err != nil {
		return ""
	}
	var in struct {
		Operations []struct {
			Began  json.Number `json:"unixTimeStartMs"`
			Says   string      `json:"displayMessage"`
			Backup *struct{}   `json:"operationBackup"`
		} `json:"operations"`
	}
	if json.Unmarshal(a.Body, &in) != nil {
		return ""
	}
	for _, o := range in.Operations {
		if o.Backup != nil && milliseconds(o.Began).Equal(run.Began) {
			return say(o.Says)
		}
	}
	return ""
}

// last is the newest run that has ended.
func (p Plan) last() (PlanRun, bool) {
	i := slices.IndexFunc(p.Runs, func(r PlanRun) bool { return r.Status != "INPROGRESS" })
	if i < 0 {
		return PlanRun{}, false
	}
	return p.Runs[i], true
}

// tellPlans joins the plans of Backrest with the jobs: each is one that no unit runs.
// Plans that it no longer tells are gone.
func tellPlans(jobs []evidence, plans []Plan, why map[string]string, limits Limits) []evidence {
	jobs = slices.DeleteFunc(jobs, func(e evidence) bool { return e.has(fromBackrest) })
	for _, p := range plans {
		e := evidence{BackupJob: fleet.BackupJob{Name: p.Name, Tool: backrestTool, Next: p.Next, Size: p.Size}, asked: true}
		e.plan(p, why[p.Name])
		limit, own := limits.of(p.Name, "", fleet.Timer{Last: e.LastRun, Next: p.Next})
		e.own, e.MaxAge = own, fleet.Seconds(limit.Seconds())
		jobs = append(jobs, e)
	}
	return jobs
}

// plan takes in the runs of a plan: how the newest ended, and when the last was good.
func (e *evidence) plan(p Plan, why string) {
	e.source(fromBackrest)
	last, ended := p.last()
	e.Running = len(p.Runs) > 0 && p.Runs[0].Status == "INPROGRESS"
	if !ended {
		e.trouble = fmt.Sprintf("Backrest tells of no backup within the last %d days", backrestBack)
		return
	}
	e.ran(last.Ended)
	switch last.Status {
	case "SUCCESS":
	case "WARNING":
		e.trouble = "its last run ended with warnings: not all may have been read"
	case "ERROR":
		e.failed = cmp.Or(why, "its last run failed; Backrest does not say why")
	case "USER_CANCELLED", "SYSTEM_CANCELLED":
		e.failed = "its last run was cancelled"
	default:
		e.lost = true
	}
	for _, r := range p.Runs {
		if r.Status == "SUCCESS" || r.Status == "WARNING" {
			e.LastSuccess = r.Ended
			return
		}
	}
}

// withoutDaemons drops what runs all the time where its plans are told one by one.
func withoutDaemons(jobs []evidence) []evidence {
	told := func(source string) bool {
		return slices.ContainsFunc(jobs, func(e evidence) bool { return e.Unit == "" && e.has(source) })
	}
	status, backrest := told(fromStatus), told(fromBackrest)
	return slices.DeleteFunc(jobs, func(e evidence) bool {
		return e.daemon && e.failed == "" && (status || backrest && e.Tool == backrestTool)
	})
}
