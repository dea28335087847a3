//go:build lab

package link_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// sshdPort is that of a second sshd, which a test has for itself.
const sshdPort = 2299

// secondSSHD starts OpenSSH's own server once more on a host of the lab, with
// the host's key, these settings, and these keys for whoever logs in. It ends
// with the test, and nothing of it stays.
func secondSSHD(t *testing.T, lab labtest.Lab, name, keys, ca, config string) fleet.Host {
	t.Helper()
	const start = `set -e
d=/run/sextant-test-sshd
mkdir -p "$d"
printf %s "$1" >"$d/keys"
printf %s "$2" >"$d/ca"
printf '%s\n' "Port $4" "HostKey /etc/ssh/ssh_host_ed25519_key" "PidFile $d/pid" "AuthorizedKeysFile $d/keys" \
	"StrictModes no" "UsePAM yes" "$3" >"$d/config"
/usr/sbin/sshd -f "$d/config" -E "$d/log"
for i in $(seq 100); do # it goes into the background before it listens
	if ss -Htln "sport = :$4" | grep -q .; then exit; fi
	sleep 0.1
done
cat "$d/log" >&2
exit 1`
	const end = `d=/run/sextant-test-sshd; kill "$(cat "$d/pid")"; rm -r "$d"`
	do := func(cmd link.Command) error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		d := lab.Dialer(t, labtest.Answers{fleet.AskSudo: labtest.SudoPassword})
		defer d.Close()
		cmd.Root = true
		res, err := d.Open(lab.Named(t, name).Fleet()).Run(ctx, cmd)
		if err == nil && res.Status != 0 {
			err = fmt.Errorf("status %d: %s", res.Status, res.Stderr)
		}
		return err
	}
	if ca != "" {
		config += "\nTrustedUserCAKeys /run/sextant-test-sshd/ca"
	}
	if err := do(link.Script(start, keys, ca, config, fmt.Sprint(sshdPort))); err != nil {
		t.Fatal("a second sshd: ", err)
	}
	t.Cleanup(func() {
		if err := do(link.Script(end)); err != nil {
			t.Error("its end: ", err)
		}
	})
	h := lab.Named(t, name).Fleet()
	h.ID, h.Port = fleet.HostID("second:"+name), sshdPort
	return h
}

// only is a dialer with a ~/.ssh of its own, which holds nothing, and the hosts'
// keys known.
func only(t *testing.T, lab labtest.Lab, asker link.Asker) *link.Dialer {
	d := lab.Dialer(t, asker)
	d.SSHDir, d.ConfigFiles, d.AgentSocket = t.TempDir(), nil, ""
	return d
}

// loginAs logs in and wants to be that user there.
func loginAs(t *testing.T, d *link.Dialer, h fleet.Host, user string) {
	t.Helper()
	h.User = user
	res, err := d.Open(h).Run(within(t, 20*time.Second), link.Command{Args: []string{"id", "-un"}})
	if got := strings.TrimSpace(string(res.Stdout)); err != nil || got != user {
		t.Errorf("%q, %v", got, err)
	}
}

// TestKeysOfEveryKind logs in to OpenSSH's own server with each kind of key.
func TestKeysOfEveryKind(t *testing.T) {
	lab := labtest.Load(t)
	_, plainPEM, plainLine := newKey(t, "")
	_, lockedPEM, lockedLine := newKey(t, "sesame")
	ca, _, caLine := newKey(t, "")
	signed, signedPEM, _ := newKey(t, "")
	token := newHardwareKey(t)
	h := secondSSHD(t, lab, "cloud", plainLine+lockedLine+token.line(t), caLine, "PasswordAuthentication no\nKbdInteractiveAuthentication no")
	t.Run("nothing", func(t *testing.T) {
		h.User = "root"
		_, err := only(t, lab, nil).Open(h).Connect(within(t, 20*time.Second))
		if !errors.Is(err, link.ErrAuth) || !strings.Contains(fleet.Cure(err), "ssh-add") {
			t.Errorf("got %v, cure %q", err, fleet.Cure(err))
		}
	})
	t.Run("agent", func(t *testing.T) {
		key, err := ssh.ParseRawPrivateKey(plainPEM)
		if err != nil {
			t.Fatal(err)
		}
		d := only(t, lab, nil)
		d.AgentSocket = agentWith(t, agent.AddedKey{PrivateKey: key})
		loginAs(t, d, h, "root")
	})
	t.Run("hardware", func(t *testing.T) {
		d := only(t, lab, nil)
		d.AgentSocket = serveAgent(t, token)
		loginAs(t, d, h, "root")
		if token.signed.Load() == 0 {
			t.Error("it signed nothing")
		}
	})
	t.Run("encrypted file", func(t *testing.T) {
		p := &person{answer: says("wrong", "sesame")}
		d := only(t, lab, p)
		write(t, filepath.Join(d.SSHDir, "id_ed25519"), string(lockedPEM))
		loginAs(t, d, h, "root")
		if q := p.questions(fleet.AskPassphrase); len(q) != 2 || !q[0].Secret || !strings.HasPrefix(q[1].Text, "Not accepted") {
			t.Errorf("asked %+v", q)
		}
	})
	t.Run("certificate", func(t *testing.T) {
		cert := &ssh.Certificate{Key: signed.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"admin"}, ValidBefore: ssh.CertTimeInfinity}
		if err := cert.SignCert(rand.Reader, ca); err != nil {
			t.Fatal(err)
		}
		d := only(t, lab, nil)
		write(t, filepath.Join(d.SSHDir, "id_ed25519"), string(signedPEM))
		write(t, filepath.Join(d.SSHDir, "id_ed25519-cert.pub"), string(ssh.MarshalAuthorizedKey(cert)))
		loginAs(t, d, h, "admin")
		h.ID, h.User = "other", "root" // not its principal
		if _, err := d.Open(h).Connect(within(t, 20*time.Second)); !errors.Is(err, link.ErrAuth) {
			t.Errorf("as root: %v", err)
		}
	})
}

// TestPasswordsOfRealUsers logs in with ada's password on laptop, both ways that
// sshd has of asking for it.
func TestPasswordsOfRealUsers(t *testing.T) {
	lab := labtest.Load(t)
	for name, config := range map[string]string{
		"password":             "PasswordAuthentication yes\nKbdInteractiveAuthentication no",
		"keyboard-interactive": "PasswordAuthentication no\nKbdInteractiveAuthentication yes",
	} {
		t.Run(name, func(t *testing.T) {
			h := secondSSHD(t, lab, "laptop", "", "", config+"\nPubkeyAuthentication no")
			p := &person{answer: says("wrong", labtest.SudoPassword)}
			loginAs(t, only(t, lab, p), h, "ada")
			if q := p.questions(fleet.AskPassword); len(q) != 2 || !q[0].Secret {
				t.Errorf("asked %+v", q)
			}
		})
	}
}
