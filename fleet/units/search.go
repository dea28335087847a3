package units

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// errNoGrep says that the host's journalctl cannot search.
var errNoGrep = errors.New("journalctl cannot search")

// Bounds of a search by ourselves, where the host cannot search: lines, and
// bytes of their text.
const (
	siftLines = 200_000
	siftBytes = 64 << 20
)

// maxKept bounds what is kept of a log that must be read to its end before its
// first line is known, in bytes.
const maxKept = 16 << 20

// Pattern reads a query's regular expression. Capitals count where it has some,
// as journalctl does it too.
func Pattern(grep string) (*regexp.Regexp, error) {
	if !capitals(grep) {
		grep = "(?i)" + grep
	}
	return regexp.Compile(grep)
}

// capitals tells whether a pattern has some of its own: those behind a
// backslash are classes.
func capitals(grep string) bool {
	escaped := false
	for _, r := range grep {
		if unicode.IsUpper(r) && !escaped {
			return true
		}
		escaped = r == '\\' && !escaped
	}
	return false
}

// grep has the host search the whole journal of the source. With a number of
// lines journalctl searches from the newest on.
func grep(ctx context.Context, l link.Link, of fleet.LogSource, q fleet.LogQuery) (fleet.LogStream, error) {
	re, err := Pattern(q.Grep)
	if err != nil {
		return nil, fmt.Errorf("%q is no regular expression: %w", q.Grep, err)
	}
	if q.Follow {
		s, err := open(ctx, l, of, options(q), false)
		if err != nil {
			return nil, err
		}
		return &sieve{LogStream: s, re: re}, nil
	}
	args := append(options(q), "--grep="+q.Grep, fmt.Sprintf("--case-sensitive=%t", capitals(q.Grep)))
	if !q.Oldest {
		args = append(args, "--reverse")
	}
	s, err := open(ctx, l, of, args, !q.Oldest)
	if err != nil {
		return nil, err
	}
	lines, err := collect(ctx, s, q, every)
	if errors.Is(err, errNoGrep) {
		return siftJournal(ctx, l, of, q, re)
	}
	return lines, err
}

// siftJournal searches here, the newest lines first, and says how far it came.
func siftJournal(ctx context.Context, l link.Link, of fleet.LogSource, q fleet.LogQuery, re *regexp.Regexp) (fleet.LogStream, error) {
	all := q
	all.Grep, all.Lines = "", siftLines
	args := options(all)
	if !q.Oldest {
		args = append(args, "--reverse")
	}
	s, err := open(ctx, l, of, args, false)
	if err != nil {
		return nil, err
	}
	n := &sifted{}
	lines, err := gather(ctx, s, q.MaxLines(), n.by(re))
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	if !q.Oldest {
		slices.Reverse(lines)
	}
	note := fleet.LogLine{At: n.last.At, Host: l.Host().Name, Level: 5, Note: true, Text: "journalctl there cannot search: " + n.String() + " were searched from here"}
	return &ready{lines: append([]fleet.LogLine{note}, lines...)}, nil
}

// Sift reads a log that its engine cannot search, and cannot give the newest
// lines up to a time of, to its end: it keeps of the lines that the query wants
// as many as it wants. A log that is followed is only searched.
func Sift(ctx context.Context, s fleet.LogStream, q fleet.LogQuery) (fleet.LogStream, error) {
	re, err := Pattern(q.Grep)
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("%q is no regular expression: %w", q.Grep, err)
	}
	if q.Follow {
		return &sieve{LogStream: s, re: re}, nil
	}
	wanted := func(l fleet.LogLine) (bool, error) {
		return (q.Until.IsZero() || !l.At.After(q.Until)) && (q.Grep == "" || re.MatchString(l.Text)), nil
	}
	return collect(ctx, s, q, wanted)
}

// collect reads what a query that does not follow wants, and closes the log.
func collect(ctx context.Context, s fleet.LogStream, q fleet.LogQuery, wanted func(fleet.LogLine) (bool, error)) (*ready, error) {
	if q.Oldest {
		lines, err := gather(ctx, s, q.MaxLines(), wanted)
		return &ready{lines: lines}, err
	}
	defer s.Close()
	lines, err := newest(ctx, s, q.MaxLines(), wanted)
	return &ready{lines: lines}, err
}

// every wants all lines.
func every(fleet.LogLine) (bool, error) { return true, nil }

// errEnough ends a search that has reached its bound.
var errEnough = errors.New("enough")

// sifted counts what was searched.
type sifted struct {
	lines, bytes int
	last         fleet.LogLine
}

// by counts lines and tells which match.
func (n *sifted) by(re *regexp.Regexp) func(fleet.LogLine) (bool, error) {
	return func(l fleet.LogLine) (bool, error) {
		if n.lines >= siftLines || n.bytes >= siftBytes {
			return false, errEnough
		}
		n.lines, n.bytes, n.last = n.lines+1, n.bytes+len(l.Text), l
		return re.MatchString(l.Text), nil
	}
}

// String says how much was searched.
func (n *sifted) String() string {
	return fmt.Sprintf("%d lines, back to %s,", n.lines, n.last.At.Format("2006-01-02 15:04:05Z"))
}

// gather reads a log until it has as many lines as are wanted, or to its end,
// and closes it.
func gather(ctx context.Context, s fleet.LogStream, most int, wanted func(fleet.LogLine) (bool, error)) ([]fleet.LogLine, error) {
	defer s.Close()
	var kept []fleet.LogLine
	size := 0
	for {
		lines, err := s.Next(ctx)
		for _, l := range lines {
			ok, end := wanted(l)
			if end != nil {
				return kept, end
			}
			if ok {
				kept, size = append(kept, l), size+len(l.Text)
			}
			if len(kept) >= most || size > maxKept {
				return kept, nil
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return kept, ctx.Err()
		case err != nil:
			return kept, err
		}
	}
}

// newest reads a log to its end and keeps the newest lines that are wanted.
func newest(ctx context.Context, s fleet.LogStream, most int, wanted func(fleet.LogLine) (bool, error)) ([]fleet.LogLine, error) {
	var kept []fleet.LogLine
	size := 0
	for {
		lines, err := s.Next(ctx)
		for _, l := range lines {
			if ok, _ := wanted(l); ok {
				kept, size = append(kept, l), size+len(l.Text)
			}
		}
		drop := 0
		for ; len(kept)-drop > most || size > maxKept && len(kept)-drop > 1; drop++ {
			size -= len(kept[drop].Text)
		}
		clear(kept[:drop])
		kept = kept[drop:]
		switch {
		case errors.Is(err, io.EOF):
			return kept, ctx.Err()
		case err != nil:
			return nil, err
		}
	}
}

// sieve lets through what matches.
type sieve struct {
	fleet.LogStream
	re *regexp.Regexp
}

// Next gives the lines that match, at least one.
func (s *sieve) Next(ctx context.Context) ([]fleet.LogLine, error) {
	for {
		lines, err := s.LogStream.Next(ctx)
		lines = slices.DeleteFunc(lines, func(l fleet.LogLine) bool { return !l.Note && !s.re.MatchString(l.Text) })
		if len(lines) > 0 || err != nil {
			return lines, err
		}
	}
}

// firsts ends a log after so many lines.
type firsts struct {
	fleet.LogStream
	left int
}

// Next gives lines until there were enough.
func (f *firsts) Next(ctx context.Context) ([]fleet.LogLine, error) {
	if f.left <= 0 {
		return nil, io.EOF
	}
	lines, err := f.LogStream.Next(ctx)
	lines = lines[:min(len(lines), f.left)]
	f.left -= len(lines)
	return lines, err
}

// ready is a log that was read already.
type ready struct{ lines []fleet.LogLine }

// Next gives the lines, once.
func (r *ready) Next(ctx context.Context) ([]fleet.LogLine, error) {
	if len(r.lines) == 0 {
		return nil, io.EOF
	}
	lines := r.lines[:min(len(r.lines), maxBatch)]
	r.lines = r.lines[len(lines):]
	return lines, ctx.Err()
}

// Close does nothing.
func (r *ready) Close() error { return nil }

// sentence makes an error one line without the host's name in front, which the
// line has beside it.
func sentence(err error, host string) string {
	return fleet.Short(strings.TrimPrefix(fleet.Clean(err.Error()), host+": "), 300)
}
