package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
)

// doDNS does something with the DNS server of the demo's router.
func doDNS(t *testing.T, a *app, id string, chosen map[string]string) (lines []string, err error) {
	t.Helper()
	states, err := a.pick([]string{"router"})
	if err != nil {
		t.Fatal(err)
	}
	target := fleet.Target{Hosts: states, Chosen: chosen}
	action, err := a.allowed(a.deployer(), id, target)
	if err != nil {
		return nil, err
	}
	return lines, action.Run(t.Context(), target, func(l string) { lines = append(lines, l) })
}

type dnsOut struct {
	Servers []struct {
		Host, Unit, Address, Version, Source string
		At                                   time.Time
		Blocking                             fleet.Blocking
		Stats                                fleet.DNSStats
		Lists                                fleet.DNSLists
	}
	Names []struct {
		Host, Responder, Name string
		Conflict              bool
		Publishes             *bool
	}
	Errors []hostError
}

func dnsJSON(t *testing.T, a *app, sel ...string) (dnsOut, error) {
	t.Helper()
	states, err := a.pick(sel)
	if err != nil {
		t.Fatal(err)
	}
	a.ask(t.Context(), states, dnsScope)
	var out bytes.Buffer
	var got dnsOut
	err = printDNS(&out, options{json: true}, a.anew(states))
	if bad := json.Unmarshal(out.Bytes(), &got); bad != nil {
		t.Fatal(bad)
	}
	return got, err
}

// TestDemoDNS: a pause counts down and ends by itself, what Blocky tells is told, and
// what was done is written down.
func TestDemoDNS(t *testing.T) {
	onDemo(t, "router", func(a *app, _ []fleet.State) {
		got, err := dnsJSON(t, a, "router", "raspi3")
		if err != nil || len(got.Servers) != 1 || len(got.Names) != 2 {
			t.Fatalf("%v: %+v", err, got)
		}
		d := got.Servers[0]
		if d.Host != "router" || !d.Blocking.Enabled || d.Version != "v0.34.0" || d.Stats.Queries == 0 || len(d.Lists.Groups) != 3 || d.At.IsZero() || d.Address != "127.0.0.1:4000" || d.Source == "" {
			t.Errorf("%+v", d)
		}
		if n := got.Names[0]; n.Host != "raspi3" || n.Name != "raspi3-2.local" || !n.Conflict {
			t.Errorf("%+v", n)
		}
		before := len(a.store.Snapshot().Audit)
		lines, err := doDNS(t, a, "dns-pause", map[string]string{"for": "1m", "groups": "ads"})
		if err != nil || len(lines) != 1 || !strings.HasPrefix(lines[0], "blocky: paused ") || !strings.HasSuffix(lines[0], ": ads") {
			t.Errorf("%q %v", lines, err)
		}
		got, _ = dnsJSON(t, a, "router")
		if b := got.Servers[0].Blocking; b.Enabled || time.Until(b.Until) < 30*time.Second || time.Until(b.Until) > time.Minute || !slices.Equal(b.Groups, []string{"ads"}) {
			t.Errorf("%+v", b)
		}
		states, _ := a.pick([]string{"router"})
		if p, err := planPause(t.Context(), fleet.Target{Hosts: states}); err != nil || !strings.Contains(strings.Join(p.Lines, "\n"), ": ads already: that is replaced") {
			t.Errorf("%+v %v", p, err)
		}
		if lines, err = doDNS(t, a, "dns-pause", map[string]string{"for": "2s"}); err != nil || !strings.HasPrefix(lines[0], "blocky: paused ") {
			t.Errorf("%q %v", lines, err)
		}
		time.Sleep(2200 * time.Millisecond)
		if got, _ = dnsJSON(t, a, "router"); !got.Servers[0].Blocking.Enabled {
			t.Errorf("after the pause: %+v", got.Servers[0].Blocking)
		}
		if _, err = doDNS(t, a, "dns-pause", map[string]string{"groups": "nope"}); err == nil || !strings.Contains(err.Error(), "group 'nope' is unknown") {
			t.Errorf("%v", err)
		}
		lines, err = doDNS(t, a, "dns-ask", map[string]string{"name": "doubleclick.net", "type": "a"})
		if err != nil || lines[0] != "doubleclick.net A: BLOCKED, because: BLOCKED (ads), NOERROR A (0.0.0.0)" {
			t.Errorf("%q %v", lines, err)
		}
		lines, err = doDNS(t, a, "dns-refresh", nil)
		if err != nil || lines[len(lines)-1] != "the lists were refreshed: 620821 entries in 3 groups" {
			t.Errorf("%q %v", lines, err)
		}
		var texts []string
		for _, e := range a.store.Snapshot().Audit[before:] {
			texts = append(texts, string(e.Level)+" "+e.Text)
		}
		if want := []string{"info blocky/blocky.service paused", "info blocky/blocky.service paused", "error blocky/blocky.service paused", "info blocky/blocky.service refreshed its lists"}; !slices.Equal(texts, want) {
			t.Errorf("%q", texts)
		}
	})
}

// TestDNSIsReadOnly: nothing is changed where nothing may be; a name may be asked for.
func TestDNSIsReadOnly(t *testing.T) {
	onDemo(t, "router", func(a *app, _ []fleet.State) {
		_, _ = dnsJSON(t, a, "router")
		a.opts.readOnly = true
		for _, id := range []string{"dns-pause", "dns-resume", "dns-refresh"} {
			if _, err := doDNS(t, a, id, nil); err == nil || !strings.Contains(err.Error(), errReadOnly.Error()) {
				t.Errorf("%s: %v", id, err)
			}
		}
		states, _ := a.pick([]string{"router"})
		if answer, err := a.askName(t.Context(), fleet.Target{Hosts: states, Chosen: map[string]string{"name": "a.example"}}); err != nil || answer.Kind == "" {
			t.Errorf("%+v %v", answer, err)
		}
	})
}

func TestWhichDNSServerIsMeant(t *testing.T) {
	now := time.Now()
	st := fleet.State{Host: fleet.Host{Name: "router"}, DNS: fleet.Known([]fleet.DNSServer{{Kind: "blocky", Unit: "blocky.service"}, {Kind: "blocky", Container: "kids"}}, now, "api")}
	for key, want := range map[string]string{"blocky": "blocky.service", "blocky.service": "blocky.service", "blocky/blocky.service": "blocky.service", "kids": "kids", "": "several", "x": "no DNS server x"} {
		_, d, err := dnsOf(fleet.Target{Hosts: []fleet.State{st}, DNS: key})
		if got := d.Container + d.Unit; got != want && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %q %v", key, got, err)
		}
	}
	st.DNS.Value[1].Err = "it publishes no port"
	if _, d, err := dnsOf(fleet.Target{Hosts: []fleet.State{st}}); err == nil {
		t.Errorf("one of two that may be meant was chosen: %+v", d)
	}
	st.DNS.Value[1].None = true
	if _, d, err := dnsOf(fleet.Target{Hosts: []fleet.State{st}}); err != nil || d.Unit != "blocky.service" {
		t.Errorf("of two of which one does not run: %+v %v", d, err)
	}
	st.DNS.Value = append(st.DNS.Value, fleet.DNSServer{Kind: "blocky", Container: "kids", User: "alice"})
	if _, d, err := dnsOf(fleet.Target{Hosts: []fleet.State{st}, DNS: "kids"}); err == nil || !strings.Contains(fleet.InFull(err), "--server blocky/kids@alice") {
		t.Errorf("of two of one name: %+v %v", d, err)
	}
	if _, d, err := dnsOf(fleet.Target{Hosts: []fleet.State{st}, DNS: "blocky/kids@alice"}); err != nil || d.User != "alice" {
		t.Errorf("%+v %v", d, err)
	}
	st.Reach = fleet.Known(fleet.Reach{State: fleet.Up}, now, "ssh")
	st.DNS = fleet.Known(st.DNS.Value[:1], now, "api").Remember(now)
	if why := offDNS(fleet.Target{Hosts: []fleet.State{st}}); !strings.Contains(why, fleet.Remembered) {
		t.Errorf("a remembered address is acted on: %q", why)
	}
	st.DNS = fleet.Unknown[[]fleet.DNSServer](errors.New("containers could not be read"), now, "probe")
	if _, _, err := dnsOf(fleet.Target{Hosts: []fleet.State{st}}); err == nil || !strings.Contains(err.Error(), "containers could not be read") {
		t.Error(err)
	}
}

func TestWrongWordsOfDNS(t *testing.T) {
	for line, want := range map[string]string{
		"dns pause web --for 0s":           "--for 0s",
		"dns pause web --for 8000h":        "1 second to 7 days",
		"dns pause web --groups ads,a;b":   "--groups",
		"dns pause web --groups ads,":      "--groups: one has no name",
		"dns pause web --groups ,":         "--groups: one has no name",
		"dns pause web --groups=":          "--groups: none is named",
		"dns ask web":                      "usage: sextant dns ask HOST NAME",
		"dns ask web a_b/c":                "no name of DNS",
		"dns ask web a.example --type x.y": "no type of DNS",
		"dns resume":                       "usage: sextant dns resume HOST",
	} {
		args := append(strings.Fields(line), "--config", emptyFleet(t))
		if _, err := command(t, args...); err == nil || code(err) != exitUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("sextant %s: %d %v", line, code(err), err)
		}
	}
}

// TestCommandsTakeTheHostsTheyName: a command whose usage says that it takes hosts does,
// also where it has commands below it.
func TestCommandsTakeTheHostsTheyName(t *testing.T) {
	n := 0
	var look func(c *cobra.Command)
	look = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			look(sub)
		}
		if !strings.Contains(c.Use, "[SEL…]") && !strings.Contains(c.Use, "[HOST") && !strings.Contains(c.Use, "[NAME…]") {
			return
		}
		n++
		if c.Args == nil {
			return // any are taken
		}
		for _, args := range [][]string{{}, {"storage"}, {"storage", "cloud"}} {
			if err := c.Args(c, args); err != nil {
				t.Errorf("%s with %q: %v", c.CommandPath(), args, err)
			}
		}
	}
	look(rootCommand())
	if n < 10 {
		t.Errorf("only %d commands were seen", n)
	}
}
