package nixops

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// sandbox is a host of files: a store with two systems, a profile, and programs
// that do what systemd and nix do to them.
type sandbox struct {
	*testing.T
	dir, root string
	bin       string
}

// tools are the programs that a host has and the guard may use.
var tools = strings.Fields("sh cat date readlink mkdir mv rm ln sync sleep timeout tail head wc cut sort sed grep tr find dd cmp df uname dirname setsid env true false kill stat cp xargs uniq diff sha256sum touch rmdir")

// userlands are what the guard finds on hosts: GNU's programs with and without
// flock, and with bash for sh as NixOS has it; busybox for everything.
var userlands = []string{"gnu", "no flock", "bash", "busybox"}

// userland gives where each tool is.
func userland(t *testing.T, name string) map[string]string {
	t.Helper()
	look := func(program string) string {
		path, err := exec.LookPath(program)
		if err != nil && os.Getenv("SEXTANT_LAB_REQUIRED") == "1" {
			t.Fatal(err)
		} else if err != nil {
			t.Skip(err)
		}
		return path
	}
	paths := map[string]string{}
	for _, tool := range append(tools, "flock") {
		if name == "busybox" {
			paths[tool] = look("busybox")
		} else if path, err := exec.LookPath(tool); err == nil {
			paths[tool] = path
		}
	}
	switch name {
	case "no flock", "busybox": // of Debian, which leaves it out
		delete(paths, "flock")
	case "bash":
		paths["sh"] = look("bash")
	}
	return paths
}

func newSandbox(t *testing.T, from string) *sandbox {
	t.Helper()
	dir := t.TempDir()
	s := &sandbox{T: t, dir: dir, root: filepath.Join(dir, "root"), bin: filepath.Join(dir, "bin")}
	for _, d := range []string{"run/systemd/system", "nix/var/nix/profiles", "proc/sys/kernel/random", "var/lib", "boot"} {
		s.must(os.MkdirAll(filepath.Join(s.root, d), 0o755))
	}
	s.must(os.MkdirAll(s.bin, 0o755))
	for name, path := range userland(t, from) {
		s.must(os.Symlink(path, filepath.Join(s.bin, name)))
	}
	s.must(os.Symlink("/proc/uptime", filepath.Join(s.root, "proc/uptime")))
	s.must(os.Symlink("/proc/locks", filepath.Join(s.root, "proc/locks")))
	s.write("root/proc/sys/kernel/random/boot_id", "boot-one\n")
	s.write("root/proc/sys/kernel/hostname", "box\n")
	for g := 1; g <= 2; g++ {
		s.write(fmt.Sprintf("root/nix/store/t%d/bin/switch-to-configuration", g), fmt.Sprintf(`#!/bin/sh
how=$(cat %[1]s/how-$1-%[3]d 2>/dev/null)
echo "$1 %[3]d" >>%[1]s/switched
case $how in
*early) echo "Pre-switch checks failed" >&2; exit ${how%%%%early} ;;
hang) while [ -e %[1]s/guard ] && [ ! -e %[1]s/let-go ]; do sleep 0.1; done ;;
late) echo "stopping the following units: web.service" >&2; exit 1 ;;
older) rm -f %[2]s/boot/loader/entries/1.conf; exit 1 ;;
tree) rm -f %[2]s/boot/EFI/nixos/2.dtb; exit 1 ;;
kernel) rm -f %[2]s/boot/EFI/nixos/2.efi; exit 1 ;;
newest) rm -f %[2]s/boot/loader/entries/2.conf; exit 1 ;;
torn) echo half >%[2]s/boot/loader/loader.conf; exit 1 ;;
daemon) (while [ -e %[1]s/guard ] && [ ! -e %[1]s/let-go ]; do sleep 0.1; done) & how=0 ;;
esac
echo "activating the configuration..." >&2
[ $1 = test ] && ln -sfn %[2]s/nix/store/t%[3]d %[2]s/run/current-system
[ $1 = boot ] && [ "${how:-0}" = 0 ] && mkdir -p %[2]s/boot/loader && echo %[3]d >%[2]s/boot/loader/loader.conf
exit ${how:-0}
`, dir, s.root, g))
		s.must(os.Symlink(s.system(g), filepath.Join(s.root, fmt.Sprintf("nix/var/nix/profiles/system-%d-link", g))))
	}
	s.must(os.Symlink("system-2-link", s.profile()))
	s.must(os.Symlink(s.system(2), filepath.Join(s.root, "run/current-system")))
	s.write("bin/systemctl", `#!/bin/sh
dir=${0%/*}/..
echo "$*" >>$dir/systemctl
case $* in
*is-active*) # a guard that was killed is about to be started again, where somebody says so
	for id; do :; done
	while read -r p of; do [ "$of" = "$id" ] && grep -qs . "/proc/$p/cmdline" && echo active && exit 0; done 2>/dev/null <$dir/pids
	[ ! -e "$dir/restarting" ] || { echo activating; exit 3; }
	echo inactive; exit 3 ;;
*is-system-running*) echo running ;;
*list-units*--failed*) cat $dir/failed 2>/dev/null ;;
*list-units*--state=active*) cat $dir/ways 2>/dev/null ;;
restart*) [ ! -e $dir/mended ] || cp $dir/mended $dir/ways ;;
*reboot*) exit 0 ;;
esac
`)
	s.write("bin/id", "#!/bin/sh\necho 0\n") // the sandbox is whoever runs it
	s.write("bin/nix-env", `#!/bin/sh
[ ! -e ${0%/*}/../nix-hangs ] || exec sleep 60
case $3 in
--switch-generation) n=$4 ;;
--set) n=3; [ "$(readlink "$2-2-link")" = "$4" ] && n=2; [ $n = 2 ] || ln -s "$4" "$2-3-link" ;;
esac
ln -sfn system-$n-link "$2"
`)
	s.write("bin/systemd-run", `#!/bin/sh
[ ! -e ${0%/*}/../no-systemd-run ] || exit 1
while :; do case $1 in
--unit=*) unit=${1#*=}; shift ;;
-p) case $2 in StandardOutput=append:*) log=${2#*append:} ;; esac; shift 2 ;;
-E) case $2 in SEXTANT_*) export "$2" ;; esac; shift 2 ;;
--*) shift ;;
*) break ;;
esac; done
[ ! -e ${0%/*}/../full-log ] || log=/dev/full
[ ! -e ${0%/*}/../slow-start ] || set -- sh -c 'sleep 2; exec "$@"' sh "$@"
setsid "$@" >>"$log" 2>&1 </dev/null &
echo $! $unit >>${0%/*}/../pids
`)
	t.Cleanup(s.end)
	s.write("guard", strings.Replace(strings.Replace(guardText, "root=''", "root="+s.root, 1), "soon=10 later=20", "soon=1 later=1", 1))
	return s
}

// end ends what the test has started.
func (s *sandbox) end() {
	s.write("let-go", "")
	if s.Failed() {
		s.kill()
	}
	s.left()
}

func (s *sandbox) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *sandbox) write(name, text string) {
	s.Helper()
	path := filepath.Join(s.dir, name)
	s.must(os.MkdirAll(filepath.Dir(path), 0o755))
	// never through a link: in bin they lead to this machine's own programs
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.Fatal(err)
	}
	s.must(os.WriteFile(path, []byte(text), 0o755))
}

func (s *sandbox) system(g int) string { return filepath.Join(s.root, fmt.Sprintf("nix/store/t%d", g)) }
func (s *sandbox) profile() string     { return filepath.Join(s.root, "nix/var/nix/profiles/system") }

// guard runs one command of the guard.
func (s *sandbox) guard(args ...string) (string, int) {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), filepath.Join(s.bin, "sh"), append([]string{filepath.Join(s.dir, "guard")}, args...)...)
	cmd.Env = []string{"PATH=" + s.bin}
	if args[0] == "stage" {
		text, err := os.ReadFile(filepath.Join(s.dir, "guard"))
		s.must(err)
		cmd.Stdin = strings.NewReader(string(text))
	}
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		s.Fatal(err)
	}
	return strings.TrimSpace(string(out)), cmd.ProcessState.ExitCode()
}

// stage begins going back to generation 1.
func (s *sandbox) stage(id string, more ...string) (string, int) {
	s.Helper()
	args := append([]string{"stage", id}, more...) // the first of a name counts
	return s.guard(append(args, "kind=rollback", "action=switch", "new="+s.system(1), "number=1", "nonce=n1", "who=ada", "client=here")...)
}

// deploy is what the host tells of the newest deploy.
func (s *sandbox) deploy(id string) fleet.Deploy {
	s.Helper()
	out, code := s.guard("list", id, "0")
	l, err := parseListing([]byte(out), time.Now())
	if err != nil || code != 0 || len(l.Deploys) != 1 {
		s.Fatalf("list: %d, %v: %s", code, err, out)
	}
	return l.Deploys[0]
}

// comes waits until the deploy is in one of some states.
func (s *sandbox) comes(id string, states ...fleet.DeployState) fleet.Deploy {
	s.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		d := s.deploy(id)
		for _, want := range states {
			if d.State == want {
				return d
			}
		}
		if time.Since(began) > time.Minute {
			log, _ := os.ReadFile(filepath.Join(s.root, "var/lib/sextant/deploys", id, "log"))
			s.Fatalf("it is %s %s, want %v: %s", d.State, d.Why, states, log)
		}
	}
}

// runs asserts which generation runs and is the default.
func (s *sandbox) runs(g int) {
	s.Helper()
	run, _ := filepath.EvalSymlinks(filepath.Join(s.root, "run/current-system"))
	def, _ := filepath.EvalSymlinks(s.profile())
	if run != s.system(g) || def != s.system(g) {
		s.Errorf("running %s, default %s, want generation %d", run, def, g)
	}
}

// TestGuard goes through the guard's ends on a host of files, with every userland.
func TestGuard(t *testing.T) {
	for _, c := range []struct {
		name string
		how  map[string]string // what switch-to-configuration does, by action
		args []string
		do   func(s *sandbox)
		end  fleet.DeployState
		runs int
	}{
		{"confirmed", nil, nil, func(s *sandbox) { s.guard("confirm", "a-1", "n1", "ada") }, fleet.Confirmed, 1},
		{"nobody confirms", nil, []string{"window=1"}, nil, fleet.RolledBack, 2},
		{"cancelled", nil, nil, func(s *sandbox) { s.guard("cancel", "a-1", "n1", "ada") }, fleet.Cancelled, 2},
		{"a wrong nonce", nil, nil, func(s *sandbox) {
			if out, code := s.guard("confirm", "a-1", "other", "eve"); code != codeRefused {
				s.Errorf("it was taken: %s", out)
			}
			s.guard("extend", "a-1", "1")
		}, fleet.RolledBack, 2},
		{"exit 1 before a change", map[string]string{"test": "1early"}, nil, nil, fleet.Refused, 2},
		{"exit 11 before a change", map[string]string{"test": "11early"}, nil, nil, fleet.Refused, 2},
		{"exit 1 after a change", map[string]string{"test": "1"}, nil, nil, fleet.RolledBack, 2},
		{"exit 2", map[string]string{"test": "2"}, nil, nil, fleet.RolledBack, 2},
		{"only a reboot", map[string]string{"test": "100early"}, nil, nil, fleet.NeedsReboot, 2},
		{"exit 100 after a change", map[string]string{"test": "100"}, nil, nil, fleet.RolledBack, 2},
		{"it hangs", map[string]string{"test": "hang"}, []string{"activation=1"}, nil, fleet.RolledBack, 2},
		{"the boot menu cannot be written", map[string]string{"boot": "1early"}, nil, func(s *sandbox) { s.guard("confirm", "a-1", "n1", "ada") }, fleet.RolledBack, 2},
		{"exit 4 and confirmed", map[string]string{"test": "4"}, nil, func(s *sandbox) { s.guard("confirm", "a-1", "n1", "ada") }, fleet.Confirmed, 1},
		{"another was set meanwhile", nil, nil, func(s *sandbox) {
			s.must(os.Symlink(s.system(2), filepath.Join(s.root, "nix/var/nix/profiles/system-9-link")))
			s.must(os.Remove(s.profile()))
			s.must(os.Symlink("system-9-link", s.profile()))
			s.guard("confirm", "a-1", "n1", "ada")
		}, fleet.Conflict, 0},
	} {
		for _, from := range userlands {
			t.Run(c.name+", "+from, func(t *testing.T) {
				t.Parallel()
				s := newSandbox(t, from)
				for action, how := range c.how {
					s.write("how-"+action+"-1", how)
				}
				if out, code := s.stage("a-1", c.args...); code != 0 {
					t.Fatal(code, out)
				}
				if c.do != nil {
					if _, code := s.stage("b-2"); code != codeBusy {
						t.Errorf("a second one was begun, or refused with %d", code)
					}
					s.comes("a-1", fleet.Awaiting)
					c.do(s)
				}
				s.comes("a-1", c.end)
				if c.runs > 0 {
					s.runs(c.runs)
				}
			})
		}
	}
}

// TestGuardRefusesNonsense: what no client of ours sends is refused, and changes nothing.
func TestGuardRefusesNonsense(t *testing.T) {
	s := newSandbox(t, "gnu")
	for _, args := range [][]string{
		{"stage", "../../etc", "new=" + s.system(1)}, {"stage", "a-1", "new=/nix/store/none"}, {"confirm", "none", "n", "w"}, {"confirm", "../x", "n", "w"},
		{"extend", "none", "5"}, {"reign"}, {"check", ""},
	} {
		if out, code := s.guard(args...); code == 0 || !strings.HasPrefix(lastLine([]byte(out)), "refused ") {
			t.Errorf("%v: %d: %s", args, code, out)
		}
	}
	s.runs(2)
}

// TestLookTellsOfTheKernel: another kernel needs a reboot; where there is none, as
// in a container, nothing does.
func TestLookTellsOfTheKernel(t *testing.T) {
	for _, from := range userlands {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t, from)
			told := func() bool {
				out, code := s.guard("look", s.system(1))
				if code != 0 || lastLine([]byte(out)) != "looked" {
					t.Fatalf("%d: %s", code, out)
				}
				return strings.Contains(out, "kernel 1")
			}
			if told() {
				t.Error("two systems without a kernel have another one")
			}
			s.write("root/nix/store/k1", "")
			s.write("root/nix/store/k2", "")
			for g := 1; g <= 2; g++ {
				s.must(os.Symlink(fmt.Sprintf("%s/nix/store/k%d", s.root, g), s.system(g)+"/kernel"))
			}
			if !told() {
				t.Error("another kernel is not told")
			}
			s.must(os.Remove(s.system(1) + "/kernel"))
			s.must(os.Symlink(s.root+"/nix/store/k2", s.system(1)+"/kernel"))
			if told() {
				t.Error("the same kernel is told as another")
			}
		})
	}
}
