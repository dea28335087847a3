package nixops

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// Building is how far nix is.
type Building struct {
	Built, ToBuild int    // derivations
	Copied, ToCopy int    // store paths, from a cache or another machine
	Doing          string // what it is at: "building NAME"
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
	if b.Doing != "" {
		parts = append(parts, b.Doing)
	}
	return strings.Join(parts, ", ")
}

// Kinds of activities and results in nix's internal-json (src/libutil/logging.hh).
const (
	kindCopyPaths  = 103
	kindBuilds     = 104
	kindBuild      = 105
	kindSubstitute = 108

	resultLogLine  = 101
	resultProgress = 105
)

// Most of what is kept of nix's words.
const (
	errorLines = 12
	logLines   = 10
)

// progress reads nix's internal-json, a line at a time.
type progress struct {
	Building
	kinds  map[uint64]int
	errors []string // what nix says is wrong, its last words
	log    []string // the last lines of what is built
}

// read takes in one line and tells whether there is something new to tell.
func (p *progress) read(line []byte) bool {
	text, ok := bytes.CutPrefix(line, []byte("@nix "))
	if !ok {
		return false
	}
	var m struct {
		Action string
		ID     uint64
		Level  int
		Type   int
		Fields []any
		Msg    string
		RawMsg string `json:"raw_msg"`
	}
	if json.Unmarshal(text, &m) != nil {
		return false
	}
	switch m.Action {
	case "msg":
		if m.Level == 0 {
			p.errors = append(p.errors, strings.Split(m.Msg, "\n")...)
		}
	case "start":
		return p.start(m.ID, m.Type, m.Fields)
	case "stop":
		delete(p.kinds, m.ID)
	case "result":
		return p.result(p.kinds[m.ID], m.Type, m.Fields)
	}
	return false
}

func (p *progress) start(id uint64, kind int, fields []any) bool {
	if len(p.kinds) < 10000 {
		p.kinds[id] = kind
	}
	word := map[int]string{kindBuild: "building ", kindSubstitute: "fetching "}[kind]
	if word == "" || len(fields) == 0 {
		return false
	}
	store, _ := fields[0].(string)
	name, version := nameVersion(strings.TrimSuffix(store, ".drv"))
	p.Doing = word + fleet.Clean(strings.TrimSuffix(name+"-"+version, "-"))
	return true
}

func (p *progress) result(kind, result int, fields []any) bool {
	switch result {
	case resultLogLine:
		if len(fields) > 0 {
			p.log = append(p.log[max(0, len(p.log)-logLines+1):], fleet.Clean(fmt.Sprint(fields[0])))
		}
	case resultProgress:
		if len(fields) < 2 {
			return false
		}
		done, _ := fields[0].(float64)
		expected, _ := fields[1].(float64)
		before := p.Building
		switch kind {
		case kindBuilds:
			p.Built, p.ToBuild = int(done), int(expected)
		case kindCopyPaths:
			p.Copied, p.ToCopy = int(done), int(expected)
		}
		return before != p.Building
	}
	return false
}

// failure is the end of what nix says is wrong: the trace before it is left out.
func (p *progress) failure() string {
	var lines []string
	for _, l := range p.errors {
		l = strings.TrimRight(fleet.Clean(l), " ")
		if strings.TrimSpace(l) == "" || strings.Contains(l, "while evaluating") || strings.Contains(l, "(use '--show-trace'") {
			continue
		}
		lines = append(lines, l)
	}
	if len(lines) > errorLines {
		lines = append([]string{fmt.Sprintf("(%d lines before)", len(lines)-errorLines)}, lines[len(lines)-errorLines:]...)
	}
	if len(lines) > 0 && len(p.log) > 0 && !strings.Contains(strings.Join(lines, "\n"), path.Base(p.log[len(p.log)-1])) {
		lines = append(lines, "the log of the build ends:")
		lines = append(lines, p.log...)
	}
	return strings.TrimPrefix(strings.Join(lines, "\n"), "error: ")
}
