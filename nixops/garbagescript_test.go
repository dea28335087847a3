package nixops

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// fakeNixStore plays nix-store on a file of dead paths: a path with "broken" in its
// name is one of which only files are left. Collecting goes on until it is told to
// stop where there is a file "slow", and does not hear it the first time where there
// is a file "deaf".
const fakeNixStore = `#!/bin/sh
dir=${0%/*}/..
case $1$2 in
--gc--print-dead) [ ! -e "$dir/no-nix" ] || { echo "error: cannot connect to nix's daemon" >&2; exit 1; }; cat "$dir/dead" 2>/dev/null; exit 0 ;;
--check-validity*) for p; do case $p in *broken*) echo "$p" ;; esac; done ;;
-q--size) shift 2; for p; do case $p in *broken*) echo "error: not valid" >&2; exit 1 ;; esac; echo 700; done ;;
--gc)
	echo "deleting '/nix/store/a-one'" >&2
	trap 'if [ -e "$dir/deaf" ]; then rm "$dir/deaf"; else echo "1 store paths deleted, 0.50 MiB freed"; exit 1; fi' TERM
	while [ -e "$dir/slow" ]; do sleep 0.05; done
	echo "deleting '/nix/store/b-two'" >&2
	echo "2 store paths deleted, 1.00 MiB freed" ;;
esac
`

// newGarbage makes a host of files with generations 1 to 7: 2 runs and is the
// default, 3 was booted, 4 was confirmed last, 6 has a specialisation.
func newGarbage(t *testing.T, from string) *sandbox {
	t.Helper()
	s := newSandbox(t, from)
	for g := 3; g <= 7; g++ {
		s.must(os.MkdirAll(s.system(g), 0o755))
		s.must(os.Symlink(s.system(g), s.link(g)))
	}
	s.must(os.MkdirAll(s.system(66), 0o755))
	s.must(os.MkdirAll(s.system(6)+"/specialisation", 0o755))
	s.must(os.Symlink(s.system(66), s.system(6)+"/specialisation/night"))
	s.must(os.Symlink(s.system(3), s.root+"/run/booted-system"))
	s.must(os.MkdirAll(s.root+"/nix/var/nix/gcroots/sextant", 0o755))
	s.must(os.Symlink(s.system(4), s.root+"/nix/var/nix/gcroots/sextant/last-confirmed"))
	s.write("bin/nix-env", "#!/bin/sh\np=$2; shift 3; for n; do [ ! -e ${0%/*}/../stuck-$n ] || { echo 'error: stuck' >&2; exit 1; }; rm -f \"$p-$n-link\"; done\necho removing >&2\n")
	s.write("bin/nix-store", fakeNixStore)
	s.write("garbage", strings.Replace(garbageText, "root=''", "root="+s.root, 1))
	return s
}

func (s *sandbox) link(g int) string { return fmt.Sprintf("%s-%d-link", s.profile(), g) }

// program is a command of the garbage program.
func (s *sandbox) program(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.Context(), filepath.Join(s.bin, "sh"), append([]string{filepath.Join(s.dir, "garbage")}, args...)...)
	cmd.Env = []string{"PATH=" + s.bin}
	return cmd
}

// garbage runs one command of the garbage program.
func (s *sandbox) garbage(args ...string) (string, int) {
	s.Helper()
	cmd := s.program(args...)
	input, err := cmd.StdinPipe() // collecting goes on for as long as there may be input
	s.must(err)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	s.must(cmd.Start())
	_ = cmd.Wait()
	input.Close()
	return strings.TrimSpace(out.String()), cmd.ProcessState.ExitCode()
}

// generations are the numbers that there are.
func (s *sandbox) generations() (numbers []int) {
	s.Helper()
	for g := range 10 {
		if _, err := os.Lstat(s.link(g)); err == nil {
			numbers = append(numbers, g)
		}
	}
	return numbers
}

func (s *sandbox) menu() string {
	text, _ := os.ReadFile(filepath.Join(s.root, "boot/loader/loader.conf"))
	return strings.TrimSpace(string(text))
}

func TestGarbageLook(t *testing.T) {
	s := newGarbage(t, "gnu")
	for name, text := range map[string]string{
		"loader/entries/nixos-generation-2.conf":                      "title NixOS\nlinux /EFI/nixos/k1.efi\ninitrd /EFI/nixos/i2.efi\noptions linux /EFI/nixos/not.efi\n",
		"loader/entries/nixos-generation-6.conf":                      "linux /EFI/nixos/k1.efi\ninitrd /EFI/nixos/gone.efi\n",
		"loader/entries/nixos-generation-6-specialisation-night.conf": "linux /EFI/nixos/k1.efi\n",
		"loader/entries/nixos-generation-.conf":                       "linux /EFI/nixos/k1.efi\n",
		"loader/entries/nixos-0a1b2c+3.conf":                          "title NixOS\nversion Generation 5 NixOS Yarara 26.05, built on 2026-06-01\nlinux /EFI/nixos/k1.efi\ninitrd /EFI/nixos/lost.efi\n",
		"loader/entries/nixos-0a1b2d.conf":                            "title NixOS (night)\nversion Generation 7 NixOS 26.05\nlinux /EFI/nixos/k1.efi\n",
		"loader/entries/nixos-0a1b2e.conf":                            "title NixOS [other]\nversion Generation 1 NixOS 26.05\nlinux /EFI/nixos/k1.efi\n",
		"loader/entries/nixos-other-generation-1.conf":                "linux /EFI/nixos/k1.efi\n",
		"loader/entries/nixos-0a1b2f.conf":                            "title mine\nlinux /EFI/nixos/k1.efi\n",
		"loader/entries/windows.conf":                                 "efi /EFI/Microsoft/x.efi\n",
		"EFI/nixos/k1.efi":                                            strings.Repeat("k", 100),
		"EFI/nixos/i2.efi":                                            strings.Repeat("i", 250),
		"EFI/Linux/nixos-generation-3-abc.efi":                        strings.Repeat("u", 40),
		"grub/grub.cfg":                                               "menuentry \"NixOS\" {\n  linux ($drive1)//kernels/g-bzImage init=/x\n}\nsubmenu \"NixOS - All configurations\" {\nmenuentry \"NixOS - Configuration 4 (2026-01-02 - 25.05)\" --class nixos {\n  linux ($drive1)//kernels/g-bzImage init=/x\n  initrd ($drive1)//kernels/g-initrd\n}\nmenuentry \"NixOS - Configuration 1 (2025)\" {\n  linux ($drive1)/nix/store/x/bzImage\n}\n",
		"kernels/g-bzImage":                                           "gg",
		"kernels/g-initrd":                                            "ggg",
		"extlinux/extlinux.conf":                                      "DEFAULT nixos-default\nLABEL nixos-default\n  LINUX ../nixos/e-Image\nLABEL nixos-7-default\n  LINUX ../nixos/e-Image\n  INITRD ../nixos/e-initrd\n",
		"nixos/e-Image":                                               "eeee",
		"nixos/e-initrd":                                              "eeeee",
	} {
		s.write("root/boot/"+name, text)
	}
	s.write("dead", "/nix/store/a-one\n/nix/store/b-broken\n/nix/store/c-two\n")
	out, code := s.garbage("look")
	if code != 0 || lastLine([]byte(out)) != "looked" {
		t.Fatal(code, out)
	}
	g := parseGarbage([]byte(out))
	if g.Store.Total <= 0 || g.Boot == nil || g.Boot.Total <= 0 || len(g.Unseen) != 0 {
		t.Errorf("store %v, boot %v, unseen %q", g.Store, g.Boot, g.Unseen)
	}
	var kept []string
	for _, u := range g.Generations {
		kept = append(kept, fmt.Sprintf("%d%v", u.Number, u.Kept))
		if u.Path != s.system(u.Number) || u.Date.IsZero() {
			t.Errorf("%+v", u)
		}
	}
	if want := "1[] 2[default running] 3[booted] 4[last-confirmed] 5[] 6[] 7[]"; strings.Join(kept, " ") != want {
		t.Errorf("kept %v, want %s", kept, want)
	}
	var files []string
	for _, f := range g.BootFiles {
		files = append(files, fmt.Sprint(filepath.Base(f.Path), f.Bytes, f.Missing, f.Generations))
	}
	want := []string{"e-Image4 false [7]", "e-initrd5 false [7]", "g-bzImage2 false [4]", "g-initrd3 false [4]", "gone.efi0 true [6]", "i2.efi250 false [2]", "k1.efi100 false [2 5 6 7]", "lost.efi0 true [5]", "nixos-generation-3-abc.efi40 false [3]"}
	if slices.Sort(files); !slices.Equal(files, want) {
		t.Errorf("boot files\n%s\nwant\n%s", strings.Join(files, "\n"), strings.Join(want, "\n"))
	}
	if g.Dead == nil || *g.Dead != (Dead{Paths: 3, Bytes: 1400, Counted: 2}) {
		t.Errorf("dead %+v", g.Dead)
	}
}

// TestGarbageLooksAtLittle: a host without a boot menu, whose nix does not answer,
// tells the rest.
func TestGarbageLooksAtLittle(t *testing.T) {
	s := newGarbage(t, "gnu")
	s.write("no-nix", "")
	s.write("bin/id", "#!/bin/sh\necho 1000\n")
	s.must(os.Remove(s.root + "/boot"))
	out, code := s.garbage("look")
	g := parseGarbage([]byte(out))
	if code != 0 || g.Boot != nil || g.Dead != nil || len(g.Generations) != 7 {
		t.Errorf("%d: %+v", code, g)
	}
	if unseen := strings.Join(g.Unseen, "\n"); !strings.Contains(unseen, "what is dead") || !strings.Contains(unseen, "not root") {
		t.Errorf("unseen %q", unseen)
	}
	for _, args := range [][]string{{"delete", "1"}, {"collect"}} {
		if out, code := s.garbage(args...); code != codeRefused || out != "refused not root" {
			t.Errorf("%v: %d %s", args, code, out)
		}
	}
}

// TestNothingThatIsNeededIsDeleted: one that must stay, or is not there, and none goes.
func TestNothingThatIsNeededIsDeleted(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(*sandbox)
		args    []string
		want    string
		code    int
	}{
		{"the default, which runs", nil, []string{"1", "2"}, "generation 2 must stay: default running", codeRefused},
		{"the booted one", nil, []string{"1", "3"}, "generation 3 must stay: booted", codeRefused},
		{"the last confirmed", nil, []string{"4", "1"}, "generation 4 must stay: last-confirmed", codeRefused},
		{"only the default", func(s *sandbox) { s.relink(s.system(5), "root/run/current-system") }, []string{"1", "2"}, "generation 2 must stay: default", codeRefused},
		{"only running", func(s *sandbox) { s.relink(s.system(5), "root/run/current-system") }, []string{"1", "5"}, "generation 5 must stay: running", codeRefused},
		{"its specialisation runs", func(s *sandbox) { s.relink(s.system(66), "root/run/current-system") }, []string{"1", "6"}, "generation 6 must stay: running", codeRefused},
		{"not there", nil, []string{"1", "99"}, "there is no generation 99", codeRefused},
		{"no number", nil, []string{"1", "+2"}, "no number of a generation: +2", 2},
		{"a path", nil, []string{"1", "../../x"}, "no number of a generation: ../../x", 2},
		{"none named", nil, nil, "no generation is named", 2},
		{"a deploy under way", func(s *sandbox) { underWay(s, "d-1") }, []string{"1"}, "busy: deploy d-1 of ", codeBusy},
		{"no switch-to-configuration", func(s *sandbox) { s.must(os.RemoveAll(s.system(2) + "/bin")) }, []string{"1"}, "the default system is none of NixOS", codeRefused},
	} {
		for _, from := range userlands {
			t.Run(c.name+", "+from, func(t *testing.T) {
				t.Parallel()
				s := newGarbage(t, from)
				if c.prepare != nil {
					c.prepare(s)
				}
				out, code := s.garbage(append([]string{"delete"}, c.args...)...)
				if code != c.code || !strings.HasPrefix(out, "refused "+c.want) {
					t.Errorf("%d: %s", code, out)
				}
				if left := s.generations(); len(left) != 7 || s.menu() != "" {
					t.Errorf("it left %v, and the boot menu of %q", left, s.menu())
				}
			})
		}
	}
}

// relink has a link lead elsewhere.
func (s *sandbox) relink(target, name string) {
	s.Helper()
	path := filepath.Join(s.dir, name)
	s.must(os.Remove(path))
	s.must(os.Symlink(target, path))
}

// underWay is a deploy from 7 to 5 that waits.
func underWay(s *sandbox, id string) {
	s.write(s.file(id, "new"), s.system(5)+"\n")
	s.write(s.file(id, "prev"), s.system(7)+"\n")
	s.write(s.file(id, "boot-id"), "boot-one\n")
	s.write(s.file(id, "state"), "AWAITING it runs\n")
}

// TestDeployKeepsItsSystems: what is under way is told, with both its systems. They
// stay also where a restart of the host has broken it off; others may go then.
func TestDeployKeepsItsSystems(t *testing.T) {
	s := newGarbage(t, "gnu")
	underWay(s, "d-1")
	s.write("root/var/lib/sextant/deploys/d-0/new", s.system(1)+"\n")
	s.write("root/var/lib/sextant/deploys/d-0/state", "CONFIRMED by ada\n")
	out, _ := s.garbage("look")
	g := parseGarbage([]byte(out))
	for n, want := range map[int][]string{1: {}, 5: {"deploy"}, 7: {"deploy"}} {
		if use, _ := g.Generation(n); !slices.Equal(use.Kept, want) {
			t.Errorf("%d is kept for %q, want %q", n, use.Kept, want)
		}
	}
	if !slices.Equal(g.Deploys, []string{"d-1"}) {
		t.Errorf("under way: %q", g.Deploys)
	}
	s.write("root/proc/sys/kernel/random/boot_id", "boot-two\n")
	if out, code := s.garbage("delete", "5"); code != codeRefused || !strings.Contains(out, "must stay: deploy") {
		t.Errorf("%d: %s", code, out)
	}
	if out, code := s.garbage("delete", "1"); code != 0 {
		t.Errorf("%d: %s", code, out)
	}
}

func TestDeleteGenerations(t *testing.T) {
	for _, from := range userlands {
		s := newGarbage(t, from)
		out, code := s.garbage("delete", "1", "7")
		gone, err := parseDeletion([]byte(out), "box", []int{1, 7})
		if code != 0 || err != nil || !slices.Equal(gone, []int{1, 7}) || lastLine([]byte(out)) != "done" {
			t.Errorf("%d, %v, %v: %s", code, gone, err, out)
		}
		if left := s.generations(); !slices.Equal(left, []int{2, 3, 4, 5, 6}) || s.menu() != "2" {
			t.Errorf("it left %v, and the boot menu of %q", left, s.menu())
		}
	}
}

// TestDeletionThatFails: what is gone is told, and what is not, and why.
func TestDeletionThatFails(t *testing.T) {
	s := newGarbage(t, "gnu")
	s.write("how-boot-2", "1early")
	out, code := s.garbage("delete", "1")
	gone, err := parseDeletion([]byte(out), "box", []int{1})
	if code != 0 || !slices.Equal(gone, []int{1}) || err == nil || !strings.Contains(err.Error(), "switch-to-configuration boot ended with 1") {
		t.Errorf("the boot menu: %d, %v, %v: %s", code, gone, err, out)
	}
	s.must(os.Remove(filepath.Join(s.dir, "how-boot-2")))
	s.write("stuck-7", "")
	out, code = s.garbage("delete", "5", "7")
	gone, err = parseDeletion([]byte(out), "box", []int{5, 7})
	if code != 0 || !slices.Equal(gone, []int{5}) || err == nil || !strings.Contains(err.Error(), "ended with 1: error: stuck; it left generation 7") || s.menu() != "2" {
		t.Errorf("nix-env: %d, %v, %v, menu %q: %s", code, gone, err, s.menu(), out)
	}
}

// TestGarbageIsLockedOut: while somebody holds the guard's lock nothing is deleted.
func TestGarbageIsLockedOut(t *testing.T) {
	for _, from := range userlands {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			s := newGarbage(t, from)
			path := s.root + "/run/sextant.lock"
			if from == "gnu" || from == "bash" {
				f, err := os.Create(path)
				s.must(err)
				defer f.Close()
				s.must(syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
			} else {
				s.write("root/run/sextant.lock.d/1", "1 1\n") // who held it has died since
				s.write("root/run/sextant.lock.d/2", fmt.Sprintln(os.Getpid(), born(t, os.Getpid())))
			}
			for _, args := range [][]string{{"delete", "1"}, {"collect"}} {
				if out, code := s.garbage(args...); code != codeBusy || !strings.HasPrefix(out, "refused busy: ") {
					t.Errorf("%v: %d %s", args, code, out)
				}
			}
			if left := s.generations(); len(left) != 7 {
				t.Errorf("it left %v", left)
			}
		})
	}
}

// born is when a process was started, as the kernel counts.
func born(t *testing.T, pid int) string {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	return strings.Fields(fields)[19]
}

// TestCollectionIsStopped: it goes to its end, or until nobody is there any more, and
// then nix ends with it and the lock is free.
func TestCollectionIsStopped(t *testing.T) {
	for _, from := range userlands {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			s := newGarbage(t, from)
			out, code := s.garbage("collect")
			if code != 0 || !strings.HasSuffix(out, "2 store paths deleted, 1.00 MiB freed\nended 0") {
				t.Errorf("to its end: %d %s", code, out)
			}
			s.write("slow", "")
			s.write("deaf", "")
			cmd := s.program("collect")
			in, err := cmd.StdinPipe()
			s.must(err)
			words, err := cmd.StdoutPipe()
			s.must(err)
			s.must(cmd.Start())
			begun := make([]byte, 8)
			if _, err := io.ReadFull(words, begun); err != nil || string(begun) != "deleting" {
				t.Errorf("%q, %v", begun, err)
			}
			if out, code := s.stage("a-1"); code != codeBusy {
				t.Errorf("a deploy begins meanwhile: %d %s", code, out)
			}
			in.Close()
			rest, _ := io.ReadAll(words)
			if err := cmd.Wait(); err != nil || !strings.HasSuffix(string(rest), "1 store paths deleted, 0.50 MiB freed\nended 1\n") {
				t.Errorf("stopped: %v: %s", err, rest)
			}
			if out, code := s.garbage("delete", "1"); code != 0 {
				t.Errorf("the lock is not free: %d %s", code, out)
			}
		})
	}
}
