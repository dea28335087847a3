package podman

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// puller is a Podman whose answer to a pull is as told.
type puller struct {
	*podmanServer
	answer func(w http.ResponseWriter, r *http.Request)

	mu   sync.Mutex
	done []string // what else was asked to be done
}

func (p *puller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v5.8.6/libpod")
	switch {
	case path == "/images/pull" && r.Method == http.MethodPost:
		p.answer(w, r)
	case r.Method != http.MethodGet:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.done = append(p.done, r.Method+" "+path+"?"+r.URL.Query().Encode())
		w.WriteHeader(http.StatusCreated)
	default:
		p.podmanServer.ServeHTTP(w, r)
	}
}

// pulling makes a host whose Podman pulls like that.
func pulling(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) (*Engines, *puller) {
	h := newHost(t)
	p := &puller{podmanServer: newPodman(t, "5.4.2"), answer: answer}
	h.listen(rootSocket, p)
	e := h.engines()
	if f := e.Read(t.Context(), probed(state(rootSock))); !f.Current() {
		t.Fatal(f.Err)
	}
	return e, p
}

const someID = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestPull(t *testing.T) {
	e, _ := pulling(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.Query().Get("reference"); got != "docker.io/jellyfin/jellyfin:10.10.7" {
			t.Errorf("it is asked for %q", got)
		}
		fmt.Fprintf(w, "%s\n%s\n%s\n", `{"stream":"Trying to pull\u001b[31m it...\n"}`, `{"stream":"\n"}`, `{"images":["`+someID+`"],"id":"`+someID+`"}`)
	})
	var said []string
	id, err := e.Pull(t.Context(), "podman", "root", "docker.io/jellyfin/jellyfin:10.10.7", func(s string) { said = append(said, s) })
	if err != nil || id != someID || len(said) != 1 || strings.Contains(said[0], "\x1b") {
		t.Errorf("%q, %q, %v", id, said, err)
	}
}

// TestPullThatFails says on which host, why, and what can be done; what breaks off is
// no success.
func TestPullThatFails(t *testing.T) {
	line := func(s string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, s) }
	}
	for what, c := range map[string]struct {
		answer    func(http.ResponseWriter, *http.Request)
		err, cure string
	}{
		"full disk":   {line(`{"error":"copying system image: writing blob: write /var/tmp/x: no space left on device"}`), "no space left", "sextant image prune storage"},
		"no such tag": {line(`{"error":"initializing source docker://x: reading manifest 9 in docker.io/a: manifest unknown"}`), "manifest unknown", "the name that it has now"},
		"login":       {line(`{"error":"unable to retrieve auth token: invalid username/password: unauthorized"}`), "unauthorized", "log in on storage: podman login docker.io"},
		"limit":       {line(`{"error":"toomanyrequests: You have reached your pull rate limit\u001b[2J"}`), "rate limit", "try later"},
		"no network":  {line(`{"error":"pinging container registry docker.io: dial tcp: lookup docker.io: no such host"}`), "no such host", "whether storage reaches docker.io"},
		"broken off":  {line(`{"stream":"Copying blob"}`), "hung up", ""},
		"nonsense":    {line(`<html>`), "no answer to a pull", ""},
		"bad ID":      {line(`{"id":"../../x"}`), "hung up", ""},
		"refused": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"message":"no \u001b[31m"}`, http.StatusInternalServerError)
		}, "HTTP 500: no", ""},
	} {
		e, _ := pulling(t, c.answer)
		id, err := e.Pull(t.Context(), "podman", "root", "docker.io/a:9", func(string) {})
		if err == nil || id != "" || !strings.Contains(err.Error(), "pull of docker.io/a:9 on storage: ") || !strings.Contains(err.Error(), c.err) ||
			!strings.Contains(fleet.Cure(err), c.cure) || (c.cure == "") != (fleet.Cure(err) == "") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %q, %v; %s", what, id, err, fleet.Cure(err))
		}
	}
}

// TestPullThatIsStopped ends at once, and its request with it.
func TestPullThatIsStopped(t *testing.T) {
	gone := make(chan struct{})
	e, _ := pulling(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, `{"stream":"Copying blob"}`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(gone)
	})
	ctx, cancel := context.WithCancel(t.Context())
	began := time.Now()
	_, err := e.Pull(ctx, "podman", "root", "docker.io/a:9", func(string) { cancel() })
	if !errors.Is(err, context.Canceled) || time.Since(began) > 30*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("Podman still pulls")
	}
}

// TestKeep names the image for its container; what is no image's ID is not asked for.
func TestKeep(t *testing.T) {
	e, p := pulling(t, nil)
	c := fleet.Container{Engine: "podman", User: "root", Name: "jellyfin"}
	at := time.Date(2026, 11, 28, 12, 45, 1, 0, time.UTC)
	kept, err := e.Keep(t.Context(), c, "docker.io/jellyfin/jellyfin:10.10.7", someID, at)
	if err != nil || kept.Image != "docker.io/jellyfin/jellyfin:10.10.7" || len(p.done) != 1 ||
		p.done[0] != "POST /images/"+someID+"/tag?repo=localhost%2Fsextant-kept%2Fdocker.io%2Fjellyfin%2Fjellyfin&tag=20261128T124501Z-8-jellyfin-10.10.7" {
		t.Errorf("%+v, %v: %q", kept, err, p.done)
	}
	if _, err := e.Keep(t.Context(), c, "docker.io/a:1", "../x", at); err == nil {
		t.Error("what is no ID was named")
	}
	var old []string
	for n := range 5 { // three of them of images of their own
		repository, tag, _ := keptName("jellyfin", "docker.io/a:1", at.Add(time.Duration(n)*time.Hour))
		id := someID
		if n%2 == 0 {
			id = strings.Repeat(fmt.Sprint(n), 64)
		}
		old = append(old, `{"Id":"`+id+`","RepoTags":["`+repository+":"+tag+`"]}`)
	}
	p.images, p.done = []byte(`[`+strings.Join(old, ",")+`]`), nil
	kept, err = e.Keep(t.Context(), c, "docker.io/a:1", someID, at.Add(4*time.Hour))
	if err != nil || !kept.At.Equal(at.Add(4*time.Hour+time.Second)) || len(p.done) != 4 || !strings.Contains(p.done[0], "20261128T164502Z") ||
		!strings.Contains(p.done[1], "untag?repo=localhost%2Fsextant-kept%2Fdocker.io%2Flibrary%2Fa&tag=20261128T154501Z") || !strings.Contains(p.done[2], "20261128T134501Z") || !strings.Contains(p.done[3], "20261128T124501Z") {
		t.Errorf("%+v, %v: %q", kept, err, p.done)
	}
}

// TestEarlier: what was kept comes first, then what had the name and is older; never
// what runs, nor another's.
func TestEarlier(t *testing.T) {
	at := time.Now()
	name := "docker.io/u/a:1"
	image := func(id string, made time.Duration, kept ...fleet.Kept) fleet.Image {
		return fleet.Image{Engine: "podman", User: "root", ID: id, Created: at.Add(-made), Kept: kept}
	}
	keep := func(container, image string, ago time.Duration) fleet.Kept {
		return fleet.Kept{Container: container, Image: image, At: at.Add(-ago)}
	}
	now := image("now", time.Hour, keep("c", name, 3*time.Hour))
	now.Tags = []string{name}
	lost, newer, others := image("lost", 50*time.Hour), image("newer", time.Minute), image("others", 60*time.Hour)
	lost.Before, newer.Before, others.Before = []string{name}, []string{name}, []string{"docker.io/b:1"}
	hers := image("hers", 70*time.Hour, keep("c", name, time.Hour))
	hers.User = "ada"
	images := []fleet.Image{now, lost, newer, others, hers,
		image("k1", 9*time.Hour, keep("c", name, 2*time.Hour)), image("k2", 8*time.Hour, keep("c", name, time.Hour)),
		image("k3", 7*time.Hour, keep("d", name, time.Hour)), image("k4", 6*time.Hour, keep("c", "docker.io/u/other:1", time.Minute)),
	}
	for _, c := range []struct {
		what string
		of   fleet.Container
		want string
	}{
		{"running", fleet.Container{Engine: "podman", User: "root", Name: "c", Image: name, ImageID: "now"}, "k2 k1 lost docker.io/u/a:1"},
		{"absent", fleet.Container{Engine: "podman", User: "root", Name: "d"}, "k3 lost docker.io/u/a:1"},
		{"hers", fleet.Container{Engine: "podman", User: "ada", Name: "c", Image: name, ImageID: "x"}, "hers docker.io/u/a:1"},
		{"Docker's", fleet.Container{Engine: "docker", User: "root", Name: "c", Image: name}, "docker.io/u/a:1"},
		{"unknown", fleet.Container{Engine: "podman", User: "root", Name: "z"}, ""},
	} {
		list, named := Earlier(c.of, images)
		var got []string
		for _, i := range list {
			got = append(got, i.ID)
		}
		if s := strings.TrimSpace(strings.Join(append(got, named), " ")); s != c.want {
			t.Errorf("%s: %s, want %s", c.what, s, c.want)
		}
	}
}

// shells are those that the hosts' programs must work with.
var shells = []string{"sh", "bash"}

// TestStart runs the program that looks at a unit against a systemctl that plays one.
func TestStart(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return p
	}
	nixos := write("podman-x-start", "#!/bin/sh\nset -e\nexec podman run \\\n  --name=x \\\n  --pull 'always' \\\n  -e TOKEN=hunter2 docker.io/x:1\n")
	missing := write("podman-y-start", "#!/bin/sh\nexec podman run --name=y --pull missing docker.io/y:1\n")
	loads := write("podman-z-pre", "#!/bin/sh\npodman load -i /nix/store/z.tar\n")
	binary := write("binary", "\x7fELF\x00 --pull=always ")
	for what, c := range map[string]struct{ start, want string }{
		"oci-containers":     {"ExecStart={ path=" + nixos + " ; argv[]=" + nixos + " ; ignore_errors=no ; status=0/0 }", "always end"},
		"pulls what is not":  {"ExecStart={ path=" + missing + " ; argv[]=" + missing + " ; status=0/0 }", "end"},
		"a file":             {"ExecStartPre={ path=" + loads + " ; argv[]=" + loads + " ; }\nExecStart={ path=" + missing + " ; argv[]=x ; }", "load end"},
		"quadlet":            {"ExecStart={ path=/usr/bin/podman ; argv[]=/usr/bin/podman run --name x --pull=newer --rm docker.io/x:1 ; }", "newer end"},
		"pulls before":       {"ExecStartPre={ path=/usr/bin/podman ; argv[]=/usr/bin/podman pull docker.io/x:1 ; }", "always end"},
		"another's business": {"ExecStart={ path=" + binary + " ; argv[]=" + binary + " --pull=never ; }", "end"},
	} {
		write("systemctl", "#!/bin/sh\nprintf '%s\\n' LoadState=loaded '"+strings.ReplaceAll(c.start, "'", `'\''`)+"'\n")
		for _, shell := range shells {
			cmd := exec.CommandContext(t.Context(), shell, "-c", startScript, "sextant", "podman-x.service", "")
			cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
			out, err := cmd.Output()
			if got := strings.Join(strings.Fields(string(out)), " "); err != nil || got != c.want {
				t.Errorf("%s, %s: %q, want %q, %v", what, shell, got, c.want, err)
			}
		}
	}
}

// starting is a link whose host says this of a unit.
type starting struct {
	*host
	said   string
	status int
}

func (s starting) Run(context.Context, link.Command) (link.Result, error) {
	return link.Result{Stdout: []byte(s.said), Stderr: []byte("no \x1b[31munit"), Status: s.status}, nil
}

func TestStartOf(t *testing.T) {
	h := newHost(t)
	for said, want := range map[string]string{
		"end\n":         "",
		"always\nend\n": "it pulls the image at each start (pull=always)",
		"load\nend\n":   "it loads the image from a file at each start",
	} {
		if s, err := StartOf(t.Context(), starting{h, said, 0}, "podman-x.service", ""); err != nil || s.Undoes() != want {
			t.Errorf("%q: %+v, %v", said, s, err)
		}
	}
	if _, err := StartOf(t.Context(), starting{h, "always\n", 1}, "podman-x.service", "ada"); err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("half an answer: %v", err)
	}
	if _, err := StartOf(t.Context(), starting{h, "end\n", 0}, "--all", ""); err == nil {
		t.Error("it is no unit")
	}
}
