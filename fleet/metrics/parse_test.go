package metrics

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sextant-fleet/sextant/fleet"
)

const (
	galactica = "fb88924c-e6a9-11f1-9c21-02fc00000001"
	router    = "36779ef2-e6aa-11f1-8e7c-02fc00000001"
)

var near = cmpopts.EquateApprox(0.0001, 0)

func TestInfo(t *testing.T) {
	got, err := parseInfoV1(sample(t, "netdata-1.37-parent-info.json"))
	want := agent{version: "v1.37.1", api: 1, guid: galactica, nodes: []node{
		{guid: galactica, name: "galactica", online: true}, {guid: router, name: "router", online: true},
	}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(agent{}, node{})); err != nil || d != "" {
		t.Error(err, d)
	}
	got, err = parseInfoV3(sample(t, "netdata-2-info-CONSTRUCTED.json"))
	if d := cmp.Diff(agent{version: "v2.7.3", api: 3, guid: galactica}, got, cmp.AllowUnexported(agent{}, node{})); err != nil || d != "" {
		t.Error(err, d)
	}
	nodes, err := parseNodesV3(sample(t, "netdata-2-nodes-CONSTRUCTED.json"))
	if d := cmp.Diff([]node{{guid: galactica, name: "galactica", online: true}, {guid: router, name: "router", silent: true}}, nodes, cmp.AllowUnexported(node{})); err != nil || d != "" {
		t.Error(err, d)
	}
}

func TestInfoThatIsNoInfo(t *testing.T) {
	for _, bad := range []string{``, `null`, `{}`, `[]`, `"x"`, `{"version":"v1","uid":"../../etc"}`, `{"version":7}`, "\xff", `{"version":"v1","uid":"` + galactica} {
		if a, err := parseInfoV1([]byte(bad)); err == nil {
			t.Errorf("%q gave %+v", bad, a)
		}
		if a, err := parseInfoV3([]byte(bad)); err == nil {
			t.Errorf("%q gave %+v", bad, a)
		}
	}
	const hostile = `{"version":"v1\u001b[31m","uid":"` + galactica + `","mirrored_hosts_status":[
		{"guid":"x/../../api/v1/manage","hostname":"a","reachable":true},
		{"guid":"` + router + `","hostname":"b\u001b]0;x\u0007","reachable":true}]}`
	a, err := parseInfoV1([]byte(hostile))
	if err != nil || len(a.nodes) != 1 || a.nodes[0].name != "b" || strings.Contains(a.version, "\x1b") {
		t.Errorf("%+v %v", a, err)
	}
	if _, err := parseInfoV3([]byte(strings.Replace(string(sample(t, "netdata-2-info-CONSTRUCTED.json")), `"bearer_protection": false`, `"bearer_protection": true`, 1))); err == nil || !strings.Contains(err.Error(), "bearer") {
		t.Error(err)
	}
}

func TestRow(t *testing.T) {
	r, err := parseRow(sample(t, "netdata-1.37-row.json"))
	if err != nil {
		t.Fatal(err)
	}
	m := fleet.Metrics{CPU: -1, Cores: 2, Disks: []fleet.Disk{{Mount: "/"}}}
	r.overlay(&m)
	want := fleet.Metrics{}
	if err := json.Unmarshal(sample(t, "netdata-1.37-row.golden.json"), &want); err != nil {
		b, _ := json.MarshalIndent(m, "", "  ")
		t.Fatalf("%v; got\n%s", err, b)
	}
	if d := cmp.Diff(want, m, near); d != "" {
		t.Error(d)
	}
	if up, ok := r.uptime(); !ok || up < time.Minute {
		t.Error("uptime", up, ok)
	}
	if age, err := r.age(r.newest().Add(3 * time.Second)); err != nil || age != 3*time.Second {
		t.Error(age, err)
	}
}

func TestRowOfAChildCountsNeitherIdleNorWaiting(t *testing.T) {
	r, err := parseRow(sample(t, "netdata-1.37-parent-child-allmetrics.json"))
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := r.cpu(); !ok || math.Abs(v-0.4433) > 0.001 {
		t.Error(v, ok)
	}
}

func TestAgeOfARow(t *testing.T) {
	r := row{"system.cpu": {LastUpdated: 1000}}
	for name, clock := range map[string]time.Time{
		"too old": time.Unix(1061, 0), "future": time.Unix(900, 0), "no clock": {},
	} {
		if age, err := r.age(clock); err == nil {
			t.Errorf("%s: %s", name, age)
		}
	}
	if age, err := (row{"system.cpu": {LastUpdated: math.MaxInt64}}).age(time.Unix(1000, 0)); err == nil {
		t.Error(age)
	}
}

func TestNonsenseInARowChangesNothing(t *testing.T) {
	for name, body := range map[string]string{
		"nulls":           `{"system.cpu":{"dimensions":{"user":{"name":"user","value":null}}},"system.load":{"dimensions":{"load1":{"name":"load1","value":null}}}}`,
		"negative":        `{"system.cpu":{"dimensions":{"user":{"name":"user","value":-5}}},"system.load":{"dimensions":{"load1":{"name":"load1","value":-1}}}}`,
		"more than all":   `{"system.cpu":{"dimensions":{"user":{"name":"user","value":90},"system":{"name":"system","value":90}}}}`,
		"huge":            `{"system.ram":{"units":"MiB","dimensions":{"free":{"name":"free","value":1e300},"used":{"name":"used","value":1}}}}`,
		"more than there": `{"system.ram":{"units":"MiB","dimensions":{"free":{"name":"free","value":10},"used":{"name":"used","value":1}}},"mem.available":{"dimensions":{"MemAvailable":{"name":"avail","value":100}}}}`,
		"other units":     `{"system.ram":{"units":"GiB","dimensions":{"free":{"name":"free","value":10},"used":{"name":"used","value":1}}},"system.net":{"units":"Mbit","dimensions":{"received":{"name":"received","value":10}}}}`,
		"wrong signs":     `{"system.net":{"units":"kilobits/s","dimensions":{"received":{"name":"received","value":-10},"sent":{"name":"sent","value":5}}}}`,
		"no dimensions":   `{"system.cpu":{"dimensions":{}}}`,
		"pressure":        `{"system.cpu_some_pressure":{"dimensions":{"some 10":{"name":"some 10","value":500}}}}`,
		"swap":            `{"mem.swap":{"dimensions":{"free":{"name":"free","value":-1},"used":{"name":"used","value":1}}}}`,
	} {
		r, err := parseRow([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		before := fleet.Metrics{CPU: 0.25, Load1: 1, Memory: fleet.Memory{Used: 1, Total: 2}, NetIn: 3, NetOut: 4}
		m := before
		r.overlay(&m)
		if d := cmp.Diff(before, m); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	for _, bad := range []string{``, `{}`, `null`, `[]`, `{"a":7}`, `{"a":{"dimensions":[]}}`, `{"a":{"last_updated":"x"}}`, `{"system.cpu":{"dimensions":{"user":{"value":inf}}}}`} {
		if r, err := parseRow([]byte(bad)); err == nil {
			t.Errorf("%s gave %v", bad, r)
		}
	}
}

func TestAlarms(t *testing.T) {
	got, err := parseAlarmsV1(sample(t, "netdata-1.37-alarms-raised.json"))
	want := []fleet.Alarm{{
		Name: "system_clock_sync_state", Status: "WARNING", Value: "0 synchronization state", Since: time.Unix(1795375332, 0).UTC(),
		Info:  "when set to 0, the system kernel believes the system clock is not properly synchronized to a reliable server",
		Chart: "system.clock_sync_state",
	}}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Error(err, d)
	}
	got, err = parseAlarmsV1(sample(t, "netdata-1.37-alarms-all-excerpt.json"))
	if err != nil || got == nil || len(got) != 0 {
		t.Error("clear alarms are none", got, err)
	}
	got, err = parseAlarmsV3(sample(t, "netdata-2-alerts-CONSTRUCTED.json"), galactica)
	want = []fleet.Alarm{
		{Name: "btrfs_device_corruption_errors", Status: "CRITICAL", Value: "12 errors", Since: time.Unix(1795300000, 0).UTC(), Info: "BTRFS > device corruption errors", Chart: "btrfs_label.device_errors"},
		{Name: "disk_space_usage", Status: "WARNING", Value: "91.23%", Since: time.Unix(1795310000, 0).UTC(), Info: "space on /", Chart: "disk_space._"},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Error(err, d)
	}
	got, err = parseAlarmsV3(sample(t, "netdata-2-alerts-long-CONSTRUCTED.json"), galactica)
	want = []fleet.Alarm{{Name: "disk_space_usage", Status: "WARNING", Since: time.Unix(1795310000, 0).UTC(), Info: "space on /", Chart: "disk_space._"}}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Error(err, d)
	}
}

func TestAlarmsThatAreNotTold(t *testing.T) {
	for _, bad := range []string{``, `{}`, `null`, `{"status":true}`, `{"alarms":{}}`, `{"status":true,"alarms":[]}`, `{"status":"x","alarms":{}}`} {
		if got, err := parseAlarmsV1([]byte(bad)); err == nil || got != nil {
			t.Errorf("%s gave %v", bad, got)
		}
	}
	for _, bad := range []string{``, `{}`, `{"nodes":[]}`, `{"alert_instances":[]}`, `{"nodes":[],"alert_instances":{}}`} {
		if got, err := parseAlarmsV3([]byte(bad), galactica); err == nil || got != nil {
			t.Errorf("%s gave %v", bad, got)
		}
	}
	if _, err := parseAlarmsV1([]byte(`{"status":false,"alarms":{}}`)); !errors.Is(err, errSilent) {
		t.Error("health off:", err)
	}
	const hostile = `{"status":true,"alarms":{"x":{"name":"a&#27;[31mred\u202e","status":"CRITICAL","value":1e308,"units":"<b>\u0000","info":"&#x1b;]0;title&#7;text","last_status_change":-5}}}`
	got, err := parseAlarmsV1([]byte(hostile))
	if err != nil || len(got) != 1 || got[0].Name != "ared" || got[0].Info != "text" || !got[0].Since.IsZero() {
		t.Errorf("%+v %v", got, err)
	}
}

func TestData(t *testing.T) {
	table, err := parseData(sample(t, "netdata-1.37-data-cpu.json"))
	if err != nil || len(table.at) != 5 || !table.at[0].Equal(time.Unix(1795375356, 0)) || table.values["user"][0] != 46.86828 {
		t.Errorf("%+v %v", table, err)
	}
	table, err = parseData(sample(t, "netdata-2-data-system.cpu-CONSTRUCTED.json"))
	if err != nil || len(table.at) != 3 || table.values["user"][2] != 30 || !math.IsNaN(table.values["system"][1]) {
		t.Errorf("%+v %v", table, err)
	}
	for _, bad := range []string{``, `{}`, `{"labels":["time"],"data":[]}`, `{"labels":["time","a"],"data":[[1]]}`, `{"labels":["time","a"],"data":[["x",1]]}`,
		`{"labels":["time","a","a"],"data":[[1,1,1]]}`, `{"labels":["time","a"],"data":[[-1,1]]}`, `{"labels":["time","a"],"data":[[1e300,1]]}`} {
		if table, err := parseData([]byte(bad)); err == nil {
			t.Errorf("%s gave %+v", bad, table)
		}
	}
}

func TestSeriesOfCharts(t *testing.T) {
	charts := map[string]table{}
	for _, name := range []string{"system.cpu", "system.ram", "mem.available", "system.load", "system.net", "system.io"} {
		var err error
		if charts[name], err = parseData(sample(t, "netdata-1.37-data-"+name+".json")); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]fleet.Series{}
	for _, s := range compose(hostLines(nil), charts, "netdata v1") {
		got[s.Name] = s
		if len(s.Points) != 6 {
			t.Errorf("%s has %d points", s.Name, len(s.Points))
		}
		for i, p := range s.Points {
			if p.Value < 0 || i > 0 && !p.At.After(s.Points[i-1].At) {
				t.Errorf("%s: %+v", s.Name, s.Points)
			}
		}
	}
	if len(got) != 7 {
		t.Fatalf("%d series", len(got))
	}
	if v := got[seriesDiskWrite].Points[5].Value; math.Abs(v-14297.3668*1024) > 1 {
		t.Error("disk write", v)
	}
	if v := got[seriesMemory].Points[0].Value; v < 100*mib || v > 24106*mib {
		t.Error("memory", v)
	}
	if s := compose(hostLines(nil), map[string]table{}, ""); len(s) != 0 {
		t.Error(s)
	}
}

func TestFromProc(t *testing.T) {
	cur := fleet.Proc{
		Before: fleet.Counters{Uptime: 1000, CPUBusy: 1000, CPUTotal: 10000, NetIn: 1000},
		After:  fleet.Counters{Uptime: 1000.5, CPUBusy: 1050, CPUTotal: 10100, NetIn: 2000},
	}
	at := func(uptime fleet.Seconds, busy, total, in uint64) fleet.Proc {
		return fleet.Proc{After: fleet.Counters{Uptime: uptime, CPUBusy: busy, CPUTotal: total, NetIn: in}}
	}
	for _, c := range []struct {
		name      string
		prev, cur fleet.Proc
		cpu, in   float64
	}{
		{"the probe's own moment", fleet.Proc{}, cur, 0.5, 2000},
		{"since the reading before", at(990.5, 950, 9100, 0), cur, 0.1, 200},
		{"rebooted meanwhile", at(99999, 5, 10, 0), cur, 0.5, 2000},
		{"too long ago", at(100, 5, 10, 0), cur, 0.5, 2000},
		{"too short ago", at(1000.2, 1040, 10080, 0), cur, 0.5, 2000},
		{"an interface has gone", at(990.5, 950, 9100, 5000), cur, 0.1, 0},
		{"nothing was read", fleet.Proc{}, fleet.Proc{}, -1, 0},
		{"counters stand still", fleet.Proc{}, fleet.Proc{Before: cur.After, After: cur.After}, -1, 0},
		{"busier than all", fleet.Proc{}, fleet.Proc{Before: fleet.Counters{Uptime: 1, CPUTotal: 10}, After: fleet.Counters{Uptime: 2, CPUBusy: 50, CPUTotal: 20}}, -1, 0},
		{"no number", fleet.Proc{}, fleet.Proc{Before: fleet.Counters{Uptime: fleet.Seconds(math.NaN())}, After: fleet.Counters{Uptime: 5, NetIn: 7}}, -1, 0},
	} {
		m := FromProc(c.prev, c.cur)
		if math.Abs(m.CPU-c.cpu) > 1e-9 || math.Abs(m.NetIn-c.in) > 1e-6 {
			t.Errorf("%s: cpu %v in %v", c.name, m.CPU, m.NetIn)
		}
	}
	m := FromProc(fleet.Proc{}, fleet.Proc{Load: [3]float64{math.NaN(), -1, 2}, Memory: fleet.Memory{Used: 5, Total: 3}, Cores: -1})
	if m.Load1 != 0 || m.Load5 != 0 || m.Load15 != 2 || m.Memory.Total != 0 || m.Cores != 0 {
		t.Errorf("%+v", m)
	}
}

func TestTurn(t *testing.T) {
	p := parseTurn(sample(t, "proc-turn.txt"))
	want := fleet.Proc{
		After: fleet.Counters{Uptime: 2805.49, CPUBusy: 81706 + 73463 + 43934 + 726 + 1328, CPUTotal: 81706 + 73463 + 43934 + 1179697 + 1489 + 726 + 1328,
			NetIn: 1000, NetOut: 2000, DiskIn: 512 * 1000, DiskOut: 512 * 3000},
		Load: [3]float64{2.97, 2.6, 2.05}, Cores: 2,
		Memory: fleet.Memory{Used: (24683888 - 23950384) * 1024, Total: 24683888 * 1024}, Swap: fleet.Memory{},
	}
	if d := cmp.Diff(want, p); d != "" {
		t.Error(d)
	}
}
