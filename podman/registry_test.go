package podman

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// registryHost is a link to a host that reaches one registry, whatever it is asked
// for, and that may have skopeo.
type registryHost struct {
	*host
	server *httptest.Server
	id     fleet.HostID
	skopeo string // what it prints; "": there is none

	mu     sync.Mutex
	dialed []string
	ran    []link.Command
}

func (h *registryHost) Host() fleet.Host { return fleet.Host{ID: h.id, Name: "storage"} }

func (h *registryHost) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	h.mu.Lock()
	h.dialed = append(h.dialed, address)
	h.mu.Unlock()
	return (&net.Dialer{}).DialContext(ctx, "tcp", h.server.Listener.Addr().String())
}

func (h *registryHost) Run(_ context.Context, cmd link.Command) (link.Result, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ran = append(h.ran, cmd)
	if h.skopeo == "" {
		return link.Result{Status: 127}, nil
	}
	return link.Result{Stdout: []byte(h.skopeo)}, nil
}

const digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// atRegistry makes a host before a registry that serves TLS for example.com, or none.
func atRegistry(t *testing.T, secure bool, serve http.HandlerFunc) (*registryHost, *Registries) {
	h := &registryHost{host: newHost(t), id: "a"}
	r := &Registries{Roots: x509.NewCertPool()}
	if secure {
		h.server = httptest.NewTLSServer(serve)
		r.Roots.AddCert(h.server.Certificate())
	} else {
		h.server = httptest.NewServer(serve)
	}
	t.Cleanup(h.server.Close)
	return h, r
}

// tells answers with a digest.
func tells(w http.ResponseWriter, digest string) {
	w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	w.Header().Set("Content-Length", "100")
	w.Header().Set("Docker-Content-Digest", digest)
}

// TestDigestOfATag: a registry that wants a token gets one that anybody is given,
// is asked by HEAD alone, once, and what it said is known afterwards.
func TestDigestOfATag(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	h, r := atRegistry(t, true, func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		asked = append(asked, q.Method+" "+q.URL.Path)
		mu.Unlock()
		switch {
		case q.URL.Path == "/token":
			fmt.Fprint(w, `{"token":"anybody"}`)
		case q.Header.Get("Authorization") != "Bearer anybody":
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://example.com/token",service="r",scope="repository:media/jellyfin:pull"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			tells(w, digestA)
		}
	})
	const name = "example.com/media/jellyfin:10.11"
	if f := r.Known("a", name); f.Asked() {
		t.Errorf("known without a question: %+v", f)
	}
	began := time.Now()
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if f := r.Digest(t.Context(), h, name, "root", began); !f.Current() || f.Value != digestA || f.Source != "example.com through storage" {
				t.Errorf("%+v", f)
			}
		})
	}
	wg.Wait()
	if got := strings.Join(asked, ", "); got != "HEAD /v2/media/jellyfin/manifests/10.11, GET /token, HEAD /v2/media/jellyfin/manifests/10.11" {
		t.Errorf("it was asked %s", got)
	}
	if h.dialed[0] != "example.com:443" {
		t.Errorf("dialed %v", h.dialed)
	}
	if f := r.Known("b", name); f.Value != digestA { // what it said holds for every host
		t.Errorf("%+v", f)
	}
	later := &Registries{}
	later.Recall(r.Answers())
	if f := later.Digest(t.Context(), h, name, "root", began); f.Value != digestA || len(asked) != 3 {
		t.Errorf("%+v, asked %d times", f, len(asked))
	}
	if f := r.Digest(t.Context(), h, name, "root", time.Now()); f.Value != digestA || len(asked) != 6 {
		t.Errorf("asked anew: %+v, %d questions", f, len(asked))
	}
}

// TestDockersOwnRegistry is not where its images' names say.
func TestDockersOwnRegistry(t *testing.T) {
	h, r := atRegistry(t, true, func(w http.ResponseWriter, _ *http.Request) { tells(w, digestA) })
	r.Digest(t.Context(), h, "caddy:2", "root", time.Now())
	if len(h.dialed) == 0 || h.dialed[0] != "registry-1.docker.io:443" {
		t.Errorf("dialed %v", h.dialed)
	}
}

// TestRegistryThatIsAskedTooMuch is left alone for as long as it says, also for
// other images and by later processes; the old answer stays with its age.
func TestRegistryThatIsAskedTooMuch(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		header string
		want   time.Duration
	}{{"120", 2 * time.Minute}, {"", defaultHold}, {"999999999999", maxHold}, {now.Add(181 * time.Minute).UTC().Format(http.TimeFormat), 3 * time.Hour}, {"soon", defaultHold}, {"-5", defaultHold}} {
		var mu sync.Mutex
		tired, n := false, 0
		h, r := atRegistry(t, true, func(w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if n++; tired {
				w.Header().Set("Retry-After", c.header)
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			tells(w, digestA)
		})
		clock := now
		r.Now = func() time.Time { return clock }
		r.Digest(t.Context(), h, "example.com/a:1", "root", now)
		tired, clock = true, clock.Add(time.Minute)
		f := r.Digest(t.Context(), h, "example.com/a:1", "root", clock)
		if f.Current() || f.Value != digestA || !f.At.Equal(now) || !strings.Contains(f.Err, "example.com was asked too often") || n != 2 || len(h.ran) != 0 {
			t.Fatalf("%q: %+v after %d questions, %d programs", c.header, f, n, len(h.ran))
		}
		if f := r.Digest(t.Context(), h, "example.com/b:1", "root", clock); f.HasValue() || n != 2 {
			t.Errorf("%q: it was asked for another image: %+v", c.header, f)
		}
		later := &Registries{Roots: r.Roots, Now: r.Now}
		later.Recall(r.Answers())
		until := later.Answers().Held["example.com"].Sub(clock)
		if until < c.want-2*time.Second || until > c.want+2*time.Second {
			t.Errorf("%q: it is left alone for %s, want %s", c.header, until, c.want)
		}
		later.Digest(t.Context(), h, "example.com/b:1", "root", clock)
		if n != 2 {
			t.Errorf("%q: a later process asked", c.header)
		}
		tired, clock = false, clock.Add(c.want+3*time.Second)
		if f := later.Digest(t.Context(), h, "example.com/b:1", "root", clock); !f.Current() {
			t.Errorf("%q: %+v", c.header, f)
		}
	}
}

// TestRegistryThatWantsALogin: the login stays on the host, whose skopeo asks; where
// there is none it is unknown, with the reason and what can be done.
func TestRegistryThatWantsALogin(t *testing.T) {
	h, r := atRegistry(t, true, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	f := r.Digest(t.Context(), h, "example.com/private:1", "ada", time.Now())
	if f.HasValue() || !strings.Contains(f.Err, "example.com wants a login") || !strings.Contains(f.Cure, "skopeo") {
		t.Errorf("%+v", f)
	}
	h.skopeo = "{}" // whose digest is known
	f = r.Digest(t.Context(), h, "example.com/private:1", "ada", time.Now())
	if f.Value != "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" {
		t.Errorf("%+v", f)
	}
	if cmd := h.ran[len(h.ran)-1]; cmd.User != "ada" || cmd.Root || cmd.Args[len(cmd.Args)-1] != "example.com/private:1" {
		t.Errorf("%+v", cmd)
	}
}

// TestRegistryOnTheHost is asked without TLS, and what it says is of that host alone.
func TestRegistryOnTheHost(t *testing.T) {
	h, r := atRegistry(t, false, func(w http.ResponseWriter, _ *http.Request) { tells(w, digestA) })
	f := r.Digest(t.Context(), h, "localhost:5000/media/jellyfin:1", "root", time.Now())
	if f.Value != digestA || h.dialed[0] != "localhost:5000" {
		t.Errorf("%+v, dialed %v", f, h.dialed)
	}
	if f := r.Known("b", "localhost:5000/media/jellyfin:1"); f.Asked() {
		t.Errorf("another host's registry said it: %+v", f)
	}
}

// TestRegistryWithoutTLS elsewhere is not asked in the clear.
func TestRegistryWithoutTLS(t *testing.T) {
	h, r := atRegistry(t, false, func(w http.ResponseWriter, _ *http.Request) { tells(w, digestA) })
	if f := r.Digest(t.Context(), h, "example.com/media/jellyfin:1", "root", time.Now()); f.HasValue() || f.Err == "" {
		t.Errorf("%+v", f)
	}
	h, r = atRegistry(t, true, func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, "http://elsewhere.example/", http.StatusTemporaryRedirect)
	})
	if f := r.Digest(t.Context(), h, "example.com/media/jellyfin:1", "root", time.Now()); f.HasValue() || len(h.dialed) != 1 {
		t.Errorf("%+v, dialed %v", f, h.dialed)
	}
}

// TestNoRegistryHasIt: what no registry can know is not asked, and is no problem.
func TestNoRegistryHasIt(t *testing.T) {
	h, r := atRegistry(t, true, func(w http.ResponseWriter, _ *http.Request) { tells(w, digestA) })
	for _, name := range []string{"localhost/built:1", "docker.io/library/caddy@" + digestA, "docker.io/library/caddy:2@" + digestA, "0123456789ab0123456789ab0123456789ab0123456789ab0123456789ab0123", "-x", ""} {
		if f := r.Digest(t.Context(), h, name, "root", time.Now()); !f.None || len(h.dialed) != 0 {
			t.Errorf("%q: %+v, dialed %v", name, f, h.dialed)
		}
	}
}

// TestBadRegistries say nothing that passes for an answer, and do not kill us.
func TestBadRegistries(t *testing.T) {
	for what, serve := range map[string]http.HandlerFunc{
		"no digest":    func(w http.ResponseWriter, _ *http.Request) { tells(w, "") },
		"not a digest": func(w http.ResponseWriter, _ *http.Request) { tells(w, "sha256:\x1b[31m") },
		"an error": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "\x1b]0;owned\a", http.StatusInternalServerError)
		},
		"no image": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"endless": func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://example.com/token"`)
			w.WriteHeader(http.StatusUnauthorized)
			for q.URL.Path == "/token" {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		},
	} {
		h, r := atRegistry(t, true, serve)
		f := r.Digest(t.Context(), h, "example.com/a:1", "root", time.Now())
		if f.HasValue() || f.Err == "" || strings.ContainsAny(f.Err, "\x1b\a") {
			t.Errorf("%s: %+v", what, f)
		}
		t.Logf("%s: %s; %s", what, f.Err, f.Cure)
	}
}

func TestKeptNames(t *testing.T) {
	at := time.Date(2026, 11, 28, 12, 45, 1, 0, time.UTC)
	for _, c := range []struct{ container, image, name string }{
		{"jellyfin", "docker.io/jellyfin/jellyfin:10.10.7", "localhost/sextant-kept/docker.io/jellyfin/jellyfin:20261128T124501Z-8-jellyfin-10.10.7"},
		{"a-b.c_d", "localhost:5000/x__y:v-1", "localhost/sextant-kept/localhost__5000/x__y:20261128T124501Z-7-a-b.c_d-v-1"},
		{"notes", "localhost/notes:latest", "localhost/sextant-kept/localhost/notes:20261128T124501Z-5-notes-latest"},
	} {
		repository, tag, err := keptName(c.container, c.image, at)
		if err != nil || repository+":"+tag != c.name {
			t.Errorf("%s:%s, %v", repository, tag, err)
		}
		kept, ok := parseKept(c.name)
		if !ok || kept != (fleet.Kept{Container: c.container, Image: c.image, At: at}) {
			t.Errorf("%+v %v", kept, ok)
		}
	}
	for _, bad := range []string{"docker.io/library/caddy@" + digestA, "not a name", "docker.io/a:" + strings.Repeat("x", 120)} {
		if _, _, err := keptName("caddy", bad, at); err == nil {
			t.Errorf("%s can be kept", bad)
		}
	}
	for _, other := range []string{"docker.io/library/caddy:2", keptUnder + "docker.io/a:latest", keptUnder + "docker.io/a:20261128T124501Z-99-caddy-2", keptUnder + "docker.io/a:20261128T129901Z-5-caddy-2"} {
		if k, ok := parseKept(other); ok {
			t.Errorf("%s is %+v", other, k)
		}
	}
}
