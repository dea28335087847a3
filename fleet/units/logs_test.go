package units_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet/units"
)

// TestRecordedEntries reads what real journals gave.
func TestRecordedEntries(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.jsonl")
	if len(files) == 0 {
		t.Fatal("no samples")
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(b) {
			got, err := units.ParseEntry(bytes.TrimSpace(line))
			if err != nil {
				t.Errorf("%s: %v in %s", f, err, line)
				continue
			}
			if got.At.IsZero() || strings.ContainsAny(got.Text, "\x1b\n\t") {
				t.Errorf("%s: %+v", f, got)
			}
		}
	}
}

func TestShapesOfAMessage(t *testing.T) {
	for in, want := range map[string]string{
		`"plain"`:               "plain",
		`[27,91,51,49,109,114]`: "r",
		`["one","two"]`:         "one two",
		`[[104,105],"two"]`:     "hi two",
		`null`:                  "",
		`"two\nlines\u001b[2J"`: "two lines",
		`"its end\r\n"`:         "its end",
		`[255,254,65]`:          "\uFFFDA",
	} {
		got, err := units.ParseEntry([]byte(`{"__REALTIME_TIMESTAMP":"1795375729000000","MESSAGE":` + in + `}`))
		if err != nil || got.Text != want {
			t.Errorf("%s: %q, %v; want %q", in, got.Text, err, want)
		}
	}
}

func FuzzParseEntry(f *testing.F) {
	f.Add([]byte(`{"__REALTIME_TIMESTAMP":"1","MESSAGE":[1,2]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if line, err := units.ParseEntry(b); err == nil && strings.ContainsAny(line.Text+line.From, "\x1b\r\n") {
			t.Fatalf("%+v", line)
		}
	})
}

func TestLevelOfTheText(t *testing.T) {
	const head = `{"__REALTIME_TIMESTAMP":"1795375729000000",`
	for in, want := range map[string]int{
		`"PRIORITY":"6","MESSAGE":"time=12:00 level=error msg=\"no route\""}`:                                      3,
		`"PRIORITY":"6","MESSAGE":"{\"level\":\"warn\",\"msg\":\"slow\"}"}`:                                        4,
		`"PRIORITY":"6","MESSAGE":"2026-11-22 12:00:00 [ERROR] gone"}`:                                             3,
		`"PRIORITY":"3","CONTAINER_NAME":"web","MESSAGE":"level=info msg=ready"}`:                                  6, // all its errors' output is 3
		`"PRIORITY":"3","MESSAGE":"level=info msg=ready"}`:                                                         3, // it was said on purpose
		`"PRIORITY":"6","MESSAGE":"no error at all, NOERROR and an unERROR"}`:                                      6,
		`"PRIORITY":"5","MESSAGE":"ERROR"}`:                                                                        5,
		`"PRIORITY":"6","MESSAGE":"GET /a/long/path/that/goes/on/and/on/and/on/for/ever/and/ever/and/ever ERROR"}`: 6,
	} {
		got, err := units.ParseEntry([]byte(head + in))
		if err != nil || got.Level != want || got.Guessed != (want != 6 && !strings.Contains(in, `"3","M`) && !strings.Contains(in, `"5"`) || strings.Contains(in, "web")) {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
}
