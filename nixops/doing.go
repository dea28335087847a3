package nixops

import (
	"strings"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// shown shows what is done to one host, from its beginning to its end.
type shown struct {
	d  *Deployer
	h  fleet.Host
	mu sync.Mutex
	is fleet.Doing
}

// shows begins to show what is done to a host.
func (d *Deployer) shows(h fleet.Host, kind string, state fleet.DeployState) *shown {
	s := &shown{d: d, h: h, is: fleet.Doing{State: state, Kind: kind, Since: time.Now(), Who: d.Who, From: d.Client}}
	s.tell(state, "")
	return s
}

// tell shows a state, and a line where there is one.
func (s *shown) tell(state fleet.DeployState, line string) {
	if s.d.Show == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.is.State = state; line != "" {
		s.is.Line = line
	}
	s.d.Show(s.h, s.is)
}

// line shows a line of building and copying.
func (s *shown) line(line string) {
	state := fleet.Building
	if strings.HasPrefix(line, "copying") || strings.Contains(line, "store paths are missing there") {
		state = fleet.Copying
	}
	s.tell(state, line)
}

// progress shows a step of a change.
func (s *shown) progress(p Progress) {
	if p.Deploy.State != "" && !p.Deploy.State.Over() {
		s.tell(p.Deploy.State, p.Line)
	}
}

// over shows that it has ended.
func (s *shown) over() {
	if s.d.Show != nil {
		s.d.Show(s.h, fleet.Doing{})
	}
}
