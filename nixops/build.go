package nixops

import (
	"context"
	"fmt"
	"regexp"

	"github.com/sextant-fleet/sextant/fleet/link"
)

// BuildOn builds a derivation of this machine's store on another host and gives
// the store path: the system is in that host's store then.
func BuildOn(ctx context.Context, l link.Link, derivation string, how Copying, tell func(string)) (string, error) {
	if err := Copy(ctx, l, derivation, how, tell); err != nil {
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
