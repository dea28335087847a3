package simulate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Ports of what a host serves.
const (
	caddyPort = 2019
	httpsPort = 443
)

// vhost is a site of a Caddy: where it leads, whether people sign in, whether its
// upstream answers to Caddy's health check, and how old its certificate is.
type vhost struct {
	name, dial string
	auth, dead bool
	age        time.Duration
}

// vhosts are the sites of the hosts that have a Caddy.
var vhosts = map[string][]vhost{
	"storage": {{name: "jellyfin.fleet.example", dial: "127.0.0.1:3000"}, {name: "grafana.fleet.example", dial: "127.0.0.1:3999", auth: false}, {name: "netdata.fleet.example", dial: "127.0.0.1:19999"}},
	"cloud": {
		{name: "auth.fleet.example", dial: "127.0.0.1:9091"},
		{name: "photos.fleet.example", dial: "storage:3444", auth: true},
		{name: "paperless.fleet.example", dial: "storage:3710", auth: true, dead: true},
		{name: "vault.fleet.example", dial: "127.0.0.1:8222"},
		{name: "ntfy.fleet.example", dial: "127.0.0.1:2586", age: 85 * day},
	},
	"cottage": {{name: "home.fleet.example", dial: "127.0.0.1:4000"}},
}

// life of a certificate, and how old one is that is not told otherwise.
const (
	certLife = 90 * day
	certAge  = 20 * day
)

// serves gives what answers at a loopback port of the host; nil: nothing does.
func (m *machine) serves(port uint32) service {
	if port == caddyPort && m.unitRuns("caddy.service") {
		return http.HandlerFunc(m.caddyAdmin)
	}
	if s := m.monitoring(port); s != nil {
		return s
	}
	if port == blockyPort && m.unitRuns("blocky.service") {
		return http.HandlerFunc(m.serveBlocky)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.boxes {
		for _, p := range b.ports {
			if uint32(p.host) == port && b.state == "running" && !b.gone {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.answer(b, w, r) })
			}
		}
	}
	return nil
}

// unitRuns tells whether a unit does.
func (m *machine) unitRuns(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.units, func(u *unit) bool { return u.name == name && u.active == "active" })
}

// answer is what the service in a container says.
func (m *machine) answer(b *box, w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	broken := b.health == "unhealthy"
	m.mu.Unlock()
	switch {
	case b.name == "authelia" && r.URL.Path == "/api/health":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"status":"OK"}`)
	case b.name == "authelia" && (r.URL.Path == "/api/authz/forward-auth" || r.URL.Path == "/api/verify"):
		w.Header().Set("Location", "https://auth.fleet.example/")
		w.WriteHeader(http.StatusFound)
	case b.name == "dex" && r.URL.Path == "/healthz" && broken:
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, "Health check failed")
	case b.name == "dex" && r.URL.Path == "/healthz":
		fmt.Fprint(w, "Health check passed")
	case b.name == "lldap" && r.URL.Path == "/health":
		w.WriteHeader(http.StatusOK)
	case b.name == "grafana":
		grafana(w, r)
	default:
		fmt.Fprintf(w, "%s answers\n", b.name)
	}
}

// caddyAdmin answers as the admin API of Caddy does.
func (m *machine) caddyAdmin(w http.ResponseWriter, r *http.Request) {
	sites := vhosts[m.name]
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/config/":
		_ = json.NewEncoder(w).Encode(m.caddyConfig(sites))
	case "/reverse_proxy/upstreams":
		list := []map[string]any{}
		for _, s := range sites {
			list = append(list, map[string]any{"address": s.dial, "num_requests": 0, "fails": 0})
		}
		_ = json.NewEncoder(w).Encode(list)
	case "/metrics":
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintf(w, "caddy_config_last_reload_successful 1\ncaddy_config_last_reload_success_timestamp_seconds %d\n", m.boot().Add(time.Minute).Unix())
		for _, s := range sites {
			healthy := 1
			if s.dead {
				healthy = 0
			}
			fmt.Fprintf(w, "caddy_reverse_proxy_upstreams_healthy{upstream=%q} %d\n", s.dial, healthy)
		}
	default:
		http.NotFound(w, r)
	}
}

type object = map[string]any

func (m *machine) caddyConfig(sites []vhost) object {
	var routes []object
	for _, s := range sites {
		inner := []object{}
		if s.auth {
			inner = append(inner, object{"handle": []object{{
				"handler": "reverse_proxy", "upstreams": []object{{"dial": "127.0.0.1:9091"}},
				"rewrite":         object{"method": "GET", "uri": "/api/authz/forward-auth"},
				"handle_response": []object{{"match": object{"status_code": []int{2}}}},
			}}})
		}
		proxy := object{"handler": "reverse_proxy", "upstreams": []object{{"dial": s.dial}}, "health_checks": object{"active": object{"uri": "/"}}}
		inner = append(inner, object{"handle": []object{proxy}})
		routes = append(routes, object{
			"match": []object{{"host": []string{s.name}}}, "terminal": true,
			"handle": []object{{"handler": "subroute", "routes": inner}},
		})
	}
	return object{"apps": object{"http": object{"servers": object{"srv0": object{"listen": []string{":443"}, "routes": routes}}}}}
}

// showCertificate speaks TLS as the host's Caddy, by the name that is asked for.
func (c *client) showCertificate(ch ssh.NewChannel, m *machine) {
	near, far := net.Pipe()
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return c.h.f.certificate(m, hello.ServerName)
	}}
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.h.f.throughCaddy(m, w, r) })
	if err := c.h.f.enter(tls.Server(far, cfg), serve); err != nil {
		_ = ch.Reject(ssh.ConnectionFailed, "Connection refused")
		return
	}
	c.carry(ch, near)
}

// throughCaddy answers for a site.
func (f *Fleet) throughCaddy(m *machine, w http.ResponseWriter, r *http.Request) {
	i := slices.IndexFunc(vhosts[m.name], func(s vhost) bool { return s.name == r.Host })
	switch {
	case i < 0:
	case vhosts[m.name][i].auth:
		w.Header().Set("Location", "https://auth.fleet.example/")
		w.WriteHeader(http.StatusFound)
	case vhosts[m.name][i].dead:
		w.WriteHeader(http.StatusBadGateway)
	default:
		fmt.Fprintln(w, "well")
	}
}

// Lookup is what public DNS says of the names that this world serves.
func (f *Fleet) Lookup(_ context.Context, name string) (addresses []string, canonical string, err error) {
	for host, sites := range vhosts {
		i := slices.IndexFunc(sites, func(s vhost) bool { return s.name == name })
		switch {
		case i >= 0 && host != "storage":
			return []string{"104.16.132.229"}, name + ".", nil
		case i >= 0:
			return []string{"203.0.113.3"}, name + ".", nil
		}
	}
	return nil, "", &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// issued are the certificates that sites have shown.
type issued struct {
	mu  sync.Mutex
	key *ecdsa.PrivateKey
	all map[string]*tls.Certificate
}

// certificate is what a site of a host shows.
func (f *Fleet) certificate(m *machine, name string) (*tls.Certificate, error) {
	i := slices.IndexFunc(vhosts[m.name], func(s vhost) bool { return s.name == name })
	if i < 0 {
		return nil, fmt.Errorf("no certificate for %s", name)
	}
	age := vhosts[m.name][i].age
	if age == 0 {
		age = certAge
	}
	f.issued.mu.Lock()
	defer f.issued.mu.Unlock()
	if c := f.issued.all[name]; c != nil {
		return c, nil
	}
	if f.issued.key == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		f.issued.key, f.issued.all = key, map[string]*tls.Certificate{}
	}
	from := m.began.Add(-age)
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "E7", Organization: []string{"Let's Encrypt"}}, IsCA: true}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotBefore: from, NotAfter: from.Add(certLife)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, authority, &f.issued.key.PublicKey, f.issued.key)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: f.issued.key}
	f.issued.all[name] = c
	return c, nil
}

// tellListens prints who listens on the host, as ss does.
func tellListens(c Call) int {
	m, mark := c.machine(), c.arg(1)
	var rows, groups []string
	add := func(pid int, address string, port uint16, process, unit string) {
		rows = append(rows, fmt.Sprintf("tcp LISTEN 0 4096 %s:%d 0.0.0.0:* users:((%q,pid=%d,fd=3))", address, port, process, pid))
		groups = append(groups, fmt.Sprintf("%d 0::/system.slice/%s", pid, unit))
	}
	add(700, "0.0.0.0", 22, "sshd", "sshd.service")
	for i, p := range m.ports {
		process, unit, address := portOwner(p)
		add(800+i, address, uint16(p), process, unit)
	}
	if m.name == routerName {
		rows = append(rows, fmt.Sprintf("udp UNCONN 0 0 192.168.1.1:67 0.0.0.0:* users:((%q,pid=690,fd=13))", "kea-dhcp4"), fmt.Sprintf("udp UNCONN 0 0 0.0.0.0:%d 0.0.0.0:*", wireGuardPort))
		groups = append(groups, "690 0::/system.slice/kea-dhcp4-server.service")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, b := range m.boxes {
		for _, p := range b.ports {
			if b.state == "running" && !b.gone {
				add(2000+i, "0.0.0.0", p.host, "conmon", b.unit)
			}
		}
	}
	fmt.Fprintf(c.Stdout, "\n%s ss\n%s\n\n%s cgroups\n%s\n\n%s end\n", mark, strings.Join(rows, "\n"), mark, strings.Join(groups, "\n"), mark)
	return 0
}

// portOwner is who listens at a port that is not a container's.
func portOwner(port int) (process, unit, address string) {
	switch port {
	case 80, httpsPort:
		return "caddy", "caddy.service", "*"
	case caddyPort:
		return "caddy", "caddy.service", "127.0.0.1"
	case netdataPort:
		return "netdata", "netdata.service", "0.0.0.0"
	case 8000:
		return "restic-rest-ser", "restic-rest-server.service", "0.0.0.0"
	case prometheusPort:
		return "prometheus", "prometheus.service", "*"
	case alertmanagerPort:
		return "alertmanager", "alertmanager.service", "*"
	case 53, blockyPort:
		return "blocky", "blocky.service", "*"
	}
	return "node_exporter", "prometheus-node-exporter.service", "127.0.0.1"
}
