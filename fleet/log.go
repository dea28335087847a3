package fleet

import (
	"context"
	"strings"
	"time"
)

// LogSource is what writes a log: a unit or a container of a host; the whole
// journal where it names neither.
type LogSource struct {
	Host      HostID
	Unit      string // systemd unit, or
	Container string // container by name
	User      string // whose container or user unit; "" root's
}

// Name is what a source is called on a screen.
func (s LogSource) Name() string {
	if s.Container != "" {
		return s.Container
	}
	return strings.TrimSuffix(s.Unit, ".service")
}

// LogQuery asks for lines of one log, or of several as one. Times are by this
// machine's clock.
type LogQuery struct {
	Sources []LogSource
	Since   time.Time // zero: from the beginning
	Until   time.Time // the last moment that still counts; zero: up to now
	Lines   int       // at most this many old lines; 0: the default of 500
	Oldest  bool      // of those the oldest, not the newest
	Follow  bool      // go on as lines come
	// Grep is a regular expression: only lines that match, of all that the log
	// has. Capitals count where it has some.
	Grep string
}

// DefaultLogLines is how many old lines a query gives that does not say.
const DefaultLogLines = 500

// MaxLines is how many old lines the query wants.
func (q LogQuery) MaxLines() int {
	if q.Lines <= 0 {
		return DefaultLogLines
	}
	return q.Lines
}

// LogLine is one line of a log, with the source's own time.
type LogLine struct {
	At      time.Time `json:"at"`
	Host    string    `json:"host"`
	Source  string    `json:"source,omitempty"`  // the unit or container that was asked for
	From    string    `json:"from"`              // unit, container or program that says it
	Level   int       `json:"level"`             // syslog priority 0…7, 6 where not told
	Guessed bool      `json:"guessed,omitempty"` // the level is told by the text alone
	Note    bool      `json:"note,omitempty"`    // it is said about the log, not in it
	Text    string    `json:"text"`              // clean: no control characters
	Boot    string    `json:"boot,omitempty"`

	Here time.Time `json:"-"` // At by this machine's clock
	ID   uint64    `json:"-"` // tells lines of one time apart
}

// Name is the source of a line, or who says it.
func (l LogLine) Name() string {
	if l.Source != "" {
		return l.Source
	}
	return l.From
}

// LogStream is log lines as they come. Next blocks until there are some, and
// gives io.EOF after the last. Close ends it and what feeds it.
type LogStream interface {
	Next(ctx context.Context) ([]LogLine, error)
	Close() error
}

// levelWords are the words that programs write for a level.
var levelWords = map[string]int{
	"emerg": 0, "emergency": 0, "panic": 0, "alert": 1, "crit": 2, "critical": 2, "fatal": 2, "error": 3, "err": 3,
	"warning": 4, "warn": 4, "notice": 5, "info": 6, "information": 6, "debug": 7, "trace": 7,
}

// LevelNamed gives the level of a word such as "err" or "warning", or of a
// number as syslog has it.
func LevelNamed(word string) (int, bool) {
	if len(word) == 1 && word[0] >= '0' && word[0] <= '7' {
		return int(word[0] - '0'), true
	}
	n, ok := levelWords[strings.ToLower(word)]
	return n, ok
}

// levelKeys stand before a level in lines of fields and in JSON.
var levelKeys = []string{"level=", "lvl=", "severity=", `"level":`, `"lvl":`, `"severity":`}

// How far into a line a level is looked for, in bytes: as a field, and as a word.
const (
	levelWithin = 160
	wordWithin  = 60
)

// GuessLevel finds the level that a line itself tells: level=error,
// "level":"error", or the word in capitals near its beginning, ERROR. Without
// it everything that a program writes to its standard error is one level.
func GuessLevel(text string) (int, bool) {
	text = text[:min(len(text), levelWithin)]
	for _, key := range levelKeys {
		if _, rest, ok := strings.Cut(text, key); ok {
			word := strings.TrimLeft(rest, ` "'`)
			return LevelNamed(word[:letters(word)])
		}
	}
	for at := 0; at < min(len(text), wordWithin); {
		n := letters(text[at:])
		if n >= 3 && text[at:at+n] == strings.ToUpper(text[at:at+n]) && (at+n == len(text) || strings.IndexByte(" :]|)>\t/", text[at+n]) >= 0) {
			if level, ok := LevelNamed(text[at : at+n]); ok {
				return level, true
			}
		}
		at += n + 1
	}
	return 0, false
}

// letters is how many ASCII letters text begins with.
func letters(text string) int {
	n := 0
	for n < len(text) && (text[n]|0x20 >= 'a' && text[n]|0x20 <= 'z') {
		n++
	}
	return n
}
