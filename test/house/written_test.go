package house

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// read gives a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestTags holds that releases are built with the tags that everything is
// built and tested with.
func TestTags(t *testing.T) {
	made := regexp.MustCompile(`(?m)^TAGS := (\S+)$`).FindStringSubmatch(read(t, "Makefile"))
	released := regexp.MustCompile(`(?m)^ +- -tags=(\S+)$`).FindAllStringSubmatch(read(t, ".goreleaser.yaml"), -1)
	if made == nil || len(released) != 1 {
		t.Fatalf("the Makefile has the tags %q, .goreleaser.yaml %q", made, released)
	}
	if made[1] != released[0][1] {
		t.Errorf("the Makefile's tags are %s, those of .goreleaser.yaml %s", made[1], released[0][1])
	}
}

// TestVariables holds that every environment variable of the program's own is
// in docs/configuration.md, and none that is not there.
func TestVariables(t *testing.T) {
	out, err := exec.Command("git", "-C", "../..", "grep", "-hoE", `"(SEXTANT_[A-Z_]+|TS_API_KEY|CLOUDFLARE_API_TOKEN|NO_COLOR)"`,
		"--", "cmd/*.go", "fleet/*.go", "tui/*.go", "nixops/*.go", "podman/*.go", "themes/*.go", ":!*_test.go").Output()
	if err != nil {
		t.Fatalf("git grep: %v", err)
	}
	used := map[string]bool{}
	for name := range strings.FieldsSeq(string(out)) {
		used[strings.Trim(name, `"`)] = true
	}
	doc := read(t, "docs/configuration.md")
	told := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+`) \\|").FindAllStringSubmatch(doc, -1) {
		for name := range strings.SplitSeq(row[1], ", ") {
			told[strings.Trim(name, "`")] = true
		}
	}
	for name := range used {
		if !told[name] {
			t.Errorf("docs/configuration.md lacks %s", name)
		}
	}
	for name := range told {
		if !used[name] {
			t.Errorf("docs/configuration.md has %s, which is not read", name)
		}
	}
	if len(used) < 5 {
		t.Errorf("only %d variables were seen", len(used))
	}
}
