package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sextant-fleet/sextant/fleet"
)

// statesFile holds the last known facts: a line that says what follows, and a
// line of JSON for each host, which are decoded side by side.
const statesFile = "states.jsonl"

// statesHeader is the first line of the file.
type statesHeader struct {
	header
	Saved time.Time `json:"saved"`
	Hosts int       `json:"hosts"` // lines that follow
}

// Save keeps the last known facts of these hosts in place of those kept
// before. A host whose facts cannot be written is left out and named in the
// error; the others are kept.
func (h *History) Save(states []fleet.State) error {
	var lines [][]byte
	var bad error
	for _, s := range states {
		line, err := json.Marshal(keepHost(finite(s)))
		if err != nil {
			bad = errors.Join(bad, fmt.Errorf("history: facts of %s are not kept: %w", s.Host.Name, err))
			continue
		}
		lines = append(lines, line)
	}
	head, err := json.Marshal(statesHeader{header{schema}, time.Now().UTC(), len(lines)})
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	out := append(bytes.Join(append([][]byte{head}, lines...), []byte("\n")), '\n')
	return errors.Join(bad, h.write(statesFile, out))
}

// finite drops measurements that JSON cannot hold; nobody should have made any.
func finite(s fleet.State) fleet.State {
	m := s.Metrics.Value
	for _, v := range []float64{m.CPU, m.Load1, m.Load5, m.Load15, m.NetIn, m.NetOut, m.DiskIn, m.DiskOut} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			s.Metrics = fleet.Fact[fleet.Metrics]{}
		}
	}
	return s
}

// Load gives the facts that were kept last. Each keeps the time at which it was
// read, and none counts as current: see [fleet.Remembered]. Without a file it
// gives nothing and no error.
func (h *History) Load() ([]fleet.State, error) {
	var states []fleet.State
	err := h.use(statesFile, func(data []byte) (err error) {
		states, err = parseStates(data, time.Now())
		return err
	})
	if err != nil {
		return nil, err
	}
	return states, nil
}

// parseStates reads a whole file.
func parseStates(data []byte, now time.Time) ([]fleet.State, error) {
	head, rest, _ := bytes.Cut(data, []byte("\n"))
	if err := checkSchema(head); err != nil {
		return nil, err
	}
	var about statesHeader
	if err := json.Unmarshal(head, &about); err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	var lines [][]byte
	if len(rest) > 0 {
		lines = bytes.Split(bytes.TrimSuffix(rest, []byte("\n")), []byte("\n"))
	}
	if len(lines) != about.Hosts {
		return nil, fmt.Errorf("it is damaged: %d hosts where it says %d", len(lines), about.Hosts)
	}
	if len(lines) == 0 {
		return nil, nil
	}
	return decode(lines, now)
}

// decode reads one host a line, as many at once as there are cores.
func decode(lines [][]byte, now time.Time) ([]fleet.State, error) {
	states := make([]fleet.State, len(lines))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, line := range lines {
		group.Go(func() error {
			var k host
			if err := json.Unmarshal(line, &k); err != nil {
				return fmt.Errorf("it is damaged: %w", err)
			}
			states[i] = k.state(now)
			return nil
		})
	}
	return states, group.Wait()
}
