package fleet

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Keys of hosts, whose recipients are known by ssh-to-age.
const (
	keyA = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF/KPU3Z5LSjbBI6hrq25wCcseq2UpqSzUFZRr+ux6LM"
	ageA = "age1hjm3aujg9e79f5yth8a2cejzdjg5n9vnu96l05p70uvfpeltnpms7yy3pp"
	keyB = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIL2vjdqpppuCn7yPdF2muINriAG7zBWrsELKpPWkhn5"
	ageB = "age1v8zjc47jmlqwefyu66s0d4ke98qr4vnuj3cpvs4z9npfdw833dxqwjrhzv"
	keyC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOHz+U0YtjINc54dZiJNclfmEFifF7RXCFlNlTbuZBji"
	ageC = "age17044m9wgakla6pzftf4srtl3h5mcsr85jysgt5fg23zpnta8sfdqhzn452"
)

var sealedNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// twoHosts are storage with key A and cloud with key B, and files.
func twoHosts(files SealedFiles) Snapshot {
	of := func(name, key string) State {
		return State{Host: Host{ID: HostID("n-" + name), Name: name}, Reach: Known(Reach{State: Up, HostKey: key}, sealedNow, "ssh")}
	}
	return Snapshot{Hosts: []State{of("cloud", keyB), of("storage", keyA)}, Sealed: Known(files, sealedNow, "the flake")}
}

func age(keys ...string) (out []Recipient) {
	for _, k := range keys {
		out = append(out, Recipient{Kind: RecipientAge, Key: k})
	}
	return out
}

// TestReaders: who a recipient is, by keys first, by what the rules call it else.
func TestReaders(t *testing.T) {
	named := func(r Recipient, name, group string) Recipient { r.Name, r.Group = name, group; return r }
	gone := Recipient{Kind: RecipientAge, Key: "age1gone"}
	for _, c := range []struct {
		what      string
		r         Recipient
		who, host string
	}{
		{"an age key of a host", Recipient{Kind: RecipientAge, Key: ageA}, ReaderHost, "storage"},
		{"an SSH key of a host", Recipient{Kind: RecipientEd25519, Key: keyB + " root@cloud"}, ReaderHost, "cloud"},
		{"the tag of one", Recipient{Kind: RecipientEd25519, Tag: SSHTag(keyB)}, ReaderHost, "cloud"},
		{"a host that is gone, by its list", named(gone, "attic", "hosts"), ReaderGone, ""},
		{"by its name", named(gone, "host_attic", ""), ReaderGone, ""},
		{"by its comment", named(gone, "root@attic", ""), ReaderGone, ""},
		{"a host by name with another key", named(gone, "storage", "hosts"), ReaderFormer, "storage"},
		{"likewise with a word before it", named(gone, "server-storage", ""), ReaderFormer, "storage"},
		{"a person called as a host", named(gone, "storage", "users"), ReaderPerson, ""},
		{"a person", named(gone, "ada", ""), ReaderPerson, ""},
		{"nobody knows", gone, ReaderUnknown, ""},
		{"not told", Recipient{Kind: RecipientAge}, ReaderUnnamed, ""},
		{"a key service", Recipient{Kind: RecipientCloud, Key: "arn:x"}, ReaderUnnamed, ""},
	} {
		got := twoHosts(SealedFiles{}).keyring().read(c.r)
		if got.Who != c.who || got.Host != c.host {
			t.Errorf("%s: %s %s, not %s %s", c.what, got.Who, got.Host, c.who, c.host)
		}
	}
	// The host whose key nobody has seen yet may be who is not matched.
	snap := twoHosts(SealedFiles{})
	snap.Hosts = append(snap.Hosts, State{Host: Host{ID: "n-laptop", Name: "laptop"}})
	k := snap.keyring()
	if r := k.read(named(gone, "laptop", "hosts")); r.Who != ReaderHost || r.Host != "laptop" || r.Why == "" {
		t.Errorf("%+v", r)
	}
	if r := k.read(named(gone, "root@nixos", "hosts")); r.Who != ReaderUnknown || !strings.Contains(r.Why, "laptop") {
		t.Errorf("%+v", r)
	}
}

// secretFiles is one of every kind, by path.
func secretFiles(t *testing.T, snap Snapshot) map[string]SecretFile {
	t.Helper()
	out := map[string]SecretFile{}
	for _, f := range snap.SecretFiles() {
		out[f.Path] = f
	}
	return out
}

// TestSecretFiles: each file is told as it stands.
func TestSecretFiles(t *testing.T) {
	admin := Recipient{Kind: RecipientAge, Key: "age1admin", Name: "admin", Group: "users"}
	attic := Recipient{Kind: RecipientAge, Key: "age1attic", Name: "attic", Group: "hosts"}
	seal := func(path string, to []Recipient, rule ...Recipient) SealedFile {
		f := SealedFile{Path: path, Kind: SealedSops, Recipients: to, Rule: rule}
		if rule != nil {
			f.RuleFrom = ".sops.yaml"
		}
		return f
	}
	snap := twoHosts(SealedFiles{
		Keys: []Recipient{admin, attic, {Kind: RecipientAge, Key: ageA, Name: "storage"}},
		Files: []SealedFile{
			seal("ok.yaml", age(ageA, "age1admin"), age(ageA, "age1admin")...),
			seal("gone.yaml", age(ageA, "age1attic"), age(ageA)...),
			seal("rule.yaml", age(ageA), age(ageA, ageB)...),
			seal("nobody.yaml", age("age1what")),
			seal("lost.yaml", age("age1attic")),
			{Path: "x25519.age", Kind: SealedAge, Recipients: []Recipient{{Kind: RecipientAge}}, Rule: age(ageB), RuleFrom: "secrets.nix"},
			{Path: "more.age", Kind: SealedAge, Recipients: []Recipient{{Kind: RecipientAge}, {Kind: RecipientAge}}, Rule: age(ageB), RuleFrom: "secrets.nix"},
			{Path: "tags.age", Kind: SealedAge, Recipients: []Recipient{{Kind: RecipientEd25519, Tag: SSHTag(keyA)}}, Rule: []Recipient{{Kind: RecipientEd25519, Key: keyA}}, RuleFrom: "secrets.nix"},
			{Path: "bad.age", Kind: SealedAge, Err: "it is no age file"},
		},
	})
	for path, want := range map[string]string{
		"ok.yaml": "ok", "gone.yaml": "gone", "rule.yaml": "rule", "nobody.yaml": "nobody", "lost.yaml": "gone",
		"x25519.age": "ok", "more.age": "rule", "tags.age": "ok", "bad.age": "?",
	} {
		if f := secretFiles(t, snap)[path]; f.Word() != want {
			t.Errorf("%s: %s, not %s: %s", path, f.Word(), want, f.Says())
		}
	}
	f := secretFiles(t, snap)["rule.yaml"]
	if len(f.Missing) != 1 || f.Missing[0].Host != "cloud" || !slices.Equal(f.Hosts(), []string{"storage"}) {
		t.Errorf("%+v", f)
	}
	if f := secretFiles(t, snap)["lost.yaml"]; !f.Nobody() || !strings.Contains(f.Says(), "attic") {
		t.Errorf("%+v", f)
	}
	var got []string
	for _, f := range snap.Findings(sealedNow) {
		if f.Of.Kind == KindSealed {
			got = append(got, string(f.Severity)+" "+f.What)
		}
	}
	want := []string{
		"warn attic, which is no host of the fleet, can read 2 secret files: gone.yaml, lost.yaml",
		"warn nobody who is known can read 2 secret files: lost.yaml, nobody.yaml",
		"warn the rules name others for 3 secret files: gone.yaml, more.age, rule.yaml",
		"unknown secret bad.age: it is no age file",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestUses: that a host needs a file which is not for it is only said where that is
// certain.
func TestUses(t *testing.T) {
	const stored = "/nix/store/abc-source/secrets/app.yaml"
	use := func(now, before []Recipient, missing bool) (SecretFile, []Finding) {
		snap := twoHosts(SealedFiles{Files: []SealedFile{{Path: "secrets/app.yaml", Kind: SealedSops, Recipients: now}}})
		snap.Hosts[1].Secrets = Known(HostSecrets{
			Secrets: []HostSecret{{Name: "app", System: "sops-nix", File: stored, Missing: missing}},
			Sealed:  []SealedFile{{Path: stored, Kind: SealedSops, Recipients: before}},
		}, sealedNow, "x")
		files := snap.SecretFiles()
		if len(files) != 1 || len(files[0].Uses) != 1 {
			t.Fatalf("%+v", files)
		}
		return files[0], snap.Findings(sealedNow)
	}
	for _, c := range []struct {
		what        string
		now, before []Recipient
		missing     bool
		want        string
	}{
		{"it can", age(ageA), age(ageA), false, "ok"},
		{"the next deploy will fail", age(ageB), age(ageA), false, "cannot"},
		{"it failed", age(ageB), age(ageB), true, "cannot"},
		{"it works by a key that is not known", age(ageB), age(ageB), false, "ok"},
		{"an unknown key may be its own", age("age1what"), age("age1what"), true, "nobody"},
	} {
		f, _ := use(c.now, c.before, c.missing)
		if f.Word() != c.want {
			t.Errorf("%s: %s, not %s", c.what, f.Word(), c.want)
		}
	}
	_, found := use(age(ageB), age(ageB), true)
	i := slices.IndexFunc(found, func(f Finding) bool { return f.Key == "sealed:cannot" })
	if i < 0 || found[i].Host != "storage" || len(found[i].Folded) != 1 || found[i].Folded[0].Key != "secret:app" {
		t.Errorf("%+v", found)
	}
	// A remembered state is not judged after an hour.
	snap := twoHosts(SealedFiles{Files: []SealedFile{{Path: "app.yaml", Kind: SealedSops, Recipients: age(ageB)}}})
	snap.Hosts[1].Secrets = Known(HostSecrets{Secrets: []HostSecret{{Name: "app", File: "/nix/store/a-app.yaml", Missing: true}}, Sealed: []SealedFile{{Path: "/nix/store/a-app.yaml", Kind: SealedSops, Recipients: age(ageB)}}}, sealedNow, "x").Remember(sealedNow)
	for _, f := range snap.Findings(sealedNow.Add(2 * time.Hour)) {
		if f.Of.Kind == KindSecret || f.Key == "sealed:cannot" {
			t.Errorf("old knowledge is judged: %+v", f)
		}
	}
}

// TestOlder: a unit that was started before a secret changed is told, one that was
// started after it or does not run is not.
func TestOlder(t *testing.T) {
	at := sealedNow.Add(-time.Hour)
	unit := func(name, active string, started time.Time) Unit {
		return Unit{Name: name, Active: active, Started: started}
	}
	st := State{
		Host:  Host{ID: "n-storage", Name: "storage"},
		Reach: Known(Reach{State: Up}, sealedNow, "ssh"),
		Units: Known([]Unit{unit("a.service", "active", at.Add(-time.Minute)), unit("b.service", "active", at.Add(time.Minute)), unit("c.service", "inactive", at.Add(-time.Minute))}, sealedNow, "x"),
		Secrets: Known(HostSecrets{Secrets: []HostSecret{
			{Name: "app", System: "agenix", File: "/nix/store/a-app.age", Changed: at, UsedBy: []string{"a.service", "b.service", "c.service", "d.service"}},
			{Name: "unchanged", System: "agenix", File: "/nix/store/a-un.age", UsedBy: []string{"a.service"}},
			{Name: "lost", System: "agenix", File: "/nix/store/a-lost.age", Missing: true, Why: "no identity matched"},
			{Name: "old", System: "agenix", LeftOver: true},
		}}, sealedNow, "x"),
	}
	var words []string
	for _, v := range st.Secrets.Value.Secrets {
		words = append(words, st.SecretWord(v))
	}
	if !slices.Equal(words, []string{"older", "ok", "missing", "left over"}) {
		t.Errorf("%v", words)
	}
	var got []string
	for _, p := range st.Problems(sealedNow) {
		if p.Of.Kind == KindSecret {
			got = append(got, string(p.Severity)+" "+p.What+" | "+p.Cure)
		}
	}
	if len(got) != 2 || got[0] != "fail secret lost was not decrypted: no identity matched | encrypt lost.age for the key of storage (agenix -r) and deploy; sextant secrets tells who can read it" ||
		got[1] != "warn a.service runs still with an older secret app: started before it changed | sextant unit restart storage a.service" {
		t.Errorf("%q", got)
	}
	events := Timeline([]State{st}, nil, time.Time{})
	if !slices.ContainsFunc(events, func(e Event) bool { return e.Kind == EventSecret && e.Text == "changed: app" && e.At.Equal(at) }) {
		t.Errorf("%+v", events)
	}
}
