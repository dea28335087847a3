package nixops

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// TestLimits: what a change sets counts, then what its deployer has, then the
// built-in ones; all of them have one.
func TestLimits(t *testing.T) {
	got := Limits{Confirm: time.Second}.under(Limits{Confirm: time.Hour, Check: time.Hour}).or()
	want := defaults
	want.Confirm, want.Check = time.Second, time.Hour
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if d := (Limits{}).or(); min(d.Preflight, d.CopyStall, d.Activation, d.Confirm, d.Check, d.Commit, d.RollBack, d.Reboot) <= 0 {
		t.Errorf("one has no default: %+v", d)
	}
	if how := (Copying{Stall: time.Second}); how.stall() != time.Second || (Copying{}).stall() != 2*time.Minute {
		t.Errorf("%+v", how)
	}
}

// mute is a link to a host that never answers.
type mute struct{ link.Link }

func (mute) Host() fleet.Host { return fleet.Host{Name: "storage"} }

func (mute) Run(ctx context.Context, _ link.Command) (link.Result, error) {
	<-ctx.Done()
	return link.Result{}, context.Cause(ctx)
}

// TestPreflightEnds: neither the look nor staging waits for ever.
func TestPreflightEnds(t *testing.T) {
	limits := Limits{Preflight: 20 * time.Millisecond}
	if _, err := look(t.Context(), mute{}, "/nix/store/x", limits); err == nil || !strings.Contains(err.Error(), "no answer within 20ms") {
		t.Errorf("look: %v", err)
	}
	if err := stage(t.Context(), mute{}, request{limits: limits}); err == nil || !strings.Contains(err.Error(), "no answer within 20ms") {
		t.Errorf("stage: %v", err)
	}
}

// TestNothingIsBuiltWhereTheOperatorSaidNever: refused before nix is asked anything.
func TestNothingIsBuiltWhereTheOperatorSaidNever(t *testing.T) {
	fakeNix(t, "echo 'error: nix was asked' >&2; exit 1")
	never, any := fleet.Host{Name: "r2s", NeverBuild: true}, fleet.Host{Name: "storage"}
	for _, c := range []struct {
		name    string
		here    bool // building here is off
		order   Order
		target  fleet.Host
		refused string
	}{
		{"here", false, Order{}, never, ""},
		{"here, which is off", true, Order{}, any, "build_here = false"},
		{"here, named, which is off", true, Order{BuildOn: BuildHere}, any, "build_here = false"},
		{"on the target", false, Order{BuildOn: BuildTarget}, any, ""},
		{"on a target that never builds", false, Order{BuildOn: BuildTarget}, never, "r2s refuses"},
		{"on a builder", true, Order{BuildOn: "storage", Builder: any}, never, ""},
		{"on a builder that never builds", false, Order{BuildOn: "r2s", Builder: never}, any, "r2s refuses"},
	} {
		d := &Deployer{NeverHere: c.here, Links: &link.Dialer{}}
		_, err := d.bring(t.Context(), c.order, c.target, FlakeHost{Attr: "x"}, func(string) {})
		var no *Refusal
		switch {
		case err == nil:
			t.Errorf("%s: it was built", c.name)
		case (c.refused != "") != errors.As(err, &no), !strings.Contains(err.Error(), c.refused):
			t.Errorf("%s: %v", c.name, err)
		case c.refused == "" && !strings.Contains(err.Error(), "nix was asked"):
			t.Errorf("%s: nix was not asked: %v", c.name, err)
		}
		d.Links.Close()
	}
}

// TestABuiltSystemThatIsThere needs no store here, and no nix.
func TestABuiltSystemThatIsThere(t *testing.T) {
	there, absent := newStore(t, "", needs[2]), newStore(t, "")
	bin := t.TempDir()
	if err := os.Symlink("/bin/sh", bin+"/sh"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	var h heard
	if err := (&Deployer{}).bringBuilt(t.Context(), hostLink{store: there}, needs[2], Copying{}, h.tell); err != nil || len(h.lines) > 0 {
		t.Errorf("%v, %q", err, h.lines)
	}
	err := (&Deployer{}).bringBuilt(t.Context(), hostLink{store: absent}, needs[2], Copying{}, h.tell)
	if err == nil || !strings.Contains(err.Error(), "it is not in the store of storage: reading what") {
		t.Errorf("%v", err)
	}
}
