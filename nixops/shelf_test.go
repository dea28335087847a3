package nixops

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// largeStore is nix-store with a closure of its own, whose paths need the one before
// them: one that is brought before what it needs is refused, as nix does.
const largeStore = `#!/bin/sh
store=${0%/bin/*}
case "$1 $2" in
'-qR '*) cat $store/closure ;;
'-q --size') shift 2; printf '1000000\n%.0s' "$@" ;;
'--check-validity '*) shift 2; printf '%s\n' "$@" | sort >$store/wanted.$$; sort $store/has | comm -23 $store/wanted.$$ -; rm $store/wanted.$$ ;;
'--export '*) shift; echo $# $* | wc -c >>$store/lines; printf '%s\n' "$@"; echo end ;;
'--import ')
	tr '\n' ' ' >$store/came
	case $(tail -c 5 $store/came) in *'end ') ;; *) echo "error: unexpected end-of-file" >&2; exit 1 ;; esac
	tr ' ' '\n' <$store/came | grep / >>$store/has ;;
'--realise '*) exit 1 ;;
*) echo "unasked: $*" >&2; exit 1 ;;
esac
`

// large makes a store into one of many paths; all of them are there, or none.
func (s store) large(paths []string, there bool) store {
	s.write("bin/nix-store", largeStore)
	s.write("closure", strings.Join(paths, "\n")+"\n")
	s.write("has", "")
	s.room("900000000")
	if there {
		s.write("has", strings.Join(paths, "\n")+"\n")
	}
	return s
}

// lines reads a file of the store.
func (s store) lines(name string) (list []string) {
	s.Helper()
	f, err := os.Open(filepath.Join(s.dir, name))
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	for scan := bufio.NewScanner(f); scan.Scan(); {
		list = append(list, scan.Text())
	}
	return list
}

// TestFortyThousandPaths: as many as the derivation of a system needs are more than
// one command line takes, from this machine and from another. They come in their
// order, and how far it is does not begin anew with each part.
func TestFortyThousandPaths(t *testing.T) {
	var paths []string
	for i := range 40_000 {
		paths = append(paths, fmt.Sprintf("/nix/store/%032d-a-derivation-with-a-name-of-its-own.drv", i))
	}
	full := newStore(t, "").large(paths, true).here()
	for name, bring := range map[string]func(to hostLink, tell func(string)) error{
		"from here": func(to hostLink, tell func(string)) error {
			return Copy(t.Context(), to, paths[len(paths)-1], Copying{}, tell)
		},
		"from a host": func(to hostLink, tell func(string)) error {
			return Carry(t.Context(), hostLink{store: full, name: "cloud"}, to, paths[len(paths)-1], Copying{}, tell)
		},
	} {
		full.write("lines", "")
		to := newStore(t, "").large(paths, false)
		var h heard
		if err := bring(hostLink{store: to}, h.tell); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := to.lines("has"); !slices.Equal(got, paths) {
			t.Errorf("%s: %d paths came, or in another order", name, len(got))
		}
		if h.lines[0] != "40000 of 40000 store paths are missing there, 37.3 GiB" {
			t.Errorf("%s: told %q", name, h.lines[0])
		}
		lines := full.lines("lines")
		for _, l := range lines {
			if n := 0; len(lines) < 2 {
				t.Errorf("%s: %d command lines", name, len(lines))
			} else if _, err := fmt.Sscan(l, &n); err != nil || n > 128<<10 {
				t.Errorf("%s: a command line of %s bytes, %v", name, l, err)
			}
		}
	}
}

// TestParts: every path is in one part, in its order, also one that is too long.
func TestParts(t *testing.T) {
	long := strings.Repeat("x", partBytes+1)
	for _, paths := range [][]string{nil, {"a"}, {long}, {"a", long, "b"}, {long, long}, slices.Repeat([]string{strings.Repeat("y", partBytes/2-9)}, 5)} {
		got := parts(paths)
		if !slices.Equal(slices.Concat(got...), paths) {
			t.Errorf("%d paths became %d", len(paths), len(slices.Concat(got...)))
		}
		for _, p := range got {
			if len(p) == 0 || len(p) > 1 && len(strings.Join(p, " ")) > partBytes {
				t.Errorf("a part of %d paths", len(p))
			}
		}
	}
}
