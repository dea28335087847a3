package nixops

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
)

// fakeNix puts a program of the shell in the place of nix.
func fakeNix(t *testing.T, program string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "nix"), []byte("#!/bin/sh\n"+program), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// failedBuild is what nix 2.8 wrote when a dependency of a system failed.
const failedBuild = `@nix {"action":"start","id":2851858284545,"level":0,"text":"","type":102}
@nix {"action":"start","id":2851858284546,"level":0,"text":"","type":104}
@nix {"action":"start","id":2851858284547,"level":0,"text":"","type":103}
@nix {"action":"result","fields":[0,2,0,0],"id":2851858284546,"type":105}
@nix {"action":"result","fields":[0,0,0,0],"id":2851858284547,"type":105}
@nix {"action":"msg","level":0,"msg":"warning: the group 'nixbld' specified in 'build-users-group' does not exist"}
@nix {"action":"start","fields":["/nix/store/30gshv9ckgs00rzf5f7r6qlvcbqd4ihz-thedep.drv","",1,1],"id":2851858284549,"level":3,"text":"building '/nix/store/30gshv9ckgs00rzf5f7r6qlvcbqd4ihz-thedep.drv'","type":105}
@nix {"action":"result","fields":[0,2,1,0],"id":2851858284546,"type":105}
@nix {"action":"result","fields":["executing '\u001b[35;1m/bin/sh\u001b[0m': \u001b[35;1mNo such file or directory\u001b[0m\u0000"],"id":2851858284549,"type":101}
@nix {"action":"result","fields":[0,1,0,1],"id":2851858284546,"type":105}
@nix {"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"\u001b[31;1merror:\u001b[0m builder for '\u001b[35;1m/nix/store/30gshv9ckgs00rzf5f7r6qlvcbqd4ihz-thedep.drv\u001b[0m' failed with exit code 1","raw_msg":"x"}
@nix {"action":"stop","id":2851858284549}
@nix {"action":"stop","id":2851858284545}
@nix {"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"\u001b[31;1merror:\u001b[0m \u001b[35;1m\u001b[0m\u001b[35;1m1\u001b[0m dependencies of derivation '\u001b[35;1m/nix/store/8fjdz5ffr6a1182hw3l0nrj63jplywh5-nixos-system-fails.drv\u001b[0m' failed to build\u001b[0m","raw_msg":"x"}
`

// wrongFlake is what nix 2.8 wrote of an attribute that is missing, and what
// newer ones write: the way there before the end.
const wrongFlake = `@nix {"action":"msg","level":4,"msg":"evaluating file '/nix/store/j322-source/flake.nix'"}
@nix {"action":"msg","column":79,"file":"/x/flake.nix","level":0,"line":6,"msg":"\u001b[31;1merror:\u001b[0m attribute '\u001b[35;1mnonsense\u001b[0m' missing\n\n       \u001b[34;1mat \u001b[35;1m/nix/store/j322-source/flake.nix:6:79\u001b[0m:\n\n            5|     a = 1;\n            6|       bad = x.nonsense;\n             |       \u001b[31;1m^\u001b[0m"}
`

const wrongFlakeNewer = `@nix {"action":"msg","level":0,"msg":"\u001b[31;1merror:\u001b[0m\n       … while calling the 'head' builtin\n         at /nix/store/lib/attrsets.nix:1575:11:\n         1574|         || pred here\n         1575|       then head values\n\n       … while evaluating definitions from '/x/hosts.nix':\n\n       (stack trace truncated; use '--show-trace' to show the full, detailed trace)\n\n       \u001b[31;1merror:\u001b[0m undefined variable 'nonsense'\n       at /x/hosts.nix:12:13:\n           12|   payload = nonsense;\n             |             ^"}
`

func TestFailedBuild(t *testing.T) {
	l := listener{}
	_, _ = l.Write([]byte(failedBuild))
	e := l.broken()
	const drv = "/nix/store/30gshv9ckgs00rzf5f7r6qlvcbqd4ihz-thedep.drv"
	if l.Failed != drv || e.Derivation != drv || l.ToBuild != 1 || l.Built != 0 {
		t.Errorf("%+v, %q", l.Building, e.Derivation)
	}
	if want := "builder for '" + drv + "' failed with exit code 1"; e.What != want {
		t.Errorf("%q, want %q", e.What, want)
	}
	if len(e.Log) != 1 || e.Log[0] != "executing '/bin/sh': No such file or directory" || !strings.HasSuffix(e.Error(), e.Log[0]+"\nthe whole log, where it was built: nix log "+drv) {
		t.Errorf("log %q in %q", e.Log, e.Error())
	}
}

func TestWrongFlake(t *testing.T) {
	for _, c := range []struct{ said, want string }{
		{wrongFlake, "attribute 'nonsense' missing\n       at /nix/store/j322-source/flake.nix:6:79:\n            5|     a = 1;\n            6|       bad = x.nonsense;\n             |       ^"},
		{wrongFlakeNewer, "undefined variable 'nonsense'\n       at /x/hosts.nix:12:13:\n           12|   payload = nonsense;\n             |             ^"},
		{"error: unrecognised flag '--frob'\n", "unrecognised flag '--frob'"},
		{"", ""},
	} {
		l := listener{}
		_, _ = l.Write([]byte(c.said))
		if got := l.failure(); got != c.want {
			t.Errorf("%q\nwant %q", got, c.want)
		}
	}
	long := listener{}
	_, _ = long.Write([]byte(`@nix {"action":"msg","level":0,"msg":"error: first` + strings.Repeat(`\nline`, 300) + `\nthe end"}` + "\n"))
	if got := long.failure(); strings.Count(got, "\n") >= errorLines || !strings.HasPrefix(got, "first") || !strings.HasSuffix(got, "the end") || !strings.Contains(got, "left out") {
		t.Errorf("%q", got)
	}
}

func TestCopiesAreCounted(t *testing.T) {
	const old = `@nix {"action":"start","id":1,"level":3,"text":"copying 2 paths","type":103}
@nix {"action":"start","id":2,"level":3,"text":"","type":100,"fields":["/nix/store/x-caddy-2.10.0","here","ssh-ng://storage"]}
@nix {"action":"result","id":2,"type":105,"fields":[1000,2000,0,0]}
@nix {"action":"result","id":2,"type":105,"fields":[1500,2000,0,0]}
@nix {"action":"stop","id":2}
`
	l := listener{}
	_, _ = l.Write([]byte(old))
	if l.Copied != 1 || l.ToCopy != 2 || l.Bytes != 1500 || l.String() != "1/2 copied, 1.5 KiB, copying caddy-2.10.0" {
		t.Errorf("a nix that gives no counts: %+v %q", l.Building, l.String())
	}
	l = listener{}
	_, _ = l.Write([]byte(strings.Replace(old, "\n", "\n"+`@nix {"action":"result","id":1,"type":105,"fields":[5,9,0,0]}`+"\n", 1)))
	if l.Copied != 5 || l.ToCopy != 9 {
		t.Errorf("a nix that gives counts: %+v", l.Building)
	}
}

func TestBuild(t *testing.T) {
	fakeNix(t, `case "$*" in
*'/x#nixosConfigurations."dev.ldn".config.system.build.toplevel') ;;
*) echo "error: unexpected: $*" >&2; exit 1 ;;
esac
cat >&2 <<'E'
@nix {"action":"start","id":1,"level":0,"text":"","type":104}
@nix {"action":"result","fields":[1,2,0,0],"id":1,"type":105}
@nix {"action":"result","fields":[2,2,0,0],"id":1,"type":105}
E
echo '[{"drvPath":"/nix/store/d.drv","outputs":{"out":"/nix/store/x-nixos-system-dev-1"}}]'`)
	var last Building
	told := 0
	got, err := Flake{Ref: "/x"}.Build(t.Context(), "dev.ldn", func(b Building) { last = b; told++ })
	if err != nil || got != "/nix/store/x-nixos-system-dev-1" || last.Built != 2 || told != 2 {
		t.Errorf("%q, %v, told %d times, last %+v", got, err, told, last)
	}
}

func TestBuildFails(t *testing.T) {
	fakeNix(t, "cat >&2 <<'E'\n"+failedBuild+"E\nexit 1")
	_, err := Flake{Ref: "/x"}.Build(t.Context(), "storage", func(Building) {})
	var broken *NixError
	if !errors.As(err, &broken) || len(broken.Log) != 1 || !strings.HasPrefix(err.Error(), "building storage: builder for") {
		t.Errorf("%v", err)
	}
	fakeNix(t, "exit 3")
	if _, err := (Flake{Ref: "/x"}).Build(t.Context(), "storage", nil); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("a nix that says nothing: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := (Flake{Ref: "/x"}).Build(t.Context(), "storage", nil); err == nil || !strings.Contains(err.Error(), "no nix on this machine") {
		t.Errorf("no nix: %v", err)
	}
}

func TestParseBuilt(t *testing.T) {
	for _, c := range []struct{ json, want string }{
		{`[{"outputs":{"out":"/nix/store/x-y"}}]`, "/nix/store/x-y"},
		{`[{"outputs":{"out":"x-y"}}]`, "/nix/store/x-y"},
		{`[]`, ""},
		{`{}`, ""},
		{``, ""},
		{`[{"outputs":{"dev":"/nix/store/x-y"}}]`, ""},
	} {
		if got, err := parseBuilt([]byte(c.json)); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", c.json, got, err)
		}
	}
}

// TestBuildEndsWithItsContext has a nix whose child does not heed the first signal.
func TestBuildEndsWithItsContext(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	t.Setenv("PIDFILE", pidFile)
	fakeNix(t, `sh -c 'trap "" TERM; echo $$ >$PIDFILE.new; mv $PIDFILE.new $PIDFILE; while :; do sleep 1; done' &
wait`)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	pid := make(chan string, 1)
	go func() {
		defer cancel(enough)
		for t.Context().Err() == nil {
			if b, err := os.ReadFile(pidFile); err == nil {
				pid <- strings.TrimSpace(string(b))
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	if _, err := (Flake{Ref: "/x"}).Build(ctx, "storage", nil); !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
	for child := <-pid; running(child); { // the second signal was sent; the test's own limit ends what does not end
		time.Sleep(5 * time.Millisecond)
	}
}

// running tells whether a process is there that has not ended.
func running(pid string) bool {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(b), ") Z ")
}

func TestBuildOn(t *testing.T) {
	const drv = "/nix/store/s-nixos-system-storage.drv"
	newStore(t, "").here().write("closure", drv+"\n")
	host := newStore(t, "", drv)
	var h heard
	got, err := BuildOn(t.Context(), hostLink{store: host}, drv, Copying{}, h.tell)
	if err != nil || got != "/nix/store/00000000000000000000000000000001-system" {
		t.Errorf("%q, %v", got, err)
	}
	if text := strings.Join(h.lines, "|"); !strings.Contains(text, "building there|0/2 built|0/2 built, building dep-1.0|2/2 built") {
		t.Errorf("told %q", text)
	}
	host.write("how", "unbuildable\n")
	_, err = BuildOn(t.Context(), hostLink{store: host}, drv, Copying{}, h.tell)
	var broken *NixError
	if !errors.As(err, &broken) || broken.Derivation != "/nix/store/d-dep-1.0.drv" || !strings.Contains(err.Error(), "cc: boom\nthe whole log, where it was built: nix log /nix/store/d-dep-1.0.drv") || !strings.Contains(err.Error(), "storage") {
		t.Errorf("%v", err)
	}
}

func FuzzNixSays(f *testing.F) {
	f.Add([]byte(failedBuild))
	f.Add([]byte(wrongFlakeNewer))
	f.Add([]byte("@nix {\"action\":\"start\",\"id\":1,\"type\":103,\"text\":\"copying 999999 paths\"}\n@nix {\"action\":\"result\",\"id\":1,\"type\":105,\"fields\":[-1,1e300]}\nerror: x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, parts := listener{}, listener{}
		_, _ = whole.Write(b)
		for i := range b { // how it is cut does not matter
			_, _ = parts.Write(b[i : i+1])
		}
		whole.end()
		parts.end()
		if whole.Building != parts.Building || whole.failure() != parts.failure() {
			t.Errorf("%+v %q\n%+v %q", whole.Building, whole.failure(), parts.Building, parts.failure())
		}
		e := whole.broken()
		if strings.Count(e.What, "\n") >= errorLines {
			t.Errorf("%q", e.What)
		}
		for _, text := range append([]string{e.Error(), whole.Doing, whole.Failed}, e.Log...) {
			if strings.ContainsFunc(strings.ReplaceAll(text, "\n", ""), unicode.IsControl) {
				t.Errorf("control characters in %q", text)
			}
		}
		if b := whole.Building; b.Built < 0 || b.ToBuild < 0 || b.Copied < 0 || b.ToCopy < 0 || b.Bytes < 0 {
			t.Errorf("%+v", b)
		}
	})
}
