package fleet

import (
	"slices"
	"strings"
	"time"
)

// Recipient is somebody for whom a secret is encrypted, as its file or a rule
// names it. Only public keys are ever in one.
type Recipient struct {
	Kind  string `json:"kind"`            // one of the kinds below, or what the file calls it
	Key   string `json:"key,omitempty"`   // the public key, where it is told: "age1…", "ssh-ed25519 AAAA…", a PGP fingerprint
	Tag   string `json:"tag,omitempty"`   // what an age file tells of an SSH key in its place: see [SSHTag]
	Name  string `json:"name,omitempty"`  // what the rules call it
	Group string `json:"group,omitempty"` // the list of the rules that it stands in: "hosts", "users"
}

// Kinds of recipients.
const (
	RecipientAge        = "age"         // X25519; an age file does not tell whose
	RecipientEd25519    = "ssh-ed25519" //
	RecipientRSA        = "ssh-rsa"     //
	RecipientPQ         = "age-pq"      // post-quantum; an age file does not tell whose
	RecipientPGP        = "pgp"         //
	RecipientPassphrase = "passphrase"  //
	RecipientCloud      = "kms"         // a key in a key service: whoever may use it there
)

// Named tells whether it is known which key it is.
func (r Recipient) Named() bool { return r.Key != "" || r.Tag != "" }

// id names the recipient among others: two of one key are one.
func (r Recipient) id() string {
	if tag := r.tag(); tag != "" {
		return r.Kind + " " + tag
	}
	return r.Key
}

// tag is what an age file would call it, where it is an SSH key.
func (r Recipient) tag() string {
	if r.Tag != "" {
		return r.Tag
	}
	return SSHTag(r.Key)
}

// Kinds of encrypted files.
const (
	SealedAge  = "age"
	SealedSops = "sops"
)

// SealedFile is a file of encrypted secrets with what stands in it in clear.
type SealedFile struct {
	Path       string      `json:"path"`            // in the repository, or in a host's store
	Kind       string      `json:"kind"`            // "age", "sops"
	Names      []string    `json:"names,omitempty"` // keys of a sops file, which are in clear
	Recipients []Recipient `json:"recipients"`      // for whom it is encrypted
	Rule       []Recipient `json:"rule,omitempty"`  // for whom it should be
	RuleFrom   string      `json:"ruleFrom,omitempty"`
	Modified   time.Time   `json:"modified,omitzero"`
	Err        string      `json:"error,omitempty"` // why it could not be read
}

// SealedFiles are the encrypted files of the repository, and the rules for them.
type SealedFiles struct {
	Folder string       `json:"folder"`
	Files  []SealedFile `json:"files"`
	Keys   []Recipient  `json:"keys"`             // all that the rules name
	Rules  []string     `json:"rules"`            // the files of rules that were read
	Unread []string     `json:"unread,omitempty"` // what was not, and why
}

// HostSecrets are the secrets that a host decrypts. Their content is never read.
type HostSecrets struct {
	Systems   []string             `json:"systems"`            // "agenix", "sops-nix"
	Keys      []string             `json:"keys"`               // its public SSH host keys, authorized_keys form
	Installed time.Time            `json:"installed,omitzero"` // when it last decrypted
	Secrets   []HostSecret         `json:"secrets"`
	Failed    []SecretFailure      `json:"failed"`            // what went wrong since then
	Sealed    []SealedFile         `json:"sealed"`            // the encrypted files in its store
	Started   map[string]time.Time `json:"started,omitempty"` // when the units that use secrets were started, of those that are active
	Unseen    []string             `json:"unseen,omitempty"`  // what could not be seen, and why
}

// HostSecret is a secret of a host.
type HostSecret struct {
	Name     string    `json:"name"`
	System   string    `json:"system"`         // "agenix", "sops-nix"
	Path     string    `json:"path"`           // where services find it
	File     string    `json:"file,omitempty"` // the encrypted file in the store; "" the running system does not declare it
	Key      string    `json:"key,omitempty"`  // which of the file's; "" all of it
	Owner    string    `json:"owner,omitempty"`
	Group    string    `json:"group,omitempty"`
	Mode     string    `json:"mode,omitempty"`     // octal: "400"
	Missing  bool      `json:"missing,omitempty"`  // it is declared and is not there: it was not decrypted
	LeftOver bool      `json:"leftOver,omitempty"` // it is there, and the running system does not declare it
	Why      string    `json:"why,omitempty"`      // it is missing, where that is known
	Changed  time.Time `json:"changed,omitzero"`   // when a system came with another encrypted value, where older systems tell
	UsedBy   []string  `json:"usedBy"`             // units that name its path
	Restarts []string  `json:"restarts,omitempty"`
}

// SecretFailure is what an activation said of secrets.
type SecretFailure struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
	File string    `json:"file,omitempty"` // the encrypted file, where it names one
}

// secretStarted is when a unit that is active was started; zero: it is not, or it is
// not known. What was read with the secrets counts where the units do not tell.
func (s State) secretStarted(unit string) time.Time {
	for _, u := range s.Units.Value {
		if u.Name != unit || u.User != "" {
			continue
		}
		if u.Active != "active" {
			return time.Time{}
		}
		return later(u.Started, s.Secrets.Value.Started[unit])
	}
	return s.Secrets.Value.Started[unit]
}

// Older are the units that use a secret and were started before it changed: they
// may run with what it was before.
func (s State) Older(v HostSecret) []string {
	var list []string
	if v.Changed.IsZero() || v.Missing {
		return nil
	}
	for _, unit := range v.UsedBy {
		if at := s.secretStarted(unit); !at.IsZero() && at.Before(v.Changed) {
			list = append(list, unit)
		}
	}
	return list
}

// UnitOfSecret is the unit that something can be done to about a secret: the first
// that runs with an older one, else the first that uses it.
func (s State) UnitOfSecret(name string) string {
	for _, v := range s.Secrets.Value.Secrets {
		if units := append(s.Older(v), v.UsedBy...); v.Name == name && len(units) > 0 {
			return units[0]
		}
	}
	return ""
}

// SecretWord is how a secret of the host stands: "missing", "older", "left over", "ok".
func (s State) SecretWord(v HostSecret) string {
	switch {
	case v.Missing:
		return "missing"
	case len(s.Older(v)) > 0:
		return "older"
	case v.LeftOver:
		return "left over"
	}
	return "ok"
}

// HostKeys are the public SSH keys that are known to be the host's.
func (s State) HostKeys() []string {
	keys := append([]string{s.Reach.Value.HostKey}, s.Host.HostKeys...)
	keys = append(keys, s.Secrets.Value.Keys...)
	var out []string
	for _, k := range keys {
		if k = bareKey(k); k != "" && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// bareKey is a public SSH key without its comment.
func bareKey(k string) string {
	f := strings.Fields(k)
	if len(f) < 2 {
		return ""
	}
	return f[0] + " " + f[1]
}

// secretProblems are what is wrong with the secrets of the host itself.
func (s State) secretProblems(now time.Time, b *bench) {
	if !s.Secrets.Usable(now) {
		return
	}
	told := map[string]bool{} // files of which it is said already
	told[""] = slices.ContainsFunc(s.Secrets.Value.Secrets, func(v HostSecret) bool { return v.Missing })
	for _, v := range s.Secrets.Value.Secrets {
		of := Object{Kind: KindSecret, Name: v.Name}
		if v.Missing {
			told[v.File] = true
			p := b.add(of, SeverityFail, s.Secrets.Value.failedAt(v.File), "secret %s was not decrypted", v.Name)
			if v.Why != "" {
				p.What += ": " + v.Why
			}
			p.Because = []string{Object{Kind: KindSealed, Name: cannotRead}.Key()}
			p.Cure = "encrypt " + sealedName(v.File) + " for the key of " + s.Host.Name + " (" + rekey(v.System) + ") and deploy; sextant secrets tells who can read it"
			continue
		}
		if older := s.Older(v); len(older) > 0 {
			p := b.add(of, SeverityWarn, v.Changed, "%s still with an older secret %s: started before it changed", running(older), v.Name)
			p.Cure = "sextant unit restart " + s.Host.Name + " " + strings.Join(older, " ")
		}
	}
	for _, why := range s.Secrets.Value.Unseen {
		b.add(Object{Kind: KindSecret, Name: "unseen"}, SeverityUnknown, time.Time{}, "secrets: %s", why)
	}
	for _, f := range s.Secrets.Value.Failed {
		if !told[f.File] {
			told[f.File] = true
			b.add(Object{Kind: KindSecret, Name: "activation"}, SeverityFail, f.At, "secrets were not decrypted: %s", f.What)
		}
	}
}

func running(units []string) string {
	if len(units) == 1 {
		return units[0] + " runs"
	}
	return strings.Join(units, ", ") + " run"
}

// failedAt is when a file was told not to have been decrypted.
func (h HostSecrets) failedAt(file string) time.Time {
	for _, f := range h.Failed {
		if f.File == file && file != "" {
			return f.At
		}
	}
	return time.Time{}
}

// rekey is how a file is encrypted anew for those whom its rule names.
func rekey(system string) string {
	if system == "agenix" || system == SealedAge {
		return "agenix -r"
	}
	return "sops updatekeys"
}

// sealedName is a file of the store as people know it.
func sealedName(file string) string {
	rest, in := strings.CutPrefix(file, "/nix/store/")
	if !in {
		return file
	}
	_, rest, _ = strings.Cut(rest, "-")
	if _, below, ok := strings.Cut(rest, "/"); ok {
		return below
	}
	return rest
}

// secretEvents are what is known of when of the host's secrets.
func (s State) secretEvents() []Event {
	var list []Event
	h, source := s.Secrets.Value, s.Secrets.Source
	changed := map[time.Time][]string{}
	for _, v := range h.Secrets {
		if !v.Changed.IsZero() {
			changed[v.Changed] = append(changed[v.Changed], v.Name)
		}
	}
	for at, names := range changed {
		list = append(list, Event{At: at, Kind: EventSecret, Level: Info, Text: "changed: " + few(names), Source: source})
	}
	if len(h.Secrets) > 0 {
		list = append(list, Event{At: h.Installed, Kind: EventSecret, Level: Info, Text: "secrets were decrypted", Source: source})
	}
	for _, f := range h.Failed {
		list = append(list, Event{At: f.At, Kind: EventSecret, Level: Error, Text: f.What, Source: source})
	}
	return list
}

// few are some names in one line.
func few(names []string) string {
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
