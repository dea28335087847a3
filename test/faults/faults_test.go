//go:build lab

// Package faults_test breaks roll-backs and deploys in every way that can be had in the lab,
// and asserts the host after each. SEXTANT_FAULTS is how often each case is
// repeated (default 1); SEXTANT_RELIABILITY is where the table goes.
package faults_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/test/labtest"
)

// short is the time to confirm where a case may wait for it to pass.
const short = "--confirm-timeout=5s"

// fault is one way in which a deploy is broken, and how it may end.
type fault struct {
	name string
	do   func(r *rig, rnd *rand.Rand)
	ends []string // nothing: the host never hears of it
	code int      // of the client, where it lives to tell; -1: it does not
}

// way is how a host comes to another system: back to a generation, or to one that
// was built and that it has not had.
type way string

const (
	back    way = "roll-back"
	forward way = "deploy"
)

// way chooses which way the k-th case breaks when it is done for the n-th time:
// every other time it is the other, where it has both.
func (f fault) way(k, n int) way {
	switch {
	case len(f.ends) == 0: // what breaks the copying
		return forward
	case f.name == ofGeneration || (k+n)%2 == 0:
		return back
	}
	return forward
}

// ofGeneration is a case of a generation that is there before.
const ofGeneration = "the generation deleted while it waits"

var faults = []fault{
	{"nothing goes wrong", func(*rig, *rand.Rand) {}, []string{"CONFIRMED"}, 0},
	{"exit 1 before a change", func(r *rig, _ *rand.Rand) { r.fail("1") }, []string{"REFUSED"}, 10},
	{"exit 2", func(r *rig, _ *rand.Rand) { r.fail("2 once") }, []string{"ROLLED_BACK"}, 20},
	{"exit 11, another holds the lock of NixOS", func(r *rig, _ *rand.Rand) { r.fail("11") }, []string{"REFUSED"}, 11},
	{"exit 100", func(r *rig, _ *rand.Rand) { r.fail("100") }, []string{"NEEDS_REBOOT"}, 100},
	{"the activation is killed", func(r *rig, _ *rand.Rand) { r.fail("kill once") }, []string{"ROLLED_BACK"}, 20},
	{"a new unit fails, nobody agrees", func(r *rig, _ *rand.Rand) { r.fail("4 once") }, []string{"ROLLED_BACK"}, 20},
	{"exit 1 after a change", func(r *rig, _ *rand.Rand) { r.fail("late once") }, []string{"ROLLED_BACK"}, 20},
	{"the activation hangs", hangs, []string{"ROLLED_BACK"}, 20},
	{"sshd and tailscaled restarted by the new system", func(r *rig, _ *rand.Rand) { r.fail("ways once") }, []string{"CONFIRMED"}, 0},
	{"the boot loader cannot be written", func(r *rig, _ *rand.Rand) { r.fail("boot once") }, []string{"ROLLED_BACK"}, 20},
	{"the system before fails too", func(r *rig, _ *rand.Rand) { r.fail("2") }, []string{"ROLLBACK_FAILED"}, 21},
	{"another system runs than the default, nobody confirms", olderRuns, []string{"ROLLED_BACK"}, -1},
	{"confirmed by a second client", none(func(r *rig, _ string) { r.product("confirm", r.host) }), []string{"CONFIRMED"}, 0},
	{"cancelled by a second client", soon(func(r *rig, _ string) { r.product("cancel", r.host) }), []string{"CANCELLED"}, 0},
	{"confirmed and cancelled at once", soon(both), []string{"CONFIRMED", "CANCELLED"}, 0},
	{"confirmed at the deadline, a little before or after", none(atDeadline), []string{"CONFIRMED", "ROLLED_BACK"}, 0},
	{ofGeneration, first(deleted), []string{"ROLLED_BACK"}, 0},
	{"the profile set by somebody else while it waits", soon(elsewhere), []string{"CONFLICT"}, 0},
	{"the state file torn while it waits, and the guard killed", first(torn), []string{"ROLLED_BACK"}, 0},
	{"confirmed with another nonce, an older one, and too late", first(forged), []string{"ROLLED_BACK"}, 0},
	{"a unit that comes and goes", flaps, []string{"ROLLED_BACK"}, -1},
	{"the disk full while it waits", full, []string{"ROLLED_BACK"}, -1},
	{"units that had failed before", failedBefore, []string{"CONFIRMED"}, 0},
	{"the clock set a day ahead while it waits, then confirmed", none(clock("86400", true)), []string{"CONFIRMED"}, 0},
	{"the clock set a day back while it waits, nobody confirms", none(clock("-86400", false)), []string{"ROLLED_BACK"}, 0},
	{"the profiles' disk full when it becomes the default", fullAt("/nix/var/nix/profiles"), []string{"ROLLED_BACK"}, 20},
	{"the boot partition full when it becomes the default", fullAt("/boot"), []string{"ROLLED_BACK"}, 20},
	{"no flock on the host", away("flock", func(*rig) {}), []string{"CONFIRMED"}, 0},
	{"no flock on the host, and the guard killed", away("flock", func(r *rig) { r.killGuard(r.reach("AWAITING")) }), []string{"ROLLED_BACK"}, 20},
	{"the host restarted while it waits", background("AWAITING", restarted), []string{"ROLLED_BACK"}, -1},
	{"the network is cut by the new system", func(r *rig, _ *rand.Rand) { r.fail("cut once") }, []string{"ROLLED_BACK"}, 20},
	{"client killed while it looks", looking, nil, -1},
	{"client killed while copying", copying, nil, -1},
	{"client killed while staged", killClient("STAGED"), []string{"ROLLED_BACK"}, -1},
	{"client killed while activating", killClient("ACTIVATING"), []string{"ROLLED_BACK"}, -1},
	{"client killed while waiting", killClient("AWAITING"), []string{"ROLLED_BACK", "CONFIRMED"}, -1},
	{"client killed while committing", killClient("COMMITTING"), []string{"CONFIRMED"}, -1},
	{"guard killed while staged", killGuard("STAGED"), []string{"CONFIRMED", "ROLLED_BACK"}, -1},
	{"guard killed while activating", killGuard("ACTIVATING"), []string{"ROLLED_BACK"}, 20},
	{"guard killed while waiting", killGuard("AWAITING"), []string{"ROLLED_BACK"}, 20},
	{"guard killed while committing", killGuard("COMMITTING"), []string{"CONFIRMED"}, -1},
	{"network cut while activating, back before the end", cut("ACTIVATING", 2*time.Second), []string{"CONFIRMED", "ROLLED_BACK"}, -1},
	{"network cut while waiting, for good", cut("AWAITING", 12*time.Second), []string{"ROLLED_BACK"}, 20},
	{"network cut while committing", cut("COMMITTING", 2*time.Second), []string{"CONFIRMED"}, 0},
	{"guard killed while going back", goingBack(func(r *rig, dir string) { r.killGuard(dir) }), []string{"ROLLED_BACK"}, -1},
	{"power cut while going back", goingBack(func(r *rig, _ string) { r.power(); r.product("cancel", r.host) }), []string{"ROLLED_BACK"}, -1},
	{"client killed while going back", goingBack(func(r *rig, _ string) { r.client.kill() }), []string{"ROLLED_BACK"}, -1},
	{"network cut before the activation", cut("STAGED", 2*time.Second), []string{"CONFIRMED", "ROLLED_BACK"}, -1},
	{"power cut while staged", powerCut("STAGED"), []string{"ROLLED_BACK"}, -1},
	{"power cut while activating", powerCut("ACTIVATING"), []string{"ROLLED_BACK"}, -1},
	{"power cut while waiting", powerCut("AWAITING"), []string{"ROLLED_BACK"}, -1},
	{"power cut while committing", powerCut("COMMITTING"), []string{"CONFIRMED", "ROLLED_BACK"}, -1},
}

// none has a client that leaves when the host waits; then somebody does something.
func none(do func(r *rig, dir string), flags ...string) func(*rig, *rand.Rand) {
	return func(r *rig, rnd *rand.Rand) {
		r.flags, r.rnd = append([]string{"--confirm=none"}, flags...), rnd
		r.later = func() { do(r, r.reach("AWAITING")) }
	}
}

// soon is none where what is done ends the waiting: there is time for it.
func soon(do func(r *rig, dir string)) func(*rig, *rand.Rand) {
	return none(do, "--confirm-timeout=60s")
}

// first is none where what is done comes before the time has passed, which may be
// waited for: there is some of it.
func first(do func(r *rig, dir string)) func(*rig, *rand.Rand) {
	return none(do, "--confirm-timeout=20s")
}

// goingBack has nobody confirm, and does something while the host goes back.
func goingBack(do func(r *rig, dir string)) func(*rig, *rand.Rand) {
	return func(r *rig, _ *rand.Rand) {
		r.flags = []string{"--confirm=none"}
		r.later = func() { do(r, r.reach("ROLLING_BACK")) }
	}
}

// hangs has an activation that never ends.
func hangs(r *rig, _ *rand.Rand) {
	r.fail("hang once")
	r.flags = []string{"--activation-timeout=3s"}
}

// olderRuns has a system run that is not the default: it is what must be restored.
func olderRuns(r *rig, _ *rand.Rand) {
	r.flags = []string{"--confirm=none"}
	other := r.sh("cd /nix/var/nix/profiles; for l in system-*-link; do readlink -f $l; done | grep -v -e " + r.from.path + " -e " + r.to.path + " | head -n 1")
	r.sh(other + "/bin/switch-to-configuration test >/dev/null 2>&1; true")
	r.from = gen{0, other}
}

// both confirms and cancels at the same time.
func both(r *rig, _ string) {
	var wg sync.WaitGroup
	for _, word := range []string{"confirm", "cancel"} {
		wg.Go(func() { r.product(word, r.host) })
	}
	wg.Wait()
}

// atDeadline has the host itself confirm when the time is just over, or just not: the
// guard looks five times a second. What is answered is what happens.
func atDeadline(r *rig, dir string) {
	offset := -200 + r.rnd.IntN(401)
	id := filepath.Base(dir)
	out := r.sh(fmt.Sprintf(`cd /var/lib/sextant/deploys/%s
read -r up _ </proc/uptime
ms=$(($(cat deadline) * 1000 + %d - ${up%%.*}${up#*.}0))
[ $ms -le 0 ] || sleep $((ms / 1000)).$(printf %%03d $((ms %% 1000)))
sh guard confirm %[1]s $(cat nonce) eve 2>&1; true`, id, offset))
	end := r.ended()
	if (out == "taken") != (end == "CONFIRMED") {
		r.Errorf("%d ms from the deadline the host said %q, it ended %s", offset, out, end)
	}
	r.Logf("%d ms from the deadline: %s, %s", offset, out, end)
}

// deleted deletes the generation that waits: nothing can be switched to then.
func deleted(r *rig, _ string) {
	link := "/nix/var/nix/profiles/system-" + strconv.Itoa(r.to.number) + "-link"
	r.sh("mv " + link + " /root/kept-link")
	if out := r.sh("nix-store --delete " + r.to.path + " 2>&1 && echo deleted; true"); !strings.Contains(out, "alive") {
		r.Errorf("the garbage collector would take the system that waits: %s", out)
	}
	r.product("confirm", r.host)
	r.ended()
	r.sh("mv /root/kept-link " + link)
}

// elsewhere is somebody with nixos-rebuild, who takes the newest other system: the
// boot menu holds only the newest ones.
func elsewhere(r *rig, _ string) {
	r.sh("cd /nix/var/nix/profiles; n=$(ls -d system-*-link | grep -v -e system-" + strconv.Itoa(r.to.number) +
		"-link -e $(readlink system) | sort -V | tail -n 1 | tr -dc 0-9); nix-env -p $PWD/system --switch-generation $n 2>/dev/null")
	r.product("confirm", r.host)
}

// failedBefore has a unit that had failed already: it says nothing of the new system.
func failedBefore(r *rig, _ *rand.Rand) {
	r.sh("systemd-run --quiet --wait --unit=lab-failed-before false; systemctl is-failed --quiet lab-failed-before")
	r.later = func() { r.ended(); r.sh("systemctl reset-failed lab-failed-before 2>/dev/null; true") }
}

// clock sets the host's clock by so many seconds, as its programs are told the
// time: all hosts of the lab have one clock, which stays as it is.
func clock(by string, confirm bool) func(*rig, string) {
	return func(r *rig, _ string) {
		put := r.aside("date")
		r.sh(`printf '%s\n' '#!/bin/sh' '[ "$*" = +%s ] || exec date.away "$@"' 'echo $(($(date.away +%s) + ` + by + `))' >/usr/bin/date; chmod 755 /usr/bin/date`)
		if confirm {
			r.product("confirm", r.host)
		}
		r.ended()
		put()
	}
}

// away has a program of the host missing for as long as the deploy lasts.
func away(program string, do func(*rig)) func(*rig, *rand.Rand) {
	return func(r *rig, _ *rand.Rand) {
		put := r.aside(program)
		r.later = func() {
			do(r)
			r.ended()
			r.gone()
			put()
		}
	}
}

// fullAt has no room left in a folder when the system is confirmed: a disk of its
// own, with what lies there, is filled.
func fullAt(folder string) func(*rig, *rand.Rand) {
	return func(r *rig, _ *rand.Rand) {
		r.sh("mkdir -p /run/lab-full && mount -t tmpfs -o size=1m,nr_inodes=2k tmpfs /run/lab-full && cp -a " + folder + "/. /run/lab-full && mount --bind /run/lab-full " + folder + " && umount /run/lab-full")
		r.later = func() {
			r.reach("AWAITING")
			r.sh("cd " + folder + " && mkdir filler && dd if=/dev/zero of=filler/bytes bs=4096 2>/dev/null; seq 3000 | sed s,^,filler/, | xargs touch 2>/dev/null; true")
			r.ended()
			r.gone()
			r.sh("umount " + folder)
		}
	}
}

// restarted restarts the host in good order. Afterwards somebody has a look.
func restarted(r *rig, _ string) {
	r.sh("systemctl reboot --no-block")
	r.until("the end of the host", func() bool { return r.down() })
	r.start()
	r.client.kill()
	r.product("cancel", r.host)
}

// forged confirms on the host itself with what is not this deploy's nonce, and with
// the right one when it is over. None of it counts.
func forged(r *rig, dir string) {
	id := filepath.Base(dir)
	guard := "cd /var/lib/sextant/deploys && sh " + id + "/guard confirm " + id + " "
	older := "$(cat $(ls -d */ | grep -v " + id + " | tail -n 1)nonce)"
	for _, nonce := range []string{"0000", older} {
		if out := r.sh(guard + nonce + " eve 2>&1; true"); !strings.HasPrefix(out, "refused ") {
			r.Errorf("a confirmation with nonce %s: %s", nonce, out)
		}
	}
	if now := state(dir); now != "AWAITING" {
		r.Errorf("after forged confirmations it is %s", now)
	}
	r.ended()
	if out := r.sh(guard + "$(cat " + id + "/nonce) eve"); !strings.HasPrefix(out, "over ROLLED_BACK") {
		r.Errorf("a confirmation that is late: %s", out)
	}
}

// flaps has a unit that fails and comes back all the time, from when the new system
// runs: it may be well at one look, and is not at the next.
func flaps(r *rig, _ *rand.Rand) {
	r.later = func() {
		r.reach("AWAITING")
		r.sh("systemd-run --quiet --unit=lab-flapping -p Restart=always -p RestartSec=1 -p StartLimitIntervalSec=0 sh -c 'sleep 0.5; exit 1'")
		r.ended()
		r.sh("systemctl stop lab-flapping; systemctl reset-failed lab-flapping; true")
	}
}

func torn(r *rig, dir string) {
	r.sh(": >/var/lib/sextant/deploys/" + filepath.Base(dir) + "/state")
	r.killGuard(dir)
}

// full gives the guard a disk of its own for what it writes down, and fills it.
func full(r *rig, rnd *rand.Rand) {
	r.sh("mkdir -p /var/lib/sextant && mount -t tmpfs -o size=512k tmpfs /var/lib/sextant")
	r.root, r.before = r.inside(), nil
	none(func(r *rig, _ string) { r.sh("dd if=/dev/zero of=/var/lib/sextant/filler bs=4096 2>/dev/null; true") })(r, rnd)
}

// background does something when the deploy of this case has come into a state.
func background(state string, do func(r *rig, dir string)) func(*rig, *rand.Rand) {
	return func(r *rig, _ *rand.Rand) {
		r.later = func() { do(r, r.reach(state)) }
	}
}

// looking kills the client while it asks the new system what it would do, which takes long.
func looking(r *rig, _ *rand.Rand) {
	r.to.path = labtest.Altered(r, r.to.path, `sed -i '2i [ "$1" != dry-activate ] || sleep 10' "$1"/bin/switch-to-configuration`)
	r.later = func() {
		r.until("the system to be asked what it would do", func() bool {
			return r.sh("pgrep -f '"+r.to.path+"/bin/[s]witch-to-configuration dry-activate' || true") != ""
		})
		r.client.kill()
	}
}

// copying kills the client in the midst of a large system.
func copying(r *rig, _ *rand.Rand) {
	r.to.path = labtest.Altered(r, r.to.path, `head -c 128M /dev/urandom >"$1/ballast"`)
	r.later = func() {
		r.until("the client to copy", func() bool { return strings.Contains(r.client.out.String(), "copying: ") })
		r.client.kill()
	}
}

func killClient(state string) func(*rig, *rand.Rand) {
	return background(state, func(r *rig, _ string) { r.client.kill() })
}

func killGuard(state string) func(*rig, *rand.Rand) {
	return background(state, func(r *rig, dir string) { r.killGuard(dir) })
}

func cut(state string, long time.Duration) func(*rig, *rand.Rand) {
	return background(state, func(r *rig, _ string) {
		r.cable("down")
		time.Sleep(long)
		r.cable("up")
	})
}

// powerCut cuts the power. Afterwards somebody has a look, which puts right what is left.
func powerCut(state string) func(*rig, *rand.Rand) {
	return background(state, func(r *rig, _ string) {
		r.power()
		r.client.kill()
		r.product("cancel", r.host)
	})
}

// hosts are those that are broken, at the same time: of systemd 257 and 252, nix
// 2.26 and 2.8, as root and by sudo.
var hosts = []string{"cloud", "router", "desktop"}

// TestFaults is the campaign.
func TestFaults(t *testing.T) {
	times, _ := strconv.Atoi(os.Getenv("SEXTANT_FAULTS"))
	times = max(times, 1)
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv("SEXTANT_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("seed %d", seed)
	var mu sync.Mutex
	outcome := outcomes{}
	t.Run("hosts", func(t *testing.T) {
		for i, host := range hosts {
			t.Run(host, func(t *testing.T) {
				t.Parallel()
				// what fails by itself with each start is no fault of a case
				t.Cleanup(func() { newRig(t, host).sh("systemctl start lab-broken.timer 2>/dev/null; true") })
				rnd := rand.New(rand.NewPCG(seed, uint64(i)))
				for n := range times {
					for k, f := range faults {
						if times == 1 && k%len(hosts) != i && k > 0 {
							continue // once round the hosts is enough for every day
						}
						w := f.way(k, n)
						t.Run(fmt.Sprintf("%s, %s %d", f.name, w, n), func(t *testing.T) {
							r := newRig(t, host)
							end := r.breakOnce(f, w, rnd)
							for tries := 1; r.late && !t.Failed(); tries++ {
								if tries == 5 {
									t.Fatal("each time it was over before anything was done to it")
								}
								end = r.breakOnce(f, w, rnd)
							}
							mu.Lock()
							defer mu.Unlock()
							outcome.add(f.name, w, end)
						})
					}
				}
			})
		}
	})
	report(t, outcome, times, seed)
}

// breakOnce runs one case and asserts the host.
func (r *rig) breakOnce(f fault, w way, rnd *rand.Rand) string {
	r.begin(w)
	r.later, r.flags, r.late = nil, nil, false
	f.do(r, rnd)
	if !slices.Equal(f.ends, []string{"CONFIRMED"}) && !slices.ContainsFunc(r.flags, func(f string) bool { return strings.HasPrefix(f, "--confirm-timeout") }) {
		r.flags = append(r.flags, short)
	}
	r.client = r.change(r.flags...)
	if r.later != nil {
		r.later()
	}
	code := r.client.end(r)
	end := r.wellWith(f.ends...)
	if f.code >= 0 && code != f.code {
		r.Errorf("%s: the client ended with %d, want %d: %s", r.host, code, f.code, r.client.out.String())
	}
	return end
}

// outcomes are how often the ways of each case ended in each state.
type outcomes map[string]map[way]map[string]int

func (o outcomes) add(name string, w way, end string) {
	if o[name] == nil {
		o[name] = map[way]map[string]int{back: {}, forward: {}}
	}
	o[name][w][end]++
}

// cell tells how often the ways of a case ended in which state.
func (o outcomes) cell(name string, w way) string {
	var ends []string
	for end, count := range o[name][w] {
		ends = append(ends, fmt.Sprintf("%s %d", end, count))
	}
	sort.Strings(ends)
	return strings.Join(ends, ", ")
}

// report writes the table of docs/reliability.md.
func report(t *testing.T, outcome outcomes, times int, seed uint64) {
	path := os.Getenv("SEXTANT_RELIABILITY")
	if path == "" {
		return
	}
	often := fmt.Sprintf("each case %d times on each host", times)
	if times == 1 {
		often = "each case once, on one of them"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Run %s on %s, %s, seed %d.\n\n| what was done | how roll-backs ended | how deploys ended |\n|---|---|---|\n",
		time.Now().UTC().Format("2006-01-02"), strings.Join(hosts, ", "), often, seed)
	for _, f := range faults {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", f.name, outcome.cell(f.name, back), outcome.cell(f.name, forward))
	}
	if err := os.WriteFile(filepath.Clean(path), []byte(b.String()), 0o644); err != nil {
		t.Error(err)
	}
}
