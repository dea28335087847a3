//go:build lab

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/test/labtest"
)

// patience bounds every wait. It is no figure: what takes longer hangs.
const patience = 3 * time.Minute

// rig is one host of the lab and the hands that break it. The tests run in the
// operator's namespaces; what is done to the host itself is done from outside.
type rig struct {
	testing.TB
	host    string
	root    string          // the host's disk as seen from outside
	outside string          // a process that lives where the lab was brought up
	from    gen             // what runs when a case begins
	byrule  gen             // what is the default then, mostly the same
	to      gen             // where it is to go; number 0: it was never there
	before  map[string]bool // folders of deploys that were there before
	client  *client
	later   func() // the fault, once the deploy has begun
	flags   []string
	late    bool // the fault came when all was over
	rnd     *rand.Rand
}

// gen is a generation: its number and its toplevel.
type gen struct {
	number int
	path   string
}

func newRig(t testing.TB, host string) *rig {
	lab := labtest.Load(t)
	return &rig{TB: t, host: host, root: filepath.Join(lab.Dir, "hosts", host, "root"), outside: strconv.Itoa(os.Getppid())}
}

// lab runs a command of the lab where it was brought up.
func (r *rig) lab(args ...string) (string, error) {
	tool, _ := filepath.Abs("../lab/lab")
	cmd := exec.Command("nsenter", append([]string{"-t", r.outside, "-m", "-n", "--", tool}, args...)...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// sh runs a program of the shell on the host, without SSH.
func (r *rig) sh(script string) string {
	r.Helper()
	cmd, err := labtest.Load(r).Inside(r.host, script)
	if err != nil {
		r.Fatalf("%s: %v", script, err)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("%s: %s: %v: %s", r.host, script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// sextant is the product, as the operator runs it, remembering nothing.
func (r *rig) sextant(args ...string) *exec.Cmd {
	bin, _ := filepath.Abs("../../bin/sextant")
	cmd := exec.Command(bin, args...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+r.TempDir())
	return cmd
}

// product runs a command of the product to its end and gives its exit code.
func (r *rig) product(args ...string) (string, int) {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := r.sextant(args...)
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// client is a change of a host's system as a process of its own.
type client struct {
	cmd  *exec.Cmd
	out  said
	done chan struct{}
}

// said is what a client has said until now.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// change has a client bring the host to where it is to go.
func (r *rig) change(more ...string) *client {
	r.Helper()
	args := []string{"rollback", r.host, "--to", strconv.Itoa(r.to.number)}
	if r.to.number == 0 {
		args = []string{"deploy", r.host, "--store-path", r.to.path}
	}
	c := &client{cmd: r.sextant(append(append(args, "--yes"), more...)...), done: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	if err := c.cmd.Start(); err != nil {
		r.Fatal(err)
	}
	go func() { _ = c.cmd.Wait(); close(c.done) }()
	return c
}

// end waits for the client's end.
func (c *client) end(r *rig) int {
	r.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		_ = c.cmd.Process.Kill()
		<-c.done
		r.Errorf("the client hung: %s", c.out.String())
	}
	return c.cmd.ProcessState.ExitCode()
}

// kill ends the client as the power does.
func (c *client) kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// deploys are the folders of deploys on the host's disk.
func (r *rig) deploys() []string {
	list, _ := filepath.Glob(filepath.Join(r.root, "var/lib/sextant/deploys/*"))
	return list
}

// folder waits for the folder of the deploy that this case began.
func (r *rig) folder() string {
	r.Helper()
	var dir string
	r.until("a deploy to begin", func() bool {
		for _, d := range r.deploys() {
			if !r.before[d] {
				dir = d
			}
		}
		return dir != ""
	})
	return dir
}

// state reads where the deploy stands, from the disk.
func state(dir string) string {
	b, _ := os.ReadFile(filepath.Join(dir, "state"))
	word, _, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	return word
}

// reach waits until the deploy has come into a state, or past it.
func (r *rig) reach(want string) string {
	r.Helper()
	dir := r.folder()
	r.until(want, func() bool {
		now := state(dir)
		return now == want || over[now] || want == "ACTIVATING" && now == "AWAITING"
	})
	return dir
}

// over are the last states.
var over = map[string]bool{
	"CONFIRMED": true, "REFUSED": true, "NEEDS_REBOOT": true, "ROLLED_BACK": true, "ROLLBACK_FAILED": true, "CANCELLED": true, "CONFLICT": true,
}

func (r *rig) until(what string, done func() bool) {
	r.Helper()
	for began := time.Now(); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Since(began) > patience {
			r.Fatalf("%s: waited in vain for %s", r.host, what)
		}
	}
}

// ended waits for the last state of the deploy.
func (r *rig) ended() string {
	r.Helper()
	dir := r.folder()
	r.until("the end of the deploy", func() bool { return over[state(dir)] && exists(filepath.Join(dir, "result")) })
	return state(dir)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// killGuard ends the guard of a deploy as the kernel does when memory is short. One
// that is only just being started is waited for; one that has done its work already,
// as on a busy machine, is not.
func (r *rig) killGuard(dir string) {
	r.Helper()
	id := filepath.Base(dir)
	r.until("a guard of "+id+" to be killed", func() bool {
		done := over[state(dir)] && exists(filepath.Join(dir, "result"))
		if killed(id) {
			return true
		}
		r.late = done
		return done
	})
}

// killed tells whether there was a guard of a deploy, and it was killed.
func killed(id string) (was bool) {
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		b, _ := os.ReadFile(p)
		args := strings.Split(string(b), "\x00")
		if len(args) < 4 || !strings.HasSuffix(args[1], id+"/guard") || args[2] != "run" {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(p)))
		if proc, err := os.FindProcess(pid); err == nil && proc.Kill() == nil {
			was = true
		}
	}
	return was
}

// cable plugs the host's network in, or out.
func (r *rig) cable(way string) {
	r.Helper()
	if out, err := exec.Command("ip", "-n", r.host, "link", "set", "eth0", way).CombinedOutput(); err != nil {
		r.Fatalf("%s: %v: %s", r.host, err, out)
	}
}

// power cuts the power and gives it back.
func (r *rig) power() {
	r.Helper()
	if out, err := r.lab("kill", r.host); err != nil {
		r.Fatalf("%v: %s", err, out)
	}
	r.start()
}

// start brings a host up that is down.
func (r *rig) start() {
	r.Helper()
	if out, err := r.lab("up", "--no-seed", r.host); err != nil {
		r.Fatalf("%v: %s", err, out)
	}
	r.answers() // who has a look then finds it: its sshd runs before the tailnet knows it again
}

// down tells whether the host has gone down: a restart ends what holds it, as on
// a machine whose firmware waits for somebody. Nobody looks inside meanwhile: who
// is there when the host stops its processes is stopped with them.
func (r *rig) down() bool {
	pid, err := os.ReadFile(filepath.Join(filepath.Dir(r.root), "pid"))
	return err != nil || !exists("/proc/"+strings.TrimSpace(string(pid)))
}

// fail makes the next activations end in a way of their own: see the lab's README.
func (r *rig) fail(how string) { r.sh("echo '" + how + "' >/etc/lab/stc-fail") }

// aside takes a program away from the host, until the function it gives is called.
func (r *rig) aside(program string) (put func()) {
	r.Helper()
	r.sh("mv /usr/bin/" + program + " /usr/bin/" + program + ".away")
	return func() { r.sh("mv -f /usr/bin/" + program + ".away /usr/bin/" + program) }
}

// begin puts the host into order before a case and chooses where it is to go.
func (r *rig) begin(w way) {
	r.Helper()
	r.sh(`rm -f /etc/lab/stc-fail; ip link set eth0 up; for m in /var/lib/sextant /boot /nix/var/nix/profiles; do while mountpoint -q $m && umount $m; do :; done; done; for f in /usr/bin/*.away; do [ ! -e $f ] || mv -f $f ${f%.away}; done; systemctl stop lab-broken.timer 2>/dev/null; systemctl reset-failed; true`)
	r.answers()
	for _, d := range r.deploys() {
		if !exists(filepath.Join(d, "result")) { // of a case that broke off
			r.product("cancel", r.host)
		}
	}
	run, def := r.sh("readlink -f /run/current-system"), r.sh("readlink -f /nix/var/nix/profiles/system")
	if run != def || r.menu() != def { // as the lab's seed leaves some, and somebody else's profile
		r.sh(def + "/bin/switch-to-configuration switch >/dev/null 2>&1; true")
	}
	r.before = map[string]bool{}
	for _, d := range r.deploys() {
		r.before[d] = true
	}
	link := r.sh("readlink /nix/var/nix/profiles/system")
	r.from = gen{number(link), def}
	r.byrule, r.to = r.from, gen{}
	for _, line := range strings.Split(r.sh("cd /nix/var/nix/profiles; for l in system-*-link; do echo $l $(readlink -f $l); done"), "\n") {
		name, path, _ := strings.Cut(line, " ")
		if path != def && path != r.to.path && (r.to.number == 0 || number(name) > r.to.number) {
			r.to = gen{number(name), path}
		}
	}
	if r.to.number == 0 {
		r.Fatalf("%s has one system only", r.host)
	}
	if w == forward {
		r.to = gen{0, labtest.Toplevel(r, labtest.Changed(r), r.host)}
	}
}

// menu is the system that the boot menu starts by itself.
func (r *rig) menu() string {
	r.Helper()
	return r.sh(`n=$(sed -n 's/^default nixos-generation-\([0-9]*\).*/\1/p' /boot/loader/loader.conf); readlink -f /nix/var/nix/profiles/system-$n-link`)
}

// inside is the host's disk with all that is mounted there.
func (r *rig) inside() string {
	r.Helper()
	leader, err := labtest.Load(r).Leader(r.host)
	if err != nil {
		r.Fatal(err)
	}
	return "/proc/" + leader + "/root"
}

func number(link string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(link, "system-"), "-link"))
	return n
}

// wellWith asserts what holds after every case: one of the two end states, the
// running system, the profile and the boot menu agree, nothing is held and
// nothing is lost, and the host can be reached.
func (r *rig) wellWith(ends ...string) string {
	r.Helper()
	if len(ends) == 0 {
		r.unheard()
		return "nothing"
	}
	end := r.ended()
	if !contains(ends, end) {
		dir := r.folder()
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		journal, _ := os.ReadFile(filepath.Join(dir, "journal"))
		r.Errorf("%s ended %s, want %v\njournal:\n%slog:\n%s", r.host, end, ends, journal, log)
	}
	run, def := r.sh("readlink -f /run/current-system"), r.sh("readlink -f /nix/var/nix/profiles/system")
	want, byrule := r.from.path, r.byrule.path
	if end == "CONFIRMED" {
		want, byrule = r.to.path, r.to.path
	}
	if end != "CONFLICT" && (run != want || def != byrule) {
		r.Errorf("%s: after %s: running %s, default %s, want %s and %s", r.host, end, run, def, want, byrule)
	}
	if menu := r.menu(); end != "CONFLICT" && menu != byrule {
		r.Errorf("%s: after %s the boot menu has %s as its default, want %s", r.host, end, menu, byrule)
	}
	r.gone()
	r.sh("if command -v flock >/dev/null; then flock -n /run/sextant.lock true; fi; for f in /run/sextant.lock.d/*; do [ ! -e $f ] || [ ! -e /proc/$(cut -d' ' -f1 $f) ]; done")
	if last := r.sh("tail -n 1 " + filepath.Join("/var/lib/sextant/deploys", filepath.Base(r.folder()), "journal")); !strings.Contains(last, " "+end+" ") {
		r.Errorf("%s: the journal ends with %q, the deploy with %s", r.host, last, end)
	}
	if out := r.answers(); !strings.Contains(out, fmt.Sprintf("%q", end)) {
		r.Errorf("%s: it tells nothing of %s: %s", r.host, end, out)
	}
	return end
}

// unheard asserts that the host is as it was, and knows nothing of a deploy.
func (r *rig) unheard() {
	r.Helper()
	out := r.answers()
	if strings.Contains(out, r.to.path) || len(r.deploys()) != len(r.before) {
		r.Errorf("%s: it has heard of %s: %s", r.host, r.to.path, out)
	}
	if run, def := r.sh("readlink -f /run/current-system"), r.sh("readlink -f /nix/var/nix/profiles/system"); run != r.from.path || def != r.byrule.path {
		r.Errorf("%s runs %s, its default is %s, want %s and %s", r.host, run, def, r.from.path, r.byrule.path)
	}
	r.gone()
}

// gone waits until no guard is left.
func (r *rig) gone() {
	r.Helper()
	r.until("the guard to leave", func() bool { return r.sh("systemctl list-units 'sextant-*' --plain --no-legend") == "" })
}

// answers waits until the host is reached by the product, as it is by a person,
// and gives what it tells of its deploys. The tailnet takes its time to see that a
// cable is plugged in again.
func (r *rig) answers() string {
	r.Helper()
	var out string
	r.until("the host to be reached", func() bool {
		text, code := r.product("deploys", r.host, "--json")
		out = text
		return code == 0
	})
	return out
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
