package link

import (
	"math/rand"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/quick"
)

// TestQuoteKeepsArguments runs random arguments through real shells and
// compares what a program behind them received.
func TestQuoteKeepsArguments(t *testing.T) {
	for _, shell := range []string{"sh", "bash", "busybox", "fish"} {
		t.Run(shell, func(t *testing.T) { keepsArguments(t, shell) })
	}
}

func keepsArguments(t *testing.T, shell string) {
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Skipf("%s is not installed here", shell)
	}
	argv := []string{path, "-c"}
	if shell == "busybox" {
		argv = []string{path, "sh", "-c"}
	}
	check := func(args words) bool {
		line := Quote(append([]string{"printf", `%s\0`}, args...))
		out, err := exec.Command(argv[0], append(argv[1:], line)...).Output()
		if err != nil {
			t.Logf("%q: %v", line, err)
			return false
		}
		got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		return slices.Equal(got, args)
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 150}); err != nil {
		t.Error(err)
	}
}

// words are one to four arguments out of the characters shells care about.
type words []string

// Generate makes random words.
func (words) Generate(rnd *rand.Rand, _ int) reflect.Value {
	alphabet := []rune("ab \t\n'\"\\$`!*?[]{}()<>|&;#~=%^-+,.:/@é漢\x01\x1b")
	out := make(words, 1+rnd.Intn(4))
	for i := range out {
		var b strings.Builder
		for range rnd.Intn(12) {
			b.WriteRune(alphabet[rnd.Intn(len(alphabet))])
		}
		out[i] = b.String()
	}
	return reflect.ValueOf(out)
}

func FuzzQuoteOne(f *testing.F) {
	f.Add("it's")
	f.Add(`back\slash`)
	f.Fuzz(func(t *testing.T, arg string) {
		if strings.ContainsRune(arg, 0) {
			return // no argument of a program can hold a NUL
		}
		out, err := exec.Command("sh", "-c", Quote([]string{"printf", "%s", arg})).Output()
		if err != nil || string(out) != arg {
			t.Fatalf("%q came back as %q (%v)", arg, out, err)
		}
	})
}
