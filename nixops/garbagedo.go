package nixops

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Bounds of what is asked of the program: each is longer than its own.
const (
	garbageLook   = 4 * time.Minute
	garbageDelete = 8 * time.Minute
	garbageStop   = 10 * time.Second // for nix to end, and to say what it did until then
)

// Garbage asks a host what takes room on it and what of that could go.
func (d *Deployer) Garbage(ctx context.Context, h fleet.Host) (Garbage, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, garbageLook, fmt.Errorf("its garbage was not told within %s", garbageLook))
	defer cancel()
	cmd := link.Script(garbageText, "look")
	cmd.IfRoot = true
	res, err := d.Links.Open(h).Run(ctx, cmd)
	switch {
	case err != nil:
		return Garbage{}, err // it names the host
	case res.Status != 0:
		return Garbage{}, failure(h.Name, "the look for garbage", res)
	case lastLine(res.Stdout) != "looked":
		return Garbage{}, fmt.Errorf("%s: the look for garbage broke off", h.Name)
	}
	g := parseGarbage(res.Stdout)
	if words := lastWords(res.Stderr); g.Dead == nil && words != "" {
		g.Unseen = append(g.Unseen, "nix says: "+words)
	}
	return g, nil
}

// DeleteGenerations deletes generations of a host and their entries in the boot
// menu, and gives those that are gone. The host looks itself which must stay: one of
// these, or one that is not there, and none is deleted. Once begun it goes to its
// end, also when the context ends.
func (d *Deployer) DeleteGenerations(ctx context.Context, h fleet.Host, numbers []int) ([]int, error) {
	e := fleet.Event{At: time.Now(), Kind: fleet.EventGarbage, Level: fleet.Info, Text: "deleted " + numberList(numbers), Result: "deleted"}
	gone, err := d.deleteGenerations(ctx, h, numbers)
	if err != nil {
		e.Level, e.Result = fleet.Error, err.Error()
		e.Text = "delete " + numberList(numbers) + "; " + err.Error()
	}
	d.Did(h, e)
	return gone, err
}

func (d *Deployer) deleteGenerations(ctx context.Context, h fleet.Host, numbers []int) ([]int, error) {
	l := d.Links.Open(h)
	if _, err := l.Connect(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), garbageDelete, fmt.Errorf("the deletion did not end within %s", garbageDelete))
	defer cancel()
	args := []string{"delete"}
	for _, n := range numbers {
		args = append(args, strconv.Itoa(n))
	}
	cmd := link.Script(garbageText, args...)
	cmd.Root = true
	res, err := l.Run(ctx, cmd)
	switch {
	case errors.Is(err, link.ErrNoRoot):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w; some may be deleted: look again", err)
	case res.Status != 0:
		return nil, failure(h.Name, "deleting generations", res)
	case lastLine(res.Stdout) != "done":
		return nil, fmt.Errorf("%s: deleting generations broke off; some may be deleted: look again", h.Name)
	}
	return parseDeletion(res.Stdout, h.Name, numbers)
}

// parseDeletion reads what became of generations that were to be deleted.
func parseDeletion(out []byte, host string, numbers []int) (gone []int, err error) {
	var nixWords, menuWords string
	nixCode, menuCode := "0", "0"
	for line := range strings.Lines(string(out)) {
		word, text, _ := strings.Cut(fleet.Clean(strings.TrimSpace(line)), " ")
		code, words, _ := strings.Cut(text, " ")
		switch word {
		case "deleted":
			if n, err := strconv.Atoi(code); err == nil && slices.Contains(numbers, n) && !slices.Contains(gone, n) {
				gone = append(gone, n)
			}
		case "nix-env":
			nixCode, nixWords = code, fleet.Short(words, 300)
		case "menu":
			menuCode, menuWords = code, fleet.Short(words, 300)
		}
	}
	slices.Sort(gone)
	var left []int
	for _, n := range numbers {
		if !slices.Contains(gone, n) {
			left = append(left, n)
		}
	}
	var why []error
	if len(left) > 0 || nixCode != "0" {
		why = append(why, fmt.Errorf("%s: nix-env --delete-generations ended with %s: %s; it left %s", host, nixCode, nixWords, numberList(left)))
	}
	if menuCode != "0" {
		why = append(why, fmt.Errorf("%s: %s deleted, but the boot menu may still list them: switch-to-configuration boot ended with %s: %s; "+
			"run it there again, as root: /nix/var/nix/profiles/system/bin/switch-to-configuration boot", host, numberList(gone), menuCode, menuWords))
	}
	return gone, errors.Join(why...)
}

// numberList are generations in words.
func numberList(numbers []int) string {
	words := make([]string, len(numbers))
	for i, n := range numbers {
		words[i] = strconv.Itoa(n)
	}
	switch len(words) {
	case 0:
		return "none"
	case 1:
		return "generation " + words[0]
	}
	return "generations " + strings.Join(words, ", ")
}

// Collect deletes the dead store paths of a host and tells what nix says of it.
// When the context ends, nix is stopped there: what it has freed until then is
// given beside the error.
func (d *Deployer) Collect(ctx context.Context, h fleet.Host, tell func(string)) (Freed, error) {
	e := fleet.Event{At: time.Now(), Kind: fleet.EventGarbage, Level: fleet.Info}
	freed, err := d.collect(ctx, h, tell)
	e.Result = freed.String()
	e.Text = "garbage collected: " + e.Result
	if err != nil {
		e.Level, e.Result = fleet.Error, err.Error()
		e.Text = "garbage collection; " + err.Error()
	}
	d.Did(h, e)
	return freed, err
}

func (d *Deployer) collect(ctx context.Context, h fleet.Host, tell func(string)) (Freed, error) {
	l := d.Links.Open(h)
	if _, err := l.Connect(ctx); err != nil {
		return Freed{}, err
	}
	input, end := io.Pipe() // its end is what stops the program
	defer end.Close()
	running, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	defer kill(nil)
	defer context.AfterFunc(ctx, func() {
		end.Close()
		late := time.AfterFunc(garbageStop, func() { kill(context.Cause(ctx)) })
		context.AfterFunc(running, func() { late.Stop() })
	})()
	cmd := link.Script(garbageText, "collect")
	cmd.Root, cmd.Stdin = true, input
	p, err := l.Start(running, cmd)
	if err != nil {
		return Freed{}, err
	}
	defer p.Close()
	c := collecting{tell: tell}
	if err := c.follow(p); err != nil {
		return c.freed, fmt.Errorf("%s: collecting garbage: %w", h.Name, err)
	}
	end.Close()
	res, err := p.Wait()
	if err == nil && res.Status != 0 {
		res.Stdout = []byte(c.last)
		err = failure(h.Name, "collecting garbage", res)
	}
	switch {
	case ctx.Err() != nil && c.ended != "0":
		return c.freed, fmt.Errorf("%s: stopped, %s: %w", h.Name, c.freed, context.Cause(ctx))
	case err != nil:
		return c.freed, err
	}
	return c.freed, c.failure(h.Name)
}

// follow hears what a process says, to its end.
func (c *collecting) follow(p io.Reader) error {
	lines := bufio.NewScanner(p)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		c.hear(string(bytes.TrimSpace(lines.Bytes())))
	}
	return lines.Err()
}
