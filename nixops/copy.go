package nixops

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// tellEvery is how often it is told how far a copy is.
const tellEvery = time.Second

// Copying is how store paths are brought to a host.
type Copying struct {
	Stall    time.Duration // without a byte taken, until it is given up; 0: 120 s
	NoCaches bool          // all is sent, whatever the host could fetch itself
}

func (c Copying) stall() time.Duration { return cmp.Or(c.Stall, defaults.CopyStall) }

// ErrUntrusted is that a nix takes no paths that it does not trust. Its text is
// what can be done about it.
var ErrUntrusted = errors.New("three cures: log in as root or as one of nix's trusted-users (who are as good as root); " +
	"sign the paths and add the key to the host's trusted-public-keys; build on the host (--build-on target)")

// errStalled is that nothing moved for the stall limit.
var errStalled = errors.New("nothing was taken")

// Copy brings store paths with all they need to a host, over our own connection:
// by the login, host key and jump host that were checked already, and as root
// where that is by sudo. What the host can have from its own caches it fetches
// itself; the rest is streamed from this machine's store into its own. What has
// arrived stays there: a copy that was cut off goes on where it was.
func Copy(ctx context.Context, l link.Link, path string, how Copying, tell func(string)) error {
	if l.Host().Local {
		return nil
	}
	return carry(ctx, mine{}, l, path, how, tell)
}

// Carry is Copy from another host's store, past this machine's: what passes
// through here is not kept.
func Carry(ctx context.Context, from, to link.Link, path string, how Copying, tell func(string)) error {
	return carry(ctx, another{from}, to, path, how, tell)
}

// carry brings what a host lacks from a store into its own.
func carry(ctx context.Context, from shelf, to link.Link, path string, how Copying, tell func(string)) error {
	out, err := from.query(ctx, []string{path}, "-qR")
	closure := strings.Fields(out)
	if err != nil || len(closure) == 0 {
		return fmt.Errorf("reading what %s needs, from %s: %w", path, from, cmp.Or(err, errors.New("it does not tell")))
	}
	missing, err := invalid(ctx, to, closure)
	if err != nil || len(missing) == 0 {
		return err
	}
	n := size(ctx, from, missing)
	tell(fmt.Sprintf("%d of %d store paths are missing there, %s", len(missing), len(closure), inUnits(n)))
	if err := fits(ctx, to, n); err != nil {
		return err
	}
	if fetchable := slices.DeleteFunc(slices.Clone(missing), isDerivation); len(fetchable) > 0 && !how.NoCaches {
		if err := fetch(ctx, to, fetchable, how.stall(), tell); err != nil {
			return err
		}
		if missing, err = invalid(ctx, to, closure); err != nil || len(missing) == 0 {
			return err
		}
	}
	return send(ctx, from, to, missing, how.stall(), tell)
}

// storeRoom is what must be left of a host's store when all is there: the host
// lives on, and files take more room than they have bytes.
const storeRoom = 64 << 20

// fits refuses what a host's store has no room for. What it has already fetched in
// vain would stay there until garbage is collected.
func fits(ctx context.Context, l link.Link, size int64) error {
	out, err := onHost(ctx, l, "df -P -k /nix/store | tail -n 1", nil)
	if err != nil {
		return fmt.Errorf("asking what is free: %w", err)
	}
	free := int64(-1) // its df tells nothing; what does not fit fails as it is written
	if fields := strings.Fields(string(out)); len(fields) > 3 {
		if kb, err := strconv.ParseInt(fields[3], 10, 64); err == nil {
			free = kb << 10
		}
	}
	if free < 0 || size+storeRoom <= free {
		return nil
	}
	name := l.Host().Name
	return &Refusal{Host: name, Why: fmt.Sprintf("its /nix has %s free, the system needs %s more and %s beside it", inUnits(free), inUnits(size), inUnits(storeRoom)),
		Cure: "delete old generations and collect garbage: sextant garbage " + name + " --keep 3 --collect"}
}

// isDerivation tells whether a path is how something is built. Caches have
// none, and a nix that is asked for one fetches what it builds instead: all
// that a system was ever built with.
func isDerivation(path string) bool { return strings.HasSuffix(path, ".drv") }

// lastWords are the last line of what nix says is wrong, fit for a screen.
func lastWords(b []byte) string {
	return fleet.Short(fleet.Clean(lastLine(b)), 300)
}

// onHost runs a program of the shell as root on a host, with lines on its input:
// whoever deploys can become root, and without a nix daemon only root may ask.
func onHost(ctx context.Context, l link.Link, text string, lines []string, args ...string) ([]byte, error) {
	cmd := link.Script(text, args...)
	cmd.Root, cmd.Limit = true, outputLimit
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	res, err := l.Run(ctx, cmd)
	if err == nil && res.Status != 0 {
		err = fmt.Errorf("%s: %s", l.Host().Name, lastWords(res.Stderr))
	}
	return res.Stdout, err
}

// invalid are those of the paths that a host does not have, in their order.
func invalid(ctx context.Context, l link.Link, paths []string) ([]string, error) {
	out, err := onHost(ctx, l, "xargs nix-store --check-validity --print-invalid", paths)
	if err != nil {
		return nil, fmt.Errorf("asking what is missing: %w", err)
	}
	absent := set(strings.Fields(string(out)))
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return !absent[p] }), nil
}

// fetch has a host get from its caches what they have; nothing is built. That
// they lack something is no error, nor that they do not answer: what is missing
// afterwards is sent.
func fetch(ctx context.Context, l link.Link, paths []string, stall time.Duration, tell func(string)) error {
	cmd := link.Script("xargs nix-store --realise --keep-going --max-jobs 0 --log-format internal-json -v 2>&1 >/dev/null")
	cmd.Root, cmd.Stdin = true, strings.NewReader(strings.Join(paths, "\n")+"\n")
	_, err := stream(ctx, l, cmd, stall, &listener{tell: func(b Building) { tell("copying: " + b.String()) }})
	if errors.Is(err, errStalled) {
		tell("its caches do not answer")
		return nil
	}
	return err
}

// stream runs a command on a host and has its output heard as it comes. stall is
// how long it may be silent; 0: for ever.
func stream(ctx context.Context, l link.Link, cmd link.Command, stall time.Duration, to io.Writer) (link.Result, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p, err := l.Start(ctx, cmd)
	if err != nil {
		return link.Result{}, err
	}
	defer p.Close()
	counted := &counter{r: p}
	defer counted.watch(ctx, stall, stop, func(int64) {})()
	if _, err := io.Copy(to, counted); err != nil {
		return link.Result{}, err
	}
	return p.Wait()
}

// send streams paths from a store into the host's, so many at a time as one command
// takes. What a path needs stands before it: each part can be taken in by itself.
func send(ctx context.Context, from shelf, to link.Link, paths []string, stall time.Duration, tell func(string)) error {
	total, sent := size(ctx, from, paths), int64(0)
	for _, part := range parts(paths) {
		n, err := sendPart(ctx, from, to, part, stall, func(n int64) { tell(howFar(sent+n, total)) })
		if err != nil {
			return err
		}
		sent += n
	}
	return nil
}

// sendPart streams paths into a host's store, and tells how many bytes that were.
func sendPart(ctx context.Context, from shelf, to link.Link, paths []string, stall time.Duration, tell func(int64)) (int64, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	exporting, quit := context.WithCancel(ctx)
	defer quit()
	out, in := io.Pipe()
	exported := make(chan error, 1)
	go func() {
		err := from.export(exporting, in, paths)
		exported <- err
		in.CloseWithError(err) // nil: the end
	}()
	counted := &counter{r: out}
	watched := counted.watch(ctx, stall, stop, tell)
	cmd := link.Script("exec nix-store --import >/dev/null")
	cmd.Root, cmd.Stdin = true, counted
	res, err := to.Run(ctx, cmd)
	watched()
	var why error // of an export that ended first: else it ends with its reader
	select {
	case why = <-exported:
	default:
		quit()
		out.Close()
		<-exported
	}
	name := to.Host().Name
	switch {
	case err == nil && res.Status == 0: // it took the stream to its end mark
		return counted.n.Load(), nil
	case why != nil && ctx.Err() == nil:
		return 0, fmt.Errorf("copying to %s: reading %s: %w", name, from, why)
	case err != nil:
		return 0, fmt.Errorf("copying to %s: %w", name, err)
	}
	return 0, fmt.Errorf("copying to %s: %w", name, cured(name, lastWords(res.Stderr)))
}

// howFar tells of a stream, whose size is 0 where it is not known.
func howFar(n, size int64) string {
	if size > 0 {
		return fmt.Sprintf("copying: %d of %d MiB", min(n, size)>>20, (size+1<<20-1)>>20)
	}
	return fmt.Sprintf("copying: %d MiB", n>>20)
}

// cured adds to what a host's nix says is wrong what can be done about it.
func cured(host, why string) error {
	switch {
	case strings.Contains(why, "signature"):
		return fmt.Errorf("%s; %w", why, ErrUntrusted)
	case strings.Contains(why, "No space left on device"):
		return fmt.Errorf("%s; free some: sextant garbage %s", why, host)
	}
	return errors.New(why)
}

// counter counts what is read through it.
type counter struct {
	r     io.Reader
	n     atomic.Int64
	ended atomic.Bool // read to its end
}

// Read reads on.
func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	if errors.Is(err, io.EOF) {
		c.ended.Store(true)
	}
	return n, err
}

// watch tells how much was read, and stops what stands still for as long as the
// stall limit, where there is one; what was read to its end may take its time to
// be written down. The watching ends with the context, or when
// the function that it gives is called.
func (c *counter) watch(ctx context.Context, stall time.Duration, stop context.CancelCauseFunc, tell func(int64)) func() {
	ctx, end := context.WithCancel(ctx)
	done := make(chan struct{})
	every := tellEvery
	if stall > 0 {
		every = min(every, stall)
	}
	go func() {
		defer close(done)
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		last, since := int64(0), time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
			if n := c.n.Load(); n != last {
				last, since = n, time.Now()
				tell(n)
			} else if stall > 0 && !c.ended.Load() && time.Since(since) >= stall {
				stop(fmt.Errorf("%w for %s", errStalled, stall))
				return
			}
		}
	}()
	return func() { end(); <-done }
}
