package podman

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/sextant-fleet/sextant/fleet"
)

// statsEvery is how often the n containers on screen are measured: every two
// seconds, and where there are many, eight of them a second. Measuring one costs its
// host about a millisecond.
func statsEvery(n int) time.Duration {
	const most = 8 // a second
	return max(statsOnce, time.Duration((n+most-1)/most)*time.Second)
}

// statsOnce is how long it takes to measure a share of the processor once.
const statsOnce = 2 * time.Second

// Stats measures the containers with these IDs every two seconds, many of them more
// seldom, and calls out with what each engine tells of its own, one call at a time. Only
// containers that the last Read saw running are asked for.
//
// It returns nil when none of them runs any more, and an error when a stream
// breaks. Ask again after the next Read, with the IDs of then: a container
// that systemd started anew has another.
func (e *Engines) Stats(ctx context.Context, ids []string, out func([]fleet.ContainerStats)) error {
	return e.stats(ctx, ids, statsEvery(len(ids)), out)
}

func (e *Engines) stats(ctx context.Context, ids []string, every time.Duration, out func([]fleet.ContainerStats)) error {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	engines, _ := e.there()
	if len(engines) == 0 {
		return ErrNotRead
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	errs := make(chan error, len(engines))
	for _, eng := range engines {
		wg.Go(func() {
			err := eng.measure(ctx, ids, every, func(s []fleet.ContainerStats) {
				mu.Lock()
				defer mu.Unlock()
				if ctx.Err() == nil && len(s) > 0 {
					out(s)
				}
			})
			if err != nil {
				errs <- err // before the others fail because of it
				cancel()
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// Measure gives one reading of each of the containers that run: their share of
// the processor is that of the two seconds it takes. Those that could not be
// measured are not in it.
func (e *Engines) Measure(ctx context.Context, list []fleet.Container) []fleet.ContainerStats {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	missing := map[string]int{} // readings to come: the first of Podman's is about all the time it ran
	var ids []string
	for _, c := range list {
		if c.Running() && c.ID != "" {
			ids = append(ids, c.ID)
			if missing[c.ID] = 1; c.Engine == kindPodman {
				missing[c.ID] = 2
			}
		}
	}
	read := map[string]fleet.ContainerStats{}
	if len(ids) == 0 {
		return nil
	}
	_ = e.stats(ctx, ids, statsOnce, func(stats []fleet.ContainerStats) { // what did not come is not in it
		for _, s := range stats {
			if missing[s.ID]--; missing[s.ID] <= 0 {
				read[s.ID] = s
				delete(missing, s.ID)
			}
		}
		if len(missing) == 0 {
			cancel()
		}
	})
	return slices.Collect(maps.Values(read))
}

// measure streams the stats of those of the containers that run here. The
// whole stream ends when one of them goes away, so it is begun again with
// those that stay.
func (e *engine) measure(ctx context.Context, ids []string, every time.Duration, out func([]fleet.ContainerStats)) error {
	list, _ := e.lastKnown()
	running := runningOf(list, ids)
	for len(running) > 0 {
		api, err := e.connect(ctx, nil)
		if err == nil {
			err = api.stats(ctx, running, every, out)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		lerr := e.read(ctx, nil)
		list, _ := e.lastKnown()
		left := runningOf(list, running)
		if lerr != nil || len(left) == len(running) {
			return e.wrong(err)
		}
		running = left
	}
	return nil
}

// runningOf are those of the IDs whose containers have processes.
func runningOf(list []fleet.Container, ids []string) []string {
	var out []string
	for _, c := range list {
		if (c.State == "running" || c.State == "paused") && containerID.MatchString(c.ID) && slices.Contains(ids, c.ID) {
			out = append(out, c.ID)
		}
	}
	return out
}

// sample is a counter of processor time, from which a share is made.
type sample struct{ used, at uint64 } // nanoseconds

// cores is how many cores were busy between two samples.
func cores(before, now sample) float64 {
	if now.at <= before.at || now.used < before.used {
		return 0
	}
	return float64(now.used-before.used) / float64(now.at-before.at)
}

// stats follows GET /libpod/containers/stats, one report a line.
func (p *podmanAPI) stats(ctx context.Context, ids []string, every time.Duration, out func([]fleet.ContainerStats)) error {
	total := p.hostMemory(ctx)
	params := url.Values{"containers": ids, "stream": {"true"}, "interval": {strconv.Itoa(int(every / time.Second))}}
	body, err := p.open(flowing(ctx, lines), "/containers/stats", params)
	if err != nil {
		return err
	}
	defer body.Close()
	before := map[string]sample{}
	err = messages(body, func(line []byte) error {
		stats, err := parseStats(line, before, total, time.Now())
		if err == nil {
			out(stats)
		}
		return err
	})
	return cmp.Or(err, errEnded)
}

var errEnded = errors.New("the stream of measurements ended")

// hostMemory is how many bytes the host has: what Podman gives as the limit of
// a container without one. It is 0 where it cannot be told.
func (p *podmanAPI) hostMemory(ctx context.Context) uint64 {
	p.mu.Lock()
	total := p.memory
	p.mu.Unlock()
	if total != 0 {
		return total
	}
	ctx, cancel := context.WithTimeout(ctx, imagePatience)
	defer cancel()
	b, err := p.get(ctx, "/info", nil)
	if err != nil {
		return 0
	}
	var in struct {
		Host struct {
			MemTotal uint64 `json:"memTotal"`
		} `json:"host"`
	}
	if json.Unmarshal(b, &in) != nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.memory = in.Host.MemTotal
	return p.memory
}

// measured is a container in a report of GET /libpod/containers/stats.
type measured struct {
	ContainerID                   string
	CPU                           float64 // percent of one core, since the last report
	CPUNano, SystemNano           uint64
	MemUsage, MemLimit            uint64
	BlockInput, BlockOutput, PIDs uint64
	NetInput, NetOutput           uint64                                       // until Podman 4
	Network                       map[string]struct{ RxBytes, TxBytes uint64 } // since Podman 5
}

// parseStats reads one report. before holds the last sample of each
// container, and is renewed; total is the host's memory.
func parseStats(b []byte, before map[string]sample, total uint64, at time.Time) ([]fleet.ContainerStats, error) {
	var in struct {
		Error json.RawMessage
		Stats []measured
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("these are no measurements: %w", jsonError(err))
	}
	if len(in.Error) > 0 && string(in.Error) != "null" {
		return nil, errors.New("a container could not be measured: it may just have ended")
	}
	out := make([]fleet.ContainerStats, 0, len(in.Stats))
	for _, m := range in.Stats {
		s := fleet.ContainerStats{
			ID: text(m.ContainerID), CPU: m.CPU / 100, Memory: m.MemUsage, MemLimit: m.MemLimit,
			NetIn: m.NetInput, NetOut: m.NetOutput, BlockIn: m.BlockInput, BlockOut: m.BlockOutput, PIDs: m.PIDs, At: at,
		}
		for _, n := range m.Network {
			s.NetIn += n.RxBytes
			s.NetOut += n.TxBytes
		}
		if total != 0 && s.MemLimit >= total {
			s.MemLimit = 0
		}
		now := sample{m.CPUNano, m.SystemNano}
		if b, ok := before[s.ID]; ok && now.at != 0 {
			s.CPU = cores(b, now)
		}
		before[s.ID] = now
		out = append(out, s)
	}
	return out, nil
}

// stats asks Docker for one reading of each container at a time: a stream a container would take a connection each.
func (d *dockerAPI) stats(ctx context.Context, ids []string, every time.Duration, out func([]fleet.ContainerStats)) error {
	if err := d.agree(ctx); err != nil {
		return err
	}
	total := d.hostMemory(ctx)
	before := map[string]sample{}
	for pause := every / 4; ; pause = every {
		read := make([]*container.StatsResponse, len(ids))
		errs := make([]error, len(ids))
		each(len(ids), 3, func(i int) { read[i], errs[i] = d.oneShot(ctx, ids[i]) })
		batch := make([]fleet.ContainerStats, 0, len(ids))
		for _, r := range read {
			if r == nil {
				continue
			}
			_, again := before[r.ID]
			if s := dockerStats(r, before, total, time.Now()); again { // the first counters are no share yet
				batch = append(batch, s)
			}
		}
		out(batch)
		if err := errors.Join(errs...); err != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// oneShot reads one container's counters.
func (d *dockerAPI) oneShot(ctx context.Context, id string) (*container.StatsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	resp, err := d.cli.ContainerStatsOneShot(ctx, id)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var s container.StatsResponse
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		return nil, fmt.Errorf("these are no measurements: %w", jsonError(err))
	}
	s.ID = id
	return &s, nil
}

// hostMemory is how many bytes the host has, or 0 where it cannot be told.
func (d *dockerAPI) hostMemory(ctx context.Context) uint64 {
	d.mu.Lock()
	total := d.memory
	d.mu.Unlock()
	if total != 0 {
		return total
	}
	ctx, cancel := context.WithTimeout(ctx, imagePatience)
	defer cancel()
	info, err := d.cli.Info(ctx)
	if err != nil || info.MemTotal < 0 {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.memory = uint64(info.MemTotal)
	return d.memory
}

// dockerStats makes a reading of Docker's counters, as `docker stats` does:
// what the kernel can give back at once is not counted as memory in use.
func dockerStats(r *container.StatsResponse, before map[string]sample, total uint64, at time.Time) fleet.ContainerStats {
	s := fleet.ContainerStats{
		ID: r.ID, Memory: r.MemoryStats.Usage, MemLimit: r.MemoryStats.Limit, PIDs: r.PidsStats.Current, At: at,
	}
	cache := cmp.Or(r.MemoryStats.Stats["total_inactive_file"], r.MemoryStats.Stats["inactive_file"])
	if cache < s.Memory {
		s.Memory -= cache
	}
	if total != 0 && s.MemLimit >= total {
		s.MemLimit = 0
	}
	for _, n := range r.Networks {
		s.NetIn += n.RxBytes
		s.NetOut += n.TxBytes
	}
	for _, b := range r.BlkioStats.IoServiceBytesRecursive {
		switch b.Op {
		case "read", "Read":
			s.BlockIn += b.Value
		case "write", "Write":
			s.BlockOut += b.Value
		}
	}
	now := sample{r.CPUStats.CPUUsage.TotalUsage, uint64(max(0, r.Read.UnixNano()))}
	if b, ok := before[r.ID]; ok {
		s.CPU = cores(b, now)
	}
	before[r.ID] = now
	return s
}
