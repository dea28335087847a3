//go:build lab

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// standing is what a host runs, what is its default, and what its boot menu starts.
func standing(t *testing.T, l link.Link) (run, standard, menu string) {
	t.Helper()
	three := strings.Fields(labtest.Output(t, l, "sh", "-c", `cd /nix/var/nix/profiles
readlink -f /run/current-system
readlink -f system
readlink -f system-$(sed -n 's/^default nixos-generation-\([0-9]*\).*/\1/p' /boot/loader/loader.conf)-link`))
	if len(three) != 3 {
		t.Fatalf("the host tells %q", three)
	}
	return three[0], three[1], three[2]
}

// outside runs a command of the lab where it was brought up: the tests run in the
// operator's namespaces.
func outside(t *testing.T, args ...string) {
	t.Helper()
	tool, err := filepath.Abs("../lab/lab")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nsenter", append([]string{"-t", strconv.Itoa(os.Getppid()), "-m", "-n", "--", tool}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("lab %v: %v: %s", args, err, out)
	}
}

// TestDeployActions: "test" runs and is not the default, "boot" is the default and
// does not run, and with --reboot the host really restarts into it. What the flake
// calls the host's system is another name than the host's.
func TestDeployActions(t *testing.T) {
	lab := labtest.Load(t)
	l := lab.Link(t, "vault")
	run, standard, menu := standing(t, l)
	if run != standard || run != menu {
		t.Fatalf("it runs %s, %s is the default and %s in the menu", run, standard, menu)
	}
	defer stay(t, "vault")()
	deploy := func(payload string, flags ...string) []string {
		flake := labtest.Fork(t, "vault = now;", `attic = now // { host = "vault"; payload = "`+filepath.Base(t.TempDir())+payload+`"; };`)
		return append([]string{"deploy", "vault", "--flake", flake, "--attribute", "attic", "--yes", "--json"}, flags...)
	}

	out, errs, code := sextant(t, deploy("test", "--action", "test")...)
	tested := decode[deployed](t, out)
	if code != 0 || len(tested.Deploys) != 1 || tested.Deploys[0].State != "CONFIRMED" {
		t.Fatalf("test: %d: %s %s", code, out, errs)
	}
	if r, s, m := standing(t, l); r != tested.Deploys[0].To.Path || r == run || s != standard || m != menu {
		t.Errorf("test: it runs %s, %s is the default and %s in the menu", r, s, m)
	}

	out, errs, code = sextant(t, deploy("boot", "--action", "boot")...)
	booted := decode[deployed](t, out)
	if code != 0 || len(booted.Deploys) != 1 || booted.Deploys[0].State != "CONFIRMED" {
		t.Fatalf("boot: %d: %s %s", code, out, errs)
	}
	if r, s, m := standing(t, l); r != tested.Deploys[0].To.Path || s != booted.Deploys[0].To.Path || m != s {
		t.Errorf("boot: it runs %s, %s is the default and %s in the menu", r, s, m)
	}

	before := bootID(t, lab)
	began := make(chan struct{})
	go func() {
		defer close(began)
		out, errs, code = sextant(t, deploy("reboot", "--action", "boot", "--reboot")...)
	}()
	restarts(t, lab, "vault", began)
	<-began
	again := decode[deployed](t, out)
	if code != 0 || len(again.Deploys) != 1 || again.Deploys[0].State != "CONFIRMED" || again.Deploys[0].Why != "it came up with it" {
		t.Fatalf("reboot: %d: %s %s", code, out, errs)
	}
	if now := bootID(t, lab); now == before {
		t.Error("the host did not restart")
	}
	to := again.Deploys[0].To.Path
	if r, s, m := standing(t, lab.Link(t, "vault")); r != to || s != to || m != to {
		t.Errorf("reboot: it runs %s, %s is the default and %s in the menu, not %s", r, s, m, to)
	}
}

func bootID(t *testing.T, lab labtest.Lab) string {
	t.Helper()
	return labtest.Output(t, lab.Link(t, "vault"), "cat", "/proc/sys/kernel/random/boot_id")
}

// restarts waits until a host has gone down, and starts it: it is held down until
// then, as by a firmware that waits for somebody.
func restarts(t *testing.T, lab labtest.Lab, host string, over <-chan struct{}) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		select {
		case <-over:
			return
		default:
		}
		pid, err := os.ReadFile(filepath.Join(lab.Dir, "hosts", host, "pid"))
		if err == nil {
			_, err = os.Stat("/proc/" + strings.TrimSpace(string(pid)))
		}
		if err != nil {
			outside(t, "up", "--no-seed", host)
			return
		}
	}
	t.Errorf("%s did not go down", host)
}
