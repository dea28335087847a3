package simulate

import (
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

const netdataPort = 19999

// netdata answers Netdata's API v1, as version 1.37 does, for the host it
// runs on and for those that stream to it.
type netdata struct {
	h *host
	m *machine
}

// ServeHTTP answers one call.
func (n *netdata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := n.h.f.now()
	w.Header().Set("Server", "NetData Embedded HTTP Server v1.37.1")
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	p, m := r.URL.Path, n.m
	if rest, ok := strings.CutPrefix(p, "/host/"); ok {
		name, api, _ := strings.Cut(rest, "/")
		if m = n.child(name); m == nil {
			plain(w, http.StatusNotFound, "This netdata does not maintain a database for host: "+name)
			return
		}
		p = "/" + api
	}
	switch call, ok := strings.CutPrefix(p, "/api/v1/"); {
	case strings.HasPrefix(p, "/api/v") && !ok:
		plain(w, http.StatusNotFound, "Unsupported API version: "+strings.Split(p, "/")[2])
	case call == "info":
		n.info(w, m)
	case call == "alarms":
		alarms(w, m, now)
	case call == "allmetrics":
		allmetrics(w, m, r.URL.Query().Get("filter"), now)
	case call == "data":
		data(w, r, m, now)
	case call == "charts", call == "contexts":
		charts(w, m, now)
	default:
		plain(w, http.StatusNotFound, "File does not exist, or is not accessible: "+p)
	}
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// child is the machine whose metrics are here under a name or a guid.
func (n *netdata) child(name string) *machine {
	for _, c := range n.m.children {
		h := n.h.f.byName[c]
		if h != nil && (c == name || guid(h) == name) {
			return h.machine()
		}
	}
	return nil
}

func guid(h *host) string {
	id := hexID(h.f.opts.Seed, 32, h.role.name, "netdata")
	return id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
}

func (n *netdata) info(w http.ResponseWriter, m *machine) {
	type mirror struct {
		GUID      string  `json:"guid"`
		Hostname  string  `json:"hostname"`
		Reachable bool    `json:"reachable"`
		Hops      int     `json:"hops"`
		Claim     *string `json:"claim_id"`
		Node      *string `json:"node_id"`
	}
	var names []string
	var states []mirror
	for _, c := range n.m.children {
		h := n.h.f.byName[c]
		if h == nil {
			continue
		}
		hops := 1
		if c == n.m.name {
			hops = 0
		}
		names = append(names, c)
		states = append(states, mirror{GUID: guid(h), Hostname: c, Reachable: h.role.away == 0, Hops: hops})
	}
	warning, critical := 0, 0
	for _, a := range m.alarms {
		if a.status == "CRITICAL" {
			critical++
		} else {
			warning++
		}
	}
	answer(w, map[string]any{
		"version": "v1.37.1", "uid": guid(n.h), "mirrored_hosts": names, "mirrored_hosts_status": states,
		"alarms": map[string]int{"normal": 78, "warning": warning, "critical": critical}, "os_name": "NixOS", "os_id": "nixos", "kernel_name": "Linux",
		"kernel_version": m.kernel(), "architecture": m.arch, "cores_total": strconv.Itoa(m.cores), "ram_total": strconv.FormatUint(m.memory, 10),
		"host_labels": map[string]string{"_is_parent": strconv.FormatBool(len(m.children) > 1)}, "collectors": []any{},
	})
}

// alarms sends those that are raised. Texts are HTML-escaped, as Netdata does.
func alarms(w http.ResponseWriter, m *machine, now time.Time) {
	rows := map[string]any{}
	for i, a := range m.alarms {
		rows[a.chart+"."+a.name] = map[string]any{
			"id": 1000 + i, "name": a.name, "chart": a.chart, "family": a.chart, "class": "Utilization", "component": "System", "type": "System", "active": true,
			"disabled": false, "silenced": false, "recipient": "sysadmin", "units": "%", "info": strings.ReplaceAll(a.info, "/", "&#x2F;"),
			"status": a.status, "last_status_change": m.began.Add(-a.age).Unix(), "last_updated": now.Unix(), "update_every": 10,
			"value_string": a.value, "value": number(a.value),
		}
	}
	answer(w, map[string]any{"hostname": m.name, "latest_alarm_log_unique_id": 1, "status": true, "now": now.Unix(), "alarms": rows})
}

func number(text string) float64 {
	v, _ := strconv.ParseFloat(strings.TrimRight(text, "%"), 64)
	return v
}

// chart is one of Netdata's charts: dimensions that are functions of time.
type chart struct {
	id, context, units, family string
	hidden                     int // so many of the first dimensions are not in data
	dims                       []dim
}

// dim is a dimension. Netdata also gives it an ID, which is only another for
// few; names are those.
type dim struct {
	id, name string
	at       func(time.Time) float64
}

// charts of a machine: those that people look at.
func (m *machine) charts() []chart {
	cpu := func(part float64) func(time.Time) float64 {
		return func(t time.Time) float64 { return 100 * part * m.busy.at(t) }
	}
	ram := func(of func(used, total float64) float64) func(time.Time) float64 {
		return func(t time.Time) float64 {
			total := float64(m.memory) / mib
			return of(m.used.at(t)*total, total)
		}
	}
	load := func(back time.Duration) func(time.Time) float64 {
		return func(t time.Time) float64 { return m.busy.at(t.Add(-back)) * float64(m.cores) }
	}
	per := func(v wave, factor float64) func(time.Time) float64 {
		return func(t time.Time) float64 { return v.at(t) * factor }
	}
	same := func(name string, at func(time.Time) float64) dim { return dim{name, name, at} }
	pressure := func(kind string, part float64) chart {
		id := "system." + kind + "_some_pressure"
		return chart{id, id, "percentage", kind, 0, []dim{same("some 10", cpu(part)), same("some 60", cpu(part*0.9)), same("some 300", cpu(part*0.8))}}
	}
	network := []dim{{"InOctets", "received", per(m.netIn, 8./1000)}, {"OutOctets", "sent", per(m.netOut, -8./1000)}}
	list := []chart{
		{"system.cpu", "system.cpu", "percentage", "cpu", 1, []dim{same("idle", func(t time.Time) float64 { return 100 * (1 - m.busy.at(t)) }),
			same("guest_nice", cpu(0)), same("guest", cpu(0)), same("steal", cpu(0)), same("softirq", cpu(0.02)), same("irq", cpu(0)),
			same("user", cpu(0.68)), same("system", cpu(0.27)), same("nice", cpu(0)), same("iowait", cpu(0.03))}},
		{"system.load", "system.load", "load", "load", 0, []dim{same("load1", load(0)), same("load5", load(2*time.Minute)), same("load15", load(7*time.Minute))}},
		{"system.ram", "system.ram", "MiB", "ram", 0, []dim{same("free", ram(func(u, t float64) float64 { return (t - u) * 0.3 })), same("used", ram(func(u, _ float64) float64 { return u })),
			same("cached", ram(func(u, t float64) float64 { return (t - u) * 0.65 })), same("buffers", ram(func(u, t float64) float64 { return (t - u) * 0.05 }))}},
		{"mem.available", "mem.available", "MiB", "system", 0, []dim{{"MemAvailable", "avail", ram(func(u, t float64) float64 { return t - u })}}},
		{"system.net", "system.net", "kilobits/s", "network", 0, network},
		{"net.enp1s0", "net.net", "kilobits/s", "enp1s0", 0, network},
		{"system.io", "system.io", "KiB/s", "disk", 0, []dim{same("in", per(m.diskIn, 1./kib)), same("out", per(m.diskOut, -1./kib))}},
		{"system.uptime", "system.uptime", "seconds", "uptime", 0, []dim{same("uptime", func(t time.Time) float64 { return t.Sub(m.boot()).Seconds() })}},
		pressure("cpu", 0.18), pressure("memory", 0.006), pressure("io", 0.05),
	}
	if m.swap > 0 {
		swap := func(of func(float64) float64) func(time.Time) float64 {
			return func(t time.Time) float64 { return of(m.swapUsed(t)) * float64(m.swap) / mib }
		}
		list = append(list, chart{"system.swap", "system.swap", "MiB", "swap", 0,
			[]dim{same("free", swap(func(u float64) float64 { return 1 - u })), same("used", swap(func(u float64) float64 { return u }))}})
	}
	for _, d := range m.disks {
		list = append(list, m.space(d))
	}
	if m.temp.base > 0 {
		list = append(list, chart{"sensors.coretemp-isa-0000_temperature", "sensors.temperature", "Celsius", "coretemp", 0, []dim{{"temp1", "Package id 0", per(m.temp, 1)}}})
	}
	return append(list, m.groups()...)
}

// filling is how much fuller a disk gets in a day.
const filling = 0.004

// space is how full a disk is: it was emptier before.
func (m *machine) space(d disk) chart {
	used := func(t time.Time) float64 { return d.full * (1 - filling*max(0, m.began.Sub(t).Hours())/24) }
	gb := func(part func(time.Time) float64) func(time.Time) float64 {
		return func(t time.Time) float64 { return float64(d.size) * part(t) / gib }
	}
	return chart{"disk_space." + strings.ReplaceAll(d.mount, "/", "_"), "disk.space", "GiB", d.mount, 0, []dim{
		{"avail", "avail", gb(func(t time.Time) float64 { return 1 - used(t) })}, {"used", "used", gb(used)},
		{"reserved_for_root", "reserved for root", gb(func(time.Time) float64 { return 0 })},
	}}
}

// groups are the control groups of the containers, by the names that Podman gives.
func (m *machine) groups() []chart {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []chart
	for _, b := range m.boxes {
		if b.gone || b.state != "running" {
			continue
		}
		id := "cgroup_" + b.name
		list = append(list,
			chart{id + ".cpu", "cgroup.cpu", "percentage", "cpu", 0, []dim{
				{"user", "user", func(t time.Time) float64 { return 70 * b.cpu.at(t) }}, {"system", "system", func(t time.Time) float64 { return 30 * b.cpu.at(t) }},
			}},
			chart{id + ".mem_usage", "cgroup.mem_usage", "MiB", "mem", 0, []dim{{"ram", "ram", func(t time.Time) float64 { return b.mem.at(t) / mib }}, {"swap", "swap", func(time.Time) float64 { return 0 }}}})
	}
	return list
}

// wanted tells whether a chart fits Netdata's pattern: words, the first that
// fits decides, "!" in front says no.
func wanted(id, patterns string) bool {
	if patterns == "" {
		return true
	}
	for _, p := range strings.Fields(patterns) {
		want, no := strings.CutPrefix(p, "!")
		if ok, err := path.Match(want, id); err == nil && ok {
			return !no
		}
	}
	return false
}

func allmetrics(w http.ResponseWriter, m *machine, filter string, now time.Time) {
	rows := map[string]any{}
	for _, c := range m.charts() {
		if !wanted(c.id, filter) {
			continue
		}
		dims := map[string]any{}
		for _, d := range c.dims {
			dims[d.id] = map[string]any{"name": d.name, "value": d.at(now)}
		}
		rows[c.id] = map[string]any{"name": c.id, "family": c.family, "context": c.context, "units": c.units, "last_updated": now.Unix(), "dimensions": dims}
	}
	answer(w, rows)
}

func charts(w http.ResponseWriter, m *machine, now time.Time) {
	rows := map[string]any{}
	for _, c := range m.charts() {
		rows[c.id] = map[string]any{
			"id": c.id, "name": c.id, "context": c.context, "units": c.units, "family": c.family, "title": c.id, "update_every": 1,
			"first_entry": now.Add(-history).Unix(), "last_entry": now.Unix(),
		}
	}
	answer(w, map[string]any{"hostname": m.name, "version": "v1.37.1", "update_every": 1, "history": int(history.Seconds()), "charts": rows, "contexts": rows})
}

// history is how long Netdata remembers.
const history = 8 * day

// data sends one chart's values, newest first.
func data(w http.ResponseWriter, r *http.Request, m *machine, now time.Time) {
	q := r.URL.Query()
	all := m.charts()
	i := slices.IndexFunc(all, func(c chart) bool {
		return c.id == q.Get("chart") || q.Get("chart") == "" && c.context == q.Get("context")
	})
	if i < 0 {
		plain(w, http.StatusNotFound, "No metrics where matched to query.")
		return
	}
	c := all[i]
	dims := c.dims[c.hidden:]
	from, to := span(q.Get("after"), now.Add(-10*time.Minute), now), span(q.Get("before"), now, now)
	points, _ := strconv.Atoi(q.Get("points"))
	seconds := max(1, int(to.Sub(from).Seconds()))
	if points <= 0 || points > seconds {
		points = seconds
	}
	step := time.Duration(seconds/points) * time.Second
	labels := []string{"time"}
	for _, d := range dims {
		labels = append(labels, d.name)
	}
	rows := make([][]float64, 0, points)
	for at := to.Truncate(step); len(rows) < points; at = at.Add(-step) {
		row := []float64{float64(at.Unix())}
		for _, d := range dims {
			row = append(row, d.mean(at.Add(-step), at))
		}
		rows = append(rows, row)
	}
	result := map[string]any{"labels": labels, "data": rows}
	if strings.Contains(q.Get("options"), "jsonwrap") {
		answer(w, map[string]any{
			"api": 1, "id": c.id, "name": c.id, "view_update_every": int(step.Seconds()), "update_every": 1, "first_entry": now.Add(-history).Unix(),
			"last_entry": now.Unix(), "dimension_names": labels[1:], "dimension_ids": labels[1:], "latest_values": rows[0][1:], "points": points,
			"dimensions": len(dims), "format": "json", "result": result,
		})
		return
	}
	answer(w, result)
}

// mean is what a dimension was between two times, about.
func (d dim) mean(from, to time.Time) float64 {
	const looks = 6
	sum := 0.0
	for i := range looks {
		sum += d.at(to.Add(-to.Sub(from) * time.Duration(i) / looks))
	}
	return sum / looks
}

// span reads a time of a query: epoch seconds, or negative: seconds before now.
func span(text string, usual, now time.Time) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || n == 0:
		return usual
	case n < 0:
		return later(now.Add(time.Duration(n)*time.Second), now.Add(-history))
	}
	return later(time.Unix(n, 0), now.Add(-history))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
