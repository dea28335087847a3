//go:build lab

// Package faults_test breaks deploys in every way that can be had in the lab,
// and asserts the host after each. SEXTANT_FAULTS is how often each case is
// repeated (default 1); SEXTANT_RELIABILITY is where the table goes.
package faults_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// short is the time to confirm where a case waits for it to pass.
const short = "--confirm-timeout=5s"

// fault is one way in which a deploy is broken, and how it may end.
type fault struct {
	name string
	do   func(r *rig, rnd *rand.Rand)
	ends []string
	code int // of the client, where it lives to tell; -1: it does not
}

var faults = []fault{
	{"nothing goes wrong", func(*rig, *rand.Rand) {}, []string{"CONFIRMED"}, 0},
	{"exit 1 before a change", func(r *rig, _ *rand.Rand) { r.fail("1") }, []string{"REFUSED"}, 10},
	{"exit 2", func(r *rig, _ *rand.Rand) { r.fail("2 once") }, []string{"ROLLED_BACK"}, 20},
	{"exit 11, another holds the lock of NixOS", func(r *rig, _ *rand.Rand) { r.fail("11") }, []string{"REFUSED"}, 10},
	{"exit 100", func(r *rig, _ *rand.Rand) { r.fail("100") }, []string{"NEEDS_REBOOT"}, 100},
	{"the activation is killed", func(r *rig, _ *rand.Rand) { r.fail("kill once") }, []string{"ROLLED_BACK"}, 20},
	{"a new unit fails, nobody agrees", func(r *rig, _ *rand.Rand) { r.fail("4 once") }, []string{"ROLLED_BACK"}, 20},
	{"the boot loader cannot be written", func(r *rig, _ *rand.Rand) { r.fail("boot once") }, []string{"CONFIRMED", "ROLLED_BACK"}, -1},
	{"the network is cut by the new system", func(r *rig, _ *rand.Rand) { r.fail("cut once") }, []string{"ROLLED_BACK"}, 20},
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
	{"power cut while activating", powerCut("ACTIVATING"), []string{"ROLLED_BACK"}, -1},
	{"power cut while waiting", powerCut("AWAITING"), []string{"ROLLED_BACK"}, -1},
	{"power cut while committing", powerCut("COMMITTING"), []string{"CONFIRMED", "ROLLED_BACK"}, -1},
}

// background does something when the deploy of this case has come into a state.
func background(state string, do func(r *rig, dir string)) func(*rig, *rand.Rand) {
	return func(r *rig, _ *rand.Rand) {
		r.later = func() { do(r, r.reach(state)) }
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
	outcome := map[string]map[string]int{}
	t.Run("hosts", func(t *testing.T) {
		for i, host := range hosts {
			t.Run(host, func(t *testing.T) {
				t.Parallel()
				rnd := rand.New(rand.NewPCG(seed, uint64(i)))
				for n := range times {
					for k, f := range faults {
						if times == 1 && k%len(hosts) != i && k > 0 {
							continue // once round the hosts is enough for every day
						}
						t.Run(fmt.Sprintf("%s %d", f.name, n), func(t *testing.T) {
							r := newRig(t, host)
							end := r.breakOnce(f, rnd)
							mu.Lock()
							defer mu.Unlock()
							if outcome[f.name] == nil {
								outcome[f.name] = map[string]int{}
							}
							outcome[f.name][end]++
						})
					}
				}
			})
		}
	})
	report(t, outcome, times, seed)
}

// breakOnce runs one case and asserts the host.
func (r *rig) breakOnce(f fault, rnd *rand.Rand) string {
	r.begin()
	r.later = nil
	f.do(r, rnd)
	r.client = r.rollBack(short)
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

// report writes the table of docs/reliability.md.
func report(t *testing.T, outcome map[string]map[string]int, times int, seed uint64) {
	path := os.Getenv("SEXTANT_RELIABILITY")
	if path == "" {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Run %s on %s, each case %d times on each host, seed %d.\n\n| what was done | times | how it ended |\n|---|---|---|\n",
		time.Now().UTC().Format("2006-01-02"), strings.Join(hosts, ", "), times, seed)
	for _, f := range faults {
		var ends []string
		n := 0
		for end, count := range outcome[f.name] {
			ends = append(ends, fmt.Sprintf("%s %d", end, count))
			n += count
		}
		sort.Strings(ends)
		fmt.Fprintf(&b, "| %s | %d | %s |\n", f.name, n, strings.Join(ends, ", "))
	}
	if err := os.WriteFile(filepath.Clean(path), []byte(b.String()), 0o644); err != nil {
		t.Error(err)
	}
}
