package backup

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web/webtest"
)

// backrest answers as Backrest does; what is asked of it is noted.
type backrest struct {
	t      *testing.T
	asked  *[]string
	status int
	plans  string // the summary, instead of the sample
}

func (b backrest) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if b.asked != nil {
		*b.asked = append(*b.asked, r.Method+" "+r.URL.Path+" "+string(body))
	}
	if b.status != 0 {
		http.Error(w, "Unauthorized", b.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/GetSummaryDashboard") && b.plans != "":
		fmt.Fprint(w, b.plans)
	case strings.HasSuffix(r.URL.Path, "/GetSummaryDashboard"):
		_, _ = w.Write(sample(b.t, "backrest-summary-CONSTRUCTED.json"))
	case strings.HasSuffix(r.URL.Path, "/GetOperations"):
		_, _ = w.Write(sample(b.t, "backrest-operations-CONSTRUCTED.json"))
	default:
		b.t.Errorf("asked for %s", r.URL.Path)
	}
}

// withBackrest is a host on which only Backrest saves anything.
func withBackrest() fleet.State {
	st := on(fleet.Unit{}, fleet.Timer{})
	st.Units.Value = []fleet.Unit{{Name: "backrest.service", Load: "loaded", Active: "active", Sub: "running", Type: "simple"}}
	st.Timers.Value = nil
	return st
}

func serving(h http.Handler) *fakeLink {
	return &fakeLink{web: webtest.Link{Name: "storage", Web: map[string]http.Handler{"tcp 127.0.0.1:9898": h}}}
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestPlansOfBackrest(t *testing.T) {
	var asked []string
	st := withBackrest()
	f := Read(t.Context(), serving(backrest{t: t, asked: &asked}), st, noon, nil)
	jobs := byName(t, f)
	if len(jobs) != 6 {
		t.Fatalf("%d jobs: %+v", len(jobs), jobs)
	}
	for name, want := range map[string]struct {
		state fleet.BackupState
		says  string
	}{
		"photos":    {fleet.BackupFresh, ""},
		"documents": {fleet.BackupFailed, "unable to open repository"},
		"music":     {fleet.BackupFresh, "warnings"},
		"old":       {fleet.BackupStale, "its last good run was"},
		"stopped":   {fleet.BackupFailed, "cancelled"},
		"quiet":     {fleet.BackupUnknown, "no backup within the last 30 days"},
	} {
		j := jobs[name]
		if j.State != want.state || !strings.Contains(j.Error, want.says) || j.Tool != "backrest" || j.Unit != "" {
			t.Errorf("%s: %+v", name, j)
		}
	}
	if p := jobs["photos"]; !p.LastSuccess.Equal(noon.Add(-2*time.Hour+90*time.Second)) || !p.Next.Equal(noon.Add(22*time.Hour)) || p.Size != 5<<30 || p.MaxAge.Duration() != 48*time.Hour {
		t.Errorf("%+v", p)
	}
	if !jobs["music"].Running || jobs["photos"].Running {
		t.Errorf("what is at work: %+v", jobs["music"])
	}
	if text, _ := json.Marshal(jobs); strings.Contains(string(text), "hunter2") {
		t.Errorf("a password was kept: %s", text)
	}
	if len(asked) != 2 || !strings.Contains(asked[1], `"planId":"documents"`) {
		t.Errorf("asked %q", asked)
	}

	st.Backups = f // the probe comes round: nobody is asked, and nothing is forgotten
	for name, j := range byName(t, FromState(st, noon.Add(time.Minute), nil)) {
		if was := jobs[name]; j.State != was.State || j.Error != was.Error {
			t.Errorf("%s was %s %q, is %s %q", name, was.State, was.Error, j.State, j.Error)
		}
	}
	if later := byName(t, FromState(st, noon.Add(72*time.Hour), nil)); later["photos"].State != fleet.BackupStale {
		t.Errorf("three days on: %+v", later["photos"])
	}
	l := serving(backrest{t: t, plans: `{"planSummaries":[{"id":"photos","recentBackups":{}}],"configPath":"/x"}`})
	if jobs := byName(t, Read(t.Context(), l, st, noon, nil)); len(jobs) != 1 || jobs["photos"].State != fleet.BackupUnknown {
		t.Errorf("plans that are gone: %+v", jobs)
	}
	st.Units.Value = nil
	if f := FromState(st, noon, nil); !f.None {
		t.Errorf("without Backrest: %+v", f)
	}
}

// TestBackrestElsewhere: on a port of its own, with a password, without plans, gone.
func TestBackrestElsewhere(t *testing.T) {
	st := withBackrest()
	st.Listens = fleet.Known([]fleet.Listener{{Proto: "tcp", Port: 9899, Unit: "backrest.service"}}, noon, "ss")
	l := serving(nil)
	l.web.Web = map[string]http.Handler{"tcp 127.0.0.1:9899": backrest{t: t}}
	if jobs := byName(t, Read(t.Context(), l, st, noon, nil)); len(jobs) != 6 {
		t.Errorf("on another port: %+v", jobs)
	}
	st = withBackrest()
	for says, h := range map[string]http.Handler{
		"wants a password": backrest{t: t, status: 401},
		"has no plan":      backrest{t: t, plans: `{"configPath":"/x"}`},
		"something else":   backrest{t: t, plans: `{"version":"1"}`},
		"9898":             nil,
	} {
		l := serving(h)
		if h == nil {
			l.web.Web = nil
		}
		j := one(t, Read(t.Context(), l, st, noon, nil))
		if j.State != fleet.BackupUnknown || !strings.Contains(j.Error, says) {
			t.Errorf("%s: %+v", says, j)
		}
	}
	st.Backups = Read(t.Context(), serving(backrest{t: t}), st, noon, nil)
	for name, j := range byName(t, Read(t.Context(), serving(backrest{t: t, status: 401}), st, noon.Add(time.Hour), nil)) {
		if name == "photos" && (j.State != fleet.BackupFresh || !strings.Contains(j.Error, "wants a password")) {
			t.Errorf("what was known: %+v", j)
		}
	}
}

func TestBackupStatusKnowsPlansOfBackrest(t *testing.T) {
	st := withBackrest()
	st.Inventory = lab().Inventory
	l := serving(backrest{t: t})
	l.status = prints([]byte(`[{"name":"photos","kind":"restic","lastSnapshot":"2026-11-22T10:01:30Z","maxAgeHours":30,"ok":true,"error":null},
		{"name":"ovh","kind":"rustic","lastSnapshot":"2026-11-22T04:00:00Z","maxAgeHours":30,"ok":true,"error":null}]`))
	jobs := byName(t, Read(t.Context(), l, st, noon, nil))
	if p := jobs["photos"]; len(jobs) != 7 || p.MaxAge.Duration() != 30*time.Hour || p.NewestSnapshot.IsZero() || p.State != fleet.BackupFresh {
		t.Errorf("%d: %+v", len(jobs), p)
	}
}

func TestBadBackrest(t *testing.T) {
	webtest.Bad(t, backrestTime, func(l link.Link) error {
		_, _, err := readPlans(t.Context(), l, withBackrest())
		return err
	})
}

func FuzzParsePlans(f *testing.F) {
	f.Add(sample(f, "backrest-summary-CONSTRUCTED.json"))
	f.Add([]byte(`{"planSummaries":[{"id":"x","recentBackups":{"timestampMs":["1"],"durationMs":[9e99],"status":[""]}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		plans, err := ParsePlans(body)
		if err != nil && len(plans) > 0 {
			t.Errorf("plans and %v", err)
		}
		for _, p := range plans {
			if p.Name == "" || p.Name != fleet.Clean(p.Name) {
				t.Errorf("%q", p.Name)
			}
		}
	})
}
