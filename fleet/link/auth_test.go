package link_test

import (
	"crypto/rand"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

// noKey is a dialer without the fleet's own key.
func noKey(t testing.TB, f *simulate.Fleet, asker link.Asker) *link.Dialer {
	d := known(t, f, asker)
	write(t, filepath.Join(d.SSHDir, "id_ed25519"), "")
	return d
}

// agentWith serves an SSH agent that holds keys.
func agentWith(t testing.TB, keys ...agent.AddedKey) string {
	t.Helper()
	ring := agent.NewKeyring()
	for _, k := range keys {
		if err := ring.Add(k); err != nil {
			t.Fatal(err)
		}
	}
	return serveAgent(t, ring)
}

func TestKeyOfTheAgent(t *testing.T) {
	f := simulated(t, simulate.Options{})
	key, err := ssh.ParseRawPrivateKey(f.PrivateKey())
	if err != nil {
		t.Fatal(err)
	}
	d := noKey(t, f, nil)
	if err := connect(t, d, plainHost(f, "cloud")); !errors.Is(err, link.ErrAuth) || !strings.Contains(err.Error(), "root@cloud") {
		t.Errorf("without the agent: %v", err)
	}
	d = noKey(t, f, nil)
	d.AgentSocket = agentWith(t, agent.AddedKey{PrivateKey: key})
	if err := connect(t, d, plainHost(f, "cloud")); err != nil {
		t.Errorf("with the agent: %v", err)
	}
	d = noKey(t, f, nil)
	d.AgentSocket = filepath.Join(t.TempDir(), "gone")
	if err := connect(t, d, plainHost(f, "cloud")); !errors.Is(err, link.ErrAuth) {
		t.Errorf("with an agent that is gone: %v", err)
	}
}

// TestPassphraseIsAskedOnce: one key file opens several hosts at once.
func TestPassphraseIsAskedOnce(t *testing.T) {
	f := simulated(t, simulate.Options{})
	_, pem, line := newKey(t, "sesame")
	names := []string{"storage", "cloud", "router", "vault"}
	for _, n := range names {
		f.SetLogin(n, simulate.Login{NoKey: true, Keys: []string{line}})
	}
	p := &person{answer: says("wrong", "sesame")}
	d := known(t, f, p)
	write(t, filepath.Join(d.SSHDir, "id_ed25519"), string(pem))
	var wg sync.WaitGroup
	errs := make([]error, len(names))
	for i, n := range names {
		wg.Go(func() { _, errs[i] = d.Open(plainHost(f, n)).Connect(within(t, 10*time.Second)) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	q := p.questions("")
	if len(q) != 2 || q[0].Kind != fleet.AskPassphrase || !q[0].Secret || !strings.HasPrefix(q[1].Text, "Not accepted") {
		t.Errorf("asked %+v", q)
	}
}

func TestPassphraseIsNotAskedForAKeyTheHostDoesNotWant(t *testing.T) {
	f := simulated(t, simulate.Options{})
	_, pem, _ := newKey(t, "sesame")
	p := &person{answer: says("sesame")}
	d := known(t, f, p)
	write(t, filepath.Join(d.SSHDir, "id_ed25519"), string(pem))
	if err := connect(t, d, plainHost(f, "cloud")); !errors.Is(err, link.ErrAuth) || len(p.questions(fleet.AskPassphrase)) != 0 {
		t.Errorf("%v, asked %v", err, p.questions(""))
	}
}

// TestOpenKeysGoBeforeLockedOnes: nobody is asked for a passphrase where another
// key is let in.
func TestOpenKeysGoBeforeLockedOnes(t *testing.T) {
	f := simulated(t, simulate.Options{})
	key, err := ssh.ParseRawPrivateKey(f.PrivateKey())
	if err != nil {
		t.Fatal(err)
	}
	_, pem, line := newKey(t, "sesame")
	f.SetLogin("cloud", simulate.Login{Keys: []string{line}})
	p := &person{}
	d := known(t, f, p)
	write(t, filepath.Join(d.SSHDir, "id_ed25519"), string(pem))
	d.AgentSocket = agentWith(t, agent.AddedKey{PrivateKey: key})
	if err := connect(t, d, plainHost(f, "cloud")); err != nil || len(p.questions("")) != 0 {
		t.Errorf("%v, asked %v", err, p.questions(""))
	}
}

func TestWrongPassphrase(t *testing.T) {
	f := simulated(t, simulate.Options{})
	_, pem, line := newKey(t, "sesame")
	f.SetLogin("cloud", simulate.Login{NoKey: true, Keys: []string{line}})
	p := &person{answer: says("wrong")}
	d := known(t, f, p)
	write(t, filepath.Join(d.SSHDir, "id_ed25519"), string(pem))
	for range 2 { // what was wrong three times is not asked again by itself
		if err := connect(t, d, plainHost(f, "cloud")); !errors.Is(err, link.ErrRefused) {
			t.Errorf("got %v", err)
		}
	}
	if n := len(p.questions("")); n != 3 {
		t.Errorf("asked %d times", n)
	}
	p.answer = says("sesame")
	d.Forgive()
	if err := connect(t, d, plainHost(f, "cloud")); err != nil {
		t.Errorf("after it was forgiven: %v", err)
	}
}

// TestQuestionThatEndsIsNoRefusal: when nobody waits for the login any more,
// the question goes, and is asked again at the next login.
func TestQuestionThatEndsIsNoRefusal(t *testing.T) {
	f := simulated(t, simulate.Options{})
	_, pem, line := newKey(t, "sesame")
	f.SetLogin("cloud", simulate.Login{NoKey: true, Keys: []string{line}})
	p := &person{answer: says("sesame"), hold: make(chan struct{})}
	d := known(t, f, p)
	write(t, filepath.Join(d.SSHDir, "id_ed25519"), string(pem))
	h := plainHost(f, "cloud")
	go func() { _, _ = d.Open(h).Connect(within(t, 10*time.Minute)) }()
	eventually(t, "a question", func() bool { return len(p.questions("")) == 1 })
	d.Open(h).Close()
	eventually(t, "its end", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.ended == 1 })
	close(p.hold)
	if err := connect(t, d, h); err != nil {
		t.Error(err)
	}
}

func TestUserCertificate(t *testing.T) {
	f := simulated(t, simulate.Options{})
	ca, _, caLine := newKey(t, "")
	signer, pem, _ := newKey(t, "")
	cert := &ssh.Certificate{Key: signer.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"root"}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	f.SetLogin("cloud", simulate.Login{NoKey: true, CA: caLine})
	d := known(t, f, nil)
	path := filepath.Join(d.SSHDir, "id_ed25519")
	write(t, path, string(pem))
	if err := connect(t, d, plainHost(f, "cloud")); !errors.Is(err, link.ErrAuth) {
		t.Errorf("without the certificate: %v", err)
	}
	write(t, path+"-cert.pub", string(ssh.MarshalAuthorizedKey(cert)))
	if err := connect(t, d, plainHost(f, "cloud")); err != nil {
		t.Errorf("with it: %v", err)
	}
}

func TestPassword(t *testing.T) {
	f := simulated(t, simulate.Options{Logins: map[string]simulate.Login{"cloud": {User: "ada", NoKey: true, Password: "sesame"}}})
	p := &person{answer: says("no", "nope", "never", "sesame")}
	d := known(t, f, p)
	h := plainHost(f, "cloud")
	if err := connect(t, d, h); !errors.Is(err, link.ErrAuth) {
		t.Errorf("three wrong passwords: %v", err)
	}
	if err := connect(t, d, h); err != nil {
		t.Errorf("the right one: %v", err)
	}
	f.Break("cloud")
	eventually(t, "the end of the connection", func() bool { return f.Connections("cloud") == 0 })
	if err := connect(t, d, h); err != nil {
		t.Errorf("again: %v", err)
	}
	if q := p.questions(fleet.AskPassword); len(q) != 4 || !q[0].Secret {
		t.Errorf("asked %d times", len(q))
	}
}

func TestKeyboardInteractive(t *testing.T) {
	f := simulated(t, simulate.Options{Logins: map[string]simulate.Login{"cloud": {User: "ada", NoKey: true, Answers: []simulate.Answer{
		{Question: "Password: ", Answer: "sesame"}, {Question: "Code: ", Answer: "123456", Echo: true}}}}})
	p := &person{answer: func(q fleet.Question) fleet.Reply {
		if strings.Contains(q.Text, "Code") {
			return fleet.Reply{Text: "123456"}
		}
		return fleet.Reply{Text: "sesame"}
	}}
	if err := connect(t, known(t, f, p), plainHost(f, "cloud")); err != nil {
		t.Fatal(err)
	}
	if q := p.questions(""); len(q) != 2 || !q[0].Secret || q[1].Secret {
		t.Errorf("asked %+v", q)
	}
}

func TestNoneIsEnough(t *testing.T) {
	f := simulated(t, simulate.Options{Logins: map[string]simulate.Login{"cloud": {NoKey: true, Open: true}}})
	if err := connect(t, noKey(t, f, nil), plainHost(f, "cloud")); err != nil {
		t.Error(err)
	}
}

const page = "https://login.tailscale.com/a/1234567890"

// TestVisit: the question of a Tailscale SSH check ends by itself.
func TestVisit(t *testing.T) {
	f := simulated(t, simulate.Options{Logins: map[string]simulate.Login{"cloud": {NoKey: true, Visit: page}}})
	p := &person{hold: make(chan struct{})}
	d := noKey(t, f, p)
	link.AuthLimit(d, 3*time.Second)
	done := make(chan error, 1)
	go func() { done <- connect(t, d, plainHost(f, "cloud")) }()
	eventually(t, "the question", func() bool { return len(p.questions(fleet.AskVisit)) == 1 })
	if q := p.questions("")[0]; q.URL != page {
		t.Errorf("asked %+v", q)
	}
	time.Sleep(4 * time.Second) // longer than a login may take without questions
	f.Visit("cloud")
	if err := <-done; err != nil {
		t.Error(err)
	}
	eventually(t, "the question's end", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.ended == 1 })
}

// TestDeniedByThePolicy: a login that the tailnet's policy does not allow says so, and
// which rule is missing; no key helps there, and escapes of the host are not shown.
func TestDeniedByThePolicy(t *testing.T) {
	for _, said := range []string{
		"tailscale: tailnet policy does not permit you to SSH to this node\n", "tailscale: tailnet policy does not permit you to SSH as user \"root\"\x1b[2J\n",
		"tailscale: failed to evaluate tailnet policy\n",
	} {
		f := simulated(t, simulate.Options{Logins: map[string]simulate.Login{"cloud": {NoKey: true, Denied: said}}})
		h := plainHost(f, "cloud")
		h.User, h.Tags = "root", []string{"server"}
		err := connect(t, known(t, f, nil), h)
		want, _, _ := strings.Cut(strings.TrimPrefix(said, "tailscale: "), "\x1b")
		if !errors.Is(err, link.ErrAuth) || !strings.Contains(err.Error(), strings.TrimSpace(want)) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %v", said, err)
		}
		if cure := fleet.Cure(err); !strings.Contains(cure, `"dst": ["tag:server"], "users": ["root"]`) {
			t.Errorf("the cure is %q", cure)
		}
	}
	f := simulated(t, simulate.Options{Logins: map[string]simulate.Login{"cloud": {NoKey: true}}})
	if err := connect(t, known(t, f, nil), plainHost(f, "cloud")); strings.Contains(fleet.Cure(err), "policy") {
		t.Errorf("sshd that refuses: %v", fleet.Cure(err))
	}
}

func TestVisitRefused(t *testing.T) {
	f := simulated(t, simulate.Options{Logins: map[string]simulate.Login{"cloud": {NoKey: true, Visit: page}}})
	p := &person{}
	d := noKey(t, f, p)
	quickly(t, 3*time.Second, "refusing", func() {
		if err := connect(t, d, plainHost(f, "cloud")); !errors.Is(err, link.ErrRefused) {
			t.Errorf("got %v", err)
		}
	})
}

func TestVisitWithNobody(t *testing.T) {
	f := simulated(t, simulate.Options{Logins: map[string]simulate.Login{"cloud": {NoKey: true, Visit: page}}})
	d := noKey(t, f, nil)
	link.AuthLimit(d, 3*time.Second)
	if err := connect(t, d, plainHost(f, "cloud")); err == nil || !strings.Contains(err.Error(), page) {
		t.Errorf("got %v", err)
	}
}

// TestOwnName: a host that lets no root in is tried as the person.
func TestOwnName(t *testing.T) {
	t.Setenv("USER", "ada")
	f := simulated(t, simulate.Options{Logins: map[string]simulate.Login{"cloud": {User: "ada"}}})
	h := plainHost(f, "cloud")
	h.User = ""
	reach, err := known(t, f, nil).Open(h).Connect(within(t, 5*time.Second))
	if err != nil || reach.User != "ada" {
		t.Errorf("%+v, %v", reach, err)
	}
}
