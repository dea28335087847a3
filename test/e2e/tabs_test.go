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

// view is the program in a terminal of one size.
type view struct {
	*tuitest.Term
	wide bool
}

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
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); {
		if missing, all = walk(ui, patterns()); len(missing) == 0 {
			return
		}
	}
	t.Errorf("%s lacks\n%s\n%s", where, strings.Join(missing, "\n"), all)
}

// word is what the screens call the state of a backup.
var word = map[string]string{"fresh": "ok", "stale": "stale", "failed": "FAIL", "never": "never"}

// pick goes to a host on the fleet screen.
func pick(ui *tuitest.Term, host string) {
	ui.Press("/").Send(host).Press("enter").WaitFor("/" + host)
	for range 3 { // the filter knows tags too: another host may stand first
		if ui.Settle(200 * time.Millisecond); !strings.Contains(ui.Screen(), "> "+host+" ") {
			ui.Press("j")
		}
	}
	ui.WaitFor("> " + host + " ")
}

// TestScreensAgreeWithTheHosts goes through every host and its tabs, wide and on
// a telephone, and finds there what the host's own commands say inside it.
func TestScreensAgreeWithTheHosts(t *testing.T) {
	t.Parallel()
	lab := labtest.Load(t)
	views := []view{{screen(t, 120, 40), true}, {screen(t, 40, 20), false}}
	for _, h := range lab.Hosts { // at 40×20 two lines a host: not all fit
		views[0].WaitFor(h.Name)
	}
	for _, v := range views {
		answer(v.Term)
	}
	for _, h := range lab.Hosts {
		seeHost(t, lab, views, h)
	}
	for _, v := range views {
		seeAway(t, v.Term)
		v.Press("q")
		if err := v.Wait(); err != nil {
			t.Error(err)
		}
		if v.AltScreen() {
			t.Error("the terminal is not given back")
		}
	}
}

// seeHost goes through a host's tabs, which stays as it is meanwhile.
func seeHost(t *testing.T, lab labtest.Lab, views []view, h labtest.Host) {
	t.Helper()
	defer lab.Look(t, h.Name)()
	truth := &known{t: t, host: h}
	for _, v := range views {
		pick(v.Term, h.Name)
		if v.wide {
			see(t, v.Term, "the row of "+h.Name, truth.now(func(k *known) []string { return rowOf(t, k) }))
		}
		v.Press("enter").WaitFor("Overview]")
	}
	for _, tab := range tabs {
		for _, v := range views {
			v.Press(tab.key).WaitFor(tab.title + "]")
		}
		for _, v := range views {
			see(t, v.Term, h.Name+", "+tab.title, truth.now(func(k *known) []string { return tab.truth(k, v.wide) }))
		}
	}
	for _, v := range views {
		if h.Name == "storage" { // the source is below the charts
			v.Press("6").WaitFor("6 Metrics]", "memory").Press("G").WaitFor("netdata")
		}
		v.Press("esc").WaitFor("/" + h.Name).Press("esc").WaitGone("/" + h.Name)
	}
}

// known is what a host's own commands said of it, each asked when it is first needed.
type known struct {
	t          *testing.T
	host       labtest.Host
	system     func() system
	gens       func() map[int]generation
	reboot     func() []string
	containers func() []container
	failed     func() []string
	units      func() map[string]string
	disks      func() map[string]disk
	jobs       func() []string
}

// ask forgets what was said.
func (k *known) ask() {
	t, name := k.t, k.host.Name
	k.system = once(func() system { return systemOf(t, name) })
	k.gens = once(func() map[int]generation { return generationsOf(t, name) })
	k.reboot = once(func() []string { return rebootWhy(t, name) })
	k.containers = once(func() []container { return containersOf(t, k.host) })
	k.failed = once(func() []string { return failedOf(t, name) })
	k.units = once(func() map[string]string { return unitsOf(t, name) })
	k.disks = once(func() map[string]disk { return disksOf(t, name) })
	k.jobs = once(func() []string { return slices.Collect(maps.Keys(jobsOf(t, name))) })
}

// once gives what a function gave the first time.
func once[T any](f func() T) func() T {
	var v *T
	return func() T {
		if v == nil {
			first := f()
			v = &first
		}
		return *v
	}
}

// now gives patterns by what is known, and from the second time on by what the host
// says then.
func (k *known) now(patterns func(*known) []string) func() []string {
	first := k.system != nil
	return func() []string {
		if !first {
			k.ask()
		}
		first = false
		return patterns(k)
	}
}

// rowOf is a host's row on the fleet screen: systems, failed units, containers,
// backups, the fullest disk.
func rowOf(t *testing.T, k *known) []string {
	t.Helper()
	h := k.host
	generation := "– +"
	if h.Base != "debian" {
		sys, all := k.system(), k.gens()
		generation = `\? +`
		if n := numbered(all, sys.Running); n > 0 {
			generation = fmt.Sprintf(`%d \d+[a-z]+ +`, n)
		}
		if sys.Running != sys.Default {
			generation += "≠"
		}
		if len(k.reboot()) > 0 {
			generation += "↻"
		}
	}
	up, containers := 0, k.containers()
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
		h.Name, generation, len(k.failed()), count, jobsInARow(k))}
	if h.Name == "router" { // its small disk is the fullest
		want = append(want, fmt.Sprintf(`router .* %d%% +\S+ +\S+ │`, percentOf(k.disks()["/mnt/small"])))
	}
	return want
}

func percentOf(d disk) int { return int(100*float64(d.Used)/float64(d.Used+d.Free) + 0.5) }

// jobsInARow is how the jobs of a host are counted on its row: those in the worst state, of all.
func jobsInARow(k *known) string {
	count := map[string]int{}
	for _, name := range k.jobs() {
		count[backupStates[k.host.Name+"/"+name]]++
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
	truth      func(k *known, wide bool) []string
}{
	{"1", "1 Overview", func(k *known, _ bool) []string {
		want := []string{"reached +"}
		if k.host.Base != "debian" {
			sys, all := k.system(), k.gens()
			want = append(want, "system +NixOS "+regexp.QuoteMeta(sys.Version))
			if n := numbered(all, sys.Running); n > 0 {
				want = append(want, fmt.Sprintf(`running +generation %d`, n))
			}
		}
		failed := k.failed()
		want = append(want, fmt.Sprintf("units +%d failed", len(failed)))
		if slices.ContainsFunc(failed, func(u string) bool { return !passing(u) }) { // a failed health check is the container's problem
			want = append(want, "FAIL failed units:")
		}
		if d, ok := k.disks()["/mnt/small"]; ok {
			want = append(want, fmt.Sprintf(`warn disk /mnt/small is %d %%`, percentOf(d)), fmt.Sprintf(`disks +%d%% /mnt/small`, percentOf(d)))
		}
		return want
	}},
	{"2", "2 Generations", func(k *known, wide bool) []string {
		if k.host.Base == "debian" {
			return []string{".*not NixOS: Debian"}
		}
		sys, all := k.system(), k.gens()
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
	{"3", "3 Containers", func(k *known, wide bool) []string {
		all := k.containers()
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
	{"4", "4 Units", func(k *known, wide bool) []string {
		var want []string
		for _, u := range k.failed() {
			if healthCheck(u) { // the container tells of it
				continue
			}
			if wide {
				want = append(want, regexp.QuoteMeta(u[:min(len(u), 40)])+".* FAIL")
			} else {
				want = append(want, regexp.QuoteMeta(u[:min(len(u), 30)])+`.*\n +FAIL`)
			}
		}
		for u, state := range k.units() {
			if state == "active/running" && wide && len(u) < 40 {
				want = append(want, regexp.QuoteMeta(u)+" +running")
			}
		}
		return want
	}},
	{"5", "5 Backups", func(k *known, _ bool) []string {
		all := k.jobs()
		if len(all) == 0 {
			return []string{".*no backup"}
		}
		var want []string
		for _, name := range all {
			want = append(want, name+" +"+word[backupStates[k.host.Name+"/"+name]]+" ")
		}
		return want
	}},
}

// seeAway holds how hosts are shown that cannot be reached.
func seeAway(t *testing.T, ui *tuitest.Term) {
	t.Helper()
	for name, away := range absent {
		pick(ui, name)
		see(t, ui, "the row of "+name, only(name+" +(off|warn)"))
		ui.Press("enter").WaitFor("Overview]")
		problems := []string{`(\? +)?offline: no address answers:`}
		for _, p := range away.problems {
			problems = append(problems, "warn "+p)
		}
		see(t, ui, name, only(problems...))
		for _, tab := range tabs[1:] {
			ui.Press(tab.key).WaitFor(tab.title + "]")
			why := func() bool {
				return strings.Contains(strings.Join(strings.Fields(ui.Screen()), " "), "no address answers")
			}
			for end := time.Now().Add(10 * time.Second); !why() && time.Now().Before(end); {
				time.Sleep(20 * time.Millisecond)
			}
			if !why() {
				t.Errorf("tab %s of %s does not say why it is empty:\n%s", tab.title, name, ui.Screen())
			}
		}
		ui.Press("esc").WaitFor("/" + name).Press("esc").WaitGone("/" + name)
	}
}

// only are patterns that stay the same.
func only(patterns ...string) func() []string { return func() []string { return patterns } }
