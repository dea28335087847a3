package services

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web"
	"github.com/sextant-fleet/sextant/fleet/link/web/webtest"
)

// says answers paths with texts, as JSON where they look so.
type says map[string]string

func (s says) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, ok := s[r.URL.Path]
	switch {
	case !ok:
		http.NotFound(w, r)
		return
	case strings.HasPrefix(body, "{"), strings.HasPrefix(body, "["):
		w.Header().Set("Content-Type", "application/json")
	}
	fmt.Fprint(w, body)
}

func recorded(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// monitoring is a host with units that run, and who listens for them.
func monitoring(units ...string) fleet.State {
	st := fleet.State{Host: fleet.Host{ID: "n-storage", Name: "storage"}}
	list := []fleet.Unit{{Name: "prometheus-node-exporter.service", Active: "active"}}
	for _, u := range units {
		list = append(list, fleet.Unit{Name: u, Active: "active"})
	}
	st.Units = fleet.Known(list, time.Now(), "probe")
	return st
}

func TestMonitors(t *testing.T) {
	l := &webtest.Link{Name: "storage", Web: map[string]http.Handler{
		"tcp 127.0.0.1:9090": says{"/-/healthy": "Prometheus Server is Healthy.\n", "/api/v1/alerts": recorded(t, "prometheus-2.42-alerts.json"), "/api/v1/targets": recorded(t, "prometheus-2.42-targets.json")},
		"tcp 127.0.0.1:9193": says{"/-/healthy": "OK", "/api/v2/alerts": recorded(t, "alertmanager-0.25-alerts.json")},
	}}
	st := monitoring("prometheus.service", "prometheus-alertmanager.service")
	st.Listens = fleet.Known([]fleet.Listener{{Proto: "tcp", Port: 9094, Unit: "prometheus-alertmanager.service"}, {Proto: "tcp", Port: 9193, Unit: "prometheus-alertmanager.service"}}, time.Now(), "ss")
	got := Monitors(t.Context(), l, st, "")
	if !got.Current() || len(got.Value) != 2 {
		t.Fatalf("%+v", got)
	}
	p, a := got.Value[0], got.Value[1]
	if p.Err != "" || p.Targets != 2 || p.Down != 1 || len(p.Alarms) != 1 || a.Err != "" || a.Port != 9193 || len(a.Alarms) != 1 {
		t.Fatalf("%+v\n%+v", p, a)
	}
	want := fleet.Alarm{
		Name: "TargetDown", Status: "CRITICAL", Value: "0", Since: time.Date(2026, 11, 22, 19, 33, 33, 229807441, time.UTC), Info: "target down",
		Chart: "instance=127.0.0.1:29099,job=down", Labels: []string{"instance=127.0.0.1:29099", "job=down", "severity=critical"},
	}
	if fmt.Sprintf("%+v", p.Alarms[0]) != fmt.Sprintf("%+v", want) {
		t.Errorf("%+v\nwant %+v", p.Alarms[0], want)
	}
	if v := a.Alarms[0]; v.Silenced || v.Name != want.Name || v.URL != "http://vm:29090/graph?g0.expr=up+%3D%3D+0&g0.tab=1" || v.Since.IsZero() {
		t.Errorf("%+v", v)
	}
	st.Monitors, st.Host.Name = got, "storage"
	if rows := fleet.AlarmsOf([]fleet.State{st}); len(rows) != 1 || len(rows[0].Sources) != 2 {
		t.Errorf("the alert that both have: %+v", rows)
	}
	if none := Monitors(t.Context(), l, monitoring(), ""); !none.None {
		t.Errorf("a host with an exporter only: %+v", none)
	}
}

func TestSilencedAlertsAndHostileOnes(t *testing.T) {
	list := `[{"labels":{"alertname":"a\u001b[31mb","instance":"https://photos.example.org/x","severity":"page"},"annotations":{"description":"two\nlines\u202e"},"startsAt":"2026-11-22T19:33:33Z","generatorURL":"javascript:alert(1)","status":{"state":"suppressed","silencedBy":["x"]}},
		{"labels":{"severity":"none"},"annotations":{},"startsAt":"0001-01-01T00:00:00Z","status":{"state":"active","silencedBy":[]}}]`
	l := &webtest.Link{Name: "storage", Web: map[string]http.Handler{"tcp 127.0.0.1:9093": says{"/-/healthy": "OK", "/api/v2/alerts": list}}}
	got := Monitors(t.Context(), l, monitoring("alertmanager.service"), "").Value[0]
	if got.Err != "" || len(got.Alarms) != 2 {
		t.Fatalf("%+v", got)
	}
	a, b := got.Alarms[0], got.Alarms[1]
	if !a.Silenced || a.Status != "CRITICAL" || a.On != "photos.example.org" || a.URL != "" || strings.ContainsAny(a.Name+a.Info, "\x1b\n\u202e") {
		t.Errorf("%+v", a)
	}
	if b.Silenced || b.Status != "WARNING" || !b.Since.IsZero() || b.Name != "alert without a name" || b.On != "" {
		t.Errorf("%+v", b)
	}
}

func TestMachineOfAnAlert(t *testing.T) {
	for want, labels := range map[string]map[string]string{
		"web1":        {"instance": "web1:9100"},
		"web2":        {"host": "web2", "instance": "10.0.0.1:9100"},
		"10.0.0.7":    {"instance": "10.0.0.7:9100"},
		"fd00::7":     {"instance": "[fd00::7]:9100"},
		"a.example":   {"instance": "https://a.example:8443/health"},
		"db.internal": {"hostname": " ", "nodename": "db.internal"},
	} {
		if got := machine(labels); got != want {
			t.Errorf("%v: %q, want %q", labels, got, want)
		}
	}
	for _, own := range []map[string]string{nil, {"instance": "localhost:9090"}, {"instance": "127.0.0.1:9090"}, {"instance": "[::1]:9090"}, {"host": "localhost", "instance": "x:1"}} {
		if got := machine(own); got != "" {
			t.Errorf("%v: %q", own, got)
		}
	}
}

// grafanaWith is a Grafana that takes one token.
func grafanaWith(token string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/api/health":
			fmt.Fprint(w, `{"database":"ok","version":"12.3.1"}`)
		case r.Header.Get("Authorization") == "Bearer "+token:
			fmt.Fprint(w, `[{"labels":{"alertname":"Slow","grafana_folder":"home"},"annotations":{},"startsAt":"2026-11-22T19:33:33Z","status":{"state":"active","silencedBy":[]}}]`)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
}

func TestGrafanaWantsAToken(t *testing.T) {
	l := &webtest.Link{Name: "storage", Web: map[string]http.Handler{"tcp 127.0.0.1:3000": grafanaWith("right")}}
	ask := func(token string) fleet.Monitor {
		return Monitors(t.Context(), l, monitoring("grafana.service"), token).Value[0]
	}
	if m := ask(""); !m.None || m.Err == "" || m.Cure == "" || m.Version != "12.3.1" && m.Version != "" {
		t.Errorf("without one: %+v", m)
	}
	if m := ask("right"); m.Err != "" || len(m.Alarms) != 1 || m.Alarms[0].Name != "Slow" || m.Version != "12.3.1" {
		t.Errorf("with the right one: %+v", m)
	}
	if m := ask("wrong"); m.None || !strings.Contains(m.Err, "refuses the token") || strings.Contains(m.Err+m.Cure, "wrong") {
		t.Errorf("with a wrong one: %+v", m)
	}
}

// TestTheClockOfAMonitor: alarms are not told of one whose clock is not ours.
func TestTheClockOfAMonitor(t *testing.T) {
	for skew, bad := range map[time.Duration]bool{0: false, 4 * time.Minute: false, 5 * time.Hour: true, -50 * time.Hour: true} {
		h := says{"/-/healthy": "OK", "/api/v2/alerts": "[]"}
		l := &webtest.Link{Name: "storage", Web: map[string]http.Handler{"tcp 127.0.0.1:9093": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
			h.ServeHTTP(w, r)
		})}}
		m := Monitors(t.Context(), l, monitoring("alertmanager.service"), "").Value[0]
		if bad != (m.Err != "") || bad && (!strings.Contains(m.Err, "the clock of storage") || m.Cure == "") {
			t.Errorf("%s off: %+v", skew, m)
		}
	}
}

// TestBadMonitors: of what answers badly nothing is known, and why is said.
func TestBadMonitors(t *testing.T) {
	for _, unit := range []string{"prometheus.service", "alertmanager.service", "grafana.service"} {
		t.Run(unit, func(t *testing.T) {
			webtest.Bad(t, monitorTime, func(l link.Link) error {
				f := Monitors(t.Context(), l, monitoring(unit), "token")
				if len(f.Value) != 1 || len(f.Value[0].Alarms) > 0 {
					t.Errorf("%+v", f)
				}
				if f.Value[0].Err == "" {
					return nil
				}
				return errors.New(f.Value[0].Err)
			})
		})
	}
}

// TestBadAnswersOfAMonitor: what says that it is one and then answers badly, or with
// the wrong shape, is not taken for one without alarms.
func TestBadAnswersOfAMonitor(t *testing.T) {
	webtest.Bad(t, monitorLimits.Time, func(l link.Link) error {
		c := web.New(l, web.TCP(9093), monitorLimits)
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), monitorLimits.Time)
		defer cancel()
		return askManaged(ctx, asker{c, "storage", ""}, &fleet.Monitor{}, "/api/v2/alerts", nil)
	})
	for name, body := range map[string]string{
		"no data": `{"status":"success"}`, "an error": `{"status":"error","error":"x\u001b"}`, "no alerts": `{"status":"success","data":{}}`, "null": `{"status":"success","data":{"alerts":null}}`,
		"a list": `[]`, "a date": `{"status":"success","data":{"alerts":[{"state":"firing","activeAt":"yesterday"}]}}`,
	} {
		l := &webtest.Link{Name: "storage", Web: map[string]http.Handler{"tcp 127.0.0.1:9090": says{"/-/healthy": "Prometheus Server is Healthy.", "/api/v1/alerts": body, "/api/v1/targets": body}}}
		if m := Monitors(t.Context(), l, monitoring("prometheus.service"), "").Value[0]; m.Err == "" || strings.Contains(m.Err, "\x1b") {
			t.Errorf("%s: %+v", name, m)
		}
	}
	for name, body := range map[string]string{"an object": `{}`, "no status": `[{"labels":{}}]`, "no labels": `[{"status":{}}]`, "numbers": `[1]`} {
		l := &webtest.Link{Name: "storage", Web: map[string]http.Handler{"tcp 127.0.0.1:9093": says{"/-/healthy": "OK", "/api/v2/alerts": body}}}
		if m := Monitors(t.Context(), l, monitoring("alertmanager.service"), "").Value[0]; m.Err == "" {
			t.Errorf("%s: %+v", name, m)
		}
	}
}
