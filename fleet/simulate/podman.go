package simulate

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	podmanSocket  = "/run/podman/podman.sock"
	podmanVersion = "5.8.2"
)

// service is something on a host that answers over HTTP.
type service = http.Handler

// podman answers Podman's REST API of version 5.
type podman struct {
	h  *host
	m  *machine
	of *person // whose it is; nil: root's
}

// podman tells whether the machine has it.
func (m *machine) podman() bool { return slices.Contains(m.programs, "podman") }

var apiPath = regexp.MustCompile(`^(?:/v[0-9.]+)?(?:/libpod)?(/.*)$`)

// ServeHTTP answers one call.
func (p *podman) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "Libpod/"+podmanVersion+" (linux)")
	w.Header().Set("Libpod-Api-Version", podmanVersion)
	w.Header().Set("Api-Version", "1.41")
	path := r.URL.Path
	if m := apiPath.FindStringSubmatch(path); m != nil {
		path = m[1]
	}
	switch part := strings.Split(strings.Trim(path, "/"), "/"); {
	case path == "/_ping":
		_, _ = io.WriteString(w, "OK")
	case path == "/version":
		p.version(w)
	case path == "/info":
		p.info(w)
	case path == "/containers/json":
		p.list(w, r)
	case path == "/containers/stats":
		p.stats(w, r)
	case path == "/images/json":
		p.images(w)
	case path == "/images/pull" && r.Method == http.MethodPost:
		p.pull(w, r)
	case path == "/system/df":
		p.diskUse(w)
	case part[0] == "images" && len(part) == 2:
		p.imageDo(w, r, part[1], "")
	case part[0] == "images" && len(part) == 3:
		p.imageDo(w, r, part[1], part[2])
	case path == "/pods/json":
		p.pods(w)
	case path == "/networks/json":
		p.networks(w)
	case path == "/volumes/json":
		p.volumes(w, r)
	case path == "/events":
		p.events(w, r)
	case len(part) == 3 && part[0] == "exec":
		p.session(w, r, part[1], part[2])
	case len(part) == 3 && part[0] == "containers":
		p.container(w, r, part[1], part[2])
	default:
		refuse(w, http.StatusNotFound, "page not found")
	}
}

// answer sends JSON.
func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// refuse sends Podman's error.
func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"cause": why, "message": why, "response": status})
}

func (p *podman) now() time.Time { return p.h.f.now() }

func (p *podman) version(w http.ResponseWriter) {
	answer(w, map[string]any{
		"Version": podmanVersion, "ApiVersion": "1.41", "MinAPIVersion": "1.24", "Os": "linux", "Arch": goArch(p.m.arch),
		"Components": []any{map[string]any{"Name": "Podman Engine", "Version": podmanVersion,
			"Details": map[string]string{"APIVersion": podmanVersion, "MinAPIVersion": "4.0.0", "Os": "linux"}}},
	})
}

func goArch(arch string) string {
	if arch == "aarch64" {
		return "arm64"
	}
	return "amd64"
}

func (p *podman) info(w http.ResponseWriter) {
	p.m.mu.Lock()
	count := len(p.boxes())
	p.m.mu.Unlock()
	answer(w, map[string]any{
		"host": map[string]any{
			"arch": goArch(p.m.arch), "os": "linux", "hostname": p.m.name, "cpus": p.m.cores, "memTotal": p.m.memory, "cgroupVersion": "v2",
			"kernel": p.m.kernel(), "distribution": map[string]string{"distribution": "nixos", "version": "26.05"},
			"remoteSocket": map[string]any{"path": "unix://" + podmanSocket, "exists": true},
		},
		"store":   map[string]any{"graphDriverName": "overlay", "containerStore": map[string]int{"number": count, "running": count}},
		"version": map[string]any{"APIVersion": podmanVersion, "Version": podmanVersion},
	})
}

// never is Podman's time that did not come.
const never = -62135596800

// listed is a container of GET /containers/json.
type listed struct {
	AutoRemove bool
	Command    []string
	Created    time.Time
	CreatedAt  string
	Exited     bool
	ExitedAt   int64
	ExitCode   int
	ID         string `json:"Id"`
	Image      string
	ImageID    string
	IsInfra    bool
	Labels     map[string]string
	Mounts     []string
	Names      []string
	Namespaces map[string]string
	Networks   []string
	Pid        int
	Pod        string
	PodName    string
	Ports      []map[string]any
	Restarts   int
	Size       *int
	StartedAt  int64
	State      string
	Status     string
}

func (p *podman) list(w http.ResponseWriter, r *http.Request) {
	all := r.URL.Query().Get("all") == "true"
	only := filterOf(r)
	p.m.mu.Lock()
	rows := make([]listed, 0, len(p.boxes()))
	for _, b := range p.boxes() {
		if !b.gone && (all || b.state == "running") && only.has(p.m, b) {
			rows = append(rows, p.m.listed(b))
		}
	}
	p.m.mu.Unlock()
	answer(w, rows)
}

func (m *machine) listed(b *box) listed {
	l := listed{
		AutoRemove: true, Command: []string{"/init"}, Created: b.made, ExitedAt: never, ID: m.boxID(b), Image: b.image, ImageID: m.boxImage(b),
		Labels: map[string]string{"org.opencontainers.image.title": b.name}, Mounts: []string{"/config"}, Names: []string{b.name},
		Namespaces: map[string]string{}, Networks: []string{b.network}, PodName: b.pod, Pid: 2000 + int(dice(m.seed, b.name)%30000), Restarts: b.restarts,
		StartedAt: b.made.Unix(), State: b.state, Status: b.health,
	}
	if b.unit != "" {
		l.Labels["PODMAN_SYSTEMD_UNIT"] = b.unit
	}
	for _, port := range b.ports {
		l.Ports = append(l.Ports, map[string]any{"host_ip": "", "container_port": port.inside, "host_port": port.host, "range": 1, "protocol": port.proto})
	}
	if b.state != "running" {
		l.Exited, l.ExitedAt, l.ExitCode, l.Pid, l.Status = true, b.made.Add(time.Minute).Unix(), b.exit, 0, ""
	}
	return l
}

// container answers what is asked of one container, or does to it what is told.
func (p *podman) container(w http.ResponseWriter, r *http.Request, ref, what string) {
	ref, _ = url.PathUnescape(ref)
	p.m.mu.Lock()
	b := p.m.find(p.boxes(), ref)
	if b == nil {
		p.m.mu.Unlock()
		refuse(w, http.StatusNotFound, "no container with name or ID \""+ref+"\" found: no such container")
		return
	}
	if what == "logs" {
		p.m.mu.Unlock()
		p.logs(w, r, b)
		return
	}
	defer p.m.mu.Unlock()
	switch {
	case what == "json":
		answer(w, p.inspect(b))
	case what == "top":
		p.top(w, b)
	case r.Method == http.MethodPost && what == "exec":
		p.prepare(w, r, b)
	case r.Method == http.MethodPost && slices.Contains([]string{"start", "stop", "restart"}, what):
		if u := p.m.unit(b.unit); u != nil {
			if what == "stop" { // systemd starts it again: Restart=always
				what = "restart"
			}
			p.m.turn(u, what, p.now())
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, http.StatusNotFound, "page not found")
	}
}

// logs sends the container's journal in Podman's frames: the stream, three
// zeros, the length, and a line that begins with its time.
func (p *podman) logs(w http.ResponseWriter, r *http.Request, b *box) {
	q := r.URL.Query()
	from := query{m: p.m, lines: 1000, hostile: p.h.misbehaves().Hostile}
	p.m.mu.Lock()
	from.since = b.made
	if u := p.m.unit(b.unit); u != nil {
		from.sources = []*source{newSource(p.m, u)}
	}
	p.m.mu.Unlock()
	if n, err := strconv.Atoi(q.Get("tail")); err == nil {
		from.lines = n
	}
	if t, err := time.Parse(time.RFC3339Nano, q.Get("since")); err == nil && t.After(from.since) {
		from.since = t
	}
	frame := func(e entry) bool {
		if e.ofUnit {
			return true
		}
		stream := byte(1)
		if e.priority < 6 {
			stream = 2
		}
		text := e.at.UTC().Format(time.RFC3339Nano) + " " + e.text + "\n"
		head := binary.BigEndian.AppendUint32([]byte{stream, 0, 0, 0}, uint32(len(text)))
		_, err := w.Write(append(head, text...))
		return err == nil
	}
	now := p.now()
	for _, e := range from.back(now) {
		if !frame(e) {
			return
		}
	}
	for q.Get("follow") == "true" {
		_ = http.NewResponseController(w).Flush()
		e := from.after(now)
		select {
		case <-time.After(max(10*time.Millisecond, e.at.Sub(p.now()))):
		case <-r.Context().Done():
			return
		}
		if now = e.at; !frame(e) {
			return
		}
	}
}

// podmanProgram plays `podman system dial-stdio`, the one that is needed.
func podmanProgram(c Call) int {
	words, flags := c.split("--url")
	if len(words) < 2 || words[0] != "system" || words[1] != "dial-stdio" {
		fmt.Fprintln(c.Stderr, "Error: this host does not exist (sextant demo): ask its socket")
		return 125
	}
	if !c.Root {
		fmt.Fprintln(c.Stderr, "Error: unable to connect to Podman socket: dial unix "+podmanSocket+": connect: permission denied")
		return 125
	}
	socket := cmp.Or(strings.TrimPrefix(flags["--url"], "unix://"), podmanSocket)
	p := c.machine().listening(c.h, socket)
	if p == nil {
		fmt.Fprintln(c.Stderr, "Error: unable to connect to Podman socket: dial unix "+socket+": connect: no such file or directory")
		return 125
	}
	near, far := newHalves()
	if c.h.f.enter(far, p) != nil {
		return 125
	}
	go func() {
		_, _ = io.Copy(near, c.Stdin)
		_ = near.CloseWrite()
	}()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-c.Context.Done():
			near.Close()
		case <-stop:
		}
	}()
	_, _ = io.Copy(c.Stdout, near)
	near.Close()
	return 0
}
