package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/sextant-fleet/sextant/fleet"
)

// authenticator offers what can log in to one host on one attempt. It is
// closed when the attempt is over.
type authenticator struct {
	d     *Dialer
	ctx   context.Context
	host  fleet.Host
	set   settings
	wait  func() func()
	agent net.Conn
	used  map[string]bool // answers given in this attempt, by what was asked
}

// methods are tried in this order, after "none", which x/crypto always tries
// first and with which Tailscale SSH lets people in.
func (a *authenticator) methods() []ssh.AuthMethod {
	methods := []ssh.AuthMethod{ssh.PublicKeysCallback(a.signers)}
	if a.d.Asker != nil {
		methods = append(methods,
			ssh.RetryableAuthMethod(ssh.KeyboardInteractive(a.challenge), 3),
			ssh.RetryableAuthMethod(ssh.PasswordCallback(a.password), 3))
	}
	return methods
}

// signers are the agent's keys and those of the key files, each key once.
// Encrypted files ask for their passphrase only when the host wants the key.
func (a *authenticator) signers() ([]ssh.Signer, error) {
	named := a.set.identities
	if len(named) == 0 {
		for _, f := range defaultIdentities {
			named = append(named, filepath.Join(a.d.SSHDir, f))
		}
	}
	held := a.agentSigners()
	var all []ssh.Signer
	add := func(s ssh.Signer) {
		for _, have := range all {
			if bytes.Equal(have.PublicKey().Marshal(), s.PublicKey().Marshal()) {
				return
			}
		}
		all = append(all, s)
	}
	var locked []ssh.Signer
	for _, path := range named { // a key that is named goes first, from the agent where it holds it
		s := a.fileSigner(path, held)
		if s == nil {
			continue
		}
		mine := append(a.certificatesOf(path, s), s)
		if _, asks := s.(*lockedSigner); asks {
			locked = append(locked, mine...)
			continue
		}
		for _, k := range mine {
			add(k)
		}
	}
	if !a.set.identitiesOnly {
		for _, s := range held {
			add(s)
		}
	}
	for _, s := range locked { // a person need not be asked where another key is let in
		add(s)
	}
	return all, nil
}

// agentSigners are the keys of the agent, hardware keys among them; none where
// there is no agent.
func (a *authenticator) agentSigners() []ssh.Signer {
	socket := a.d.expand(a.set.agent)
	if socket == "" || socket == "none" {
		return nil
	}
	if strings.EqualFold(socket, "SSH_AUTH_SOCK") {
		socket = a.d.AgentSocket
	}
	if a.agent != nil { // the library asks again where a host wants two kinds of proof
		a.agent.Close()
	}
	conn, err := (&net.Dialer{Timeout: a.d.limits.dial}).DialContext(a.ctx, "unix", socket)
	if err != nil {
		return nil
	}
	a.agent = conn
	signers, err := agent.NewClient(conn).Signers()
	if err != nil {
		return nil
	}
	for i, s := range signers {
		signers[i] = heldSigner{s, a.wait}
	}
	return signers
}

// heldSigner is a key of the agent. The clock stands still while it signs: a
// person may have to touch a hardware key, or to agree.
type heldSigner struct {
	ssh.Signer
	wait func() func()
}

// Sign has the agent sign.
func (h heldSigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	defer h.wait()()
	return h.Signer.Sign(rand, data)
}

// SignWithAlgorithm has the agent sign with the algorithm the host asked for.
func (h heldSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	defer h.wait()()
	if s, ok := h.Signer.(ssh.AlgorithmSigner); ok {
		return s.SignWithAlgorithm(rand, data, algorithm)
	}
	return h.Signer.Sign(rand, data)
}

// fileSigner makes a signer of a key file, or nil where the file is no key. A
// key whose private half is in the agent (or in hardware) is taken from there.
func (a *authenticator) fileSigner(path string, held []ssh.Signer) ssh.Signer {
	pub := publicOf(path)
	for _, h := range held {
		if pub != nil && bytes.Equal(h.PublicKey().Marshal(), pub.Marshal()) {
			return h
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	s, err := ssh.ParsePrivateKey(b)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return s
	case errors.As(err, &locked):
		if pub == nil {
			pub = locked.PublicKey
		}
		if pub == nil {
			return nil // an old PEM file without a .pub beside it: nothing to offer the host
		}
		return &lockedSigner{a: a, path: path, pem: b, public: pub}
	}
	a.d.note(fleet.Warn, a.host.Name, "key file "+path+" cannot be read: "+err.Error())
	return nil
}

// publicOf reads the public half beside a key file.
func publicOf(path string) ssh.PublicKey {
	b, err := os.ReadFile(strings.TrimSuffix(path, ".pub") + ".pub")
	if err != nil {
		return nil
	}
	pub, _, _, _, err := ssh.ParseAuthorizedKey(b)
	if err != nil {
		return nil
	}
	return pub
}

// certificatesOf gives signers for the certificates of a key: the file beside
// it, and those that CertificateFile names.
func (a *authenticator) certificatesOf(path string, s ssh.Signer) []ssh.Signer {
	var out []ssh.Signer
	for _, file := range append([]string{path + "-cert.pub"}, a.set.certificates...) {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		pub, _, _, _, err := ssh.ParseAuthorizedKey(b)
		cert, ok := pub.(*ssh.Certificate)
		if err != nil || !ok {
			continue
		}
		if cs, err := ssh.NewCertSigner(cert, s); err == nil {
			out = append(out, cs)
		}
	}
	return out
}

// lockedSigner is a key whose file is encrypted; it is opened when the host
// has said that it would take it.
type lockedSigner struct {
	a      *authenticator
	path   string
	pem    []byte
	public ssh.PublicKey
	mu     sync.Mutex
	open   ssh.Signer
}

// PublicKey is known without the passphrase.
func (l *lockedSigner) PublicKey() ssh.PublicKey { return l.public }

// Sign asks for the passphrase once for all hosts and signs.
func (l *lockedSigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return l.SignWithAlgorithm(rand, data, "")
}

// Algorithms are those the kind of key can sign with.
func (l *lockedSigner) Algorithms() []string {
	if l.public.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{l.public.Type()}
}

// SignWithAlgorithm signs with the algorithm the host asked for.
func (l *lockedSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	s, err := l.unlock()
	if err != nil {
		return nil, err
	}
	if as, ok := s.(ssh.AlgorithmSigner); ok && algorithm != "" {
		return as.SignWithAlgorithm(rand, data, algorithm)
	}
	return s.Sign(rand, data)
}

func (l *lockedSigner) unlock() (ssh.Signer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open != nil {
		return l.open, nil
	}
	defer l.a.wait()()
	key := "passphrase\x00" + l.path
	err := l.a.d.secrets.get(l.a.ctx, key, func(attempt int) (string, error) {
		reply, err := l.a.d.ask(l.a.ctx, key, fleet.Question{
			Host: l.a.host.Name, Kind: fleet.AskPassphrase, Secret: true,
			Text: again(attempt, "Passphrase of "+l.path),
		})
		return reply.Text, err
	}, func(secret string) (bool, error) {
		if l.open = l.a.d.secrets.opened(l.pem); l.open != nil {
			return true, nil
		}
		s, err := ssh.ParsePrivateKeyWithPassphrase(l.pem, []byte(secret))
		if err != nil {
			return false, nil //nolint:nilerr // a wrong passphrase is an answer
		}
		l.open = s
		l.a.d.secrets.open(l.pem, s)
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("key %s stays locked: %w", l.path, err)
	}
	return l.open, nil
}

func again(attempt int, text string) string {
	if attempt > 0 {
		return "Not accepted. " + text
	}
	return text
}

// password answers password authentication. What was answered is kept for
// reconnects until the host refuses it.
func (a *authenticator) password() (string, error) {
	reply, err := a.once("password", fleet.Question{
		Host: a.host.Name, Kind: fleet.AskPassword, Secret: true,
		Text: "Password of " + a.set.user + " on " + a.host.Name,
	})
	return reply, err
}

// challenge answers keyboard-interactive authentication, question by question.
func (a *authenticator) challenge(_, instruction string, questions []string, echos []bool) ([]string, error) {
	answers := make([]string, len(questions))
	for i, q := range questions {
		text := strings.TrimSpace(fleet.Clean(instruction + " " + q))
		var err error
		answers[i], err = a.once(text, fleet.Question{
			Host: a.host.Name, Kind: fleet.AskPassword, Secret: !echos[i],
			Text: a.host.Name + ": " + text,
		})
		if err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// once gives the answer kept from an earlier login at its first use in this
// attempt, and asks after that: the host did not take the kept one.
func (a *authenticator) once(what string, q fleet.Question) (string, error) {
	key := strings.Join([]string{"login", string(a.host.ID), a.set.user, what}, "\x00")
	if kept, _ := a.d.secrets.peek(key); kept != "" && !a.used[key] {
		a.used[key] = true
		return kept, nil
	}
	defer a.wait()()
	if a.used[key] {
		q.Text = again(1, q.Text)
	}
	reply, err := a.d.ask(a.ctx, key, q)
	if err != nil {
		return "", err
	}
	a.used[key] = true
	a.d.secrets.keep(key, reply.Text)
	return reply.Text, nil
}

// close ends the attempt. Answers that did not let us in are forgotten.
func (a *authenticator) close(in bool) {
	if a.agent != nil {
		a.agent.Close()
	}
	if !in {
		for key := range a.used {
			a.d.secrets.drop(key)
		}
	}
}
