package tui

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/hostscreen"
	"github.com/sextant-fleet/sextant/tui/screen"
)

// builtin are all keys of the UI itself; actions on hosts add theirs. Groups
// other than "global" are those that screens name in Scopes.
func builtin() []screen.Binding {
	list := []screen.Binding{
		{ID: "enter", Title: "open", Help: "open what the cursor is on", Keys: []string{"enter"}, In: []string{"fleet", "table", "failed", "deploys"}},
		{ID: "back", Title: "back", Help: "one level back: popup, filter, marks, screen", Keys: []string{"esc"}, In: []string{"global"}, Plain: true},
		{ID: "find", Title: "filter", Help: "filter the list; !word is without it", Keys: []string{"/"}, In: []string{"list", "messages"}, Off: noFind},
		{ID: "palette", Title: "command", Help: "every action, host and screen by name", Keys: []string{":"}, In: []string{"global"}, Plain: true},
		{ID: "menu", Title: "actions", Help: "what can be done here, and why not", Keys: []string{"."}, In: []string{"global"}, Plain: true},
		{ID: "logs", Title: "logs", Help: "log of the container or unit", Keys: []string{"L"}, In: []string{"fleet", "host", "containers", "backups", "exposure"}, Off: noHost},
		{ID: "shell", Title: "shell", Help: "a shell on the host; exit comes back", Keys: []string{"S"}, In: []string{"fleet", "host", "containers", "logs", "backups", "exposure", "network"}, Danger: true, Off: noShell},
		{ID: "exec", Title: "exec", Help: "a shell in the container; exit comes back", Keys: []string{"e"}, In: []string{"host", "containers"}, Danger: true, Off: noExec},
		{ID: "refresh", Title: "refresh", Help: "ask everything again now", Keys: []string{"r"}, In: []string{"fleet", "host", "containers", "deploys", "timeline", "snapshots", "exposure", "tailnet", "network"}},
		{ID: "mark", Title: "mark", Help: "mark the row for an action on several", Keys: []string{"space"}, In: []string{"fleet", "containers", "units", "snapshots", "tailnet"}},
		{ID: "mark-all", Title: "mark all", Help: "mark every row that is shown, or none", Keys: []string{"V"}, In: []string{"fleet", "containers", "units", "tailnet"}},
		{ID: "sort", Title: "sort", Help: "sort by a column; by the same again: the other way round", Keys: []string{"s"}, In: []string{"containers", "units", "backups"}},
		{ID: "secrets", Title: "secrets", Help: "show the values that look secret, or hide them again", Keys: []string{"v"}, In: []string{"container", "unit"}},
		{ID: "window", Title: "window", Help: "how much of the past the charts show: 1 h, 24 h, 7 days", Keys: []string{"w"}, In: []string{"metrics", "container"}},
		{ID: "view", Title: "view", Help: "the next list of this tab", Keys: []string{"v"}, In: []string{"containers", "served", "backups", "network"}},
		{ID: "group", Title: "group", Help: "hosts by name, by role, by tier", Keys: []string{"v"}, In: []string{"fleet"}},
		{ID: "timers", Title: "timers", Help: "timers with their next and last runs, and units again", Keys: []string{"t"}, In: []string{"units"}},
		{ID: "every-kind", Title: "all kinds", Help: "also targets, mounts, slices and what is not there, and back", Keys: []string{"a"}, In: []string{"units"}},
		{ID: "fleet", Title: "fleet", Help: "all hosts, from wherever you are", Keys: []string{"0"}, In: []string{"global"}},
		{ID: "containers", Title: "all containers", Help: "the containers of all hosts in one list", Keys: []string{"C"}, In: []string{"global"}},
		{ID: "trace", Title: "trace", Help: "the way from a public name to what answers, to the first step that is broken", Keys: []string{"T"}, In: []string{"global"}},
		{ID: "health", Title: "health", Help: "the problems of all hosts in one list, what is worst first", Keys: []string{"H"}, In: []string{"global"}},
		{ID: "alarms", Title: "alarms", Help: "what all monitoring raises in one list: Netdata, Prometheus, Alertmanager, Grafana", Keys: []string{"A"}, In: []string{"global"}},
		{ID: "silenced", Title: "silenced", Help: "also the alarms that somebody has silenced, or not", Keys: []string{"v"}, In: []string{"alarms"}},
		{ID: "load", Title: "load", Help: "how busy all hosts are, the worst first", Keys: []string{"U"}, In: []string{"global"}},
		{ID: "dns", Title: "DNS", Help: "the DNS servers of all hosts, whether they block, what they count; names in mDNS", Keys: []string{"Z"}, In: []string{"global"}},
		{ID: "backups", Title: "all backups", Help: "the backups of all hosts in one list, what is broken first", Keys: []string{"B"}, In: []string{"global"}},
		{ID: "exposure", Title: "exposure", Help: "who listens on all hosts, and whether the internet, the LAN and the tailnet reach it", Keys: []string{"E"}, In: []string{"global"}},
		{ID: "network", Title: "networks", Help: "how all hosts are on their networks: WAN, rates, WireGuard, leases, drops", Keys: []string{"K"}, In: []string{"global"}},
		{ID: "matrix", Title: "service matrix", Help: "the services of all hosts: defined, configured, with secrets, exposed, protected, monitored, backed up", Keys: []string{"O"}, In: []string{"global"}},
		{ID: "snapshots", Title: "snapshots", Help: "snapshots of the backup, their files, and how two differ", Keys: []string{"f"}, In: []string{"backups"}},
		{ID: "difference", Title: "difference", Help: "how the two marked snapshots differ; of one: from the one before", Keys: []string{"d"}, In: []string{"snapshots"}},
		{ID: "copy", Title: "copy", Help: "copy to the clipboard of your terminal", Keys: []string{"y"}, In: []string{"global"}},
		{ID: "messages", Title: "messages", Help: "what happened and what failed", Keys: []string{"M"}, In: []string{"global"}},
		{ID: "progress", Title: "progress", Help: "actions under way and done", Keys: []string{"P"}, In: []string{"global"}},
		{ID: "history-back", Title: "backward", Help: "to the screen before, in history", Keys: []string{"["}, In: []string{"global"}, Plain: true},
		{ID: "history-forward", Title: "forward", Help: "to the screen after, in history", Keys: []string{"]"}, In: []string{"global"}, Plain: true},
		{ID: "last", Title: "last screen", Help: "to the screen that was open last", Keys: []string{"-"}, In: []string{"global"}, Plain: true},
		{ID: "mouse", Title: "mouse", Help: "mouse off, to select text with it, and on again", Keys: []string{"m"}, In: []string{"global"}},
		{ID: "help", Title: "help", Help: "every key, and why it is off", Keys: []string{"?"}, In: []string{"global"}, Plain: true},
		{ID: "quit", Title: "quit", Help: "leave Sextant", Keys: []string{"q"}, In: []string{"global"}},
	}
	list = append(list, imageKeys()...)
	list = append(list, logKeys()...)
	return append(list, moves()...)
}

// imageKeys are the keys of images.
func imageKeys() []screen.Binding {
	return []screen.Binding{
		{ID: "images", Title: "images", Help: "images of the host: which are newer in their registries, and what uses them", Keys: []string{"I"}, In: []string{"fleet", "host"}, Off: noHost},
		{ID: "newer", Title: "newer?", Help: "ask the registries which images they have newer ones of", Keys: []string{"n"}, In: []string{"images"}},
	}
}

// logKeys are the keys of a log.
func logKeys() []screen.Binding {
	in := []string{"logs"}
	return []screen.Binding{
		{ID: "search", Title: "search", Help: "search in the log", Keys: []string{"/"}, In: in},
		{ID: "follow", Title: "follow", Help: "stay at the newest line, or stop", Keys: []string{"f"}, In: in},
		{ID: "wrap", Title: "wrap", Help: "break long lines, or cut them", Keys: []string{"w"}, In: in},
		{ID: "times", Title: "times", Help: "the source's time before each line", Keys: []string{"t"}, In: in},
		{ID: "since", Title: "since", Help: "how far back: lines, 1h, 24h, 7d", Keys: []string{"s"}, In: in},
		{ID: "next-match", Title: "next", Help: "next match of the search", Keys: []string{"n"}, In: in},
		{ID: "previous-match", Title: "previous", Help: "match before", Keys: []string{"N"}, In: in},
		{ID: "only", Title: "only matches", Help: "show only the lines that match, or all", Keys: []string{"o"}, In: in},
		{ID: "search-all", Title: "search all", Help: "search the whole log on the host, not only what is loaded", Keys: []string{"J"}, In: in},
		{ID: "sieve", Title: "filter", Help: "show only the lines with a text; !text is without it", Keys: []string{"F"}, In: in},
		{ID: "level", Title: "level", Help: "leave out debug, info, warnings; the text's own word counts too", Keys: []string{"v"}, In: in},
		{ID: "sources", Title: "sources", Help: "add a log of this or another host, on one clock", Keys: []string{"a"}, In: in},
		{ID: "mark-line", Title: "mark", Help: "mark the line that was found, the newest, or the one on top; a tap marks any", Keys: []string{"space"}, In: in},
		{ID: "next-mark", Title: "next mark", Help: "go to the next line that is marked", Keys: []string{"'"}, In: in},
		{ID: "save", Title: "save", Help: "write the lines that are shown to a file here", Keys: []string{"W"}, In: in},
		{ID: "reload", Title: "reload", Help: "read the log again", Keys: []string{"r"}, In: in},
		{ID: "left", Title: "left", Help: "scroll long lines to the left", Keys: []string{"left", "h"}, In: in, Plain: true},
		{ID: "right", Title: "right", Help: "scroll long lines to the right", Keys: []string{"right", "l"}, In: in, Plain: true},
	}
}

// moves are the keys that move about.
func moves() []screen.Binding {
	in := []string{"list", "scroll", "logs"}
	list := []screen.Binding{
		{ID: "up", Title: "up", Keys: []string{"k", "up"}, In: in},
		{ID: "down", Title: "down", Keys: []string{"j", "down"}, In: in},
		{ID: "page-up", Title: "page up", Keys: []string{"pgup", "b"}, In: in},
		{ID: "page-down", Title: "page down", Keys: []string{"pgdown"}, In: in},
		{ID: "top", Title: "first", Keys: []string{"g", "home"}, In: in},
		{ID: "bottom", Title: "last", Keys: []string{"G", "end"}, In: in},
		{ID: "next-tab", Title: "next", Help: "next tab", Keys: []string{"tab", "right", "l"}, In: []string{"host"}},
		{ID: "previous-tab", Title: "previous tab", Keys: []string{"shift+tab", "left", "h"}, In: []string{"host"}},
	}
	for i, t := range hostscreen.Tabs {
		list = append(list, screen.Binding{ID: "tab-" + t.ID, Title: t.Title, Keys: []string{fmt.Sprint(i + 1)}, In: []string{"host", "fleet", "containers"}})
	}
	for i := range list {
		list[i].Plain = true
		list[i].Help = cmp.Or(list[i].Help, list[i].Title)
	}
	return list
}

// Bindings are all keys and actions there are with their declared keys, for
// documents and for checking what a configuration binds.
func Bindings(actions []fleet.Action) []screen.Binding { return bindings(actions) }

// bindings are the keys of the UI and of the actions. An action that the UI
// has itself (shell, logs) is not there twice; keys that are taken stay with
// the UI.
func bindings(actions []fleet.Action) []screen.Binding {
	list := builtin()
	taken, inLists := map[string]bool{}, map[string]bool{}
	for _, b := range list {
		for _, k := range b.Keys {
			taken[k] = taken[k] || !slices.Contains(b.In, "logs") || len(b.In) > 1
			inLists[k] = inLists[k] || slices.ContainsFunc(b.In, func(in string) bool { return slices.Contains(everyList, in) })
		}
	}
	ofDNS := maps.Clone(inLists)
	for _, a := range actions {
		if slices.ContainsFunc(list, func(b screen.Binding) bool { return b.ID == a.ID }) {
			continue
		}
		b := screen.Binding{ID: a.ID, Title: a.Title, Help: a.Help, In: []string{"fleet", "host", "containers", "deploys", "timeline"}, Danger: a.Danger, Action: &a}
		used := taken
		switch a.Scope {
		case fleet.ScopeFinding:
			b.In, used = []string{"health"}, inLists
		case fleet.ScopeNode:
			b.In, used = []string{"tailnet"}, inLists
		case fleet.ScopeDNS:
			b.In, used = []string{"dns"}, ofDNS
		}
		for _, k := range a.Keys {
			if !used[k] {
				used[k] = true
				b.Keys = append(b.Keys, k)
			}
		}
		b.Off = func(c *screen.Context, s screen.Screen) string { return off(a, s.Target(c)) }
		list = append(list, b)
	}
	return list
}

// everyList are the groups that hold on every list.
var everyList = []string{"global", "list", "table", "deploys"}

// off is why an action cannot be done to a target: it is of the wrong kind, or
// the action itself says so.
func off(a fleet.Action, t fleet.Target) string {
	a = a.Over(t)
	switch {
	case a.Scope == fleet.ScopeHost && len(t.Hosts) == 0:
		return "no host is selected"
	case a.Scope == fleet.ScopeContainer && !t.Has(a.Scope):
		return "select a container first (C, or a host, tab 3)"
	case a.Scope == fleet.ScopeFinding && !t.Has(a.Scope):
		return "select a problem first (H)"
	case a.Scope == fleet.ScopeNode && !t.Has(a.Scope):
		return "select a node first (: Tailnet)"
	case a.Scope == fleet.ScopeDNS && !t.Has(a.Scope):
		return "select a DNS server first (Z)"
	case a.Scope == fleet.ScopeUnit && !t.Has(a.Scope):
		return "select a unit first (a host, tab 4)"
	case a.Scope == fleet.ScopeJob && !t.Has(a.Scope):
		return "select a backup first (B, or a host, tab 5)"
	case a.Run == nil && a.Off(t) == "":
		return "not in this version yet"
	}
	return a.Off(t)
}

func noHost(c *screen.Context, s screen.Screen) string {
	if len(s.Target(c).Hosts) == 0 {
		return "no host is selected"
	}
	return ""
}

func noShell(c *screen.Context, s screen.Screen) string {
	if n := len(s.Target(c).Hosts); n > 1 {
		return fmt.Sprintf("%d hosts are marked; a shell is for one", n)
	}
	return noHost(c, s)
}

func noExec(c *screen.Context, s screen.Screen) string {
	t := s.Target(c)
	if len(t.Hosts) != 1 || t.Container == "" {
		return "select a container first (a host, tab 3)"
	}
	for _, ct := range t.Hosts[0].Containers.Value {
		if ct.Name == t.Container && (t.User == "" || ct.User == t.User) && ct.Running() {
			return ""
		}
	}
	return t.Container + " does not run"
}

func noFind(_ *screen.Context, s screen.Screen) string {
	if _, ok := s.(screen.Finder); !ok {
		return "there is nothing to filter here"
	}
	return ""
}
