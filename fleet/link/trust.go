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
	db    *knownhosts.HostKeyDB
	wait  func() func() // stops the clock of the attempt while a person thinks
	files []string
	shown ssh.PublicKey // the key the host showed
	no    error         // why it is not trusted
}

// newTruster reads the known_hosts files that exist.
func (d *Dialer) newTruster(ctx context.Context, h fleet.Host, set settings, addr fleet.Address, wait func() func()) (*truster, error) {
	t := &truster{d: d, ctx: ctx, host: h, set: set, addr: addr, wait: wait}
	for _, f := range set.knownHosts {
		if _, err := os.Stat(f); err == nil && !slices.Contains(t.files, f) {
			t.files = append(t.files, f)
		}
	}
	var err error
	if t.db, err = knownhosts.NewDB(t.files...); err != nil {
		return nil, fmt.Errorf("reading known_hosts: %w", err)
	}
	return t, nil
}

// names are those under which the host's key may be written down, as
// host:port, the most telling first. A key under any of them is the host's: it
// is the same machine to the person who accepted it.
func (t *truster) names() []string {
	var names []string
	add := func(host string, port int) {
		if n := (fleet.Address{Host: host, Port: port}).Join(22); host != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if t.set.keyAlias != "" {
		add(t.set.keyAlias, 22)
		return names
	}
	port := t.set.port
	if t.addr.Port != 0 {
		port = t.addr.Port
	}
	add(t.addr.Host, port)
	add(t.host.Name, port)
	for _, a := range t.host.Aliases {
		add(a, port)
	}
	add(t.set.hostName, port)
	for _, a := range t.host.Addresses {
		if a.Port == 0 {
			a.Port = t.set.port
		}
		add(a.Host, a.Port)
	}
	return names
}

// algorithms are the key kinds known of the host: without them a good host
// would offer another kind and look changed. Nil: nothing is known, take any.
func (t *truster) algorithms() []string {
	var all []string
	for _, n := range t.names() {
		for _, a := range t.db.HostKeyAlgorithms(n) {
			if !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	if t.vouches() {
		for _, line := range t.host.HostKeys {
			if k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil && !slices.Contains(all, k.Type()) {
				all = append(all, k.Type())
			}
		}
	}
	return all
}

// vouches tells whether Tailscale's word about keys counts on this address.
func (t *truster) vouches() bool { return t.addr.Via == fleet.ViaTailnet && len(t.host.HostKeys) > 0 }

// check is the ssh.HostKeyCallback.
func (t *truster) check(_ string, remote net.Addr, key ssh.PublicKey) error {
	t.shown = key
	t.no = t.judge(remote, key)
	return t.no
}

func (t *truster) judge(remote net.Addr, key ssh.PublicKey) error {
	if t.vouched(key) {
		return nil
	}
	var known []xknownhosts.KnownKey
	for _, n := range t.names() {
		err := t.db.HostKeyCallback()(n, remoteOr(remote), key)
		if err == nil {
			return nil
		}
		var keyErr *xknownhosts.KeyError
		switch {
		case knownhosts.IsHostKeyChanged(err) && errors.As(err, &keyErr):
			known = append(known, keyErr.Want...)
		case knownhosts.IsHostUnknown(err):
		default: // revoked, or a certificate that does not hold
			return fmt.Errorf("%w: %s: %w", ErrHostKey, t.host.Name, err)
		}
	}
	if len(known) > 0 {
		return changedError(t.host.Name, known, key)
	}
	return t.askNew(key)
}

func (t *truster) vouched(key ssh.PublicKey) bool {
	return t.vouches() && slices.ContainsFunc(t.host.HostKeys, func(line string) bool {
		k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		return err == nil && bytes.Equal(k.Marshal(), key.Marshal())
	})
}

// remoteOr gives knownhosts an address it can read where the connection has
// none of its own (through a jump host).
func remoteOr(a net.Addr) net.Addr {
	if a != nil {
		if _, _, err := net.SplitHostPort(a.String()); err == nil {
			return a
		}
	}
	return &net.TCPAddr{IP: net.IPv4zero, Port: 22}
}

// changedError names both fingerprints and the line to look at.
func changedError(host string, want []xknownhosts.KnownKey, got ssh.PublicKey) error {
	w := want[0]
	for _, k := range want {
		if k.Key.Type() == got.Type() {
			w = k
		}
	}
	return fmt.Errorf("%w: %s shows %s %s, but %s:%d has %s %s; if the host was installed anew, remove that line",
		ErrHostKey, host, got.Type(), ssh.FingerprintSHA256(got), w.Filename, w.Line, w.Key.Type(), ssh.FingerprintSHA256(w.Key))
}

// askNew asks a person about a key nobody knows, and writes it down.
func (t *truster) askNew(key ssh.PublicKey) error {
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key // signed by a CA we do not know: it is judged as a plain key
	}
	t.d.trust.Lock()
	defer t.d.trust.Unlock()
	defer t.wait()()
	_, err := t.d.ask(t.ctx, fleet.Question{
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
		return fmt.Errorf("%w: %s shows %s %s; accept it once with `ssh %s` or in the terminal UI",
			ErrUnknown, t.host.Name, key.Type(), ssh.FingerprintSHA256(key), t.host.Name)
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

// write adds the key to the person's known_hosts under the host's name and
// the address it was seen at.
func (t *truster) write(key ssh.PublicKey) error {
	if len(t.set.knownHosts) == 0 {
		return nil
	}
	path := t.set.knownHosts[0]
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing the key of %s down: %w", t.host.Name, err)
	}
	defer f.Close()
	names := t.names()
	for i, n := range names[:min(2, len(names))] {
		names[i] = knownhosts.Normalize(n)
	}
	if _, err := fmt.Fprintln(f, knownhosts.Line(names[:min(2, len(names))], key)); err != nil {
		return err
	}
	t.d.note(fleet.Info, t.host.Name, "host key "+ssh.FingerprintSHA256(key)+" written to "+path)
	return f.Close()
}
