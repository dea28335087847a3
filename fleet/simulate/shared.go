package simulate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// sharing is what a container has together with others.
type sharing struct {
	pod     string
	volumes []string
}

// spare is what is there and nobody uses.
type spare struct{ networks, volumes []string }

// share gives containers of the machine a pod, a network and volumes: databases
// keep their files in one, and some things are left of what was once there.
func (m *machine) share() {
	for _, b := range m.boxes {
		if strings.Contains(b.image, "postgres") || strings.Contains(b.image, "redis") || strings.Contains(b.image, "mongo") {
			b.volumes = append(b.volumes, b.name+"-data")
		}
		if app, part, ok := strings.Cut(b.name, "-"); ok && slices.Contains([]string{"immich", "nextcloud", "paperless", "romm"}, app) {
			b.network = app
			if app == "paperless" {
				b.pod = app
			}
			if part == "server" || part == "ml" {
				b.volumes = append(b.volumes, "immich-models")
			}
		}
	}
	if len(m.boxes) > 20 {
		m.spare = spare{networks: []string{"mealie"}, volumes: []string{"mealie-data", hexID(m.seed, 64, m.name, "volume")}}
	}
}

// pods are those of the containers, and one that is empty.
func (p *podman) pods(w http.ResponseWriter) {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	rows := []map[string]any{}
	for _, name := range p.names(func(b *box) []string { return []string{b.pod} }, nil) {
		infra := hexID(p.m.seed, 64, p.m.name, name, "infra")
		inside := []map[string]any{{"Id": infra, "Names": infra[:12] + "-infra", "Status": "running"}}
		for _, b := range p.boxes() {
			if b.pod == name && !b.gone {
				inside = append(inside, map[string]any{"Id": p.m.boxID(b), "Names": b.name, "Status": b.state})
			}
		}
		rows = append(rows, map[string]any{
			"Cgroup": "machine.slice", "Containers": inside, "Created": p.m.began.Add(-9 * day), "Id": hexID(p.m.seed, 64, p.m.name, name, "pod"),
			"InfraId": infra, "Name": name, "Namespace": "", "Networks": []string{name}, "Status": "Running", "Labels": map[string]string{},
		})
	}
	answer(w, rows)
}

// networks are Podman's own, those of the containers, and those that nobody uses.
func (p *podman) networks(w http.ResponseWriter) {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	rows := []map[string]any{}
	extra := []string{"podman"}
	if p.of == nil {
		extra = append(extra, p.m.spare.networks...)
	}
	for i, name := range p.names(func(b *box) []string { return []string{b.network} }, extra) {
		rows = append(rows, map[string]any{
			"name": name, "id": hexID(p.m.seed, 64, p.m.name, name, "net"), "driver": "bridge", "network_interface": fmt.Sprint("podman", i), "created": p.m.began.Add(-30 * day),
			"subnets": []map[string]string{{"subnet": fmt.Sprintf("10.%d.0.0/16", 88+i), "gateway": fmt.Sprintf("10.%d.0.1", 88+i)}}, "ipv6_enabled": false,
			"internal": false, "dns_enabled": name != "podman", "ipam_options": map[string]string{"driver": "host-local"},
		})
	}
	answer(w, rows)
}

// volumes are those that containers mount, and those that nobody does.
func (p *podman) volumes(w http.ResponseWriter, r *http.Request) {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	var spare []string
	if p.of == nil {
		spare = p.m.spare.volumes
	}
	names := p.names(func(b *box) []string { return b.volumes }, spare)
	if strings.Contains(r.URL.Query().Get("filters"), "dangling") {
		names = slices.Clone(spare)
	}
	rows := []map[string]any{}
	for _, name := range names {
		rows = append(rows, map[string]any{
			"Name": name, "Driver": "local", "Mountpoint": "/var/lib/containers/storage/volumes/" + name + "/_data", "CreatedAt": p.m.began.Add(-40 * day).Format(time.RFC3339Nano),
			"Labels": map[string]string{}, "Scope": "local", "Options": map[string]string{}, "Anonymous": len(name) == 64, "MountCount": 0, "NeedsCopyUp": true, "LockNumber": 3,
		})
	}
	answer(w, rows)
}

// names are what the containers name, and more, each once and in order.
func (p *podman) names(of func(*box) []string, more []string) []string {
	names := slices.Clone(more)
	for _, b := range p.boxes() {
		if !b.gone {
			names = append(names, of(b)...)
		}
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == "" })
	slices.Sort(names)
	return slices.Compact(names)
}

// boxFilter are the filters of GET /containers/json that are understood.
type boxFilter struct{ ID, Volume []string }

func filterOf(r *http.Request) boxFilter {
	var w boxFilter
	_ = json.Unmarshal([]byte(r.URL.Query().Get("filters")), &w)
	return w
}

// has tells whether a container passes the filters.
func (w boxFilter) has(m *machine, b *box) bool {
	return (len(w.ID) == 0 || slices.Contains(w.ID, m.boxID(b))) &&
		(len(w.Volume) == 0 || slices.ContainsFunc(w.Volume, func(v string) bool { return slices.Contains(b.volumes, v) }))
}
