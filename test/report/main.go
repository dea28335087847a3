// Command report reads what `go test -json` tells and shows what a person
// wants of it: a line a package with its slowest tests, all that failing tests
// said, and nothing of those that passed. Tests that were skipped go to the first file it is given,
// and those that failed to the second, one a line, with the reason.
//
//	go test -json ./... | go run ./test/report skipped.txt failed.txt
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go test -json … | report SKIPPED FAILED")
		os.Exit(2)
	}
	if err := reportTo(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// reportTo reports what comes, and adds to the two files.
func reportTo(skipped, failed string) error {
	s, err := os.OpenFile(skipped, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer s.Close()
	f, err := os.OpenFile(failed, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	return report(os.Stdin, os.Stdout, s, f)
}

// event is a line of `go test -json`; see `go doc test2json`. Of a package
// that does not build there are lines with ImportPath alone.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64 // seconds
}

// test names a test of a package; "" is the package itself.
type test struct{ pkg, name string }

// reporter keeps what tests said until it is known how they ended.
type reporter struct {
	out, skipped, failed io.Writer
	said                 map[test]*strings.Builder
	order                map[string][]string // the tests of a package, as they began to speak
	slow                 map[string][]event  // those of a package that took longer than slowTest
	noted                map[string]bool     // packages of which it was said what failed
}

// report shows events as they come. What is no event is shown as it is.
func report(events io.Reader, out, skipped, failed io.Writer) error {
	r := reporter{out: out, skipped: skipped, failed: failed, said: map[test]*strings.Builder{}, order: map[string][]string{}, slow: map[string][]event{}, noted: map[string]bool{}}
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
	if e.Elapsed >= slowTest && e.Test != "" && !strings.Contains(e.Test, "/") {
		r.slow[e.Package] = append(r.slow[e.Package], e)
	}
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
		r.note(id)
		r.end(id, true)
	case "pass":
		r.end(id, e.Test == "")
	}
}

// note says why something failed, in a line: a test by its remark or its panic, a
// package of which no test did (it does not build, ran into its limit) by its last words.
// Tests that only hold others say nothing of their own.
func (r *reporter) note(id test) {
	why := cmp.Or(remark(r.said[id]), panicked(r.said[id]))
	if id.name == "" && why == "" && !r.noted[id.pkg] {
		why = r.lastWords(id.pkg)
	}
	if why == "" {
		return
	}
	r.noted[id.pkg] = true
	fmt.Fprintln(r.failed, strings.TrimPrefix(id.name+" in ", " in ")+short(id.pkg)+": "+why)
}

// panicked is the line that says why something panicked; "" it did not.
func panicked(said *strings.Builder) string {
	if said == nil {
		return ""
	}
	for line := range strings.Lines(said.String()) {
		if strings.HasPrefix(line, "panic: ") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// lastWords are the panic of a package, or the last line that it or a test of it that
// has not ended said; that it failed is its last of all, and says nothing.
func (r *reporter) lastWords(pkg string) string {
	last, failed := "", ""
	for _, name := range append(slices.Clone(r.order[pkg]), "") {
		said := r.said[test{pkg, name}]
		if why := panicked(said); why != "" {
			return why
		}
		if said == nil {
			continue
		}
		for line := range strings.Lines(said.String()) {
			line = strings.Join(strings.Fields(line), " ")
			if strings.HasPrefix(line, "FAIL") {
				failed = line
			} else if line != "" {
				last = line
			}
		}
	}
	return cmp.Or(last, failed)
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
		defer r.saySlow(id.pkg)
	}
	if said := r.said[id]; said != nil && show {
		fmt.Fprint(r.out, said)
	}
	delete(r.said, id)
}

// slowTest is from how many seconds on a test is named: who waits for all of them
// wants to know for which.
const slowTest = 20

func (r *reporter) saySlow(pkg string) {
	slices.SortFunc(r.slow[pkg], func(a, b event) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	for _, e := range r.slow[pkg] {
		fmt.Fprintf(r.out, "    %5.0fs  %s\n", e.Elapsed, e.Test)
	}
	delete(r.slow, pkg)
}

// noise is what `go test -json` adds to what a test says, and what says nothing.
var noise = regexp.MustCompile(`^(=== (RUN|PAUSE|CONT|NAME) .*|PASS|\?? .*\[no test files\])\n$`)

// place is where a test was when it said something.
var place = regexp.MustCompile(`^\s*\S+\.go:\d+: `)

// reason is why a test was skipped.
func reason(said *strings.Builder) string { return cmp.Or(remark(said), "it does not say why") }

// remark is what a test said last, in one line of at most 400 characters.
func remark(said *strings.Builder) string {
	if said == nil {
		return ""
	}
	var why []string
	for line := range strings.Lines(said.String()) {
		switch {
		case place.MatchString(line):
			why = []string{place.ReplaceAllString(line, "")}
		case len(why) > 0 && !strings.HasPrefix(strings.TrimSpace(line), "--- "):
			why = append(why, line)
		}
	}
	text := []rune(strings.Join(strings.Fields(strings.Join(why, " ")), " "))
	return string(text[:min(len(text), 400)])
}

// short is a package without the module it is of.
func short(pkg string) string {
	parts := strings.SplitN(pkg, "/", 4)
	return parts[len(parts)-1]
}
