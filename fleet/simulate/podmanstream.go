package simulate

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// event is something that happened to a container, as GET /events tells it.
type event struct {
	Type   string
	Action string
	Actor  actor
	ID     string `json:"id"`
	Status string `json:"status"`
	Time   int64  `json:"time"`
	Nano   int64  `json:"timeNano"`
	Health string `json:"HealthStatus,omitempty"`
}

type actor struct {
	ID         string
	Attributes map[string]string
}

// vanish takes a container away, as --rm does when it ends.
func (m *machine) vanish(b *box, now time.Time) {
	if b.gone {
		return
	}
	m.tell(b, "died", now)
	m.tell(b, "remove", now)
	b.gone = true
}

// appear makes a container anew.
func (m *machine) appear(b *box, now time.Time) {
	b.gone, b.state, b.exit, b.made = false, "running", 0, now
	b.round++
	b.imageID = m.named(b)
	if b.health != "" {
		b.health = "starting"
		if b.round > 0 { // its check passes at once: nothing really starts
			b.health = "healthy"
		}
	}
	m.tell(b, "create", now)
	m.tell(b, "start", now)
}

// tell tells everyone who listens. m.mu is held.
func (m *machine) tell(b *box, action string, now time.Time) {
	e := event{
		Type: "container", Action: action, Status: action, ID: m.boxID(b), Time: now.Unix(), Nano: now.UnixNano(),
		Actor: actor{ID: m.boxID(b), Attributes: map[string]string{"name": b.name, "image": b.image, "PODMAN_SYSTEMD_UNIT": b.unit}},
	}
	for _, ch := range m.heard {
		select {
		case ch <- e:
		default: // it reads too slowly
		}
	}
}

// events sends what happens to containers, one JSON object a line, and the
// health checks that run all the time.
func (p *podman) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	_ = flush.Flush()
	if r.URL.Query().Get("stream") == "false" {
		return
	}
	ch := make(chan event, 64)
	p.m.mu.Lock()
	p.m.heard = append(p.m.heard, ch)
	p.m.mu.Unlock()
	defer func() {
		p.m.mu.Lock()
		defer p.m.mu.Unlock()
		p.m.heard = slices.DeleteFunc(p.m.heard, func(c chan event) bool { return c == ch })
	}()
	checks := time.NewTicker(30 * time.Second)
	defer checks.Stop()
	out := json.NewEncoder(w)
	for {
		select {
		case e := <-ch:
			if out.Encode(e) != nil {
				return
			}
		case <-checks.C:
			p.checked(out)
		case <-r.Context().Done():
			return
		}
		_ = flush.Flush()
	}
}

// checked tells of one health check of each container that has one.
func (p *podman) checked(out *json.Encoder) {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	now := p.now()
	for _, b := range p.boxes() {
		if b.health != "" && !b.gone {
			_ = out.Encode(event{
				Type: "container", Action: "health_status", Status: "health_status", ID: p.m.boxID(b), Health: b.health, Time: now.Unix(), Nano: now.UnixNano(),
				Actor: actor{ID: p.m.boxID(b), Attributes: map[string]string{"name": b.name, "image": b.image}},
			})
		}
	}
}

// measured is a container in a report of GET /containers/stats.
type measured struct {
	ContainerID string
	Name        string
	CPU         float64
	CPUNano     uint64
	SystemNano  uint64
	AvgCPU      float64
	MemUsage    uint64
	MemLimit    uint64
	MemPerc     float64
	Network     map[string]map[string]uint64
	BlockInput  uint64
	BlockOutput uint64
	PIDs        uint64
	UpTime      uint64
}

// stats sends a report of the wanted containers every few seconds.
func (p *podman) stats(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	every := 5 * time.Second
	if n, err := strconv.Atoi(q.Get("interval")); err == nil && n > 0 {
		every = time.Duration(n) * time.Second
	}
	w.Header().Set("Content-Type", "application/json")
	out, flush := json.NewEncoder(w), http.NewResponseController(w)
	for {
		rows, gone := p.measure(q["containers"])
		if gone != "" {
			_ = out.Encode(map[string]any{"Error": map[string]string{"message": "no such container " + gone}, "Stats": nil})
			return
		}
		if out.Encode(map[string]any{"Error": nil, "Stats": rows}) != nil || flush.Flush() != nil || q.Get("stream") == "false" {
			return
		}
		select {
		case <-time.After(every):
		case <-r.Context().Done():
			return
		}
	}
}

// measure reads the named containers, or all that run; gone is one that is not there.
func (p *podman) measure(ids []string) (rows []measured, gone string) {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	now := p.now()
	if len(ids) == 0 {
		for _, b := range p.boxes() {
			if !b.gone && b.state == "running" {
				ids = append(ids, b.name)
			}
		}
	}
	rows = []measured{}
	for _, id := range ids {
		b := p.m.find(p.boxes(), id)
		if b == nil {
			return nil, id
		}
		rows = append(rows, p.m.measured(b, now))
	}
	return rows, ""
}

func (m *machine) measured(b *box, now time.Time) measured {
	limit := b.limit
	if limit == 0 {
		limit = m.memory
	}
	up, mem := now.Sub(b.made), max(mib, b.mem.at(now))
	net := max(0, up.Seconds()) * (200 + 90000*b.cpu.base)
	return measured{
		ContainerID: m.boxID(b), Name: b.name, CPU: 100 * b.cpu.at(now), CPUNano: uint64(max(0, b.cpu.sum(b.made, now)) * 1e9), SystemNano: uint64(now.UnixNano()),
		AvgCPU: 100 * b.cpu.base, MemUsage: uint64(mem), MemLimit: limit, MemPerc: 100 * mem / float64(limit),
		Network:    map[string]map[string]uint64{"eth0": {"RxBytes": uint64(net), "TxBytes": uint64(net / 3)}},
		BlockInput: uint64(net / 7), BlockOutput: uint64(net / 2), PIDs: 3 + dice(m.seed, b.name)%40, UpTime: uint64(max(0, up)),
	}
}
