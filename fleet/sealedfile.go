package fleet

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SecretFile is an encrypted file with who can read it and which hosts need to.
type SecretFile struct {
	Path     string      `json:"path"`
	Kind     string      `json:"kind"`
	Stored   bool        `json:"stored,omitempty"` // it is only seen in the stores of hosts
	Names    []string    `json:"names,omitempty"`
	Readers  []Reader    `json:"readers"`
	Uses     []SecretUse `json:"uses"`              // hosts that decrypt it
	Rule     string      `json:"rule,omitempty"`    // "same", "differs"; "": no rule is known
	Missing  []Reader    `json:"missing,omitempty"` // whom the rule names and the file does not
	Extra    []Reader    `json:"extra,omitempty"`   // whom the file names and the rule does not
	RuleFrom string      `json:"ruleFrom,omitempty"`
	Modified time.Time   `json:"modified,omitzero"`
	Err      string      `json:"error,omitempty"`
}

// SecretUse is that a host decrypts a file.
type SecretUse struct {
	Host   string   `json:"host"`
	HostID HostID   `json:"hostId"`
	Names  []string `json:"names"`         // the host's secrets out of it
	Can    *bool    `json:"can,omitempty"` // whether it is encrypted for a key of the host; null: that is not known
}

// Hosts are those of the fleet that can read the file.
func (f SecretFile) Hosts() []string { return f.who(ReaderHost) }

// who are the labels of the readers of a kind, each once.
func (f SecretFile) who(kind string) []string {
	var out []string
	for _, r := range f.Readers {
		if r.Who == kind && !slices.Contains(out, r.Label()) {
			out = append(out, r.Label())
		}
	}
	return out
}

// Nobody tells whether neither a host of the fleet nor a person whom the rules name
// can read the file; false also where it is not known.
func (f SecretFile) Nobody() bool {
	return f.Err == "" && !slices.ContainsFunc(f.Readers, func(r Reader) bool {
		return r.Who == ReaderHost || r.Who == ReaderPerson || r.Who == ReaderUnnamed
	})
}

// Cannot are hosts that decrypt the file and for which it is not encrypted.
func (f SecretFile) Cannot() []string {
	var out []string
	for _, u := range f.Uses {
		if u.Can != nil && !*u.Can {
			out = append(out, u.Host)
		}
	}
	return out
}

// Word is how the file stands: "cannot", "gone", "nobody", "rule", "?", "ok".
func (f SecretFile) Word() string {
	switch {
	case len(f.Cannot()) > 0:
		return "cannot"
	case f.Err != "":
		return "?"
	case len(f.who(ReaderGone)) > 0:
		return "gone"
	case f.Nobody():
		return "nobody"
	case f.Rule == "differs":
		return "rule"
	}
	return "ok"
}

// Says is what is not well with the file, in one line.
func (f SecretFile) Says() string {
	var all []string
	say := func(names []string, text string) {
		if len(names) > 0 {
			all = append(all, few(names)+text)
		}
	}
	say(f.Cannot(), " needs it and cannot read it")
	if f.Err != "" {
		all = append(all, f.Err)
	}
	say(f.who(ReaderGone), " can read it and is no host of the fleet")
	if f.Nobody() {
		all = append(all, "nobody who is known can read it")
	}
	if f.Rule == "differs" {
		all = append(all, "its rule names others")
	}
	return strings.Join(all, "; ")
}

// Cure is what a person can do about it.
func (f SecretFile) Cure() string {
	again := "agenix -r"
	if f.Kind == SealedSops {
		again = "sops updatekeys " + f.Path
	}
	switch f.Word() {
	case "cannot", "nobody":
		return "name the host's key in the rule for it, then " + again + ", and deploy"
	case "gone":
		return "take the key out of the rule, then " + again + "; what the host could read should be changed itself, too"
	case "rule":
		return again
	}
	return ""
}

// SecretFiles are the encrypted files of the repository, and those in the stores of
// hosts that are none of it, with who can read them.
func (s Snapshot) SecretFiles() []SecretFile {
	k, out := s.keyring(), []SecretFile{}
	at := map[string]int{}
	for _, f := range s.Sealed.Value.Files {
		at[f.Path] = len(out)
		out = append(out, k.file(f))
	}
	for _, st := range s.Hosts {
		for _, f := range st.Secrets.Value.Sealed {
			path, in := inRepository(sealedName(f.Path), s.Sealed.Value.Files)
			i, ok := at[path]
			if !ok {
				f.Path = path
				at[path], i = len(out), len(out)
				one := k.file(f)
				one.Stored = !in
				out = append(out, one)
			}
			out[i].Uses = append(out[i].Uses, k.use(st, f, out[i]))
		}
	}
	slices.SortStableFunc(out, func(a, b SecretFile) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// inRepository finds the repository's file that lies in a store as name: by its
// path, or by its last part where only one has that.
func inRepository(name string, files []SealedFile) (string, bool) {
	var found []string
	for _, f := range files {
		if f.Path == name || strings.HasSuffix(name, "/"+f.Path) {
			return f.Path, true
		}
		if path.Base(f.Path) == path.Base(name) && (!strings.Contains(name, "/") || strings.HasSuffix(f.Path, "/"+name)) {
			found = append(found, f.Path)
		}
	}
	if len(found) == 1 {
		return found[0], true
	}
	return name, false
}

// use is that a host decrypts a file.
func (k keyring) use(st State, stored SealedFile, f SecretFile) SecretUse {
	u := SecretUse{Host: st.Host.Name, HostID: st.Host.ID, Names: []string{}}
	works := true
	for _, v := range st.Secrets.Value.Secrets {
		if v.File == stored.Path {
			u.Names, works = append(u.Names, v.Name), works && !v.Missing
		}
	}
	can := reads(f.Readers, st.Host.ID)
	byItsKey := reads(k.readAll(stored.Recipients), st.Host.ID)
	blind := f.Err != "" || slices.Contains(k.unknown, st.Host.Name) || works && !byItsKey || // it has a key that is not known
		slices.ContainsFunc(f.Readers, func(r Reader) bool { return r.Who == ReaderUnnamed || r.Who == ReaderUnknown && !byItsKey })
	if can || !blind {
		u.Can = &can
	}
	return u
}

// reads tells whether a host is among the readers.
func reads(list []Reader, id HostID) bool {
	return slices.ContainsFunc(list, func(r Reader) bool { return r.Who == ReaderHost && r.HostID == id })
}

// file tells who can read one.
func (k keyring) file(f SealedFile) SecretFile {
	out := SecretFile{
		Path: f.Path, Kind: f.Kind, Names: f.Names, Uses: []SecretUse{}, Readers: k.readAll(f.Recipients),
		RuleFrom: f.RuleFrom, Modified: f.Modified, Err: f.Err,
	}
	if f.RuleFrom == "" || f.Err != "" {
		return out
	}
	out.Missing, out.Extra = k.differ(f)
	out.Rule = "same"
	if len(out.Missing)+len(out.Extra) > 0 {
		out.Rule = "differs"
	}
	return out
}

// differ compares the recipients of a file with its rule. Of keys that an age file
// does not tell only the number can be compared.
func (k keyring) differ(f SealedFile) (missing, extra []Reader) {
	nameless := map[string]int{} // by kind
	has, want := map[string]bool{}, map[string]bool{}
	for _, r := range f.Recipients {
		if !r.Named() {
			nameless[r.Kind]++
		}
		has[r.id()] = true
	}
	for _, r := range f.Rule {
		want[r.id()] = true
		switch {
		case has[r.id()]:
		case nameless[r.Kind] > 0:
			nameless[r.Kind]--
		default:
			missing = append(missing, k.read(r))
		}
	}
	for _, r := range f.Recipients {
		switch {
		case r.Named() && !want[r.id()]:
			extra = append(extra, k.read(r))
		case !r.Named() && nameless[r.Kind] > 0:
			nameless[r.Kind]--
			extra = append(extra, k.read(r))
		}
	}
	return missing, extra
}

// sealedFindings are what is wrong with the encrypted files. They are judged only
// where the repository's are known: hosts alone do not tell what their keys are called.
func (s Snapshot) sealedFindings(now time.Time) []Finding {
	if !s.Sealed.Usable(now) {
		return nil
	}
	var b, of bench
	gone, cannot, files := map[string][]string{}, map[HostID][]string{}, s.SecretFiles()
	var nobody, rules []string
	for _, f := range files {
		for _, name := range f.who(ReaderGone) {
			gone[name] = append(gone[name], f.Path)
		}
		for _, u := range f.Uses {
			if st, ok := s.Host(u.HostID); ok && st.Secrets.Usable(now) && u.Can != nil && !*u.Can {
				cannot[u.HostID] = append(cannot[u.HostID], f.Path)
			}
		}
		switch {
		case f.Stored: // another repository's: its rules are not known
		case f.Err != "":
			b.add(Object{Kind: KindSealed, Name: f.Path}, SeverityUnknown, time.Time{}, "secret %s: %s", f.Path, f.Err)
		case f.Nobody():
			nobody = append(nobody, f.Path)
		case f.Rule == "differs":
			rules = append(rules, f.Path)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		p := b.add(Object{Kind: KindSealed, Name: "reader " + name}, SeverityWarn, time.Time{}, "%s, which is no host of the fleet, can read %s: %s", name, secrets(gone[name]), few(gone[name]))
		p.Cure = "take the key out of the rules, encrypt anew (agenix -r, sops updatekeys FILE), and change the secrets themselves"
	}
	if len(nobody) > 0 {
		b.add(Object{Kind: KindSealed, Name: "nobody"}, SeverityWarn, time.Time{}, "nobody who is known can read %s: %s", secrets(nobody), few(nobody))
	}
	if len(rules) > 0 {
		b.add(Object{Kind: KindSealed, Name: "rules"}, SeverityWarn, time.Time{}, "the rules name others for %s: %s", secrets(rules), few(rules)).Cure = "agenix -r, sops updatekeys FILE"
	}
	for _, why := range s.Sealed.Value.Unread {
		b.add(Object{Kind: KindSealed, Name: "unread"}, SeverityUnknown, time.Time{}, "rules of secrets: %s", why)
	}
	var list []Finding
	for _, p := range b {
		list = append(list, Finding{Problem: p})
	}
	for _, st := range s.Hosts {
		if paths := cannot[st.Host.ID]; len(paths) > 0 {
			of = of[:0]
			p := of.add(Object{Kind: KindSealed, Name: cannotRead}, SeverityFail, time.Time{}, "it cannot read %s that it needs: %s", secrets(paths), few(paths))
			p.Cure = "name its key in the rules, encrypt anew (agenix -r, sops updatekeys FILE), and deploy"
			list = append(list, Finding{Host: st.Host.Name, HostID: st.Host.ID, Problem: *p})
		}
	}
	return list
}

// cannotRead names the problem that a host needs secrets that it cannot read.
const cannotRead = "cannot"

// secrets is how many there are.
func secrets(paths []string) string {
	if len(paths) == 1 {
		return "one secret file"
	}
	return strconv.Itoa(len(paths)) + " secret files"
}
