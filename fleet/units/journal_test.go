package units

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// journal is a host with a journalctl that prints what a test gives it.
type journal struct {
	link.Link
	ran   []link.Command
	plays func(args string) (out, errs string, status int)
}

func (j *journal) Host() fleet.Host { return fleet.Host{Name: "storage"} }

func (j *journal) Start(_ context.Context, c link.Command) (link.Process, error) {
	j.ran = append(j.ran, c)
	out, errs, status := j.plays(strings.Join(c.Args, " "))
	return &printed{Reader: strings.NewReader(out), result: link.Result{Stderr: []byte(errs), Status: status}}, nil
}

type printed struct {
	io.Reader
	result link.Result
}

func (p *printed) Wait() (link.Result, error) { return p.result, nil }
func (p *printed) Close() error               { return nil }

// says makes an entry, n seconds after noon.
func says(n int, text, more string) string {
	return fmt.Sprintf(`{"__CURSOR":"c%d","__REALTIME_TIMESTAMP":"%d","PRIORITY":"6","MESSAGE":%q%s}`+"\n", n, noon.Add(time.Duration(n)*time.Second).UnixMicro(), text, more)
}

func texts(t *testing.T, j *journal, of fleet.LogSource, q fleet.LogQuery) (string, error) {
	t.Helper()
	s, err := Logs(t.Context(), j, of, q)
	if err != nil {
		return "", err
	}
	defer s.Close()
	var got []string
	for {
		lines, err := s.Next(t.Context())
		for _, l := range lines {
			got = append(got, l.Text)
		}
		if errors.Is(err, io.EOF) {
			return strings.Join(got, ","), nil
		}
		if err != nil {
			return strings.Join(got, ","), err
		}
	}
}

func TestWhatJournalctlIsAsked(t *testing.T) {
	at := noon.Add(1500 * time.Microsecond)
	for _, c := range []struct {
		of         fleet.LogSource
		q          fleet.LogQuery
		want, none string
	}{
		{fleet.LogSource{Unit: "a.service"}, fleet.LogQuery{Follow: true}, "--lines=500 --follow --unit=a.service", "_UID"},
		{fleet.LogSource{Container: "web"}, fleet.LogQuery{Lines: 7}, "--lines=7 CONTAINER_NAME=web _UID=0", "--follow"},
		{fleet.LogSource{Container: "web", User: "root"}, fleet.LogQuery{}, "CONTAINER_NAME=web _UID=0", "id -u"},
		{fleet.LogSource{Container: "web", User: "ada"}, fleet.LogQuery{}, "sextant ada container web --output=json", "_UID=0"},
		{fleet.LogSource{Unit: "a.service", User: "ada"}, fleet.LogQuery{}, "sextant ada unit a.service --output=json", "--user-unit"},
		{fleet.LogSource{Unit: "a.service"}, fleet.LogQuery{Until: at, Lines: 9}, "--lines=9 --until=@1795348800.001500 --reverse --unit", "--since"},
		{fleet.LogSource{Unit: "a.service"}, fleet.LogQuery{Since: at, Oldest: true}, "--since=@1795348800.001500 --unit", "--lines"},
		{fleet.LogSource{Unit: "a.service"}, fleet.LogQuery{Oldest: true, Follow: true}, "--no-tail --follow --unit", "--lines"},
		{fleet.LogSource{Unit: "a.service"}, fleet.LogQuery{Grep: "no route"}, "--lines=500 --grep=no route --case-sensitive=false --reverse --unit", "--follow"},
		{fleet.LogSource{}, fleet.LogQuery{Grep: "No"}, "--case-sensitive=true --reverse", "--unit"},
	} {
		j := &journal{plays: func(string) (string, string, int) { return "", "", 0 }}
		if _, err := texts(t, j, c.of, c.q); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(j.ran[0].Args, " "); !strings.Contains(got, c.want) || strings.Contains(strings.ReplaceAll(got, ofUser, ""), c.none) || !j.ran[0].IfRoot {
			t.Errorf("%+v: %s", c.q, got)
		}
	}
}

func TestPiecesOfALineAreJoined(t *testing.T) {
	of := func(id, more string) string { return `,"CONTAINER_NAME":"web","CONTAINER_ID":"` + id + `"` + more }
	const piece, last = `,"CONTAINER_PARTIAL_MESSAGE":"true"`, `,"CONTAINER_PARTIAL_MESSAGE":"true","CONTAINER_PARTIAL_LAST":"true"`
	for name, c := range map[string]struct{ out, want string }{
		"podman":     {says(1, "one ", of("a", piece)) + says(2, "two ", of("a", piece)) + says(3, "three", of("a", "")), "one two three"},
		"docker":     {says(1, "one ", of("a", piece)) + says(2, "two", of("a", last)) + says(3, "three", of("a", "")), "one two,three"},
		"others":     {says(1, "one ", of("a", piece)) + says(2, "other", of("b", "")) + says(3, "two", of("a", "")), "other,one two"},
		"at the end": {says(1, "password: ", of("a", piece)), "password: "},
		"too long":   {strings.Repeat(says(1, strings.Repeat("x", 8000), of("a", piece)), 40) + says(2, "y", of("a", "")), fleet.Short(strings.Repeat("x", 24000), maxText)},
	} {
		got, err := texts(t, &journal{plays: func(string) (string, string, int) { return c.out, "", 0 }}, fleet.LogSource{Container: "web"}, fleet.LogQuery{})
		if err != nil || got != c.want {
			t.Errorf("%s: %.60q, %v", name, got, err)
		}
	}
}

// TestAQuestionWithoutAnEndIsShown: an engine hands over what has no end yet
// as a piece, and nothing may come after it.
func TestAQuestionWithoutAnEndIsShown(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	s, err := open(t.Context(), &waits{process: pipe{r}}, fleet.LogSource{}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	go io.WriteString(w, says(1, "password: ", `,"CONTAINER_PARTIAL_MESSAGE":"true"`))
	lines, err := s.Next(t.Context())
	if err != nil || len(lines) != 1 || lines[0].Text != "password: " {
		t.Errorf("%+v, %v", lines, err)
	}
}

type pipe struct{ *io.PipeReader }

func (pipe) Wait() (link.Result, error) { return link.Result{}, nil }

type waits struct {
	link.Link
	process link.Process
}

func (waits) Host() fleet.Host                                             { return fleet.Host{Name: "storage"} }
func (w *waits) Start(context.Context, link.Command) (link.Process, error) { return w.process, nil }

func TestASearchOnTheHost(t *testing.T) {
	j := &journal{plays: func(string) (string, string, int) {
		return says(3, "no route c", "") + says(1, "no route a", ""), "", 0
	}}
	if got, err := texts(t, j, fleet.LogSource{}, fleet.LogQuery{Grep: "no route"}); err != nil || got != "no route a,no route c" {
		t.Errorf("%q, %v", got, err)
	}
	j.plays = func(string) (string, string, int) { return "", "", 1 } // as it ends where nothing matches
	if got, err := texts(t, j, fleet.LogSource{}, fleet.LogQuery{Grep: "no route"}); err != nil || got != "" {
		t.Errorf("%q, %v", got, err)
	}
	j.plays = func(string) (string, string, int) { return "", "Failed to compile pattern \x1b[31m", 1 }
	if _, err := texts(t, j, fleet.LogSource{}, fleet.LogQuery{Grep: "no route"}); err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Error(err)
	}
	if _, err := texts(t, j, fleet.LogSource{}, fleet.LogQuery{Grep: "("}); err == nil {
		t.Error("a pattern that is none")
	}
}

// TestLinesBeforeAMomentAreTurnedRound: they come newest first, pieces too.
func TestLinesBeforeAMomentAreTurnedRound(t *testing.T) {
	const piece, last = `,"CONTAINER_ID":"a","CONTAINER_PARTIAL_MESSAGE":"true"`, `,"CONTAINER_ID":"a"`
	j := &journal{plays: func(string) (string, string, int) {
		return says(3, "three", last) + says(2, "end", last) + says(1, "be", piece) + says(0, "zero", last), "", 0
	}}
	q := fleet.LogQuery{Until: noon.Add(time.Minute)}
	if got, err := texts(t, j, fleet.LogSource{}, q); err != nil || got != "zero,beend,three" {
		t.Errorf("%q, %v", got, err)
	}
	many := says(4, "newest", "") + strings.Repeat(says(2, strings.Repeat("x", 1<<19), ""), 2*maxTurn>>20) + says(1, "oldest", "")
	j.plays = func(string) (string, string, int) { return many, "", 0 }
	got, err := texts(t, j, fleet.LogSource{}, q)
	if err != nil || !strings.HasPrefix(got, "(what is older was left out: 64 MiB were read),xxx") || !strings.HasSuffix(got, ",newest") {
		t.Errorf("%.80q … %d, %v", got, len(got), err)
	}
	j.plays = func(string) (string, string, int) { return says(1, "a", ""), "no journal", 1 }
	if _, err := texts(t, j, fleet.LogSource{}, q); err == nil {
		t.Error("that journalctl failed is not told")
	}
}

// TestAHostThatCannotSearch is searched from here, and it is said how far.
func TestAHostThatCannotSearch(t *testing.T) {
	j := &journal{plays: func(args string) (string, string, int) {
		if strings.Contains(args, "--grep") {
			return "", "Compiled without pattern matching support", 1
		}
		return says(4, "d", "") + says(3, "No Route", "") + says(2, "b", "") + says(1, "no route", ""), "", 0
	}}
	got, err := texts(t, j, fleet.LogSource{}, fleet.LogQuery{Grep: "no route"})
	if want := "journalctl there cannot search: 4 lines, back to 2026-11-22 12:00:01Z, were searched from here,no route,No Route"; err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
}
