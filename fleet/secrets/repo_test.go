package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

// write puts files below a folder.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRepository: files of both kinds are found with their recipients and rules, and
// what is no secret is not. What is encrypted stands nowhere in what is told.
func TestRepository(t *testing.T) {
	dir, one, two := t.TempDir(), sshKey(t), sshKey(t)
	write(t, dir, map[string]string{
		"flake.nix":                "{}",
		".sops.yaml":               "keys:\n- &storage " + age1 + "\ncreation_rules:\n- path_regex: ^sops/\n  age: " + age1 + "\n",
		"sops/a.yaml":              sealedSops["a.yaml"],
		"other/b.json":             sealedSops["a.json"],
		"agenix/secrets.nix":       `let storage = "` + one + `"; in { "app.age".publicKeys = [ storage ]; }`,
		"agenix/app.age":           string(seal(t, true, recipient(t, one), recipient(t, two))),
		"agenix/broken.age":        "rubbish",
		".git/x.age":               string(seal(t, false, recipient(t, one))),
		"docs/sops.md":             "how sops writes ENC[AES256_GCM,",
		"docs/\x1b]0;x\a/hard.age": string(seal(t, false, recipient(t, one))),
	})
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link.age")); err != nil {
		t.Fatal(err)
	}
	eval := func(_ context.Context, file string) ([]byte, error) {
		if file != filepath.Join(dir, "agenix/secrets.nix") {
			t.Errorf("%s is evaluated", file)
		}
		return json.Marshal(map[string]any{"app.age": map[string]any{"publicKeys": []string{one}, "armor": true}})
	}
	got, err := Repository(t.Context(), dir, eval)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]fleet.SealedFile{}
	for _, f := range got.Files {
		files[f.Path] = f
	}
	if len(files) != 5 || len(got.Unread) != 0 {
		t.Errorf("%+v", got)
	}
	if f := files["agenix/app.age"]; len(f.Recipients) != 2 || len(f.Rule) != 1 || f.RuleFrom != "agenix/secrets.nix" {
		t.Errorf("%+v", f)
	}
	if f := files["agenix/broken.age"]; f.Err == "" || f.RuleFrom != "" {
		t.Errorf("%+v", f)
	}
	if f := files["sops/a.yaml"]; len(f.Recipients) != 3 || len(f.Rule) != 1 || f.Rule[0].Key != age1 {
		t.Errorf("%+v", f)
	}
	if f := files["other/b.json"]; f.Kind != fleet.SealedSops || f.RuleFrom != "" {
		t.Errorf("%+v", f)
	}
	var names []string
	for _, k := range got.Keys {
		names = append(names, k.Name)
	}
	if !slices.Equal(names, []string{"storage", "storage"}) {
		t.Errorf("%q", names)
	}
	text, err := json.Marshal(got)
	if err != nil || strings.Contains(string(text), value) || strings.Contains(string(text), "qq==") || strings.ContainsRune(string(text), 0x1b) {
		t.Errorf("%v %s", err, text)
	}
}

// TestRepositoryUnread: what cannot be read is said, and is not taken for nothing.
func TestRepositoryUnread(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"secrets.nix": "{}", "a.age": string(seal(t, false, recipient(t, sshKey(t)))), ".sops.yaml": "creation_rules:\n- path_regex: '['\n"})
	for name, eval := range map[string]Evaluator{
		"there is no nix":   nil,
		"attribute missing": func(context.Context, string) ([]byte, error) { return nil, errors.New("attribute missing") },
		"not what agenix":   func(context.Context, string) ([]byte, error) { return []byte("[1"), nil },
	} {
		got, err := Repository(t.Context(), dir, eval)
		if err != nil || len(got.Unread) != 2 || !strings.Contains(strings.Join(got.Unread, "\n"), name) {
			t.Errorf("%s: %v %q", name, err, got.Unread)
		}
	}
	if _, err := Repository(t.Context(), filepath.Join(dir, "none"), nil); err == nil {
		t.Error("a folder that is not there is read")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Repository(ctx, dir, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
