package nixops

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
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

// Copy brings store paths with all they need to a host, over our own connection:
// by the login, host key and jump host that were checked already, and as root
// where that is by sudo. What the host can have from its own caches it fetches
// itself; the rest is streamed from this machine's store into its own.
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
	if err := fetch(ctx, l, missing); err != nil {
		return err
	}
	if missing, err = invalid(ctx, l, closure); err != nil || len(missing) == 0 {
		return err
	}
	return send(ctx, l, missing, tell)
}

// localClosure are a path and all it needs, what is needed first.
func localClosure(ctx context.Context, path string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "nix-store", "-qR", path)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("reading what %s needs: %w: %s", path, err, fleet.Short(fleet.Clean(lastLine(said.Bytes())), 200))
	}
	return strings.Fields(string(out)), nil
}

// onHost runs a program of the shell on a host, with lines on its input.
func onHost(ctx context.Context, l link.Link, root bool, text string, lines []string, args ...string) ([]byte, error) {
	cmd := link.Script(text, args...)
	cmd.Root, cmd.IfRoot, cmd.Limit = root, !root, 32<<20
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	res, err := l.Run(ctx, cmd)
	if err == nil && res.Status != 0 {
		err = fmt.Errorf("%s: %s", l.Host().Name, fleet.Short(fleet.Clean(lastLine(res.Stderr)), 300))
	}
	return res.Stdout, err
}

// invalid are those of the paths that a host does not have, in their order.
func invalid(ctx context.Context, l link.Link, paths []string) ([]string, error) {
	out, err := onHost(ctx, l, false, "xargs nix-store --check-validity --print-invalid", paths)
	if err != nil {
		return nil, fmt.Errorf("asking what is missing: %w", err)
	}
	absent := set(strings.Fields(string(out)))
	var list []string
	for _, p := range paths {
		if absent[p] {
			list = append(list, p)
		}
	}
	return list, nil
}

// fetch has a host get from its caches what they have. That they lack something
// is no error; nothing is built.
func fetch(ctx context.Context, l link.Link, paths []string) error {
	_, err := onHost(ctx, l, true, "xargs nix-store --realise --keep-going --max-jobs 0 >/dev/null 2>&1; exit 0", paths)
	return err
}

// send streams paths from this machine's store into the host's.
func send(ctx context.Context, l link.Link, paths []string, tell func(string)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	export := exec.CommandContext(ctx, "nix-store", append([]string{"--export"}, paths...)...)
	var said bytes.Buffer
	export.Stderr = &said
	stream, err := export.StdoutPipe()
	if err != nil {
		return err
	}
	if err := export.Start(); err != nil {
		return fmt.Errorf("reading this machine's store: %w", err)
	}
	counted := &counter{r: bufio.NewReaderSize(stream, 256<<10)}
	watched := make(chan struct{})
	go func() { defer close(watched); counted.watch(ctx, stop, tell) }()
	cmd := link.Script("exec nix-store --import >/dev/null")
	cmd.Root, cmd.Stdin = true, counted
	res, err := l.Run(ctx, cmd)
	stop(nil)
	<-watched
	werr := export.Wait()
	name := l.Host().Name
	switch {
	case err != nil:
		return fmt.Errorf("copying to %s: %w", name, err)
	case res.Status != 0:
		return fmt.Errorf("copying to %s: %w", name, cured(fleet.Clean(lastLine(res.Stderr))))
	case werr != nil && counted.whole.Load() == 0:
		return fmt.Errorf("reading this machine's store: %w: %s", werr, fleet.Short(fleet.Clean(lastLine(said.Bytes())), 200))
	}
	return nil
}

// cured adds to nix's refusal of paths what can be done about it.
func cured(why string) error {
	if strings.Contains(why, "signature") {
		return errors.New(why + "; three cures: log in as root or as one of nix's trusted-users (who are as good as root); " +
			"sign the paths and add the key to the host's trusted-public-keys; build on the host (--build-on target)")
	}
	return errors.New(fleet.Short(why, 300))
}

// counter counts what is read through it.
type counter struct {
	r     io.Reader
	n     atomic.Int64
	whole atomic.Int64 // 1: read to the end
}

// Read reads on.
func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	if errors.Is(err, io.EOF) {
		c.whole.Store(1)
	}
	return n, err
}

// watch tells how much was taken, and stops a copy that stands still.
func (c *counter) watch(ctx context.Context, stop context.CancelCauseFunc, tell func(string)) {
	last, since := int64(0), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(tellEvery):
		}
		if n := c.n.Load(); n != last {
			last, since = n, time.Now()
			tell(fmt.Sprintf("copying: %d MiB", n>>20))
		} else if time.Since(since) > stallLimit {
			stop(fmt.Errorf("nothing was taken for %s", stallLimit))
			return
		}
	}
}

// BuildOn builds a derivation of this machine's store on another host, and gives
// nothing but its end: the system is in that host's store then.
func BuildOn(ctx context.Context, l link.Link, derivation string, tell func(string)) (string, error) {
	if err := Copy(ctx, l, derivation, tell); err != nil {
		return "", err
	}
	tell("building there")
	out, err := onHost(ctx, l, true, `exec nix-store --realise "$1"`, nil, derivation)
	if err != nil {
		return "", fmt.Errorf("building on %w", err)
	}
	return lastLine(out), nil
}

// Fetch brings a store path with all it needs from a host into this machine's
// store. This machine's nix must take it: as root, or signed.
func Fetch(ctx context.Context, l link.Link, path string) error {
	cmd := link.Script(`nix-store --export $(nix-store -qR "$1")`, path)
	cmd.Root = true
	p, err := l.Start(ctx, cmd)
	if err != nil {
		return err
	}
	defer p.Close()
	take := exec.CommandContext(ctx, "nix-store", "--import")
	var said bytes.Buffer
	take.Stdin, take.Stderr = p, &said
	if err := take.Run(); err != nil {
		return fmt.Errorf("taking it into this machine's store: %w", cured(fleet.Clean(lastLine(said.Bytes()))))
	}
	res, err := p.Wait()
	if err == nil && res.Status != 0 {
		err = fmt.Errorf("%s: %s", l.Host().Name, fleet.Short(fleet.Clean(lastLine(res.Stderr)), 300))
	}
	return err
}
