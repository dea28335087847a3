package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"

	"github.com/sextant-fleet/sextant/fleet"
)

// truster judges the key of one host on one attempt to reach it.
type truster struct {
	d     *Dialer
	ctx   context.Context
	host  fleet.Host
	set   settings
	addr  fleet.Address
	known *known
	wait  func() func() // stops the clock of the attempt while a person thinks
	shown ssh.PublicKey // the key the host showed
	no    error         // why it is not trusted
}

// newTruster reads the known_hosts files that exist.
func (d *Dialer) newTruster(ctx context.Context, h fleet.Host, set settings, addr fleet.Address, wait func() func()) (*truster, error) {
	k, err := d.known(set.knownHosts)
	if err != nil {
		return nil, err
	}
	return &truster{d: d, ctx: ctx, host: h, set: set, addr: addr, wait: wait, known: k}, nil
}

// vouches tells whether Tailscale's word about keys counts on this address.
func (t *truster) vouches() bool { return t.addr.Via == fleet.ViaTailnet && len(t.host.HostKeys) > 0 }

// check is the ssh.HostKeyCallback. The library calls it again whenever the
// two sides change their session keys, when nobody can be asked any more.
func (t *truster) check(_ string, remote net.Addr, key ssh.PublicKey) error {
	if t.shown != nil && t.no == nil && bytes.Equal(plain(key).Marshal(), t.shown.Marshal()) {
		return nil
	}
	t.shown = plain(key)
	t.no = t.judge(remote, key)
	return t.no
}

// plain is the key itself where it comes with a certificate.
func plain(key ssh.PublicKey) ssh.PublicKey {
	if cert, ok := key.(*ssh.Certificate); ok {
		return cert.Key
	}
	return key
}

// judge trusts a key that is known, or signed by a known CA, or vouched for by
// Tailscale; a revoked one never. It asks about one that nobody knows.
func (t *truster) judge(remote net.Addr, key ssh.PublicKey) error {
	if cert, ok := key.(*ssh.Certificate); ok {
		if done, err := t.judgeCertificate(remote, cert); done {
			return err
		}
		key = cert.Key // no CA that we know signed it: it is judged as a plain key
	}
	trusted, changed, err := t.look(remote, key)
	switch {
	case err != nil:
		return err
	case trusted, t.vouched(key):
		return nil
	case len(changed) > 0:
		return t.changedError(changed, key)
	}
	return t.askNew(remote, key)
}

// judgeCertificate judges a key by its certificate, where a CA is known that
// made it.
func (t *truster) judgeCertificate(remote net.Addr, cert *ssh.Certificate) (done bool, no error) {
	for _, n := range t.allNames() {
		err := t.known.db.HostKeyCallback()(n, remoteOr(remote), cert)
		if err == nil {
			return true, nil
		}
		if t.known.authority(n, cert.SignatureKey) && no == nil {
			no = fleet.WithCure(fmt.Errorf("%w: the certificate of %s does not hold: %w", ErrHostKey, t.host.Name, err),
				"have its certificate signed anew for the name and the time; until then, do not connect")
		}
	}
	return no != nil, no
}

// look finds a plain key under the host's names, and where nothing stands there
// under its addresses. One that is known under any name is the host's; changed
// are the keys that stand there in its place.
func (t *truster) look(remote net.Addr, key ssh.PublicKey) (trusted bool, changed []xknownhosts.KnownKey, err error) {
	names, addresses := t.names()
	for _, list := range [][]string{names, addresses} {
		trusted, changed, err = t.lookUnder(list, remote, key)
		if trusted || len(changed) > 0 || err != nil {
			return trusted, changed, err
		}
	}
	trusted = slices.ContainsFunc(t.portless(), func(n string) bool {
		return t.known.db.HostKeyCallback()(n, remoteOr(remote), key) == nil
	})
	return trusted, nil, nil
}

func (t *truster) lookUnder(names []string, remote net.Addr, key ssh.PublicKey) (trusted bool, changed []xknownhosts.KnownKey, err error) {
	for _, n := range names {
		err := t.known.db.HostKeyCallback()(n, remoteOr(remote), key)
		var revoked *xknownhosts.RevokedError
		var other *xknownhosts.KeyError
		switch {
		case err == nil:
			trusted = true
		case errors.As(err, &revoked):
			return false, nil, fleet.WithCure(fmt.Errorf("%w: the key %s of %s was revoked (%s:%d)", ErrHostKey,
				ssh.FingerprintSHA256(key), t.host.Name, t.known.file(revoked.Revoked.Filename), revoked.Revoked.Line),
				"do not connect: give the host a new key first")
		case errors.As(err, &other):
			changed = append(changed, t.known.keysOf(n, other.Want)...)
		default:
			return false, nil, fmt.Errorf("%w: %s: %w", ErrHostKey, t.host.Name, err)
		}
	}
	return trusted, changed, nil
}

func (t *truster) vouched(key ssh.PublicKey) bool {
	return t.vouches() && slices.ContainsFunc(t.host.HostKeys, func(line string) bool {
		k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		return err == nil && bytes.Equal(k.Marshal(), key.Marshal())
	})
}

// changedError names both fingerprints and the line to look at.
func (t *truster) changedError(want []xknownhosts.KnownKey, got ssh.PublicKey) error {
	w := want[0]
	for _, k := range want {
		if k.Key.Type() == got.Type() {
			w = k
			break
		}
	}
	return fleet.WithCure(fmt.Errorf("%w: %s shows %s %s, but %s:%d has %s %s", ErrHostKey, t.host.Name,
		got.Type(), ssh.FingerprintSHA256(got), t.known.file(w.Filename), w.Line, w.Key.Type(), ssh.FingerprintSHA256(w.Key)),
		"if the host was installed anew, remove that line; if not, somebody may be between you and it: do not connect")
}

// askNew asks a person about a key nobody knows, and writes it down. The same
// key is asked about once at a time: one machine may be several hosts to us.
func (t *truster) askNew(remote net.Addr, key ssh.PublicKey) error {
	if t.addr.Via == fleet.ViaMDNS { // anybody on the network can claim a name: no first meeting there
		return fleet.WithCure(fmt.Errorf("%w: %s was only met at %s, an address from mDNS, which proves nothing", ErrUnknown, t.host.Name, t.addr.Host),
			"accept its key at another address first: addresses for this host in config.toml")
	}
	defer t.wait()()
	about := "host key\x00" + t.host.Name + "\x00" + ssh.FingerprintSHA256(key)
	g := t.d.secrets.gate(about)
	if err := g.enter(t.ctx); err != nil {
		return err
	}
	defer g.leave()
	if k, err := t.d.known(t.set.knownHosts); err == nil { // it may have been accepted meanwhile
		t.known = k
		if trusted, _, err := t.look(remote, key); trusted && err == nil {
			return nil
		}
	}
	_, err := t.d.ask(t.ctx, about, fleet.Question{
		Host: t.host.Name, Kind: fleet.AskHostKey,
		Text: "The host key of " + t.host.Name + " is not known. Trust it?",
		Detail: []string{
			key.Type() + " " + ssh.FingerprintSHA256(key),
			"at " + t.addr.Join(t.set.port) + " (" + string(t.addr.Via) + ")",
			"compare it on the host: ssh-keygen -lf /etc/ssh/ssh_host_" + keyWord(key) + "_key.pub",
		},
	})
	switch {
	case errors.Is(err, ErrNobody):
		return fleet.WithCure(fmt.Errorf("%w: %s shows %s %s", ErrUnknown, t.host.Name, key.Type(), ssh.FingerprintSHA256(key)),
			"compare that with the host's own, and accept it once with `ssh "+t.host.Name+"` or in the terminal UI")
	case err != nil:
		return fmt.Errorf("host key of %s not accepted: %w", t.host.Name, err)
	}
	return t.write(key)
}

// keyWord is the word in the file name of a host's key of this kind.
func keyWord(key ssh.PublicKey) string {
	switch {
	case strings.Contains(key.Type(), "rsa"):
		return "rsa"
	case strings.Contains(key.Type(), "ecdsa"):
		return "ecdsa"
	}
	return "ed25519"
}

// write adds the key to the person's known_hosts under the host's name and the
// address it was seen at. An address of the LAN is left out: tomorrow another
// machine may have it.
func (t *truster) write(key ssh.PublicKey) error {
	if len(t.set.knownHosts) == 0 {
		return nil
	}
	t.d.trust.Lock()
	defer t.d.trust.Unlock()
	path := t.set.knownHosts[0]
	names, addresses := t.names()
	names = names[:1]
	if len(addresses) > 0 && t.addr.Via != fleet.ViaLAN {
		names = append(names, addresses[0])
	}
	for i, n := range names {
		names[i] = knownhosts.Normalize(n)
	}
	line := knownhosts.Line(names, key) + "\n"
	if old, err := os.ReadFile(path); err == nil && len(old) > 0 && old[len(old)-1] != '\n' {
		line = "\n" + line
	}
	if err := appendTo(path, line); err != nil {
		return fleet.WithCure(fmt.Errorf("writing the key of %s down: %w", t.host.Name, err), "let yourself write to "+path)
	}
	t.d.note(fleet.Info, t.host.Name, "host key "+ssh.FingerprintSHA256(key)+" written to "+path)
	return nil
}

// appendTo adds a line to a file that only its owner may read.
func appendTo(path, line string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(line); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
