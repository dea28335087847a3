package hostscreen

import (
	"math"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// sparkWidth is how many readings are drawn in a row of the list.
const sparkWidth = 6

// use is what a container uses now, and has used while it was looked at.
type use struct {
	cpu, memory, limit, net, block widget.Line
	cpus, memories, nets, blocks   []float64 // shares of what fills a bar
}

// Below these nothing fills a bar: what idles is to look idle.
const (
	muchCPU = 0.25      // cores
	muchIO  = 256 << 10 // bytes a second
)

// useOf is what is known of a container's use: only while it is on the screen.
func useOf(c *screen.Context, st fleet.State, ct fleet.Container) use {
	s, ok := measured(c, st, ct)
	none := widget.L(themes.Dim, c.Glyphs.None)
	switch {
	case !ct.Running():
		return use{cpu: none, memory: none, net: none, block: none, limit: none}
	case !ok:
		l := widget.L(themes.Dim, c.Glyphs.Asking)
		if !st.Containers.Current() {
			l = widget.L(themes.Unknown, c.Glyphs.Unknown)
		}
		return use{cpu: l, memory: l, limit: l, net: l, block: l}
	}
	past := st.Use[ct.ID]
	u := use{cpu: widget.T(words.Percent(s.CPU)), memory: widget.T(words.Bytes(s.Memory)), limit: none}
	full := float64(s.MemLimit)
	for _, p := range past {
		u.cpus = append(u.cpus, p.CPU)
		u.memories = append(u.memories, float64(p.Memory))
	}
	if s.MemLimit > 0 {
		u.limit = widget.L(themes.Dim, words.Bytes(s.MemLimit))
		if float64(s.Memory) > 0.9*full {
			u.memory = widget.L(themes.Warn, words.Bytes(s.Memory))
		}
	}
	u.nets, u.blocks = fleet.Rates(past, fleet.ContainerStats.Net), fleet.Rates(past, fleet.ContainerStats.Block)
	u.net, u.block = rateOf(c, u.nets), rateOf(c, u.blocks)
	if full == 0 { // without a limit the bars only tell how it grew
		full = 2 * float64(s.Memory)
	}
	u.cpus, u.memories = shares(u.cpus, muchCPU), shares(u.memories, full)
	u.nets, u.blocks = shares(u.nets, muchIO), shares(u.blocks, muchIO)
	return u
}

// measured is the newest reading of a container, where it tells of now.
func measured(c *screen.Context, st fleet.State, ct fleet.Container) (fleet.ContainerStats, bool) {
	s, ok := st.Stats[ct.ID]
	return s, ok && c.Now.Sub(s.At) <= fleet.StatsAge
}

// rateOf is the newest of the rates: it takes two readings to have one.
func rateOf(c *screen.Context, rates []float64) widget.Line {
	if len(rates) == 0 || math.IsNaN(rates[len(rates)-1]) {
		return widget.L(themes.Dim, c.Glyphs.Asking)
	}
	return widget.T(words.Bytes(uint64(rates[len(rates)-1])))
}

// shares makes values shares of the largest of them, or of what is much.
func shares(values []float64, much float64) []float64 {
	for _, v := range values {
		if v > much { // NaN is not
			much = v
		}
	}
	if much <= 0 {
		much = 1
	}
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = v / much
	}
	return out
}

// spark draws the last of some shares.
func (u use) spark(c *screen.Context, values []float64) widget.Line {
	return widget.L(themes.Chart, widget.Spark(values, sparkWidth, c.Glyphs))
}
