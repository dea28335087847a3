//go:build bench

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Many containers are started on one host of the lab, and removed again.
const (
	manyHost  = "storage"
	manyCount = 200
	manyFor   = 30 * time.Second // how long the list is watched
)

// manyFigures are what 200 containers cost.
type manyFigures struct {
	listed       time.Duration // until the list of the host is known, on an open connection
	first        time.Duration // the same with everything else that is asked of a host that was never asked
	client, host float64       // shares of a core while the list is on the screen: of the UI, of the host for it
	base         float64       // of the host while nobody looks
}

// TestManyFigures measures a list of 200 containers: how soon it is known, and
// what it costs while it is looked at, here and on its host. It writes its rows
// to $SEXTANT_FIGURES_MANY.
func TestManyFigures(t *testing.T) {
	bin, err := filepath.Abs("../../bin/sextant")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	manyStarted(t)
	f := many(t, bin)
	table := fmt.Sprintf("| **%d containers on one host: the list, on an open connection** | %s | ≤ 300 ms |\n"+
		"| the same with everything else, on a host that was not asked before | %s |  |\n"+
		"| **the list of %d on the screen, those visible measured: share of a core here** | %.2f %% | ≤ 2 %% |\n"+
		"| **the same, on the host: its services and our commands, above what it uses anyway (%.2f %%)** | %.2f %% | ≤ 1 %% |\n",
		manyCount, ms(f.listed), ms(f.first), manyCount, f.client*100, f.base*100, f.host*100)
	t.Log("\n" + table)
	if path := os.Getenv("SEXTANT_FIGURES_MANY"); path != "" {
		if err := os.WriteFile(path, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// benchHost runs a script as root on the host of the many and gives what it says.
func benchHost(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.Command("ssh", "-o", "BatchMode=yes", manyHost, script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// manyStarted starts the containers, and has them removed at the end.
func manyStarted(t *testing.T) {
	t.Helper()
	remove := "podman ps -aq --filter label=sextant-bench | xargs -r podman rm -f -t 0 >/dev/null"
	t.Cleanup(func() { benchHost(t, remove) })
	benchHost(t, remove)
	began := time.Now()
	benchHost(t, fmt.Sprintf(`img=$(podman images -q | head -n 1); for i in $(seq %d); do
		podman run -d --name bench-$i --label sextant-bench --network none --log-driver none "$img" /bin/sh -c "busybox sleep 100000" >/dev/null || exit 1; done`, manyCount))
	t.Logf("%d containers were started in %s", manyCount, time.Since(began).Round(time.Second))
	if n := benchHost(t, "podman ps -q --filter label=sextant-bench | wc -l"); n != strconv.Itoa(manyCount) {
		t.Fatalf("%s of %d containers run", n, manyCount)
	}
	settled(t)
}

func many(t *testing.T, bin string) manyFigures {
	t.Helper()
	var f manyFigures
	f.first, f.listed = manyListed(t)
	f.base = manyShare(t, manyFor)
	ui := startUI(t, manyHost, bin)
	ui.first(t)
	if _, err := ui.file.WriteString("C"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(15 * time.Second) // every host has answered, what is visible is measured
	cpuBefore := cpuTime(t, ui.cmd.Process.Pid)
	share := manyShare(t, manyFor)
	f.client = (cpuTime(t, ui.cmd.Process.Pid) - cpuBefore).Seconds() / manyFor.Seconds()
	ui.stop()
	time.Sleep(15 * time.Second) // what was started to answer it has ended
	f.base = (f.base + manyShare(t, manyFor)) / 2
	f.host = share - f.base
	return f
}

// settled waits until what starting so many has stirred up is over: two looks, of
// which the second is not below the first.
func settled(t *testing.T) {
	t.Helper()
	for last := 1.0; ; {
		now := manyShare(t, 20*time.Second)
		t.Logf("the host uses %.2f %% of a core", now*100)
		if now > last*0.8 {
			return
		}
		last = now
	}
}

// manyShare is the share of a core that the host uses for so long.
func manyShare(t *testing.T, long time.Duration) float64 {
	t.Helper()
	before, began := manyUsed(t), time.Now()
	time.Sleep(long)
	return (manyUsed(t) - before).Seconds() / time.Since(began).Seconds()
}

// manyListed is how long it takes until the host's list is known: at first, and
// on the connections there are.
func manyListed(t *testing.T) (first, again time.Duration) {
	a, err := openApp(options{timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	if err := a.find(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	states, err := a.pick([]string{manyHost})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	a.watcherFor(only("containers")).Once(t.Context(), hostsOf(states), false)
	first = time.Since(began)
	st, _ := a.store.Get(states[0].Host.ID)
	if n := running(st); n < manyCount {
		t.Fatalf("%d containers are known: %s", n, st.Containers.Err)
	}
	e := a.readers.of(a.links.Open(states[0].Host))
	var took []time.Duration
	for range runs {
		began := time.Now()
		e.Read(t.Context(), func(context.Context) (fleet.State, error) { return st, nil })
		took = append(took, time.Since(began))
	}
	return first, median(took)
}

func running(st fleet.State) int {
	n := 0
	for _, c := range st.Containers.Value {
		if c.Running() {
			n++
		}
	}
	return n
}

// manyUsed is what the host has used of the processor for being asked: all services
// and sessions, those that have ended among them, but for Netdata, which has its own
// rhythm.
func manyUsed(t *testing.T) time.Duration {
	t.Helper()
	out := benchHost(t, `cd /sys/fs/cgroup; [ ! -d unified ] || cd unified # where the controllers are of version 1
		for u in system.slice user.slice; do sed -n 's/^usage_usec //p' $u/cpu.stat; done
		sed -n 's/^usage_usec /-/p' system.slice/netdata.service/cpu.stat`)
	var sum int
	for n := range strings.FieldsSeq(out) {
		v, err := strconv.Atoi(n)
		if err != nil {
			t.Fatalf("cpu.stat: %q", out)
		}
		sum += v
	}
	if sum == 0 {
		t.Fatal("the host does not tell what its services used")
	}
	return time.Duration(sum) * time.Microsecond
}
