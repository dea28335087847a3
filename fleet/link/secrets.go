package link

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/crypto/ssh"
)

// secrets are the answers a person gave, by what was asked, and what a person
// refused to answer; in memory only.
type secrets struct {
	mu      sync.Mutex
	kept    map[string]string
	refused map[string]error
	asking  map[string]gate
	keys    map[string]ssh.Signer // opened key files, by their content: opening one takes long on purpose
}

func newSecrets() *secrets {
	return &secrets{kept: map[string]string{}, refused: map[string]error{}, asking: map[string]gate{}, keys: map[string]ssh.Signer{}}
}

// gate lets one through at a time; unlike with a mutex, waiting ends with a
// context.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

// enter waits for its turn; leave gives it to the next.
func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g gate) leave() { <-g }

// gate gives the gate of a question: the same thing is asked once at a time,
// however many hosts want to know it.
func (s *secrets) gate(key string) gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.asking[key]
	if !ok {
		g = newGate()
		s.asking[key] = g
	}
	return g
}

// attempts is how often a person may give a wrong secret.
const attempts = 3

// get gives the kept secret, or asks for one, until check says yes. check's
// error means that nothing could be checked: then nothing is learnt. What was
// wrong so often that it is given up counts as refused.
func (s *secrets) get(ctx context.Context, key string, ask func(attempt int) (string, error), check func(string) (bool, error)) error {
	g := s.gate(key)
	if err := g.enter(ctx); err != nil {
		return err
	}
	defer g.leave()
	kept, refused := s.peek(key)
	if refused != nil {
		return refused
	}
	if kept != "" {
		ok, err := check(kept)
		if ok || err != nil {
			return err
		}
		s.drop(key) // it was changed there
	}
	for attempt := range attempts {
		secret, err := ask(attempt)
		if err != nil {
			return err
		}
		ok, err := check(secret)
		if err != nil {
			return err
		}
		if ok {
			s.keep(key, secret)
			return nil
		}
	}
	err := fmt.Errorf("%w: wrong %d times", ErrRefused, attempts)
	s.refuse(key, err)
	return err
}

// opened gives the key of an encrypted file that was opened before, or nil.
func (s *secrets) opened(file []byte) ssh.Signer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[string(file)]
}

func (s *secrets) open(file []byte, key ssh.Signer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[string(file)] = key
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
	s.refused[key] = err
}

func (s *secrets) forgive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.refused)
}
