package simulate

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sextant-fleet/sextant/fleet"
)

// maxHosts bounds a fleet: each host takes a port of this machine.
const maxHosts = 10000

// Options say which fleet is simulated.
type Options struct {
	// Hosts is how many: the first nine are the cast (storage, cloud, router,
	// r2s, desktop, laptop, vault, cottage, raspi3), then host-001 and on.
	// 0: the cast.
	Hosts int
	// Seed makes the world: the same seed makes the same names, containers and
	// keys. Ports are taken as they come.
	Seed uint64
	// Now is the hosts' clock; nil: the real one.
	Now func() time.Time
	// Faults and Logins are by name of host.
	Faults map[string]Fault
	Logins map[string]Login
	// Record keeps the command lines that hosts are sent, for Fleet.Heard.
	Record bool
}

// Fleet is a running fleet of simulated hosts.
type Fleet struct {
	opts   Options
	began  time.Time
	now    func() time.Time
	ctx    context.Context
	cancel context.CancelFunc
	client []byte // private key, PEM
	public ssh.PublicKey
	hosts  []*host
	byName map[string]*host
	web    *http.Server
	doors  *doors

	registries registries
	issued     issued
	wg         sync.WaitGroup

	mu       sync.Mutex
	gone     map[string]bool    // nodes that were removed from the tailnet, by their IDs
	named    map[string]string  // nodes that were given another name
	programs map[string]Program // "host\x00name" or "\x00name"
	scripts  []script
}

// script is a shell program known by a piece of its text.
type script struct {
	piece string
	play  Program
}

// Start makes a fleet listen on loopback ports. It ends with ctx, or when it
// is closed.
func Start(ctx context.Context, o Options) (*Fleet, error) {
	if o.Hosts < 0 || o.Hosts > maxHosts {
		return nil, fmt.Errorf("%d hosts cannot be simulated, %d can", o.Hosts, maxHosts)
	}
	f := &Fleet{opts: o, now: o.Now, byName: map[string]*host{}, programs: map[string]Program{}}
	if f.now == nil {
		f.now = time.Now
	}
	f.began = f.now()
	f.ctx, f.cancel = context.WithCancel(ctx)
	if err := f.newClientKey(); err != nil {
		return nil, err
	}
	f.openDoors()
	for i, r := range roles(o.Hosts, o.Seed) {
		h := newHost(f, i, r)
		f.hosts, f.byName[r.name] = append(f.hosts, h), h
		fault := o.Faults[r.name]
		fault.Refuse = fault.Refuse || r.away != 0
		h.login = o.Logins[r.name]
		if err := h.set(fault); err != nil {
			f.Close()
			return nil, fmt.Errorf("simulating %s: %w", r.name, err)
		}
	}
	for name := range o.Faults {
		if f.byName[name] == nil {
			f.Close()
			return nil, fmt.Errorf("no host %s is simulated", name)
		}
	}
	context.AfterFunc(f.ctx, f.end)
	return f, nil
}

// newClientKey makes the key that opens every host. It is random: nobody else
// on this machine can log in, even where there is nothing to find.
func (f *Fleet) newClientKey() error {
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(private, "sextant demo")
	if err != nil {
		return err
	}
	f.client = pem.EncodeToMemory(block)
	f.public, err = ssh.NewPublicKey(pub)
	return err
}

// PrivateKey is the key that every host takes, in OpenSSH's form.
func (f *Fleet) PrivateKey() []byte { return f.client }

// Hosts are the hosts as discovery would tell of them. Their keys are vouched
// for, as Tailscale does, so that nothing needs to be asked or written down.
func (f *Fleet) Hosts() []fleet.Host {
	out := make([]fleet.Host, len(f.hosts))
	for i, h := range f.hosts {
		port, login := h.door()
		out[i] = fleet.Host{
			ID: fleet.HostID("demo-" + h.role.name), Name: h.role.name, Sources: []string{"demo"}, Tags: h.role.tags, OS: "linux",
			Addresses: []fleet.Address{{Via: fleet.ViaTailnet, Host: "127.0.0.1", Port: port}},
			User:      "root", NodeID: "n" + hexID(f.opts.Seed, 12, h.role.name, "node"),
			HostKeys: []string{h.keyLine()}, Presence: h.role.presence(f.began),
		}
		if u := login.User; u != "" {
			out[i].User = u
		}
		out[i] = out[i].Told()
	}
	return out
}

// Host is one of the hosts by its name; it panics where there is none.
func (f *Fleet) Host(name string) fleet.Host {
	for _, h := range f.Hosts() {
		if h.Name == name {
			return h
		}
	}
	panic("no host " + name + " is simulated")
}

// KnownHosts is a known_hosts file with the keys of all hosts.
func (f *Fleet) KnownHosts() string {
	var b strings.Builder
	for _, h := range f.hosts {
		port, _ := h.door()
		fmt.Fprintf(&b, "[127.0.0.1]:%d,[%s]:%d %s\n", port, h.role.name, port, h.keyLine())
	}
	return b.String()
}

// SetFault makes a host misbehave, or behave again.
func (f *Fleet) SetFault(name string, fault Fault) error {
	h := f.byName[name]
	if h == nil {
		return fmt.Errorf("no host %s is simulated", name)
	}
	return h.set(fault)
}

// SetLogin changes how a host lets people in from now on.
func (f *Fleet) SetLogin(name string, login Login) {
	h := f.byName[name]
	h.mu.Lock()
	defer h.mu.Unlock()
	h.login = login
}

// Visit confirms the logins that wait for someone to visit Login.Visit.
func (f *Fleet) Visit(name string) {
	h := f.byName[name]
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.visited != nil {
		close(h.visited)
		h.visited = nil
	}
}

// Break ends the living connections of a host, as a reboot does.
func (f *Fleet) Break(name string) { f.byName[name].breakAll() }

// Silence makes the living connections of a host go silent without an end, as
// when a cable is pulled.
func (f *Fleet) Silence(name string) { f.byName[name].silence() }

// Connections is how many connections to a host live.
func (f *Fleet) Connections(name string) int {
	h := f.byName[name]
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns)
}

// Heard are the command lines a host was sent so far, where Options.Record is set.
func (f *Fleet) Heard(name string) []string {
	h := f.byName[name]
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.heard)
}

// Program plays a program on a host, in place of what it would do; on every
// host where host is empty.
func (f *Fleet) Program(host, name string, p Program) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.programs[host+"\x00"+name] = p
}

// Script plays a shell program (sh -c TEXT) that is known by a piece of its
// text, on every host. Its Call's Args are the shell's arguments behind the text.
func (f *Fleet) Script(piece string, p Program) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scripts = append(f.scripts, script{piece, p})
}

// Close ends every host and waits for its end.
func (f *Fleet) Close() error {
	f.cancel()
	f.end()
	f.wg.Wait()
	return nil
}

// end closes what listens and lives.
func (f *Fleet) end() {
	for _, h := range f.hosts {
		h.close()
	}
	f.web.Close()
}

// hostKey is a host's key: the same for the same seed and name.
func hostKey(seed uint64, words ...string) ssh.Signer {
	b := make([]byte, 0, ed25519.SeedSize)
	for i := range 4 {
		b = binary.LittleEndian.AppendUint64(b, dice(seed, append(words, "host key", fmt.Sprint(i))...))
	}
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(b))
	if err != nil {
		panic(err) // an ed25519 key always makes a signer
	}
	return s
}

// doors hands connections made inside SSH channels to the web server.
type doors struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// Accept waits for a connection.
func (d *doors) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.done:
		return nil, net.ErrClosed
	}
}

// Close ends it.
func (d *doors) Close() error { d.once.Do(func() { close(d.done) }); return nil }

// Addr has no meaning here.
func (d *doors) Addr() net.Addr { return &net.UnixAddr{Name: "simulated", Net: "unix"} }

// door is a connection to a service of a host.
type door struct {
	net.Conn
	handler http.Handler
}

type doorKey struct{}

// openDoors starts the one web server behind all services of all hosts.
func (f *Fleet) openDoors() {
	f.doors = &doors{conns: make(chan net.Conn), done: make(chan struct{})}
	f.web = &http.Server{
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, doorKey{}, c.(*door).handler)
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Context().Value(doorKey{}).(http.Handler).ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: time.Minute,
	}
	f.wg.Go(func() {
		if err := f.web.Serve(f.doors); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			panic(err) // nothing can fail here but the end
		}
	})
}

// enter hands a connection to a service.
func (f *Fleet) enter(c net.Conn, handler http.Handler) error {
	select {
	case f.doors.conns <- &door{c, handler}:
		return nil
	case <-f.doors.done:
		return net.ErrClosed
	}
}
