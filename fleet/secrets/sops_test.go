package secrets

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Keys that files of sops name in tests.
const (
	age1 = "age17044m9wgakla6pzftf4srtl3h5mcsr85jysgt5fg23zpnta8sfdqhzn452"
	age2 = "age1hjm3aujg9e79f5yth8a2cejzdjg5n9vnu96l05p70uvfpeltnpms7yy3pp"
	pgp1 = "85D77543B3D624B63CEA9E6DBC17301B491B3F21"
	ssh1 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIL2vjdqpppuCn7yPdF2muINriAG7zBWrsELKpPWkhn5"
)

// sealedSops are files as sops 3.9 writes them, with short values.
var sealedSops = map[string]string{
	"a.yaml": `smtp:
    password: ENC[AES256_GCM,data:qq==,iv:aa==,tag:bb==,type:str]
    hosts:
        - ENC[AES256_GCM,data:qq==,iv:aa==,tag:bb==,type:str]
token: ENC[AES256_GCM,data:qq==,iv:aa==,tag:bb==,type:str]
port_unencrypted: 25
sops:
    kms: []
    age:
        - recipient: ` + age1 + `
          enc: |
            -----BEGIN AGE ENCRYPTED FILE-----
            YWdlLWVuY3J5cHRpb24ub3JnL3YxCg==
            -----END AGE ENCRYPTED FILE-----
        - recipient: ` + age2 + `
          enc: x
    lastmodified: "2026-08-01T10:00:00Z"
    mac: ENC[AES256_GCM,data:qq==,iv:aa==,tag:bb==,type:str]
    pgp:
        - created_at: "2026-08-01T10:00:00Z"
          enc: x
          fp: ` + pgp1 + `
    version: 3.9.4
`,
	"a.json": `{
	"smtp": {"password": "ENC[AES256_GCM,data:qq==,iv:aa==,tag:bb==,type:str]", "hosts": "ENC[AES256_GCM,data:qq==,iv:aa==,tag:bb==,type:str]"},
	"token": "ENC[AES256_GCM,data:qq==,iv:aa==,tag:bb==,type:str]",
	"sops": {"age": [{"recipient": "` + age1 + `", "enc": "x"}, {"recipient": "` + age2 + `", "enc": "x"}],
		"lastmodified": "2026-08-01T10:00:00Z", "mac": "ENC[AES256_GCM,data:qq==,iv:aa==,tag:bb==,type:str]",
		"pgp": [{"fp": "` + pgp1 + `", "enc": "x"}], "version": "3.9.4"}
}`,
	"a.env": `SMTP=ENC[AES256_GCM,data:qq==,iv:aa==,tag:bb==,type:str]
token=ENC[AES256_GCM,data:qq==,iv:aa==,tag:bb==,type:str]
sops_age__list_0__map_enc=-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n
sops_age__list_0__map_recipient=` + age1 + `
sops_age__list_1__map_recipient=` + age2 + `
sops_lastmodified=2026-08-01T10:00:00Z
sops_mac=ENC[AES256_GCM,data:qq==,iv:aa==,tag:bb==,type:str]
sops_pgp__list_0__map_fp=` + pgp1 + `
sops_version=3.9.4
`,
	"a.ini": `[smtp]
password = ENC[AES256_GCM,data:qq==,iv:aa==,tag:bb==,type:str]
token    = ENC[AES256_GCM,data:qq==,iv:aa==,tag:bb==,type:str]

[sops]
age__list_0__map_recipient = ` + age1 + `
age__list_1__map_recipient = ` + age2 + `
pgp__list_0__map_fp        = ` + pgp1 + `
lastmodified               = 2026-08-01T10:00:00Z
mac                        = ENC[AES256_GCM,data:qq==,iv:aa==,tag:bb==,type:str]
version                    = 3.9.4
`,
	"a.bin": `{
	"data": "ENC[AES256_GCM,data:qq==,iv:aa==,tag:bb==,type:str]",
	"sops": {"key_groups": [{"age": [{"recipient": "` + age1 + `", "enc": "x"}]}, {"age": [{"recipient": "` + age2 + `", "enc": "x"}], "pgp": [{"fp": "` + pgp1 + `"}]}],
		"lastmodified": "2026-08-01T10:00:00Z", "mac": "ENC[AES256_GCM,data:qq==,iv:aa==,tag:bb==,type:str]", "version": "3.9.4"}
}`,
}

// TestSops: all five formats of sops tell their recipients, the names in them and
// when they were changed.
func TestSops(t *testing.T) {
	names := map[string][]string{
		"a.yaml": {"smtp/password", "smtp/hosts", "token"}, "a.json": {"smtp/password", "smtp/hosts", "token"},
		"a.env": {"SMTP", "token"}, "a.ini": {"smtp/password", "smtp/token"}, "a.bin": {"data"},
	}
	for name, text := range sealedSops {
		if !isSops([]byte(text)) {
			t.Errorf("%s is not known", name)
		}
		got, err := readSops(name, []byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var to []string
		for _, r := range got.recipients {
			to = append(to, r.Kind+" "+r.Key)
		}
		if want := []string{"age " + age1, "age " + age2, "pgp " + pgp1}; !slices.Equal(to, want) {
			t.Errorf("%s: %q", name, to)
		}
		if !slices.Equal(got.names, names[name]) || !got.modified.Equal(time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: %q %s", name, got.names, got.modified)
		}
	}
}

// TestFilesOfSops: files that sops 3.13.3 has written are read as they are. With an
// expression for what is encrypted, what stays in clear is no secret; groups that are
// needed at once are told.
func TestFilesOfSops(t *testing.T) {
	both := []string{age1, age2}
	for name, want := range map[string]struct {
		names, to []string
		together  int
	}{
		"a.yaml": {names: []string{"smtp/password", "smtp/hosts", "token"}, to: both},
		"a.json": {names: []string{"smtp/password", "smtp/hosts", "token"}, to: both},
		"a.env":  {names: []string{"SMTP", "token"}, to: both},
		"a.ini":  {names: []string{"smtp/password", "smtp/token"}, to: both},
		"a.bin":  {names: []string{"data"}, to: both},

		"regex.yaml":  {names: []string{"smtp/password", "token"}, to: both[:1]},
		"groups.yaml": {names: []string{"smtp/password", "smtp/hosts", "token"}, to: both, together: 2},
		"groups.env":  {names: []string{"SMTP", "token"}, to: both, together: 2},
	} {
		text, err := os.ReadFile("testdata/sops-3.13.3/" + name)
		if err != nil || !isSops(text) {
			t.Errorf("%s is not known: %v", name, err)
		}
		got, err := readSops(name, text)
		var to []string
		for _, r := range got.recipients {
			to = append(to, r.Key)
		}
		if err != nil || !slices.Equal(got.names, want.names) || !slices.Equal(to, want.to) || got.together != want.together || got.modified.Year() != 2026 {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}

// TestNoSops: what has no metadata, or broken ones, is not taken for encrypted.
func TestNoSops(t *testing.T) {
	for name, text := range map[string]string{
		"plain.yaml":  "a: b\n",
		"talk.yaml":   "a: how sops writes ENC[AES256_GCM, into files\n",
		"list.yaml":   "- sops\n- ENC[AES256_GCM,\n",
		"broken.yaml": "sops: [ENC[AES256_GCM,\n\t: {",
		"half.json":   sealedSops["a.json"][:120],
		"text.yaml":   "sops: hello\nx: ENC[AES256_GCM,\n",
		"empty.env":   "sops_=1\n",
		"bomb.yaml":   "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n",
	} {
		if got, err := readSops(name, []byte(text)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// FuzzSops: whatever stands in a file, it ends, and nothing of it harms a terminal.
func FuzzSops(f *testing.F) {
	for name, text := range sealedSops {
		f.Add(name, []byte(text))
	}
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		got, _ := readSops(name, text)
		for _, r := range got.recipients {
			if r.Key != fleet.Clean(r.Key) || r.Name != fleet.Clean(r.Name) {
				t.Errorf("%q", r)
			}
		}
		for _, n := range got.names {
			if n != fleet.Clean(n) {
				t.Errorf("%q", n)
			}
		}
		_, keys, _ := sopsRules(text)
		for _, r := range keys {
			if r.Key != fleet.Clean(r.Key) || r.Name != fleet.Clean(r.Name) || r.Group != fleet.Clean(r.Group) {
				t.Errorf("%q", r)
			}
		}
	})
}

// TestSopsRules: rules are read with what they call keys, in each of the forms that
// sops takes.
func TestSopsRules(t *testing.T) {
	rules, keys, err := sopsRules([]byte(`
keys:
  - &ada ` + pgp1 + `
  - hosts:
    - &storage ` + age1 + `
    - &server_attic ` + age2 + `
creation_rules:
  - path_regex: secrets/storage\.yaml$
    key_groups:
      - age: [*storage, *server_attic]
        pgp: [*ada]
  - path_regex: \.env$
    age: >-
      ` + age1 + `,
      ` + age2 + `
  - age: ` + age1 + `
    pgp: ` + pgp1 + `
  - path_regex: ssh
    age: ["` + ssh1 + ` root@attic"]
`))
	if err != nil || len(rules) != 4 {
		t.Fatalf("%v %+v", err, rules)
	}
	var got []string
	for _, k := range keys {
		got = append(got, k.Kind+" "+k.Name+" "+k.Group)
	}
	slices.Sort(got)
	if want := []string{"age server_attic hosts", "age storage hosts", "pgp ada ", "ssh-ed25519 root@attic hosts"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for i, want := range []int{3, 2, 2, 1} {
		if len(rules[i].want) != want {
			t.Errorf("rule %d: %+v", i, rules[i].want)
		}
	}
	if !rules[0].re.MatchString("secrets/storage.yaml") || rules[2].re != nil || rules[0].want[0].Name != "storage" {
		t.Errorf("%+v", rules)
	}
	for name, text := range map[string]string{"rubbish": "\t{", "a list": "- a", "a bad expression": "creation_rules:\n- path_regex: '['\n"} {
		if _, _, err := sopsRules([]byte(text)); err == nil {
			t.Errorf("%s is taken for rules", name)
		}
	}
}

// TestNixKeys: keys of Nix files have the names that they are bound to, and the
// lists that they stand in.
func TestNixKeys(t *testing.T) {
	got := []string{}
	for _, k := range nixKeys(`
# old = "ssh-ed25519 AAAACOMMENT";
let
  ada = "ssh-ed25519 AAAAada ada@desk";
  storage = "ssh-ed25519 AAAAstorage root@storage";
  attic = "ssh-ed25519 AAAAattic";
  users = [ ada ];
  systems = [ storage attic ];
  hosts = { cloud = "` + age1 + `"; vault = { key = "ssh-rsa AAAAvault"; }; };
in {
  "app.age".publicKeys = users ++ systems;
  "x.age" = { publicKeys = [ "ssh-ed25519 AAAAinline root@gone" ]; armor = true; };
}`) {
		got = append(got, strings.Join([]string{k.Name, k.Group, fleet.Short(k.Key, 24)}, " | "))
	}
	slices.Sort(got)
	want := []string{
		"ada | users | ssh-ed25519 AAAAada",
		"attic | systems | ssh-ed25519 AAAAattic",
		"cloud | hosts | age17044m9wgakla6pzftf4…",
		"key | hosts | ssh-rsa AAAAvault",
		"root@gone | hosts | ssh-ed25519 AAAAinline",
		"storage | systems | ssh-ed25519 AAAAstorage",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}
