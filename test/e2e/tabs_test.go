//go:build lab

package e2e

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/test/labtest"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// walk goes through a list or a page from its beginning, until all the patterns were
// seen at the beginning of a line each, or to its end. It gives those that were not, and
// what was seen, a screen a line feed apart.
func walk(ui *tuitest.Term, patterns []string) (missing []string, all string) {
	lacks := func() []string {
		return slices.DeleteFunc(slices.Clone(patterns), func(p string) bool {
			return regexp.MustCompile("(?m)^[> ][* ]? *" + p).MatchString(all)
		})
	}
	if all = ui.Screen(); len(lacks()) == 0 { // mostly it is at its beginning already
		return nil, all
	}
	ui.Press("g")
	time.Sleep(50 * time.Millisecond)
	all = ui.Settle(50 * time.Millisecond).Screen()
	for range 40 {
		if missing = lacks(); len(missing) == 0 {
			return nil, all
		}
		before := ui.Screen()
		if ui.Press("pgdown"); !changes(ui, before) {
			break
		}
		all += "\f" + ui.Screen()
	}
	return missing, all
}

// changes waits for another screen, as long as a busy machine may take.
func changes(ui *tuitest.Term, before string) bool {
	for range 40 {
		time.Sleep(10 * time.Millisecond)
		if ui.Screen() != before {
			ui.Settle(30 * time.Millisecond)
			return true
		}
	}
	return false
}

// see waits until all the patterns are on the pages of what is open, at the
// beginning of a line each. What they are is asked again: hosts live.
func see(t *testing.T, ui *tuitest.Term, where string, patterns func() []string) {
	t.Helper()
	var missing []string
	var all string
	for end := time.Now().Add(tuitest.Patience); time.Now().Before(end); {
		if missing, all = walk(ui, patterns()); len(missing) == 0 {
			return
		}
	}
	t.Errorf("%s lacks\n%s\n%s", where, strings.Join(missing, "\n"), all)
}

// always are patterns that stay what they are.
func always(patterns ...string) func() []string { return func() []string { return patterns } }

// word is what the screens call the state of a backup.
var word = map[string]string{"fresh": "ok", "stale": "stale", "failed": "FAIL", "never": "never"}

// pick goes to a host on the fleet screen: the filter takes the cursor to the host of
// that name. One that is found only after the name was typed is looked for again.
func pick(ui *tuitest.Term, host string) {
	for end := time.Now().Add(tuitest.Patience); ; ui.Press("esc").WaitGone("/" + host) {
		ui.Press("/").Send(host).Press("enter").WaitFor("/" + host)
		for again := time.Now().Add(5 * time.Second); time.Now().Before(again); time.Sleep(20 * time.Millisecond) {
			if strings.Contains(ui.Screen(), "> "+host+" ") {
				return
			}
		}
		if time.Now().After(end) {
			ui.WaitFor("> " + host + " ")
		}
	}
}

// TestScreensAgreeWithTheHosts goes through every host and its tabs, wide and on
// a telephone, and finds there what the host's own commands say inside it. Nobody
// changes the hosts meanwhile: two persons do so at once. Each reads all hosts anew,
// their repositories of backups above all; more of them would wait for each other.
func TestScreensAgreeWithTheHosts(t *testing.T) {
	lab := labtest.Load(t)
	for _, size := range [][2]int{{120, 40}, {40, 20}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			onScreen(t, size, func(ui *tuitest.Term) {
				seeAway(t, ui)
				for _, h := range lab.Hosts {
					seeHost(t, ui, h, size[0] == 120)
				}
			})
		})
	}
}

// onScreen does something on a screen that knows all hosts, and leaves it.
func onScreen(t *testing.T, size [2]int, do func(ui *tuitest.Term)) {
	t.Helper()
	ui := screen(t, size[0], size[1])
	answer(ui)
	do(ui)
	ui.Press("q")
	if err := ui.Wait(); err != nil {
		t.Error(err)
	}
}

// seeHost goes through a host's row and its tabs.
func seeHost(t *testing.T, ui *tuitest.Term, h labtest.Host, wide bool) {
	t.Helper()
	pick(ui, h.Name)
	if wide {
		see(t, ui, "the row of "+h.Name, func() []string { return rowOf(t, h) })
	}
	ui.Press("enter").WaitFor("Overview]")
	for _, tab := range tabs {
		ui.Press(tab.key).WaitFor(tab.title + "]")
		see(t, ui, h.Name+", "+tab.title, func() []string { return tab.truth(t, h, wide) })
	}
	ui.Press("esc").WaitFor("/" + h.Name).Press("esc").WaitGone("/" + h.Name)
}

// rowOf is a host's row on the fleet screen: systems, failed units, containers,
// backups, the fullest disk.
func rowOf(t *testing.T, h labtest.Host) []string {
	t.Helper()
	generation := "– +"
	if h.Base != "debian" {
		sys, all := systemOf(t, h.Name), generationsOf(t, h.Name)
		generation = `\? +`
		if n := numbered(all, sys.Running); n > 0 {
			generation = fmt.Sprintf(`%d \d+[a-z]+ +`, n)
		}
		if sys.Running != sys.Default {
			generation += "≠"
		}
		if len(rebootWhy(t, h.Name)) > 0 {
			generation += "↻"
		}
	}
	up, containers := 0, containersOf(t, h)
	for _, c := range containers {
		if c.State == "running" {
			up++
		}
	}
	count := "–"
	if slices.Contains(h.Runs, "podman") || slices.Contains(h.Runs, "docker") {
		count = fmt.Sprintf(`%d/%d(!\d+)?`, up, len(containers))
	}
	want := []string{fmt.Sprintf(`%s +(ok|warn|FAIL) +(direct|relay|config|tailn\S+) +%s +%d +%s +%s `,
		h.Name, generation, len(failedOf(t, h.Name)), count, jobsInARow(t, h))}
	if h.Name == "router" { // its small disk is the fullest
		want = append(want, fmt.Sprintf(`router .* %d%% +\S+ +\S+ │`, percentOf(disksOf(t, h.Name)["/mnt/small"])))
	}
	return want
}

func percentOf(d disk) int { return int(100*float64(d.Used)/float64(d.Used+d.Free) + 0.5) }

// jobsInARow is how the jobs of a host are counted on its row: those in the worst state, of all.
func jobsInARow(t *testing.T, h labtest.Host) string {
	t.Helper()
	count := map[string]int{}
	for name := range backupsOf(t, h.Name) {
		count[backupStates[h.Name+"/"+name]]++
	}
	all := 0
	for _, n := range count {
		all += n
	}
	for _, state := range []string{"failed", "stale", "never", "fresh"} {
		switch n := count[state]; n {
		case 0:
		case all:
			return fmt.Sprintf("%d%s", n, word[state])
		default:
			return fmt.Sprintf("%d%s/%d", n, word[state], all)
		}
	}
	return "–"
}

// tabs are a host's tabs with what must be on them, as patterns of lines.
var tabs = []struct {
	key, title string
	truth      func(t *testing.T, h labtest.Host, wide bool) []string
}{
	{"1", "1 Overview", func(t *testing.T, h labtest.Host, _ bool) []string {
		want := []string{"reached +"}
		if h.Base != "debian" {
			sys, all := systemOf(t, h.Name), generationsOf(t, h.Name)
			want = append(want, "system +NixOS "+regexp.QuoteMeta(sys.Version))
			if n := numbered(all, sys.Running); n > 0 {
				want = append(want, fmt.Sprintf(`running +generation %d`, n))
			}
		}
		failed := failedOf(t, h.Name)
		want = append(want, fmt.Sprintf("units +%d failed", len(failed)))
		if slices.ContainsFunc(failed, func(u string) bool { return !passing(u) }) { // a failed health check is the container's problem
			want = append(want, "FAIL failed unit:")
		}
		if d, ok := disksOf(t, h.Name)["/mnt/small"]; ok {
			want = append(want, fmt.Sprintf(`warn disk /mnt/small is %d %%`, percentOf(d)), fmt.Sprintf(`disks +%d%% /mnt/small`, percentOf(d)))
		}
		return want
	}},
	{"2", "2 Generations", func(t *testing.T, h labtest.Host, wide bool) []string {
		if h.Base == "debian" {
			return []string{".*not NixOS: Debian"}
		}
		sys, all := systemOf(t, h.Name), generationsOf(t, h.Name)
		var want []string
		for _, n := range slices.Sorted(maps.Keys(all)) {
			g, marks := all[n], ""
			for _, m := range []struct{ path, word string }{{sys.Running, "running"}, {sys.Default, "default"}, {sys.Booted, "booted"}} {
				if g.Path == m.path {
					marks += " *" + m.word
				}
			}
			if !g.InMenu {
				marks += ".*no boot entry"
			}
			if wide {
				want = append(want, fmt.Sprintf(`%d %s +\S+%s .*%s`, n, g.Made.UTC().Format("2006-01-02 15:04"), marks, regexp.QuoteMeta(g.Version)))
			} else {
				want = append(want, fmt.Sprintf(`%d *%s\s*\n +%s `, n, marks, g.Made.UTC().Format("2006-01-02 15:04")))
			}
		}
		return want
	}},
	{"3", "3 Containers", func(t *testing.T, h labtest.Host, wide bool) []string {
		all := containersOf(t, h)
		if len(all) == 0 {
			return []string{".*no container"}
		}
		var want []string
		for _, c := range all {
			health := ""
			if c.Health != "" {
				health = " +(?i:" + c.Health + ")"
			}
			state := c.State
			if state == "exited" && c.Exit != 0 {
				state = fmt.Sprintf("FAIL %d", c.Exit)
			}
			line := regexp.QuoteMeta(c.Name) + " +"
			if wide {
				line += regexp.QuoteMeta(c.User) + " +"
			}
			want = append(want, line+state+health)
		}
		return want
	}},
	{"4", "4 Units", func(t *testing.T, h labtest.Host, wide bool) []string {
		var want []string
		for _, u := range failedOf(t, h.Name) {
			if healthCheck(u) { // the container tells of it
				continue
			}
			if wide {
				want = append(want, regexp.QuoteMeta(u[:min(len(u), 40)])+".* FAIL")
			} else {
				want = append(want, regexp.QuoteMeta(u[:min(len(u), 30)])+`.*\n +FAIL`)
			}
		}
		for u, state := range unitsOf(t, h.Name) {
			if state == "active/running" && wide && len(u) < 40 {
				want = append(want, regexp.QuoteMeta(u)+" +running")
			}
		}
		return want
	}},
	{"5", "5 Backups", func(t *testing.T, h labtest.Host, _ bool) []string {
		all := backupsOf(t, h.Name)
		if len(all) == 0 {
			return []string{".*no backup"}
		}
		var want []string
		for name := range all {
			want = append(want, name+" +"+word[backupStates[h.Name+"/"+name]]+" ")
		}
		return want
	}},
}

// seeAway holds how hosts are shown that cannot be reached.
func seeAway(t *testing.T, ui *tuitest.Term) {
	t.Helper()
	for name, away := range absent {
		pick(ui, name)
		see(t, ui, "the row of "+name, always(name+" +(off|warn)"))
		ui.Press("enter").WaitFor("Overview]")
		see(t, ui, name, always(`(\? +)?offline: no address answers:`))
		for _, p := range away.problems {
			see(t, ui, name, always("warn "+p))
		}
		for _, tab := range tabs[1:] {
			ui.Press(tab.key).WaitFor(tab.title + "]").Settle(200 * time.Millisecond)
			text := strings.Join(strings.Fields(ui.Screen()), " ")
			if !strings.Contains(text, "no address answers") {
				t.Errorf("tab %s of %s does not say why it is empty:\n%s", tab.title, name, ui.Screen())
			}
		}
		ui.Press("esc").WaitFor("/" + name).Press("esc").WaitGone("/" + name)
	}
}
