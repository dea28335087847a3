package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"

	"github.com/sextant-fleet/sextant/fleet"
)

// sealedFile is a file of secrets in the demo's flake: whose keys it is encrypted
// for, and what is in it. "attic" is a host that was taken away, "ada" a person.
type sealedFile struct {
	path  string
	to    []string
	names []string
}

// sealedFiles are those of the demo. One can still be read by the attic, one lacks
// the router, which its rule names, and one that vault needs is not for vault.
var sealedFiles = []sealedFile{
	{"secrets/storage.yaml", []string{"ada", "storage"}, []string{"paperless-env", "immich-env", "nextcloud-admin", "restic-password"}},
	{"secrets/cloud.yaml", []string{"ada", "cloud", "attic"}, []string{"authelia-jwt", "lldap-env", "vaultwarden-env"}},
	{"secrets/shared.yaml", []string{"ada", "storage", "cloud"}, []string{"smtp-password"}},
	{"secrets/vault/openbao-unseal.age", []string{"vault"}, nil},
	{"secrets/vault/step-ca-password.age", []string{"cottage"}, nil},
}

// sopsRules are the rules of the demo's flake, with keys in the places of %s.
const sopsRules = `keys:
  - users:
      - &ada %[1]s
  - hosts:
      - &storage %[2]s
      - &cloud %[3]s
      - &router %[4]s
      - &attic %[5]s
creation_rules:
  - path_regex: secrets/storage\.yaml$
    key_groups: [{age: [*ada, *storage]}]
  - path_regex: secrets/cloud\.yaml$
    key_groups: [{age: [*ada, *cloud, *attic]}]
  - path_regex: secrets/shared\.yaml$
    key_groups: [{age: [*ada, *storage, *cloud, *router]}]
`

// secretUse is a secret of a host: the unit that reads it.
type secretUse struct{ file, name, unit, owner string }

// secretUses are those of the hosts that have some.
var secretUses = map[string][]secretUse{
	"storage": {
		{"secrets/storage.yaml", "paperless-env", "podman-paperless.service", "root"},
		{"secrets/storage.yaml", "immich-env", "podman-immich-server.service", "root"},
		{"secrets/storage.yaml", "nextcloud-admin", "podman-nextcloud.service", "root"},
		{"secrets/storage.yaml", "restic-password", "restic-backups-documents.service", "root"},
		{"secrets/shared.yaml", "smtp-password", "podman-gatus.service", "root"},
	},
	"cloud": {
		{"secrets/cloud.yaml", "authelia-jwt", "podman-authelia.service", "root"},
		{"secrets/cloud.yaml", "lldap-env", "podman-lldap.service", "root"},
		{"secrets/cloud.yaml", "vaultwarden-env", "podman-vaultwarden.service", "root"},
		{"secrets/shared.yaml", "smtp-password", "podman-vaultwarden.service", "root"},
	},
	"vault": {
		{"secrets/vault/openbao-unseal.age", "openbao-unseal", "podman-openbao.service", "root"},
		{"secrets/vault/step-ca-password.age", "step-ca-password", "podman-step-ca.service", "root"},
	},
}

// Secrets of the demo that are as they should not be.
const (
	rotated    = "immich-env"       // changed with the newest generation, after its unit was started
	unreadable = "step-ca-password" // not encrypted for the host that needs it
)

// publicKey is that of a host, or of somebody who is none.
func (f *Fleet) publicKey(name string) string {
	if h := f.byName[name]; h != nil {
		return h.keyLine()
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(hostKey(f.opts.Seed, name).PublicKey())))
}

// WriteSecrets writes the encrypted files of this world's flake, and their rules,
// into a folder. What is encrypted is nothing.
func (f *Fleet) WriteSecrets(folder string) error {
	keys := make([]any, 0, 5)
	for _, name := range []string{"ada", "storage", "cloud", "router", "attic"} {
		keys = append(keys, fleet.AgeRecipient(f.publicKey(name)))
	}
	all := map[string][]byte{".sops.yaml": fmt.Appendf(nil, sopsRules, keys...)}
	for _, s := range sealedFiles {
		text, err := f.sealed(s)
		if err != nil {
			return err
		}
		all[s.path] = text
	}
	for name, text := range all {
		at := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// sealed is what stands in a file.
func (f *Fleet) sealed(s sealedFile) ([]byte, error) {
	if strings.HasSuffix(s.path, ".age") {
		return f.ageFile(s.to)
	}
	var b strings.Builder
	for _, n := range s.names {
		fmt.Fprintf(&b, "%s: ENC[AES256_GCM,data:AAAA,iv:AAAA,tag:%s,type:str]\n", n, tag(n, 0))
	}
	b.WriteString("sops:\n    age:\n")
	for _, to := range s.to {
		fmt.Fprintf(&b, "        - recipient: %s\n          enc: \"\"\n", fleet.AgeRecipient(f.publicKey(to)))
	}
	fmt.Fprintf(&b, "    lastmodified: %q\n    mac: ENC[AES256_GCM,data:AAAA,iv:AAAA,tag:AAAA,type:str]\n    version: 3.9.4\n", f.began.Add(-40*day).UTC().Format(time.RFC3339))
	return []byte(b.String()), nil
}

// ageFile is an age file with nothing in it.
func (f *Fleet) ageFile(to []string) ([]byte, error) {
	var all []age.Recipient
	for _, name := range to {
		r, err := agessh.ParseRecipient(f.publicKey(name))
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, all...)
	if err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// tag is what tells two versions of a value of sops apart.
func tag(name string, version int) string {
	return hexID(uint64(version), 16, name, "sops tag") + "=="
}

// stored is the path of a file in the store of a system.
func storedSecret(path string, version int) string {
	return "/nix/store/" + hexID(uint64(version), 32, path, "store") + "-" + filepath.Base(path)
}

// tellSecrets prints what a host has of secrets, as its files, units and journal
// would tell it.
func tellSecrets(c Call) int {
	t := &secretTeller{Call: c, m: c.machine(), mark: c.arg(1)}
	uses := secretUses[t.m.name]
	t.begin("keys")
	fmt.Fprintln(t, c.h.keyLine())
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	if len(uses) > 0 {
		t.there(uses)
		t.systems(uses)
		t.versions(uses)
		t.uses(uses)
	}
	t.begin("end")
	return 0
}

// secretTeller prints the answer of a host.
type secretTeller struct {
	Call
	m    *machine
	mark string
}

// Write implements io.Writer.
func (t *secretTeller) Write(b []byte) (int, error) { return t.Stdout.Write(b) }

func (t *secretTeller) begin(head string) { fmt.Fprintf(t, "\n%s %s\n", t.mark, head) }

// version of a file that a generation of this machine has: one secret changed with
// the newest.
func (t *secretTeller) version(path string, gen int) int {
	if path == sealedFiles[0].path && gen == len(t.m.gens)-1 {
		return 1
	}
	return 0
}

// agenix tells whether it is age files that the host decrypts.
func agenix(uses []secretUse) bool { return strings.HasSuffix(uses[0].file, ".age") }

// where are decrypted secrets.
func where(uses []secretUse) string {
	if agenix(uses) {
		return "/run/agenix"
	}
	return "/run/secrets"
}

// there are the decrypted files.
func (t *secretTeller) there(uses []secretUse) {
	t.begin(fmt.Sprintf("dir %s %d", where(uses), t.m.began.Add(-t.m.gens[len(t.m.gens)-1].age).Unix()))
	for _, u := range uses {
		if u.name != unreadable {
			fmt.Fprintf(t, "400\t%s\troot\t%s\n", u.owner, u.name)
		}
	}
}

// systems are what the machine's systems decrypt.
func (t *secretTeller) systems(uses []secretUse) {
	type secret map[string]any
	manifests := map[string][]secret{}
	t.begin("systems")
	tell := func(link string, i int) {
		g := t.m.gens[i]
		fmt.Fprintf(t, "system %d %s %s\n", t.m.began.Add(-g.age).Unix(), link, t.m.path(g))
		if agenix(uses) {
			for _, u := range uses {
				fmt.Fprintf(t, "_truePath=\"/run/agenix.d/$_agenix_generation/%s\"\ndecrypting '%s' to '$_truePath'\n", u.name, storedSecret(u.file, t.version(u.file, i)))
			}
			return
		}
		name := fmt.Sprintf("/nix/store/%s-manifest.json", hexID(uint64(t.version(sealedFiles[0].path, i)), 32, t.m.name, "manifest"))
		fmt.Fprintln(t, "manifest "+name)
		manifests[name] = nil
		for _, u := range uses {
			manifests[name] = append(manifests[name], secret{"name": u.name, "key": u.name, "path": "/run/secrets/" + u.name, "sopsFile": storedSecret(u.file, t.version(u.file, i))})
		}
	}
	at := slices.IndexFunc(t.m.gens, func(g generation) bool { return g.number == t.m.running })
	tell("/run/current-system", max(0, at))
	for i, g := range t.m.gens {
		tell(fmt.Sprintf("/nix/var/nix/profiles/system-%d-link", g.number), i)
	}
	for name, list := range manifests {
		t.begin("manifest " + name)
		_ = json.NewEncoder(t).Encode(map[string]any{"secrets": list, "symlinkPath": "/run/secrets"})
	}
}

// versions are of the encrypted files, with for whom they are.
func (t *secretTeller) versions(uses []secretUse) {
	for _, s := range sealedFiles {
		if !slices.ContainsFunc(uses, func(u secretUse) bool { return u.file == s.path }) {
			continue
		}
		for v := range 2 {
			file := storedSecret(s.path, v)
			if agenix(uses) {
				t.begin("age " + file)
				text, err := t.h.f.ageFile(s.to)
				if err == nil {
					text, err = age.ExtractHeader(bytes.NewReader(text))
				}
				if err == nil {
					_, _ = t.Write(text)
				}
				continue
			}
			t.begin("tags " + file)
			for _, n := range s.names {
				version := 0
				if n == rotated {
					version = v
				}
				fmt.Fprintf(t, "%s\t%s\n", n, tag(n, version))
			}
			t.begin("sops " + file)
			for _, to := range s.to {
				fmt.Fprintln(t, fleet.AgeRecipient(t.h.f.publicKey(to)))
			}
		}
	}
}

// uses are the units, and what the last activation said.
func (t *secretTeller) uses(uses []secretUse) {
	t.begin("uses")
	for _, u := range uses {
		fmt.Fprintf(t, "/etc/systemd/system/%s:%s/%s\n", u.unit, where(uses), u.name)
	}
	t.begin("journal")
	for _, u := range uses {
		if u.name == unreadable {
			at := t.m.began.Add(-t.m.gens[len(t.m.gens)-1].age).Unix()
			fmt.Fprintf(t, "%d.000000 stage-2-init: decrypting '%s' to '/run/agenix.d/7/%s'...\n", at, storedSecret(u.file, 0), u.name)
			_, _ = io.WriteString(t, fmt.Sprintf("%d.100000 stage-2-init: age: error: no identity matched any of the recipients\n", at))
		}
	}
}
