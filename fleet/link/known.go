package link

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"

	"github.com/sextant-fleet/sextant/fleet"
)

// known are known_hosts files as they were read.
type known struct {
	db    *knownhosts.HostKeyDB
	files map[string]string // where a copy was read, the file it is of
	state string            // of the files when they were read
}

// known reads those of the files that exist, again when they have changed.
func (d *Dialer) known(files []string) (*known, error) {
	var there []string
	state := ""
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && !slices.Contains(there, f) {
			there = append(there, f)
			state += fmt.Sprintf("%s\x00%d\x00%s\x00", f, info.Size(), info.ModTime().Format(time.RFC3339Nano))
		}
	}
	d.trust.Lock()
	defer d.trust.Unlock()
	if d.keys != nil && d.keys.state == state {
		return d.keys, nil
	}
	k, err := d.readKnown(there)
	if err != nil {
		return nil, fmt.Errorf("reading known_hosts: %w", err)
	}
	k.state = state
	d.keys = k
	return k, nil
}

// readKnown reads the files. The parser gives up at the first line it does not
// know, such as a key of a kind of tomorrow; ssh passes over it, and so do we.
func (d *Dialer) readKnown(files []string) (*known, error) {
	db, err := knownhosts.NewDB(files...)
	if err == nil {
		return &known{db: db}, nil
	}
	k := &known{files: map[string]string{}}
	var copies []string
	for _, f := range files {
		b, rerr := os.ReadFile(f)
		if rerr != nil {
			return nil, rerr
		}
		name, werr := temporary(readable(b))
		if werr != nil {
			return nil, err
		}
		defer os.Remove(name)
		k.files[name] = f
		copies = append(copies, name)
	}
	if k.db, err = knownhosts.NewDB(copies...); err != nil {
		return nil, err
	}
	d.note(fleet.Warn, "", "some lines of known_hosts cannot be read and are passed over, see `ssh-keygen -lf "+files[0]+"`")
	return k, nil
}

// readable blanks the lines that cannot be read, so that the others keep their
// numbers.
func readable(b []byte) []byte {
	var out []byte
	for line := range bytes.Lines(b) {
		_, _, _, _, _, err := ssh.ParseKnownHosts(line)
		if err == nil && len(line) < 32<<10 {
			out = append(out, bytes.TrimRight(line, "\n")...)
		}
		out = append(out, '\n')
	}
	return out
}

func temporary(b []byte) (string, error) {
	f, err := os.CreateTemp("", "sextant-known-hosts-")
	if err != nil {
		return "", err
	}
	defer f.Close()
	_, err = f.Write(b)
	return f.Name(), err
}

// file is the known_hosts file a key was found in.
func (k *known) file(name string) string {
	if original, ok := k.files[name]; ok {
		return original
	}
	return name
}

// authority tells whether a key is a CA's for the host of this name.
func (k *known) authority(name string, key ssh.PublicKey) bool {
	return slices.ContainsFunc(k.db.HostKeys(name), func(have knownhosts.PublicKey) bool {
		return have.Cert && bytes.Equal(have.Marshal(), key.Marshal())
	})
}

// keysOf are those of the keys that are the host's own, not a CA's.
func (k *known) keysOf(name string, want []xknownhosts.KnownKey) []xknownhosts.KnownKey {
	return slices.DeleteFunc(slices.Clone(want), func(w xknownhosts.KnownKey) bool { return k.authority(name, w.Key) })
}

// names are what the host is called, as host:port, under which its key may be
// written down; addresses are where it is thought to be. What stands under a
// name is believed before what stands under an address, where another machine
// may sit by now.
func (t *truster) names() (names, addresses []string) {
	add := func(list *[]string, host string, port int) {
		if n := (fleet.Address{Host: host, Port: port}).Join(22); host != "" && !slices.Contains(*list, n) {
			*list = append(*list, n)
		}
	}
	if t.set.keyAlias != "" {
		add(&names, t.set.keyAlias, 22)
		return names, nil
	}
	port := cmp.Or(t.addr.Port, t.set.port)
	add(&names, t.host.Name, port)
	for _, a := range t.host.Aliases {
		add(&names, a, port)
	}
	add(&addresses, t.addr.Host, port)
	add(&addresses, t.set.hostName, port)
	for _, a := range t.host.Addresses {
		add(&addresses, a.Host, cmp.Or(a.Port, t.set.port))
	}
	return names, addresses
}

// allNames are the names and the addresses.
func (t *truster) allNames() []string {
	names, addresses := t.names()
	return append(names, addresses...)
}

// portless are the names without their port, as ssh also looks them up for a
// port that is not 22: what stands there is believed, but tells of no change.
func (t *truster) portless() []string {
	var names []string
	for _, n := range t.allNames() {
		if host, port, err := net.SplitHostPort(n); err == nil && port != "22" {
			names = append(names, net.JoinHostPort(host, "22"))
		}
	}
	return names
}

// algorithms are the key kinds known of the host, then all others: without the
// first a good host would offer another kind and look changed, without the
// others a host with a new kind of key could not be told about. Nil: nothing
// is known, take any.
func (t *truster) algorithms() []string {
	var all []string
	add := func(algorithm string) {
		if !slices.Contains(all, algorithm) {
			all = append(all, algorithm)
		}
	}
	for _, n := range append(t.allNames(), t.portless()...) {
		for _, a := range t.known.db.HostKeyAlgorithms(n) {
			add(a)
		}
	}
	if t.vouches() {
		for _, line := range t.host.HostKeys {
			k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
			switch {
			case err != nil:
			case k.Type() == ssh.KeyAlgoRSA:
				add(ssh.KeyAlgoRSASHA512)
				add(ssh.KeyAlgoRSASHA256)
			default:
				add(k.Type())
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	for _, a := range ssh.SupportedAlgorithms().HostKeys {
		add(a)
	}
	return all
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
