package nixops

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// fakeStore is nix-store over a folder: valid/ has a file for each path that is
// there, closure what everything needs, cache what can be fetched, and how says
// what goes wrong. Its stream is a line a path, and a line at its end.
const fakeStore = `#!/bin/sh
store=${0%/bin/*}
read -r how <$store/how
has() { [ -e "$store/valid/${1##*/}" ]; }
echo "$*" >>$store/asked
[ "$how" = unread ] && { echo "error: this store is not to be read" >&2; exit 1; }
case "$*" in
--check-validity*) shift 2; for p; do has $p || echo $p; done ;;
"-q --size "*) shift 2; for p; do echo 3000000; done ;;
-qR*) [ "$how" = nopath ] && { echo "error: path '$2' is not valid" >&2; exit 1; }; cat $store/closure ;;
--export*)
	shift
	[ "$how" = corrupt ] && { echo "error: hash of path changed" >&2; exit 1; }
	for p; do
		has $p || exit 1
		echo "path $p"
		[ "$how" = stuck ] && sleep 600
	done
	echo end ;;
--import)
	while read -r word p; do
		[ "$how" = full ] && { echo "error: writing to file: No space left on device" >&2; exit 1; }
		[ "$how" = strict ] && { echo "error: cannot add path '$p' because it lacks a valid signature" >&2; exit 1; }
		[ "$word" = end ] && exit 0
		: >"$store/valid/${p##*/}"
	done
	echo "error: unexpected end-of-file" >&2; exit 1 ;;
--realise*.drv*)
	echo '@nix {"action":"start","id":1,"level":0,"text":"","type":104}' >&2
	echo '@nix {"action":"result","fields":[0,2,0,0],"id":1,"type":105}' >&2
	echo '@nix {"action":"start","id":2,"level":3,"text":"","type":105,"fields":["/nix/store/d-dep-1.0.drv","",1,1]}' >&2
	echo '@nix {"action":"result","fields":["cc: boom"],"id":2,"type":101}' >&2
	[ "$how" = unbuildable ] && { echo "@nix {\"action\":\"msg\",\"level\":0,\"msg\":\"error: builder for '/nix/store/d-dep-1.0.drv' failed with exit code 2\"}" >&2; exit 100; }
	echo '@nix {"action":"result","fields":[2,2,0,0],"id":1,"type":105}' >&2
	echo /nix/store/00000000000000000000000000000001-system ;;
--realise*)
	[ "$how" = silent ] && sleep 600
	for p; do grep -qx -- "$p" $store/cache && : >"$store/valid/${p##*/}"; done
	exit 1 ;;
*) echo "unasked: $*" >&2; exit 1 ;;
esac
`

// store is a folder with a nix-store of its own.
type store struct {
	*testing.T
	dir string
}

func newStore(t *testing.T, how string, valid ...string) store {
	t.Helper()
	s := store{t, t.TempDir()}
	for _, d := range []string{"bin", "valid"} {
		if err := os.Mkdir(filepath.Join(s.dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.write("bin/nix-store", fakeStore)
	s.room("9000000")
	s.write("how", how+"\n")
	s.write("closure", strings.Join(needs, "\n")+"\n")
	s.write("cache", "")
	for _, p := range valid {
		s.write("valid/"+filepath.Base(p), "")
	}
	return s
}

// room is how many KiB it has left; no number: it does not tell.
func (s store) room(kb string) {
	s.write("bin/df", "#!/bin/sh\necho Filesystem 1024-blocks Used Available Capacity Mounted on\necho /dev/sda1 90000 0 "+kb+" 99% /nix\n")
}

func (s store) write(name, text string) {
	s.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o700); err != nil {
		s.Fatal(err)
	}
}

// has tells which paths of the closure are there.
func (s store) has() (list []string) {
	for _, p := range needs {
		if _, err := os.Stat(filepath.Join(s.dir, "valid", filepath.Base(p))); err == nil {
			list = append(list, p)
		}
	}
	return list
}

// asked tells whether something was asked of this nix-store.
func (s store) asked(what string) bool {
	b, _ := os.ReadFile(filepath.Join(s.dir, "asked"))
	return strings.Contains(string(b), what)
}

// here makes this machine's the store.
func (s store) here() store {
	s.Setenv("PATH", filepath.Join(s.dir, "bin")+":"+os.Getenv("PATH"))
	return s
}

// hostLink is a link to a host that is the folder of a store.
type hostLink struct {
	link.Link // what is not asked for here
	store
	local bool
	name  string // "": storage
}

func (h hostLink) Host() fleet.Host {
	return fleet.Host{Name: cmp.Or(h.name, "storage"), Local: h.local}
}

func (h hostLink) Run(ctx context.Context, cmd link.Command) (link.Result, error) {
	c := h.command(ctx, cmd)
	var out, errs strings.Builder
	c.Stdout, c.Stderr = &out, &errs
	return h.ended(ctx, c, c.Run(), out.String(), errs.String())
}

func (h hostLink) command(ctx context.Context, cmd link.Command) *exec.Cmd {
	c := here(ctx, cmd.Args[0], cmd.Args[1:]...)
	c.Env = append(os.Environ(), "PATH="+filepath.Join(h.dir, "bin")+":/usr/bin:/bin")
	c.Stdin = cmd.Stdin
	c.WaitDelay = 100 * time.Millisecond // for its last words to be read
	return c
}

func (hostLink) ended(ctx context.Context, c *exec.Cmd, err error, out, errs string) (link.Result, error) {
	if ctx.Err() != nil {
		return link.Result{}, context.Cause(ctx)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && c.ProcessState == nil {
		return link.Result{}, err
	}
	return link.Result{Stdout: []byte(out), Stderr: []byte(errs), Status: c.ProcessState.ExitCode()}, nil
}

// hostProcess is a command that runs on the host of a hostLink.
type hostProcess struct {
	*os.File
	ctx  context.Context
	cmd  *exec.Cmd
	errs *strings.Builder
	stop context.CancelFunc
	wait func() error
}

func (h hostLink) Start(ctx context.Context, cmd link.Command) (link.Process, error) {
	ctx, stop := context.WithCancel(ctx)
	c, errs := h.command(ctx, cmd), &strings.Builder{}
	r, w, err := os.Pipe()
	if err != nil {
		stop()
		return nil, err
	}
	c.Stdout, c.Stderr = w, errs
	err = c.Start()
	w.Close()
	return hostProcess{r, ctx, c, errs, stop, sync.OnceValue(c.Wait)}, err
}

func (p hostProcess) Read(b []byte) (int, error) {
	n, err := p.File.Read(b)
	if p.ctx.Err() != nil {
		return n, context.Cause(p.ctx)
	}
	return n, err
}

func (p hostProcess) Wait() (link.Result, error) {
	return hostLink{}.ended(p.ctx, p.cmd, p.wait(), "", p.errs.String())
}

func (p hostProcess) Close() error {
	p.stop()
	_ = p.wait()
	return p.File.Close()
}

var needs = []string{"/nix/store/a-glibc-2", "/nix/store/b-caddy-2.10", "/nix/store/c-nixos-system-storage-1"}

// heard collects what is told.
type heard struct {
	mu    sync.Mutex
	lines []string
}

func (h *heard) tell(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line)
}

func TestCopyBringsWhatIsMissing(t *testing.T) {
	mine := newStore(t, "", needs...).here()
	host := newStore(t, "", needs[0])
	host.write("cache", needs[1]+"\n")
	var h heard
	if err := Copy(t.Context(), hostLink{store: host}, needs[2], Copying{}, h.tell); err != nil {
		t.Fatal(err)
	}
	if got := host.has(); len(got) != 3 {
		t.Errorf("the host has %v", got)
	}
	if !mine.asked("--export " + needs[2] + "\n") {
		t.Error("what the host fetched from its cache was sent again, or the rest was not")
	}
	if len(h.lines) == 0 || h.lines[0] != "2 of 3 store paths are missing there, 5.7 MiB" {
		t.Errorf("told %q", h.lines)
	}
	other := newStore(t, "", needs...)
	if err := Copy(t.Context(), hostLink{store: other}, needs[2], Copying{}, h.tell); err != nil || other.asked("--import") {
		t.Errorf("nothing was missing: %v", err)
	}
	third := newStore(t, "")
	third.write("cache", strings.Join(needs, "\n")+"\n")
	if err := Copy(t.Context(), hostLink{store: third}, needs[2], Copying{NoCaches: true}, h.tell); err != nil || third.asked("--realise") || len(third.has()) != 3 {
		t.Errorf("all is sent where the caches are not to be asked: %v, it has %q", err, third.has())
	}
	if err := Copy(t.Context(), hostLink{store: newStore(t, ""), local: true}, needs[2], Copying{}, h.tell); err != nil {
		t.Errorf("to this machine: %v", err)
	}
}

func TestCopyOfDerivationsFetchesNothing(t *testing.T) {
	newStore(t, "", "/nix/store/x.drv").here().write("closure", "/nix/store/x.drv\n")
	host := newStore(t, "")
	if err := Copy(t.Context(), hostLink{store: host}, "/nix/store/x.drv", Copying{}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if host.asked("--realise") {
		t.Error("a derivation was realised, which fetches all that it was ever built with")
	}
}

func TestCopyFails(t *testing.T) {
	for _, c := range []struct {
		name, here, there string
		is                error
		want              string
	}{
		{"not in the store here", "nopath", "", nil, "is not valid"},
		{"a corrupt store here", "corrupt", "", nil, "hash of path changed"},
		{"not trusted", "", "strict", ErrUntrusted, "lacks a valid signature"},
		{"full when it comes to it", "", "full", nil, "No space left on device; free some: sextant garbage storage"},
	} {
		t.Run(c.name, func(t *testing.T) {
			newStore(t, c.here, needs...).here()
			err := Copy(t.Context(), hostLink{store: newStore(t, c.there)}, needs[2], Copying{}, func(string) {})
			if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestSendStalls(t *testing.T) {
	newStore(t, "stuck", needs...).here()
	err := send(t.Context(), mine{}, hostLink{store: newStore(t, "")}, needs, 50*time.Millisecond, func(string) {})
	if !errors.Is(err, errStalled) || !strings.Contains(err.Error(), "storage") {
		t.Errorf("%v", err)
	}
}

// TestWhatWasReadToItsEndDoesNotStall: the host may be long at writing it down.
func TestWhatWasReadToItsEndDoesNotStall(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	c := &counter{r: strings.NewReader("all of it")}
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Fatal(err)
	}
	watched := c.watch(ctx, time.Millisecond, stop, func(int64) {})
	time.Sleep(50 * time.Millisecond)
	watched()
	if ctx.Err() != nil {
		t.Error(context.Cause(ctx))
	}
}

func TestCachesThatDoNotAnswerAreLeft(t *testing.T) {
	var h heard
	host := hostLink{store: newStore(t, "silent")}
	if err := fetch(t.Context(), host, needs, 50*time.Millisecond, h.tell); err != nil {
		t.Error(err)
	}
	if got := strings.Join(h.lines, "\n"); !strings.Contains(got, "caches do not answer") {
		t.Errorf("told %q", got)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if err := fetch(ctx, host, needs, time.Minute, h.tell); err == nil {
		t.Error("a cancelled copy goes on")
	}
}

// TestCarry takes a path from one host to another; this machine's store is not asked.
func TestCarry(t *testing.T) {
	mine := newStore(t, "unread").here()
	from, to := newStore(t, "", needs...), newStore(t, "", needs[0])
	builder := hostLink{store: from, name: "cloud"}
	var h heard
	if err := Carry(t.Context(), builder, hostLink{store: to}, needs[2], Copying{}, h.tell); err != nil || len(to.has()) != 3 {
		t.Errorf("%v, there is %v", err, to.has())
	}
	if mine.asked("-") || from.asked("--export "+needs[0]) || from.asked("--realise") || !to.asked("--realise") {
		t.Error("it went through this machine's store, or more was sent than is missing, or no cache was asked")
	}
	for _, c := range []struct {
		name, from, to string
		is             error
		want           string
	}{
		{"not in the store there", "nopath", "", nil, "from the store of cloud"},
		{"a corrupt store there", "corrupt", "", nil, "reading the store of cloud: error: hash of path changed"},
		{"not trusted", "", "strict", ErrUntrusted, "copying to storage"},
	} {
		from.write("how", c.from+"\n")
		if err := Carry(t.Context(), builder, hostLink{store: newStore(t, c.to)}, needs[2], Copying{}, h.tell); err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	from.write("how", "stuck\n")
	if err := send(t.Context(), another{builder}, hostLink{store: newStore(t, "")}, needs, 50*time.Millisecond, h.tell); !errors.Is(err, errStalled) {
		t.Errorf("a builder that sends no more: %v", err)
	}
}

// TestCopyThatDoesNotFit: a store without room is refused before anything is
// fetched or sent, with the cure.
func TestCopyThatDoesNotFit(t *testing.T) {
	from, to := newStore(t, "", needs...).here(), newStore(t, "")
	for _, kb := range []string{"0", "74000"} { // 9 MB are missing, and 64 MiB are to be left
		to.room(kb)
		err := Copy(t.Context(), hostLink{store: to}, needs[2], Copying{}, func(string) {})
		var no *Refusal
		if !errors.As(err, &no) || !strings.Contains(no.Why, "free, the system needs 8.6 MiB more") || !strings.Contains(no.Cure, "sextant garbage storage --keep 3 --collect") {
			t.Errorf("%s KiB free: %v", kb, err)
		}
	}
	if len(to.has()) > 0 || to.asked("--realise") || from.asked("--export") {
		t.Error("something was brought there all the same")
	}
	for _, kb := range []string{"75000", "unknown"} {
		to.room(kb)
		if err := Copy(t.Context(), hostLink{store: to}, needs[2], Copying{}, func(string) {}); err != nil || len(to.has()) != 3 {
			t.Errorf("%s KiB free: %v", kb, err)
		}
	}
}

func TestCopyIsCancelled(t *testing.T) {
	mine := newStore(t, "stuck", needs...).here()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	go func() {
		for !mine.asked("--export") && t.Context().Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
		cancel(enough)
	}()
	if err := Copy(ctx, hostLink{store: newStore(t, "")}, needs[2], Copying{}, func(string) {}); !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
}

func TestHowFar(t *testing.T) {
	for _, c := range []struct {
		n, size int64
		want    string
	}{{0, 0, "copying: 0 MiB"}, {5 << 20, 0, "copying: 5 MiB"}, {5 << 20, 9<<20 + 1, "copying: 5 of 10 MiB"}, {12 << 20, 10 << 20, "copying: 10 of 10 MiB"}} {
		if got := howFar(c.n, c.size); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
