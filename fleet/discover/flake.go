package discover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Times of asking a flake.
const (
	flakeEvery = 30 * time.Second // how often a local flake's files are looked at
	flakeRetry = 5 * time.Minute
)

// FlakeReader evaluates what a flake declares: the names of its systems, and what
// deploy-rs or colmena know of them. tell is called with what is known so far, and
// once more with all. It is handed in: how flakes are read is nixops' to know.
type FlakeReader func(ctx context.Context, ref string, tell func([]fleet.FlakeHost)) error

// flake is a Nix flake as a source of hosts.
type flake struct {
	ref  string // flake reference
	here bool   // nobody named it: it lies in the current folder
	dir  string // its folder, where it is a local one
	nix  bool   // there is a nix command
	read FlakeReader
}

// newFlake makes the source for the configured flake, or for the one in dir.
// It gives nil where there is none, or where nobody asked for one and nix is missing.
func newFlake(c *Config, dir string, read FlakeReader) *flake {
	f := &flake{ref: c.FlakeRef(), read: read}
	_, err := exec.LookPath("nix")
	f.nix = err == nil
	switch {
	case read == nil:
		return nil
	case f.ref == "" && (!f.nix || dir == "" || !exists(filepath.Join(dir, "flake.nix"))):
		return nil
	case f.ref == "":
		f.ref, f.here = dir, true
	}
	if filepath.IsAbs(f.ref) {
		f.dir = f.ref
	}
	return f
}

// Name is "flake".
func (*flake) Name() string { return SourceFlake }

// Slow is true: an evaluation takes seconds, or minutes when inputs are fetched.
func (*flake) Slow() bool { return true }

// Watch asks the flake, and again when its files changed.
func (f *flake) Watch(ctx context.Context, emit func([]Sighting, error)) {
	if !f.nix {
		emit(nil, &Trouble{errors.New("nix is not on PATH"), "install Nix, or take flake out of the configuration"})
		return
	}
	for ctx.Err() == nil {
		stamp, asked := f.stamp(), time.Now()
		err := f.ask(ctx, emit)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			emit(nil, &Trouble{fmt.Errorf("evaluating %s: %w", f.ref, err), "nix eval " + f.ref + "#nixosConfigurations --apply builtins.attrNames"})
		}
		for ctx.Err() == nil && f.stamp() == stamp && (err == nil || time.Since(asked) < flakeRetry) {
			pause(ctx, flakeEvery)
		}
	}
}

// stamp changes when the flake's own files do.
func (f *flake) stamp() string {
	out := ""
	if f.dir != "" {
		for _, name := range []string{"flake.nix", "flake.lock"} {
			if fi, err := os.Stat(filepath.Join(f.dir, name)); err == nil {
				out += fi.ModTime().String()
			}
		}
	}
	return out
}

// ask tells what the flake declares, as it becomes known.
func (f *flake) ask(ctx context.Context, emit func([]Sighting, error)) error {
	err := f.read(ctx, f.ref, func(hosts []fleet.FlakeHost) { emit(fromFlake(hosts), nil) })
	if f.here && errors.Is(err, fleet.ErrNoSystems) {
		emit([]Sighting{}, nil) // some project's flake, no fleet's
		return nil
	}
	return err
}

// fromFlake makes sightings of the flake's systems, by name.
func fromFlake(hosts []fleet.FlakeHost) []Sighting {
	list := make([]Sighting, 0, len(hosts))
	for _, h := range hosts {
		name := clean(h.Attr)
		if name == "" || name != h.Attr || !h.System() {
			continue // no such attribute can be named again, or nothing is built of it
		}
		s := Sighting{Source: SourceFlake, Name: name, Flake: h.Attr, Tags: tagNames(h.Tags), Tier: clean(h.Tier), User: h.User, Identity: h.Identity, Jump: h.Jump}
		if rest, ok := strings.CutPrefix(h.Identity, "~/"); ok {
			s.Identity = homeFile(rest)
		}
		if isIP(h.Hostname) || validHostName(h.Hostname) {
			s.Addresses = []fleet.Address{{Via: fleet.ViaConfig, Host: h.Hostname}}
		}
		if h.Port > 0 && h.Port < 65536 {
			s.Port = h.Port
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Sighting) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
