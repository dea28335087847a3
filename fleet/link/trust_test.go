package link_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

// keyOf is a host's key, as the fleet vouches for it.
func keyOf(t testing.TB, f *simulate.Fleet, name string) ssh.PublicKey {
	t.Helper()
	k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(f.Host(name).HostKeys[0]))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// newKey makes a key: its signer, its private half as PEM, its public line.
func newKey(t testing.TB, passphrase string) (ssh.Signer, []byte, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "test")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "test", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s, pem.EncodeToMemory(block), string(ssh.MarshalAuthorizedKey(s.PublicKey()))
}

func connect(t testing.TB, d *link.Dialer, h fleet.Host) error {
	t.Helper()
	_, err := d.Open(h).Connect(within(t, 20*time.Second))
	return err
}

func TestUnknownKeyWithNobodyToAsk(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := dialer(t, f, nil)
	err := connect(t, d, plainHost(f, "cloud"))
	if !errors.Is(err, link.ErrUnknown) || !strings.Contains(err.Error(), ssh.FingerprintSHA256(keyOf(t, f, "cloud"))) {
		t.Errorf("got %v", err)
	}
	if text := read(t, d.KnownHosts[0]); text != "" {
		t.Errorf("written: %s", text)
	}
}

func TestUnknownKeyAccepted(t *testing.T) {
	f := simulated(t, simulate.Options{})
	p := &person{answer: yes}
	d := dialer(t, f, p)
	write(t, d.KnownHosts[0], "# no newline at the end of this line")
	h := plainHost(f, "cloud")
	if err := connect(t, d, h); err != nil {
		t.Fatal(err)
	}
	q := p.questions(fleet.AskHostKey)
	if len(q) != 1 || !strings.Contains(strings.Join(q[0].Detail, "\n"), ssh.FingerprintSHA256(keyOf(t, f, "cloud"))) {
		t.Fatalf("asked %+v", q)
	}
	text := read(t, d.KnownHosts[0])
	if lines := strings.Split(strings.TrimSpace(text), "\n"); len(lines) != 2 || !strings.Contains(lines[1], "cloud") {
		t.Errorf("known_hosts:\n%s", text)
	}
	d2 := dialer(t, f, nil) // the second time, nobody needs to be asked
	d2.KnownHosts = d.KnownHosts
	if err := connect(t, d2, h); err != nil {
		t.Error(err)
	}
	if read(t, d.KnownHosts[0]) != text {
		t.Error("written twice")
	}
}

func TestUnknownKeyRefusedIsAskedOnce(t *testing.T) {
	f := simulated(t, simulate.Options{})
	p := &person{}
	d := dialer(t, f, p)
	h := plainHost(f, "cloud")
	for range 3 {
		if err := connect(t, d, h); !errors.Is(err, link.ErrRefused) {
			t.Errorf("got %v", err)
		}
	}
	if n := len(p.questions("")); n != 1 {
		t.Errorf("asked %d times", n)
	}
	d.Forgive()
	p.answer = yes
	if err := connect(t, d, h); err != nil {
		t.Errorf("after it was forgiven: %v", err)
	}
}

// TestUnknownKeysAreAskedTogether: the time that one host's question waits is
// not taken from another's.
func TestUnknownKeysAreAskedTogether(t *testing.T) {
	f := simulated(t, simulate.Options{})
	p := &person{answer: yes, hold: make(chan struct{})}
	d := dialer(t, f, p)
	link.AuthLimit(d, 3*time.Second)
	var wg sync.WaitGroup
	names := []string{"storage", "cloud", "router"}
	errs := make([]error, len(names))
	for i, name := range names {
		wg.Go(func() { _, errs[i] = d.Open(plainHost(f, name)).Connect(within(t, time.Minute)) })
	}
	eventually(t, "three questions", func() bool { return len(p.questions("")) == 3 })
	time.Sleep(4 * time.Second) // longer than a login may take without questions
	close(p.hold)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func TestChangedKey(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := known(t, f, &person{answer: yes})
	write(t, d.KnownHosts[0], "# first line\n"+f.KnownHosts())
	if err := f.SetFault("storage", simulate.Fault{WrongKey: true}); err != nil {
		t.Fatal(err)
	}
	err := connect(t, d, plainHost(f, "storage"))
	if !errors.Is(err, link.ErrHostKey) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{ssh.FingerprintSHA256(keyOf(t, f, "storage")), d.KnownHosts[0] + ":2"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if strings.Count(err.Error(), "SHA256:") != 2 {
		t.Errorf("not both fingerprints: %v", err)
	}
}

// TestChangedKindOfKey: a key of another kind than the known one is told as a
// changed key, not as a failed negotiation.
func TestChangedKindOfKey(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := dialer(t, f, nil)
	h := plainHost(f, "cloud")
	const ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="
	write(t, d.KnownHosts[0], fmt.Sprintf("[127.0.0.1]:%d %s\n", h.Addresses[0].Port, ecdsa))
	if err := connect(t, d, h); !errors.Is(err, link.ErrHostKey) {
		t.Errorf("got %v", err)
	}
}

func TestKeyIsKnown(t *testing.T) {
	f := simulated(t, simulate.Options{})
	key := keyOf(t, f, "vault")
	port := f.Host("vault").Addresses[0].Port
	for name, line := range map[string]string{
		"hashed":                    knownhosts.Line([]string{knownhosts.HashHostname(fmt.Sprintf("[127.0.0.1]:%d", port))}, key),
		"under its name":            knownhosts.Line([]string{fmt.Sprintf("[vault]:%d", port)}, key),
		"under a former name":       knownhosts.Line([]string{"strongbox"}, key),
		"in a pattern":              "127.0.0.* " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))),
		"behind a line of tomorrow": "other ssh-mldsa65 AAAAC3NzaC1tbGRzYQ==\n" + knownhosts.Line([]string{"strongbox"}, key),
	} {
		t.Run(name, func(t *testing.T) {
			d := dialer(t, f, nil)
			write(t, d.KnownHosts[0], line+"\n")
			h := plainHost(f, "vault")
			h.Aliases = []string{"strongbox"}
			if err := connect(t, d, h); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCertificates(t *testing.T) {
	f := simulated(t, simulate.Options{})
	ca, private, line := newKey(t, "")
	f.SetLogin("vault", simulate.Login{HostCA: private})
	h := plainHost(f, "vault")
	t.Run("of a known CA", func(t *testing.T) {
		d := dialer(t, f, nil)
		write(t, d.KnownHosts[0], "@cert-authority * "+line)
		if err := connect(t, d, h); err != nil {
			t.Error(err)
		}
	})
	t.Run("of an unknown CA, of a known key", func(t *testing.T) {
		if err := connect(t, known(t, f, nil), h); err != nil {
			t.Error(err)
		}
	})
	t.Run("of an unknown CA, of an unknown key", func(t *testing.T) {
		p := &person{answer: yes}
		d := dialer(t, f, p)
		if err := connect(t, d, h); err != nil {
			t.Fatal(err)
		}
		if q := p.questions(fleet.AskHostKey); len(q) != 1 || !strings.Contains(read(t, d.KnownHosts[0]), "ssh-ed25519 ") {
			t.Errorf("asked %v, written %s", q, read(t, d.KnownHosts[0]))
		}
	})
	t.Run("of a known CA, for another host", func(t *testing.T) {
		d := dialer(t, f, &person{answer: yes})
		write(t, d.KnownHosts[0], "@cert-authority * "+line)
		other := h
		other.Name, other.ID = "elsewhere", "elsewhere"
		other.Addresses = []fleet.Address{{Via: fleet.ViaConfig, Host: "localhost", Port: h.Addresses[0].Port}}
		if err := connect(t, d, other); !errors.Is(err, link.ErrHostKey) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("none, though a CA is known", func(t *testing.T) {
		d := dialer(t, f, nil)
		write(t, d.KnownHosts[0], "@cert-authority * "+line)
		if err := connect(t, d, plainHost(f, "cloud")); !errors.Is(err, link.ErrUnknown) {
			t.Errorf("got %v", err)
		}
	})
	_ = ca
}

func TestRevokedKey(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := dialer(t, f, &person{answer: yes})
	write(t, d.KnownHosts[0], f.KnownHosts()+"@revoked * "+f.Host("cloud").HostKeys[0]+"\n")
	if err := connect(t, d, plainHost(f, "cloud")); !errors.Is(err, link.ErrHostKey) || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("known and revoked: %v", err)
	}
	if err := connect(t, d, f.Host("cloud")); !errors.Is(err, link.ErrHostKey) {
		t.Errorf("vouched for and revoked: %v", err)
	}
}

// TestVouchedKey: Tailscale's word counts on tailnet addresses only.
func TestVouchedKey(t *testing.T) {
	f := simulated(t, simulate.Options{})
	h := f.Host("cloud")
	if err := connect(t, dialer(t, f, nil), h); err != nil {
		t.Errorf("on the tailnet: %v", err)
	}
	h.Addresses[0].Via = fleet.ViaLAN
	if err := connect(t, dialer(t, f, nil), h); !errors.Is(err, link.ErrUnknown) {
		t.Errorf("on the LAN: %v", err)
	}
}

// TestLANAddressIsNotWritten: tomorrow another machine may have it.
func TestLANAddressIsNotWritten(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := dialer(t, f, &person{answer: yes})
	h := plainHost(f, "cloud")
	h.Addresses[0].Via = fleet.ViaLAN
	if err := connect(t, d, h); err != nil {
		t.Fatal(err)
	}
	if text := read(t, d.KnownHosts[0]); !strings.Contains(text, "cloud") || strings.Contains(text, "127.0.0.1") {
		t.Errorf("written: %s", text)
	}
}

func TestReachTellsTheKey(t *testing.T) {
	f := simulated(t, simulate.Options{})
	reach, err := known(t, f, nil).Open(plainHost(f, "cloud")).Connect(within(t, 5*time.Second))
	if err != nil || reach.HostKey != f.Host("cloud").HostKeys[0] || reach.User != "root" || reach.Root != "root" {
		t.Errorf("%+v, %v", reach, err)
	}
}

// TestKeyHoldsWhenSessionKeysAreRenewed: then the host's key is judged again,
// and nobody can be asked any more.
func TestKeyHoldsWhenSessionKeysAreRenewed(t *testing.T) {
	f := simulated(t, simulate.Options{Faults: map[string]simulate.Fault{"cloud": {Rekey: 64 << 10, Flood: 1 << 20}}})
	p := &person{answer: yes}
	l := dialer(t, f, p).Open(plainHost(f, "cloud"))
	for range 3 {
		if n := len(run(t, l, "true")); n < 1<<20-1 {
			t.Errorf("%d bytes", n)
		}
	}
	if n := len(p.questions("")); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestNoFirstMeetingByMDNS: anybody on the network can claim a name there.
func TestNoFirstMeetingByMDNS(t *testing.T) {
	f := simulated(t, simulate.Options{})
	p := &person{answer: yes}
	h := plainHost(f, "cloud")
	h.Addresses[0].Via = fleet.ViaMDNS
	if err := connect(t, dialer(t, f, p), h); !errors.Is(err, link.ErrUnknown) || len(p.questions("")) != 0 {
		t.Errorf("%v, asked %v", err, p.questions(""))
	}
	if err := connect(t, known(t, f, nil), h); err != nil {
		t.Errorf("a known key: %v", err)
	}
}
