//go:build lab

package units_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/units"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// as runs a shell's words on a host: as root, or as a user with the way to the
// systemd of that user.
func as(t *testing.T, l link.Link, user, script string) string {
	t.Helper()
	cmd := link.Command{Args: []string{"sh", "-c", script}, IfRoot: true}
	if user != "" {
		cmd = link.Command{Args: []string{"sh", "-c", `XDG_RUNTIME_DIR=/run/user/$(id -u); export XDG_RUNTIME_DIR; ` + script}, User: user}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // what a test made is taken away also after it
	defer cancel()
	res, err := l.Run(ctx, cmd)
	if err != nil || res.Status != 0 {
		t.Errorf("%s on %s: %v, status %d: %s", script, l.Host().Name, err, res.Status, res.Stderr)
	}
	return string(res.Stdout)
}

// manager is how a systemd is asked: the system's, or a user's.
func manager(user string) string {
	if user == "" {
		return "systemctl "
	}
	return "systemctl --user "
}

// listed are the states of all units in the words of systemctl, by name, but of
// health checks, which are another at each moment.
func listed(t *testing.T, l link.Link, user string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(as(t, l, user, manager(user)+"list-units --all --plain --no-legend --full --no-pager")) {
		if f := strings.Fields(line); len(f) > 3 && !labtest.OfCheck(f[0]) {
			all[f[0]] = strings.Join(f[1:4], " ")
		}
	}
	return all
}

// property is one property of one unit.
func property(t *testing.T, l link.Link, user, name, unit string) string {
	t.Helper()
	return strings.TrimSpace(as(t, l, user, "TZ=UTC "+manager(user)+"show --timestamp=unix -P "+name+" -- '"+unit+"'"))
}

func read(t *testing.T, l link.Link) fleet.UnitList {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	list, err := units.Read(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// of are the units of one systemd, by name, but of health checks.
func of(list fleet.UnitList, user string) map[string]fleet.Unit {
	all := map[string]fleet.Unit{}
	for _, u := range list.Units {
		if u.User == user && !labtest.OfCheck(u.Name) {
			all[u.Name] = u
		}
	}
	return all
}

// systemds are some of the lab's: of systemd 257, 252 and Debian's, and of users.
var systemds = []struct{ host, user string }{
	{"storage", ""}, {"router", ""}, {"r2s", ""}, {"media", ""}, {"desktop", ""}, {"desktop", "ada"}, {"router", "bea"},
}

// TestUnitsAgreeWithSystemctl compares what is told in one go with what systemctl
// says before and after; what moved meanwhile may be either.
func TestUnitsAgreeWithSystemctl(t *testing.T) {
	lab := labtest.Load(t)
	for _, s := range systemds {
		t.Run(strings.Trim(s.host+" "+s.user, " "), func(t *testing.T) {
			l := lab.Link(t, s.host)
			before := listed(t, l, s.user)
			list := read(t, l)
			got, after := of(list, s.user), listed(t, l, s.user)
			if len(list.Unseen) > 0 || len(before) < 10 {
				t.Errorf("%d units; unseen: %v", len(before), list.Unseen)
			}
			for name, state := range before {
				u, ok := got[name]
				if is := u.Load + " " + u.Active + " " + u.Sub; after[name] == state && (!ok || is != state) {
					t.Errorf("%s is %q, want %q", name, is, state)
				}
			}
			for name := range got {
				if before[name] == "" && after[name] == "" && !strings.HasPrefix(name, "session-") { // we come and go ourselves
					t.Errorf("%s is told of, and is not there", name)
				}
			}
			details(t, l, s.user, got)
		})
	}
}

// details asks about some units one by one.
func details(t *testing.T, l link.Link, user string, got map[string]fleet.Unit) {
	t.Helper()
	asked, memory := 0, 0
	for name, u := range got {
		if !strings.HasSuffix(name, ".service") || u.Load != "loaded" || asked == 12 {
			continue
		}
		was := property(t, l, user, "StateChangeTimestamp", name)
		if unix(u.Since) != was && u.Active == property(t, l, user, "ActiveState", name) {
			t.Errorf("%s is so since %s, want %s", name, unix(u.Since), was)
		}
		if result := property(t, l, user, "Result", name); unix(u.Since) == was && u.Result != result {
			t.Errorf("%s ended with %q, want %q", name, u.Result, result)
		}
		if u.Memory != nil {
			memory++
		}
		asked++
	}
	if asked == 0 {
		t.Error("no unit was looked at")
	}
	t.Logf("%d looked at, of %d memory is counted", asked, memory)
}

func unix(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return fmt.Sprintf("@%d", at.Unix())
}

// TestTimersAgreeWithSystemctl compares next and last runs.
func TestTimersAgreeWithSystemctl(t *testing.T) {
	lab := labtest.Load(t)
	type run struct {
		Next, Last      *uint64
		Unit, Activates string
	}
	ask := func(l link.Link, user string) map[string]run {
		var rows []run
		if err := json.Unmarshal([]byte(as(t, l, user, manager(user)+"list-timers --all --output=json --no-pager")), &rows); err != nil {
			t.Fatal(err)
		}
		all := map[string]run{}
		for _, r := range rows {
			all[r.Unit] = r
		}
		return all
	}
	// a timer that counts from the boot is told in the time of day to a microsecond or two
	same := func(at time.Time, micros uint64) bool {
		if at.IsZero() || micros == 0 {
			return at.IsZero() && micros == 0
		}
		return at.Sub(time.UnixMicro(int64(micros))).Abs() < time.Millisecond
	}
	value := func(n *uint64) uint64 {
		if n == nil {
			return 0
		}
		return *n
	}
	for _, s := range systemds {
		t.Run(strings.Trim(s.host+" "+s.user, " "), func(t *testing.T) {
			l := lab.Link(t, s.host)
			before := ask(l, s.user)
			got := map[string]fleet.Timer{}
			for _, x := range read(t, l).Timers {
				if x.User == s.user {
					got[x.Name] = x
				}
			}
			for name, now := range ask(l, s.user) {
				was, ok := before[name]
				if !ok || labtest.OfCheck(name) || value(was.Next) != value(now.Next) || value(was.Last) != value(now.Last) {
					continue // it ran meanwhile, or is counted from a clock that moves
				}
				if x, ok := got[name]; !ok || !same(x.Next, value(now.Next)) || !same(x.Last, value(now.Last)) || x.Activates != now.Activates {
					t.Errorf("%s: %+v, want next %d, last %d, starts %s", name, x, value(now.Next), value(now.Last), now.Activates)
				}
			}
			if s.user == "" && len(got) < 2 {
				t.Errorf("%d timers", len(got))
			}
		})
	}
}

// dirOf is where units may be put that go with the next boot.
func dirOf(user string) string {
	if user == "" {
		return "/run/systemd/system"
	}
	return "${XDG_RUNTIME_DIR}/systemd/user"
}

// put makes units on a host, and takes them away with the test.
func put(t *testing.T, l link.Link, user string, files map[string]string) {
	t.Helper()
	ctl, dir := manager(user), dirOf(user)
	var names []string
	write := "mkdir -p " + dir
	for name, text := range files {
		names = append(names, name)
		write += "\ncat >" + dir + "/" + name + " <<'END'\n" + text + "\nEND"
	}
	all := strings.Join(names, " ")
	t.Cleanup(func() {
		as(t, l, user, ctl+"disable --runtime --now "+all+" >/dev/null 2>&1; "+ctl+"stop "+all+" 2>/dev/null; "+ctl+"reset-failed "+all+" 2>/dev/null; cd "+dir+" && rm -f "+all+" && "+ctl+"daemon-reload")
	})
	as(t, l, user, write+"\n"+ctl+"daemon-reload")
}

// TestTroubleIsSeen: a unit cannot start because what it needs needs something
// that fails. The list says what failed and how, and the unit itself why.
func TestTroubleIsSeen(t *testing.T) {
	lab := labtest.Load(t)
	for _, s := range []struct{ host, user string }{{"storage", ""}, {"router", ""}, {"desktop", "ada"}} {
		t.Run(strings.Trim(s.host+" "+s.user, " "), func(t *testing.T) {
			l := lab.Link(t, s.host)
			const base, mid, top = "sextant-test-base.service", "sextant-test-mid.service", "sextant-test-top.service"
			service := func(needs, does string) string {
				text := "[Unit]\nDescription=of a test\n"
				if needs != "" {
					text += "Requires=" + needs + "\nAfter=" + needs + "\n"
				}
				return text + "[Service]\nType=oneshot\nRemainAfterExit=yes\nEnvironment=TOKEN=hush-hush\nExecStart=/bin/sh -c '" + does + "'"
			}
			put(t, l, s.user, map[string]string{base: service("", "exit 3"), mid: service(base, "true"), top: service(mid, "true")})
			if _, err := units.Act(t.Context(), l, units.Start, top, s.user); err == nil || !strings.Contains(err.Error(), "dependency") {
				t.Errorf("it was started: %v", err)
			}
			u := of(read(t, l), s.user)[base]
			if !u.Failed() || u.LastExit() != "exit-code 3" || time.Since(u.Since) > 5*time.Minute || u.Since.IsZero() {
				t.Errorf("%+v", u)
			}
			d, err := units.Show(t.Context(), l, top, s.user, false)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(d.Broken, func(b fleet.Dependency) bool { return b.Name == base })
			if i < 0 || d.Broken[i].Kind != "Requires" || !slices.Equal(d.Broken[i].Via, []string{top, mid}) || !strings.HasPrefix(d.Broken[i].State, "failed") {
				t.Errorf("broken: %+v", d.Broken)
			}
			if !strings.Contains(d.File, "ExecStart=/bin/sh -c 'true'") || strings.Contains(d.File, "hush-hush") {
				t.Errorf("its file:\n%s", d.File)
			}
			if o, err := units.Act(t.Context(), l, units.ResetFailed, base, s.user); err != nil || o.Active != "inactive" {
				t.Errorf("%v, %v", o, err)
			}
			if u := of(read(t, l), s.user)[base]; u.Failed() {
				t.Errorf("it was forgotten, and is told as %+v", u)
			}
		})
	}
}

// TestTimersThatWillStartNothingAreSeen: enabled, and not active; until they are.
func TestTimersThatWillStartNothingAreSeen(t *testing.T) {
	lab := labtest.Load(t)
	for _, s := range []struct{ host, user string }{{"storage", ""}, {"router", ""}, {"desktop", "ada"}} {
		t.Run(strings.Trim(s.host+" "+s.user, " "), func(t *testing.T) {
			l := lab.Link(t, s.host)
			const timer, service = "sextant-test-idle.timer", "sextant-test-idle.service"
			put(t, l, s.user, map[string]string{
				timer:   "[Timer]\nOnCalendar=*-01-01 03:00:00\n[Install]\nWantedBy=timers.target",
				service: "[Service]\nType=oneshot\nExecStart=/bin/sh -c true",
			})
			as(t, l, s.user, manager(s.user)+"enable --runtime "+timer)
			see := func(idle bool) fleet.Timer {
				t.Helper()
				list := read(t, l).Timers
				i := slices.IndexFunc(list, func(x fleet.Timer) bool { return x.Name == timer && x.User == s.user })
				if i < 0 {
					t.Fatal("the timer is not told of")
				}
				if list[i].Idle() != idle || list[i].Activates != service {
					t.Errorf("%+v", list[i])
				}
				return list[i]
			}
			see(true)
			if _, err := units.Act(t.Context(), l, units.Start, timer, s.user); err != nil {
				t.Error(err)
			}
			if x := see(false); x.Active != "active" || x.Next.Before(time.Now()) {
				t.Errorf("%+v", x)
			}
		})
	}
}

// TestUnitsOfOthersAreSaidToBeUnseen: who is not root is told whose are missing.
func TestUnitsOfOthersAreSaidToBeUnseen(t *testing.T) {
	lab := labtest.Load(t)
	h := lab.Named(t, "router").Fleet()
	h.User = "admin"
	l := lab.Dialer(t, nil).Open(h)
	list := read(t, l)
	if !slices.ContainsFunc(list.Unseen, func(s string) bool { return s == "units of user bea: not root" }) || len(of(list, "bea")) > 0 {
		t.Errorf("unseen: %v", list.Unseen)
	}
	if got := of(list, ""); len(got) < 20 || got["ssh.service"].Since.IsZero() && got["sshd.service"].Since.IsZero() {
		t.Errorf("%d units of the system", len(got))
	}
}
