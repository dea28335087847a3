package probe

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// inventory reads which programs, sockets, ports and files there are.
func inventory(s sections) fleet.Inventory {
	inv := fleet.Inventory{Programs: map[string]string{}, Ports: ports(s.lines("ports")), Files: fleet.CleanAll(s.lines("files"))}
	for _, f := range s.fields("programs", 2) {
		if f[1] != "" { // else it is not there
			inv.Programs[fleet.Clean(f[0])] = fleet.Clean(f[1])
		}
	}
	for _, f := range s.fields("sockets", 4) {
		inv.Sockets = append(inv.Sockets, fleet.Socket{
			Path: fleet.Clean(f[0]), Open: f[1] == "open", Owner: fleet.Clean(f[2]), Real: fleet.Clean(f[3]),
		})
	}
	inv.Rootless = rootless(s)
	state, rest, _ := bytes.Cut(s["deploys"], []byte("\n"))
	inv.Deploys = mark(rest)
	if f := strings.Fields(fleet.Clean(string(state))); len(f) > 0 {
		inv.Deployed = fleet.DeployState(f[0])
	}
	inv.Pulled = pulled(s.lines("comin"))
	return inv
}

// mark is a short text that is another where the text is another; "" of none.
func mark(text []byte) string {
	if len(bytes.TrimSpace(text)) == 0 {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// ports reads the listening rows of /proc/net/tcp and tcp6: the local address
// is hex, "0100007F:4E1F". Only ports that loopback reaches count: those on a
// loopback or on every address.
func ports(lines []string) []int {
	var out []int
	for _, l := range lines {
		f := strings.Fields(l)
		if len(f) < 4 || f[3] != "0A" {
			continue
		}
		addr, port, ok := strings.Cut(f[1], ":")
		n, err := strconv.ParseUint(port, 16, 16)
		if !ok || err != nil {
			continue
		}
		any := strings.Trim(addr, "0") == ""
		loop4 := len(addr) == 8 && strings.HasSuffix(addr, "7F")
		loop6 := addr == "00000000000000000000000001000000"
		if any || loop4 || loop6 {
			out = append(out, int(n))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
