package fleet

import (
	"strings"
	"testing"
	"time"
)

// TestCertificateJudge: a certificate is judged by what is left of its life, of one
// of twelve hours as of one of ninety days.
func TestCertificateJudge(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for name, tt := range map[string]struct {
		life, left time.Duration
		covers     bool
		sev        Severity
		why        string
	}{
		"fresh":           {90 * day, 60 * day, true, "", ""},
		"ends soon":       {90 * day, 13 * day, true, SeverityWarn, "ends in 13d: its renewal does not work"},
		"ends now":        {90 * day, 2*day + time.Hour, true, SeverityFail, "ends in 2d: its renewal does not work"},
		"over":            {90 * day, -time.Hour, true, SeverityFail, "expired 2026-11-28 11:00"},
		"twelve hours":    {12 * time.Hour, 4 * time.Hour, true, "", ""},
		"twelve, one":     {12 * time.Hour, time.Hour, true, SeverityWarn, "ends in 1h: its renewal does not work"},
		"ten years":       {3650 * day, 15 * day, true, "", ""},
		"of another name": {90 * day, 60 * day, false, SeverityFail, "is for other names: x.example"},
		"not yet":         {90 * day, 91 * day, true, SeverityFail, "not valid before 2026-11-29 12:00"},
	} {
		c := Certificate{Names: []string{"x.example"}, NotBefore: now.Add(tt.left - tt.life), NotAfter: now.Add(tt.left), Covers: tt.covers}
		if sev, why := c.Judge(now); sev != tt.sev || why != tt.why {
			t.Errorf("%s: %s %q", name, sev, why)
		}
	}
	if sev, _ := (Certificate{Error: "no handshake"}).Judge(now); sev != SeverityUnknown {
		t.Errorf("what was not shown is %q", sev)
	}
}

// TestMatchPath: paths match as Caddy matches them.
func TestMatchPath(t *testing.T) {
	for _, tt := range []struct {
		pattern, path string
		want          bool
	}{
		{"/api/*", "/api/x", true}, {"/api/*", "/api", false}, {"/api*", "/api", true}, {"*.php", "/a/b.php", true}, {"*/x/*", "/a/x/b", true},
		{"/Foo", "/foo", true}, {"*", "/", true}, {"/a/*/c", "/a/b/c", true}, {"/a/*/c", "/a/b/d", false}, {"/[", "/[", false},
	} {
		if got := matchPath(tt.pattern, tt.path); got != tt.want {
			t.Errorf("%s %s: %v", tt.pattern, tt.path, got)
		}
	}
}

// TestHolds: what cannot be told from name and path is neither yes nor no.
func TestHolds(t *testing.T) {
	path := Matcher{Kind: "path", Values: []string{"/x/*"}}
	not := Matcher{Kind: "path", Values: []string{"/x/*"}, Not: true}
	ip := Matcher{Kind: "remote_ip"}
	named := func(name string) Matcher { return Matcher{Kind: "host", Values: []string{name}} }
	for _, tt := range []struct {
		when []AnyOf
		want Holds
	}{
		{nil, Yes}, {[]AnyOf{{{path}}}, Yes}, {[]AnyOf{{{not}}}, No}, {[]AnyOf{{{path, ip}}}, Maybe}, {[]AnyOf{{{not, ip}}}, No},
		{[]AnyOf{{{not}, {path}}}, Yes}, {[]AnyOf{{{path}}, {{not}}}, No}, {[]AnyOf{{{named("*.example")}}}, Yes},
		{[]AnyOf{{{named("*.other")}}}, No}, {[]AnyOf{{{{Kind: "path", Values: []string{"{env.X}"}}}}}, Maybe},
	} {
		if got := (Route{When: tt.when}).Takes("a.example", "/x/y"); got != tt.want {
			t.Errorf("%v: %v", tt.when, got)
		}
	}
}

// served is a host with a proxy in front of what may be there.
func served() State {
	now := time.Now()
	up := func(dial string) Route {
		return Route{Handler: "reverse_proxy", Known: true, Upstreams: []Upstream{{Dial: dial}}}
	}
	return State{
		Host:  Host{ID: "n", Name: "cloud", Addresses: []Address{{Host: "100.64.0.2"}}},
		Reach: Known(Reach{State: Up}, now, "ssh"), System: Known(System{}, now, "probe"),
		Listens: Known([]Listener{{Proto: "tcp", Address: "127.0.0.1", Port: 80}, {Proto: "tcp", Address: "::", Port: 81}}, now, "ss"),
		Sites: Known([]Proxy{{Kind: "caddy", Sites: []Site{
			{Name: "a.example", Routes: []Route{up("127.0.0.1:80"), up("localhost:81"), up("100.64.0.2:81")}},
			{Name: "b.example", Routes: []Route{up("100.64.0.2:80"), up("127.0.0.1:9"), up("100.64.0.2:80")}},
			{Name: "c.example", Routes: []Route{up("storage:80"), up("unix//run/x.sock"), up("{env.X}:80")}},
		}}}, now, "caddy"),
		Services: Known([]Service{{Kind: "dex", Health: HealthBroken, Why: "HTTP 500"}, {Kind: "lldap", Health: HealthUnknown, Why: "?", Address: "127.0.0.1:17170"}, {Kind: "authelia", Health: HealthUnknown, Why: "no port"}}, now, "x"),
	}
}

// TestSiteProblems: what is down is told, and what is not known is not called well
// nor down.
func TestSiteProblems(t *testing.T) {
	st := served()
	var got []string
	for _, p := range st.Problems(time.Now()) {
		got = append(got, string(p.Severity)+" "+p.What)
	}
	want := "fail site b.example: upstream 100.64.0.2:80 is down (nothing listens there), upstream 127.0.0.1:9 is down (nothing listens there)\nfail dex: HTTP 500\nunknown lldap: ?"
	if strings.Join(got, "\n") != want {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	for i, want := range []string{"ok", "down", "?"} {
		if got, _ := st.SiteWord(st.Sites.Value[0].Sites[i], time.Now()); got != want {
			t.Errorf("site %d is %s, want %s", i, got, want)
		}
	}
}

// TestUsable: what an earlier process read is judged by for an hour, and is nobody's
// problem after it.
func TestUsable(t *testing.T) {
	now := time.Now()
	for age, want := range map[time.Duration]int{time.Minute: 3, 2 * time.Hour: 0} {
		st := served()
		st.Sites.At, st.Services.At = now.Add(-age), now.Add(-age)
		st.Sites, st.Services, st.Listens = st.Sites.Remember(now), st.Services.Remember(now), st.Listens.Remember(now)
		if list := st.Problems(now); len(list) != want {
			t.Errorf("after %s: %v", age, list)
		}
	}
	st := served().Lost(errNoRoute, now)
	if st.Sites.Usable(now) || st.Listens.Usable(now) {
		t.Error("what is known of a host that is lost passes for current")
	}
}

var errNoRoute = WithCure(errText("no route"), "")

type errText string

func (e errText) Error() string { return string(e) }
