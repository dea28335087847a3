//go:build bench

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
	"github.com/sextant-fleet/sextant/test/pty"
)

// four are the hosts the figures are taken with.
var four = []string{"storage", "cloud", "router", "r2s"}

// runs is how often each figure is taken; its median counts.
const runs = 11

// TestFigures measures what docs/performance.md tells, against the lab, and
// writes the table to $SEXTANT_FIGURES. It asserts nothing about time: a
// figure is a figure.
func TestFigures(t *testing.T) {
	bin, err := filepath.Abs("../../bin/sextant")
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	var table strings.Builder
	row := func(what, figure, goal string) { fmt.Fprintf(&table, "| %s | %s | %s |\n", what, figure, goal) }

	logins := func() {
		shell(t, "sh", "-c", "printf '%s\\n' "+strings.Join(four, " ")+" | xargs -P4 -I{} ssh -o BatchMode=yes {} true")
	}
	questions := func() {
		shell(t, "sh", "-c", "printf '%s\\n' "+strings.Join(four, " ")+` | xargs -P4 -I{} ssh -o BatchMode=yes {} `+
			`'readlink -f /run/current-system; systemctl list-units --failed --no-legend; podman ps -a --format json; df -P; cat /proc/loadavg /proc/meminfo; systemctl list-timers --all --no-legend' >/dev/null`)
	}
	cold := func() { shell(t, bin, append([]string{"status", "--json"}, four...)...) }
	tl, tq, tc := medians(logins, questions, cold)
	row("bare parallel logins, `xargs -P4 ssh HOST true`", ms(tl), "")
	row("the questions asked by hand, `xargs -P4 ssh HOST …`", ms(tq), "")
	row("**`sextant status --json` of the four hosts, cold**", ms(tc)+fmt.Sprintf(" (%.2f × the logins, %.2f × the questions)", ratio(tc, tl), ratio(tc, tq)), "≤ 1.3 × the logins")
	row("**the same again on open connections**", ms(warm(t)), "≤ 60 ms")
	hand, ours, asked := rollBacks(t, bin)
	row("a roll-back by hand, `ssh HOST 'nix-env --switch-generation N && …/switch-to-configuration switch'`", ms(hand), "")
	row("**the same by `sextant rollback`, from its start until the system runs**", ms(ours)+fmt.Sprintf(" (%.0f ms more)", float64((ours-hand).Milliseconds())), "≤ 500 ms more")
	row("from `R` to the question, on a known host", ms(asked), "≤ 150 ms")
	alone, together, times := inOneWave(t, bin)
	row("a closure deployed, confirmed after its checks: the slowest of "+strings.Join(wave, ", "), ms(alone), "")
	row("**the same closure to the four in one wave**", ms(together)+fmt.Sprintf(" (%.2f × the slowest)", times), "≤ 1.3 × the slowest")
	tv, _, _ := medians(func() { shell(t, bin, "--version") })
	row("`sextant --version`", ms(tv), "≤ 30 ms")
	first, bytes, cpu := onScreen(t, bin)
	row("first frame from the cache, after exec", ms(first), "≤ 100 ms")
	row("UI left alone on ten live hosts whose load changes, bytes written in a minute", strconv.FormatInt(bytes, 10), "")
	row("UI left alone where nothing changes, bytes written in a minute", strconv.FormatInt(still(t, bin), 10), "0")
	row("UI left alone on the ten hosts, share of a core, asking them included", fmt.Sprintf("%.2f %%", cpu*100), "≤ 1 %")
	row("a Go program that only wakes 30 times a second, as the ticker of Bubble Tea's renderer does, share of a core", fmt.Sprintf("%.2f %%", ticking(t)*100), "")

	text := fmt.Sprintf("Measured %s on %s/%s with %d cores, %s; medians of %d.\n\n| what | figure | goal |\n|---|---|---|\n%s",
		time.Now().UTC().Format("2006-01-02"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cpuModel(), runs, table.String())
	t.Log("\n" + text)
	if path := os.Getenv("SEXTANT_FIGURES"); path != "" {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// shell runs a command; an exit code that means "problems were found" is well.
func shell(t *testing.T, name string, args ...string) {
	cmd := exec.Command(name, args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() > 3 {
		t.Fatalf("%s %v: %v: %s", name, args, err, errs.String())
	}
}

// medians runs the functions in turns, so that what else the machine does
// falls on all of them.
func medians(fs ...func()) (a, b, c time.Duration) {
	took := make([][]time.Duration, 3)
	for range runs {
		for i, f := range fs {
			began := time.Now()
			f()
			took[i] = append(took[i], time.Since(began))
		}
	}
	return median(took[0]), median(took[1]), median(took[2])
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)/2]
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func ms(d time.Duration) string { return fmt.Sprintf("%.0f ms", float64(d.Microseconds())/1000) }

// warm asks the four hosts everything again over the connections there are.
func warm(t *testing.T) time.Duration {
	a, err := openApp(options{timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	if err := a.find(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	states, err := a.pick(four)
	if err != nil {
		t.Fatal(err)
	}
	hosts := hostsOf(states)
	w := a.watcherFor(everything)
	w.Once(t.Context(), hosts, false)
	var took []time.Duration
	for range runs {
		began := time.Now()
		w.Once(t.Context(), hosts, false)
		took = append(took, time.Since(began))
	}
	return median(took)
}

// rollBacks goes to and fro between two generations of cloud, by hand and under
// guard, and measures until the other system runs; and how long the plan takes
// that the question shows.
func rollBacks(t *testing.T, bin string) (hand, ours, asked time.Duration) {
	const host = "cloud"
	a, err := openApp(options{timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	states := func() fleet.State {
		if err := a.find(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		picked, err := a.pick([]string{host})
		if err != nil {
			t.Fatal(err)
		}
		a.ask(t.Context(), picked, only("deploys"))
		st, _ := a.store.Get(picked[0].Host.ID)
		return st
	}
	var byHand, byUs, plans []time.Duration
	for range 5 {
		st := states()
		g, err := nixops.Earlier(st)
		if err != nil {
			t.Fatal(err)
		}
		was := st.System.Value.Running.Generation
		by := func(n int) string {
			return fmt.Sprintf("nix-env -p /nix/var/nix/profiles/system --switch-generation %d && /nix/var/nix/profiles/system/bin/switch-to-configuration switch", n)
		}
		began := time.Now()
		for _, action := range a.deployer().Actions() {
			if action.ID == "rollback" {
				a.differences = &nixops.Differences{}
				if _, err := action.Plan(t.Context(), fleet.Target{Hosts: []fleet.State{st}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		plans = append(plans, time.Since(began))
		began = time.Now()
		shell(t, "ssh", "-o", "BatchMode=yes", host, by(g.Number))
		byHand = append(byHand, time.Since(began))
		shell(t, "ssh", "-o", "BatchMode=yes", host, by(was))
		began = time.Now()
		shell(t, bin, "rollback", host, "--to", strconv.Itoa(g.Number), "--yes", "--confirm", "none")
		byUs = append(byUs, time.Since(began))
		shell(t, bin, "cancel", host)
	}
	return median(byHand), median(byUs), median(plans)
}

// idleFor is how long the UI is left alone to see what it uses.
const idleFor = time.Minute

// onScreen starts the UI in a terminal of 120×40 several times and gives the
// time until a host's name is written; then lets it idle once.
func onScreen(t *testing.T, bin string) (first time.Duration, bytes int64, cpu float64) {
	shell(t, bin, append([]string{"status", "--json"}, four...)...) // fills the cache
	var took []time.Duration
	for range runs {
		ui := startUI(t, "storage", bin)
		took = append(took, ui.first(t))
		ui.stop()
		time.Sleep(3 * time.Second) // the hosts share this machine: their logins are not to count
	}
	ui := startUI(t, "storage", bin)
	defer ui.stop()
	ui.first(t)
	time.Sleep(30 * time.Second) // hosts answer, series settle, what is asked seldom has been asked
	before, cpuBefore := ui.bytes.Load(), cpuTime(t, ui.cmd.Process.Pid)
	time.Sleep(idleFor)
	return median(took), ui.bytes.Load() - before, (cpuTime(t, ui.cmd.Process.Pid) - cpuBefore).Seconds() / idleFor.Seconds()
}

// TestTicks is the program of [ticking].
func TestTicks(t *testing.T) {
	if os.Getenv("SEXTANT_TICKS") == "" {
		t.Skip("it is started by TestFigures")
	}
	for range time.Tick(time.Second / 30) {
	}
}

// ticking measures what a ticker alone costs on this machine: no UI that has one can
// do with less.
func ticking(t *testing.T) float64 {
	cmd := exec.Command(os.Args[0], "-test.run", "^TestTicks$", "-test.timeout", "5m")
	cmd.Env = append(os.Environ(), "SEXTANT_TICKS=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	time.Sleep(2 * time.Second)
	before := cpuTime(t, cmd.Process.Pid)
	time.Sleep(idleFor)
	return (cpuTime(t, cmd.Process.Pid) - before).Seconds() / idleFor.Seconds()
}

// still lets the UI idle with nobody to ask, so that nothing can change.
func still(t *testing.T, bin string) int64 {
	file := filepath.Join(t.TempDir(), "config.toml")
	alone := "[sources]\ntailscale = false\ncontrol = false\nlocal = false\nflake = false\nssh_config = false\nmdns = false\n"
	if err := os.WriteFile(file, []byte(alone), 0o600); err != nil {
		t.Fatal(err)
	}
	ui := startUI(t, "0 hosts", bin, "--config", file)
	defer ui.stop()
	ui.first(t)
	time.Sleep(5 * time.Second)
	before := ui.bytes.Load()
	time.Sleep(idleFor)
	return ui.bytes.Load() - before
}

// terminal is the UI in a terminal of its own.
type terminal struct {
	cmd   *exec.Cmd
	file  *os.File
	began time.Time
	bytes atomic.Int64
	found chan time.Duration
}

// startUI starts it, and looks for a text that tells that it is there.
func startUI(t *testing.T, text, bin string, args ...string) *terminal {
	t.Helper()
	ui := &terminal{cmd: exec.Command(bin, args...), found: make(chan time.Duration, 1)}
	ui.cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	ui.began = time.Now()
	var err error
	if ui.file, err = pty.Start(ui.cmd, 120, 40); err != nil {
		t.Fatal(err)
	}
	go func() {
		buf, seen := make([]byte, 64<<10), ""
		for {
			n, err := ui.file.Read(buf)
			ui.bytes.Add(int64(n))
			if seen += string(buf[:n]); len(seen) < 1<<20 && strings.Contains(seen, text) {
				select {
				case ui.found <- time.Since(ui.began):
				default:
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return ui
}

func (u *terminal) first(t *testing.T) time.Duration {
	t.Helper()
	select {
	case d := <-u.found:
		return d
	case <-time.After(20 * time.Second):
		t.Fatal("no frame came")
		return 0
	}
}

func (u *terminal) stop() {
	_, _ = io.WriteString(u.file, "q")
	done := make(chan struct{})
	go func() { _ = u.cmd.Wait(); close(done) }()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	select {
	case <-done:
	case <-ctx.Done():
		_ = u.cmd.Process.Kill()
		<-done
	}
	u.file.Close()
}

// cpuTime is what a process has used of the processor: fields 14 and 15 of
// /proc/PID/stat, in ticks of 10 ms.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.SplitSeq(string(b), "\n") {
		if name, ok := strings.CutPrefix(line, "model name\t: "); ok {
			return name
		}
	}
	return "unknown processor"
}
