//go:build lab

package e2e

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/test/labtest"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// loaded is what the Metrics tab says of the processors, the memory and the load.
var loaded = regexp.MustCompile(`(?s)cpu +\S* *(\d+)% of (\d+) cores.* memory +\S* *([\d.]+)([KMGT]) of ([\d.]+)([KMGT]).* load +([\d.]+) `)

// TestMetricsTabAgreesWithProc opens the Metrics tab of every host and compares it
// with the /proc of that host.
func TestMetricsTabAgreesWithProc(t *testing.T) {
	lab := labtest.Load(t)
	ui := screen(t, 80, 24)
	answer(ui)
	for _, h := range lab.Hosts {
		t.Run(h.Name, func(t *testing.T) {
			pick(ui, h.Name)
			ui.Press("enter").WaitFor("Overview]").Press("6").WaitFor("[6 Metrics]", " memory ", " load ")
			var got []string // the series come first, then how it is now
			for end := time.Now().Add(tuitest.Patience); got == nil && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				got = loaded.FindStringSubmatch(ui.Screen())
			}
			if got == nil {
				t.Fatalf("the tab tells nothing of it:\n%s", ui.Screen())
			}
			f := strings.Fields(labtest.Output(t, lab.Link(t, h.Name), "sh", "-c",
				`awk '/^MemTotal/{t=$2} /^MemAvailable/{a=$2} END{print t*1024, (t-a)*1024}' /proc/meminfo; grep -c '^cpu[0-9]' /proc/stat; cut -d' ' -f1 /proc/loadavg`))
			total, used, load := number64(t, f[0]), number64(t, f[1]), number64(t, f[3])
			if got[2] != f[2] {
				t.Errorf("%s cores, not %s", got[2], f[2])
			}
			if cpu := number64(t, got[1]); cpu > 100 {
				t.Errorf("the processors are %v%% busy", cpu)
			}
			if is := bytesOf(t, got[5], got[6]); math.Abs(is-total) > total/20 {
				t.Errorf("of %s%s memory, not %v bytes", got[5], got[6], total)
			}
			if is := bytesOf(t, got[3], got[4]); math.Abs(is-used) > total/5 { // it moves meanwhile
				t.Errorf("%s%s memory is used, not %v bytes", got[3], got[4], used)
			}
			if is := number64(t, got[7]); math.Abs(is-load) > 2+load/2 {
				t.Errorf("a load of %v, not %v", is, load)
			}
			ui.Press("esc").WaitFor("/" + h.Name).Press("esc").WaitGone("/" + h.Name)
		})
	}
}

func number64(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// bytesOf reads a size as the screen has it.
func bytesOf(t *testing.T, n, unit string) float64 {
	t.Helper()
	return number64(t, n) * math.Pow(1024, float64(1+strings.Index("KMGT", unit)))
}
