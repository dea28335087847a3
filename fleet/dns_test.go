package fleet

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// blockyState is a host with a Blocky that answers, of which change makes another.
func blockyState(now time.Time, change func(*DNSServer)) State {
	d := DNSServer{
		Kind: "blocky", Unit: "blocky.service", Address: "127.0.0.1:4000", At: now, Blocking: &Blocking{Enabled: true},
		Lists: &DNSLists{Groups: []ListGroup{{Name: "ads", Deny: 10}}, At: now, Refreshed: now.Add(-time.Hour), Started: now.Add(-72 * time.Hour), Period: Seconds(4 * 3600)},
	}
	change(&d)
	return State{Host: Host{ID: "1", Name: "router"}, Reach: Known(Reach{State: Up}, now, "ssh"), DNS: Known([]DNSServer{d}, now, "its HTTP API")}
}

// dnsKeys are the problems of DNS, and what they say.
func dnsKeys(st State, now time.Time) (keys []string, what string) {
	for _, p := range st.Problems(now) {
		if p.Of.Kind == KindDNS {
			keys, what = append(keys, strings.TrimPrefix(p.Key, "dns:blocky/blocky.service")+" "+string(p.Severity)), what+p.What
		}
	}
	return keys, what
}

func TestProblemsOfDNS(t *testing.T) {
	now := time.Now()
	failed := func(from, refreshed time.Duration) func(*DNSServer) {
		return func(d *DNSServer) {
			d.Lists.Failed, d.Lists.FailedFrom, d.Lists.FailedSeen, d.Lists.Refreshed = 3, now.Add(-from), now, now.Add(-refreshed)
		}
	}
	const start = 72 * time.Hour // its process
	for name, c := range map[string]struct {
		change func(*DNSServer)
		want   string
	}{
		"well":                     {func(*DNSServer) {}, ""},
		"paused":                   {func(d *DNSServer) { d.Blocking = &Blocking{Until: now.Add(time.Minute)} }, ""},
		"off":                      {func(d *DNSServer) { d.Blocking = &Blocking{} }, "/off warn"},
		"off, and without lists":   {func(d *DNSServer) { d.Blocking, d.Lists.Groups = &Blocking{}, nil }, ""},
		"off, and lists not known": {func(d *DNSServer) { d.Blocking, d.Lists, d.NoLists = &Blocking{}, nil, NoMetrics }, "/off warn"},
		"without lists":            {func(d *DNSServer) { d.Lists.Groups, d.Lists.Refreshed = nil, time.Time{} }, ""},
		"silent":                   {func(d *DNSServer) { d.Err, d.Silent, d.Blocking = "nothing answers", true, nil }, " warn"},
		"unknown":                  {func(d *DNSServer) { d.Err, d.Blocking = "HTML", nil }, " unknown"},
		"HTTP off":                 {func(d *DNSServer) { d.Err, d.None, d.Blocking = "off", true, nil }, ""},
		"failed since the refresh": {failed(time.Minute, 2*time.Minute), "/downloads warn"},
		"failed, then a refresh":   {failed(3*time.Minute, time.Minute), ""}, // a try that failed, and one that did not
		"failed, an empty group": {func(d *DNSServer) {
			failed(3*time.Minute, time.Minute)(d)
			d.Lists.Groups = append(d.Lists.Groups, ListGroup{Name: "kids"})
		}, "/downloads warn"},
		"an empty group":            {func(d *DNSServer) { d.Lists.Groups = []ListGroup{{Name: "kids"}} }, ""},
		"first sight, refreshed":    {failed(start, time.Hour), ""},
		"first sight, at the start": {failed(start, start-time.Minute), "/downloads warn /lists warn"},
		"first sight, never":        {func(d *DNSServer) { failed(start, 0)(d); d.Lists.Refreshed = time.Time{} }, "/downloads warn"},
		"failed, since when unknown": {func(d *DNSServer) {
			failed(0, time.Hour)(d)
			d.Lists.FailedFrom, d.Lists.Started = time.Time{}, time.Time{}
		}, ""},
		"failed, of an old reading":  {func(d *DNSServer) { failed(time.Minute, time.Hour)(d); d.NoLists = "metrics: late" }, ""},
		"two periods missed":         {func(d *DNSServer) { d.Lists.Refreshed = now.Add(-10 * time.Hour) }, "/lists warn"},
		"one period missed":          {func(d *DNSServer) { d.Lists.Refreshed = now.Add(-7 * time.Hour) }, ""},
		"never refreshed by itself":  {func(d *DNSServer) { d.Lists.Refreshed, d.Lists.Period = now.Add(-9000*time.Hour), -1 }, ""},
		"period not known":           {func(d *DNSServer) { d.Lists.Refreshed, d.Lists.Period = now.Add(-6*24*time.Hour), 0 }, ""},
		"period not known, too old":  {func(d *DNSServer) { d.Lists.Refreshed, d.Lists.Period = now.Add(-8*24*time.Hour), 0 }, "/lists warn"},
		"refresh not told":           {func(d *DNSServer) { d.Lists.Refreshed = time.Time{} }, ""},
		"all by another clock":       {func(d *DNSServer) { d.Lists.At, d.Lists.Refreshed = now.Add(-50*time.Hour), now.Add(-51*time.Hour) }, ""},
		"too old by another clock":   {func(d *DNSServer) { d.Lists.At, d.Lists.Refreshed = now.Add(50*time.Hour), now.Add(30*time.Hour) }, "/lists warn"},
		"some groups off for ever":   {func(d *DNSServer) { d.Blocking = &Blocking{Groups: []string{"ads"}} }, "/off warn"},
		"off, and downloads failing": {func(d *DNSServer) { failed(time.Minute, time.Hour)(d); d.Blocking = &Blocking{} }, "/off warn /downloads warn"},
		"off, no group, not read":    {func(d *DNSServer) { d.Blocking, d.Lists.Groups, d.Lists.Unread = &Blocking{}, nil, NoMetrics }, "/off warn"},
		"off, no group, failed":      {func(d *DNSServer) { failed(start, time.Hour)(d); d.Blocking, d.Lists.Groups = &Blocking{}, nil }, "/off warn"},
	} {
		t.Run(name, func(t *testing.T) {
			keys, what := dnsKeys(blockyState(now, c.change), now)
			if got := strings.Join(keys, " "); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if c.want != "" && !strings.Contains(what, "Blocky on router: ") {
				t.Errorf("%q does not name its host", what)
			}
		})
	}
}

// TestProblemsOfDNSAreOfWhatIsKnown: an old reading raises nothing, a stopped unit
// explains.
func TestProblemsOfDNSAreOfWhatIsKnown(t *testing.T) {
	now := time.Now()
	st := blockyState(now.Add(-3*time.Hour), func(d *DNSServer) { d.Blocking = &Blocking{} })
	st.DNS = st.DNS.Remember(now)
	if keys, _ := dnsKeys(st, now); len(keys) > 0 {
		t.Errorf("%q", keys)
	}
	st = blockyState(now, func(*DNSServer) {})
	st.DNS = Unknown[[]DNSServer](errors.New("containers could not be read"), now, "probe")
	st.MDNS = Unknown[[]MDNS](errors.New("no answer"), now, "probe")
	st.Containers = Unknown[[]Container](errors.New("closed"), now, "podman")
	if folded := (Snapshot{Hosts: []State{st}}).Findings(now); len(folded) != 1 || folded[0].Key != "fact:containers" || len(folded[0].Folded) != 1 {
		t.Errorf("%+v", folded)
	}
	st.Containers = Fact[[]Container]{}
	list := st.Problems(now)
	if len(list) != 1 || list[0].Key != "fact:DNS servers" || list[0].Severity != SeverityUnknown {
		t.Errorf("%+v", list) // and none of mDNS
	}
}

// TestFailedDownloadsAreKept: over an unread reading, and a restart of this program; of
// another process of Blocky's they say nothing.
func TestFailedDownloadsAreKept(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	read := func(minute int, failed uint64, started time.Time) Fact[[]DNSServer] {
		now := at.Add(time.Duration(minute) * time.Minute)
		l := &DNSLists{Groups: []ListGroup{{Name: "ads", Deny: 1}}, Failed: failed, Started: started, At: now, Refreshed: at.Add(-time.Hour)}
		if failed > 0 {
			l.FailedFrom, l.FailedSeen = started, now
		}
		return Known([]DNSServer{{Kind: "blocky", Unit: "blocky.service", At: now, Blocking: &Blocking{Enabled: true}, Lists: l}}, now, "api")
	}
	started := at.Add(-24 * time.Hour)
	var st State
	st.TakeDNS(read(0, 1, started))
	st.TakeDNS(read(2, 1, started))
	l := st.DNS.Value[0].Lists
	if !l.FailedSeen.Equal(at) || !l.FailedFrom.Equal(started) || l.Failing() {
		t.Errorf("it was seen first at the first reading: %+v", l)
	}
	broken := Known([]DNSServer{{Kind: "blocky", Unit: "blocky.service", At: at, Err: "late"}}, at, "api")
	st.TakeDNS(broken)
	if d := st.DNS.Value[0]; d.Lists == nil || d.NoLists != "late" || d.Lists.Failed != 1 {
		t.Errorf("%+v", d)
	}
	st.TakeDNS(Unknown[[]DNSServer](errors.New("no answer"), at, "api"))
	raw, err := json.Marshal(st.DNS)
	if err != nil {
		t.Fatal(err)
	}
	var later State
	if err := json.Unmarshal(raw, &later.DNS); err != nil {
		t.Fatal(err)
	}
	later.DNS = later.DNS.Remember(at)
	later.TakeDNS(read(9, 3, started))
	if l = later.DNS.Value[0].Lists; !l.FailedFrom.Equal(at.Add(2*time.Minute)) || !l.FailedSeen.Equal(at.Add(9*time.Minute)) || !l.Failing() {
		t.Errorf("two more between the readings: %+v", l)
	}
	f := read(200, 3, started)
	f.Value[0].Lists.Refreshed = at.Add(190 * time.Minute)
	later.TakeDNS(f)
	if l = later.DNS.Value[0].Lists; l.Failing() {
		t.Errorf("a refresh since went without: %+v", l)
	}
	later.TakeDNS(read(300, 1, at.Add(290*time.Minute)))
	if l = later.DNS.Value[0].Lists; !l.FailedFrom.Equal(at.Add(290*time.Minute)) || !l.Failing() {
		t.Errorf("of another process: %+v", l)
	}
	off := read(301, 0, at)
	off.Value[0].Lists, off.Value[0].NoLists = nil, NoMetrics
	later.TakeDNS(off)
	if d := later.DNS.Value[0]; d.Lists != nil {
		t.Errorf("metrics were turned off: %+v", d)
	}
}

func TestWordsOfBlocking(t *testing.T) {
	now := time.Now()
	for want, b := range map[string]Blocking{
		"blocking":        {Enabled: true},
		"off":             {},
		"off: ads,kids":   {Groups: []string{"ads", "kids"}},
		"paused 4m50s":    {Until: now.Add(290 * time.Second)},
		"paused 5m":       {Until: now.Add(5 * time.Minute)},
		"paused 1h":       {Until: now.Add(time.Hour)},
		"paused 10m: ads": {Until: now.Add(10 * time.Minute), Groups: []string{"ads"}},
		"paused 1s":       {Until: now.Add(100 * time.Millisecond)},
		"pause over":      {Until: now.Add(-time.Second)},
	} {
		if got := b.Word(now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if list := []string{(DNSServer{None: true}).Word(now), (DNSServer{}).Word(now)}; !slices.Equal(list, []string{"-", "unknown"}) {
		t.Errorf("%q", list)
	}
}

// TestCuresNameTheServer: where a host has several, and of containers of one name each.
func TestCuresNameTheServer(t *testing.T) {
	now := time.Now()
	st := blockyState(now, func(d *DNSServer) { d.Blocking = &Blocking{} })
	cures := func() (list []string) {
		for _, p := range st.Problems(now) {
			list = append(list, p.Cure)
		}
		return list
	}
	if got := cures(); !slices.Equal(got, []string{"sextant dns resume router"}) {
		t.Errorf("%q", got)
	}
	for _, user := range []string{"", "alice"} {
		d := st.DNS.Value[0]
		d.Unit, d.Container, d.User = "", "dns", user
		st.DNS.Value = append(st.DNS.Value, d)
	}
	want := []string{"sextant dns resume router --server blocky/blocky.service", "sextant dns resume router --server blocky/dns", "sextant dns resume router --server blocky/dns@alice"}
	got := cures()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
