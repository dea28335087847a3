// Package probe asks a host everything that can be told in one round trip:
// what it is, which NixOS systems it has, what runs and what failed, how full
// and busy it is, and which services and sockets could be asked more.
//
// The questions are one POSIX shell program (probe.sh); the answers are read by
// pure functions, a file a subject. It asks nothing twice and changes nothing.
package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

//go:embed probe.sh
var script string

// timeout is how long a host may take to answer; limit is how much it may say.
const (
	timeout = 30 * time.Second
	limit   = 8 << 20
)

// Facts are what one probe told, each with its own error where it could not
// be told.
type Facts struct {
	System      fleet.Fact[fleet.System]
	Generations fleet.Fact[[]fleet.Generation]
	Inventory   fleet.Fact[fleet.Inventory]
	Units       fleet.Fact[[]fleet.Unit]
	Timers      fleet.Fact[[]fleet.Timer]
	Proc        fleet.Fact[fleet.Proc]
}

// Read probes the host. An error means that nothing was learnt: the host did
// not answer, or what it said broke off.
func Read(ctx context.Context, l link.Link) (Facts, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	mark := rand.Text()
	cmd := link.Script(script, mark)
	cmd.IfRoot, cmd.Limit = true, limit
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return Facts{}, err
	}
	facts, err := Parse(res.Stdout, mark, time.Now())
	if err != nil && len(res.Stderr) > 0 {
		err = fmt.Errorf("%w: %s", err, fleet.Short(fleet.Clean(strings.TrimSpace(string(res.Stderr))), 200))
	}
	return facts, err
}

// Parse reads what the program printed between its marks.
func Parse(out []byte, mark string, now time.Time) (Facts, error) {
	s, err := split(out, mark)
	if err != nil {
		return Facts{}, err
	}
	sys := system(s, now)
	f := Facts{
		System:    fleet.Known(sys, now, source),
		Inventory: fleet.Known(inventory(s), now, source),
		Proc:      procFact(s, now),
	}
	f.Units, f.Timers = unitFacts(s, now)
	if sys.NixOS {
		f.Generations = fleet.Known(generations(s, sys), now, source)
	} else {
		f.Generations = fleet.Nothing[[]fleet.Generation]("not NixOS: "+sys.OSName, now, source)
	}
	return f, nil
}

// source is how facts of the probe name it.
const source = "probe"

// sections are the parts of the output, by name.
type sections map[string][]byte

// split cuts the output at its marks. One that does not end with the section
// "end" broke off, and nothing of it is believed.
func split(out []byte, mark string) (sections, error) {
	s := sections{}
	name, start := "", 0
	head := []byte(mark + " ")
	for pos := 0; pos < len(out); {
		next := len(out)
		if i := bytes.IndexByte(out[pos:], '\n'); i >= 0 {
			next = pos + i + 1
		}
		if line := out[pos:next]; bytes.HasPrefix(line, head) {
			s[name] = trimBlank(out[start:pos])
			name, start = string(bytes.TrimSpace(line[len(head):])), next
		}
		pos = next
	}
	if name != "end" {
		return nil, fmt.Errorf("the answer of the host broke off after %d bytes (in %q)", len(out), fleet.Clean(name))
	}
	return s, nil
}

// trimBlank takes off the empty line that goes before each mark.
func trimBlank(b []byte) []byte { return bytes.TrimSuffix(b, []byte("\n")) }

// lines gives the lines of a section, cleaned of nothing but line ends.
func (s sections) lines(name string) []string {
	text := strings.TrimRight(string(s[name]), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// fields gives the lines of a section, cut at tabs.
func (s sections) fields(name string, atLeast int) [][]string {
	var out [][]string
	for _, l := range s.lines(name) {
		if f := strings.Split(l, "\t"); len(f) >= atLeast {
			out = append(out, f)
		}
	}
	return out
}
