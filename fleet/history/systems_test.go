package history

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestSystemsOfCommits: what is learnt of a commit adds up, and only the newest
// commits are kept.
func TestSystemsOfCommits(t *testing.T) {
	h, dir := opened(t)
	for i := range maxCommits + 5 {
		if err := h.SaveSystems(fmt.Sprint("c", i), map[string]string{"storage": fmt.Sprint("/nix/store/", i)}); err != nil {
			t.Fatal(err)
		}
	}
	last := fmt.Sprint("c", maxCommits+4)
	if err := h.SaveSystems(last, map[string]string{"cloud": "/nix/store/x"}); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Systems(last); err != nil || len(got) != 2 || got["storage"] == "" || got["cloud"] != "/nix/store/x" {
		t.Errorf("of the newest: %v, %v", got, err)
	}
	if got, err := h.Systems("c0"); err != nil || len(got) != 0 {
		t.Errorf("of the oldest: %v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, systemsFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Systems(last); err == nil || len(got) != 0 {
		t.Errorf("of a damaged file: %v, %v", got, err)
	}
}
