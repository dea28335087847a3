package nixops

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet/link"
)

// shelf is a store that paths are copied from.
type shelf interface {
	// query is what nix-store says of paths.
	query(ctx context.Context, paths []string, args ...string) (string, error)
	// export streams paths into w, to their end mark; its error is what is wrong
	// with them, or with the way to them. They are one command line: see [parts].
	export(ctx context.Context, w io.Writer, paths []string) error
	String() string
}

// size is how many bytes paths are in a stream; 0: it is not told.
func size(ctx context.Context, s shelf, paths []string) int64 {
	out, err := s.query(ctx, paths, "-q", "--size")
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

// partBytes is how long the arguments of one command may be together. A system's
// derivation needs tens of thousands of paths, and Linux takes 2 MiB, or 128 KiB
// where the stack is small.
const partBytes = 96 << 10

// parts cuts paths into those that fit into one command line each, in their order.
func parts(paths []string) [][]string {
	var all [][]string
	first, n := 0, 0
	for i, p := range paths {
		takes := len(p) + 9 // its end, and where it is
		if n += takes; n > partBytes && i > first {
			all, first, n = append(all, paths[first:i]), i, takes
		}
	}
	if first < len(paths) {
		all = append(all, paths[first:])
	}
	return all
}

// mine is this machine's store. Everybody may read it.
type mine struct{}

func (mine) String() string { return "this machine's store" }

func (mine) query(ctx context.Context, paths []string, args ...string) (string, error) {
	out := &bounded{limit: outputLimit}
	for _, part := range parts(paths) {
		if err := localStore(ctx, out, slices.Concat(args, part)...); err != nil {
			return out.kept.String(), err
		}
	}
	return out.kept.String(), nil
}

func (mine) export(ctx context.Context, w io.Writer, paths []string) error {
	return localStore(ctx, w, append([]string{"--export"}, paths...)...)
}

// localStore runs nix-store on this machine. Its error is what nix says is wrong.
func localStore(ctx context.Context, to io.Writer, args ...string) error {
	cmd := here(ctx, "nix-store", args...)
	said := &bounded{limit: 64 << 10}
	cmd.Stdout, cmd.Stderr = to, said
	err := finish(ctx, cmd)
	if err != nil && ctx.Err() == nil && said.kept.Len() > 0 {
		err = errors.New(lastWords(said.kept.Bytes()))
	}
	return err
}

// another is the store of a host.
type another struct{ link.Link }

func (a another) String() string { return "the store of " + a.Host().Name }

func (a another) query(ctx context.Context, paths []string, args ...string) (string, error) {
	out, err := onHost(ctx, a.Link, `xargs nix-store "$@"`, paths, args...)
	return string(out), err
}

func (a another) export(ctx context.Context, w io.Writer, paths []string) error {
	cmd := link.Script(`exec nix-store --export $(cat)`) // xargs may cut the list, and a stream has one end only
	cmd.Root, cmd.Stdin = true, strings.NewReader(strings.Join(paths, "\n")+"\n")
	p, err := a.Start(ctx, cmd)
	if err != nil {
		return err
	}
	defer p.Close()
	if _, err := io.Copy(w, p); err != nil {
		return err
	}
	res, err := p.Wait()
	if err == nil && res.Status != 0 {
		err = errors.New(lastWords(res.Stderr))
	}
	return err
}
