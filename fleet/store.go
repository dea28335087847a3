package fleet

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// Store holds the newest known state of every host. Readers take a [Snapshot];
// writers replace the state of one host. It is safe for concurrent use.
type Store struct {
	mu      sync.Mutex
	states  map[HostID]State
	left    map[HostID]State // of hosts that are not in the fleet any more
	others  []Other
	sources []SourceState
	asks    []Question
	notes   []Message
	audit   []Event
	repo    Fact[Repository]
	sealed  Fact[SealedFiles]
	tailnet Fact[Tailnet]
	public  Fact[Public]
	acks    map[HostID]map[string]Ack
	meant   []Meant
	version uint64
	subs    map[chan struct{}]struct{}
}

// NewStore makes an empty store.
func NewStore() *Store {
	return &Store{states: map[HostID]State{}, left: map[HostID]State{}, subs: map[chan struct{}]struct{}{}}
}

// Snapshot is a consistent view of the whole store. It is shared: read only.
type Snapshot struct {
	Version   uint64
	Hosts     []State // by name
	Others    []Other
	Sources   []SourceState
	Questions []Question // oldest first
	Messages  []Message  // oldest first, the last few hundred
	Repo      Fact[Repository]
	Sealed    Fact[SealedFiles] // secrets of the flake
	Tailnet   Fact[Tailnet]
	Public    Fact[Public]
	Acks      map[string]Ack // of problems that are no host's
	Audit     []Event        // what was done from this machine, oldest first, the last few thousand
}

// Host finds a host by ID.
func (s Snapshot) Host(id HostID) (State, bool) {
	for _, st := range s.Hosts {
		if st.Host.ID == id {
			return st, true
		}
	}
	return State{}, false
}

// Named finds a host by its name or one of its other names.
func (s Snapshot) Named(name string) (State, bool) {
	for _, st := range s.Hosts {
		if strings.EqualFold(st.Host.Name, name) {
			return st, true
		}
	}
	for _, st := range s.Hosts {
		if slices.ContainsFunc(st.Host.Aliases, func(a string) bool { return strings.EqualFold(a, name) }) {
			return st, true
		}
	}
	return State{}, false
}

// AuditOf is what was done to one host.
func (s Snapshot) AuditOf(id HostID) []Event {
	var out []Event
	for _, e := range s.Audit {
		if e.HostID == id {
			out = append(out, e)
		}
	}
	return out
}

// Snapshot gives the store as it is now.
func (s *Store) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	hosts := slices.SortedFunc(maps.Values(s.states), func(a, b State) int {
		if c := strings.Compare(strings.ToLower(a.Host.Name), strings.ToLower(b.Host.Name)); c != 0 {
			return c
		}
		return strings.Compare(string(a.Host.ID), string(b.Host.ID))
	})
	for i := range hosts {
		hosts[i].Acks, hosts[i].Meant = s.acks[hosts[i].Host.ID], s.meant
	}
	elsewhere(hosts)
	return Snapshot{
		Version: s.version, Hosts: hosts,
		Others: slices.Clone(s.others), Sources: slices.Clone(s.sources), Questions: slices.Clone(s.asks),
		Messages: slices.Clone(s.notes), Audit: s.audit[:len(s.audit):len(s.audit)], Repo: s.repo, Sealed: s.sealed, Tailnet: s.tailnet, Public: s.public, Acks: s.acks[""],
	}
}

// Get gives the state of one host.
func (s *Store) Get(id HostID) (State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.states[id]
	st.Acks, st.Meant = s.acks[id], s.meant
	return st, ok
}

// Update changes the state of one host that is in the store; a host that has
// left meanwhile is not brought back.
func (s *Store) Update(id HostID, change func(*State)) {
	s.mu.Lock()
	st, ok := s.states[id]
	if ok {
		change(&st)
		s.states[id] = st
	}
	s.changed(ok)
}

// SetHosts replaces who is in the fleet, keeping what is known of those who stay,
// and of those who left for when they come back: sources tell one after the other.
func (s *Store) SetHosts(hosts []Host, others []Other, sources []SourceState) {
	s.mu.Lock()
	next := make(map[HostID]State, len(hosts))
	for _, h := range hosts {
		st, ok := s.states[h.ID]
		if !ok {
			st = s.left[h.ID]
		}
		st.Host = h.knew(st.Host)
		next[h.ID] = st
		delete(s.left, h.ID)
	}
	for id, st := range s.states {
		if _, stays := next[id]; !stays {
			st.Asking = false // nobody tells when it ends
			s.left[id] = st
		}
	}
	s.states, s.others, s.sources = next, slices.Clone(others), slices.Clone(sources)
	s.changed(true)
}

// Restore puts in remembered states of hosts that are not in the store yet:
// what was known before this process began.
func (s *Store) Restore(states []State) {
	s.mu.Lock()
	for _, st := range states {
		if _, ok := s.states[st.Host.ID]; !ok {
			s.states[st.Host.ID] = st
		}
	}
	s.changed(true)
}

// SetQuestions replaces the questions that wait for a person.
func (s *Store) SetQuestions(asks []Question) {
	s.mu.Lock()
	s.asks = slices.Clone(asks)
	s.changed(true)
}

// maxMessages bounds the messages a store keeps; the oldest go first.
const maxMessages = 500

// Note keeps a message.
func (s *Store) Note(m Message) {
	s.mu.Lock()
	s.notes = append(s.notes, m)
	if extra := len(s.notes) - maxMessages; extra > 0 {
		s.notes = slices.Delete(s.notes, 0, extra)
	}
	s.changed(true)
}

// SetRepository puts in how the flake's repository stands.
func (s *Store) SetRepository(f Fact[Repository]) {
	s.mu.Lock()
	s.repo = s.repo.Refresh(f)
	s.changed(true)
}

// SetSealed puts in the encrypted files of the flake.
func (s *Store) SetSealed(f Fact[SealedFiles]) {
	s.mu.Lock()
	s.sealed = s.sealed.Refresh(f)
	s.changed(true)
}

// SetMeant says what is meant to be reached from the internet.
func (s *Store) SetMeant(meant []Meant) {
	s.mu.Lock()
	s.meant = meant
	s.changed(true)
}

// SetPublic puts in how the public finds what the fleet serves.
func (s *Store) SetPublic(f Fact[Public]) {
	s.mu.Lock()
	s.public = s.public.Refresh(f)
	s.changed(true)
}

// SetTailnet puts in who is in the tailnet.
func (s *Store) SetTailnet(f Fact[Tailnet]) {
	s.mu.Lock()
	s.tailnet = s.tailnet.Refresh(f)
	s.changed(true)
}

// SetAcks replaces which problems are acknowledged.
func (s *Store) SetAcks(acks Acks) {
	by := map[HostID]map[string]Ack{}
	for full, a := range acks {
		id, key, _ := strings.Cut(full, " ")
		if by[HostID(id)] == nil {
			by[HostID(id)] = map[string]Ack{}
		}
		by[HostID(id)][key] = a
	}
	s.mu.Lock()
	same := maps.EqualFunc(by, s.acks, maps.Equal)
	s.acks = by
	s.changed(!same)
}

// Acknowledge adds that one problem is acknowledged, by its [FullKey].
func (s *Store) Acknowledge(full string, a Ack) {
	id, key, _ := strings.Cut(full, " ")
	s.mu.Lock()
	of := maps.Clone(s.acks[HostID(id)]) // snapshots share what is there
	if of == nil {
		of = map[string]Ack{}
	}
	of[key] = a
	all := maps.Clone(s.acks)
	if all == nil {
		all = map[HostID]map[string]Ack{}
	}
	all[HostID(id)] = of
	s.acks = all
	s.changed(true)
}

// maxAudit bounds the events a store keeps; the oldest go first.
const maxAudit = 5000

// Record keeps what was done, or what is remembered of it, oldest first.
func (s *Store) Record(events ...Event) {
	s.mu.Lock()
	s.audit = append(s.audit[:len(s.audit):len(s.audit)], events...) // snapshots share what is there
	s.audit = s.audit[max(0, len(s.audit)-maxAudit):]
	s.changed(len(events) > 0)
}

// changed is called with the lock held and gives it back.
func (s *Store) changed(really bool) {
	if really {
		s.version++
		for ch := range s.subs {
			select {
			case ch <- struct{}{}:
			default: // a notice is waiting already
			}
		}
	}
	s.mu.Unlock()
}

// Subscribe gives a channel that holds a notice after any change, and a
// function to end it. Several changes may share one notice: take a new
// Snapshot on each.
func (s *Store) Subscribe() (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	s.mu.Lock()
	s.subs[ch] = struct{}{}
	s.mu.Unlock()
	return ch, func() {
		s.mu.Lock()
		delete(s.subs, ch)
		s.mu.Unlock()
	}
}
