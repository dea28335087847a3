package tuitest

import (
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Monitoring adds to a host a Prometheus with its Alertmanager that watch the fleet,
// and a Grafana that wants a token.
func Monitoring(st fleet.State) fleet.State {
	alert := func(name, on, info string, age time.Duration, more ...string) fleet.Alarm {
		return fleet.Alarm{
			Name: name, Status: "WARNING", On: on, Info: info, Since: ago(age), Value: "0", Chart: "instance=" + on + ":9100,job=node",
			Labels: append([]string{"instance=" + on + ":9100", "job=node"}, more...),
		}
	}
	down := alert("HostDown", "laptop", "laptop does not answer its exporter", 19*time.Hour, "severity=critical")
	down.Status = "CRITICAL"
	same := down
	same.URL, same.Value = "https://prometheus.example.org/graph?g0.tab=1", ""
	quiet := alert("CertificateEndsSoon", "storage", "the certificate of git.example.org ends in 5 days", 26*time.Hour)
	quiet.Silenced = true
	st.Monitors = fleet.Known([]fleet.Monitor{
		{Kind: "prometheus", Unit: "prometheus.service", Address: "127.0.0.1:9090", Port: 9090, Targets: 14, Down: 2, Alarms: []fleet.Alarm{down, alert("PrinterOffline", "printer.lan", "the printer does not answer SNMP", 3*day)}},
		{Kind: "alertmanager", Unit: "alertmanager.service", Address: "127.0.0.1:9093", Port: 9093, Alarms: []fleet.Alarm{same, quiet}},
		{Kind: "grafana", Container: "grafana", Address: "127.0.0.1:3000", Port: 3000, Err: "it wants a token", Cure: "name one in the configuration", None: true},
	}, ago(40*time.Second), "their APIs")
	return st
}
