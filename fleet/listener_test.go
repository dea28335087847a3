package fleet

import (
	"errors"
	"testing"
	"time"
)

// TestLeft: who listened and does so no more is known, over readings that failed,
// until somebody listens there again.
func TestLeft(t *testing.T) {
	now := time.Now()
	app := Listener{Proto: "tcp", Address: "127.0.0.1", Port: 8096, Unit: "podman-x.service"}
	ssh := Listener{Proto: "tcp", Address: "0.0.0.0", Port: 22, Unit: "sshd.service"}
	var s State
	for i, step := range []struct {
		f    Fact[[]Listener]
		left bool
	}{
		{Known([]Listener{app, ssh}, now, "ss"), false},
		{Unknown[[]Listener](errors.New("no answer"), now, "ss"), false},
		{Known([]Listener{ssh}, now.Add(time.Minute), "ss"), true},
		{Unknown[[]Listener](errors.New("no answer"), now, "ss"), true},
		{Known([]Listener{ssh}, now.Add(2*time.Minute), "ss"), true},
		{Known([]Listener{ssh, app}, now.Add(3*time.Minute), "ss"), false},
	} {
		s.TakeListens(step.f)
		l, ok := s.LeftAt("tcp", "127.0.0.1", 8096)
		if ok != step.left || ok && (l.Unit != app.Unit || !l.Seen.Equal(now)) {
			t.Errorf("step %d: %+v, %v", i, l, ok)
		}
	}
	var many State
	for port := range uint16(1000) {
		many.TakeListens(Known([]Listener{{Proto: "tcp", Address: "*", Port: port + 1, Unit: "x.service"}}, now, "ss"))
	}
	if len(many.Left) != maxLeft {
		t.Errorf("%d are kept", len(many.Left))
	}
}
