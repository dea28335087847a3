//go:build lab

package nixops_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/nixops"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// fork is a copy of the operator's flake in which a text of a file is another.
func fork(t *testing.T, file, from, to string) nixops.Flake {
	t.Helper()
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "fleet")
	if out, err := exec.Command("cp", "-r", filepath.Join(home, "fleet"), dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	path := filepath.Join(dir, file)
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), from) {
		t.Fatalf("no %q in %s: %v", from, path, err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), from, to, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	return nixops.Flake{Ref: dir}
}

// changed is the flake with systems that no store has yet.
func changed(t *testing.T) nixops.Flake {
	t.Helper()
	return fork(t, "hosts.nix", `payload = "four"`, `payload = "`+filepath.Base(filepath.Dir(t.TempDir()))+`"`)
}

// told collects what is told, from whichever goroutine.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (h *told) tell(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line)
}

func (h *told) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines, "\n")
}

// deployers are outputs of deploy-rs and of colmena, put into the lab's flake.
const deployers = `hosts = builtins.attrNames settings;
      tiers = { tier1 = [ "storage" "router" ]; tier2.desktop = throw "never looked at"; };
      deploy = {
        sshUser = "root";
        nodes.storage = { hostname = "storage.lab"; remoteBuild = true; sshOpts = [ "-p" "22" ]; profiles.system = { confirmTimeout = 60; path = throw "never looked at"; }; };
      };
      colmena = {
        meta.nixpkgs = throw "never looked at";
        defaults = { pkgs, ... }: { deployment.targetUser = "ada"; environment.systemPackages = [ pkgs.hello ]; };
        desktop = { name, lib, ... }: { deployment = { targetHost = "${name}.lab"; tags = [ "seat" ]; targetPort = lib.mkDefault 22; }; };
      };`

func TestFlakeHosts(t *testing.T) {
	labtest.Load(t)
	hosts, unread := fork(t, "flake.nix", "hosts = builtins.attrNames settings;", deployers).Hosts(t.Context(), nil)
	if len(unread) != 0 {
		t.Errorf("not read: %v", unread)
	}
	find := func(name string) nixops.FlakeHost {
		i := slices.IndexFunc(hosts, func(h nixops.FlakeHost) bool { return h.Attr == name })
		if i < 0 {
			t.Fatalf("no %s in %+v", name, hosts)
		}
		return hosts[i]
	}
	if h := find("storage"); !h.System() || h.Hostname != "storage.lab" || h.User != "root" || h.Port != 22 || !h.BuildOnTarget || h.ConfirmTimeout.Seconds() != 60 {
		t.Errorf("of deploy-rs: %+v", h)
	}
	if h := find("desktop"); !h.System() || h.Hostname != "desktop.lab" || h.User != "ada" || !slices.Equal(h.Tags, []string{"seat"}) {
		t.Errorf("of colmena: %+v", h)
	}
	if find("storage").Tier != "tier1" || find("desktop").Tier != "tier2" || find("laptop").Tier != "" {
		t.Errorf("of the tiers: %+v", hosts)
	}
	if h := find("router"); !h.System() || h.Hostname != "" {
		t.Errorf("of neither: %+v", h)
	}
	if _, err := nixops.Of(fleet.Host{Name: "storag"}, hosts); err == nil || !strings.Contains(err.Error(), `did you mean "storage"`) {
		t.Errorf("an attribute that is not there: %v", err)
	}
	if h, err := nixops.Of(fleet.Host{Name: "seat", Aliases: []string{"desktop.lab"}}, hosts); err != nil || h.Attr != "desktop" {
		t.Errorf("by its deployer's host name: %+v, %v", h, err)
	}
}

func TestBuildTellsHowFarItIs(t *testing.T) {
	labtest.Load(t)
	flake := changed(t)
	var wg sync.WaitGroup
	for _, host := range []string{"storage", "cloud", "router"} { // at once, each with its own progress
		wg.Go(func() {
			var last nixops.Building
			path, err := flake.Build(t.Context(), host, func(b nixops.Building) { last = b })
			if err != nil || !strings.Contains(path, "-nixos-system-"+host+"-") {
				t.Errorf("%s: %q, %v", host, path, err)
			}
			if last.ToBuild == 0 || last.Built != last.ToBuild {
				t.Errorf("%s: it ended at %+v", host, last)
			}
		})
	}
	wg.Wait()
}

func TestBuildOfWhatIsWrong(t *testing.T) {
	labtest.Load(t)
	_, err := fork(t, "hosts.nix", `payload = "four"`, "payload = nonsense").Build(t.Context(), "storage", nil)
	if err == nil || !strings.Contains(err.Error(), "undefined variable 'nonsense'") || strings.Count(err.Error(), "\n") > 12 || strings.ContainsRune(err.Error(), 0x1b) {
		t.Errorf("an evaluation: %v", err)
	}
	_, err = changed(t).Build(t.Context(), "absent", nil)
	if err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("an attribute that is not there: %v", err)
	}
	broken := fork(t, "toplevel.nix", `make "initrd-linux-${kernel}" "initrd.sh"`, `make "initrd-linux-${kernel}-broken" "no-such.sh"`)
	if err := os.WriteFile(filepath.Join(broken.Ref, "scripts", "no-such.sh"), []byte("echo the last words >&2\nexit 3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("git", "-C", broken.Ref, "add", "-A").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, err = broken.Build(t.Context(), "storage", nil)
	var failed *nixops.NixError
	if !errors.As(err, &failed) || !strings.Contains(failed.Derivation, "initrd-linux") || !slices.Contains(failed.Log, "the last words") {
		t.Errorf("a build: %v", err)
	}
}

// there tells whether a host has all that a path needs.
func there(t *testing.T, l link.Link, path string) bool {
	t.Helper()
	out, err := exec.Command("nix-store", "-qR", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"nix-store", "--check-validity", "--print-invalid"}, strings.Fields(string(out))...)
	res, err := l.Run(t.Context(), link.Command{Args: args, Root: true}) // hosts of the lab have no nix daemon
	if err != nil || res.Status != 0 {
		t.Fatalf("%s: %v: %s", l.Host().Name, err, res.Stderr)
	}
	return strings.TrimSpace(string(res.Stdout)) == ""
}

// TestCopyToEachWayOfReaching copies to root, to sudo without and with a
// password, through a jump host, and to an old nix.
func TestCopyToEachWayOfReaching(t *testing.T) {
	lab := labtest.Load(t)
	flake := changed(t)
	for _, host := range []string{"storage", "desktop", "laptop", "vault", "router"} {
		t.Run(host, func(t *testing.T) {
			l := lab.Link(t, host)
			path, err := flake.Build(t.Context(), host, nil)
			if err != nil {
				t.Fatal(err)
			}
			if there(t, l, path) {
				t.Fatal("it is there before it is copied")
			}
			var first, again told
			if err := nixops.Copy(t.Context(), l, path, nixops.Copying{}, first.tell); err != nil {
				t.Fatal(err)
			}
			if !there(t, l, path) || !strings.Contains(first.text(), "are missing there") {
				t.Errorf("it is not there; told %q", first.text())
			}
			if err := nixops.Copy(t.Context(), l, path, nixops.Copying{}, again.tell); err != nil || again.text() != "" {
				t.Errorf("what is there was copied again: %v, told %q", err, again.text())
			}
		})
	}
}

// TestCopyThatIsCutOffGoesOn cancels a large copy in its middle.
func TestCopyThatIsCutOffGoesOn(t *testing.T) {
	lab := labtest.Load(t)
	big := filepath.Join(t.TempDir(), "big")
	if out, err := exec.Command("dd", "if=/dev/urandom", "of="+big, "bs=1M", "count=300").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command("nix-store", "--add", big).Output()
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimSpace(string(out))
	l := lab.Link(t, "desktop")
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	if err := nixops.Copy(ctx, l, path, nixops.Copying{}, func(line string) {
		if strings.HasPrefix(line, "copying: ") && strings.Contains(line, " of 301 MiB") {
			cancel(enough)
		}
	}); !errors.Is(err, enough) {
		t.Fatalf("%v", err)
	}
	if there(t, l, path) {
		t.Error("it is there though it was cut off")
	}
	if err := nixops.Copy(t.Context(), l, path, nixops.Copying{}, func(string) {}); err != nil || !there(t, l, path) {
		t.Errorf("after it was cut off: %v", err)
	}
}

// TestBuildOnTheTarget evaluates here and builds there, and takes it from there.
func TestBuildOnTheTarget(t *testing.T) {
	lab := labtest.Load(t)
	flake, l := changed(t), lab.Link(t, "storage")
	derivation, err := flake.Derivation(t.Context(), "storage")
	if err != nil {
		t.Fatal(err)
	}
	var h told
	path, err := nixops.BuildOn(t.Context(), l, derivation, nixops.Copying{}, h.tell)
	if err != nil || !strings.Contains(h.text(), "built") {
		t.Fatalf("%v; told %q", err, h.text())
	}
	if got := strings.TrimSpace(labtest.Output(t, l, "cat", path+"/nixos-version")); got == "" {
		t.Errorf("%s is no system", path)
	}
}
