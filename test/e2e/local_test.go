//go:build lab

package e2e

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// TestOnAHostItself runs the program on storage, where storage is this machine
// and is reached without SSH, and compares what it tells with what the host's
// own commands say.
func TestOnAHostItself(t *testing.T) {
	lab := labtest.Load(t)
	l, h := lab.Link(t, "storage"), lab.Named(t, "storage")
	const dir = "/var/tmp/sextant-test"
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if res, err := l.Run(ctx, link.Command{Args: []string{"rm", "-r", dir}}); err != nil || res.Status != 0 {
			t.Errorf("%v: %s", err, res.Stderr)
		}
	})
	binary, err := os.Open(program(t))
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	copied := link.Command{Args: []string{"sh", "-c", `mkdir -p "$0" && cat >"$0/program" && chmod +x "$0/program"`, dir}, Stdin: binary}
	if res, err := l.Run(ctx, copied); err != nil || res.Status != 0 {
		t.Fatalf("copying: %v, %s", err, res.Stderr)
	}
	there := func(args ...string) string {
		t.Helper()
		res, err := l.Run(ctx, link.Command{
			Args: append([]string{dir + "/program"}, args...), Env: []string{"HOME=" + dir, "XDG_STATE_HOME=" + dir, "XDG_CONFIG_HOME=" + dir},
		})
		if err != nil || res.Status != 1 { // storage has problems
			t.Fatalf("%v: status %d, %v: %s", args, res.Status, err, res.Stderr)
		}
		return string(res.Stdout)
	}
	agree(t, func(d *differences) {
		got := decode[status](t, there("status", "storage", "--json")).named(t, "storage")
		if got.Reach.Value == nil || got.Reach.Value.Via != "local" || got.Reach.Source != "this machine" {
			d.add("reached by %+v (%s), says %s", got.Reach.Value, got.Reach.Error, got.Reach.Source)
		}
		compareSystem(t, h, got, d)
		compareCounts(t, h, got, d)
	})
	gens := strings.Fields(labtest.Output(t, l, "sh", "-c", "ls -d /nix/var/nix/profiles/system-*-link | sed 's/.*system-//; s/-link//' | sort -n"))
	res, err := l.Run(ctx, link.Command{Args: []string{dir + "/program", "generations", "storage", "--json"}, Env: []string{"HOME=" + dir, "XDG_STATE_HOME=" + dir}})
	if err != nil || res.Status != 0 {
		t.Fatalf("generations: status %d, %v: %s", res.Status, err, res.Stderr)
	}
	var have []string
	for _, g := range decode[struct{ Generations []struct{ Generation int } }](t, string(res.Stdout)).Generations {
		have = append(have, strconv.Itoa(g.Generation))
	}
	slices.SortFunc(have, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	if !slices.Equal(have, gens) {
		t.Errorf("generations %v, want %v", have, gens)
	}
	jobs := map[string]string{}
	for _, j := range decode[struct {
		Jobs []struct{ Name, State string }
	}](t, there("backups", "storage", "--json")).Jobs {
		jobs[j.Name] = j.State
	}
	for name, want := range map[string]string{"home": "fresh", "cold": "fresh", "offsite": "stale"} {
		if jobs[name] != want {
			t.Errorf("backup %s is %q, want %q", name, jobs[name], want)
		}
	}
}
