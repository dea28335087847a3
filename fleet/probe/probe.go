// Package probe asks a host everything that can be told in one round trip:
// what it is, which NixOS systems it has, what runs and what failed, how full
// and busy it is, and which services and sockets could be asked more.
//
// The questions are one POSIX shell program (probe.sh), which stays open and
// tells only what has moved when it is asked again; the answers are read by pure
// functions, a file a subject. It changes nothing.
package probe

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
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

// parse reads an answer of the program, which printed it between its marks.
// last are the sections of the answer before, or nil: what the host said has
// not changed since is taken from there. It gives the sections of now.
func parse(out []byte, mark string, now time.Time, last sections) (Facts, sections, error) {
	s, err := split(out, mark)
	if err != nil {
		return Facts{}, nil, err
	}
	if _, same := s["same"]; same {
		if last == nil {
			return Facts{}, nil, errors.New("the host says that nothing changed, and was asked for the first time")
		}
		s = s.over(last)
	}
	if _, same := s["same-users"]; same {
		s.takeUsers(last)
	}
	sys, asked := system(s, now), now.Add(-patience(s))
	f := Facts{
		System:    fleet.Known(sys, now, source),
		Inventory: fleet.Known(inventory(s), asked, source),
		Proc:      procFact(s, now),
	}
	f.Units, f.Timers = unitFacts(s, asked)
	if f.Units.HasValue() {
		f.Units.Value, f.Units.At = append(f.Units.Value, userUnits(s)...), now.Add(-max(patience(s), usersPatience(s)))
	}
	if sys.NixOS {
		f.Generations = fleet.Known(generations(s, sys), now, source)
	} else {
		f.Generations = fleet.Nothing[[]fleet.Generation]("not NixOS: "+sys.OSName, now, source)
	}
	return f, s, nil
}

// source is how facts of the probe name it.
const source = "probe"

// sections are the parts of the output, by name.
type sections map[string][]byte

// errBrokenOff is an answer without its end.
var errBrokenOff = errors.New("the answer of the host broke off")

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
		return nil, fmt.Errorf("%w after %d bytes (in %q)", errBrokenOff, len(out), fleet.Clean(name))
	}
	return s, nil
}

// patience is how long ago the host was last asked what costs it most: systemd,
// and who listens. The section "clock" tells the time of then, and how many
// seconds ago that was.
func patience(s sections) time.Duration {
	return time.Duration(min(count(s.lines("clock"), 1), 3600)) * time.Second
}

// over lays the sections of an answer over those of the one before. Rates are
// taken since then.
func (s sections) over(last sections) sections {
	out := maps.Clone(last)
	out["before"] = last["after"]
	delete(out, "same-users")
	maps.Copy(out, s)
	delete(out, "same")
	return out
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
