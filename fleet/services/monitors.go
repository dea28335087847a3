package services

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web"
)

// Bounds of asking monitoring servers.
const (
	monitorTime = 12 * time.Second
	maxRaised   = 500             // alarms of one of them
	maxLabels   = 40              // of each
	maxWatched  = 1000            // targets
	maxSkew     = 5 * time.Minute // of its clock to ours: since when something is wrong is told by it
)

var monitorLimits = web.Limits{Time: 5 * time.Second, Body: 4 << 20}

// monitorKinds are the monitoring servers that can be asked, but for Netdata.
var monitorKinds = []kind{
	{name: "prometheus", port: 9090, units: []string{"prometheus"}, images: []string{"prometheus"}, alarms: askPrometheus},
	{name: "alertmanager", port: 9093, not: []uint16{9094}, units: []string{"alertmanager", "prometheus-alertmanager"}, images: []string{"alertmanager"}, alarms: askAlertmanager},
	{name: "grafana", port: 3000, units: []string{"grafana", "grafana-server"}, images: []string{"grafana", "grafana-oss", "grafana-enterprise"}, alarms: askGrafana},
}

// HasMonitors tells whether a host has a monitoring server that can be asked, as far
// as its units and containers tell.
func HasMonitors(st fleet.State) bool { return len(find(st, monitorKinds)) > 0 }

// Monitors asks the monitoring servers of a host what they raise; who listens there
// should be known. Only a Grafana is shown the token; "" is none.
func Monitors(ctx context.Context, l link.Link, st fleet.State, token string) fleet.Fact[[]fleet.Monitor] {
	places := find(st, monitorKinds)
	if len(places) == 0 {
		return fleet.Nothing[[]fleet.Monitor]("no Prometheus, Alertmanager or Grafana was found", time.Now(), "probe")
	}
	ctx, cancel := context.WithTimeout(ctx, monitorTime)
	defer cancel()
	list := make([]fleet.Monitor, len(places))
	var wg sync.WaitGroup
	for i, p := range places {
		wg.Go(func() { list[i] = p.monitor(ctx, l, token) })
	}
	wg.Wait()
	return fleet.Known(list, time.Now(), "their APIs")
}

// monitor asks a monitoring server where it listens, at most at three places.
func (p place) monitor(ctx context.Context, l link.Link, token string) fleet.Monitor {
	m := fleet.Monitor{Kind: p.name, Unit: p.unit, Container: p.container, Alarms: []fleet.Alarm{}}
	ports := p.ports
	if len(ports) == 0 {
		if p.container != "" {
			m.Err, m.None = "its container publishes no port at which it could be asked", true
			return m
		}
		ports = []uint16{p.port}
	}
	var first error
	for _, port := range ports[:min(len(ports), 3)] {
		got := m
		c := web.New(l, web.TCP(int(port)), monitorLimits)
		got.Port, got.Address = port, fmt.Sprintf("127.0.0.1:%d", port)
		err := p.alarms(ctx, asker{c, l.Host().Name, token}, &got)
		c.Close()
		if err == nil {
			return got
		}
		if first == nil || errors.Is(first, web.ErrNone) {
			first, m.Port, m.Address, m.None = err, got.Port, got.Address, got.None
		}
	}
	m.Err, m.Cure = first.Error(), fleet.Cure(first)
	return m
}

// asker asks one monitoring server.
type asker struct {
	*web.Client
	host  string
	token string
}

// get asks for a path, and refuses an answer whose clock is not ours: since when
// something is wrong would be told by it.
func (a asker) get(ctx context.Context, path string, q url.Values, header map[string]string) (web.Answer, error) {
	got, err := a.Ask(ctx, web.Request{Path: path, Query: q, Header: header})
	if err != nil {
		return got, err
	}
	if err := got.Err(); err != nil {
		return got, err
	}
	switch skew := time.Until(got.Clock).Round(time.Minute); {
	case got.Clock.IsZero():
		return got, errors.New("it does not tell its time: since when its alarms are is unknown")
	case skew.Abs() > maxSkew:
		way := "ahead of"
		if skew < 0 {
			way = "behind"
		}
		return got, fleet.WithCure(fmt.Errorf("the clock of %s is %s %s ours: since when its alarms are is unknown", a.host, skew.Abs(), way),
			"set the clock of "+a.host+", or this machine's: timedatectl tells whether it is kept right")
	}
	return got, nil
}

// json asks for a path and reads its answer.
func (a asker) json(ctx context.Context, path string, q url.Values, header map[string]string, into any) error {
	got, err := a.get(ctx, path, q, header)
	if err != nil {
		return err
	}
	return got.JSON(into, path)
}

// wrapped is what Prometheus puts its answers into.
type wrapped[T any] struct {
	Status string `json:"status"`
	Data   *T     `json:"data"`
	Error  string `json:"error"`
}

func (e wrapped[T]) err(path string) error {
	if e.Status == "success" && e.Data != nil {
		return nil
	}
	return fmt.Errorf("%s: it does not say success: %s", path, cmp.Or(fleet.Short(fleet.Clean(e.Error), 120), "nothing"))
}

// askPrometheus reads what fires, and how many of its targets do not answer.
func askPrometheus(ctx context.Context, a asker, m *fleet.Monitor) error {
	if got, err := a.get(ctx, "/-/healthy", nil, nil); err != nil {
		return err
	} else if !strings.Contains(got.Text(100), "Prometheus") {
		return errors.New("/-/healthy does not say that it is Prometheus: what listens there may be something else")
	}
	var in wrapped[struct {
		Alerts []struct {
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
			State       string            `json:"state"`
			ActiveAt    time.Time         `json:"activeAt"`
			Value       string            `json:"value"`
		} `json:"alerts"`
	}]
	if err := a.json(ctx, "/api/v1/alerts", nil, nil, &in); err != nil {
		return err
	}
	if err := in.err("/api/v1/alerts"); err != nil {
		return err
	}
	if in.Data.Alerts == nil {
		return errors.New("/api/v1/alerts tells of none, nor that there are none")
	}
	for _, al := range in.Data.Alerts {
		if al.State == "firing" && len(m.Alarms) < maxRaised {
			alarm := alarmOf(al.Labels, al.Annotations, al.ActiveAt)
			alarm.Value = value(al.Value)
			m.Alarms = append(m.Alarms, alarm)
		}
	}
	var targets wrapped[struct {
		Active []struct {
			Health string            `json:"health"`
			Pool   string            `json:"scrapePool"`
			Labels map[string]string `json:"labels"`
		} `json:"activeTargets"`
	}]
	if err := a.json(ctx, "/api/v1/targets", url.Values{"state": {"active"}}, nil, &targets); err != nil {
		return err
	}
	if err := targets.err("/api/v1/targets"); err != nil {
		return err
	}
	for _, t := range targets.Data.Active {
		if m.Targets++; t.Health == "down" {
			m.Down++
		}
		if len(m.Watched) < maxWatched {
			m.Watched = append(m.Watched, fleet.Watch{
				Job: fleet.Short(fleet.Clean(cmp.Or(t.Labels["job"], t.Pool)), 80), Address: fleet.Short(fleet.Clean(t.Labels["instance"]), 200), Health: fleet.Short(fleet.Clean(t.Health), 20),
			})
		}
	}
	return nil
}

// value is a number as Prometheus writes it, as people do; "" where it is none.
func value(number string) string {
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || v != v || v > 1e300 || v < -1e300 {
		return ""
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// managed is an alert as an Alertmanager tells it, and Grafana after it.
type managed struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	Generator   string            `json:"generatorURL"`
	Status      *struct {
		State      string   `json:"state"`
		SilencedBy []string `json:"silencedBy"`
	} `json:"status"`
}

// askManaged reads the alerts of an Alertmanager, those that are silenced too.
func askManaged(ctx context.Context, a asker, m *fleet.Monitor, path string, header map[string]string) error {
	var in []managed
	if err := a.json(ctx, path, url.Values{"active": {"true"}, "silenced": {"true"}, "inhibited": {"false"}}, header, &in); err != nil {
		return err
	}
	if in == nil {
		return fmt.Errorf("%s tells of no alerts, nor that there are none", path)
	}
	for _, al := range in {
		if al.Status == nil || al.Labels == nil {
			return fmt.Errorf("%s tells of an alert without its state or labels: what listens there may be something else", path)
		}
		if len(m.Alarms) < maxRaised {
			alarm := alarmOf(al.Labels, al.Annotations, al.StartsAt)
			alarm.Silenced = len(al.Status.SilencedBy) > 0
			alarm.URL = fleet.WebLink(al.Generator)
			m.Alarms = append(m.Alarms, alarm)
		}
	}
	return nil
}

func askAlertmanager(ctx context.Context, a asker, m *fleet.Monitor) error {
	if got, err := a.get(ctx, "/-/healthy", nil, nil); err != nil {
		return err
	} else if got.Text(20) != "OK" {
		return errors.New("/-/healthy does not say OK: what listens there may be something else")
	}
	return askManaged(ctx, a, m, "/api/v2/alerts", nil)
}

// errNoToken is why Grafana tells nothing to who has none.
var errNoToken = fleet.WithCure(errors.New("it wants a token"),
	"make a service account with the role Viewer in Grafana and a token for it, and name that and this host in the configuration: [monitoring] grafana_host, grafana_token_file")

// askGrafana reads what Grafana's own Alertmanager raises.
func askGrafana(ctx context.Context, a asker, m *fleet.Monitor) error {
	var health struct {
		Database string `json:"database"`
		Version  string `json:"version"`
	}
	if err := a.json(ctx, "/api/health", nil, nil, &health); err != nil {
		return err
	}
	if health.Database == "" {
		return errors.New("/api/health does not tell of a database: what listens there may be something else")
	}
	m.Version = fleet.Short(fleet.Clean(health.Version), 40)
	var header map[string]string
	if a.token != "" {
		header = map[string]string{"Authorization": "Bearer " + a.token}
	}
	err := askManaged(ctx, a, m, "/api/alertmanager/grafana/api/v2/alerts", header)
	switch refused := errors.Is(err, web.ErrProtected) || errors.Is(err, web.ErrRedirect); {
	case refused && a.token == "":
		m.None = true // so it is every day
		return errNoToken
	case refused:
		return fleet.WithCure(errors.New("it refuses the token"), "is it of this Grafana, not over, and of an account that may read alerts (Viewer)?")
	}
	return err
}

// alarmOf makes an alarm of an alert's labels and annotations.
func alarmOf(labels, annotations map[string]string, since time.Time) fleet.Alarm {
	a := fleet.Alarm{Name: cmp.Or(text(labels["alertname"], 200), "alert without a name"), Status: "WARNING", On: machine(labels)}
	switch strings.ToLower(labels["severity"]) {
	case "critical", "page", "emergency", "fatal":
		a.Status = "CRITICAL"
	}
	for _, name := range []string{"summary", "description", "message"} {
		a.Info = cmp.Or(a.Info, text(annotations[name], 500))
	}
	if since.Year() > 1970 && since.Before(time.Now().Add(maxSkew)) {
		a.Since = since.UTC()
	}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if name != "alertname" && len(a.Labels) < maxLabels {
			a.Labels = append(a.Labels, text(name, 60)+"="+text(labels[name], 120))
		}
	}
	a.Chart = fleet.Short(strings.Join(slices.DeleteFunc(slices.Clone(a.Labels), func(l string) bool { return strings.HasPrefix(l, "severity=") }), ","), 200)
	return a
}

// text is what was told, fit for a screen.
func text(s string, n int) string { return fleet.Short(fleet.Clean(strings.TrimSpace(s)), n) }

// machine is the machine that an alert is of, by its labels: a name or an address,
// "" where it is the monitor's own or none is named.
func machine(labels map[string]string) string {
	for _, name := range []string{"host", "hostname", "nodename", "instance"} {
		at := strings.TrimSpace(labels[name])
		if u, err := url.Parse(at); err == nil && u.Host != "" {
			at = u.Hostname()
		} else if u, err := url.Parse("//" + at); err == nil && u.Hostname() != "" {
			at = u.Hostname()
		}
		at = text(at, 80)
		switch {
		case at == "":
		case at == "localhost", at == "::1", strings.HasPrefix(at, "127."):
			return ""
		default:
			return at
		}
	}
	return ""
}
