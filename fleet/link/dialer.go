package link

import (
	"context"
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
	// Note is told what is worth reading later. May be nil.
	Note func(fleet.Message)

	once    sync.Once
	secrets *secrets
	configs *sshConfig
	trust   sync.Mutex // one at a time asks about keys and writes known_hosts
	mu      sync.Mutex
	links   map[fleet.HostID]Link
}

// Limits of each step of reaching a host.
const (
	dialTimeout    = 10 * time.Second       // TCP, per address
	offlineTimeout = 2 * time.Second        // the same, for a host that the tailnet calls offline
	authTimeout    = 15 * time.Second       // version exchange, keys, authentication, without the time a person takes
	personTimeout  = 5 * time.Minute        // how long a question waits
	raceDelay      = 200 * time.Millisecond // head start of each address before the next
	keepAliveEvery = 5 * time.Second
	keepAliveLost  = 3 // so many unanswered in a row end the connection
	maxSessions    = 8 // below sshd's MaxSessions of 10: one is left for a shell, one for luck
)

// Open gives the link to a host; the same one for the same host, until it is
// closed. Nothing is dialled yet. A host whose way in has changed gets a new link.
func (d *Dialer) Open(h fleet.Host) Link {
	d.init()
	d.mu.Lock()
	defer d.mu.Unlock()
	if l, ok := d.links[h.ID]; ok {
		if u, ok := l.(interface{ setHost(fleet.Host) }); ok {
			u.setHost(h)
		}
		return l
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
		d.secrets = &secrets{kept: map[string]string{}}
		d.configs = &sshConfig{files: d.ConfigFiles}
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

// ask puts a question, or says that nobody can be asked.
func (d *Dialer) ask(ctx context.Context, q fleet.Question) (fleet.Reply, error) {
	if d.Asker == nil {
		return fleet.Reply{}, ErrNobody
	}
	ctx, cancel := context.WithTimeout(ctx, personTimeout)
	defer cancel()
	q.At = time.Now()
	reply, err := d.Asker.Ask(ctx, q)
	if err == nil && reply.Refuse {
		err = ErrRefused
	}
	return reply, err
}

// secrets are the answers a person gave, by what was asked; in memory only.
type secrets struct {
	mu      sync.Mutex
	kept    map[string]string
	refused map[string]error
	asking  sync.Map // key → *sync.Mutex: one question about the same thing at a time
}

// get gives the kept secret, or asks for one and tries it until check accepts
// it, at most three times. A refusal is remembered until forgive.
func (s *secrets) get(key string, ask func(attempt int) (string, error), check func(string) error) (string, error) {
	lock, _ := s.asking.LoadOrStore(key, &sync.Mutex{})
	lock.(*sync.Mutex).Lock()
	defer lock.(*sync.Mutex).Unlock()
	if kept, refused := s.peek(key); refused != nil {
		return "", refused
	} else if kept != "" {
		return kept, nil
	}
	var err error
	for attempt := range 3 {
		var secret string
		if secret, err = ask(attempt); err != nil {
			break
		}
		if err = check(secret); err == nil {
			s.keep(key, secret)
			return secret, nil
		}
	}
	s.refuse(key, err)
	return "", err
}

func (s *secrets) peek(key string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[key], s.refused[key]
}

func (s *secrets) keep(key, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[key] = secret
}

func (s *secrets) drop(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, key)
}

func (s *secrets) refuse(key string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused == nil {
		s.refused = map[string]error{}
	}
	s.refused[key] = err
}

func (s *secrets) forgive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = nil
}
