package secrets

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"golang.org/x/crypto/ssh"

	"github.com/sextant-fleet/sextant/fleet"
)

// sshKey makes a key as hosts have them.
func sshKey(t testing.TB) string {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return line(t, pub)
}

func line(t testing.TB, pub any) string {
	t.Helper()
	k, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}

// value is what is encrypted in tests: it may stand nowhere else.
const value = "correct-horse-battery-staple"

// seal encrypts for recipients with age itself.
func seal(t testing.TB, armored bool, to ...age.Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	var out io.WriteCloser = nothing{&b}
	if armored {
		out = armor.NewWriter(&b)
	}
	w, err := age.Encrypt(out, to...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, value); err != nil {
		t.Fatal(err)
	}
	for _, c := range []io.Closer{w, out} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

type nothing struct{ io.Writer }

func (nothing) Close() error { return nil }

func recipient(t testing.TB, key string) age.Recipient {
	t.Helper()
	r, err := agessh.ParseRecipient(key)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAgeRecipients: for whom age has encrypted is told, of every kind of recipient,
// armored or not, cut off behind the header or not.
func TestAgeRecipients(t *testing.T) {
	one, two := sshKey(t), sshKey(t)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	three := line(t, private.Public())
	x, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	pq, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	pass, err := age.NewScryptRecipient("x")
	if err != nil {
		t.Fatal(err)
	}
	pass.SetWorkFactor(10)
	for _, armored := range []bool{false, true} {
		mixed := seal(t, armored, recipient(t, one), x.Recipient(), recipient(t, two), recipient(t, three))
		for name, file := range map[string][]byte{"whole": mixed, "cut": mixed[:len(mixed)-len(mixed)/20]} {
			got, err := ageRecipients(file)
			if err != nil || len(got) != 4 {
				t.Fatalf("%s: %v %+v", name, err, got)
			}
			kinds := map[string]string{}
			for _, r := range got {
				kinds[r.Kind+" "+r.Tag] = r.Key
			}
			for _, want := range []string{"ssh-ed25519 " + fleet.SSHTag(one), "ssh-ed25519 " + fleet.SSHTag(two), "ssh-rsa " + fleet.SSHTag(three), "age "} {
				if _, ok := kinds[want]; !ok {
					t.Errorf("%s: no %q in %v", name, want, kinds)
				}
			}
		}
		if got, err := ageRecipients(seal(t, armored, pq.Recipient())); err != nil || len(got) != 1 || got[0].Kind != fleet.RecipientPQ {
			t.Errorf("%v %+v", err, got)
		}
		if got, err := ageRecipients(seal(t, armored, pass)); err != nil || len(got) != 1 || got[0].Kind != fleet.RecipientPassphrase {
			t.Errorf("%v %+v", err, got)
		}
	}
}

// TestSSHToAge: what an SSH key is as an age recipient opens with that key's own
// scalar: age encrypts for it.
func TestSSHToAge(t *testing.T) {
	for range 20 {
		key := sshKey(t)
		r, err := age.ParseX25519Recipient(fleet.AgeRecipient(key))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ageRecipients(seal(t, false, r)); err != nil || len(got) != 1 {
			t.Errorf("%v %+v", err, got)
		}
	}
}

// TestNoAge: what is no age file, or a broken one, is said so and not guessed.
func TestNoAge(t *testing.T) {
	good := seal(t, false, recipient(t, sshKey(t)))
	for name, file := range map[string][]byte{
		"nothing":              nil,
		"rubbish":              []byte("hello"),
		"only the magic":       []byte(ageMagic + "\n"),
		"cut header":           good[:60],
		"a header without end": append([]byte(ageMagic+"\n"), bytes.Repeat([]byte("-> ssh-ed25519 AAAA AAAA\nAAAAAAAA\n"), 40000)...),
		"a long line":          append([]byte(ageMagic+"\n-> "), bytes.Repeat([]byte("a"), 1<<20)...),
		"bad armor":            []byte(armorMagic + "\n!!!!\n-----END AGE ENCRYPTED FILE-----\n"),
	} {
		if got, err := ageRecipients(file); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// FuzzAge: whatever stands in a file, it ends, and says something.
func FuzzAge(f *testing.F) {
	f.Add(seal(f, false, recipient(f, sshKey(f))))
	f.Add(seal(f, true, recipient(f, sshKey(f))))
	f.Add([]byte(ageMagic + "\n-> \x1b]0;x\a y\n\n--- x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ageRecipients(b)
		for _, r := range got {
			if r.Kind != fleet.Clean(r.Kind) || r.Tag != fleet.Clean(r.Tag) {
				t.Errorf("%q", r)
			}
		}
		if err != nil && err.Error() != fleet.Clean(err.Error()) {
			t.Errorf("%q", err)
		}
	})
}
