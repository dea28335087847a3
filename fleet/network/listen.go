package network

import (
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

//go:embed listen.sh
var listenScript string

// Bounds of one reading.
const (
	listenTime  = 10 * time.Second
	listenBytes = 1 << 20
	maxListens  = 2000
)

// Listens reads who listens on a host. Without root the processes of others are
// not told.
func Listens(ctx context.Context, l link.Link) fleet.Fact[[]fleet.Listener] {
	ctx, cancel := context.WithTimeout(ctx, listenTime)
	defer cancel()
	mark := rand.Text()
	cmd := link.Script(listenScript, mark)
	cmd.IfRoot, cmd.Limit = true, listenBytes
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return fleet.Unknown[[]fleet.Listener](fmt.Errorf("who listens on %s: %w", l.Host().Name, err), time.Now(), "ss")
	}
	list, source, err := parseListens(string(res.Stdout), mark)
	if err != nil {
		return fleet.Unknown[[]fleet.Listener](fmt.Errorf("who listens on %s: %w", l.Host().Name, err), time.Now(), source)
	}
	return fleet.Known(list, time.Now(), source)
}

// sections are the parts of an answer by their names, with their lines but for empty ones.
func sections(out, mark string) map[string][]string {
	all := map[string][]string{}
	for name, text := range link.Sections(out, mark) {
		all[name] = slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return l == "" })
	}
	return all
}

// parseListens reads what listen.sh prints, and tells who it was that knew.
func parseListens(out, mark string) ([]fleet.Listener, string, error) {
	s := sections(out, mark)
	if s["end"] == nil {
		return nil, "ss", errors.New("the answer has no end")
	}
	list, source := []fleet.Listener{}, "ss"
	if rows, ok := s["ss"]; ok {
		groups := map[int]group{}
		for _, line := range s["cgroups"] {
			pid, path, _ := strings.Cut(line, " ")
			if n, err := strconv.Atoi(pid); err == nil {
				groups[n] = readGroup(path)
			}
		}
		for _, row := range rows {
			list = append(list, parseSS(row, groups)...)
		}
	} else {
		source = "/proc/net"
		for _, proto := range []string{"tcp", "tcp6", "udp", "udp6"} {
			for _, row := range s[proto] {
				if l, ok := parseProc(proto, row); ok {
					list = append(list, l)
				}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b fleet.Listener) int {
		return cmp.Or(strings.Compare(a.Proto, b.Proto), cmp.Compare(a.Port, b.Port), strings.Compare(a.Address, b.Address), cmp.Compare(a.PID, b.PID))
	})
	list = slices.Compact(list)
	return list[:min(len(list), maxListens)], source, nil
}

// owner is one process in the last column of ss: ("caddy",pid=84,fd=3).
var owner = regexp.MustCompile(`\("((?:[^"\\]|\\.)*)",pid=(\d+)`)

// parseSS reads a row of "ss -Htulnp": one listener for each process that holds
// the socket, once where none is told.
func parseSS(row string, groups map[int]group) []fleet.Listener {
	f := strings.Fields(row)
	if len(f) < 6 || f[0] != "tcp" && f[0] != "udp" || f[0] == "tcp" && f[1] != "LISTEN" || f[0] == "udp" && f[1] != "UNCONN" {
		return nil
	}
	i := strings.LastIndexByte(f[4], ':')
	if i < 0 {
		return nil
	}
	port, err := strconv.ParseUint(f[4][i+1:], 10, 16)
	if err != nil {
		return nil
	}
	addr, device, _ := strings.Cut(f[4][:i], "%")
	addr, device = strings.Trim(addr, "[]"), strings.Trim(device, "[]")
	if a, err := netip.ParseAddr(addr); addr != "*" && err != nil {
		return nil
	} else if err == nil {
		addr = a.Unmap().String()
	}
	l := fleet.Listener{Proto: f[0], Address: addr, Device: fleet.Clean(device), Port: uint16(port)}
	owners := owner.FindAllStringSubmatch(strings.Join(f[6:], " "), 16)
	if len(owners) == 0 {
		return []fleet.Listener{l}
	}
	var list []fleet.Listener
	for _, o := range owners {
		l.Process = fleet.Clean(o[1])
		l.PID, _ = strconv.Atoi(o[2])
		g := groups[l.PID]
		l.Unit, l.Scope, l.User, l.Container = g.unit, g.scope, g.user, g.container
		list = append(list, l)
	}
	return list
}

// group is what a process belongs to, by its cgroup.
type group struct{ unit, scope, user, container string }

var (
	ofUser      = regexp.MustCompile(`/user@(\d+)\.service/`)
	ofSession   = regexp.MustCompile(`/user-(\d+)\.slice/`)
	ofContainer = regexp.MustCompile(`(?:libpod-conmon-|libpod-payload-|libpod-|docker-|/docker/)([0-9a-f]{64})\b`)
)

// readGroup reads a line of /proc/PID/cgroup: "0::/system.slice/caddy.service".
func readGroup(line string) group {
	_, path, ok := strings.Cut(line, ":/")
	if !ok {
		return group{}
	}
	path = fleet.Clean("/" + path)
	var g group
	if m := ofContainer.FindStringSubmatch(path); m != nil {
		g.container = m[1]
	}
	rest := path
	for _, of := range []*regexp.Regexp{ofUser, ofSession} {
		if m := of.FindStringSubmatchIndex(path); m != nil && g.user == "" {
			g.user, rest = path[m[2]:m[3]], path[m[1]-1:]
		}
	}
	g.unit, g.scope = unitIn(strings.Split(rest, "/"))
	if g.container != "" && g.unit == "" {
		g.scope = "" // it is the container's
	}
	if g.unit == "" && g.scope == "" && g.container == "" {
		g.user = ""
	}
	return g
}

// unitIn is the unit to which a process belongs, by the parts of its path; where there
// is none, its scope. What is below a unit's payload is of the machine in it, which has
// a systemd of its own.
func unitIn(parts []string) (unit, scope string) {
	for i, part := range parts {
		switch {
		case strings.HasSuffix(part, ".service"), strings.HasSuffix(part, ".socket"):
			unit = part
			if i+1 < len(parts) && parts[i+1] == "payload" {
				return unit, ""
			}
		case strings.HasSuffix(part, ".scope") && part != "init.scope":
			scope = part
		}
	}
	if unit != "" {
		scope = ""
	}
	return unit, scope
}

// States of a socket in the kernel's tables.
const (
	tcpListens = "0A"
	udpOpen    = "07"
)

// parseProc reads a row of /proc/net/{tcp,udp}{,6}.
func parseProc(table, row string) (fleet.Listener, bool) {
	f := strings.Fields(row)
	proto := strings.TrimSuffix(table, "6")
	if len(f) < 4 || proto == "tcp" && f[3] != tcpListens || proto == "udp" && f[3] != udpOpen {
		return fleet.Listener{}, false
	}
	host, hexPort, ok := strings.Cut(f[1], ":")
	port, err := strconv.ParseUint(hexPort, 16, 16)
	addr, known := hexAddress(host)
	if !ok || err != nil || !known {
		return fleet.Listener{}, false
	}
	return fleet.Listener{Proto: proto, Address: addr.String(), Port: uint16(port)}, true
}

// hexAddress reads an address as the kernel writes it: words of four bytes, each
// in the machine's order, which is little-endian wherever NixOS runs.
func hexAddress(s string) (netip.Addr, bool) {
	if len(s) != 8 && len(s) != 32 {
		return netip.Addr{}, false
	}
	raw := make([]byte, 0, 16)
	for w := 0; w < len(s); w += 8 {
		n, err := strconv.ParseUint(s[w:w+8], 16, 32)
		if err != nil {
			return netip.Addr{}, false
		}
		raw = append(raw, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	}
	a, ok := netip.AddrFromSlice(raw)
	return a.Unmap(), ok
}
