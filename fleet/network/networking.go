package network

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

//go:embed networking.sh
var networkingScript string

// Bounds of one reading of a host's networks.
const (
	networkingTime  = 20 * time.Second
	networkingBytes = 8 << 20
	maxPeers        = 500
	maxQueues       = 200
	maxLeases       = 1000
)

var (
	errNoIP = fleet.WithCure(errors.New("ip is not there to tell of its links"), "put pkgs.iproute2 into environment.systemPackages")
	noTC    = fleet.NetGap{Part: fleet.PartQueues, Why: "tc is not there to tell of them", Cure: "put pkgs.iproute2 into environment.systemPackages"}
	noWG    = fleet.NetGap{Part: fleet.PartWireGuard, Why: "wg is not there to tell of its peers", Cure: "put pkgs.wireguard-tools into environment.systemPackages"}
	wgRoot  = fleet.NetGap{
		Part: fleet.PartWireGuard, Why: "peers are root's to see, and the login there is not root's",
		Cure: `log in as root (user = "root" for this host in config.toml), or let the user's sudo ask nothing (NOPASSWD)`,
	}
)

// Networking reads how a host is on its networks: links and what passes through them,
// whether the default routes lead anywhere, WireGuard's peers, queues, and what its
// DHCP servers have leased. For whether its gateways answer they are sent a ping each.
func Networking(ctx context.Context, l link.Link) fleet.Fact[fleet.Networking] {
	ctx, cancel := context.WithTimeout(ctx, networkingTime)
	defer cancel()
	mark := rand.Text()
	cmd := link.Script(networkingScript, mark)
	cmd.IfRoot, cmd.Limit = true, networkingBytes
	res, err := l.Run(ctx, cmd)
	now := time.Now()
	var n fleet.Networking
	if err == nil {
		n, err = parseNetworking(string(res.Stdout), mark, now)
	}
	if err != nil {
		return fleet.Unknown[fleet.Networking](fmt.Errorf("the networks of %s: %w", l.Host().Name, err), now, "ip")
	}
	return fleet.Known(n, now, "ip")
}

// parseNetworking reads what networking.sh prints. Times on the host's clock are brought to
// ours by what it says the time is.
func parseNetworking(out, mark string, now time.Time) (fleet.Networking, error) {
	told := answer(sections(out, mark))
	switch {
	case told["end"] == nil:
		return fleet.Networking{}, errors.New("the answer has no end")
	case told["links"] == nil || told["addr"] == nil:
		return fleet.Networking{}, errNoIP
	case !told.ok("links"), !told.ok("addr"):
		return fleet.Networking{}, errors.New("ip does not tell its links")
	}
	n := fleet.Networking{Links: []fleet.NetLink{}, Uplinks: []fleet.Uplink{}, Tunnels: []fleet.WGTunnel{}, Queues: []fleet.Queue{}, DHCP: []fleet.DHCPServer{}}
	all, err := told.links()
	if err != nil {
		return fleet.Networking{}, err
	}
	told.uplinks(&n, all)
	told.rates(&n, all)
	keepLinks(&n, all)
	seconds, _ := strconv.ParseInt(told.text("clock"), 10, 64)
	c := clock{ours: now, host: seconds}
	told.wireGuard(&n, all, c)
	told.queues(&n)
	told.leases(&n, c)
	return n, nil
}

// clock brings times of the host's clock to ours.
type clock struct {
	ours time.Time
	host int64 // what the host said the time was then; 0 it did not
}

// at is when something was by our clock; zero: that is not known.
func (c clock) at(epoch int64) time.Time {
	if c.host <= 0 || epoch <= 0 || epoch > 1<<40 {
		return time.Time{}
	}
	return c.ours.Add(time.Duration(epoch-c.host) * time.Second).Truncate(time.Second)
}

// rates are what passed through each link between two looks, by the host's own clock.
func (a answer) rates(n *fleet.Networking, all []netLink) {
	before, t0 := counters(a["before"])
	after, t1 := counters(a["after"])
	took := t1 - t0
	if took < leastTime || len(before) == 0 {
		n.Unread = append(n.Unread, fleet.NetGap{Part: fleet.PartRates, Why: "the kernel's counters were not told twice"})
		return
	}
	for i := range all {
		all[i].LinkRate = rate(before, after, all[i].Name, took)
	}
}

// passed is what has gone through a link since it is there, in bytes.
type passed struct{ rx, tx uint64 }

// Bounds of what is believed of a rate: of a shorter time than this, in seconds, and
// above this many bytes a second, it is none.
const (
	leastTime = 0.1
	mostRate  = 1e15
)

// rate is what passed in some seconds; a counter that went back is of another link.
func rate(before, after map[string]passed, name string, seconds float64) fleet.LinkRate {
	name = strings.TrimSpace(name)
	b, ok0 := before[name]
	a, ok1 := after[name]
	if !ok0 || !ok1 || a.rx < b.rx || a.tx < b.tx || !(seconds >= leastTime) {
		return fleet.LinkRate{Rx: -1, Tx: -1}
	}
	of := func(bytes uint64) float64 {
		if r := math.Round(float64(bytes) / seconds); r <= mostRate {
			return r
		}
		return -1
	}
	return fleet.LinkRate{Rx: of(a.rx - b.rx), Tx: of(a.tx - b.tx)}
}

// counters reads /proc/uptime and /proc/net/dev, which is behind it; see proc(5).
func counters(lines []string) (map[string]passed, float64) {
	all, uptime := map[string]passed{}, 0.0
	for i, line := range lines {
		name, rest, ok := cutLast(line)
		f := strings.Fields(rest)
		switch {
		case i == 0:
			first, _, _ := strings.Cut(line, " ")
			if v, err := strconv.ParseFloat(first, 64); err == nil && v > 0 && v < 1e12 {
				uptime = v
			}
		case !ok || len(f) < 16 || len(all) >= 2*maxLinks:
		default:
			rx, err0 := strconv.ParseUint(f[0], 10, 64)
			tx, err1 := strconv.ParseUint(f[8], 10, 64)
			if err0 == nil && err1 == nil {
				all[fleet.Clean(strings.TrimSpace(name))] = passed{rx, tx}
			}
		}
	}
	return all, uptime
}

// cutLast cuts a line at its last colon: links may have one in their names.
func cutLast(line string) (before, after string, ok bool) {
	i := strings.LastIndexByte(line, ':')
	if i < 0 {
		return "", "", false
	}
	return line[:i], line[i+1:], true
}

// gap notes that a part is not known, once.
func gap(n *fleet.Networking, g fleet.NetGap) {
	if !slices.ContainsFunc(n.Unread, func(o fleet.NetGap) bool { return o.Part == g.Part }) {
		n.Unread = append(n.Unread, g)
	}
}
