package simulate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Ports of monitoring servers.
const (
	prometheusPort   = 9090
	alertmanagerPort = 9093
)

// alert is what the Prometheus of the world raises; its Alertmanager has it too.
type alert struct {
	name, severity, instance, summary, value string
	age                                      time.Duration
	silenced                                 bool
}

var alerts = []alert{
	{"HostDown", "critical", "laptop:9100", "laptop does not answer its exporter", "0e+00", 41 * time.Hour, false},
	{"DiskWillFillIn4Days", "warning", "cottage:9100", "/mnt/storage on cottage will be full in 3.6 days", "3.6", 5 * time.Hour, false},
	{"CertificateEndsSoon", "warning", "cloud:9100", "the certificate of ntfy.fleet.example ends in 5 days", "4.9", 26 * time.Hour, true},
	{"PrinterOffline", "warning", "printer.lan:9116", "the printer does not answer SNMP", "0e+00", 3 * day, false},
}

// monitoring gives the monitoring server at a port of the host; nil: there is none.
func (m *machine) monitoring(port uint32) service {
	switch {
	case port == prometheusPort && m.unitRuns("prometheus.service"):
		return http.HandlerFunc(m.prometheus)
	case port == alertmanagerPort && m.unitRuns("alertmanager.service"):
		return http.HandlerFunc(m.alertmanager)
	}
	return nil
}

// labels and annotations of an alert.
func (a alert) labels() map[string]string {
	return map[string]string{"alertname": a.name, "severity": a.severity, "instance": a.instance, "job": "node"}
}

func (a alert) annotations() map[string]string { return map[string]string{"summary": a.summary} }

// targets are what the Prometheus of this world asks; the first two do not answer.
var targets = []string{
	"laptop:9100", "cloud:2586", "storage:9100", "cloud:9100", "router:9100", "r2s:9100", "desktop:9100", "vault:9100", "cottage:9100", "raspi3:9100",
	"cloud:9091", "https://vault.fleet.example/alive", "https://photos.fleet.example", "storage:3000",
}

// prometheus answers as Prometheus 2.42 does.
func (m *machine) prometheus(w http.ResponseWriter, r *http.Request) {
	var list []object
	switch r.URL.Path {
	case "/-/healthy":
		fmt.Fprintln(w, "Prometheus Server is Healthy.")
		return
	case "/api/v1/alerts":
		for _, a := range alerts {
			list = append(list, object{"labels": a.labels(), "annotations": a.annotations(), "state": "firing", "activeAt": m.began.Add(-a.age).UTC(), "value": a.value})
		}
		list = append(list, object{"labels": object{"alertname": "LoadIsHigh", "instance": "storage:9100"}, "annotations": object{}, "state": "pending", "activeAt": m.began.UTC(), "value": "1e+00"})
		answer(w, object{"status": "success", "data": object{"alerts": list}})
	case "/api/v1/targets":
		for i, address := range targets {
			health, job := "up", "node"
			if i < 2 {
				health = "down"
			}
			if !strings.HasSuffix(address, ":9100") {
				job = "services"
			}
			list = append(list, object{"health": health, "scrapePool": job, "labels": object{"job": job, "instance": address}})
		}
		answer(w, object{"status": "success", "data": object{"activeTargets": list}})
	default:
		http.NotFound(w, r)
	}
}

// alertmanager answers as Alertmanager 0.25 does.
func (m *machine) alertmanager(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/-/healthy":
		fmt.Fprint(w, "OK")
	case "/api/v2/alerts":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(m.managed())
	default:
		http.NotFound(w, r)
	}
}

func (m *machine) managed() []object {
	list := []object{}
	for i, a := range alerts {
		state, by := "active", []string{}
		if a.silenced {
			state, by = "suppressed", []string{"8c2f"}
		}
		list = append(list, object{
			"labels": a.labels(), "annotations": a.annotations(), "startsAt": m.began.Add(-a.age).UTC(), "endsAt": m.began.Add(day).UTC(), "fingerprint": fmt.Sprint(i),
			"generatorURL": "http://" + m.name + ":9090/graph?g0.tab=1", "status": object{"state": state, "silencedBy": by, "inhibitedBy": []string{}}, "receivers": []object{{"name": "ntfy"}},
		})
	}
	return list
}

// grafana answers as Grafana 12 does: its alerts only to who has a token.
func grafana(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/api/health":
		fmt.Fprint(w, `{"database":"ok","version":"12.3.1","commit":"0"}`)
	case "/api/alertmanager/grafana/api/v2/alerts":
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"message":"Unauthorized","messageId":"auth.unauthorized","statusCode":401}`)
	default:
		http.NotFound(w, r)
	}
}
