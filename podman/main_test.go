package podman

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files anew")

// fixture reads a recorded answer.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// golden compares a value, as JSON, with a file.
func golden(t *testing.T, name string, value any) {
	t.Helper()
	got, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs from its golden file (-update writes it):\n%s", name, got)
	}
}

// host is a link to a host whose sockets are served by this process.
type host struct {
	t       testing.TB
	reach   fleet.Reach
	sockets map[string]http.Handler // by path; missing: refused
	closed  map[string]bool         // the login user may not open it
	noRoot  bool
	typing  time.Duration   // how long a person types a password
	mute    map[string]bool // takes connections and says nothing
	kill    func(signal string)

	mu    sync.Mutex
	dials []string // every Dial and DialCommand, in order
	conns sync.WaitGroup
	life  context.Context
	over  bool
}

// newHost makes a host reached as root, without sockets.
func newHost(t testing.TB) *host {
	h := &host{
		t: t, reach: fleet.Reach{State: fleet.Up, User: "root", Root: "root"},
		sockets: map[string]http.Handler{}, closed: map[string]bool{}, mute: map[string]bool{},
	}
	life, end := context.WithCancel(context.Background())
	h.life = life
	t.Cleanup(func() {
		h.mu.Lock()
		h.over = true
		h.mu.Unlock()
		end()
		h.conns.Wait()
	})
	return h
}

func (h *host) engines() *Engines {
	e := New(h)
	h.t.Cleanup(func() { e.Close() })
	return e
}

func (h *host) Host() fleet.Host { return fleet.Host{Name: "storage"} }

func (h *host) Connect(context.Context) (fleet.Reach, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reach, nil
}

func (h *host) log(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dials = append(h.dials, what)
}

// dialled is what was dialled so far.
func (h *host) dialled() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.dials...)
}

func (h *host) socket(path string) http.Handler {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sockets[path]
}

// listen puts somebody, or nobody, behind a socket.
func (h *host) listen(path string, who http.Handler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sockets[path] = who
}

func (h *host) Dial(_ context.Context, network, address string) (net.Conn, error) {
	h.log("dial " + address)
	if h.closed[address] || h.socket(address) == nil && !h.mute[address] {
		return nil, fmt.Errorf("%w: %s on storage: open failed", link.ErrForbidden, address)
	}
	return h.serve(address), nil
}

// DialCommand plays `podman --url unix://PATH system dial-stdio`.
func (h *host) DialCommand(ctx context.Context, cmd link.Command) (net.Conn, error) {
	what := strings.Join(cmd.Args, " ")
	if cmd.Args[0] == "sh" {
		what = "lend " + strings.Join(cmd.Args[4:], " ")
	}
	h.log(what + " as " + cmd.User)
	if h.noRoot && cmd.Root {
		return nil, fmt.Errorf("%w on storage: ada may not", link.ErrNoRoot)
	}
	if cmd.Root && h.typing > 0 {
		select {
		case <-time.After(h.typing):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if cmd.User != "" && cmd.Args[0] == "sh" { // a Podman that is lent
		if h.noRoot && cmd.User != h.reach.User {
			return nil, fmt.Errorf("%w on storage: ada may not", link.ErrNoRoot)
		}
		return h.serve("lent by " + cmd.User), nil
	}
	if len(cmd.Args) != 5 || cmd.Args[3] != "system" || cmd.Args[4] != "dial-stdio" {
		return nil, fmt.Errorf("no such command: %q", cmd.Args)
	}
	path := strings.TrimPrefix(cmd.Args[2], "unix://")
	if h.socket(path) == nil {
		c, s := net.Pipe()
		s.Close()
		return failing{c}, nil
	}
	return h.serve(path), nil
}

// failing is a command that ended with an error.
type failing struct{ net.Conn }

func (failing) Read([]byte) (int, error) {
	return 0, errors.New("podman ended with status 125: no such file or directory")
}
func (failing) Write(b []byte) (int, error) { return len(b), nil }

func (h *host) Run(_ context.Context, cmd link.Command) (link.Result, error) {
	if cmd.Args[0] == "kill" && h.kill != nil {
		h.log(strings.Join(cmd.Args, " "))
		h.kill(cmd.Args[2])
		return link.Result{}, nil
	}
	return link.Result{}, errors.New("not here")
}

func (h *host) Start(context.Context, link.Command) (link.Process, error) {
	return nil, errors.New("not here")
}
func (h *host) Shell(link.Command) (fleet.Session, error) { return nil, errors.New("not here") }
func (h *host) Close() error                              { return nil }

// serve speaks HTTP on one new connection.
func (h *host) serve(path string) net.Conn {
	client, server := halves()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		server.Close()
		return client
	}
	h.conns.Go(func() {
		defer server.Close()
		stop := context.AfterFunc(h.life, func() { server.Close() })
		defer stop()
		if h.mute[path] {
			buf := make([]byte, 512)
			for {
				if _, err := server.Read(buf); err != nil {
					return
				}
			}
		}
		answer(h.life, server, h.socket(path))
	})
	return client
}

// half is one end of a connection whose two directions end by themselves.
type half struct {
	net.Conn          // to read from
	to       net.Conn // to write to
}

// halves gives both ends of one.
func halves() (a, b *half) {
	ar, bw := net.Pipe()
	br, aw := net.Pipe()
	return &half{ar, aw}, &half{br, bw}
}

func (h *half) Write(b []byte) (int, error) { return h.to.Write(b) }
func (h *half) CloseWrite() error           { return h.to.Close() }
func (h *half) Close() error {
	h.to.Close()
	return h.Conn.Close()
}
func (h *half) SetDeadline(t time.Time) error {
	h.to.SetWriteDeadline(t)
	return h.SetReadDeadline(t)
}
func (h *half) SetWriteDeadline(t time.Time) error { return h.to.SetWriteDeadline(t) }

// answer serves one connection with net/http, which wants a listener.
func answer(ctx context.Context, c net.Conn, handler http.Handler) {
	l := &once{conn: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conn <- &closing{Conn: c, gone: l.done}
	srv := &http.Server{Handler: handler, BaseContext: func(net.Listener) context.Context { return ctx }}
	_ = srv.Serve(l)
}

// once is a listener of one connection, that ends when it does.
type once struct {
	conn chan net.Conn
	done chan struct{}
}

func (o *once) Accept() (net.Conn, error) {
	select {
	case c := <-o.conn:
		return c, nil
	case <-o.done:
		return nil, net.ErrClosed
	}
}
func (o *once) Close() error   { return nil }
func (o *once) Addr() net.Addr { return &net.UnixAddr{Name: "test", Net: "unix"} }

type closing struct {
	net.Conn
	gone chan struct{}
	once sync.Once
}

func (c *closing) Close() error {
	c.once.Do(func() { close(c.gone) })
	return c.Conn.Close()
}

// podmanServer answers like Podman, with recorded answers.
type podmanServer struct {
	version    string
	containers []byte
	images     []byte
	logs       []byte
	info       string
	stream     chan string                                                    // lines of /events
	stats      chan string                                                    // lines of /containers/stats
	more       func(w http.ResponseWriter, r *http.Request, path string) bool // is asked first; may be nil

	run *runner // what runs in its containers; nil: nothing does

	mu     sync.Mutex
	asked  []string       // paths with queries
	counts map[string]int // restarts, by ID, as inspect tells them
}

func newPodman(t testing.TB, version string) *podmanServer {
	return &podmanServer{
		version: version, containers: fixture(t, "podman-"+version+"-containers.json"),
		images: fixture(t, "podman-"+version+"-images.json"), logs: fixture(t, "podman-"+version+"-logs.bin"),
		info: `{"host":{"memTotal":25276502016}}`, stream: make(chan string), stats: make(chan string),
	}
}

func (p *podmanServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.URL.RequestURI())
	containers, events := p.containers, p.stream
	p.mu.Unlock()
	w.Header().Set("Server", "Libpod/"+p.version+" (linux)")
	path := strings.TrimPrefix(r.URL.Path, "/v5.8.6/libpod")
	switch {
	case p.more != nil && p.more(w, r, path):
	case path == "/_ping":
		w.Write([]byte("OK"))
	case path == "/containers/json" && r.URL.Query().Get("all") == "true":
		w.Write(filtered(containers, r.URL.Query().Get("filters")))
	case path == "/images/json":
		w.Write(p.images)
	case path == "/info":
		w.Write([]byte(p.info))
	case path == "/events":
		stream(w, r, events)
	case path == "/containers/stats":
		stream(w, r, p.stats)
	case strings.HasSuffix(path, "/logs"):
		w.Write(p.logs)
	case p.run != nil && p.run.serves(w, r, path):
	case strings.HasPrefix(path, "/containers/") && strings.HasSuffix(path, "/json"):
		p.mu.Lock()
		defer p.mu.Unlock()
		fmt.Fprintf(w, `{"HostConfig":{"LogConfig":{"Type":"k8s-file"}},"RestartCount":%d}`, p.counts[strings.Split(path, "/")[2]])
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		w.Write([]byte(`{"cause":"no such thing","message":"no such thing: \u001b[31m` + path + `","response":404}`))
	}
}

// filtered are those of a list of containers that a filter names.
func filtered(list []byte, filter string) []byte {
	var want struct{ ID []string }
	if filter == "" || json.Unmarshal([]byte(filter), &want) != nil {
		return list
	}
	var all, some []map[string]any
	if err := json.Unmarshal(list, &all); err != nil {
		return list
	}
	for _, c := range all {
		if slices.Contains(want.ID, c["Id"].(string)) {
			some = append(some, c)
		}
	}
	out, _ := json.Marshal(some)
	return out
}

// set changes what it tells.
func (p *podmanServer) set(containers []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.containers = containers
}

func (p *podmanServer) count(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, a := range p.asked {
		if strings.Contains(a, path) {
			n++
		}
	}
	return n
}

// stream writes lines as they come, until either side ends it.
func stream(w http.ResponseWriter, r *http.Request, lines <-chan string) {
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	for {
		select {
		case l, ok := <-lines:
			if !ok {
				return
			}
			fmt.Fprintln(w, l)
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// dockerServer answers like Docker 20.10, with recorded answers.
func dockerServer(t testing.TB, events <-chan string) http.Handler {
	mux := http.NewServeMux()
	give := func(pattern, file string) {
		b := fixture(t, file)
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { w.Write(b) })
	}
	give("/v1.41/containers/json", "docker-20.10-containers.json")
	give("/v1.41/containers/{id}/json", "docker-20.10-inspect.json")
	give("/v1.41/containers/{id}/top", "docker-20.10-top.json")
	give("/v1.41/images/json", "docker-20.10-images.json")
	give("/v1.41/containers/{id}/logs", "docker-20.10-logs.bin")
	mux.HandleFunc("/v1.41/info", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"MemTotal":25276502016}`)) })
	mux.HandleFunc("/v1.41/events", func(w http.ResponseWriter, r *http.Request) { stream(w, r, events) })
	stats := fixture(t, "docker-20.10-stats.json")
	var mu sync.Mutex
	n := 0
	mux.HandleFunc("/v1.41/containers/{id}/stats", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var s map[string]any
		json.Unmarshal(stats, &s)
		s["read"] = time.Date(2026, 11, 22, 21, 10, n, 0, time.UTC)
		s["cpu_stats"].(map[string]any)["cpu_usage"].(map[string]any)["total_usage"] = 1e9 + float64(n)*5e8
		n++
		json.NewEncoder(w).Encode(s)
	})
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		w.Write([]byte("OK"))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "Docker/20.10.24+dfsg1 (linux)")
		mux.ServeHTTP(w, r)
	})
}

// state is what a probe tells of a host, reached as root.
func state(sockets ...fleet.Socket) fleet.State {
	now := time.Now()
	return fleet.State{
		Reach:  fleet.Known(fleet.Reach{State: fleet.Up, User: "root", Root: "root"}, now, "ssh"),
		System: fleet.Known(fleet.System{NixOS: true}, now, "probe"),
		Inventory: fleet.Known(fleet.Inventory{
			Sockets: sockets, Programs: map[string]string{"podman": "/run/current-system/sw/bin/podman"},
		}, now, "probe"),
	}
}

func probed(s fleet.State) func(context.Context) (fleet.State, error) {
	return func(context.Context) (fleet.State, error) { return s, nil }
}

var (
	rootSock   = fleet.Socket{Path: rootSocket, Owner: "root", Open: true}
	adaSock    = fleet.Socket{Path: "/run/user/1001/podman/podman.sock", Owner: "ada", Open: true}
	dockerSock = fleet.Socket{Path: "/run/docker.sock", Owner: "root", Open: true}
)

// names are the containers of a list, as user/name.
func names(list []fleet.Container) string {
	var out []string
	for _, c := range list {
		out = append(out, c.User+"/"+c.Name)
	}
	return strings.Join(out, " ")
}

// recorded splits a file into its lines.
func recorded(t testing.TB, file string) []string {
	var out []string
	for s := bufio.NewScanner(strings.NewReader(string(fixture(t, file)))); s.Scan(); {
		out = append(out, s.Text())
	}
	return out
}
