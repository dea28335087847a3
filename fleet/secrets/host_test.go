package secrets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web/webtest"
)

// agenixHost is what host.sh prints on a host with agenix: three generations, of
// which the last brought another app.age, and a secret that it could not decrypt.
func agenixHost(t testing.TB, key string) string {
	header := func(to string) string {
		text := string(seal(t, false, recipient(t, to)))
		return text[:strings.Index(text, "\n---")+50]
	}
	return `
M keys
` + key + ` root@storage

M dir /run/agenix 1000300
400	app	app	app
440	root	keys	db/password

M systems
system 1000300 /run/current-system /nix/store/s3
_truePath="/run/agenix.d/$_agenix_generation/app"
decrypting '/nix/store/f2-app.age' to '$_truePath'
_truePath="/run/agenix.d/$_agenix_generation/db/password"
decrypting '/nix/store/f1-db.age' to '$_truePath'
_truePath="/run/agenix.d/$_agenix_generation/lost"
decrypting '/nix/store/f1-lost.age' to '$_truePath'
_truePath="/var/lib/app/key"
decrypting '/nix/store/f1-key.age' to '$_truePath'
system 1000100 /nix/var/nix/profiles/system-1-link /nix/store/s1
_truePath="/run/agenix.d/$_agenix_generation/app"
decrypting '/nix/store/f1-app.age' to '$_truePath'
_truePath="/run/agenix.d/$_agenix_generation/db/password"
decrypting '/nix/store/f0-db.age' to '$_truePath'
system 1000200 /nix/var/nix/profiles/system-2-link /nix/store/s2
_truePath="/run/agenix.d/$_agenix_generation/app"
decrypting '/nix/store/f1-app.age' to '$_truePath'
_truePath="/run/agenix.d/$_agenix_generation/db/password"
decrypting '/nix/store/f1-db.age' to '$_truePath'
system 1000290 /nix/var/nix/profiles/system-3-link /nix/store/s3
_truePath="/run/agenix.d/$_agenix_generation/app"
decrypting '/nix/store/f2-app.age' to '$_truePath'
_truePath="/run/agenix.d/$_agenix_generation/db/password"
decrypting '/nix/store/f1-db.age' to '$_truePath'

M sums
one  /nix/store/f1-app.age
two  /nix/store/f2-app.age
same  /nix/store/f0-db.age
same  /nix/store/f1-db.age

M age /nix/store/f2-app.age
` + header(key) + `

M age /nix/store/f1-lost.age
rubbish

M uses
/etc/systemd/system/app.service:/run/agenix/app
/etc/systemd/system/db.service.d/overrides.conf:/run/agenix/db/password

M scripts
/etc/systemd/system/web.service:/nix/store/h-unit-script-web-start/bin/web-start

M scriptuses
/nix/store/h-unit-script-web-start/bin/web-start:/run/agenix/app

M started
ExecMainStartTimestamp=@1000100
Id=app.service
ActiveState=active

ExecMainStartTimestamp=@1000200
Id=web.service
ActiveState=inactive

ExecMainStartTimestamp=@1000200
Id=other.service
ActiveState=active

M journal
1000299.5 stage-2-init: decrypting '/nix/store/f1-lost.age' to '/run/agenix.d/3/lost'...
1000299.6 stage-2-init: age: error: no identity matched any of the recipients
1000299.7 stage-2-init: Activation script snippet 'agenixInstall' failed (1)

M end
`
}

// one finds a secret by its name.
func one(t *testing.T, h fleet.HostSecrets, name string) fleet.HostSecret {
	t.Helper()
	i := slices.IndexFunc(h.Secrets, func(v fleet.HostSecret) bool { return v.Name == name })
	if i < 0 {
		t.Fatalf("no %s in %+v", name, h.Secrets)
	}
	return h.Secrets[i]
}

// TestAgenixHost: what a host decrypts is told by its activation, with what changed,
// who uses it, and what could not be decrypted.
func TestAgenixHost(t *testing.T) {
	key := sshKey(t)
	f := parse("storage", agenixHost(t, key), "M")
	if !f.Current() {
		t.Fatal(f.Err)
	}
	h := f.Value
	if len(h.Secrets) != 4 || !slices.Equal(h.Systems, []string{"agenix"}) || !slices.Equal(h.Keys, []string{key}) || h.Installed.Unix() != 1000300 {
		t.Errorf("%+v", h)
	}
	app := one(t, h, "app")
	if app.Owner != "app" || app.Mode != "400" || app.Path != "/run/agenix/app" || app.Changed.Unix() != 1000290 || !slices.Equal(app.UsedBy, []string{"app.service", "web.service"}) {
		t.Errorf("%+v", app)
	}
	db := one(t, h, "db/password")
	if db.Changed.Unix() != 0 && !db.Changed.IsZero() || !slices.Equal(db.UsedBy, []string{"db.service"}) {
		t.Errorf("the same value under another path is told to have changed: %+v", db)
	}
	if lost := one(t, h, "lost"); !lost.Missing || !strings.Contains(lost.Why, "no identity matched") {
		t.Errorf("%+v", lost)
	}
	if k := one(t, h, "key"); k.Missing || k.Path != "/var/lib/app/key" {
		t.Errorf("a secret at a place of its own is said to be missing: %+v", k)
	}
	if len(h.Failed) != 2 || h.Failed[1].File != "/nix/store/f1-lost.age" && h.Failed[0].File != "/nix/store/f1-lost.age" {
		t.Errorf("%+v", h.Failed)
	}
	if len(h.Started) != 1 || h.Started["app.service"].Unix() != 1000100 {
		t.Errorf("%v", h.Started)
	}
	if len(h.Sealed) != 2 || h.Sealed[0].Err == "" || len(h.Sealed[1].Recipients) != 1 || h.Sealed[1].Recipients[0].Tag != fleet.SSHTag(key) {
		t.Errorf("%+v", h.Sealed)
	}
}

// sopsHost is what host.sh prints on a host with sops-nix: the value of one key of
// the file changed with the second generation, and the third failed.
const sopsHost = `
M dir /run/secrets 2000300
400	app	root	app/token
400	root	root	smtp
444	root	root	rendered/app.conf

M dir /run/secrets-for-users 2000300
400	root	root	ada

M systems
system 2000300 /run/current-system /nix/store/s2
manifest /nix/store/m2-manifest.json
system 2000100 /nix/var/nix/profiles/system-1-link /nix/store/s1
manifest /nix/store/m1-manifest.json
system 2000200 /nix/var/nix/profiles/system-2-link /nix/store/s2
manifest /nix/store/m2-manifest.json

M manifest /nix/store/m1-manifest.json
{"secrets":[{"name":"app/token","key":"app/token","path":"/run/secrets/app/token","sopsFile":"/nix/store/f1-source/secrets/x.yaml"},{"name":"smtp","key":"smtp","path":"/run/secrets/smtp","sopsFile":"/nix/store/f1-source/secrets/x.yaml"}]}

M manifest /nix/store/m2-manifest.json
{"secrets":[{"name":"app/token","key":"app/token","path":"/etc/app/token","sopsFile":"/nix/store/f2-source/secrets/x.yaml","restartUnits":["app.service"]},{"name":"smtp","key":"smtp","path":"/run/secrets/smtp","sopsFile":"/nix/store/f2-source/secrets/x.yaml"},{"name":"ada","key":"ada","path":"/run/secrets-for-users/ada","sopsFile":"/nix/store/f2-source/secrets/x.yaml"}]}

M sums

M tags /nix/store/f1-source/secrets/x.yaml
app	-
    token	T1
smtp	T2

M tags /nix/store/f2-source/secrets/x.yaml
app	-
    token	T9
smtp	T2
ada	T3

M sops /nix/store/f2-source/secrets/x.yaml
` + age1 + `
` + age1 + `
` + pgp1 + `

M uses
/etc/systemd/system/app.service:/run/secrets/app/token

M journal
2000299.5 sops-install-secrets[7]: /nix/store/x-sops/bin/sops-install-secrets: failed to decrypt '/nix/store/f2-source/secrets/x.yaml': Error getting data key: 0 successful groups required, got 0
2000301.5 sops-install-secrets[8]: /nix/store/x-sops/bin/sops-install-secrets: failed to decrypt '/nix/store/f2-source/secrets/x.yaml': Error getting data key: 0 successful groups required, got 0
2000302.5 sops-install-secrets[8]: /nix/store/x-sops/bin/sops-install-secrets: failed to decrypt '/nix/store/f3-source/secrets/other.yaml': of a system that does not run

M end
`

// TestSopsHost: the manifest tells what is decrypted, and of one file only the keys
// that changed.
func TestSopsHost(t *testing.T) {
	f := parse("storage", sopsHost, "M")
	if !f.Current() {
		t.Fatal(f.Err)
	}
	h := f.Value
	app := one(t, h, "app/token")
	if app.Changed.Unix() != 2000200 || app.Owner != "app" || !slices.Equal(app.UsedBy, []string{"app.service"}) || !slices.Equal(app.Restarts, []string{"app.service"}) || app.Missing {
		t.Errorf("%+v", app)
	}
	if smtp := one(t, h, "smtp"); !smtp.Changed.IsZero() {
		t.Errorf("what did not change is told to have: %+v", smtp)
	}
	if ada := one(t, h, "ada"); ada.Missing || ada.Changed.Unix() != 2000200 {
		t.Errorf("%+v", ada)
	}
	if len(h.Secrets) != 3 {
		t.Errorf("%+v", h.Secrets)
	}
	if len(h.Failed) != 1 || h.Failed[0].At.Unix() != 2000301 || h.Failed[0].File != "/nix/store/f2-source/secrets/x.yaml" {
		t.Errorf("a failure of before is told, or one of now is not: %+v", h.Failed)
	}
	if len(h.Sealed) != 1 || len(h.Sealed[0].Recipients) != 2 || h.Sealed[0].Kind != fleet.SealedSops {
		t.Errorf("%+v", h.Sealed)
	}
}

// TestChangedAt: which generation brought a version, also where the host went back
// or runs what is no generation.
func TestChangedAt(t *testing.T) {
	at := func(n int64) time.Time { return time.Unix(n, 0).UTC() }
	sys := func(when int64, path, file string) system {
		return system{at: at(when), path: path, declared: []declared{{name: "app", system: agenix, file: file}}}
	}
	versions := map[string]string{"f1": "1", "f2": "2"}
	for name, c := range map[string]struct {
		list []system
		want time.Time
	}{
		"the newest brought it":        {[]system{sys(900, "b", "f2"), sys(100, "a", "f1"), sys(200, "b", "f2")}, at(200)},
		"a later one kept it":          {[]system{sys(900, "c", "f2"), sys(100, "a", "f1"), sys(200, "b", "f2"), sys(300, "c", "f2")}, at(200)},
		"it was always so":             {[]system{sys(900, "b", "f1"), sys(100, "a", "f1"), sys(200, "b", "f1")}, time.Time{}},
		"one generation tells nothing": {[]system{sys(900, "a", "f1"), sys(100, "a", "f1")}, time.Time{}},
		"it went back":                 {[]system{sys(900, "a", "f1"), sys(100, "a", "f1"), sys(200, "b", "f2")}, at(900)},
		"what runs is no generation":   {[]system{sys(900, "x", "f2"), sys(100, "a", "f1")}, at(900)},
		"the version is not known":     {[]system{sys(900, "b", "f3"), sys(100, "a", "f1"), sys(200, "b", "f3")}, time.Time{}},
	} {
		if got := changedAt(c.list, c.list[0].declared[0], versions); !got.Equal(c.want) {
			t.Errorf("%s: %s, not %s", name, got, c.want)
		}
	}
}

// TestHost: what a host without secrets says is nothing, and what is cut off, late or
// refused is unknown.
func TestHost(t *testing.T) {
	answers := func(text string, err error) fleet.Fact[fleet.HostSecrets] {
		return Host(t.Context(), &webtest.Link{Name: "storage", Do: func(_ context.Context, cmd link.Command) (link.Result, error) {
			if !cmd.Root {
				t.Error("it is not asked as root")
			}
			return link.Result{Stdout: []byte(strings.ReplaceAll(text, "M ", cmd.Args[len(cmd.Args)-1]+" "))}, err
		}})
	}
	if f := answers("\nM keys\n\nM systems\nsystem 1 /run/current-system /nix/store/x\n\nM end\n", nil); !f.None {
		t.Errorf("%+v", f)
	}
	for name, f := range map[string]fleet.Fact[fleet.HostSecrets]{
		"cut":     answers(strings.TrimSuffix(sopsHost, "M end\n"), nil),
		"refused": answers("", errors.New("no root")),
		"rubbish": answers(strings.Repeat("\x00\xff\x1b[2J", 1000), nil),
	} {
		if f.Current() || f.None || f.Err == "" || strings.ContainsRune(f.Err, 0x1b) {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if f := answers(sopsHost, nil); !f.Current() || len(f.Value.Secrets) != 3 {
		t.Errorf("%+v", f)
	}
}

// FuzzHost: whatever a host says, nothing of it harms a terminal.
func FuzzHost(f *testing.F) {
	f.Add(agenixHost(f, sshKey(f)))
	f.Add(sopsHost)
	f.Fuzz(func(t *testing.T, out string) {
		got := parse("h", out, "M")
		text := fmt.Sprint(got.Value.Secrets, got.Value.Failed, got.Value.Sealed, got.Value.Keys, got.Err)
		if strings.ContainsAny(text, "\x1b\x07") {
			t.Errorf("%q", text)
		}
	})
}

// TestSopsGroups: where keys of several groups are needed at once that is told, in all
// that sops writes of it.
func TestSopsGroups(t *testing.T) {
	for _, line := range []string{"shamir_threshold: 2", `shamir_threshold": 2`, "shamir_threshold=2", "shamir_threshold   = 2"} {
		if list, err := sopsRecipients([]string{age1, line}); err == nil || list != nil {
			t.Errorf("%q: %v %v", line, list, err)
		}
	}
	if list, err := sopsRecipients([]string{age1, "shamir_threshold: 1"}); err != nil || len(list) != 1 {
		t.Errorf("%v %v", list, err)
	}
}
