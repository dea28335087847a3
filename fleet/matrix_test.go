package fleet

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var matrixNow = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// untold stands for the state of a unit that systemd does not tell of.
const untold = "-"

// declaring is a NixOS host whose system has the units, all of which multi-user.target
// wants.
func declaring(name string, units ...DeclaredUnit) State {
	st := State{Host: Host{ID: HostID(name), Name: name}}
	top := "/nix/store/0000-nixos-system-" + name
	for i := range units {
		u := &units[i]
		if u.Origin == "" {
			u.Origin = FromModules
		}
		switch u.Active {
		case "":
			u.Active, u.Sub = "active", "running"
		case untold:
			u.Active, u.Sub = "", ""
		}
		if u.WantedBy == nil {
			u.WantedBy = []string{"multi-user.target"}
		}
	}
	st.Reach = Known(Reach{State: Up}, matrixNow, "ssh")
	st.System = Known(System{NixOS: true, Running: Toplevel{Path: top}, Uptime: 86400, Manager: "running"}, matrixNow, "probe")
	st.Declared = Known(Declared{Toplevel: top, Settled: true, Units: units, Data: map[string][]string{}}, matrixNow, "modules")
	st.Containers = Nothing[[]Container]("no engine", matrixNow, "probe")
	st.Listens = Known([]Listener{}, matrixNow, "ss")
	st.Sites = Nothing[[]Proxy]("no Caddy", matrixNow, "probe")
	st.Secrets = Nothing[HostSecrets]("none", matrixNow, "probe")
	st.Backups = Known([]BackupJob{}, matrixNow, "units")
	st.Alarms = Nothing[[]Alarm]("no Netdata", matrixNow, "probe")
	st.Monitors = Nothing[[]Monitor]("no Prometheus", matrixNow, "probe")
	st.Firewall = Known(Firewall{Kind: "nftables", Links: []FirewallLink{{Name: "eth0", Zone: FromInternet, Addresses: []netip.Prefix{netip.MustParsePrefix("203.0.113.9/24")}}}}, matrixNow, "nft")
	return st
}

func (s *State) with(c ...Container) { s.Containers = Known(c, matrixNow, "podman") }

// rowOf finds the row of a service, by "NAME@HOST".
func rowOf(t *testing.T, name string, states ...State) ServiceRow {
	t.Helper()
	var all []string
	for _, r := range (Snapshot{Hosts: states}).Matrix(matrixNow).Rows {
		if r.Name+"@"+r.Host == name {
			return r
		}
		all = append(all, r.Name+"@"+r.Host)
	}
	t.Fatalf("there is no %s among %v", name, all)
	return ServiceRow{}
}

func holds(t *testing.T, what string, c Cell, state CellState, why string) {
	t.Helper()
	if c.State != state || !strings.Contains(c.Why, why) {
		t.Errorf("%s: %s: %s; want %s: …%s…", what, c.State, c.Why, state, why)
	}
}

// TestMissing: a unit is declared and missing only where that is known.
func TestMissing(t *testing.T) {
	dead := DeclaredUnit{Name: "app.service", Active: "inactive", Sub: "dead", Type: "notify"}
	with := func(change func(*DeclaredUnit)) DeclaredUnit {
		u := dead
		change(&u)
		return u
	}
	for what, c := range map[string]struct {
		unit    DeclaredUnit
		missing bool
		state   CellState
		host    func(*State)
	}{
		"it is wanted and does not run":    {unit: dead, missing: true, state: CellBroken},
		"it was never started":             {unit: with(func(u *DeclaredUnit) { u.Type = "simple" }), missing: true, state: CellBroken},
		"it ended well, and may":           {unit: with(func(u *DeclaredUnit) { u.Type, u.Ran, u.Result = "simple", true, "success" }), state: CellUnknown},
		"it was stopped, and always stays": {unit: with(func(u *DeclaredUnit) { u.Type, u.Ran, u.Result, u.Restart = "simple", true, "success", "always" }), missing: true, state: CellBroken},
		"a oneshot":                        {unit: with(func(u *DeclaredUnit) { u.Type, u.Ran = "oneshot", true }), state: CellYes},
		"a oneshot that never ran":         {unit: with(func(u *DeclaredUnit) { u.Type = "oneshot" }), state: CellUnknown},
		"a oneshot that stays":             {unit: with(func(u *DeclaredUnit) { u.Type, u.Ran, u.Stays = "oneshot", true, true }), missing: true, state: CellBroken},
		"its timer is not active": {unit: with(func(u *DeclaredUnit) {
			u.Starters, u.Idle, u.WantedBy = []string{"app.timer"}, []string{"app.timer"}, []string{}
		}), state: CellUnknown},
		"wanted, but its socket is stopped": {unit: with(func(u *DeclaredUnit) { u.Starters, u.Idle = []string{"app.socket"}, []string{"app.socket"} }), missing: true, state: CellBroken},
		"systemd does not tell of it":       {unit: with(func(u *DeclaredUnit) { u.Active = untold }), state: CellUnknown},
		"not told, and nothing wants it":    {unit: with(func(u *DeclaredUnit) { u.Active, u.WantedBy = untold, []string{} }), state: CellUnknown},
		"a timer starts it":                 {unit: with(func(u *DeclaredUnit) { u.Starters = []string{"app.timer"} }), state: CellYes},
		"a template":                        {unit: with(func(u *DeclaredUnit) { u.Name = "app@.service" }), state: CellNo},
		"masked":                            {unit: with(func(u *DeclaredUnit) { u.Masked = true }), state: CellNo},
		"conditions":                        {unit: with(func(u *DeclaredUnit) { u.Skipped = true }), state: CellNo},
		"nothing wants it":                  {unit: with(func(u *DeclaredUnit) { u.WantedBy = []string{} }), state: CellNo},
		"it failed":                         {unit: with(func(u *DeclaredUnit) { u.Active = "failed" }), state: CellBroken},
		"it starts":                         {unit: with(func(u *DeclaredUnit) { u.Active = "activating" }), state: CellUnknown},
		"it is about to":                    {unit: with(func(u *DeclaredUnit) { u.Job = true }), state: CellUnknown},
		"just booted":                       {unit: dead, state: CellUnknown, host: func(s *State) { s.System.Value.Uptime = 20 }},
		"just switched":                     {unit: dead, state: CellUnknown, host: func(s *State) { s.Declared.Value.Settled, s.Declared.Value.Why = false, "just switched" }},
		"another system runs":               {unit: dead, state: CellUnknown, host: func(s *State) { s.System.Value.Running.Path = "/nix/store/1111-nixos" }},
		"units are not known":               {unit: dead, state: CellUnknown, host: func(s *State) { s.Declared.Err = "no answer" }},
		"it runs by now": {unit: dead, state: CellYes, host: func(s *State) {
			s.Units = Known([]Unit{{Name: "app.service", Active: "active", Sub: "running"}}, matrixNow.Add(time.Second), "probe")
		}},
		"it ran a moment ago": {unit: with(func(u *DeclaredUnit) { u.Active, u.Sub = "active", "running" }), state: CellUnknown, host: func(s *State) {
			s.Units = Known([]Unit{{Name: "app.service", Active: "inactive", Sub: "dead"}}, matrixNow.Add(time.Second), "probe")
		}},
		"its container runs without it": {unit: with(func(u *DeclaredUnit) { u.Name = "podman-app.service" }), state: CellYes, host: func(s *State) {
			s.with(Container{Engine: "podman", User: "root", Name: "app", ID: "1", State: "running", Unit: "podman-app.service"})
		}},
	} {
		st := declaring("storage", c.unit)
		st.Declared.Value.Registry = Registry{There: true, Entries: []RegistryEntry{{Name: stem(c.unit.Name)}}}
		if c.host != nil {
			c.host(&st)
		}
		var problems bench
		st.missingProblems(matrixNow.Add(2*time.Second), &problems)
		if (len(problems) == 1) != c.missing {
			t.Errorf("%s: %+v", what, problems)
		}
		for _, r := range (Snapshot{Hosts: []State{st}}).Matrix(matrixNow.Add(2 * time.Second)).Rows {
			if r.Missing != c.missing {
				t.Errorf("%s: missing %v", what, r.Missing)
			}
			holds(t, what, r.Configured, c.state, "")
		}
	}
}

// TestUnderAnotherName: what runs under another name is not missing.
func TestUnderAnotherName(t *testing.T) {
	dead := DeclaredUnit{Name: "podman-app.service", Active: "inactive", Type: "notify"}
	for _, other := range []string{"docker-app.service", "app.service", "app@1.service"} {
		st := declaring("storage", dead, DeclaredUnit{Name: other})
		var b bench
		if st.missingProblems(matrixNow, &b); len(b) > 0 {
			t.Errorf("with %s: %+v", other, b)
		}
	}
	st := declaring("storage", dead, DeclaredUnit{Name: "apple.service"})
	var b bench
	if st.missingProblems(matrixNow, &b); len(b) != 1 || b[0].Of.Key() != "unit:podman-app.service" || b[0].Cure != "sextant unit start storage podman-app.service" {
		t.Errorf("%+v", b)
	}
}

// TestUndeclared: what runs and is not of the modules is told as what it is.
func TestUndeclared(t *testing.T) {
	st := declaring("storage",
		DeclaredUnit{Name: "left.service", Origin: FromNowhere}, DeclaredUnit{Name: "run-u1.service", Origin: FromTransient},
		DeclaredUnit{Name: "own.service", Origin: FromHand, File: "/run/systemd/system/own.service"}, DeclaredUnit{Name: "memos.service", Origin: FromQuadlet, File: "/etc/containers/systemd/memos.container"})
	st.with(Container{Engine: "podman", User: "root", Name: "handmade", ID: "1", State: "running"}, Container{Engine: "podman", User: "root", Name: "done", ID: "2", State: "exited"},
		Container{Engine: "podman", User: "ada", Name: "notes", ID: "3", State: "running", Unit: "notes.service", UserUnit: true}, Container{Engine: "podman", User: "root", Name: "systemd-memos", ID: "4", State: "running", Unit: "memos.service"})
	st.Listens.Value = []Listener{{Proto: "tcp", Address: "0.0.0.0", Port: 8000, Process: "python3", PID: 9}, {Proto: "tcp", Address: "0.0.0.0", Port: 22, Process: "sshd", Unit: "sshd.service"}, {Proto: "tcp", Address: "0.0.0.0", Port: 111, Process: "systemd"}}
	for name, c := range map[string]struct {
		state CellState
		why   string
	}{
		"left": {CellBroken, "left over"}, "run-u1": {CellBroken, "systemd-run"}, "own": {CellBroken, "/run/systemd/system/own.service"}, "memos": {CellYes, "memos.service"},
		"handmade": {CellBroken, "started by hand"}, "done": {CellNo, "exited"}, "notes": {CellNo, "ada's own"}, "python3": {CellBroken, "runs in no unit"},
	} {
		r := rowOf(t, name+"@storage", st)
		holds(t, name, r.Defined, c.state, c.why)
		if r.Undeclared != (c.state == CellBroken) {
			t.Errorf("%s: undeclared %v", name, r.Undeclared)
		}
	}
	if rows := (Snapshot{Hosts: []State{st}}).Matrix(matrixNow).Rows; len(rows) != 8 {
		t.Errorf("%d rows: %+v", len(rows), rows)
	}
	st.Declared.Err = "no answer"
	holds(t, "unread", rowOf(t, "handmade@storage", st).Defined, CellUnknown, "no answer")
}

// TestRegistry: entries are the rows of their containers and units, by name before by
// port; what has neither and does not listen is missing.
func TestRegistry(t *testing.T) {
	st := declaring("storage", DeclaredUnit{Name: "podman-jellyfin.service"}, DeclaredUnit{Name: "bitwarden-rs.service"}, DeclaredUnit{Name: "caddy.service"})
	st.with(Container{Engine: "podman", User: "root", Name: "jellyfin", ID: "1", State: "running", Unit: "podman-jellyfin.service", Ports: []Port{{Host: 8096, Container: 8096, Protocol: "tcp"}}})
	st.Listens.Value = []Listener{{Proto: "tcp", Address: "*", Port: 8222, Process: "vaultwarden", Unit: "bitwarden-rs.service"}, {Proto: "tcp", Address: "*", Port: 9000, Process: "odd"}}
	st.Declared.Value.Registry = Registry{There: true, Entries: []RegistryEntry{
		{Name: "jellyfin", Ports: []uint16{8096}}, {Name: "vaultwarden", Ports: []uint16{8222}}, {Name: "gone", Ports: []uint16{7000}}, {Name: "portless"}, {Name: "kodi", Ports: []uint16{8096}},
	}}
	if r := rowOf(t, "jellyfin@storage", st); !r.Listed || r.Unit != "podman-jellyfin.service" || r.Container != "jellyfin" {
		t.Errorf("%+v", r)
	}
	if r := rowOf(t, "bitwarden-rs@storage", st); !r.Listed {
		t.Errorf("%+v", r)
	}
	gone := rowOf(t, "gone@storage", st)
	holds(t, "gone", gone.Configured, CellBroken, "nobody listens at port 7000")
	if !gone.Missing {
		t.Error("it is missing")
	}
	holds(t, "portless", rowOf(t, "portless@storage", st).Configured, CellUnknown, "no port")
	holds(t, "kodi", rowOf(t, "kodi@storage", st).Configured, CellUnknown, "listens")
	var b bench
	if st.missingProblems(matrixNow, &b); len(b) != 1 || !strings.Contains(b[0].What, "gone is in the registry") {
		t.Errorf("%+v", b)
	}
	st.Listens.Err = "no ss"
	holds(t, "who listens is not known", rowOf(t, "gone@storage", st).Configured, CellUnknown, "no ss")
	st.Declared.Value.Registry = Registry{There: true, Err: "it is HTML"}
	if m := (Snapshot{Hosts: []State{st}}).Matrix(matrixNow); len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "it is HTML") {
		t.Errorf("%q", m.Notes)
	}
	st.Declared.Value.Registry = Registry{}
	if m := (Snapshot{Hosts: []State{st}}).Matrix(matrixNow); len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "no registry") {
		t.Errorf("%q", m.Notes)
	}
}

// serving gives a host a Caddy with sites that lead somewhere.
func serving(st State, nameDial ...string) State {
	p := Proxy{Kind: "caddy", Unit: "caddy.service"}
	for i := 0; i < len(nameDial); i += 2 {
		p.Sites = append(p.Sites, Site{Name: nameDial[i], Listen: []string{":443"}, Port: 443, TLS: true, Routes: []Route{{Handler: "reverse_proxy", Known: true, Upstreams: []Upstream{{Dial: nameDial[i+1]}}}}})
	}
	st.Sites = Known([]Proxy{p}, matrixNow, "caddy")
	st.Listens.Value = append(st.Listens.Value, Listener{Proto: "tcp", Address: "*", Port: 443, Process: "caddy", Unit: "caddy.service"})
	return st
}

// TestWhereSitesLead: addresses that every host has mean the proxy's own host; names
// go before ports; what cannot be placed is not known.
func TestWhereSitesLead(t *testing.T) {
	box := func(name string, port uint16) Container {
		return Container{Engine: "podman", User: "root", Name: name, ID: name, State: "running", Unit: "podman-" + name + ".service", Ports: []Port{{Host: port, Container: port, Protocol: "tcp"}}}
	}
	bridge := FirewallLink{Name: "podman0", Zone: ToContainers, Addresses: []netip.Prefix{netip.MustParsePrefix("10.88.0.1/16")}}
	host := func(name string) State {
		st := declaring(name, DeclaredUnit{Name: "podman-app.service"}, DeclaredUnit{Name: "caddy.service"})
		st.with(box("app", 8080), box("twin", 8080))
		st.Firewall.Value.Links = append(st.Firewall.Value.Links, bridge)
		return st
	}
	storage, cloud := host("storage"), host("cloud")
	for dial, want := range map[string][2]CellState{ // of app on cloud, which has the Caddy, and on storage
		"127.0.0.1:8080": {CellYes, CellNo}, "localhost:8080": {CellYes, CellNo}, "10.88.0.1:8080": {CellYes, CellNo}, "172.17.0.1:8080": {CellYes, CellNo},
		"storage:8080": {CellNo, CellYes}, "elsewhere.lan:8080": {CellUnknown, CellUnknown}, "elsewhere.lan:81": {CellNo, CellNo}, "unix//run/app.sock": {CellUnknown, CellNo}, "{http.x}:8080": {CellUnknown, CellNo},
	} {
		c := serving(cloud, "app.example.org", dial)
		for i, name := range []string{"app@cloud", "app@storage"} {
			if r := rowOf(t, name, storage, c); r.Exposed.State != want[i] {
				t.Errorf("%s, %s: %+v", dial, name, r.Exposed)
			}
		}
	}
	c := serving(cloud, "twin.example.org", "127.0.0.1:8080")
	if r := rowOf(t, "twin@cloud", storage, c); len(r.Names) != 1 {
		t.Errorf("%+v", r)
	}
	storage.Sites = Unknown[[]Proxy](errors.New("its admin API does not answer"), matrixNow, "caddy")
	holds(t, "an unread proxy", rowOf(t, "app@cloud", storage, c).Exposed, CellUnknown, "admin API")
	holds(t, "beside an unread proxy", rowOf(t, "twin@cloud", storage, c).Exposed, CellYes, "twin.example.org by cloud")
}

// TestBrief: what is kept for the next start makes the same rows.
func TestBrief(t *testing.T) {
	st := declaring("storage", DeclaredUnit{Name: "systemd-journald.service"}, DeclaredUnit{Name: "dbus.service"}, DeclaredUnit{Name: "left.service", Origin: FromNowhere},
		DeclaredUnit{Name: "app.service", Active: "inactive", Type: "notify"}, DeclaredUnit{Name: "idle.service", Active: "inactive", WantedBy: []string{}})
	st.Declared.Value.Registry = Registry{There: true, Entries: []RegistryEntry{{Name: "dbus", Unit: "dbus.service"}}}
	brief := st
	brief.Declared = Derive(st.Declared, Declared.Brief)
	if n := len(brief.Declared.Value.Units); n != 3 || len(st.Declared.Value.Units) != 5 {
		t.Errorf("%d units are kept", n)
	}
	for _, name := range []string{"left@storage", "app@storage", "dbus@storage"} {
		if a, b := rowOf(t, name, st), rowOf(t, name, brief); a.Defined != b.Defined || a.Configured != b.Configured || a.Missing != b.Missing {
			t.Errorf("%s: %+v, of what is kept %+v", name, a, b)
		}
	}
}

// TestOfflineProxy: a host that the tailnet calls offline serves nobody; one that only
// does not answer may.
func TestOfflineProxy(t *testing.T) {
	st, away := declaring("storage", DeclaredUnit{Name: "left.service", Origin: FromNowhere}), State{Host: Host{ID: "away", Name: "away"}}
	away = away.Lost(errors.New("no answer"), matrixNow)
	holds(t, "it does not answer", rowOf(t, "left@storage", st, away).Exposed, CellUnknown, "away: ")
	holds(t, "nor do its monitors", rowOf(t, "left@storage", st, away).Monitored, CellUnknown, "away")
	away.Host.Presence = Known(Presence{Online: false}, matrixNow, "tailscale")
	holds(t, "it is offline", rowOf(t, "left@storage", st, away).Exposed, CellNo, "")
	holds(t, "its monitors too", rowOf(t, "left@storage", st, away).Monitored, CellNo, "")
}

// TestPastTheProxy: what the internet reaches past the proxy is broken, unless meant.
func TestPastTheProxy(t *testing.T) {
	st := declaring("cloud", DeclaredUnit{Name: "app.service"})
	l := Listener{Proto: "tcp", Address: "*", Port: 9000, Process: "app", Unit: "app.service"}
	st.Listens.Value = []Listener{l}
	door := func(p Passage) {
		st.Firewall.Value.Listeners = []ListenerDoors{{Proto: "tcp", Address: "*", Port: 9000, Doors: Doors{Internet: Door{p, "a rule"}}}}
	}
	door(Passes)
	holds(t, "open", rowOf(t, "app@cloud", st).Exposed, CellBroken, "past any proxy: a rule")
	door(Stopped)
	holds(t, "closed", rowOf(t, "app@cloud", st).Exposed, CellNo, "")
	door(PassesUnknown)
	holds(t, "unknown", rowOf(t, "app@cloud", st).Exposed, CellUnknown, "a rule")
	st.Meant = []Meant{{Host: "cloud", Port: "tcp/9000", Why: "it is"}}
	door(Passes)
	holds(t, "meant", rowOf(t, "app@cloud", st).Exposed, CellNo, "")
}

// TestProtected: by who is asked before the route, and how that one is.
func TestProtected(t *testing.T) {
	host := func(a *ForwardAuth, open Passage) State {
		st := serving(declaring("cloud", DeclaredUnit{Name: "app.service"}, DeclaredUnit{Name: "caddy.service"}), "app.example.org", "127.0.0.1:9000")
		st.Listens.Value = append(st.Listens.Value, Listener{Proto: "tcp", Address: "127.0.0.1", Port: 9000, Process: "app", Unit: "app.service"})
		st.Sites.Value[0].Sites[0].Routes[0].Auth = a
		st.Firewall.Value.Listeners = []ListenerDoors{{Proto: "tcp", Address: "*", Port: 443, Doors: Doors{Internet: Door{open, "a rule"}}}}
		st.Services = Known([]Service{{Kind: "authelia", Unit: "authelia-main.service", Address: "127.0.0.1:9091", Health: HealthOK}}, matrixNow, "checks")
		return st
	}
	asks := &ForwardAuth{Kind: "forward_auth", Upstream: []string{"127.0.0.1:9091"}, Nobody: &AuthAnswer{Status: 302}}
	st := host(asks, Passes)
	holds(t, "asked", rowOf(t, "app@cloud", st).Protected, CellYes, "authelia on cloud, which keeps out who has not signed in (HTTP 302)")
	bypassed, unasked := *asks, *asks
	bypassed.Nobody = &AuthAnswer{Status: 200, Passes: true}
	holds(t, "bypassed", rowOf(t, "app@cloud", host(&bypassed, Passes)).Protected, CellBroken, "forward_auth lets everybody pass: no sign-in is asked for, the internet reaches it")
	holds(t, "bypassed, inside", rowOf(t, "app@cloud", host(&bypassed, Stopped)).Protected, CellNo, "does not reach")
	unasked.Nobody, unasked.Unasked = nil, "the site is for more than one name"
	holds(t, "not known whom it lets pass", rowOf(t, "app@cloud", host(&unasked, Passes)).Protected, CellUnknown, "more than one name")
	st.Services.Value[0].Health, st.Services.Value[0].Why = HealthBroken, "HTTP 500"
	holds(t, "of a broken one", rowOf(t, "app@cloud", st).Protected, CellBroken, "HTTP 500")
	st.Services = Unknown[[]Service](errors.New("no answer"), matrixNow, "checks")
	holds(t, "of one that is not known", rowOf(t, "app@cloud", st).Protected, CellUnknown, "no answer")
	part := *asks
	part.When = []AnyOf{{{{Kind: "path", Values: []string{"/admin/*"}}}}}
	holds(t, "in part", rowOf(t, "app@cloud", host(&part, Passes)).Protected, CellPart, "/admin/*")
	holds(t, "nobody", rowOf(t, "app@cloud", host(nil, Passes)).Protected, CellBroken, "not listed as meant")
	holds(t, "nobody, inside", rowOf(t, "app@cloud", host(nil, Stopped)).Protected, CellNo, "does not reach")
	unseen := host(nil, Stopped)
	unseen.Listens.Value = unseen.Listens.Value[1:] // nobody at 443
	holds(t, "nobody is seen to listen", rowOf(t, "app@cloud", unseen).Protected, CellUnknown, "nothing is seen to listen")
	holds(t, "an unchecked one", rowOf(t, "app@cloud", host(&ForwardAuth{Kind: "forward_auth", Upstream: []string{"127.0.0.1:9099"}}, Passes)).Protected, CellUnknown, "not checked")
	holds(t, "one elsewhere", rowOf(t, "app@cloud", host(&ForwardAuth{Kind: "forward_auth", Upstream: []string{"auth.example.com:443"}}, Passes)).Protected, CellUnknown, "no host of the fleet")
	holds(t, "nobody, perhaps", rowOf(t, "app@cloud", host(nil, PassesUnknown)).Protected, CellUnknown, "a rule")
	meant := host(nil, Passes)
	meant.Meant = []Meant{{Name: "app.example.org", Why: "it signs in itself"}}
	holds(t, "bypassed", rowOf(t, "app@cloud", meant).Protected, CellNo, "bypassed, as is meant: it signs in itself")
}

// TestSavedWatchedSecret are the other columns.
func TestSavedWatchedSecret(t *testing.T) {
	st := declaring("storage", DeclaredUnit{Name: "podman-app.service", Ran: true})
	st.with(Container{Engine: "podman", User: "root", Name: "app", ID: "1", State: "running", Unit: "podman-app.service", Ports: []Port{{Host: 8080, Container: 80, Protocol: "tcp"}}})
	app := func() ServiceRow { return rowOf(t, "app@storage", st) }
	holds(t, "mounts not known", app().BackedUp, CellUnknown, "mounts")
	st.Declared.Value.Data["app"] = []string{"/var/lib/app", "/nix/store/x", "/etc/localtime"}
	holds(t, "no job", app().BackedUp, CellNo, "no backup job")
	st.Backups.Value = []BackupJob{{Name: "a", State: BackupFresh, Paths: []string{"/var/lib/apple"}}}
	holds(t, "another folder", app().BackedUp, CellNo, "no job saves /var/lib/app")
	st.Backups.Value = append(st.Backups.Value, BackupJob{Name: "b", State: BackupFresh})
	holds(t, "paths not told", app().BackedUp, CellUnknown, "what b saves")
	st.Backups.Value[1] = BackupJob{Name: "c", State: BackupStale, Paths: []string{"/var"}}
	holds(t, "stale", app().BackedUp, CellBroken, "c is stale")
	st.Backups.Value[1].State = BackupFresh
	holds(t, "saved", app().BackedUp, CellYes, "c saves /var/lib/app")

	st.Secrets = Known(HostSecrets{Secrets: []HostSecret{{Name: "env", UsedBy: []string{"podman-app.service"}}}, Started: map[string]time.Time{"podman-app.service": matrixNow.Add(-time.Hour)}}, matrixNow, "units")
	holds(t, "a secret", app().Secrets, CellYes, "env")
	st.Secrets.Value.Secrets[0].Changed = matrixNow
	holds(t, "an older secret", app().Secrets, CellBroken, "older")
	st.Secrets.Value.Secrets[0].Missing = true
	holds(t, "a missing secret", app().Secrets, CellBroken, "not decrypted: env")
	st.Secrets.Err = "not root"
	holds(t, "secrets not read", app().Secrets, CellUnknown, "not root")

	holds(t, "nothing watches", app().Monitored, CellNo, "no Netdata")
	st.Alarms = Known([]Alarm{}, matrixNow, "netdata")
	holds(t, "the host is watched", app().Monitored, CellPart, "netdata")
	st.Monitors = Known([]Monitor{{Kind: "prometheus", Watched: []Watch{{Job: "apps", Address: "127.0.0.1:8080", Health: "up"}}}}, matrixNow, "api")
	holds(t, "it is watched", app().Monitored, CellYes, "prometheus on storage asks 127.0.0.1:8080")
	st.Monitors.Value[0].Watched[0].Health = "unknown"
	holds(t, "how it is is not told", app().Monitored, CellUnknown, "does not tell")
	st.Monitors.Value[0].Watched[0].Address, st.Monitors.Value[0].Targets = "127.0.0.1:1", 2000
	holds(t, "not all that is asked is known", app().Monitored, CellUnknown, "only the first 1 of the 2000")
	asked := st.Monitors
	st.Monitors = Fact[[]Monitor]{}
	holds(t, "monitors were not asked yet", app().Monitored, CellUnknown, "not asked yet")
	st.Monitors = asked
	st.Monitors.Value[0].Watched[0].Address, st.Monitors.Value[0].Watched[0].Health = "127.0.0.1:8080", "down"
	holds(t, "it does not answer", app().Monitored, CellBroken, "no answer")
	st.Monitors.Value[0] = Monitor{Kind: "prometheus", Err: "HTTP 500"}
	holds(t, "a monitor that does not tell", app().Monitored, CellUnknown, "HTTP 500")
	st.Alarms.Value = []Alarm{{Name: "cpu", Chart: "cgroup_app.cpu", Value: "99 %"}}
	holds(t, "an alarm", app().Monitored, CellBroken, "cpu")
}

// TestByHand: only what is known to be started by hand is said to be.
func TestByHand(t *testing.T) {
	st := declaring("storage")
	st.with(
		Container{Engine: "podman", User: "root", Name: "aa-infra", ID: "1", State: "running", Infra: true, Pod: "shop"},
		Container{Engine: "docker", User: "root", Name: "wiki", ID: "2", State: "running", Compose: "wiki"})
	tcp := func(process, scope, user string) {
		st.Listens.Value = append(st.Listens.Value, Listener{Proto: "tcp", Address: "*", Port: uint16(9000 + len(st.Listens.Value)), Process: process, Scope: scope, User: user})
	}
	tcp("kdeconnectd", "app-kdeconnect-7.scope", "1000")
	tcp("vite", "session-3.scope", "1000")
	tcp("python3", "session-4.scope", "0")
	tcp("qemu", `machine-qemu\x2d1.scope`, "")
	st.Listens.Value = append(st.Listens.Value, Listener{Proto: "udp", Address: "*", Port: 40000, Process: "asker"})
	for name, want := range map[string]CellState{"wiki": CellUnknown, "kdeconnectd": CellNo, "vite": CellNo, "python3": CellBroken, "qemu": CellUnknown} {
		holds(t, name, rowOf(t, name+"@storage", st).Defined, want, "")
	}
	if rows := (Snapshot{Hosts: []State{st}}).Matrix(matrixNow).Rows; len(rows) != 5 {
		t.Errorf("%d rows: %+v", len(rows), rows)
	}
}

// TestRegistryOfMachines: an entry may be a container of NixOS, and have its port where
// nobody listens.
func TestRegistryOfMachines(t *testing.T) {
	st := declaring("storage", DeclaredUnit{Name: "container@web.service"})
	st.Declared.Value.Registry = Registry{There: true, Entries: []RegistryEntry{{Name: "web", Ports: []uint16{8080}, Unit: "container@web.service"}, {Name: "sent", Ports: []uint16{8443}}, {Name: "dns", Ports: []uint16{53}}, {Name: "gone", Ports: []uint16{7000}}}}
	st.Firewall.Value.Sent = []PortForward{{Proto: "tcp", Port: 8443, To: "10.0.0.2", ToPort: 443}}
	st.Listens.Value = []Listener{{Proto: "udp", Address: "10.0.0.1", Port: 53, Process: "named"}}
	if r := rowOf(t, "web@storage", st); r.Unit != "container@web.service" || r.Configured.State != CellYes || !r.Listed {
		t.Errorf("%+v", r)
	}
	holds(t, "sent on", rowOf(t, "sent@storage", st).Configured, CellUnknown, "10.0.0.2")
	holds(t, "of UDP", rowOf(t, "dns@storage", st).Configured, CellUnknown, "named")
	var b bench
	if st.missingProblems(matrixNow, &b); len(b) != 1 || b[0].Of.Key() != "service:registry/gone" {
		t.Errorf("%+v", b)
	}
	st.Declared.Value.Registry = Registry{There: true, Err: "it is HTML"}
	b = nil
	if st.missingProblems(matrixNow, &b); len(b) != 1 || b[0].Severity != SeverityUnknown || !strings.Contains(b[0].What, "it is HTML") {
		t.Errorf("%+v", b)
	}
	if m := (Snapshot{Hosts: []State{st}}).Matrix(matrixNow); !m.Dark("storage") {
		t.Error("what its registry has is not known")
	}
}

// TestSaved: each folder is judged by the best job that saves it.
func TestSaved(t *testing.T) {
	job := func(state BackupState, paths ...string) BackupJob {
		return BackupJob{Name: string(state), State: state, Paths: paths}
	}
	for what, c := range map[string]struct {
		jobs  []BackupJob
		state CellState
		why   string
	}{
		"a fresh one and a stale one":   {[]BackupJob{job(BackupStale, "/a", "/b"), job(BackupFresh, "/")}, CellYes, "saves /a, /b"},
		"one folder by a stale one":     {[]BackupJob{job(BackupFresh, "/a"), job(BackupStale, "/b")}, CellBroken, "stale is stale"},
		"one of which it is not known":  {[]BackupJob{job(BackupUnknown, "/a", "/b")}, CellUnknown, "unknown is unknown"},
		"unknown is better than failed": {[]BackupJob{job(BackupFailed, "/"), job(BackupUnknown, "/a", "/b")}, CellUnknown, ""},
		"a part of a folder":            {[]BackupJob{job(BackupFresh, "/a/db", "/b")}, CellPart, "not all of /a"},
		"one folder":                    {[]BackupJob{job(BackupFresh, "/a")}, CellPart, "not all of /b"},
		"none":                          {[]BackupJob{job(BackupFresh, "/c")}, CellNo, "no job saves /a, /b"},
		"perhaps":                       {[]BackupJob{job(BackupFresh)}, CellUnknown, "is not known"},
	} {
		st := declaring("storage")
		st.Backups.Value = c.jobs
		holds(t, what, st.saved([]string{"/a", "/b"}), c.state, c.why)
	}
}

// TestManyMissing: that much is missing is told, and not a thousand times.
func TestManyMissing(t *testing.T) {
	var units []DeclaredUnit
	for i := range 2000 {
		units = append(units, DeclaredUnit{Name: fmt.Sprintf("u%04d.service", i), Active: "inactive", Type: "notify"})
	}
	st := declaring("storage", units...)
	for i := range 1000 {
		st.Declared.Value.Registry.Entries = append(st.Declared.Value.Registry.Entries, RegistryEntry{Name: fmt.Sprintf("r%d", i), Ports: []uint16{uint16(i + 1)}})
	}
	var b bench
	st.missingProblems(matrixNow, &b)
	var more []string
	for _, p := range b {
		if strings.Contains(p.What, "more") {
			more = append(more, p.What)
		}
	}
	if len(b) != 2*maxMissing+2 || strings.Join(more, ", ") != "declared and missing: 1950 more units, declared and missing: 950 more services of the registry" {
		t.Errorf("%d problems, %q", len(b), more)
	}
}

// TestManyServices: what is too much is cut, and said to be.
func TestManyServices(t *testing.T) {
	var units []DeclaredUnit
	for i := range 2000 {
		units = append(units, DeclaredUnit{Name: fmt.Sprintf("u%04d.service", i), Origin: FromNowhere})
	}
	st := declaring("storage", units...)
	for i := range 1000 {
		st.Declared.Value.Registry.Entries = append(st.Declared.Value.Registry.Entries, RegistryEntry{Name: fmt.Sprintf("r%d", i), Ports: []uint16{uint16(i + 1)}})
	}
	st.Declared.Value.Registry.There = true
	began := time.Now()
	m := (Snapshot{Hosts: []State{st}}).Matrix(matrixNow)
	if len(m.Rows) != maxServiceRows || len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "only the first 1000 of 3000") {
		t.Errorf("%d rows, %q", len(m.Rows), m.Notes)
	}
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("it took %s", d)
	}
}

// BenchmarkMatrix is the matrix of five hundred hosts of twenty containers each.
func BenchmarkMatrix(b *testing.B) {
	var hosts []State
	for i := range 500 {
		var units []DeclaredUnit
		var boxes []Container
		for k := range 20 {
			name := fmt.Sprintf("app%d", k)
			units = append(units, DeclaredUnit{Name: "podman-" + name + ".service"})
			boxes = append(boxes, Container{Engine: "podman", User: "root", Name: name, ID: name, State: "running", Unit: "podman-" + name + ".service", Ports: []Port{{Host: uint16(8000 + k), Container: 80}}})
		}
		st := declaring(fmt.Sprintf("host%d", i), units...)
		st.with(boxes...)
		if i%100 == 0 {
			st = serving(st, "a.example.org", "host1:8001", "b.example.org", "127.0.0.1:8002", "c.example.org", "elsewhere:1")
		}
		if i%100 == 0 {
			var asks []Watch
			for k := range 1000 {
				asks = append(asks, Watch{Job: "apps", Address: fmt.Sprintf("host%d:%d", k/2, 8000+k%20), Health: "up"})
			}
			st.Monitors = Known([]Monitor{{Kind: "prometheus", Targets: 1000, Watched: asks}}, matrixNow, "api")
		}
		hosts = append(hosts, st)
	}
	for b.Loop() {
		(Snapshot{Hosts: hosts}).Matrix(matrixNow)
	}
}
