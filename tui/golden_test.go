package tui_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
	"github.com/sextant-fleet/sextant/tui"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

var update = flag.Bool("update", false, "write the goldens")

func TestMain(m *testing.M) {
	time.Local = time.UTC
	// Bubble Tea leaves its reader behind when input comes while it ends: an
	// answer of the terminal to its last question, here.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/charmbracelet/ultraviolet.(*TerminalReader).sendEvents"))
}

// open shows the UI of a store in an emulated terminal.
func open(t *testing.T, opts tui.Options, cols, rows int) *tuitest.Term {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	term := tuitest.Run(t, cols, rows, func(tty *os.File) error {
		opts.Input, opts.Output = tty, tty
		if opts.Environ == nil {
			opts.Environ = []string{"TERM=xterm-256color"}
		}
		return tui.Run(ctx, opts)
	})
	t.Cleanup(cancel)
	return term
}

func sample() tui.Options {
	return tui.Options{
		Store: tuitest.Sample(), Now: func() time.Time { return tuitest.Now }, Version: "test", Actions: actions(),
		Console: &tuitest.Console{
			Lines:       tuitest.LogLines(60),
			Detail:      tuitest.ContainerDetail,
			Top:         tuitest.ContainerTop,
			SharedBy:    tuitest.Shared(),
			AllUnits:    tuitest.AllUnits(),
			OneUnit:     tuitest.OneUnit,
			SeriesIn:    []fleet.Series{tuitest.Wave("cpu", "%", 80), tuitest.Wave("memory", "B", 6e9), tuitest.Wave("net in", "B/s", 3e6)},
			OfContainer: []fleet.Series{tuitest.Wave("cpu", "cores", 0.4), tuitest.Wave("memory", "B", 6e8)},
		},
	}
}

// actions are some as a later version will have them, and some that work.
func actions() []fleet.Action {
	never := func(string) func(fleet.Target) string {
		return func(fleet.Target) string { return "not in this version yet" }
	}
	return []fleet.Action{
		{ID: "rollback", Title: "roll back", Help: "go back to an older generation, under guard", Keys: []string{"R"}, Scope: fleet.ScopeHost, Danger: true, Disabled: never("")},
		{ID: "deploy", Title: "deploy", Help: "build, copy and activate, under guard", Keys: []string{"D"}, Scope: fleet.ScopeHost, Danger: true, Disabled: never("")},
		{
			ID: "unit-restart", Title: "restart unit", Help: "restart the unit", Scope: fleet.ScopeUnit, Danger: true,
			Plan: func(_ context.Context, t fleet.Target) (fleet.Plan, error) {
				return fleet.Plan{Title: "Restart " + t.Unit, Lines: []string{"systemctl restart " + t.Unit, "what depends on it restarts too"}}, nil
			},
			Run: func(_ context.Context, t fleet.Target, say func(string)) error {
				say("stopping " + t.Unit)
				say("starting " + t.Unit)
				return nil
			},
		},
	}
}

var sizes = [][2]int{{120, 40}, {80, 24}, {40, 20}}

// tours are ways through the UI that end on a screen worth looking at.
var tours = []struct {
	name string
	keys []string
	see  string
}{
	{"fleet", nil, "storage"},
	{"fleet-fail", []string{"G"}, "> storage"},
	{"fleet-roles", []string{"v"}, "router 1"},
	{"fleet-tiers", []string{"v", "v", "G"}, "no tier"},
	{"host-overview", []string{"G", "enter"}, "1 Overview"},
	{"host-generations", []string{"G", "2"}, "[2 Gen"},
	{"host-containers", []string{"G", "3"}, "[3 Con"},
	{"host-container", []string{"G", "3", "enter"}, "networks"},
	{"health", []string{"H"}, "since"},
	{"health-last", []string{"H", "G"}, "reboot needed"},
	{"containers", []string{"C"}, "? not known"},
	{"containers-sorted", []string{"C", "s", "cpu", "enter"}, "600M"},
	{"containers-marked", []string{"C", "space", "space", "."}, "(2 marked) on"},
	{"containers-sort", []string{"C", "s"}, "Sort by"},
	{"containers-pods", []string{"C", "v"}, "[Pods 2]"},
	{"containers-networks", []string{"C", "v", "v"}, "[Networks 4]"},
	{"containers-volumes", []string{"C", "v", "v", "v"}, "[Volumes 5]"},
	{"host-volumes", []string{"G", "3", "v", "v", "v"}, "[Volumes 4]"},
	{"host-network", []string{"G", "3", "v", "v", "enter"}, "made"},
	{"host-units", []string{"G", "4"}, "[units 11]"},
	{"host-units-all", []string{"G", "4", "a", "s", "memory", "enter"}, " 14]"},
	{"host-unit", []string{"G", "4", "enter"}, "srv-photos.mount"},
	{"host-timers", []string{"G", "4", "t"}, "[timers 5]"},
	{"host-timer", []string{"G", "4", "t", "enter"}, "starts"},
	{"host-backups", []string{"G", "5"}, "[5 Backups]"},
	{"host-backup", []string{"G", "5", "enter"}, "success"},
	{"backups", []string{"B"}, "offsite"},
	{"repositories", []string{"B", "v"}, "cd184609"},
	{"snapshots", []string{"B", "f"}, "3 snapshots"},
	{"backups-sorted", []string{"B", "s", "size", "enter"}, "home"},
	{"host-metrics", []string{"G", "6"}, "highest"},
	{"host-services", []string{"G", "7"}, "[Sites]"},
	{"log", []string{"G", "4", "enter", "L"}, "/photos/59"},
	{"messages", []string{"M"}, "7 hosts found"},
	{"help", []string{"?"}, "Here"},
	{"menu", []string{"."}, "Enter do it"},
	{"palette", []string{":", "sto"}, "→ host storage"},
	{"filter", []string{"/", "r"}, "5 of 7"},
}

// pressAll presses keys; what is to be opened may have to be read first, and "see X"
// waits until X is there.
func pressAll(term *tuitest.Term, keys []string) *tuitest.Term {
	for _, k := range keys {
		if text, ok := strings.CutPrefix(k, "see "); ok {
			term.WaitFor(text)
			continue
		}
		if k == "enter" {
			term.Settle(150 * time.Millisecond)
		}
		term.Press(k)
	}
	return term
}

func TestScreens(t *testing.T) {
	for _, size := range sizes {
		for _, tour := range tours {
			name := fmt.Sprintf("%s-%dx%d", tour.name, size[0], size[1])
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				term := open(t, sample(), size[0], size[1])
				pressAll(term.WaitFor("storage"), tour.keys).WaitFor(tour.see)
				if strings.HasPrefix(tour.see, "[Volumes") {
					term.Press("g") // the first row, whichever host told first
				}
				term.Golden(name, *update)
			})
		}
	}
}

// tailnetted has the fleet be in a tailnet.
func tailnetted(o *tui.Options) {
	tuitest.Tailnet(o.Store)
	console(*o).Path = tuitest.Reached
}

// serving has storage serve sites.
func serving(o *tui.Options) {
	o.Store.Update("n-storage", func(s *fleet.State) { *s = tuitest.Serving(*s) })
}

// networked has router and storage tell how they are on their networks.
func networked(o *tui.Options) {
	o.Store.Update("n-router", func(s *fleet.State) { *s = tuitest.Networked(*s) })
	o.Store.Update("n-storage", func(s *fleet.State) { *s = tuitest.PlainlyNetworked(*s) })
}

// declaring has storage tell what its modules declare.
func declaring(o *tui.Options) {
	o.Store.Update("n-storage", func(s *fleet.State) { *s = tuitest.Declaring(*s) })
}

// secretive has storage decrypt secrets, and the flake hold their files.
func secretive(o *tui.Options) {
	o.Store.Update("n-storage", func(s *fleet.State) { *s = tuitest.Secretive(*s) })
	o.Store.SetSealed(tuitest.Sealed())
}

// monitoring has router watch the fleet.
func monitoring(o *tui.Options) {
	o.Store.Update("n-router", func(s *fleet.State) { *s = tuitest.Monitoring(*s) })
}

// nameServing has hosts serve DNS, and names in mDNS, with what can be done there.
func nameServing(o *tui.Options) {
	for _, st := range o.Store.Snapshot().Hosts {
		o.Store.Update(st.Host.ID, func(s *fleet.State) { *s = tuitest.NameServing(*s) })
	}
	o.Actions = append(o.Actions, fleet.Action{
		ID: "dns-pause", Title: "Pause blocking", Help: "nothing on the lists is blocked for a time", Keys: []string{"p"}, Scope: fleet.ScopeDNS, Danger: true,
		Choices: []fleet.Choice{{ID: "for", Title: "for", Typed: true, Values: []string{"5m"}}},
		Plan:    func(context.Context, fleet.Target) (fleet.Plan, error) { return fleet.Plan{Title: "Pause"}, nil },
		Run:     func(context.Context, fleet.Target, func(string)) error { return nil },
	})
}

// traced is a fleet in which a name can be traced.
func traced(o *tui.Options) {
	serving(o)
	o.Console.(*tuitest.Console).Way = tuitest.Way
}

// stories are screens that need a fleet of their own.
var stories = []struct {
	name string
	make func(*tui.Options)
	keys []string
	see  string
}{
	{"first-nothing", func(o *tui.Options) { o.Store = fleet.NewStore() }, nil, "Looking for hosts"},
	{"first-nobody", func(o *tui.Options) { o.Store = nobodyYet() }, nil, "No hosts yet"},
	{"first-local", func(o *tui.Options) {
		o.Store.SetHosts([]fleet.Host{{ID: "n-desk", Name: "desk", Local: true}}, nil, nobodyYet().Snapshot().Sources)
	}, nil, "only host"},
	{"first-trouble", func(o *tui.Options) {
		var hosts []fleet.Host
		for _, st := range o.Store.Snapshot().Hosts {
			hosts = append(hosts, st.Host)
		}
		o.Store.SetHosts(hosts, nil, nobodyYet().Snapshot().Sources)
	}, nil, "tailscaled does not answer"},
	{"overview-lost", func(o *tui.Options) {
		o.Store.Update("n-router", func(s *fleet.State) {
			*s = s.Lost(errors.New("100.64.0.5:22: no answer within 10s"), tuitest.Now.Add(-2*time.Minute))
		})
	}, []string{"/", "router", "enter", "enter"}, "1 Overview"},
	{"first-key", func(o *tui.Options) {}, []string{"enter"}, "[1 Overview]"},
	{"ask-host-key", func(o *tui.Options) {
		o.Store.SetQuestions([]fleet.Question{{ID: 1, Host: "cloud", Kind: fleet.AskHostKey, Text: "The host key of cloud is not known yet", Detail: []string{"ed25519 SHA256:9cX1lCwyFkq1pQ5nZ0zB7Jm0m1a2b3c4d5e6f7g8h9i", "from 100.64.0.7:22, not vouched for by Tailscale"}}})
	}, nil, "Trust this host?"},
	{"ask-passphrase", func(o *tui.Options) {
		o.Store.SetQuestions([]fleet.Question{{ID: 1, Kind: fleet.AskPassphrase, Text: "Passphrase of ~/.ssh/id_ed25519", Secret: true}})
	}, nil, "Passphrase of"},
	{"ask-visit", func(o *tui.Options) {
		o.Store.SetQuestions([]fleet.Question{{ID: 1, Host: "router", Kind: fleet.AskVisit, Text: "Tailscale SSH wants you to check in", URL: "https://login.tailscale.com/a/0123456789abcdef0123456789abcdef0123456789"}})
	}, nil, "check in"},
	{"ask-confirm", func(o *tui.Options) {
		o.Store.SetQuestions([]fleet.Question{{ID: 1, Host: "cloud", Kind: fleet.AskConfirm, Text: "keep the new system of cloud?", Detail: []string{"authelia.service failed", "container vault is unhealthy"}}})
	}, nil, "keep the new system"},
	{"ask-confirm-later", func(o *tui.Options) {
		deployed(o)
		o.Store.SetQuestions([]fleet.Question{{ID: 1, Host: "storage", Kind: fleet.AskConfirm, Text: "keep the new system of storage?", Detail: []string{"podman-immich-ml.service failed"}}})
	}, nil, "in 95s"},
	{"host-sites", serving, []string{"G", "7"}, "[Sites 4]"},
	{"alarms", monitoring, []string{"A"}, "HostDown"},
	{"alarms-silenced", monitoring, []string{"A", "v", "G"}, "CertificateEndsSoon"},
	{"dns", nameServing, []string{"Z", "j"}, "paused 4m10s"},
	{"dns-off", nameServing, []string{"Z"}, "failed attempts"},
	{"dns-name", nameServing, []string{"Z", "/", "conflict", "enter"}, "read"},
	{"dns-menu", nameServing, []string{"Z", "j", "."}, "Enter do it"},
	{"dns-none", func(*tui.Options) {}, []string{"Z"}, "No DNS server is known yet"},
	{"load", monitoring, []string{"U"}, "disk /srv"},
	{"trace", serving, []string{"T"}, "photos.example.org"},
	{"trace-broken", traced, []string{"T", "enter"}, "verdict"},
	{"host-site", serving, []string{"G", "7", "enter"}, "route 2"},
	{"host-signin", serving, []string{"G", "7", "v"}, "[Services 2]"},
	{"host-listens", serving, []string{"G", "7", "v", "v"}, "[Listens 4]"},
	{"host-secrets", secretive, []string{"G", "7", "v", "v", "v"}, "[Secrets 4]"},
	{"host-secret", secretive, []string{"G", "7", "v", "v", "v", "enter"}, "decrypted"},
	{"secrets", secretive, []string{":", "Secrets", "enter"}, "[Files 5]"},
	{"secrets-open", secretive, []string{":", "Secrets", "enter", "enter"}, "rule"},
	{"secrets-hosts", secretive, []string{":", "Secrets", "enter", "v"}, "[On hosts 4]"},
	{"health-secrets", secretive, []string{"H", "/", "secret", "enter"}, "attic"},
	{"host-listens-open", serving, []string{"G", "7", "v", "v", "j", "enter"}, "owner"},
	{"exposure", serving, []string{"E"}, "internet?"},
	{"exposure-open", serving, []string{"E", "enter"}, "owner"},
	{"network", networked, []string{"K"}, "WireGuard wg0"},
	{"network-links", networked, []string{"K", "enter"}, "br-lan"},
	{"network-link", networked, []string{"K", "enter", "enter"}, "gateway"},
	{"network-peers", networked, []string{"K", "enter", "v"}, "8HtQWQpwBcsW"},
	{"network-leases", networked, []string{"K", "enter", "v", "v"}, "raider"},
	{"network-queues", networked, []string{"K", "enter", "v", "v", "v"}, "cake"},
	{"network-chains", networked, []string{"K", "enter", "v", "v", "v", "v"}, "nixos-fw"},
	{"network-unread", networked, []string{"K", "see storage", "/", "storage", "enter", "enter", "v"}, "root's to see"},
	{"matrix", declaring, []string{"O"}, "old-wiki"},
	{"matrix-open", declaring, []string{"O", "/", "immich-server", "enter", "enter"}, "defined"},
	{"matrix-none", func(*tui.Options) {}, []string{"O", "/", "zzz", "enter"}, "Nothing matches"},
	{"matrix-ascii", func(o *tui.Options) { declaring(o); o.Glyphs = "ascii" }, []string{"O"}, "old-wiki"},
	{"tailnet", tailnetted, []string{":", "Tailnet", "enter"}, "relay fra 48 ms"},
	{"tailnet-stale", tailnetted, []string{":", "Tailnet", "enter", "/", "stale", "enter"}, "2 of 10"},
	{"tailnet-none", func(*tui.Options) {}, []string{":", "Tailnet", "enter"}, "No node of a tailnet"},
	{"deploys", deployed, []string{":", "Deploys", "enter"}, "95s left"},
	{"deploys-went-back", deployed, []string{":", "Deploys", "enter", "jj"}, "> desk"},
	{"deploys-building", building, []string{":", "Deploys", "enter"}, "3/17 built"},
	{"deploys-none", func(*tui.Options) {}, []string{":", "Deploys", "enter"}, "No deploy is known"},
	{"timeline", deployed, []string{":", "Timeline of the fleet", "enter"}, "deploy"},
	{"timeline-event", audited, []string{":", "Timeline of the fleet", "enter", "/", "refused", "enter", "enter"}, "told by"},
	{"timeline-host", audited, []string{"G", "enter", "8"}, "refused"},
	{"fleet-waits", deployed, []string{"G"}, "> storage"},
	{"overview-waits", deployed, []string{"G", "enter"}, "waits 95s"},
	{"overview-drift", drifted, []string{"j", "enter"}, "3 commits behind"},
	{"overview-went-back", deployed, []string{"j", "enter"}, "rolled back"},
	{"confirm-rollback", rolling, []string{"G", "R"}, "Type storage"},
	{"confirm", func(o *tui.Options) {}, []string{"G", "4", ":", "restart", "enter"}, "systemctl restart"},
	{"confirm-typed", func(o *tui.Options) {
		o.Actions = append(o.Actions, fleet.Action{
			ID: "reboot", Title: "reboot", Help: "reboot the host", Keys: []string{"X"}, Scope: fleet.ScopeHost, Danger: true, Run: func(context.Context, fleet.Target, func(string)) error { return nil },
			Plan: func(_ context.Context, t fleet.Target) (fleet.Plan, error) {
				return fleet.Plan{Title: "Reboot the router", Lines: []string{"the way to every other host leads through it", "it was away for 41 s when it booted last"}, Typed: "router"}, nil
			},
		})
	}, []string{"G", "k", "X"}, "Type router"},
	{"choose", choosing, []string{"G", "D"}, "< switch >"},
	{"typing", typing, []string{"G", "3", "/", "jelly", "enter", "X", "/config/system.xml", "tab", "~/sy"}, "/sy"},
	{"choose-more", ordering, []string{"G", "D", "l", "j", "h", "j", "storge", "enter"}, "no host of the"},
	{"choose-attribute", ordering, []string{"G", "D", "k", "enter"}, "a flake, or"},
	{"choose-waves", ordering, []string{"G", "space", "k", "space", "D", "k", "enter", "down", "1,x", "enter"}, "no number"},
	{"planning", choosing, []string{"G", "D", "enter"}, "3/17 built"},
	{"ascii", func(o *tui.Options) { o.Glyphs = "ascii" }, []string{"G"}, "> storage"},
	{"metrics-marks", happening, []string{"G", "6", "w"}, "highest"},
	{"metrics-more", happening, []string{"G", "6", "see highest", "G", "G"}, "heat"},
	{"block-metrics", func(o *tui.Options) { happening(o); o.Glyphs = "block" }, []string{"G", "6"}, "highest"},
	{"ascii-metrics", func(o *tui.Options) { o.Glyphs = "ascii" }, []string{"G", "6"}, "highest"},
	{"ascii-containers", func(o *tui.Options) { o.Glyphs = "ascii" }, []string{"C"}, "? not known"},
	{"containers-older", several, []string{"C", "/", "jelly", "enter"}, "old "},
	{"container-older", several, []string{"C", "/", "jelly", "enter", "g", "enter"}, "in fleet"},
	{"container-newest", several, []string{"C", "/", "jelly", "enter", "G", "enter"}, "in fleet"},
	{"metrics-live", live, []string{"j", "6"}, ", 4m"},
	{"units-unknown", func(o *tui.Options) { console(*o).AllUnits = nil }, []string{"G", "4"}, "only what the probe tells"},
	{"units-away", func(*tui.Options) {}, []string{"jjj", "4"}, "no answer within"},
	{"flash", func(o *tui.Options) {}, []string{"S"}, "no shell here"},
}

// typing is an action of which paths are typed.
func typing(o *tui.Options) {
	o.Actions = append(o.Actions, fleet.Action{
		ID: "copy-out", Title: "Copy out of the container", Help: "copy a file", Keys: []string{"X"}, Scope: fleet.ScopeContainer,
		Choices: []fleet.Choice{
			{ID: "there", Title: "in the container", Typed: true, Values: []string{""}}, {ID: "here", Title: "here", Typed: true, Values: []string{""}},
			{ID: "over", Title: "what is there", Values: []string{"is kept", "is overwritten"}},
		},
		Run: func(context.Context, fleet.Target, func(string)) error { return nil },
	})
}

// twoLogs are lines of two hosts, of which one is no longer heard, and a log
// that is searched on its host.
func twoLogs(o *tui.Options) {
	c := console(*o)
	c.Lines = tuitest.LogLines(60)
	for i := range c.Lines {
		c.Lines[i].Source = "nginx"
		if i%3 == 1 {
			c.Lines[i].Host, c.Lines[i].Source, c.Lines[i].Text = "router", "blocky-with-a-long-name", fmt.Sprintf("answered query %d in 2 ms", i)
		}
	}
	c.Lines[58] = fleet.LogLine{At: c.Lines[58].At, Host: "router", Source: "nginx", Level: 4, Note: true, Text: "log ended: connection lost"}
	c.Old = func(q fleet.LogQuery) []fleet.LogLine {
		if q.Grep == "" {
			return nil
		}
		old := tuitest.LogLines(60)
		for i := range old {
			old[i].At = old[i].At.Add(-40 * 24 * time.Hour)
		}
		return append(slices.DeleteFunc(old, func(l fleet.LogLine) bool { return !strings.Contains(l.Text, q.Grep) }),
			fleet.LogLine{At: old[0].At, Host: "storage", Level: 5, Note: true, Text: "journalctl there cannot search: 200000 lines, back to 2026-10-13 02:11:00Z, were searched from here"})
	}
}

func nobodyYet() *fleet.Store {
	s := fleet.NewStore()
	s.SetHosts(nil, []fleet.Other{{Name: "pixel", Why: "phone (Android)"}}, []fleet.SourceState{
		{Source: "tailscale", At: tuitest.Now, Err: "tailscaled does not answer at /run/tailscale/tailscaled.sock: no such file", Help: "set services.tailscale.enable = true, or --tailscale-socket"},
		{Source: "ssh_config", At: tuitest.Now, Help: "write Host lines in ~/.ssh/config"},
		{Source: "mdns", At: tuitest.Now, Count: 1},
	})
	return s
}

// logStories begin where a log is open.
var logStories = []struct {
	name string
	keys []string
	see  string
}{
	{"log-merged", []string{"a", "nginx on router", "enter"}, "log ended"},
	{"log-search", []string{"/", "upstream", "enter", "J"}, "5 lines"},
	{"log-marks", []string{"space", "/", "slow", "enter", "space"}, "2 marked"},
	{"log-level", []string{"v", "v"}, "warnings and wo"},
}

func TestLogStories(t *testing.T) {
	for _, size := range sizes {
		for _, story := range logStories {
			name := fmt.Sprintf("%s-%dx%d", story.name, size[0], size[1])
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o := sample()
				twoLogs(&o)
				term := open(t, o, size[0], size[1]).WaitFor("storage").Press("G", "4", "/", "nginx", "enter", "L").WaitFor("/photos/59")
				term.Press(story.keys...).WaitFor(story.see)
				term.Golden(name, *update)
			})
		}
	}
}

func TestStories(t *testing.T) {
	for _, size := range sizes {
		for _, story := range stories {
			name := fmt.Sprintf("%s-%dx%d", story.name, size[0], size[1])
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o := sample()
				story.make(&o)
				term := open(t, o, size[0], size[1])
				if len(story.keys) > 0 {
					pressAll(term.WaitFor("storage"), story.keys)
				}
				term.WaitFor(story.see)
				term.Golden(name, *update)
			})
		}
	}
}

// building has hosts to which something is done from here: one is being built,
// another copied to, a third has begun to activate.
func building(o *tui.Options) {
	deployed(o)
	give := func(id fleet.HostID, state fleet.DeployState, line string) {
		o.Store.Update(id, func(s *fleet.State) {
			s.Doing = fleet.Doing{State: state, Kind: "deploy", Line: line, Since: tuitest.Now.Add(-95 * time.Second), Who: "ada", From: "laptop"}
		})
	}
	give("n-router", fleet.Building, "3/17 built, 40/120 copied, 1.2 GiB, building caddy-2.10.0")
	give("n-desk", fleet.Copying, "copying: 210 of 512 MiB")
	give("n-storage", fleet.Committing, "updating the boot menu")
}

// choosing has an action that asks what is to be done, and takes its time.
func choosing(o *tui.Options) {
	_, with := atWork()
	with(o)
}

// ordering has what can be chosen of a real deploy, of a flake that is known.
func ordering(o *tui.Options) {
	d := &nixops.Deployer{Flake: nixops.Flake{Ref: "~/fleet"}, Fleet: o.Store.Snapshot}
	for _, a := range d.Actions() {
		if a.ID == "deploy" {
			o.Actions = append(slices.DeleteFunc(o.Actions, func(have fleet.Action) bool { return have.ID == a.ID }), a)
		}
	}
}

// deployed gives hosts a past: one waits to be confirmed, one is under way, one
// went back by itself, of one it is not known.
func deployed(o *tui.Options) {
	at := func(ago time.Duration) time.Time { return tuitest.Now.Add(-ago) }
	give := func(id fleet.HostID, list ...fleet.Deploy) {
		for i := range list {
			d := &list[i]
			d.ID = d.Started.Format("20060102T150405") + "-abcdef"
			d.Who, d.Action = "ada", "switch"
		}
		o.Store.Update(id, func(s *fleet.State) { s.Deploys = fleet.Known(list, at(4*time.Second), "guard") })
	}
	system := func(host string, n int) fleet.Toplevel {
		return fleet.Toplevel{Path: fmt.Sprintf("/nix/store/x%d-nixos-system-%s-26.05", n, host), Generation: n}
	}
	give("n-storage", fleet.Deploy{
		Kind: "deploy", State: fleet.Awaiting, Why: "it runs, with failed units", Client: "phone", Revision: "4f2a9c1e77",
		Started: at(40 * time.Second), Changed: at(25 * time.Second), Deadline: tuitest.Now.Add(95 * time.Second),
		From: system("storage", 142), To: fleet.Toplevel{Path: "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos-system-storage-26.05.20261121.89abcde"},
	}, fleet.Deploy{
		Kind: "rollback", State: fleet.Confirmed, Why: "by ada@laptop", Client: "laptop", Started: at(26 * time.Hour), Changed: at(26 * time.Hour),
		From: system("storage", 143), To: system("storage", 142),
	})
	give("n-desk", fleet.Deploy{
		Kind: "deploy", State: fleet.RolledBack, Why: "nobody confirmed in time", Client: "laptop", Started: at(3 * time.Hour),
		Changed: at(3 * time.Hour), From: system("desk", 54), To: system("desk", 55),
	})
	give("n-router", fleet.Deploy{
		Kind: "rollback", State: fleet.Activating, Why: "/nix/store/x86-nixos-system-router-26.05", Client: "laptop", Started: at(12 * time.Second),
		Changed: at(9 * time.Second), From: system("router", 87), To: system("router", 86),
	})
	o.Store.Update("n-lab", func(s *fleet.State) {
		s.Deploys = fleet.Nothing[[]fleet.Deploy]("nothing was deployed to it by Sextant yet", tuitest.Now, "probe")
	})
}

// several has an image of which two hosts run different versions; what a third one
// runs is not known.
func several(o *tui.Options) {
	run := func(id fleet.HostID, version string, made time.Duration) {
		o.Store.Update(id, func(s *fleet.State) {
			digest := strings.Repeat(version, 64)
			jellyfin := fleet.Container{
				Engine: "podman", User: "root", Name: "jellyfin", ID: digest, State: "running", Image: "docker.io/jellyfin/jellyfin:10.11", ImageID: digest,
				ImageAt: tuitest.Now.Add(-made), Digest: "sha256:" + digest, Digests: []string{"docker.io/jellyfin/jellyfin@sha256:" + digest},
				Unit: "podman-jellyfin.service", UnitSub: "active/running", Started: tuitest.Now.Add(-50 * time.Hour),
			}
			s.Containers = fleet.Known([]fleet.Container{jellyfin}, tuitest.Now.Add(-3*time.Second), "podman 5.8.2")
		})
	}
	run("n-storage", "1", 400*time.Hour)
	run("n-router", "8", 90*time.Hour)
}

// live has a host whose past nobody keeps, measured since it is looked at.
func live(o *tui.Options) {
	console := o.Console.(*tuitest.Console)
	console.SeriesIn, console.NoSeries = nil, errors.New("no Netdata keeps the past of this host")
	var lines []fleet.Series
	for _, s := range []fleet.Series{
		tuitest.Wave("cpu", "%", 60), tuitest.Wave("memory", "B", 2e9), tuitest.Wave("load", "", 3), tuitest.Wave("net in", "B/s", 3e6), tuitest.Wave("net out", "B/s", 2e5),
		tuitest.Wave("disk read", "B/s", 1e5), tuitest.Wave("disk write", "B/s", 4e5), tuitest.Wave("pressure cpu", "%", 12), tuitest.Wave("pressure memory", "%", 1), tuitest.Wave("pressure io", "%", 5),
	} {
		s.Source = "/proc"
		for i := range s.Points {
			s.Points[i].At = tuitest.Now.Add(time.Duration(i-len(s.Points)) * 2 * time.Second)
		}
		lines = append(lines, s)
	}
	o.Store.Update("n-desk", func(s *fleet.State) { s.Live, s.Metrics.Source = lines, "/proc" })
}

// happening is a day in which storage got a new system, went back, booted and
// raised an alarm, and all charts that there are, with a gap in them.
func happening(o *tui.Options) {
	c := console(*o)
	c.SeriesIn = nil
	for _, s := range []fleet.Series{
		tuitest.Wave("cpu", "%", 60), tuitest.Wave("memory", "B", 2e9), tuitest.Wave("load", "", 3), tuitest.Wave("net in", "B/s", 3e6), tuitest.Wave("net out", "B/s", 2e5),
		tuitest.Wave("disk read", "B/s", 1e5), tuitest.Wave("disk write", "B/s", 4e5), tuitest.Wave("pressure cpu", "%", 12), tuitest.Wave("pressure memory", "%", 1), tuitest.Wave("pressure io", "%", 5),
		tuitest.Wave("disk /srv/media", "%", 93), tuitest.Wave("disk /", "%", 25), tuitest.Wave("heat coretemp Package id 0", "°C", 61),
	} {
		for i := range s.Points {
			s.Points[i].At = tuitest.Now.Add(time.Duration(i-len(s.Points)) * 12 * time.Minute)
		}
		s.Points = slices.Delete(s.Points, 60, 75) // it was off for three hours
		c.SeriesIn = append(c.SeriesIn, s)
	}
	o.Store.Update("n-storage", func(s *fleet.State) {
		at := func(h float64) time.Time { return tuitest.Now.Add(-time.Duration(h * float64(time.Hour))) }
		s.System.Value.Uptime = fleet.Seconds((9 * time.Hour).Seconds())
		s.Deploys = fleet.Known([]fleet.Deploy{
			{ID: "b", Kind: "deploy", State: fleet.RolledBack, From: fleet.Toplevel{Generation: 142}, To: fleet.Toplevel{Generation: 143}, Started: at(4), Changed: at(3.5), Why: "the host was not reached", Result: "rolled back the host was not reached"},
			{ID: "a", Kind: "deploy", State: fleet.Confirmed, From: fleet.Toplevel{Generation: 141}, To: fleet.Toplevel{Generation: 142}, Started: at(15), Changed: at(14.9), Result: "confirmed"},
		}, tuitest.Now, "guard")
		s.Alarms.Value = append([]fleet.Alarm{{Name: "load_average_15", Status: "CRITICAL", Value: "21", Since: at(1)}}, s.Alarms.Value...)
	})
}

// drifted has a flake of which the hosts run an older commit.
func drifted(o *tui.Options) {
	o.Store.SetRepository(fleet.Known(fleet.Repository{
		Ref: "/home/ada/fleet", Revision: "4f2a9c1e77", Nixpkgs: tuitest.Now.Add(-34 * 24 * time.Hour),
		Distances: map[string]fleet.Distance{"9b1c2d3e4f5a": {Behind: 3}},
	}, tuitest.Now, "the flake"))
	o.Store.Update("n-desk", func(s *fleet.State) { s.System.Value.Revision = "9b1c2d3e4f5a" })
}

// audited adds what was done from this machine and never reached the host.
func audited(o *tui.Options) {
	deployed(o)
	o.Store.Record(fleet.Event{
		At: tuitest.Now.Add(-50 * time.Minute), Host: "storage", HostID: "n-storage", Kind: fleet.EventDeploy, Level: fleet.Error, Source: "audit",
		Text: "refused: 142 to 26.05; storage refuses: its /var is full", Who: "ada", Client: "laptop", Duration: 2, Revision: "4f2a9c1e77",
		To: fleet.Toplevel{Path: "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos-system-storage-26.05"}, Result: "storage refuses: its /var is full",
	})
}

// rolling is the plan of a roll-back as nixops makes it.
func rolling(o *tui.Options) {
	for i := range o.Actions {
		if o.Actions[i].ID != "rollback" {
			continue
		}
		o.Actions[i].Disabled = nil
		o.Actions[i].Run = func(context.Context, fleet.Target, func(string)) error { return nil }
		o.Actions[i].Plan = func(context.Context, fleet.Target) (fleet.Plan, error) {
			return fleet.Plan{Title: "Roll storage back to generation 141", Typed: "storage", Lines: []string{
				"from 142  2026-11-19 12:00  26.05.20261101.abcdef0", "to   141  2026-11-11 12:00  26.05.20261020.89abcde",
				"it went back by itself 2026-11-20 09:30: nobody confirmed in time", "kernel 6.18.9 -> 6.18.8: after the next reboot",
				"packages that change: 10", "  caddy 2.10.2 -> 2.10.1", "  immich 2.3.1 -> 2.3.0", "  jellyfin 10.11.3 -> 10.11.2", "  linux 6.18.9 -> 6.18.8", "  openssh 10.2p1 -> 10.1p1",
				"  podman 5.8.0 -> 5.7.1", "  rustic 0.10.1 added", "  tailscale 1.92.0 -> 1.90.8", "  and 2 more",
				"units that change: 3", "  caddy.service changed", "  rustic-ovh.timer removed", "  sshd.service changed",
				"it is not in the boot menu: where that holds only the newest, a reboot starts another system",
				"unless it is reached and well within 300 s, it goes back by itself",
			}}, nil
		}
	}
}
