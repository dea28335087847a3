package nixops

import (
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

// Bounds of copying.
const (
	stallLimit = 2 * time.Minute // without a byte taken
	tellEvery  = time.Second
)

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
func Copy(ctx context.Context, l link.Link, path string, tell func(string)) error {
	if l.Host().Local {
		return nil
	}
	closure, err := localClosure(ctx, path)
	if err != nil {
		return err
	}
	missing, err := invalid(ctx, l, closure)
	if err != nil || len(missing) == 0 {
		return err
	}
	tell(fmt.Sprintf("%d of %d store paths are missing there", len(missing), len(closure)))
	if err := fits(ctx, l, localSize(ctx, missing)); err != nil {
		return err
	}
	if fetchable := slices.DeleteFunc(slices.Clone(missing), isDerivation); len(fetchable) > 0 {
		if err := fetch(ctx, l, fetchable, stallLimit, tell); err != nil {
			return err
		}
		if missing, err = invalid(ctx, l, closure); err != nil || len(missing) == 0 {
			return err
		}
	}
	return send(ctx, l, missing, stallLimit, tell)
}

// fits refuses what a host's store has no room for. What it has already fetched in
// vain would stay there until garbage is collected.
func fits(ctx context.Context, l link.Link, size int64) error {
	out, err := onHost(ctx, l, "df -P -k /nix/store | tail -n 1", nil)
	if err != nil {
		return fmt.Errorf("asking what is free: %w", err)
	}
	fields := strings.Fields(string(out))
	if len(fields) < 4 {
		return nil // its df tells nothing; what does not fit fails as it is written
	}
	free, err := strconv.ParseInt(fields[3], 10, 64)
	if err != nil || size <= free<<10 {
		return nil
	}
	name := l.Host().Name
	return &Refusal{Host: name, Why: fmt.Sprintf("its /nix has %s free, the system needs %s more", inUnits(free<<10), inUnits(size)),
		Cure: "delete old generations and collect garbage: sextant garbage " + name + " --keep 3 --collect"}
}

// isDerivation tells whether a path is how something is built. Caches have
// none, and a nix that is asked for one fetches what it builds instead: all
// that a system was ever built with.
func isDerivation(path string) bool { return strings.HasSuffix(path, ".drv") }

// localStore runs nix-store on this machine and gives what it prints.
func localStore(ctx context.Context, args ...string) (string, error) {
	cmd := here(ctx, "nix-store", args...)
	out, said := &bounded{limit: outputLimit}, &bounded{limit: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, said
	err := finish(ctx, cmd)
	if err != nil && ctx.Err() == nil && said.kept.Len() > 0 {
		err = errors.New(lastWords(said.kept.Bytes()))
	}
	return out.kept.String(), err
}

// lastWords are the last line of what nix says is wrong, fit for a screen.
func lastWords(b []byte) string {
	return fleet.Short(fleet.Clean(lastLine(b)), 300)
}

// localClosure are a path and all it needs, what is needed first.
func localClosure(ctx context.Context, path string) ([]string, error) {
	out, err := localStore(ctx, "-qR", path)
	if err != nil {
		return nil, fmt.Errorf("reading what %s needs, from this machine's store: %w", path, err)
	}
	return strings.Fields(out), nil
}

// localSize is how many bytes paths of this machine's store are in a stream; 0:
// it is not told.
func localSize(ctx context.Context, paths []string) int64 {
	out, err := localStore(ctx, append([]string{"-q", "--size"}, paths...)...)
	if err != nil {
		return 0
	}
	total := int64(0)
	for f := range strings.FieldsSeq(out) {
		n, _ := strconv.ParseInt(f, 10, 64)
		total += n
	}
	return total
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

// send streams paths from this machine's store into the host's.
func send(ctx context.Context, l link.Link, paths []string, stall time.Duration, tell func(string)) error {
	size := localSize(ctx, paths)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	export := here(ctx, "nix-store", append([]string{"--export"}, paths...)...)
	said := &bounded{limit: 64 << 10}
	out, in := io.Pipe()
	export.Stdout, export.Stderr = in, said
	exported := make(chan error, 1)
	go func() {
		err := finish(ctx, export)
		in.CloseWithError(err) // nil: the end
		exported <- err
	}()
	counted := &counter{r: out}
	watched := counted.watch(ctx, stall, stop, func(n int64) { tell(howFar(n, size)) })
	cmd := link.Script("exec nix-store --import >/dev/null")
	cmd.Root, cmd.Stdin = true, counted
	res, err := l.Run(ctx, cmd)
	watched()
	var why error // of an export that ended first: else it ends with its reader
	select {
	case why = <-exported:
	default:
		out.Close()
		<-exported
	}
	name := l.Host().Name
	switch {
	case err == nil && res.Status == 0: // it took the stream to its end mark
		return nil
	case why != nil && said.kept.Len() > 0 && ctx.Err() == nil:
		return fmt.Errorf("copying to %s: reading this machine's store: %s", name, lastWords(said.kept.Bytes()))
	case err != nil:
		return fmt.Errorf("copying to %s: %w", name, err)
	}
	return fmt.Errorf("copying to %s: %w", name, cured(lastWords(res.Stderr)))
}

// howFar tells of a stream, whose size is 0 where it is not known.
func howFar(n, size int64) string {
	if size > 0 {
		return fmt.Sprintf("copying: %d of %d MiB", min(n, size)>>20, (size+1<<20-1)>>20)
	}
	return fmt.Sprintf("copying: %d MiB", n>>20)
}

// cured adds to nix's refusal of paths what can be done about it.
func cured(why string) error {
	if strings.Contains(why, "signature") {
		return fmt.Errorf("%s; %w", why, ErrUntrusted)
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
