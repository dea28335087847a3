package simulate

import (
	"errors"
	"strings"
)

// errSyntax is a line that no shell would take.
var errSyntax = errors.New("unterminated quoted string")

// errMore is a line that needs a real shell.
var errMore = errors.New("more shell than is simulated")

// step is one command of a line, and when it runs.
type step struct {
	words []string
	when  string // "", "&&" or "||"
}

// parse reads a line as a POSIX shell does: words, quotes, comments, and
// commands joined by newline, ;, && and ||. Anything that would need a real
// shell (expansions, pipes, redirections, compound commands) is errMore.
func parse(line string) ([]step, error) {
	p := &parser{line: line}
	for p.pos < len(p.line) {
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	p.endWord()
	p.endStep("")
	return p.steps, nil
}

// parseFirst parses only the first command of a program, and gives its words and
// what comes behind it.
func parseFirst(text string) (words []string, rest string, err error) {
	p := &parser{line: text}
	for p.pos < len(p.line) && len(p.steps) == 0 {
		if err := p.next(); err != nil {
			return nil, "", err
		}
	}
	if len(p.steps) == 0 {
		return nil, "", errMore
	}
	return p.steps[0].words, text[p.pos:], nil
}

type parser struct {
	line  string
	pos   int
	word  strings.Builder
	open  bool // a word has begun, if only with quotes
	words []string
	when  string
	steps []step
}

func (p *parser) endWord() {
	if p.open {
		p.words = append(p.words, p.word.String())
		p.word.Reset()
		p.open = false
	}
}

func (p *parser) endStep(when string) {
	p.endWord()
	if len(p.words) > 0 {
		p.steps = append(p.steps, step{p.words, p.when})
		p.words, p.when = nil, ""
	}
	if when != "" {
		p.when = when
	}
}

// next takes one character or quoted piece.
func (p *parser) next() error {
	rest := p.line[p.pos:]
	c := rest[0]
	p.pos++
	switch {
	case c == '\'':
		return p.until('\'')
	case c == '"':
		return p.quoted()
	case c == '\\':
		p.escape()
	case c == ' ' || c == '\t':
		p.endWord()
	case c == '\n' || c == ';':
		p.endStep("")
	case strings.HasPrefix(rest, "&&"), strings.HasPrefix(rest, "||"):
		p.pos++
		p.endStep(rest[:2])
	case c == '#' && !p.open:
		if i := strings.IndexByte(rest, '\n'); i >= 0 {
			p.pos += i - 1
		} else {
			p.pos = len(p.line)
		}
	case strings.IndexByte("$`|&<>(){}*?[]~", c) >= 0:
		return errMore
	default:
		p.word.WriteByte(c)
		p.open = true
	}
	return nil
}

func (p *parser) until(quote byte) error {
	i := strings.IndexByte(p.line[p.pos:], quote)
	if i < 0 {
		return errSyntax
	}
	p.word.WriteString(p.line[p.pos : p.pos+i])
	p.open = true
	p.pos += i + 1
	return nil
}

func (p *parser) quoted() error {
	p.open = true
	for p.pos < len(p.line) {
		c := p.line[p.pos]
		p.pos++
		switch {
		case c == '"':
			return nil
		case c == '$' || c == '`':
			return errMore
		case c == '\\' && p.pos < len(p.line) && strings.IndexByte("$`\"\\", p.line[p.pos]) >= 0:
			p.word.WriteByte(p.line[p.pos])
			p.pos++
		default:
			p.word.WriteByte(c)
		}
	}
	return errSyntax
}

func (p *parser) escape() {
	c := byte('\\') // at the end it stands for itself
	if p.pos < len(p.line) {
		c = p.line[p.pos]
		p.pos++
	}
	if c != '\n' { // else the line goes on
		p.word.WriteByte(c)
		p.open = true
	}
}
