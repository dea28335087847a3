package secrets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Bounds of a look through a repository.
const (
	maxFiles    = 50000   // that are passed by
	maxSealed   = 5000    // that are secrets
	maxFile     = 1 << 20 // of one that is not an age file
	maxRuleFile = 1 << 20
	rulesTime   = 10 * time.Second
)

// passed are folders in which no secrets of a fleet are.
var passed = []string{".git", ".direnv", ".jj", "node_modules", "result"}

// Evaluator gives what a Nix file is, as JSON.
type Evaluator func(ctx context.Context, file string) ([]byte, error)

// Repository reads the encrypted files below a folder, and the rules for them.
// Nothing is decrypted, and no private key is looked for. Eval is asked for
// secrets.nix; it may be nil.
func Repository(ctx context.Context, folder string, eval Evaluator) (fleet.SealedFiles, error) {
	r := reading{ctx: ctx, out: fleet.SealedFiles{Folder: folder, Files: []fleet.SealedFile{}, Keys: []fleet.Recipient{}, Rules: []string{}}}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return r.out, fmt.Errorf("secrets of the flake: %w", err)
	}
	defer root.Close()
	r.root = root.FS()
	if err := fs.WalkDir(r.root, ".", r.visit); err != nil {
		return r.out, fmt.Errorf("secrets of the flake: %w", err)
	}
	for _, name := range r.rules {
		if path.Base(name) == "secrets.nix" {
			r.agenix(name, filepath.Join(folder, name), eval)
		} else {
			r.sops(name)
		}
	}
	r.names()
	return r.out, nil
}

// reading is one look through a repository.
type reading struct {
	ctx   context.Context
	root  fs.FS
	seen  int
	rules []string
	nix   []string // files that may name keys
	out   fleet.SealedFiles
}

var errMany = errors.New("it has too many files")

// visit looks at one file.
func (r *reading) visit(name string, d fs.DirEntry, err error) error {
	switch {
	case r.ctx.Err() != nil:
		return r.ctx.Err()
	case err != nil:
		if name == "." {
			return err
		}
		r.unread(name, err)
		return nil
	case d.IsDir():
		if slices.Contains(passed, d.Name()) {
			return fs.SkipDir
		}
		return nil
	case !d.Type().IsRegular():
		return nil
	}
	if r.seen++; r.seen > maxFiles || len(r.out.Files) >= maxSealed {
		return errMany
	}
	switch base := path.Base(name); {
	case base == ".sops.yaml" || base == ".sops.yml" || base == "secrets.nix":
		r.rules = append(r.rules, name)
		if base == "secrets.nix" {
			r.nix = append(r.nix, name)
		}
	case base == "keys.nix" || base == "pubkeys.nix" || base == "public-keys.nix" || base == "ssh-keys.nix":
		r.nix = append(r.nix, name)
	case path.Ext(base) == ".age":
		r.age(name, d)
	case path.Ext(base) != ".nix" && base != "flake.lock":
		r.maybeSops(name, d)
	}
	return nil
}

func (r *reading) unread(name string, err error) {
	if len(r.out.Unread) < 50 {
		r.out.Unread = append(r.out.Unread, fleet.Clean(name)+": "+fleet.Short(fleet.Clean(err.Error()), 200))
	}
}

// read gives the beginning of a file.
func (r *reading) read(name string, most int64) ([]byte, error) {
	f, err := r.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, 0, min(most, 64<<10))
	for int64(len(b)) < most {
		if len(b) == cap(b) {
			b = slices.Grow(b, len(b))
		}
		n, err := f.Read(b[len(b):min(int64(cap(b)), most)])
		b = b[:len(b)+n]
		if err != nil {
			break // its end; what cannot be read is told by what is missing
		}
	}
	return b, nil
}

func (r *reading) age(name string, d fs.DirEntry) {
	f := fleet.SealedFile{Path: fleet.Clean(name), Kind: fleet.SealedAge, Recipients: []fleet.Recipient{}, Modified: changed(d)}
	text, err := r.read(name, maxHeader)
	if err == nil {
		f.Recipients, err = ageRecipients(text)
	}
	if err != nil {
		f.Err = fleet.Short(fleet.Clean(err.Error()), 200)
	}
	r.out.Files = append(r.out.Files, f)
}

// maybeSops takes a file in where it is one of sops.
func (r *reading) maybeSops(name string, d fs.DirEntry) {
	info, err := d.Info()
	if err != nil || info.Size() > maxFile {
		return
	}
	text, err := r.read(name, maxFile)
	if err != nil || !isSops(text) {
		return
	}
	f := fleet.SealedFile{Path: fleet.Clean(name), Kind: fleet.SealedSops, Recipients: []fleet.Recipient{}, Modified: changed(d)}
	got, err := readSops(name, text)
	switch {
	case errors.Is(err, errNoSops) && !strings.Contains(name, "secret"):
		return // it only speaks of sops
	case err != nil:
		f.Err = err.Error()
	default:
		f.Names = got.names
		if err := together(got.together); err != nil {
			f.Err = err.Error()
		} else {
			f.Recipients = got.recipients
		}
		if !got.modified.IsZero() {
			f.Modified = got.modified
		}
	}
	r.out.Files = append(r.out.Files, f)
}

// changed is when a file was written, where that is told.
func changed(d fs.DirEntry) time.Time {
	info, err := d.Info()
	if err != nil {
		return time.Time{}
	}
	return info.ModTime().UTC()
}

// below gives the name of a file as the rules in a folder would write it.
func below(folder, file string) (string, bool) {
	if folder == "." {
		return file, true
	}
	return strings.CutPrefix(file, folder+"/")
}

// sops reads a .sops.yaml. The nearest one above a file is the one that counts, and
// the first of its rules that fits.
func (r *reading) sops(name string) {
	text, err := r.read(name, maxRuleFile)
	if err != nil {
		r.unread(name, err)
		return
	}
	rules, keys, err := sopsRules(text)
	if err != nil {
		r.unread(name, err)
	}
	r.out.Keys, r.out.Rules = append(r.out.Keys, keys...), append(r.out.Rules, fleet.Clean(name))
	for i, f := range r.out.Files {
		in, ok := below(path.Dir(name), f.Path)
		if !ok || f.Kind != fleet.SealedSops || len(f.RuleFrom) > len(name) {
			continue
		}
		for _, rule := range rules {
			if rule.re == nil || rule.re.MatchString(in) {
				r.out.Files[i].Rule, r.out.Files[i].RuleFrom = rule.want, fleet.Clean(name)
				break
			}
		}
	}
}

// agenix has a secrets.nix evaluated.
func (r *reading) agenix(name, file string, eval Evaluator) {
	if !slices.ContainsFunc(r.out.Files, func(f fleet.SealedFile) bool { return f.Kind == fleet.SealedAge }) {
		return // it is another's
	}
	if eval == nil {
		r.unread(name, errors.New("there is no nix here that could read it"))
		return
	}
	ctx, cancel := context.WithTimeout(r.ctx, rulesTime)
	defer cancel()
	text, err := eval(ctx, file)
	if err != nil {
		r.unread(name, err)
		return
	}
	rules, err := agenixRules(text)
	if err != nil {
		r.unread(name, err)
		return
	}
	r.out.Rules = append(r.out.Rules, fleet.Clean(name))
	for i, f := range r.out.Files {
		if want, ok := rules[f.Path]; ok && f.Kind == fleet.SealedAge { // from the repository's top
			r.out.Files[i].Rule, r.out.Files[i].RuleFrom = want, fleet.Clean(name)
		}
		in, ok := below(path.Dir(name), f.Path)
		if want, named := rules[in]; ok && named && f.Kind == fleet.SealedAge {
			r.out.Files[i].Rule, r.out.Files[i].RuleFrom = want, fleet.Clean(name)
		}
	}
	for _, list := range rules {
		r.out.Keys = append(r.out.Keys, list...)
	}
}

// names gives the keys the names that Nix files have for them, and each once.
func (r *reading) names() {
	called := map[string]fleet.Recipient{}
	for _, name := range r.nix {
		text, err := r.read(name, maxRuleFile)
		if err != nil {
			continue
		}
		for _, k := range nixKeys(string(text)) {
			if had, ok := called[k.Key]; !ok || had.Group == "" {
				called[k.Key] = k
			}
		}
	}
	keys, have := []fleet.Recipient{}, map[string]bool{}
	for _, k := range r.out.Keys {
		if c, ok := called[k.Key]; ok {
			k = c
		}
		if !have[k.Key] {
			have[k.Key], keys = true, append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b fleet.Recipient) int { return strings.Compare(a.Name+" "+a.Key, b.Name+" "+b.Key) })
	r.out.Keys = keys
}
