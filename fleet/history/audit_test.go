package history

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

func opened(t *testing.T) (*History, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "sextant")
	h, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h, dir
}

// TestAuditKeepsWhatWasDone: several at once, and what was written before stays.
func TestAuditKeepsWhatWasDone(t *testing.T) {
	h, dir := opened(t)
	other, err := Open(dir) // as another process
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			to := h
			if i%2 == 0 {
				to = other
			}
			if err := to.Record(fleet.Event{At: time.Now(), Host: "storage", Kind: fleet.EventDeploy, Text: fmt.Sprint(i), Who: "ada"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := h.Audit()
	if err != nil || len(got) != 40 {
		t.Fatalf("%d events, %v; want 40", len(got), err)
	}
	if info, err := os.Stat(filepath.Join(dir, auditFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; others can read it", info.Mode(), err)
	}
}

// TestAuditWithATornLine: what broke off hides neither what was before nor what
// comes after, and is said.
func TestAuditWithATornLine(t *testing.T) {
	h, dir := opened(t)
	record := func(text string) {
		t.Helper()
		if err := h.Record(fleet.Event{Host: "storage", Text: text, Who: "ada"}); err != nil {
			t.Fatal(err)
		}
	}
	record("one")
	f, err := os.OpenFile(filepath.Join(dir, auditFile), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString(`{"schema":1,"host":"sto`)
	f.Close()
	record("two\x1b[2J")
	got, err := h.Audit()
	if len(got) != 2 || got[0].Text != "one" || strings.ContainsRune(got[1].Text, '\x1b') {
		t.Errorf("got %+v", got)
	}
	if err == nil || !strings.Contains(err.Error(), "1 line ") {
		t.Errorf("%v; want that a line cannot be read", err)
	}
}

// TestAuditIsBounded: the oldest go, never the newest.
func TestAuditIsBounded(t *testing.T) {
	h, dir := opened(t)
	long := strings.Repeat("x", maxAudit/4)
	for i := range 20 {
		if err := h.Record(fleet.Event{Host: "storage", Text: fmt.Sprint(i), Result: long, Who: "ada"}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := h.Audit()
	if err != nil || len(got) < 4 || len(got) > 12 || got[len(got)-1].Text != "19" {
		t.Errorf("%d events, %v", len(got), err)
	}
	names, _ := os.ReadDir(dir)
	if len(names) != 2 {
		t.Errorf("files: %v", names)
	}
}

// TestAuditFollowsNoLink: a link in its place leads nowhere.
func TestAuditFollowsNoLink(t *testing.T) {
	h, dir := opened(t)
	if err := os.Symlink("other", filepath.Join(dir, auditFile)); err != nil {
		t.Fatal(err)
	}
	if err := h.Record(fleet.Event{Host: "storage", Who: "ada"}); err == nil {
		t.Error("it wrote through a link")
	}
}

func FuzzAudit(f *testing.F) {
	f.Add([]byte("{\"schema\":1,\"host\":\"a\",\"text\":\"b\"}\n"))
	f.Add([]byte("{}\n\n[1]"))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = parseAudit(data) })
}
