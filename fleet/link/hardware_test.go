package link_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

// hardwareKey is an agent that holds one key as a FIDO token keeps it: a
// signature covers the application, whether a person touched the token, and a
// counter, which stand behind it (OpenSSH's PROTOCOL.u2f).
type hardwareKey struct {
	agent.Agent // what is not said below is not asked
	private     ed25519.PrivateKey
	touch       time.Duration // how long a person takes to touch it
	signed      atomic.Uint32
}

const (
	hardwareType = "sk-ssh-ed25519@openssh.com"
	hardwareApp  = "ssh:"
	touched      = 1
)

func newHardwareKey(t testing.TB) *hardwareKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &hardwareKey{Agent: agent.NewKeyring(), private: private}
}

func (h *hardwareKey) blob() []byte {
	return ssh.Marshal(struct {
		Type string
		Key  []byte
		App  string
	}{hardwareType, h.private.Public().(ed25519.PublicKey), hardwareApp})
}

// line is its authorized_keys line.
func (h *hardwareKey) line(t testing.TB) string {
	t.Helper()
	key, err := ssh.ParsePublicKey(h.blob())
	if err != nil {
		t.Fatal(err)
	}
	return string(ssh.MarshalAuthorizedKey(key))
}

// List is its one key.
func (h *hardwareKey) List() ([]*agent.Key, error) {
	return []*agent.Key{{Format: hardwareType, Blob: h.blob(), Comment: "token"}}, nil
}

// Sign signs as the token does.
func (h *hardwareKey) Sign(_ ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	time.Sleep(h.touch)
	app, message := sha256.Sum256([]byte(hardwareApp)), sha256.Sum256(data)
	rest := binary.BigEndian.AppendUint32([]byte{touched}, h.signed.Add(1))
	all := append(append(app[:], rest...), message[:]...)
	return &ssh.Signature{Format: hardwareType, Blob: ed25519.Sign(h.private, all), Rest: rest}, nil
}

// serveAgent serves an agent on a socket, until the test ends.
func serveAgent(t testing.TB, a agent.Agent) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { l.Close() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_ = agent.ServeAgent(a, c)
			})
		}
	})
	return path
}

// TestHardwareKey: a key in a token is used through the agent, and the person
// may take their time to touch it.
func TestHardwareKey(t *testing.T) {
	key := newHardwareKey(t)
	key.touch = 4 * time.Second // longer than a login may take without it
	f := simulated(t, simulate.Options{})
	f.SetLogin("cloud", simulate.Login{NoKey: true, Keys: []string{key.line(t)}})
	d := noKey(t, f, nil)
	d.AgentSocket = serveAgent(t, key)
	link.AuthLimit(d, 3*time.Second)
	if err := connect(t, d, plainHost(f, "cloud")); err != nil || key.signed.Load() != 1 {
		t.Errorf("%v, signed %d times", err, key.signed.Load())
	}
}
