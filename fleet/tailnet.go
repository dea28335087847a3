package fleet

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Tailnet is the network by which most hosts are reached, as the local daemon and the
// control plane tell of it.
type Tailnet struct {
	Name   string `json:"name,omitempty"`   // the end of its nodes' names
	Newest string `json:"newest,omitempty"` // the newest version of Tailscale that is known to be out, or that a node runs
	API    bool   `json:"api"`              // the control plane answers us, so that nodes can be removed
	NoAPI  string `json:"noApi,omitempty"`  // why it does not
	Nodes  []Node `json:"-"`                // by name
}

// Node is one machine, service or phone of the tailnet.
type Node struct {
	ID        string    `json:"id"` // stable
	Name      string    `json:"name"`
	HostName  string    `json:"hostName,omitempty"` // what its system calls itself
	OS        string    `json:"os,omitempty"`
	User      string    `json:"user,omitempty"`    // whose it is; "" it is tagged
	Version   string    `json:"version,omitempty"` // of its Tailscale; "" is not told
	Addresses []string  `json:"addresses,omitempty"`
	Tags      []string  `json:"tags,omitempty"`
	Routes    []string  `json:"routes,omitempty"`    // networks it leads to
	Host      string    `json:"host,omitempty"`      // the host of the fleet that it is
	HostID    HostID    `json:"hostId,omitempty"`    //
	Why       string    `json:"noHost,omitempty"`    // why it is none
	Duplicate string    `json:"duplicate,omitempty"` // of the host with that name: an earlier registration
	Self      bool      `json:"self,omitempty"`      // this machine
	Online    bool      `json:"online"`
	LastSeen  time.Time `json:"lastSeen,omitzero"` // where it is offline and that is told
	Created   time.Time `json:"created,omitzero"`
	KeyExpiry time.Time `json:"keyExpiry,omitzero"` // zero: never
	Expired   bool      `json:"expired,omitempty"`
	Exit      bool      `json:"exitNode,omitempty"` // it offers to be one
	Ephemeral bool      `json:"ephemeral,omitempty"`
	Service   bool      `json:"service,omitempty"` // a node for one service, not a machine
	SSH       bool      `json:"tailscaleSsh,omitempty"`
	Shared    bool      `json:"shared,omitempty"` // of another tailnet, or of somebody there

	Path Fact[Path] `json:"path,omitzero"` // how traffic from this machine gets there, where that was asked
}

// Path is how traffic gets to a node from this machine.
type Path struct {
	Direct   bool    `json:"direct"`
	Endpoint string  `json:"endpoint,omitempty"` // where it is sent, where it is direct
	Relay    string  `json:"relay,omitempty"`    // the region of the relay, or the peer that relays
	Latency  Seconds `json:"latency"`            // there and back
}

// Word is the path in few words.
func (p Path) Word() string {
	way := "direct"
	if !p.Direct {
		way = strings.TrimSpace("relay " + p.Relay)
	}
	return fmt.Sprintf("%s %.0f ms", way, float64(p.Latency)*1000)
}

// Times of the tailnet's nodes.
const (
	KeySoon    = 14 * 24 * time.Hour // a key that ends within this is to be renewed
	StaleAfter = 7 * 24 * time.Hour  // a service or an earlier registration that is away for so long does not come back
)

// Node gives a node by its ID.
func (t Tailnet) Node(id string) (Node, bool) {
	i := slices.IndexFunc(t.Nodes, func(n Node) bool { return n.ID == id })
	if i < 0 {
		return Node{}, false
	}
	return t.Nodes[i], true
}

// Stale is why a node may be taken for one that nobody needs any more; "" it may not.
// older, where it is not 0, has every node that is away for longer be one.
func (n Node) Stale(now time.Time, older time.Duration) string {
	if n.Online || n.LastSeen.IsZero() || n.Self || n.Shared {
		return ""
	}
	away := now.Sub(n.LastSeen)
	for _, c := range []struct {
		is   bool
		what string
	}{{n.Duplicate != "", "earlier registration of " + n.Duplicate}, {n.Ephemeral, "ephemeral node"}, {n.Service, "node of a service"}} {
		if c.is && away >= StaleAfter {
			return c.what + ", " + awayFor(away)
		}
	}
	if older > 0 && away >= older {
		return awayFor(away)
	}
	return ""
}

// awayFor says for how long a node is away.
func awayFor(d time.Duration) string {
	return "not seen for " + Count(int(d.Hours()/24), "day")
}

// Keeps is why a node is never removed from here; "" it can be.
func (n Node) Keeps() string {
	switch {
	case n.Self:
		return "it is this machine"
	case n.Shared:
		return "it is not of this tailnet"
	case n.Online && n.Host != "":
		return "it is the host " + n.Host + ", and online"
	case n.Online:
		return "it is online"
	}
	return ""
}

// CleanUp are the nodes that nobody needs any more, by name, each with why.
func (t Tailnet) CleanUp(now time.Time, older time.Duration) []Removal {
	out := []Removal{}
	for _, n := range t.Nodes {
		if why := n.Stale(now, older); why != "" {
			out = append(out, Removal{Node: n, Why: why})
		}
	}
	return out
}

// Removal is a node that is to be removed, or was.
type Removal struct {
	Node  Node   `json:"node"`
	Why   string `json:"why"`
	Gone  bool   `json:"removed"`
	Error string `json:"error,omitempty"` // why it was kept
	Cure  string `json:"cure,omitempty"`
}

// Renames are nodes that can have the name back which an earlier registration of theirs
// had: what is called x-1 since x was taken, by the ID of the node. gone are nodes that
// are to be removed.
func (t Tailnet) Renames(gone []Removal) map[string]string {
	out := map[string]string{}
	for _, n := range t.Nodes {
		stem := serial.FindStringSubmatch(n.Name)
		if stem == nil || n.Host == "" || n.Shared || !strings.EqualFold(n.HostName, stem[1]) {
			continue
		}
		taken := slices.ContainsFunc(t.Nodes, func(o Node) bool {
			return o.Name == stem[1] && !slices.ContainsFunc(gone, func(r Removal) bool { return r.Node.ID == o.ID })
		})
		if !taken {
			out[n.ID] = stem[1]
		}
	}
	return out
}

var (
	serial  = regexp.MustCompile(`^(.+)-[0-9]{1,2}$`)
	release = regexp.MustCompile(`^v?([0-9]+)\.([0-9]+)(?:\.([0-9]+))?`)
)

// CompareReleases orders versions of Tailscale; one that is none comes first.
func CompareReleases(a, b string) int {
	x, y := parts(a), parts(b)
	return slices.Compare(x, y)
}

func parts(v string) []int {
	m := release.FindStringSubmatch(v)
	if m == nil {
		return nil
	}
	out := make([]int, 0, 3)
	for _, s := range m[1:] {
		n, _ := strconv.Atoi(s)
		out = append(out, n)
	}
	return out
}

// Behind is how many releases a node is behind the newest that is known: even numbers
// are those that are given out, 1.100 is one behind 1.102. ok is false where one of the
// versions is not known.
func (t Tailnet) Behind(n Node) (releases int, ok bool) {
	have, newest := parts(n.Version), parts(t.Newest)
	if have == nil || newest == nil || have[0] != newest[0] {
		return 0, false
	}
	return max(0, (newest[1]-have[1])/2), true
}

// KeyEnds is when the key of a node ends, in a word, and whether it is soon or over.
func (n Node) KeyEnds(now time.Time) (word string, soon bool) {
	switch left := n.KeyExpiry.Sub(now); {
	case n.Expired:
		return "expired", true
	case n.KeyExpiry.IsZero():
		return "never", false
	case left <= 0:
		return "expired", true
	default:
		return fmt.Sprintf("%dd", int(left.Hours()/24)), left < KeySoon
	}
}

// Is is what a node is, in few words: the host, or why it is none.
func (n Node) Is() string {
	switch {
	case n.Self:
		return cmp.Or(n.Host, "this machine")
	case n.Host != "":
		return n.Host
	}
	return cmp.Or(n.Why, "no host")
}
