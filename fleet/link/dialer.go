package link

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Dialer opens links and holds what they share: who can be asked, which files
// tell of hosts, and the secrets a person gave, in memory only.
type Dialer struct {
	// Asker is asked for passwords and about unknown host keys. Nil: nobody
	// can be asked, and what would need an answer fails with that reason.
	Asker Asker
	// SSHDir is the person's ~/.ssh.
	SSHDir string
	// ConfigFiles are ssh_config files, the person's first.
	ConfigFiles []string
	// KnownHosts are known_hosts files; new keys are written to the first.
	KnownHosts []string
	// AgentSocket is the SSH agent's; empty: none.
	AgentSocket string
	// Find gives a host of the fleet by name, so that a jump through it uses
	// its own connection. May be nil.
	Find func(name string) (fleet.Host, bool)
	// Remember is told which address of a host worked; Remembered gives it
	// back at the next start. Both may be nil.
	Remember   func(fleet.HostID, fleet.Address)
	Remembered func(fleet.HostID) fleet.Address
	// DialLimit is how long an address may take to answer; 0: 10 s.
	DialLimit time.Duration
	// KeepAlive is how often a host is asked for a sign of life, and LostAfter how
	// long one may take before the connection counts as lost; 0: 5 s and 15 s.
	KeepAlive, LostAfter time.Duration
	// Note is told what is worth reading later. May be nil.
	Note func(fleet.Message)

	once    sync.Once
	limits  limits
	secrets *secrets
	configs *sshConfig
	trust   sync.Mutex // one at a time reads and writes known_hosts
	keys    *known     // as last read
	mu      sync.Mutex
	links   map[fleet.HostID]Link
}

// limits bound each step of reaching a host.
type limits struct {
	dial       time.Duration // TCP, per address
	offline    time.Duration // the same, for a host that the tailnet calls offline
	auth       time.Duration // version exchange, keys, authentication, without the time a person takes
	person     time.Duration // how long a question waits
	raceDelay  time.Duration // head start of each address before the next
	keepAlive  time.Duration // between two
	lostAfter  time.Duration // one unanswered for so long ends the connection
	sessionGap time.Duration // before a session that the host had no room for is tried again
}

// usual are the limits outside tests.
var usual = limits{
	dial: 10 * time.Second, offline: 2 * time.Second, auth: 15 * time.Second, person: 5 * time.Minute, raceDelay: 200 * time.Millisecond,
	keepAlive: 5 * time.Second, lostAfter: 15 * time.Second, sessionGap: 100 * time.Millisecond,
}

// maxSessions is below sshd's MaxSessions of 10: one is left for a shell, one
// for luck.
const maxSessions = 8

// Open gives the link to a host; the same one for the same host, until it is
// closed or forgotten. Nothing is dialled yet. Where the way in has changed,
// the link takes it from its next connection on, which it makes at once.
func (d *Dialer) Open(h fleet.Host) Link {
	d.init()
	d.mu.Lock()
	defer d.mu.Unlock()
	if l, ok := d.links[h.ID]; ok {
		if l.(interface{ takes(fleet.Host) bool }).takes(h) {
			return l
		}
		l.Close()
	}
	var l Link
	if h.Local {
		l = newLocal(d, h)
	} else {
		l = newSSH(d, h)
	}
	d.links[h.ID] = l
	return l
}

// Apart gives a link to a host that shares no connection with any other: what is
// reached over it, can be reached anew. Whoever asked closes it.
func (d *Dialer) Apart(h fleet.Host) Link {
	d.init()
	if h.Local {
		return newLocal(d, h)
	}
	return newSSH(d, h)
}

// Forget ends the link to a host that has left the fleet.
func (d *Dialer) Forget(id fleet.HostID) {
	d.init()
	d.mu.Lock()
	l := d.links[id]
	delete(d.links, id)
	d.mu.Unlock()
	if l != nil {
		l.Close()
	}
}

// Close ends every link.
func (d *Dialer) Close() {
	d.init()
	d.mu.Lock()
	links := d.links
	d.links = map[fleet.HostID]Link{}
	d.mu.Unlock()
	for _, l := range links {
		l.Close()
	}
}

func (d *Dialer) init() {
	d.once.Do(func() {
		d.links = map[fleet.HostID]Link{}
		d.secrets = newSecrets()
		if d.limits == (limits{}) {
			d.limits = usual
		}
		if d.DialLimit > 0 {
			d.limits.dial = d.DialLimit
			d.limits.offline = min(d.limits.offline, d.DialLimit)
		}
		d.limits.keepAlive = cmp.Or(d.KeepAlive, d.limits.keepAlive)
		d.limits.lostAfter = cmp.Or(d.LostAfter, d.limits.lostAfter)
		d.configs = &sshConfig{files: d.ConfigFiles, note: func(text string) { d.note(fleet.Warn, "", text) }}
	})
}

// Forgive lets questions that a person refused be asked again.
func (d *Dialer) Forgive() {
	d.init()
	d.secrets.forgive()
}

func (d *Dialer) note(level fleet.Level, host, text string) {
	if d.Note != nil {
		d.Note(fleet.Message{At: time.Now(), Level: level, Host: host, Text: fleet.Clean(text)})
	}
}

// ask puts a question, or says that nobody can be asked. A refusal is
// remembered under the key until it is forgiven, so that a host that is tried
// again and again does not ask again and again.
func (d *Dialer) ask(ctx context.Context, key string, q fleet.Question) (fleet.Reply, error) {
	if d.Asker == nil {
		return fleet.Reply{}, ErrNobody
	}
	if _, refused := d.secrets.peek(key); refused != nil {
		return fleet.Reply{}, refused
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.limits.person, errNoReply)
	defer cancel()
	q.At = time.Now()
	reply, err := d.Asker.Ask(ctx, q)
	if err == nil && reply.Refuse {
		err = ErrRefused
	}
	if errors.Is(err, ErrRefused) {
		d.secrets.refuse(key, err)
	}
	return reply, err
}

var errNoReply = errors.New("nobody answered")
