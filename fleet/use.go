package fleet

import (
	"maps"
	"math"
	"time"
)

// What is kept of the containers' use.
const (
	maxUse   = 24               // readings of a container
	StatsAge = 10 * time.Second // a reading that is older tells nothing of now
)

// Measured gives the state with newer readings of some of its containers, and
// without those that tell nothing of now any more.
func (s State) Measured(list []ContainerStats) State {
	if len(list) == 0 {
		return s
	}
	stats, use := maps.Clone(s.Stats), maps.Clone(s.Use)
	if stats == nil {
		stats = map[string]ContainerStats{}
	}
	if use == nil {
		use = map[string][]ContainerStats{}
	}
	for _, c := range list {
		stats[c.ID] = c
		past := use[c.ID]
		if n := len(past); n > 0 && c.At.Sub(past[n-1].At) > StatsAge {
			past = nil // nobody looked meanwhile
		}
		past = past[max(0, len(past)-maxUse+1):]
		use[c.ID] = append(past[:len(past):len(past)], c)
	}
	for id, c := range stats { // of those that went out of sight
		if list[0].At.Sub(c.At) > StatsAge {
			delete(stats, id)
			delete(use, id)
		}
	}
	s.Stats, s.Use = stats, use
	return s
}

// Rates are how much a counter grew each second from one reading to the next,
// oldest first; NaN where it was begun anew.
func Rates(readings []ContainerStats, counter func(ContainerStats) uint64) []float64 {
	var out []float64
	for i := 1; i < len(readings); i++ {
		before, now := counter(readings[i-1]), counter(readings[i])
		d := readings[i].At.Sub(readings[i-1].At).Seconds()
		if now < before || d <= 0 {
			out = append(out, math.NaN())
			continue
		}
		out = append(out, float64(now-before)/d)
	}
	return out
}

// Net is what went over the network, in and out, since the start.
func (c ContainerStats) Net() uint64 { return c.NetIn + c.NetOut }

// Block is what was read and written, since the start.
func (c ContainerStats) Block() uint64 { return c.BlockIn + c.BlockOut }
