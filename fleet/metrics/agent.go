package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/sextant-fleet/sextant/fleet"
)

// agent is a Netdata that answers: version 1 with its first API, version 2 and
// later with the third.
type agent struct {
	version string // "v1.37.1"; "" where it does not tell
	api     int    // 1 or 3
	guid    string // its own node
	nodes   []node // itself and those that stream to it
}

// node is a machine whose data an agent has.
type node struct {
	guid   string // Netdata's own machine GUID, not the machine ID
	name   string // host name as the machine told it
	online bool   // streams now
	silent bool   // health checks are off: that nothing is raised means nothing
}

// maxNodes bounds how many machines one parent may tell of.
const maxNodes = 5000

// isGUID is what a node's GUID must look like to stand in a URL.
var isGUID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// self is the agent's own machine.
func (a agent) self() (node, bool) {
	for _, n := range a.nodes {
		if n.guid == a.guid {
			return n, true
		}
	}
	return node{}, false
}

// detect finds out which Netdata answers. Both kinds are asked at once, which
// on a slow line is sooner than one after the other.
func detect(ctx context.Context, c *client) (agent, error) {
	var a3, a1 agent
	var err3, err1 error
	var group errgroup.Group
	group.Go(func() error { a3, err3 = askV3(ctx, c); return nil })
	group.Go(func() error { a1, err1 = askV1(ctx, c); return nil })
	_ = group.Wait()
	switch {
	case err3 == nil:
		return a3, nil
	case err1 == nil:
		return a1, nil
	case errors.Is(err3, errNotFound): // it is of the first kind
		return agent{}, err1
	}
	return agent{}, err3
}

// askV1 reads /api/v1/info.
func askV1(ctx context.Context, c *client) (agent, error) {
	got, err := c.get(ctx, "/api/v1/info", nil)
	if err != nil {
		return agent{}, err
	}
	a, err := parseInfoV1(got.body)
	a.version = cmp.Or(a.version, got.version)
	return a, err
}

// askV3 reads /api/v3/info, which is open to everybody, and /api/v3/nodes.
func askV3(ctx context.Context, c *client) (agent, error) {
	got, err := c.get(ctx, "/api/v3/info", nil)
	if err != nil {
		return agent{}, err
	}
	a, err := parseInfoV3(got.body)
	if err != nil {
		return agent{}, err
	}
	a.version = cmp.Or(a.version, got.version)
	if got, err = c.get(ctx, "/api/v3/nodes", nil); err != nil {
		return agent{}, err
	}
	a.nodes, err = parseNodesV3(got.body)
	return a, err
}

// parseInfoV1 reads the answer of /api/v1/info (Netdata 1.x; 2.x still gives it).
func parseInfoV1(body []byte) (agent, error) {
	var in struct {
		Version string `json:"version"`
		UID     string `json:"uid"`
		Hosts   []struct {
			GUID      string `json:"guid"`
			Hostname  string `json:"hostname"`
			Reachable bool   `json:"reachable"`
		} `json:"mirrored_hosts_status"`
	}
	if err := decode(body, &in, "/api/v1/info"); err != nil {
		return agent{}, err
	}
	if in.Version == "" || !isGUID.MatchString(in.UID) {
		return agent{}, errors.New("what answers like Netdata tells neither version nor GUID")
	}
	a := agent{version: version(in.Version), api: 1, guid: in.UID}
	for _, h := range in.Hosts[:min(len(in.Hosts), maxNodes)] {
		if isGUID.MatchString(h.GUID) {
			a.nodes = append(a.nodes, node{guid: h.GUID, name: fleet.Clean(h.Hostname), online: h.Reachable})
		}
	}
	return a, nil
}

// parseInfoV3 reads the answer of /api/v3/info (Netdata 2.x).
func parseInfoV3(body []byte) (agent, error) {
	var in struct {
		Agents []struct {
			GUID        string `json:"mg"`
			LongGUID    string `json:"machine_guid"`
			Application struct {
				Package struct {
					Version string `json:"version"`
				} `json:"package"`
			} `json:"application"`
			API struct {
				Protected bool `json:"bearer_protection"`
			} `json:"api"`
		} `json:"agents"`
	}
	if err := decode(body, &in, "/api/v3/info"); err != nil {
		return agent{}, err
	}
	if len(in.Agents) == 0 {
		return agent{}, errors.New("/api/v3/info tells of no agent")
	}
	first := in.Agents[0]
	guid := cmp.Or(first.GUID, first.LongGUID)
	if first.API.Protected {
		return agent{}, errProtected
	}
	if !isGUID.MatchString(guid) {
		return agent{}, errors.New("/api/v3/info tells no GUID")
	}
	return agent{version: version(first.Application.Package.Version), api: 3, guid: guid}, nil
}

// parseNodesV3 reads the answer of /api/v3/nodes. Key names have a short and a
// long spelling (libnetdata/json/json-keys.c).
func parseNodesV3(body []byte) ([]node, error) {
	var in struct {
		Nodes []struct {
			GUID     string `json:"mg"`
			LongGUID string `json:"machine_guid"`
			Name     string `json:"nm"`
			LongName string `json:"hostname"`
			State    string `json:"state"` // reachable, stale
			Health   struct {
				Status string `json:"status"` // running, initializing, disabled
			} `json:"health"`
		} `json:"nodes"`
	}
	if err := decode(body, &in, "/api/v3/nodes"); err != nil {
		return nil, err
	}
	var out []node
	for _, n := range in.Nodes[:min(len(in.Nodes), maxNodes)] {
		if guid := cmp.Or(n.GUID, n.LongGUID); isGUID.MatchString(guid) {
			out = append(out, node{
				guid: guid, name: fleet.Clean(cmp.Or(n.Name, n.LongName)),
				online: n.State == "reachable", silent: n.Health.Status == "disabled",
			})
		}
	}
	return out, nil
}

// version is a version as people write it, "v1.37.1".
func version(s string) string {
	if s = strings.TrimSpace(s); s == "" {
		return ""
	}
	return "v" + strings.TrimPrefix(fleet.Short(fleet.Clean(strings.TrimSpace(s)), 40), "v")
}

// at is where an agent has the data of one of its nodes, and the parameter
// that picks it in calls that answer for all nodes.
func (a agent) at(n node, call string) (path string, scope url.Values) {
	path = fmt.Sprintf("/api/v%d/%s", a.api, call)
	if n.guid != a.guid {
		path = "/host/" + n.guid + path
	}
	if a.api == 3 {
		scope = url.Values{"scope_nodes": {n.guid}}
	}
	return path, scope
}
