package services

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/sextant-fleet/sextant/fleet"
)

// publishers are processes that hold ports of the host for containers.
var publishers = []string{"conmon", "docker-proxy", "rootlessport", "rootlesskit", "pasta", "pasta.avx2", "slirp4netns"}

// ofContainer takes the ports that a container publishes, or those at which it listens
// on the host's network: where somebody else listens, nothing is sent.
func (s *server) ofContainer(st fleet.State) error {
	i := slices.IndexFunc(st.Containers.Value, func(c fleet.Container) bool {
		return c.Name == s.Container && (c.User == s.User || s.User == "" && c.User == "root")
	})
	c, known := st.Containers.Value[i], st.Listens.Current()
	var others error
	for _, p := range c.Ports {
		if p.Protocol != "tcp" || p.Host == 0 || slices.Contains(blockyKind.not, p.Container) {
			continue
		}
		at, err := publishedAt(p)
		switch {
		case err != nil:
			others = err
		case !known:
			others = fmt.Errorf("it was not asked: who listens at %s could not be read: %s", at, cmp.Or(st.Listens.Err, "not asked yet"))
		case stranger(st, c, at) != "":
			others = fmt.Errorf("at %s, which its container publishes, %s listens: it was not asked", at, stranger(st, c, at))
		case !slices.Contains(s.at, at.String()):
			s.at = append(s.at, at.String())
		}
	}
	for _, l := range st.Listens.Value {
		if l.Container == c.ID && c.ID != "" && l.Process != "conmon" {
			s.listens(l)
		}
	}
	switch {
	case len(s.at) > 0:
		return nil
	case others != nil:
		return others
	case !known:
		return fmt.Errorf("where its HTTP API is, is not known: its container publishes no port, and who listens on the host could not be read: %s", cmp.Or(st.Listens.Err, "not asked yet"))
	}
	return errNoPort
}

// publishedAt is where the host itself reaches a port that a container publishes.
func publishedAt(p fleet.Port) (netip.AddrPort, error) {
	if p.HostIP == "" {
		p.HostIP = "0.0.0.0"
	}
	ip, err := netip.ParseAddr(p.HostIP)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("its container publishes a port at %q, which is no address", word(p.HostIP))
	}
	return loopbackOfAll(netip.AddrPortFrom(ip.Unmap(), p.Host)), nil
}

// stranger is who listens at an address that a container publishes, where it is not the
// container itself, nor who holds the port for it; "" nobody else. Where nobody listens
// at all, the kernel itself leads to the container.
func stranger(st fleet.State, c fleet.Container, at netip.AddrPort) string {
	l, ok := st.ListenerAt("tcp", at.Addr().String(), at.Port())
	name := cmp.Or(l.Unit, l.Process, "somebody who is not told")
	switch {
	case !ok, c.ID != "" && l.Container == c.ID:
		return ""
	case l.Container != "":
		return "another container"
	case l.Unit != "" && l.Unit == c.Unit:
		return ""
	case !slices.Contains(publishers, l.Process):
		return name
	case slices.ContainsFunc(st.Containers.Value, func(o fleet.Container) bool { return o.Unit != "" && o.Unit == l.Unit }):
		return name
	}
	return ""
}
