package network

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// queueJSON is a queue as "tc -j -s qdisc show" tells it.
type queueJSON struct {
	Kind       string          `json:"kind"`
	Link       string          `json:"dev"`
	Handle     string          `json:"handle"`
	Parent     string          `json:"parent"` // "" the root; "1:10" below the queue "1:"
	Options    json.RawMessage `json:"options"`
	Bytes      uint64          `json:"bytes"`
	Packets    uint64          `json:"packets"`
	Drops      uint64          `json:"drops"`
	Overlimits uint64          `json:"overlimits"`
	Backlog    uint64          `json:"backlog"`
}

// noQueues are kinds in which nothing waits, or that only hold others.
var noQueues = []string{"noqueue", "noop", "mq", "ingress", "clsact"}

// queues reads what tc says. Those of one kind on one link are one: a link whose
// hardware has several queues has one for each.
func (a answer) queues(n *fleet.Networking) {
	if a["queues"] == nil {
		gap(n, noTC)
		return
	}
	text := a.text("queues")
	told, err := atMost[queueJSON]([]byte(text), maxQueuesRead)
	if !a.ok("queues") || text != "" && err != nil {
		gap(n, fleet.NetGap{Part: fleet.PartQueues, Why: "what tc says of them is not its JSON"})
		return
	}
	for _, t := range told {
		link, kind, inner := linkName(t.Link), fleet.Short(fleet.Clean(t.Kind), 20), t.inner(told)
		if slices.Contains(noQueues, kind) || link == "" || kind == "" || !shown(*n, link) {
			continue
		}
		i := slices.IndexFunc(n.Queues, func(q fleet.Queue) bool { return q.Link == link && q.Kind == kind && q.Inner == inner })
		if i < 0 {
			if len(n.Queues) >= maxQueues {
				n.Cut = append(n.Cut, "only "+strconv.Itoa(maxQueues)+" queues are kept")
				return
			}
			n.Queues = append(n.Queues, fleet.Queue{Link: link, Kind: kind, Inner: inner})
			i = len(n.Queues) - 1
		}
		q := &n.Queues[i]
		q.Count++
		q.Rate = max(q.Rate, t.rate())
		q.Bytes, q.Packets, q.Drops = q.Bytes+t.Bytes, q.Packets+t.Packets, q.Drops+t.Drops
		q.Overlimits, q.Backlog = q.Overlimits+t.Overlimits, q.Backlog+t.Backlog
	}
}

// maxQueuesRead is how many queues are looked at: a card may have one for each of its
// hundreds of queues, and a host many cards.
const maxQueuesRead = 5000

// inner tells whether a queue is below another that counts its drops, too. Those that
// only hold others for the queues of the hardware are none.
func (t queueJSON) inner(all []queueJSON) bool {
	major, _, below := strings.Cut(t.Parent, ":")
	return below && !slices.ContainsFunc(all, func(o queueJSON) bool {
		return o.Link == t.Link && (o.Kind == "mq" || o.Kind == "mqprio") && cmp.Or(strings.TrimSuffix(o.Handle, ":"), "0") == cmp.Or(major, "0")
	})
}

// shown tells whether a link is among those that are kept: those of containers are not.
func shown(n fleet.Networking, link string) bool { _, ok := n.Link(link); return ok }

// rate is to what a queue is held, in bytes a second: cake's bandwidth, which may be
// the word "unlimited", and the rate of tbf.
func (t queueJSON) rate() uint64 {
	var o struct {
		Bandwidth json.RawMessage `json:"bandwidth"`
		Rate      json.RawMessage `json:"rate"`
	}
	if json.Unmarshal(t.Options, &o) != nil {
		return 0
	}
	for _, raw := range []json.RawMessage{o.Bandwidth, o.Rate} {
		var v float64
		if json.Unmarshal(raw, &v) == nil && v > 0 && v < 1e15 {
			return uint64(v)
		}
	}
	return 0
}
