package podman

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// read reads the host with what its probe told.
func read(t *testing.T, e *Engines, s fleet.State) fleet.Fact[[]fleet.Container] {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return e.Read(ctx, probed(s))
}

const lab = "root/authelia root/finished root/handmade root/hostile root/jellyfin root/systemd-memos root/unhealthy"

func TestReadRootPodman(t *testing.T) {
	h := newHost(t)
	srv := newPodman(t, "5.4.2")
	h.sockets[rootSocket] = srv
	e := h.engines()
	f := read(t, e, state(rootSock))
	if !f.Current() || names(f.Value) != lab || f.Source != "podman 5.4.2" {
		t.Fatalf("%q %q %q", names(f.Value), f.Err, f.Source)
	}
	for _, c := range f.Value {
		if c.ImageAt.IsZero() {
			t.Errorf("%s: the age of its image is not known", c.Name)
		}
	}
	clean(t, f.Value)
	read(t, e, state(rootSock))
	if n := srv.count("/images/json"); n != 1 {
		t.Errorf("images asked %d times", n)
	}
	if d := h.dialled(); len(d) > 2 {
		t.Errorf("connections are not used again: %q", d)
	}
}

// TestRootIsAskedBeforeTheProbeIsDone: the time until a host is known.
func TestRootIsAskedBeforeTheProbeIsDone(t *testing.T) {
	h := newHost(t)
	srv := newPodman(t, "5.4.2")
	h.sockets[rootSocket] = srv
	f := h.engines().Read(t.Context(), func(context.Context) (fleet.State, error) {
		for range 500 {
			if srv.count("/containers/json") > 0 {
				return state(rootSock), nil
			}
			time.Sleep(10 * time.Millisecond)
		}
		return fleet.State{}, errors.New("not asked while the probe ran")
	})
	if !f.Current() {
		t.Fatal(f.Err)
	}
}

func TestReadEveryEngine(t *testing.T) {
	h := newHost(t)
	h.sockets[rootSocket] = newPodman(t, "5.4.2")
	h.sockets[adaSock.Path] = newPodman(t, "4.3.1")
	h.sockets[dockerSock.Path] = dockerServer(t, nil)
	f := read(t, h.engines(), state(rootSock, adaSock, dockerSock))
	want := "root/authelia root/finished root/handmade root/hc root/hostile root/jellyfin root/plex root/sonarr root/systemd-memos root/unhealthy ada/blocky"
	if !f.Current() || names(f.Value) != want {
		t.Fatalf("%q\n%q", f.Err, names(f.Value))
	}
	if f.Source != "podman 5.4.2, docker 20.10.24+dfsg1, podman 4.3.1" {
		t.Errorf("source %q", f.Source)
	}
	i := slices.IndexFunc(f.Value, func(c fleet.Container) bool { return c.Name == "plex" })
	if p := f.Value[i]; p.Restarts == nil || p.Started.IsZero() || p.ImageAt.IsZero() {
		t.Errorf("what only asking plex itself tells is missing: %+v", p)
	}
	if b := f.Value[len(f.Value)-1]; !b.UserUnit || b.Unit != "podman-blocky.service" {
		t.Errorf("unit of ada's container: %q, hers %v", b.Unit, b.UserUnit)
	}
}

// TestClosedSocketsAreReachedAsRoot: the login user may not open them, sudo may.
func TestClosedSocketsAreReachedAsRoot(t *testing.T) {
	h := newHost(t)
	h.reach = fleet.Reach{State: fleet.Up, User: "ben", Root: "sudo"}
	h.sockets[rootSocket] = newPodman(t, "5.4.2")
	h.sockets[adaSock.Path] = newPodman(t, "4.3.1")
	h.closed[rootSocket], h.closed[adaSock.Path] = true, true
	s := state(rootSock, adaSock)
	s.Reach.Value = h.reach
	e := h.engines()
	f := read(t, e, s)
	if !f.Current() || len(f.Value) != 8 {
		t.Fatalf("%q %q", f.Err, names(f.Value))
	}
	all := h.dialled()
	for _, want := range []string{
		"podman --url unix:///run/podman/podman.sock system dial-stdio as ",
		"podman --url unix:///run/user/1001/podman/podman.sock system dial-stdio as ",
	} {
		if n := len(slices.DeleteFunc(slices.Clone(all), func(d string) bool { return !strings.HasSuffix(d, want) })); n != 1 {
			t.Errorf("%q ran %d times: a connection is used for one question only\n%q", want, n, all)
		}
	}
}

// TestNobodyIsAskedForAGuess: while it is not known that there is an engine
// and how root is had, no command is run that could ask for a password.
func TestNobodyIsAskedForAGuess(t *testing.T) {
	h := newHost(t)
	h.reach = fleet.Reach{State: fleet.Up, User: "ada"}
	f := h.engines().Read(t.Context(), func(context.Context) (fleet.State, error) {
		time.Sleep(50 * time.Millisecond)
		s := state()
		s.Inventory.Value.Programs = nil
		return s, nil
	})
	if !f.None {
		t.Errorf("%+v", f)
	}
	if d := h.dialled(); len(d) != 1 || d[0] != "dial "+rootSocket {
		t.Errorf("dialled %q", d)
	}
}

// TestRootFoundWhileProbing uses the way to root as soon as the probe found it.
func TestRootFoundWhileProbing(t *testing.T) {
	h := newHost(t)
	h.reach = fleet.Reach{State: fleet.Up, User: "ada"}
	srv := newPodman(t, "5.4.2")
	h.sockets[rootSocket], h.closed[rootSocket] = srv, true
	f := h.engines().Read(t.Context(), func(context.Context) (fleet.State, error) {
		h.mu.Lock()
		h.reach.Root = "sudo"
		h.mu.Unlock()
		for range 500 {
			if srv.count("/containers/json") > 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		return state(rootSock), nil
	})
	if !f.Current() || srv.count("/containers/json") != 1 {
		t.Errorf("asked %d times; %s", srv.count("/containers/json"), f.Err)
	}
}

func TestWithoutRights(t *testing.T) {
	h := newHost(t)
	h.reach = fleet.Reach{State: fleet.Up, User: "ada"}
	h.sockets[dockerSock.Path] = dockerServer(t, nil)
	h.closed[dockerSock.Path] = true
	h.noRoot = true
	closed := dockerSock
	closed.Open = false
	s := state(closed)
	s.Reach.Value, s.System.Value.UID = h.reach, 1001
	f := read(t, h.engines(), s)
	if f.HasValue() || f.None || !strings.Contains(f.Err, "group docker") || !strings.Contains(f.Err, "cannot become root") {
		t.Errorf("%q", f.Err)
	}
	// root's Podman may be there, in a folder closed to her
	if !strings.Contains(f.Err, "Podman (/run/podman/podman.sock): closed to ada") {
		t.Errorf("%q", f.Err)
	}
}

// TestForwardingForbidden: sshd forwards no sockets, but the user may open hers.
func TestForwardingForbidden(t *testing.T) {
	h := newHost(t)
	h.reach = fleet.Reach{State: fleet.Up, User: "ada"}
	h.sockets[adaSock.Path] = newPodman(t, "4.3.1")
	h.closed[adaSock.Path], h.noRoot = true, true
	s := state(adaSock)
	s.Reach.Value = h.reach
	s.Inventory.Value.Programs = nil
	f := read(t, h.engines(), s)
	if names(f.Value) != "ada/blocky" || !f.Current() {
		t.Errorf("%q %q", names(f.Value), f.Err)
	}
	if d := h.dialled(); !slices.Contains(d, "podman --url unix:///run/user/1001/podman/podman.sock system dial-stdio as ada") {
		t.Errorf("dialled %q", d)
	}
}

// TestQuestionOutlivesTheReading: somebody types a password, slowly.
func TestQuestionOutlivesTheReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.reach = fleet.Reach{State: fleet.Up, User: "ada"}
		h.sockets[rootSocket], h.closed[rootSocket] = newPodman(t, "5.4.2"), true
		h.typing = time.Minute
		e := h.engines()
		closed := rootSock
		closed.Open = false
		s := state(closed)
		s.Reach.Value = h.reach
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		began := time.Now()
		f := e.Read(ctx, probed(s))
		if f.HasValue() || !strings.Contains(f.Err, "until the password of sudo is given") || time.Since(began) != 30*time.Second {
			t.Errorf("%s after %s", f.Err, time.Since(began))
		}
		began = time.Now()
		if f = e.Read(t.Context(), probed(s)); f.HasValue() || time.Since(began) != 0 {
			t.Errorf("%s after %s", f.Err, time.Since(began))
		}
		time.Sleep(time.Minute)
		if f = e.Read(t.Context(), probed(s)); !f.Current() || names(f.Value) != lab {
			t.Errorf("%q %q", names(f.Value), f.Err)
		}
		asked := 0
		for _, d := range h.dialled() {
			if strings.Contains(d, "dial-stdio") {
				asked++
			}
		}
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		// Nobody answers before it is closed.
		e2 := h.engines()
		ctx2, cancel2 := context.WithTimeout(t.Context(), time.Second)
		defer cancel2()
		e2.Read(ctx2, probed(s))
		e2.Close()
		e.Close()
	})
}

func TestNoEngine(t *testing.T) {
	for _, c := range []struct {
		name     string
		programs map[string]string
		nixos    bool
		none     bool
		want     string
	}{
		{"nothing", nil, true, true, "virtualisation.podman.enable"},
		{"nothing, no NixOS", nil, false, true, "no container engine"},
		{"podman without a socket", map[string]string{"podman": "/bin/podman"}, true, false, "no Podman socket: set virtualisation.podman.enable"},
		{"the same elsewhere", map[string]string{"podman": "/bin/podman"}, false, false, "systemctl enable --now podman.socket"},
		{"docker without a socket", map[string]string{"docker": "/bin/docker"}, true, false, "no Docker socket"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			e := h.engines()
			s := state()
			s.Inventory.Value.Programs, s.System.Value.NixOS = c.programs, c.nixos
			f := read(t, e, s)
			if f.HasValue() || f.None != c.none || !strings.Contains(f.Err, c.want) {
				t.Errorf("none %v: %q", f.None, f.Err)
			}
			before := len(h.dialled())
			read(t, e, s)
			if after := len(h.dialled()); after != before {
				t.Error("a host that has no socket is asked again and again")
			}
			// Podman is enabled
			h.sockets[rootSocket] = newPodman(t, "5.4.2")
			if f := read(t, e, state(rootSock)); !f.Current() {
				t.Errorf("its socket came and is not seen: %s", f.Err)
			}
		})
	}
}

// TestPodmanBehindDockersSocket counts nothing twice.
func TestPodmanBehindDockersSocket(t *testing.T) {
	linked := dockerSock
	linked.Real = rootSocket
	for name, sockets := range map[string][]fleet.Socket{
		"a link":          {rootSock, linked},
		"a bind mount":    {rootSock, dockerSock},
		"its only socket": {dockerSock},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			srv := newPodman(t, "5.4.2")
			h.sockets[dockerSock.Path] = srv
			if len(sockets) == 2 {
				h.sockets[rootSocket] = srv
			}
			e := h.engines()
			for range 2 {
				f := read(t, e, state(sockets...))
				if names(f.Value) != lab || !f.Current() || f.Source != "podman 5.4.2" {
					t.Errorf("%q %q %q", names(f.Value), f.Err, f.Source)
				}
			}
		})
	}
}

// TestOneOfSeveralFails keeps the others and says that the list is not whole.
func TestOneOfSeveralFails(t *testing.T) {
	h := newHost(t)
	h.sockets[rootSocket] = newPodman(t, "5.4.2")
	ada := newPodman(t, "4.3.1")
	h.sockets[adaSock.Path] = ada
	e := h.engines()
	whole := read(t, e, state(rootSock, adaSock))
	if !whole.Current() {
		t.Fatal(whole.Err)
	}
	ada.mu.Lock()
	ada.containers = []byte("<html>login")
	ada.mu.Unlock()
	f := read(t, e, state(rootSock, adaSock))
	if f.Current() || !f.HasValue() || names(f.Value) != names(whole.Value) {
		t.Errorf("current %v: %q", f.Current(), names(f.Value))
	}
	if !strings.Contains(f.Err, "ada's Podman (/run/user/1001/podman/podman.sock): this is no list of containers") {
		t.Errorf("%q", f.Err)
	}
	if f.At.After(whole.At.Add(time.Second)) || f.At.IsZero() {
		t.Errorf("the list is as old as its oldest part, of %s, not %s", whole.At, f.At)
	}
	// Her Podman is no more: what it once told is not kept for ever.
	if f := read(t, e, state(rootSock)); !f.Current() || names(f.Value) != lab {
		t.Errorf("%q %q", names(f.Value), f.Err)
	}
}

func TestNeverReadPartIsMissing(t *testing.T) {
	h := newHost(t)
	h.sockets[rootSocket] = newPodman(t, "5.4.2")
	f := read(t, h.engines(), state(rootSock, adaSock)) // whose socket refuses
	if f.Current() || names(f.Value) != lab || !strings.Contains(f.Err, "ada's Podman") {
		t.Errorf("%q %q", names(f.Value), f.Err)
	}
}

func TestProbeFailed(t *testing.T) {
	h := newHost(t)
	h.sockets[rootSocket] = newPodman(t, "5.4.2")
	f := h.engines().Read(t.Context(), func(context.Context) (fleet.State, error) {
		return fleet.State{}, errors.New("the host's answer broke off")
	})
	if f.Current() || names(f.Value) != lab || !strings.Contains(f.Err, "broke off") {
		t.Errorf("%q %q", names(f.Value), f.Err)
	}
}

// TestStrangers are things that listen on a socket and are no engine.
func TestStrangers(t *testing.T) {
	huge := strings.Repeat(" ", 1<<20)
	for name, handler := range map[string]http.HandlerFunc{
		"a web page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Write([]byte("<html>\x1b[31mlogin"))
		},
		"an error page": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			w.Write([]byte("<html>\x1b[31m" + huge))
		},
		"an endless answer": func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				if _, err := w.Write([]byte(huge)); err != nil {
					return
				}
			}
		},
		"an answer that breaks off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte(`[{"Id":`))
			panic(http.ErrAbortHandler)
		},
		"a redirect":     func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"null":           func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"a":1}`)) },
		"a dead process": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			sockets := []fleet.Socket{rootSock, dockerSock}
			if name == "an endless answer" {
				sockets = sockets[:1] // once is enough
			}
			h.sockets[rootSocket], h.sockets[dockerSock.Path] = handler, handler
			began := time.Now()
			f := read(t, h.engines(), state(sockets...))
			if f.HasValue() || f.None || f.Err == "" {
				t.Errorf("%d containers, %q", len(f.Value), f.Err)
			}
			if strings.ContainsRune(f.Err, 0x1b) || len(f.Err) > 2000 {
				t.Errorf("the error holds what the host sent: %.300q", f.Err)
			}
			if took := time.Since(began); took > 90*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// TestSilentSocket takes the connection and says nothing.
func TestSilentSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.mute[rootSocket] = true
		h.sockets[adaSock.Path] = newPodman(t, "4.3.1")
		e := h.engines()
		began := time.Now()
		f := e.Read(t.Context(), probed(state(rootSock, adaSock)))
		if took := time.Since(began); took < readPatience || took > readPatience+2*time.Second {
			t.Errorf("took %s", took)
		}
		if names(f.Value) != "ada/blocky" || f.Current() || !strings.Contains(f.Err, "no answer within 20s") {
			t.Errorf("%q %q", names(f.Value), f.Err)
		}
		e.Close()
	})
}

// TestReadEndsWithItsContext and with Close.
func TestReadEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.mute[rootSocket] = true
		e := h.engines()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		e.Read(ctx, probed(state(rootSock)))
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("took %s after its context ended", took)
		}
		time.AfterFunc(time.Second, func() { e.Close() })
		began = time.Now()
		e.Read(t.Context(), probed(state(rootSock)))
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("took %s after Close", took)
		}
	})
}

// TestHostIsOff says so once.
func TestHostIsOff(t *testing.T) {
	h := newHost(t)
	f := h.engines().Read(t.Context(), func(context.Context) (fleet.State, error) {
		return fleet.State{}, errors.New("storage: no route to host")
	})
	if f.HasValue() || f.Err != "which container engines there are is not known: storage: no route to host" {
		t.Errorf("%q", f.Err)
	}
}

// TestRestartsOfOlderPodman: where the list does not count restarts, each
// container is asked, once for each of its runs.
func TestRestartsOfOlderPodman(t *testing.T) {
	h := newHost(t)
	srv := newPodman(t, "4.3.1")
	id := func(n int) string { return fmt.Sprintf("%064x", n) }
	row := func(n int, more string) string {
		return fmt.Sprintf(`{"Id":"%s","Names":["c%d"],"State":"running"%s}`, id(n), n, more)
	}
	list := func(rows ...string) { srv.set([]byte("[" + strings.Join(rows, ",") + "]")) }
	h.sockets[rootSocket], srv.counts = srv, map[string]int{id(1): 3, id(2): 30}
	e := h.engines()
	check := func(what string, asked int, want ...int) {
		t.Helper()
		before := srv.count("/json") - srv.count("/containers/json") - srv.count("/images/json")
		f := e.Read(t.Context(), probed(state(rootSock)))
		for i, c := range f.Value {
			if c.Restarts == nil || *c.Restarts != want[i] {
				t.Errorf("%s: %s restarted %v, want %d", what, c.Name, c.Restarts, want[i])
			}
		}
		if n := srv.count("/json") - srv.count("/containers/json") - srv.count("/images/json") - before; n != asked || len(f.Value) != len(want) {
			t.Errorf("%s: %d were asked, want %d; %d containers, %s", what, n, asked, len(f.Value), f.Err)
		}
	}
	auto, never := row(3, `,"AutoRemove":true,"StartedAt":5,"Pid":9`), row(4, `,"StartedAt":-62135596800`)
	list(row(1, `,"StartedAt":5,"Pid":7`), row(2, `,"StartedAt":6,"Pid":8`), auto, never)
	check("at first", 2, 3, 30, 0, 0)
	check("again", 0, 3, 30, 0, 0)
	srv.mu.Lock()
	srv.counts[id(2)] = 31
	srv.mu.Unlock()
	list(row(1, `,"StartedAt":5,"Pid":7`), row(2, `,"StartedAt":6,"Pid":11`), auto, never)
	check("after a restart in the same second", 1, 3, 31, 0, 0)
	e.root.mu.Lock()
	api := e.root.api
	e.root.mu.Unlock()
	if err := e.root.renew(t.Context(), api, []string{id(1)}); err != nil {
		t.Fatal(err)
	}
	check("what was heard of is asked again, what was not is kept", 0, 3, 31, 0, 0)
}

// TestUserWithoutSocket: a user who has containers but no podman.socket is asked
// through a Podman of that user's that is lent to us, or said to be unseen.
func TestUserWithoutSocket(t *testing.T) {
	bea := fleet.Rootless{User: "bea", Home: "/home/bea", Runtime: "/run/user/1002"}
	with := func(login string, sockets ...fleet.Socket) fleet.State {
		s := state(sockets...)
		s.Inventory.Value.Rootless = []fleet.Rootless{bea}
		s.Reach.Value.User = login
		return s
	}
	h := newHost(t)
	h.sockets[rootSocket], h.sockets["lent by bea"] = newPodman(t, "5.4.2"), newPodman(t, "4.3.1")
	f := h.engines().Read(t.Context(), probed(with("root", rootSock)))
	if !f.Current() || !strings.HasSuffix(names(f.Value), " bea/blocky") {
		t.Errorf("%s: %s", names(f.Value), f.Err)
	}
	if d := h.dialled(); !slices.Contains(d, "lend /run/current-system/sw/bin/podman /home/bea /run/user/1002 as bea") {
		t.Errorf("%q", d)
	}
	t.Run("her own login", func(t *testing.T) {
		h := newHost(t)
		h.noRoot, h.reach = true, fleet.Reach{State: fleet.Up, User: "bea"}
		h.sockets["lent by bea"] = newPodman(t, "4.3.1")
		f := h.engines().Read(t.Context(), probed(with("bea")))
		if names(f.Value) != "bea/blocky" || strings.Contains(f.Err, "bea has") {
			t.Errorf("%s: %s", names(f.Value), f.Err)
		}
	})
	t.Run("no root", func(t *testing.T) {
		h := newHost(t)
		h.noRoot, h.reach = true, fleet.Reach{State: fleet.Up, User: "ada"}
		h.sockets[rootSocket] = newPodman(t, "5.4.2")
		f := h.engines().Read(t.Context(), probed(with("ada", rootSock)))
		if f.Current() || !strings.Contains(f.Err, "bea has no podman.socket") || !strings.Contains(f.Err, "systemctl --user enable --now podman.socket") || len(f.Value) == 0 {
			t.Errorf("%s: %s", names(f.Value), f.Err)
		}
	})
	t.Run("she has one by now", func(t *testing.T) {
		h := newHost(t)
		h.sockets["lent by bea"] = newPodman(t, "4.3.1")
		e := h.engines()
		if f := e.Read(t.Context(), probed(with("root"))); names(f.Value) != "bea/blocky" {
			t.Fatalf("%s: %s", names(f.Value), f.Err)
		}
		sock := fleet.Socket{Path: bea.Runtime + "/podman/podman.sock", Owner: "bea", Open: true}
		h.listen(sock.Path, newPodman(t, "5.4.2"))
		if f := e.Read(t.Context(), probed(with("root", sock))); len(f.Value) < 5 || !f.Current() || !slices.Contains(h.dialled(), "dial "+sock.Path) {
			t.Errorf("%s: %s", names(f.Value), f.Err)
		}
	})
}
