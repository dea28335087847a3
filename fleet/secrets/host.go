package secrets

import (
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

//go:embed host.sh
var hostScript string

// Bounds of one reading.
const (
	hostTime   = 20 * time.Second
	hostBytes  = 8 << 20
	maxSecrets = 2000
	maxFailed  = 50
	maxUses    = 50
	source     = "activation scripts, units and journal"
)

// The ways to decrypt.
const (
	agenix = "agenix"
	sops   = "sops-nix"
)

// ErrOfRoot is why nothing is known of secrets where we are not root.
var ErrOfRoot = fleet.WithCure(errors.New("secrets are root's to see, and the login there is not root's"),
	`log in as root (user = "root" for this host in config.toml), or let the user's sudo ask nothing (NOPASSWD)`)

// Host reads which secrets a host decrypts. What is in them is not read.
func Host(ctx context.Context, l link.Link) fleet.Fact[fleet.HostSecrets] {
	ctx, cancel := context.WithTimeout(ctx, hostTime)
	defer cancel()
	mark := rand.Text()
	cmd := link.Script(hostScript, mark)
	cmd.Root, cmd.Limit = true, hostBytes
	res, err := l.Run(ctx, cmd)
	if err == nil && res.Status != 0 {
		err = fmt.Errorf("exit status %d", res.Status)
	}
	if err != nil {
		return fleet.Unknown[fleet.HostSecrets](fmt.Errorf("secrets of %s: %w", l.Host().Name, err), time.Now(), source)
	}
	return parse(l.Host().Name, string(res.Stdout), mark)
}

// parse reads what host.sh prints.
func parse(name, out, mark string) fleet.Fact[fleet.HostSecrets] {
	now := time.Now()
	a := answer(out, mark)
	if _, ok := a["end"]; !ok {
		return fleet.Unknown[fleet.HostSecrets](fmt.Errorf("secrets of %s: the answer has no end", name), now, source)
	}
	h := a.read()
	if len(h.Secrets) == 0 && len(h.Failed) == 0 && len(h.Systems) == 0 {
		return fleet.Nothing[fleet.HostSecrets]("it has neither agenix nor sops-nix", now, source)
	}
	return fleet.Known(h, now, source)
}

// sections are the parts of an answer by their heads, with their lines.
type sections map[string][]string

func answer(out, mark string) sections {
	all := sections{}
	for head, text := range link.Sections(out, mark) {
		all[head] = []string{}
		if text != "" {
			all[head] = strings.Split(text, "\n")
		}
	}
	return all
}

// of are the sections whose head begins with a word, by the rest of it.
func (a sections) of(word string) map[string][]string {
	out := map[string][]string{}
	for head, lines := range a {
		if rest, ok := strings.CutPrefix(head, word+" "); ok {
			out[rest] = lines
		}
	}
	return out
}

// system is what one system of the host decrypts.
type system struct {
	at       time.Time // when it was made, or activated where it runs
	link     string
	path     string
	number   int
	declared []declared
}

// declared is a secret that a system decrypts.
type declared struct {
	name, system, file, key, path string
	restarts                      []string
}

// id names the secret among those of its system.
func (d declared) id() string { return d.system + " " + d.name }

func (a sections) read() fleet.HostSecrets {
	h := fleet.HostSecrets{Systems: []string{}, Keys: keys(a["keys"]), Secrets: []fleet.HostSecret{}, Failed: []fleet.SecretFailure{}, Sealed: []fleet.SealedFile{}}
	manifests, unseen := a.manifests()
	systems := a.systems(manifests)
	h.Unseen = unseen
	versions := a.versions()
	there, installed := a.there()
	h.Installed = installed
	var running system
	if len(systems) > 0 {
		running = systems[0]
	}
	uses, declares := a.uses(), map[string]bool{}
	for _, d := range running.declared {
		declares[d.system] = true
		v := fleet.HostSecret{Name: d.name, System: d.system, Path: d.path, File: d.file, Key: d.key, Restarts: d.restarts, UsedBy: uses[d.path]}
		if f, ok := there[d.system+" "+d.name]; ok {
			v.Owner, v.Group, v.Mode = f.owner, f.group, f.mode
			if f.path != d.path { // the one is a link to the other
				v.UsedBy = append(slices.Clone(v.UsedBy), uses[f.path]...)
			}
			delete(there, d.system+" "+d.name)
		} else if within(d) {
			v.Missing = true
		}
		v.Changed = changedAt(systems, d, versions)
		h.Secrets = append(h.Secrets, v)
	}
	for id, f := range there {
		sys, name, _ := strings.Cut(id, " ")
		if sys == sops && strings.HasPrefix(name, "rendered/") { // templates with secrets in them
			continue
		}
		h.Secrets = append(h.Secrets, fleet.HostSecret{Name: name, System: sys, Path: f.path, Owner: f.owner, Group: f.group, Mode: f.mode, UsedBy: uses[f.path], LeftOver: declares[sys]})
	}
	slices.SortFunc(h.Secrets, func(x, y fleet.HostSecret) int {
		return cmp.Or(strings.Compare(x.Name, y.Name), strings.Compare(x.System, y.System), strings.Compare(x.Path, y.Path))
	})
	h.Secrets = h.Secrets[:min(len(h.Secrets), maxSecrets)]
	for i, v := range h.Secrets {
		if v.UsedBy == nil {
			h.Secrets[i].UsedBy = []string{}
		}
		if !slices.Contains(h.Systems, v.System) {
			h.Systems = append(h.Systems, v.System)
		}
	}
	slices.Sort(h.Systems)
	for _, s := range h.Systems {
		if !declares[s] {
			h.Unseen = append(h.Unseen, "what of "+s+" the system declares is not found")
		}
	}
	h.Started = a.started(h.Secrets)
	h.Sealed = a.sealed(running.declared)
	h.Failed = a.failed(h)
	for i, v := range h.Secrets {
		if v.Missing {
			h.Secrets[i].Why = why(h.Failed, v)
		}
	}
	return h
}

// within tells whether a secret lies where those of its system were looked for.
func within(d declared) bool { return strings.HasPrefix(d.path, "/run/") || d.system == sops }

// keys are the public SSH keys of a host.
func keys(lines []string) []string {
	out := []string{}
	for _, l := range lines {
		f := strings.Fields(l)
		if len(f) >= 2 && fleet.SSHTag(l) != "" && len(out) < 20 {
			out = append(out, fleet.Clean(f[0]+" "+f[1]))
		}
	}
	return out
}

// manifest is what sops-nix is told to decrypt.
type manifest struct {
	Secrets []struct {
		Name, Key, Path, SopsFile string
		RestartUnits, ReloadUnits []string
	}
}

// manifests are those of all systems, by their paths.
func (a sections) manifests() (out map[string][]declared, unseen []string) {
	out = map[string][]declared{}
	for p, lines := range a.of("manifest") {
		var m manifest
		if err := json.Unmarshal([]byte(strings.Join(lines, "\n")), &m); err != nil {
			unseen = append(unseen, fleet.Clean(p)+" cannot be read")
			continue
		}
		var list []declared
		for _, s := range m.Secrets[:min(len(m.Secrets), maxSecrets)] {
			list = append(list, declared{
				name: fleet.Clean(s.Name), system: sops, file: fleet.Clean(s.SopsFile), key: fleet.Clean(s.Key), path: fleet.Clean(s.Path),
				restarts: fleet.CleanAll(append(s.RestartUnits, s.ReloadUnits...)),
			})
		}
		out[p] = list
	}
	slices.Sort(unseen)
	return out, unseen[:min(len(unseen), 10)]
}

// systems are the one that runs, first, and those of the profile, oldest first.
func (a sections) systems(manifests map[string][]declared) []system {
	var all []system
	to := ""
	for _, line := range a["systems"] {
		if rest, ok := strings.CutPrefix(line, "system "); ok {
			f := strings.SplitN(rest, " ", 3)
			if len(f) == 3 {
				all = append(all, system{at: epoch(f[0]), link: f[1], path: f[2], number: numberOf(f[1])})
			}
			continue
		}
		if len(all) == 0 {
			continue
		}
		s := &all[len(all)-1]
		if m, ok := strings.CutPrefix(line, "manifest "); ok {
			s.declared = append(s.declared, manifests[m]...)
			continue
		}
		if _, after, ok := strings.Cut(line, `Path="`); ok && strings.HasPrefix(line, "_") {
			to = strings.TrimSuffix(after, `"`)
			continue
		}
		if d, ok := ofAgenix(line, to); ok {
			s.declared, to = append(s.declared, d), ""
		}
	}
	return all
}

// ofAgenix reads a line of its activation: "decrypting 'FILE' to 'PATH'", with what
// was said before of where that is.
func ofAgenix(line, to string) (declared, bool) {
	f := strings.Split(line, "'")
	if len(f) < 4 || !strings.HasPrefix(line, "decrypting ") {
		return declared{}, false
	}
	d := declared{system: agenix, file: fleet.Clean(f[1])}
	if _, name, ok := strings.Cut(to, "/$_agenix_generation/"); ok {
		d.name, d.path = fleet.Clean(name), "/run/agenix/"+fleet.Clean(name)
	} else {
		d.path = fleet.Clean(cmp.Or(to, f[3]))
		d.name = path.Base(d.path)
	}
	return d, d.name != "" && !strings.Contains(d.path, "$")
}

func numberOf(link string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(path.Base(link), "system-"), "-link"))
	return n
}

// epoch is a time as a host tells it, in seconds.
func epoch(s string) time.Time {
	sec, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || sec <= 0 || sec > 1<<40 {
		return time.Time{}
	}
	return time.UnixMicro(int64(sec * 1e6)).UTC()
}

// decrypted is a file of /run.
type decrypted struct{ path, owner, group, mode string }

// there are the decrypted files, by system and name, and when that was last done.
func (a sections) there() (map[string]decrypted, time.Time) {
	out, at := map[string]decrypted{}, time.Time{}
	for head, lines := range a.of("dir") {
		dir, when, _ := strings.Cut(head, " ")
		sys := sops
		if dir == "/run/agenix" {
			sys = agenix
		}
		if t := epoch(when); t.After(at) {
			at = t
		}
		for _, l := range lines {
			f := strings.SplitN(l, "\t", 4)
			if len(f) != 4 || len(out) >= maxSecrets || strings.HasSuffix(f[3], ".tmp") {
				continue
			}
			name := fleet.Clean(f[3])
			out[sys+" "+name] = decrypted{path: dir + "/" + name, owner: fleet.Clean(f[1]), group: fleet.Clean(f[2]), mode: fleet.Clean(f[0])}
		}
	}
	return out, at
}

// uses are the units that name a path, by the path.
func (a sections) uses() map[string][]string {
	out, of := map[string][]string{}, map[string][]string{}
	add := func(p, unit string) {
		if unit != "" && len(out[p]) < maxUses && !slices.Contains(out[p], unit) {
			out[p] = append(out[p], unit)
		}
	}
	for _, l := range a["scripts"] {
		if file, script, ok := strings.Cut(l, ":"); ok {
			of[script] = append(of[script], unitOf(file))
		}
	}
	for _, l := range a["uses"] {
		if file, p, ok := strings.Cut(l, ":"); ok {
			add(fleet.Clean(p), unitOf(file))
		}
	}
	for _, l := range a["scriptuses"] {
		if script, p, ok := strings.Cut(l, ":"); ok {
			for _, unit := range of[script] {
				add(fleet.Clean(p), unit)
			}
		}
	}
	for p := range out {
		slices.Sort(out[p])
	}
	return out
}

// started is when the units that use secrets were started, of those that are active.
func (a sections) started(secrets []fleet.HostSecret) map[string]time.Time {
	uses := map[string]bool{}
	for _, v := range secrets {
		for _, unit := range v.UsedBy {
			uses[unit] = true
		}
	}
	out, one := map[string]time.Time{}, map[string]string{}
	for _, l := range append(a["started"], "") { // an empty line is between two units
		if l != "" {
			name, value, _ := strings.Cut(l, "=")
			one[name] = value
			continue
		}
		at := epoch(strings.TrimPrefix(one["ExecMainStartTimestamp"], "@"))
		if unit := fleet.Clean(one["Id"]); uses[unit] && one["ActiveState"] == "active" && !at.IsZero() {
			out[unit] = at
		}
		clear(one)
	}
	return out
}

// unitOf is the unit that a file is of, or that it adds to.
func unitOf(file string) string {
	base, dir := path.Base(file), path.Base(path.Dir(file))
	if strings.HasSuffix(dir, ".service.d") {
		return fleet.Clean(strings.TrimSuffix(dir, ".d"))
	}
	if !strings.HasSuffix(base, ".service") {
		return ""
	}
	return fleet.Clean(base)
}

// sealed are the encrypted files of the running system.
func (a sections) sealed(running []declared) []fleet.SealedFile {
	names := map[string][]string{}
	for _, d := range running {
		names[d.file] = append(names[d.file], d.key)
	}
	out := []fleet.SealedFile{}
	add := func(kind, file string, list []fleet.Recipient, err error) {
		if names[file] == nil {
			return
		}
		f := fleet.SealedFile{Path: fleet.Clean(file), Kind: kind, Recipients: list}
		if f.Recipients == nil {
			f.Recipients = []fleet.Recipient{}
		}
		if kind == fleet.SealedSops {
			f.Names = names[file]
		}
		if err != nil {
			f.Err = fleet.Short(fleet.Clean(err.Error()), 200)
		}
		out = append(out, f)
	}
	for file, lines := range a.of("age") {
		list, err := ageRecipients([]byte(strings.Join(lines, "\n") + "\n"))
		add(fleet.SealedAge, file, list, err)
	}
	for file, lines := range a.of("sops") {
		list, err := sopsRecipients(lines)
		add(fleet.SealedSops, file, list, err)
	}
	slices.SortFunc(out, func(x, y fleet.SealedFile) int { return strings.Compare(x.Path, y.Path) })
	return out
}

// sopsRecipients are keys as they were found in a file's metadata.
func sopsRecipients(lines []string) ([]fleet.Recipient, error) {
	var list []fleet.Recipient
	for _, l := range lines {
		if n, ok := strings.CutPrefix(l, "shamir_threshold"); ok {
			groups, _ := strconv.Atoi(strings.TrimLeft(n, "\": =\t"))
			if err := together(groups); err != nil {
				return nil, err
			}
			continue
		}
		if l == "" {
			continue
		}
		r := recipientOf(l)
		if pgpPrint.MatchString(r.Key) {
			r.Kind = fleet.RecipientPGP
		}
		if !slices.Contains(list, r) {
			list = append(list, r)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("no recipient is found in it")
	}
	return list, nil
}
