package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sources are packages whose tests end in every way.
var sources = map[string]string{
	"go.mod": "module example.org/team/thing\n\ngo 1.26\n",
	"well/well_test.go": `package well
import "testing"
func TestQuiet(t *testing.T) { t.Log("nothing to see") }
func TestSkipped(t *testing.T) { t.Log("looking"); t.Skip("no fish here") }
func TestInside(t *testing.T) { t.Run("of two", func(t *testing.T) { t.SkipNow() }); t.Run("other", func(t *testing.T) {}) }
`,
	"bad/bad_test.go": `package bad
import "testing"
func TestFine(t *testing.T) { t.Log("hidden") }
func TestBroken(t *testing.T) { t.Log("said before"); t.Error("broken here") }
`,
	"dead/dead_test.go": `package dead
import ("fmt"; "os"; "testing")
func TestDies(t *testing.T) { fmt.Println("last words"); os.Exit(3) }
`,
	"panics/panics_test.go":   "package panics\nimport \"testing\"\nfunc TestPanics(t *testing.T) { panic(\"oh no\") }\n",
	"unbuilt/unbuilt_test.go": "package unbuilt\nimport \"testing\"\nfunc TestNot(t *testing.T) { undefined() }\n",
	"none/none.go":            "package none\n",
}

// TestReport reads what the real `go test -json` tells of them.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	for name, text := range sources {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "test", "-json", "-vet=off", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	events, _ := cmd.Output() // it fails, as it must
	var out, skipped, failed strings.Builder
	if err := report(strings.NewReader("a line that is none\n"+string(events)), &out, &skipped, &failed); err != nil {
		t.Fatal(err)
	}
	if want := "TestSkipped in well: no fish here\nTestInside/of_two in well: it does not say why\n"; skipped.String() != want {
		t.Errorf("skipped are\n%swant\n%s", skipped.String(), want)
	}
	why := strings.Split(strings.TrimSuffix(failed.String(), "\n"), "\n")
	slices.Sort(why)
	for i, want := range []string{`^TestBroken in bad: broken here$`, `^TestPanics in panics: panic: oh no`, `^dead: last words$`, `^unbuilt: FAIL .*build failed`} {
		if i >= len(why) || !regexp.MustCompile(want).MatchString(why[i]) {
			t.Errorf("failed are %q, the %dth not %q", why, i, want)
		}
	}
	for _, want := range []string{
		"a line that is none\n", `ok  \s+example.org/team/thing/well`, "said before\n", "broken here\n", "--- FAIL: TestBroken", `FAIL\s+example.org/team/thing/bad`,
		"last words\n", `FAIL\s+example.org/team/thing/dead`, "panic: oh no", "undefined: undefined", `FAIL\s+example.org/team/thing/unbuilt \[build failed\]`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
	for _, not := range []string{"nothing to see", "hidden", "=== ", "PASS", "no test files", "looking"} {
		if strings.Contains(out.String(), not) {
			t.Errorf("the report has %q:\n%s", not, out.String())
		}
	}
}

// TestSlowTestsAreNamed with their package, the slowest first.
func TestSlowTestsAreNamed(t *testing.T) {
	events := `{"Action":"pass","Package":"m/a","Test":"TestLong","Elapsed":21.4}
{"Action":"pass","Package":"m/a","Test":"TestLonger/part","Elapsed":90}
{"Action":"fail","Package":"m/a","Test":"TestLonger","Elapsed":93}
{"Action":"pass","Package":"m/a","Test":"TestShort","Elapsed":19.9}
{"Action":"output","Package":"m/a","Output":"FAIL\tm/a\t140.1s\n"}
{"Action":"fail","Package":"m/a","Elapsed":140.1}
`
	var out, skipped, failed strings.Builder
	if err := report(strings.NewReader(events), &out, &skipped, &failed); err != nil {
		t.Fatal(err)
	}
	if want := "FAIL\tm/a\t140.1s\n       93s  TestLonger\n       21s  TestLong\n"; out.String() != want {
		t.Errorf("it says\n%swant\n%s", out.String(), want)
	}
}
