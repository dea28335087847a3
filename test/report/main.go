// Command report reads what `go test -json` tells and shows what a person
// wants of it: a line a package, all that failing tests said, and nothing of
// those that passed. Tests that were skipped go to the file it is given, one
// a line, with the reason.
//
//	go test -json ./... | go run ./test/report skipped.txt
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go test -json … | report SKIPPED")
		os.Exit(2)
	}
	skipped, err := os.OpenFile(os.Args[1], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		err = report(os.Stdin, os.Stdout, skipped)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// event is a line of `go test -json`; see `go doc test2json`. Of a package
// that does not build there are lines with ImportPath alone.
type event struct {
	Action, Package, Test, Output string
}

// test names a test of a package; "" is the package itself.
type test struct{ pkg, name string }

// reporter keeps what tests said until it is known how they ended.
type reporter struct {
	out, skipped io.Writer
	said         map[test]*strings.Builder
	order        map[string][]string // the tests of a package, as they began to speak
}

// report shows events as they come. What is no event is shown as it is.
func report(events io.Reader, out, skipped io.Writer) error {
	r := reporter{out: out, skipped: skipped, said: map[test]*strings.Builder{}, order: map[string][]string{}}
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadString('\n')
		var e event
		switch {
		case line == "":
		case json.Unmarshal([]byte(line), &e) != nil || e.Action == "":
			fmt.Fprint(out, line)
		default:
			r.take(e)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *reporter) take(e event) {
	id := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		if noise.MatchString(e.Output) {
			return
		}
		if r.said[id] == nil {
			r.said[id] = &strings.Builder{}
			r.order[e.Package] = append(r.order[e.Package], e.Test)
		}
		r.said[id].WriteString(e.Output)
	case "skip":
		if e.Test != "" {
			fmt.Fprintf(r.skipped, "%s in %s: %s\n", e.Test, short(e.Package), reason(r.said[id]))
		}
		r.end(id, e.Test == "")
	case "fail":
		r.end(id, true)
	case "pass":
		r.end(id, e.Test == "")
	}
}

// end shows what a test said, or forgets it. With a package end those tests of
// it that have not ended: it was killed in the middle of them.
func (r *reporter) end(id test, show bool) {
	if id.name == "" {
		for _, name := range r.order[id.pkg] {
			if name != "" {
				r.end(test{id.pkg, name}, true)
			}
		}
		delete(r.order, id.pkg)
	}
	if said := r.said[id]; said != nil && show {
		fmt.Fprint(r.out, said)
	}
	delete(r.said, id)
}

// noise is what `go test -json` adds to what a test says, and what says nothing.
var noise = regexp.MustCompile(`^(=== (RUN|PAUSE|CONT|NAME) .*|PASS|\?? .*\[no test files\])\n$`)

// place is where a test was when it said something.
var place = regexp.MustCompile(`^\s*\S+\.go:\d+: `)

// reason is why a test was skipped: what it said last.
func reason(said *strings.Builder) string {
	why := ""
	if said == nil {
		said = &strings.Builder{}
	}
	for line := range strings.Lines(said.String()) {
		if place.MatchString(line) {
			why = place.ReplaceAllString(line, "")
		} else if why != "" && !strings.HasPrefix(strings.TrimSpace(line), "--- ") {
			why += " " + strings.TrimSpace(line)
		}
	}
	return cmp.Or(strings.TrimSpace(why), "it does not say why")
}

// short is a package without the module it is of.
func short(pkg string) string {
	parts := strings.SplitN(pkg, "/", 4)
	return parts[len(parts)-1]
}
