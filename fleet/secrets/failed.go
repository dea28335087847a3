package secrets

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// failed is what activations said of secrets since they were last decrypted.
func (a sections) failed(h fleet.HostSecrets) []fleet.SecretFailure {
	list := []fleet.SecretFailure{}
	add := func(at time.Time, what string, file *string) {
		what = fleet.Short(fleet.HideText(fleet.Clean(what)), 300)
		f := fleet.SecretFailure{At: at, What: what, File: fileIn(what)}
		switch {
		case what == "":
			return
		case strings.HasPrefix(what, "decrypting '"): // agenix says what it begins with
			*file = f.File
			return
		case strings.Contains(what, "no identity matched"):
			f.File = cmp.Or(f.File, *file)
		}
		if stands(h, f) && !slices.ContainsFunc(list, func(o fleet.SecretFailure) bool { return o.What == f.What && o.File == f.File }) {
			list = append(list, f)
		}
	}
	file := "" // that was to be decrypted when it was said
	for _, l := range a["journal"] {
		when, what, _ := strings.Cut(l, " ")
		_, what, _ = strings.Cut(what, ": ") // who said it
		add(epoch(when), what, &file)
	}
	for when, lines := range a.of("log") {
		for _, l := range lines {
			add(epoch(when), l, &file)
		}
	}
	slices.SortStableFunc(list, func(x, y fleet.SecretFailure) int { return y.At.Compare(x.At) })
	return list[:min(len(list), maxFailed)]
}

// stands tells whether a failure is one of now. What agenix could not decrypt is
// missing; what sops-nix could not makes all be as it was before.
func stands(h fleet.HostSecrets, f fleet.SecretFailure) bool {
	missing := slices.ContainsFunc(h.Secrets, func(v fleet.HostSecret) bool { return v.Missing && (f.File == "" || v.File == f.File) })
	declared := slices.ContainsFunc(h.Secrets, func(v fleet.HostSecret) bool { return f.File != "" && v.File == f.File })
	switch {
	case missing:
		return true
	case f.At.IsZero() || strings.Contains(f.What, "agenix") || strings.Contains(f.What, "identity"):
		return false
	case f.File != "" && !declared:
		return false // of a system that does not run
	}
	return f.At.After(h.Installed)
}

// fileIn is the encrypted file that a line names.
func fileIn(what string) string {
	i := strings.Index(what, "/nix/store/")
	if i < 0 {
		return ""
	}
	file := what[i:]
	if end := strings.IndexAny(file, "' \t\""); end >= 0 {
		file = file[:end]
	}
	if strings.HasSuffix(file, ":") || strings.Contains(file, "/bin/") { // the program that says it
		_, rest, _ := strings.Cut(what[i+len("/nix/store/"):], "/nix/store/")
		if rest == "" {
			return ""
		}
		return fileIn("/nix/store/" + rest)
	}
	return file
}

// why is what was said when a secret was not decrypted.
func why(failed []fleet.SecretFailure, v fleet.HostSecret) string {
	for _, f := range failed {
		if f.File == v.File && f.File != "" {
			return f.What
		}
	}
	for _, f := range failed {
		if f.File == "" && strings.Contains(f.What, "no identity matched") {
			return f.What
		}
	}
	return ""
}
