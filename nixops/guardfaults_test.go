package nixops

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// file is a file of a deploy.
func (s *sandbox) file(id, name string) string {
	return filepath.Join("root/var/lib/sextant/deploys", id, name)
}

// has tells whether something is there on the host of files.
func (s *sandbox) has(name string) bool {
	_, err := os.Lstat(filepath.Join(s.dir, name))
	return err == nil
}

func (s *sandbox) read(name string) string {
	text, _ := os.ReadFile(filepath.Join(s.dir, name))
	return string(text)
}

// link sets a link, whatever was there.
func (s *sandbox) point(name, to string) {
	s.Helper()
	path := filepath.Join(s.root, name)
	_ = os.Remove(path)
	s.must(os.MkdirAll(filepath.Dir(path), 0o755))
	s.must(os.Symlink(to, path))
}

func (s *sandbox) generation(g int) string { return fmt.Sprintf("system-%d-link", g) }

// roots are what is kept from the garbage collector for deploys.
func (s *sandbox) roots() string {
	list, _ := filepath.Glob(filepath.Join(s.root, "nix/var/nix/gcroots/sextant/*-*"))
	var names []string
	for _, path := range list {
		if name := filepath.Base(path); name != "last-confirmed" {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// guards are the processes of the guards that run. What was started has its number
// written down; by now that may be another process's.
func (s *sandbox) guards() []int {
	var running []int
	for line := range strings.Lines(s.read("pids")) {
		pid, _, _ := strings.Cut(line, " ")
		command, _ := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
		if n, err := strconv.Atoi(pid); err == nil && bytes.Contains(command, []byte(s.dir)) {
			running = append(running, n)
		}
	}
	return running
}

// kill ends the guards as the kernel does, and what else is named.
func (s *sandbox) kill(more ...int) {
	s.Helper()
	for _, pid := range append(s.guards(), more...) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	s.left()
}

// left waits until the guards are gone.
func (s *sandbox) left() {
	s.Helper()
	for began := time.Now(); len(s.guards()) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			s.Fatal("its guard does not end")
		}
	}
}

// again starts the guard of a deploy once more, as systemd does.
func (s *sandbox) again(id string) {
	s.Helper()
	cmd := exec.Command(filepath.Join(s.bin, "systemd-run"), "--unit=sextant-"+id, "-p", "StandardOutput=append:"+filepath.Join(s.dir, s.file(id, "log")), "-E", "SEXTANT_DEPLOY="+filepath.Join(s.root, "var/lib/sextant/deploys", id),
		"sh", filepath.Join(s.dir, s.file(id, "guard")), "run", id)
	cmd.Env = []string{"PATH=" + s.bin}
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Fatal(err, string(out))
	}
}

// onFull runs a command of the guard where nothing can be written into files any
// more, as on a full disk.
func (s *sandbox) onFull(args ...string) (string, int) {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), filepath.Join(s.bin, "sh"), append([]string{"-c", "trap '' XFSZ; ulimit -f 0; exec sh " + s.dir + `/guard "$@"`, "sh"}, args...)...)
	cmd.Env = []string{"PATH=" + s.bin}
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		s.Fatal(err)
	}
	return strings.TrimSpace(string(out)), cmd.ProcessState.ExitCode()
}

// begun stages a deploy that must begin.
func (s *sandbox) begun(id string, more ...string) {
	s.Helper()
	if out, code := s.stage(id, more...); code != 0 {
		s.Fatalf("stage %s: %d: %s", id, code, out)
	}
}

// powerCut is one: the system before runs when the host is back.
func (s *sandbox) powerCut() {
	s.Helper()
	s.kill()
	s.write("root/proc/sys/kernel/random/boot_id", "boot-two\n")
	s.point("run/current-system", s.system(2))
}

// everywhere runs a test with each of some userlands.
func everywhere(t *testing.T, name string, from []string, test func(s *sandbox)) {
	for _, u := range from {
		t.Run(name+", "+u, func(t *testing.T) {
			t.Parallel()
			test(newSandbox(t, u))
		})
	}
}

var (
	both    = []string{"gnu", "busybox"}
	onlyGNU = []string{"gnu"}
)

// TestGuardDies: whatever its guard was doing when it died, a deploy comes to its end,
// and the next one can begin.
func TestGuardDies(t *testing.T) {
	everywhere(t, "at the very end", both, func(s *sandbox) {
		s.begun("a-1", "window=1")
		s.comes("a-1", fleet.RolledBack)
		s.left()
		s.must(os.Remove(filepath.Join(s.dir, s.file("a-1", "result"))))
		s.point("nix/var/nix/gcroots/sextant/a-1-new", s.system(1))
		s.point("nix/var/nix/gcroots/sextant/a-1-prev", s.system(2))
		if out, _ := s.guard("look", s.system(1)); strings.Contains(out, "busy") {
			s.Errorf("it is busy: %s", out)
		}
		s.begun("b-2")
		if !s.has(s.file("a-1", "result")) || s.roots() != "b-2-new b-2-prev" {
			s.Errorf("what was left to do is not done: roots %s", s.roots())
		}
		s.comes("b-2", fleet.Awaiting)
		s.guard("cancel", "b-2", "n1", "ada")
		s.comes("b-2", fleet.Cancelled)
	})
	everywhere(t, "at the very end, and is started again", onlyGNU, func(s *sandbox) {
		s.begun("a-1", "window=1")
		s.comes("a-1", fleet.RolledBack)
		s.left()
		s.must(os.Remove(filepath.Join(s.dir, s.file("a-1", "result"))))
		s.point("nix/var/nix/gcroots/sextant/a-1-new", s.system(1))
		s.again("a-1")
		s.left()
		if !s.has(s.file("a-1", "result")) || s.roots() != "" {
			s.Errorf("what was left to do is not done: roots %s", s.roots())
		}
	})
	everywhere(t, "with the host while it waits", both, func(s *sandbox) {
		s.begun("a-1")
		s.comes("a-1", fleet.Awaiting)
		s.powerCut()
		if d := s.deploy("a-1"); d.State != fleet.RolledBack || !d.Unsettled {
			s.Errorf("it is told as %+v", d)
		}
		if out, _ := s.guard("look", s.system(1)); strings.Contains(out, "busy") {
			s.Errorf("it is busy: %s", out)
		}
		s.begun("b-2")
		if d := s.deploy("a-1"); d.State != fleet.RolledBack || d.Unsettled {
			s.Errorf("it was not put right: %+v", d)
		}
		s.comes("b-2", fleet.Awaiting)
		s.guard("confirm", "b-2", "n1", "ada")
		s.comes("b-2", fleet.Confirmed)
		s.runs(1)
	})
	everywhere(t, "with the host in the middle of a commit", onlyGNU, func(s *sandbox) {
		s.begun("a-1")
		s.comes("a-1", fleet.Awaiting)
		s.powerCut()
		s.write(s.file("a-1", "state"), "COMMITTING x\n")
		s.write(s.file("a-1", "set"), "system-1-link\n")
		s.write(s.file("a-1", "menu"), "1\n")
		s.point("nix/var/nix/profiles/system", s.generation(1))
		s.write("how-boot-2", "1early") // the menu cannot be put back
		s.guard("cancel", "a-1", "n1", "ada")
		s.comes("a-1", fleet.RollbackFailed)
	})
	everywhere(t, "for good while it waits", both, func(s *sandbox) {
		s.begun("a-1")
		s.comes("a-1", fleet.Awaiting)
		s.kill()
		s.begun("b-2", "new="+s.system(2), "number=2")
		s.comes("a-1", fleet.Cancelled)
		s.comes("b-2", fleet.Awaiting)
		s.guard("cancel", "b-2", "n1", "ada")
		s.comes("b-2", fleet.Cancelled)
	})
	everywhere(t, "before it did anything", onlyGNU, func(s *sandbox) {
		s.begun("a-1")
		s.comes("a-1", fleet.Awaiting)
		s.kill()
		s.point("run/current-system", s.system(2))
		s.write(s.file("a-1", "state"), "STAGED \n")
		s.write("switched", "")
		s.begun("b-2", "window=1")
		if d := s.deploy("a-1"); d.State != fleet.Cancelled {
			s.Errorf("it is %s", d.State)
		}
		s.comes("b-2", fleet.RolledBack)
		if n := strings.Count(s.read("switched"), "test 1\n"); n != 1 {
			s.Errorf("the new system was activated %d times: for a deploy that nobody waits for", n)
		}
	})
	everywhere(t, "while the request was written", onlyGNU, func(s *sandbox) {
		s.write(s.file("a-1", "new"), s.system(1)+"\n")
		s.point("nix/var/nix/gcroots/sextant/a-1-new", s.system(1))
		s.begun("b-2")
		if s.has(s.file("a-1", "new")) || s.roots() != "b-2-new b-2-prev" {
			s.Errorf("it is still there: %s", s.roots())
		}
		s.comes("b-2", fleet.Awaiting)
		s.guard("cancel", "b-2", "n1", "ada")
		s.comes("b-2", fleet.Cancelled)
	})
}

// TestGuardGoesBackPastAHang: a switch-to-configuration that hangs, and is left behind
// by its guard and by what was to end it, keeps nothing from going back.
func TestGuardGoesBackPastAHang(t *testing.T) {
	everywhere(t, "hangs", userlands, func(s *sandbox) {
		s.write("how-test-1", "hang")
		s.begun("a-1")
		s.comes("a-1", fleet.Activating)
		s.kill(s.timeout())
		s.write(s.file("a-1", "until"), "1\n") // its time is over
		s.again("a-1")
		s.comes("a-1", fleet.RolledBack)
		s.runs(2)
	})
}

// timeout is the program that would end the activation in its time.
func (s *sandbox) timeout() int {
	s.Helper()
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(10 * time.Millisecond) {
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, line := range lines {
			command, _ := os.ReadFile(line)
			if bytes.HasPrefix(command, []byte("timeout\x00")) && bytes.Contains(command, []byte(s.root)) {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(line)))
				return pid
			}
		}
	}
	s.Fatal("nothing ends an activation in its time")
	return 0
}

// TestNothingKeepsTheLock: what an activation leaves running does not.
func TestNothingKeepsTheLock(t *testing.T) {
	everywhere(t, "a daemon", userlands, func(s *sandbox) {
		s.write("how-test-1", "daemon")
		s.begun("a-1")
		s.comes("a-1", fleet.Awaiting)
		s.guard("confirm", "a-1", "n1", "ada")
		s.comes("a-1", fleet.Confirmed)
		s.begun("b-2", "new="+s.system(2), "number=2")
		s.comes("b-2", fleet.Awaiting)
		s.guard("cancel", "b-2", "n1", "ada")
		s.comes("b-2", fleet.Cancelled)
	})
}

// TestOneHoldsTheLock: many want it at once, one has it at a time, and one that dies
// with it does not keep it.
func TestOneHoldsTheLock(t *testing.T) {
	everywhere(t, "many", userlands, func(s *sandbox) {
		s.write("lock", strings.Replace(program("host.sh"), "root=''", "root="+s.root, 1)+`
take 60 test || { echo none; exit; }
[ "$1" != dies ] || kill -KILL $$
mkdir "$root/inside" || echo two at once
sleep 0.02
rmdir "$root/inside"
release
echo had
`)
		lock := func(args ...string) *exec.Cmd {
			cmd := exec.CommandContext(s.Context(), filepath.Join(s.bin, "sh"), append([]string{filepath.Join(s.dir, "lock")}, args...)...)
			cmd.Env = []string{"PATH=" + s.bin}
			return cmd
		}
		_ = lock("dies").Run()
		var out [6]strings.Builder
		var all []*exec.Cmd
		for i := range out {
			cmd := lock()
			cmd.Stdout, cmd.Stderr = &out[i], &out[i]
			s.must(cmd.Start())
			all = append(all, cmd)
			if i == 2 {
				_ = lock("dies").Run()
			}
		}
		for i, cmd := range all {
			_ = cmd.Wait()
			if out[i].String() != "had\n" {
				s.Errorf("%q", out[i].String())
			}
		}
	})
	everywhere(t, "a lock that cannot be written", userlands, func(s *sandbox) {
		s.must(os.MkdirAll(s.root+"/run/sextant.lock/x", 0o755))
		if s.has("bin/flock") {
			if out, code := s.stage("a-1"); code != codeBusy || !strings.Contains(out, "refused busy: ") {
				s.Errorf("%d: %s", code, out)
			}
		}
	})
}

// TestFullDisk: what cannot be written down is not said to be done.
func TestFullDisk(t *testing.T) {
	everywhere(t, "an answer", both, func(s *sandbox) {
		s.begun("a-1")
		s.comes("a-1", fleet.Awaiting)
		for _, args := range [][]string{{"confirm", "a-1", "n1", "ada"}, {"cancel", "a-1", "n1", "ada"}, {"extend", "a-1", "100"}} {
			if out, code := s.onFull(args...); code != codeRefused || !strings.Contains(out, "cannot be written") {
				s.Errorf("%v: %d: %s", args, code, out)
			}
		}
		if out, code := s.guard("confirm", "a-1", "n1", "ada"); code != 0 || out != "taken" {
			s.Errorf("once there is room: %d: %s", code, out)
		}
		s.comes("a-1", fleet.Confirmed)
	})
	for log, full := range map[string]bool{"the log": true, "no log": false} {
		everywhere(t, log, onlyGNU, func(s *sandbox) {
			s.write("how-test-1", "late")
			if full {
				s.write("full-log", "")
			}
			s.begun("a-1")
			s.comes("a-1", fleet.RolledBack)
			s.runs(2)
		})
	}
}

// TestBootMenu: what could not be put back is told, and what is as it was is no failure.
func TestBootMenu(t *testing.T) {
	for _, c := range []struct {
		name, action, menu string
		how                map[string]string
		end                fleet.DeployState
		why                string
	}{
		{"boot alone, and it cannot be put back", "boot", "", map[string]string{"1": "1early", "2": "1early"}, fleet.RollbackFailed, "boot menu could not be written"},
		{"it is as it was", "switch", "2\n", map[string]string{"1": "1early", "2": "1early"}, fleet.RolledBack, "the boot menu is as it was"},
		{"an older entry is gone", "switch", "default 2.conf\n", map[string]string{"1": "older", "2": "1early"}, fleet.RolledBack, "starts what it did"},
		{"its own entry is gone", "switch", "default 2.conf\n", map[string]string{"1": "newest", "2": "1early"}, fleet.RollbackFailed, "boot menu could not be written"},
		{"a kernel is gone", "switch", "default 2.conf\n", map[string]string{"1": "kernel", "2": "1early"}, fleet.RollbackFailed, "boot menu could not be written"},
		{"a device tree is gone", "switch", "default 2.conf\n", map[string]string{"1": "tree", "2": "1early"}, fleet.RollbackFailed, "boot menu could not be written"},
		{"an older entry is gone, and GRUB is there too", "switch", "default 2.conf\n", map[string]string{"1": "older", "2": "1early", "boot/grub/grub.cfg": ""}, fleet.RollbackFailed, "boot menu could not be written"},
		{"an older entry is gone, and the firmware has its own default", "switch", "default 2.conf\n", map[string]string{"1": "older", "2": "1early", "sys/firmware/efi/efivars/LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f": ""}, fleet.RollbackFailed, "boot menu could not be written"},
		{"it is torn", "switch", "2\n", map[string]string{"1": "torn", "2": "1early"}, fleet.RollbackFailed, "boot menu could not be written"},
		{"it is torn, and put back", "switch", "2\n", map[string]string{"1": "torn"}, fleet.RolledBack, "the boot loader could not be written"},
		{"boot alone, and well", "boot", "2\n", nil, fleet.Confirmed, ""},
	} {
		everywhere(t, c.name, both, func(s *sandbox) {
			if c.menu != "" {
				s.write("root/boot/loader/loader.conf", c.menu)
				s.write("root/boot/loader/entries/1.conf", "linux /EFI/nixos/1.efi\n")
				s.write("root/boot/loader/entries/2.conf", "linux /EFI/nixos/2.efi\ndevicetree /EFI/nixos/2.dtb\n")
				s.write("root/boot/EFI/nixos/2.efi", "kernel")
				s.write("root/boot/EFI/nixos/2.dtb", "tree")
			}
			for g, how := range c.how {
				if how == "" { // a file of the host
					s.write("root/"+g, how)
					continue
				}
				s.write("how-boot-"+g, how)
			}
			s.begun("a-1", "action="+c.action)
			if c.action == "switch" {
				s.comes("a-1", fleet.Awaiting)
				s.guard("confirm", "a-1", "n1", "ada")
			}
			if d := s.comes("a-1", c.end); !strings.Contains(d.Why, c.why) {
				s.Errorf("it says %q", d.Why)
			}
			if c.end == fleet.RolledBack {
				s.runs(2)
				if menu := s.read("root/boot/loader/loader.conf"); menu != c.menu {
					s.Errorf("the menu is %q", menu)
				}
			}
		})
	}
}

// TestProfile: only what the guard has set itself is put back.
func TestProfile(t *testing.T) {
	everywhere(t, "somebody else set it to the same system", onlyGNU, func(s *sandbox) {
		s.begun("a-1")
		s.comes("a-1", fleet.Awaiting)
		s.point("nix/var/nix/profiles/system-9-link", s.system(1))
		s.point("nix/var/nix/profiles/system", s.generation(9))
		s.guard("cancel", "a-1", "n1", "ada")
		s.comes("a-1", fleet.Conflict)
		if at, _ := os.Readlink(s.profile()); at != "system-9-link" {
			s.Errorf("the profile was set to %s", at)
		}
	})
	everywhere(t, "a new generation that cannot be made the default", both, func(s *sandbox) {
		s.write("how-boot-1", "1early")
		s.begun("a-1", "number=")
		s.comes("a-1", fleet.Awaiting)
		s.guard("confirm", "a-1", "n1", "ada")
		s.comes("a-1", fleet.RolledBack)
		s.runs(2)
		if at, _ := os.Readlink(s.profile()); at != "system-2-link" {
			s.Errorf("the profile is %s", at)
		}
	})
	everywhere(t, "a new generation", onlyGNU, func(s *sandbox) {
		s.begun("a-1", "number=")
		s.comes("a-1", fleet.Awaiting)
		s.guard("confirm", "a-1", "n1", "ada")
		s.comes("a-1", fleet.Confirmed)
		s.runs(1)
		if at, _ := os.Readlink(s.profile()); at != "system-3-link" {
			s.Errorf("the profile is %s", at)
		}
	})
	everywhere(t, "nix-env hangs", both, func(s *sandbox) {
		s.write("nix-hangs", "")
		s.begun("a-1", "commit=1")
		s.comes("a-1", fleet.Awaiting)
		s.guard("confirm", "a-1", "n1", "ada")
		s.comes("a-1", fleet.RolledBack)
		s.runs(2)
	})
}

// TestAnswers: what the host says of an answer is what comes of it.
func TestAnswers(t *testing.T) {
	everywhere(t, "cancelled before it began", both, func(s *sandbox) {
		s.write("slow-start", "")
		s.begun("a-1")
		if out, code := s.guard("cancel", "a-1", "n1", "ada"); code != 0 || out != "taken" {
			s.Fatalf("%d: %s", code, out)
		}
		s.comes("a-1", fleet.Cancelled)
		if at := s.read("switched"); at != "" {
			s.Errorf("it was activated all the same: %s", at)
		}
		s.runs(2)
	})
	everywhere(t, "a guard that is about to be started again", onlyGNU, func(s *sandbox) {
		s.begun("a-1")
		s.comes("a-1", fleet.Awaiting)
		s.kill()
		s.write("restarting", "")
		s.write("no-systemd-run", "")
		if out, code := s.guard("confirm", "a-1", "n1", "ada"); code != 0 || out != "taken" {
			s.Errorf("%d: %s", code, out)
		}
		s.must(os.Remove(filepath.Join(s.dir, "restarting")))
		if out, code := s.guard("confirm", "a-1", "n1", "ada"); code != codeRefused || !strings.Contains(out, "could not be started") {
			s.Errorf("no guard: %d: %s", code, out)
		}
	})
	everywhere(t, "too late", onlyGNU, func(s *sandbox) {
		s.begun("a-1")
		s.comes("a-1", fleet.Awaiting)
		s.kill()
		s.write(s.file("a-1", "ack"), "late - nobody confirmed in time\n")
		if out, code := s.guard("confirm", "a-1", "n1", "ada"); code != 0 || out != "late nobody confirmed in time" {
			s.Errorf("%d: %s", code, out)
		}
		s.comes("a-1", fleet.RolledBack)
	})
	everywhere(t, "more time", both, func(s *sandbox) {
		s.begun("a-1", "window=60")
		before := s.comes("a-1", fleet.Awaiting).Deadline
		if out, code := s.guard("extend", "a-1", "600"); code != 0 || out != "extended" {
			s.Fatalf("%d: %s", code, out)
		}
		if after := s.deploy("a-1").Deadline; after.Sub(before) < 8*time.Minute {
			s.Errorf("from %s to %s", before, after)
		}
		for _, none := range []string{"", "x", "-5", "99999999999999999999"} {
			if out, code := s.guard("extend", "a-1", none); code != 2 {
				s.Errorf("%q: %d %s", none, code, out)
			}
		}
		if out, code := s.guard("extend", "a-1", "1"); code != 0 {
			s.Errorf("%d %s", code, out)
		}
		s.comes("a-1", fleet.RolledBack)
		if out, code := s.guard("extend", "a-1", "600"); code != codeRefused {
			s.Errorf("when it is over: %d %s", code, out)
		}
	})
	everywhere(t, "more time of nobody", onlyGNU, func(s *sandbox) {
		s.begun("a-1", "window=60")
		s.comes("a-1", fleet.Awaiting)
		s.kill()
		if out, code := s.guard("extend", "a-1", "600"); code != codeRefused {
			s.Errorf("%d %s", code, out)
		}
		s.guard("cancel", "a-1", "n1", "ada")
		s.comes("a-1", fleet.Cancelled)
	})
}

// TestRoots: nothing is kept from the garbage collector for longer than it must be.
func TestRoots(t *testing.T) {
	everywhere(t, "no guard could be started", onlyGNU, func(s *sandbox) {
		s.write("no-systemd-run", "")
		if out, code := s.stage("a-1"); code != codeRefused || s.roots() != "" {
			s.Errorf("%d: %s; roots %s", code, out, s.roots())
		}
		if d := s.deploy("a-1"); d.State != fleet.Refused {
			s.Errorf("it is %s", d.State)
		}
	})
	everywhere(t, "going back failed", onlyGNU, func(s *sandbox) {
		s.write("how-test-1", "2")
		s.write("how-test-2", "2")
		s.begun("a-1")
		s.comes("a-1", fleet.RollbackFailed)
		s.left()
		if s.roots() != "a-1-prev" {
			s.Errorf("roots %s", s.roots())
		}
		s.must(os.Remove(filepath.Join(s.dir, "how-test-1")))
		s.begun("b-2", "new="+s.system(1))
		s.comes("b-2", fleet.Awaiting)
		s.guard("confirm", "b-2", "n1", "ada")
		s.comes("b-2", fleet.Confirmed)
		s.left()
		if s.roots() != "" {
			s.Errorf("after another was confirmed: roots %s", s.roots())
		}
	})
	everywhere(t, "of deploys that are long over", onlyGNU, func(s *sandbox) {
		for i := range 60 {
			id := fmt.Sprintf("a-%02d", i)
			s.write(s.file(id, "state"), "ROLLBACK_FAILED x\n")
			s.write(s.file(id, "result"), "ROLLBACK_FAILED x\n")
			s.point("nix/var/nix/gcroots/sextant/"+id+"-prev", s.system(1))
		}
		s.begun("b-2", "window=1")
		list, _ := os.ReadDir(filepath.Join(s.root, "var/lib/sextant/deploys"))
		if len(list) != 50 || s.has(s.file("a-10", "state")) || !s.has(s.file("a-11", "state")) || strings.Contains(s.roots(), "a-10-prev") || !strings.Contains(s.roots(), "a-11-prev") {
			s.Errorf("%d deploys are kept; roots %s", len(list), s.roots())
		}
		s.comes("b-2", fleet.RolledBack)
	})
}

// TestContact: the host goes back until it can be reached as before, as far as it can
// tell itself; it is restarted only where that is allowed.
func TestContact(t *testing.T) {
	for _, c := range []struct {
		name   string
		mends  bool
		reboot string
		end    fleet.DeployState
		why    string
	}{
		{"a way in is restarted", true, "0", fleet.RolledBack, "nobody confirmed in time"},
		{"a way in that does not come back", false, "0", fleet.RolledBack, "not as before: unit sshd.service"},
		{"a way in that does not come back, and a restart is allowed", false, "1", fleet.RollingBack, "by a restart of the host: it is not reached as before: unit sshd.service"},
	} {
		everywhere(t, c.name, both, func(s *sandbox) {
			s.write("ways", "sshd.service loaded active running\n")
			if c.mends {
				s.write("mended", "sshd.service loaded active running\n")
			}
			s.begun("a-1", "reboot="+c.reboot)
			s.comes("a-1", fleet.Awaiting)
			s.write("ways", "")
			s.guard("extend", "a-1", "1")
			var d fleet.Deploy
			for began := time.Now(); time.Since(began) < time.Minute && (d.State != c.end || !strings.Contains(d.Why, c.why)); time.Sleep(50 * time.Millisecond) {
				d = s.deploy("a-1")
			}
			s.left()
			log := s.read("systemctl")
			if !strings.Contains(d.Why, c.why) || d.State != c.end || !strings.Contains(log, "restart sshd.service") || strings.Contains(log, "\nreboot") != (c.reboot == "1") {
				s.Errorf("%s %q; systemctl was asked\n%s", d.State, d.Why, log)
			}
			s.runs(2)
		})
	}
	everywhere(t, "what is told of it", userlands, func(s *sandbox) {
		s.write("ways", "sshd.service loaded active running\n")
		s.write("root/proc/net/tcp", "  sl  local_address rem_address   st\n   0: 00000000:0016 00000000:0000 0A 0\n   1: 0100007F:0050 00000000:0000 0A 0\n")
		s.write("root/proc/net/route", "Iface\tDestination\tGateway\neth0\t0002A8C0\t00000000\neth0\t00000000\t0102A8C0\n")
		s.write("root/proc/net/if_inet6", "fe80 02 40 20 80     eth0\nfd7a115ca1e000000000000000000001 05 80 00 80 tailscale0\n")
		s.begun("a-1", "window=1")
		if got, want := s.read(s.file("a-1", "baseline-contact")), "default route\nlistening for ssh\ntailnet address\nunit sshd.service\n"; got != want {
			s.Errorf("%q, want %q", got, want)
		}
		s.comes("a-1", fleet.RolledBack)
	})
}

// TestLookTellsOfTheWaysIn: also where only what is added to a unit, or what it reads
// in /etc, is another.
func TestLookTellsOfTheWaysIn(t *testing.T) {
	for name, c := range map[string]struct{ file, way string }{
		"unit":      {"systemd/system/sshd.service", "sshd.service"},
		"added":     {"systemd/system/systemd-networkd.service.d/overrides.conf", "systemd-networkd.service"},
		"addresses": {"systemd/system/network-addresses-eth0.service", "network-addresses-eth0.service"},
		"ssh":       {"ssh/sshd_config", "/etc/ssh"},
		"network":   {"systemd/network/10-lan.network", "/etc/systemd/network"},
		"another":   {"systemd/system/web.service", ""},
	} {
		everywhere(t, name, userlands, func(s *sandbox) {
			ways := func() string {
				out, code := s.guard("look", s.system(1))
				if code != 0 || lastLine([]byte(out)) != "looked" {
					s.Fatalf("%d: %s", code, out)
				}
				return strings.Join(parseLook([]byte(out)).Ways, " ")
			}
			s.write("root/nix/store/t1/etc/"+c.file, "a\n")
			s.write("root/nix/store/t2/etc/"+c.file, "a\n")
			if got := ways(); got != "" {
				s.Errorf("nothing differs, and it says %q", got)
			}
			s.write("root/nix/store/t1/etc/"+c.file, "b\n")
			if got := ways(); got != c.way {
				s.Errorf("it says %q, want %q", got, c.way)
			}
			s.must(os.Remove(filepath.Join(s.root, "nix/store/t1/etc", c.file)))
			if got := ways(); got != c.way {
				s.Errorf("where it is gone it says %q, want %q", got, c.way)
			}
		})
	}
}

// TestBusyNamesWho: who is in the way is named, also where it is no deploy of ours.
func TestBusyNamesWho(t *testing.T) {
	everywhere(t, "a deploy", both, func(s *sandbox) {
		s.begun("a-1")
		s.comes("a-1", fleet.Awaiting)
		if out, code := s.stage("b-2"); code != codeBusy || !strings.Contains(out, "deploy a-1 of ada, from here, is under way (AWAITING)") {
			s.Errorf("%d: %s", code, out)
		}
		if out, _ := s.guard("look", s.system(1)); !strings.Contains(out, "busy deploy a-1 of ada, from here") {
			s.Errorf("look: %s", out)
		}
		s.guard("cancel", "a-1", "n1", "ada")
		s.comes("a-1", fleet.Cancelled)
	})
	everywhere(t, "the lock of NixOS", both, func(s *sandbox) {
		s.write("root/run/nixos/switch-to-configuration.lock", "")
		f, err := os.Open(filepath.Join(s.root, "run/nixos/switch-to-configuration.lock"))
		s.must(err)
		defer f.Close()
		s.must(syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
		us := fmt.Sprintf("process %d", os.Getpid())
		if out, _ := s.guard("look", s.system(1)); !strings.Contains(out, "locked "+us) {
			s.Errorf("look: %s", out)
		}
		s.write("how-test-1", "11early")
		s.begun("a-1")
		if d := s.comes("a-1", fleet.Refused); !strings.HasPrefix(d.Why, "busy: ") || !strings.Contains(d.Why, us) {
			s.Errorf("it says %q", d.Why)
		}
	})
}

// TestCheckTellsOfUnits: what has failed since it began is told, but not what had failed before
// and not the units in which Podman looks after a container.
func TestCheckTellsOfUnits(t *testing.T) {
	everywhere(t, "failed units", both, func(s *sandbox) {
		old := "old.service loaded failed failed it\n"
		s.write("failed", old)
		s.begun("a-1")
		s.comes("a-1", fleet.Awaiting)
		s.write("failed", old+"web.service loaded failed failed it\n"+strings.Repeat("0a", 32)+"-40969c72a670a5a1.service loaded failed failed it\n")
		if out, code := s.guard("check", "a-1"); code != 0 || out != "failed web.service\nchecked" {
			s.Errorf("%d: %s", code, out)
		}
		s.guard("cancel", "a-1", "n1", "ada")
		s.comes("a-1", fleet.Cancelled)
	})
}
