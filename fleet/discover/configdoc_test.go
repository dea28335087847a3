package discover

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestConfigurationDoc holds docs/configuration.md to Config: what it shows is
// a configuration, and it has every key in the table where it belongs.
func TestConfigurationDoc(t *testing.T) {
	const path = "../../docs/configuration.md"
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```toml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatalf("%s shows no configuration", path)
	}
	if _, err := ParseConfig(path, []byte(example)); err != nil {
		t.Errorf("what %s shows is refused: %v", path, err)
	}
	tables := map[string]string{}
	name := ""
	for line := range strings.Lines(example) {
		if m := regexp.MustCompile(`^\[+([a-z_.]+)\]+`).FindStringSubmatch(line); m != nil {
			name = m[1]
		}
		tables[name] += line
	}
	undocumented(t, tables, "", reflect.TypeFor[Config]())
}

// undocumented reports the keys of a table that are not shown in it, neither
// set nor named in a comment.
func undocumented(t *testing.T, shown map[string]string, table string, typ reflect.Type) {
	for f := range typ.Fields() {
		key, inner := f.Tag.Get("toml"), f.Type
		if key == "-" {
			continue
		}
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		switch {
		case inner.Kind() == reflect.Struct:
			undocumented(t, shown, strings.TrimPrefix(table+"."+key, "."), inner)
		case inner.Kind() == reflect.Map && shown[table+"."+key] != "":
		case !regexp.MustCompile(`\b` + key + `\b`).MatchString(shown[table]):
			t.Errorf("docs/configuration.md lacks %q in [%s]", key, table)
		}
	}
}
