package nixops

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// Building is how far nix is.
type Building struct {
	Built, ToBuild int    // derivations
	Copied, ToCopy int    // store paths, from a cache or another machine
	Bytes          int64  // of those paths, unpacked
	Doing          string // what it is at: "building NAME"
	Failed         string // the derivation whose build failed first
}

// String tells it in few words.
func (b Building) String() string {
	var parts []string
	if b.ToBuild > 0 {
		parts = append(parts, fmt.Sprintf("%d/%d built", b.Built, b.ToBuild))
	}
	if b.ToCopy > 0 {
		parts = append(parts, fmt.Sprintf("%d/%d copied", b.Copied, b.ToCopy))
	}
	if b.Bytes > 0 {
		parts = append(parts, inUnits(b.Bytes))
	}
	if b.Doing != "" {
		parts = append(parts, b.Doing)
	}
	return strings.Join(parts, ", ")
}

// NixError is what nix says is wrong.
type NixError struct {
	What       string   // the end of its words, without its trace: at most 12 lines
	Derivation string   // the one whose build failed; "" where none did
	Log        []string // the end of that build's log: at most 200 lines
}

// Error gives what is wrong and, of a build, the last lines of its log.
func (e *NixError) Error() string {
	if len(e.Log) == 0 || strings.Contains(e.What, e.Log[len(e.Log)-1]) {
		return e.What
	}
	text := e.What + "\nthe log of the build ends:\n" + strings.Join(e.Log[max(0, len(e.Log)-logLines):], "\n")
	if e.Derivation != "" {
		text += "\nthe whole log, where it was built: nix log " + e.Derivation
	}
	return text
}

// Kinds of activities and results in nix's internal-json (src/libutil/logging.hh).
const (
	kindCopyPath   = 100
	kindCopyPaths  = 103
	kindBuilds     = 104
	kindBuild      = 105
	kindSubstitute = 108

	resultLogLine  = 101
	resultProgress = 105
)

// Most of what is kept of nix's words.
const (
	errorLines  = 12
	errorsKept  = 100
	logLines    = 10  // in the text of an error
	logKept     = 200 // of one build
	buildsKept  = 64  // whose logs are kept
	lineLimit   = 1 << 20
	activities  = 10000
	lineOfError = 200 // runes
)

// progress reads nix's internal-json, a line at a time.
type progress struct {
	Building
	kinds  map[uint64]int
	bytes  map[uint64]int64    // of copies: how much is done
	builds map[uint64]string   // derivations that are being built
	logs   map[string][]string // the ends of their logs
	order  []string            // of the derivations in logs, the last heard of last
	counts bool                // nix tells how many paths were copied: some versions do not
	errors []string            // what nix says is wrong, a message each
	plain  []string            // its last words that are not JSON
}

// message is one line of internal-json.
type message struct {
	Action string
	ID     uint64
	Level  int
	Type   int
	Text   string
	Fields []any
	Msg    string
}

// read takes in one line and tells whether there is something new to tell.
func (p *progress) read(line []byte) bool {
	text, ok := bytes.CutPrefix(line, []byte("@nix "))
	if !ok {
		if s := fleet.Clean(strings.TrimSpace(string(line))); s != "" {
			p.plain = append(p.plain[max(0, len(p.plain)-errorLines+1):], fleet.Short(s, lineOfError))
		}
		return false
	}
	var m message
	if json.Unmarshal(text, &m) != nil {
		return false
	}
	before := p.Building
	switch m.Action {
	case "msg":
		if m.Level == 0 && len(p.errors) < errorsKept {
			p.errors = append(p.errors, m.Msg)
			p.blame(m.Msg)
		}
	case "start":
		p.start(m)
	case "stop":
		if p.kinds[m.ID] == kindCopyPath && !p.counts {
			p.Copied++
		}
		delete(p.kinds, m.ID)
		delete(p.bytes, m.ID)
		delete(p.builds, m.ID)
	case "result":
		p.result(m)
	}
	return before != p.Building
}

// copying is what versions say that do not tell how far they are with copying.
var copying = regexp.MustCompile(`^copying (\d{1,6}) paths`)

func (p *progress) start(m message) {
	if p.kinds == nil {
		p.kinds = map[uint64]int{}
	}
	if len(p.kinds) < activities {
		p.kinds[m.ID] = m.Type
	}
	if n := copying.FindStringSubmatch(m.Text); n != nil && m.Type == kindCopyPaths && !p.counts {
		more := 0
		_, _ = fmt.Sscan(n[1], &more)
		p.ToCopy += more
	}
	word := map[int]string{kindBuild: "building ", kindSubstitute: "fetching ", kindCopyPath: "copying "}[m.Type]
	if word == "" || len(m.Fields) == 0 {
		return
	}
	store, _ := m.Fields[0].(string)
	store = fleet.Clean(store)
	p.Doing = word + fleet.Short(named(store), lineOfError)
	if m.Type == kindBuild && len(p.builds) < activities {
		if p.builds == nil {
			p.builds = map[uint64]string{}
		}
		p.builds[m.ID] = store
	}
}

// named is what a store path is called, with its version.
func named(store string) string {
	name, version := nameVersion(strings.TrimSuffix(store, ".drv"))
	return strings.TrimSuffix(name+"-"+version, "-")
}

func (p *progress) result(m message) {
	switch m.Type {
	case resultLogLine:
		if len(m.Fields) > 0 {
			p.keep(p.builds[m.ID], fleet.Short(fleet.Clean(fmt.Sprint(m.Fields[0])), 1000))
		}
	case resultProgress:
		if len(m.Fields) < 2 {
			return
		}
		done, expected := whole(m.Fields[0]), whole(m.Fields[1])
		switch p.kinds[m.ID] {
		case kindBuilds:
			p.Built, p.ToBuild = int(done), int(expected)
		case kindCopyPaths:
			if expected > 0 {
				p.Copied, p.ToCopy, p.counts = int(done), int(expected), true
			}
		case kindCopyPath:
			if p.bytes == nil {
				p.bytes = map[uint64]int64{}
			}
			p.Bytes += max(0, done-p.bytes[m.ID])
			p.bytes[m.ID] = max(done, p.bytes[m.ID])
		}
	}
}

// whole is a count of nix's; what cannot be one is 0.
func whole(v any) int64 {
	f, _ := v.(float64)
	if !(f > 0 && f < 1<<53) {
		return 0
	}
	return int64(f)
}

// keep keeps a line of a build's log, of the builds heard of last.
func (p *progress) keep(derivation, line string) {
	if p.logs == nil {
		p.logs = map[string][]string{}
	}
	if i := slices.Index(p.order, derivation); i >= 0 {
		p.order = slices.Delete(p.order, i, i+1)
	} else if len(p.order) == buildsKept {
		delete(p.logs, p.order[0])
		p.order = p.order[1:]
	}
	p.order = append(p.order, derivation)
	log := p.logs[derivation]
	p.logs[derivation] = append(log[max(0, len(log)-logKept+1):], line)
}

// quotedDerivation is how nix's messages name one.
var quotedDerivation = regexp.MustCompile(`'(/[^' ]+\.drv)'`)

// follows is what nix says of derivations that were not built because another failed.
var follows = regexp.MustCompile(`dependenc(y|ies) (of .* )?failed|due to failed dependency|some references of path|[Bb]uild failed due to`)

// blame takes in which derivation failed.
func (p *progress) blame(msg string) {
	msg = fleet.Clean(msg)
	if d := quotedDerivation.FindStringSubmatch(msg); d != nil && p.Failed == "" && !follows.MatchString(msg) {
		p.Failed = d[1]
	}
}

// broken is the error of a nix that failed.
func (p *progress) broken() *NixError {
	e := &NixError{What: p.what(), Derivation: p.Failed, Log: p.logs[p.Failed]}
	if e.Log == nil && len(p.order) > 0 && len(p.errors) > 0 {
		e.Log = p.logs[p.order[len(p.order)-1]]
	}
	return e
}

// failure is the text of that error, "" where nix said nothing.
func (p *progress) failure() string { return p.broken().Error() }

// what is what nix says is wrong, without the traces before it and without
// the derivations that failed only because another did.
func (p *progress) what() string {
	var first, after []string
	for _, msg := range p.errors {
		if text := essence(msg); len(text) == 0 {
			continue
		} else if follows.MatchString(strings.Join(text, " ")) {
			after = append(after, text...)
		} else {
			first = append(first, text...)
		}
	}
	lines := first
	switch {
	case len(lines) > 0:
	case len(after) > 0:
		lines = after
	default:
		lines = p.plain
	}
	if len(lines) > errorLines {
		left := len(lines) - errorLines + 1
		lines = slices.Concat(lines[:4], []string{"(" + fleet.Count(left, "line") + " left out)"}, lines[4+left:])
	}
	return strings.TrimPrefix(strings.Join(lines, "\n"), "error: ")
}

// essence is what one message says is wrong, from where its trace has ended.
func essence(msg string) []string {
	var lines []string
	for l := range strings.Lines(msg) {
		l = fleet.Clean(strings.TrimRight(l, "\r\n"))
		switch word := strings.TrimSpace(l); {
		case strings.HasPrefix(word, "warning:"):
			return nil
		case strings.HasPrefix(word, "error: "), word == "error:":
			lines = nil // what stood before was the way here
			if word != "error:" {
				lines = []string{fleet.Short(word, lineOfError)}
			}
		case word == "" || strings.HasPrefix(word, "…") || strings.Contains(word, "while evaluating") || strings.Contains(word, "(use '--show-trace'") || strings.Contains(word, "stack trace truncated"):
		default:
			lines = append(lines, fleet.Short(strings.TrimRight(l, " "), lineOfError))
		}
	}
	return lines
}

// listener is where nix writes its words: it reads them a line at a time.
type listener struct {
	progress
	tell func(Building)
	rest []byte
}

// Write implements [io.Writer].
func (l *listener) Write(b []byte) (int, error) {
	n := len(b)
	for {
		line, more, ended := bytes.Cut(b, []byte("\n"))
		if len(l.rest)+len(line) <= lineLimit { // nix writes none as long
			l.rest = append(l.rest, line...)
		}
		if !ended {
			return n, nil
		}
		l.end()
		b = more
	}
}

// end takes in the line that was begun.
func (l *listener) end() {
	if l.read(l.rest) && l.tell != nil {
		l.tell(l.Building)
	}
	l.rest = l.rest[:0]
}
