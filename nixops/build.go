package nixops

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/sextant-fleet/sextant/fleet/link"
)

// BuildOn builds a derivation of this machine's store on another host and gives
// the store path: the system is in that host's store then.
func BuildOn(ctx context.Context, l link.Link, derivation string, tell func(string)) (string, error) {
	if err := Copy(ctx, l, derivation, tell); err != nil {
		return "", err
	}
	tell("building there")
	heard := &listener{tell: func(b Building) { tell(b.String()) }}
	cmd := link.Script(`exec nix-store --realise "$1" --log-format internal-json -v 2>&1`, derivation)
	cmd.Root = true
	res, err := stream(ctx, l, cmd, 0, heard)
	heard.end()
	out := ""
	for _, line := range heard.plain { // its output, among its other words
		if storePath.MatchString(line) && !isDerivation(line) {
			out = line
		}
	}
	name := l.Host().Name
	switch {
	case err != nil:
		return "", fmt.Errorf("building on %s: %w", name, err)
	case res.Status == 0 && out != "":
		return out, nil
	case heard.failure() != "":
		return "", fmt.Errorf("building on %s: %w", name, heard.broken())
	case len(res.Stderr) > 0:
		return "", fmt.Errorf("building on %s: %s", name, lastWords(res.Stderr))
	}
	return "", fmt.Errorf("building on %s: nix does not tell what it has built (exit status %d)", name, res.Status)
}

// storePath is a path of a store, and nothing below it.
var storePath = regexp.MustCompile(`^/[^ ]*/[0-9a-z]{32}-[0-9A-Za-z+._?=-]+$`)

// Fetch brings a store path with all it needs from a host into this machine's
// store. This machine's nix must take it: as root, or signed.
func Fetch(ctx context.Context, l link.Link, path string) error {
	name := l.Host().Name
	out, err := onHost(ctx, l, `exec nix-store -qR "$1"`, nil, path)
	if err != nil {
		return fmt.Errorf("asking what %s needs: %w", path, err)
	}
	closure := strings.Fields(string(out))
	if len(closure) == 0 {
		return fmt.Errorf("asking what %s needs: %s does not tell", path, name)
	}
	absent, err := localStore(ctx, append([]string{"--check-validity", "--print-invalid"}, closure...)...)
	if err != nil {
		return fmt.Errorf("asking this machine's store what is missing: %w", err)
	}
	lacking, missing := set(strings.Fields(absent)), []string{}
	for _, p := range closure { // in their order: what is needed first
		if lacking[p] {
			missing = append(missing, p)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return take(ctx, l, missing)
}

// take streams paths of a host's store into this machine's.
func take(ctx context.Context, l link.Link, paths []string) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cmd := link.Script(`exec nix-store --export $(cat)`) // xargs may cut the list, and a stream has one end only
	cmd.Root, cmd.Stdin = true, strings.NewReader(strings.Join(paths, "\n")+"\n")
	p, err := l.Start(ctx, cmd)
	if err != nil {
		return err
	}
	defer p.Close()
	counted := &counter{r: p}
	watched := counted.watch(ctx, stallLimit, stop, func(int64) {})
	taking := here(ctx, "nix-store", "--import")
	said := &bounded{limit: 64 << 10}
	taking.Stdin, taking.Stderr = counted, said
	err = finish(ctx, taking)
	watched()
	name := l.Host().Name
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("fetching from %s: %w", name, context.Cause(ctx))
	case err != nil && strings.Contains(lastWords(said.kept.Bytes()), "signature"):
		return fmt.Errorf("taking it into this machine's store: %w", cured(lastWords(said.kept.Bytes())))
	case err == nil:
		return nil // the stream was taken to its end mark
	}
	if counted.ended.Load() {
		if res, there := p.Wait(); there == nil && res.Status != 0 { // it ended first, and knows why
			return fmt.Errorf("fetching from %s: %s", name, lastWords(res.Stderr))
		}
	}
	if said.kept.Len() > 0 {
		err = errors.New(lastWords(said.kept.Bytes()))
	}
	return fmt.Errorf("taking it into this machine's store: %w", err)
}
