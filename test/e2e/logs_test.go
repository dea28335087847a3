//go:build lab

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// said is a line of a log with --json.
type said struct {
	At               time.Time
	Host, Text, From string
	Source           string
	Level            int
	Note, Guessed    bool
}

// logLines runs sextant logs and reads its lines.
func logLines(t *testing.T, args ...string) []said {
	t.Helper()
	out, errs, code := sextant(t, append([]string{"logs", "--json"}, args...)...)
	if code != 0 {
		t.Fatalf("logs %q ended with %d: %s", args, code, errs)
	}
	var lines []said
	for line := range strings.Lines(out) {
		var l said
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		lines = append(lines, l)
	}
	return lines
}

// transient runs a shell program as a unit of a host's systemd, or of ada's, and
// waits for its end.
func transient(t *testing.T, l link.Link, user, unit, program string) {
	t.Helper()
	c := link.Command{Args: []string{"systemd-run", "--quiet", "--wait", "--collect", "--unit=" + unit, "sh", "-c", program}, Root: true}
	if user != "" {
		c = link.Script(`export XDG_RUNTIME_DIR="/run/user/$(id -u)"; exec systemd-run --user --quiet --wait --collect --unit="$1" sh -c "$2"`, unit, program)
		c.User = user
	}
	res, err := l.Run(t.Context(), c)
	if err != nil || res.Status != 0 {
		t.Fatalf("%s: %v: %s", unit, err, res.Stderr)
	}
	time.Sleep(300 * time.Millisecond) // journald has it then
}

// texts of lines that the program itself wrote.
func wrote(lines []said, programs ...string) []string {
	var got []string
	for _, l := range lines {
		for _, p := range programs {
			if l.From == p {
				got = append(got, l.Text)
			}
		}
	}
	return got
}

// moments are the times of the entries of journalctl -o json --reverse, in
// microseconds, the oldest first.
func moments(t *testing.T, l link.Link, c link.Command) []string {
	t.Helper()
	res, err := l.Run(t.Context(), c)
	if err != nil || res.Status != 0 {
		t.Fatalf("%v: %v: %s", c.Args, err, res.Stderr)
	}
	var all []string
	for _, m := range regexp.MustCompile(`"__REALTIME_TIMESTAMP"\s*:\s*"(\d+)"`).FindAllStringSubmatch(string(res.Stdout), -1) {
		all = append(all, m[1])
	}
	slices.Reverse(all)
	return all
}

// TestLogsAgreeWithJournalctl compares logs of every kind, up to a moment, with
// what journalctl says on the host.
func TestLogsAgreeWithJournalctl(t *testing.T) {
	lab := labtest.Load(t)
	transient(t, lab.Link(t, "desktop"), "ada", "lab-e2e-own", "echo one; echo two >&2")
	time.Sleep(time.Second)
	until := time.Now().Truncate(time.Second)
	time.Sleep(1100 * time.Millisecond)
	last := []string{"journalctl", "-o", "json", "--all", "-q", "--no-pager", "--reverse", "-n", "50", fmt.Sprintf("--until=@%d", until.Unix())}
	for _, c := range []struct {
		host string
		args []string
		look []string
		user string
	}{
		{"storage", []string{"podman-authelia"}, []string{"-u", "podman-authelia.service"}, ""},
		{"router", []string{"podman-blocky"}, []string{"-u", "podman-blocky.service"}, ""},
		{"storage", []string{"authelia"}, []string{"CONTAINER_NAME=authelia", "_UID=0"}, ""},
		{"desktop", []string{"notes.service", "--user", "ada"}, []string{"--user-unit=notes.service"}, "ada"},
		{"desktop", []string{"lab-e2e-own.service", "--user", "ada"}, []string{"--user-unit=lab-e2e-own.service"}, "ada"},
	} {
		t.Run(c.host+"/"+c.args[0], func(t *testing.T) {
			look := link.Command{Args: append(append([]string(nil), last...), c.look...), User: c.user, Root: c.user == ""}
			want := moments(t, lab.Link(t, c.host), look)
			var got []string
			for _, l := range logLines(t, append([]string{c.host, "-n", "50", "--until", until.UTC().Format(time.RFC3339)}, c.args...)...) {
				got = append(got, strconv.FormatInt(l.At.UnixMicro(), 10))
			}
			if len(want) == 0 || strings.Join(got, ",") != strings.Join(want, ",") {
				t.Errorf("%d lines, journalctl has %d:\n%v\n%v", len(got), len(want), got, want)
			}
		})
	}
}

// TestTheNewestLinesBeforeAMoment: what was said after it counts for nothing,
// though journalctl of systemd 252 counts it.
func TestTheNewestLinesBeforeAMoment(t *testing.T) {
	lab := labtest.Load(t)
	const unit = "lab-e2e-moment"
	for _, host := range []string{"storage", "router"} {
		l := lab.Link(t, host)
		transient(t, l, "", unit, "echo first; echo second")
		time.Sleep(1500 * time.Millisecond) // hosts' clocks here are one, and --until is a second
		until := time.Now().Truncate(time.Second).UTC().Format(time.RFC3339)
		time.Sleep(time.Second)
		transient(t, l, "", unit, "for i in $(seq 1 30); do echo late $i; done")
		got := wrote(logLines(t, host, unit+".service", "-n", "20", "--until", until), "sh")
		if len(got) < 2 || !slices.Equal(got[len(got)-2:], []string{"first", "second"}) {
			t.Errorf("%s: %q", host, got)
		}
	}
}

// TestContainersOfOneNameAreApart: what root writes in the name of ada's
// container is not her container's.
func TestContainersOfOneNameAreApart(t *testing.T) {
	l := labtest.Load(t).Link(t, "desktop")
	mark := fmt.Sprint("mark-", time.Now().UnixNano())
	write := link.Command{Args: []string{"sh", "-c", `printf 'MESSAGE=%s\nCONTAINER_NAME=%s\n' "$1" notes | logger --journald`, "sh", mark + "-root"}, Root: true}
	for _, c := range []link.Command{write, {Args: append(append([]string(nil), write.Args[:4]...), mark+"-ada"), User: "ada"}} {
		if res, err := l.Run(t.Context(), c); err != nil || res.Status != 0 {
			t.Fatalf("%v: %s", err, res.Stderr)
		}
	}
	time.Sleep(300 * time.Millisecond)
	var got []string
	for _, line := range logLines(t, "desktop", "notes", "--since", "1m", "--grep", mark) {
		got = append(got, line.Text)
	}
	if strings.Join(got, ",") != mark+"-ada" {
		t.Errorf("%q", got)
	}
}

// TestLogIsSearchedOnTheHost finds a line that is far older than what is loaded,
// on hosts of systemd 252 and 257, with capitals and without.
func TestLogIsSearchedOnTheHost(t *testing.T) {
	lab := labtest.Load(t)
	for _, host := range []string{"storage", "router"} {
		needle := fmt.Sprintf("Needle%d", time.Now().UnixNano()%1e9)
		transient(t, lab.Link(t, host), "", "lab-e2e-long", "echo before "+needle+"; for i in $(seq 1 900); do echo filler $i; done; echo last "+needle)
		const unit = "lab-e2e-long.service"
		if got := wrote(logLines(t, host, unit), "sh"); len(got) < 400 || strings.Contains(strings.Join(got, " "), "before "+needle) {
			t.Errorf("%s: %d lines were loaded", host, len(got))
		}
		for grep, want := range map[string]string{strings.ToLower(needle): "before,last", needle: "before,last", strings.ToUpper(needle): "", "before " + needle: "before"} {
			var got []string
			for _, text := range wrote(logLines(t, host, unit, "--grep", grep), "sh") {
				got = append(got, strings.Fields(text)[0])
			}
			if strings.Join(got, ",") != want {
				t.Errorf("%s --grep %s: %q, want %s", host, grep, got, want)
			}
		}
		if got := wrote(logLines(t, host, unit, "--grep", needle, "-n", "1"), "sh"); len(got) != 1 || !strings.HasPrefix(got[0], "last") {
			t.Errorf("%s: the newest match is %q", host, got)
		}
	}
}

// TestLogsOfHostsAreMerged reads one unit of two hosts, old lines and new.
func TestLogsOfHostsAreMerged(t *testing.T) {
	lab := labtest.Load(t)
	const unit = "lab-e2e-merged"
	round := func(n int) {
		for _, host := range []string{"storage", "router"} {
			transient(t, lab.Link(t, host), "", unit, fmt.Sprintf("echo round %d of %s", n, host))
		}
	}
	began := time.Now().UTC().Format(time.RFC3339)
	round(1)
	round(2)
	var got []string
	lines := logLines(t, "[rs]*", unit+".service", "--since", began)
	for i, l := range lines {
		if l.Source != unit || i > 0 && l.At.Before(lines[i-1].At) {
			t.Errorf("%+v after %+v", l, lines[max(0, i-1)])
		}
	}
	got = wrote(lines, "sh")
	want := "round 1 of storage,round 1 of router,round 2 of storage,round 2 of router"
	if strings.Join(got, ",") != want {
		t.Errorf("%q", got)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t), "logs", "-f", "[rs]*", unit+".service", "--since", began)
	cmd.Dir = t.TempDir()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	all := ""
	buf := make([]byte, 64<<10)
	for third := false; !strings.Contains(all, unit+": round 3 of router") || !strings.Contains(all, unit+": round 3 of storage"); {
		n, err := out.Read(buf)
		if all += string(buf[:n]); err != nil {
			t.Fatalf("%v after %s", err, all)
		}
		if !third && strings.Contains(all, "round 2 of router") {
			third = true
			go round(3)
		}
	}
	cancel()
	_ = cmd.Wait()
	if !strings.Contains(all, "storage lab-e2e-merged: round 3 of storage") || strings.Count(all, unit+": round 2 of storage") != 1 {
		t.Errorf("%s", all)
	}
	for _, host := range []string{"storage", "router"} {
		left := ""
		for range 50 {
			left = labtest.Output(t, lab.Link(t, host), "sh", "-c", "pgrep -af '[j]ournalctl.*"+unit+"' || true")
			if left == "" {
				break
			}
			time.Sleep(200 * time.Millisecond)
		}
		if left != "" {
			t.Errorf("%s still reads its journal: %s", host, left)
		}
	}
}

// TestWhatProgramsWriteIsClean: colours, bytes that are no text, and a level
// that only the text tells.
func TestWhatProgramsWriteIsClean(t *testing.T) {
	l := labtest.Load(t).Link(t, "storage")
	transient(t, l, "", "lab-e2e-clean", `printf '\033[31mred\033[0m\n\377\376bin\n\033]0;title\007after\nlevel=error msg=bad\n'`)
	lines := logLines(t, "storage", "lab-e2e-clean.service", "-n", "40", "--since", "1m")
	if got := strings.Join(wrote(lines, "sh"), ","); !strings.HasSuffix(got, "red,\uFFFDbin,after,level=error msg=bad") {
		t.Errorf("%q", got)
	}
	guessed := false
	for _, l := range lines {
		guessed = guessed || l.Guessed && l.Level == 3 && strings.HasPrefix(l.Text, "level=error")
	}
	if !guessed {
		t.Error("the level of the text was not seen")
	}
	if got := wrote(logLines(t, "storage", "lab-e2e-clean.service", "--since", "1m", "--level", "err"), "sh"); strings.Contains(strings.Join(got, ","), "red") || len(got) == 0 {
		t.Errorf("errors are %q", got)
	}
}

// TestLogsByDriver: long lines that conmon cuts come whole from the journal; a
// log that the engine keeps is read, searched and bounded like a journal; a
// container that keeps none says so.
func TestLogsByDriver(t *testing.T) {
	l := labtest.Load(t).Link(t, "storage")
	began := time.Now().Unix()
	const program = `busybox yes x 2>/dev/null | busybox head -n 12000 | busybox tr -d '\n'; echo; for i in one two three; do echo "line $i"; done; busybox sleep 600`
	named := func(driver string) string { return fmt.Sprintf("e2e-log-%s-%d", driver, began) } // the journal remembers earlier ones
	for _, driver := range []string{"journald", "k8s-file", "none"} {
		name := named(driver)
		labtest.Output(t, l, "podman", "run", "-d", "--replace", "--name", name, "--log-driver", driver, "docker.io/library/lab-busybox:1.0", "/bin/sh", "-c", program)
		defer labtest.Output(t, l, "podman", "rm", "-f", "-t", "0", name)
	}
	time.Sleep(2 * time.Second)
	out, errs, code := sextant(t, "logs", "storage", named("none"))
	if code != 1 || !strings.Contains(out+errs, "keeps no log (driver none)") {
		t.Errorf("none: %d: %s%s", code, out, errs)
	}
	for _, driver := range []string{"journald", "k8s-file"} {
		name := named(driver)
		lines := logLines(t, "storage", name, "--since", "1m")
		if len(lines) < 4 || len(lines[len(lines)-4].Text) != 12000 || lines[len(lines)-1].Text != "line three" {
			t.Errorf("%s: %d lines", driver, len(lines))
			for _, l := range lines {
				t.Logf("%d bytes: %.60s", len(l.Text), l.Text)
			}
			continue
		}
		if got := logLines(t, "storage", name, "--since", "1m", "--grep", "LINE T"); len(got) != 0 {
			t.Errorf("%s: capitals do not count: %d", driver, len(got))
		}
		got := logLines(t, "storage", name, "--since", "1m", "--grep", "line t", "-n", "1")
		if len(got) != 1 || got[0].Text != "line three" {
			t.Errorf("%s: %+v", driver, got)
		}
		if got := logLines(t, "storage", name, "-n", "2", "--until", "1h"); len(got) != 0 {
			t.Errorf("%s: before it began: %+v", driver, got)
		}
	}
}

// TestScreenSearchesAndMerges searches the whole journal from the screen, goes
// to what was found, and adds the log of another host.
func TestScreenSearchesAndMerges(t *testing.T) {
	l := labtest.Load(t).Link(t, "storage")
	labtest.Output(t, l, "sh", "-c", `printf 'MESSAGE=needle-in-time\nCONTAINER_NAME=authelia\n' | logger --journald
		for i in $(seq 1 520); do printf 'MESSAGE=straw %d\nCONTAINER_NAME=authelia\n\n' $i | logger --journald; done`)
	ui := screen(t, 100, 30)
	answer(ui)
	pick(ui, "storage")
	ui.Press("enter").WaitFor("[1 Overview]")
	ui.Press("3").WaitFor("authelia").Press("/").Send("authelia").Press("enter", "L").WaitFor("Log", "straw 520")
	ui.Press("/").Send("needle-in").Press("enter").WaitFor("not among what is loaded").Press("J").WaitFor("in all of the log on storage", "> 2").Press("enter").WaitFor("back in time", "needle-in-time", "straw 5")
	ui.Press("esc", "a").WaitFor("Logs on one clock").Send("jellyfin on storage").Press("enter").WaitFor("authelia, jellyfin", "following")
	ui.Press("q")
	if err := ui.Wait(); err != nil {
		t.Error(err)
	}
}
