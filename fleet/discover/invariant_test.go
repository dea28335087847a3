package discover

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

// checkInvariants holds what must be true of any merge.
func checkInvariants(t *testing.T, seen []Sighting, hosts []fleet.Host, others []fleet.Other) {
	t.Helper()
	ids, names, told := map[fleet.HostID]bool{}, map[string]bool{}, map[string]int{}
	for _, h := range hosts {
		if h.ID == "" || ids[h.ID] {
			t.Errorf("ID %q of %s is empty or given twice", h.ID, h.Name)
		}
		if h.Name == "" || names[canon(h.Name)] {
			t.Errorf("name %q is empty or given twice", h.Name)
		}
		if len(h.Sources) == 0 || !h.Local && len(h.Addresses) == 0 {
			t.Errorf("%s has no source or no address: %+v", h.Name, h)
		}
		ids[h.ID], names[canon(h.Name)] = true, true
		told[h.NodeID]++
	}
	for _, h := range hosts {
		for _, a := range h.Aliases {
			if names[canon(a)] {
				t.Errorf("%s: alias %q is a host's name", h.Name, a)
			}
		}
	}
	for _, o := range others {
		if o.Why == "" || len(o.Sources) == 0 {
			t.Errorf("other without a reason or source: %+v", o)
		}
	}
	for id, n := range told {
		if id != "" && n > 1 {
			t.Errorf("node %s is %d hosts", id, n)
		}
	}
	if len(seen) > 0 && len(hosts)+len(others) == 0 {
		t.Error("everything was lost")
	}
}

// fuzzSightings makes sightings of bytes: few names, IDs, addresses and keys,
// so that all of them meet.
func fuzzSightings(b []byte) []Sighting {
	sources := []string{SourceConfig, SourceTailscale, SourceControl, SourceLocal, SourceFlake, SourceSSHConfig, SourceMDNS}
	names := []string{"a", "a-1", "b", "b.lan", "A", "a.tail.ts.net", "10.0.0.1", "b-2"}
	var list []Sighting
	used := map[string]bool{}
	for ; len(b) >= 4; b = b[4:] {
		source, name := sources[int(b[0])%len(sources)], names[int(b[1])%len(names)]
		var s Sighting
		switch source {
		case SourceTailscale, SourceControl:
			id := fmt.Sprintf("n%d", b[2]%5)
			if used[source+id] {
				continue
			}
			used[source+id] = true
			s = tail(id, name)
			s.Source = source
			s.Presence.Value.Online = b[3]&1 == 0
			s.Presence.Value.LastSeen = testNow.Add(-day * 10)
			if b[3]&2 != 0 {
				s.HostName = "a"
			}
			if b[3]&4 != 0 {
				s.HostKeys = []string{"ssh-ed25519 AAA"}
			}
			if b[3]&8 != 0 {
				s.NotHost, s.Guess = "whatever", b[3]&16 != 0
			}
		default:
			s = named(source, name, []string{"", "10.0.0.1", "100.64.0.1", "b"}[b[2]%4])
			s.Port, s.Jump = int(b[3]&1)*2222, strings.Repeat("j", int(b[3]&2))
			if b[3]&4 != 0 {
				s.MachineID = "m1"
			}
		}
		list = append(list, s)
	}
	slices.SortStableFunc(list, func(x, y Sighting) int {
		return slices.Index(sources, x.Source) - slices.Index(sources, y.Source)
	})
	return list
}

func FuzzMerge(f *testing.F) {
	f.Add([]byte("\x01\x00\x01\x00\x01\x01\x02\x03\x05\x00\x00\x00\x04\x02\x01\x00"))
	f.Add([]byte("\x00\x06\x01\x00\x03\x00\x00\x04\x06\x03\x01\x00\x01\x07\x03\x07"))
	known := []Identity{
		{ID: "ts:n0", Name: "b", Former: []string{"a"}, NodeID: "n0", MachineID: "m1"},
		{ID: "name:a", Name: "a", HostKeys: []string{"ssh-ed25519 AAA"}}, {ID: "name:b", Name: "b-2"},
	}
	rules := Rules{Include: []string{"b*"}, Exclude: []string{"a-1"}}
	f.Fuzz(func(t *testing.T, b []byte) {
		seen := fuzzSightings(b[:min(len(b), 160)])
		for _, r := range []Rules{{}, rules} {
			for _, k := range [][]Identity{nil, known} {
				hosts, others := Merge(seen, r, k)
				checkInvariants(t, seen, hosts, others)
				again, againOthers := Merge(seen, r, k)
				if render(hosts, others) != render(again, againOthers) {
					t.Error("the same sightings gave different hosts")
				}
			}
		}
	})
}

func BenchmarkMerge(b *testing.B) {
	var seen []Sighting
	for i := range 1000 {
		s := tail(fmt.Sprintf("n%d", i), fmt.Sprintf("host%d", i))
		s.Addresses = []fleet.Address{{Via: fleet.ViaTailnet, Host: fmt.Sprintf("100.64.%d.%d", i/250, i%250)}}
		s.Tags = []string{"server"}
		seen = append(seen, s)
	}
	var known []Identity
	for i := range 1000 {
		seen = append(seen, named(SourceFlake, fmt.Sprintf("host%d", i), ""))
		known = append(known, Identity{ID: fleet.HostID(fmt.Sprintf("ts:n%d", i)), Name: fmt.Sprintf("host%d", i), NodeID: fmt.Sprintf("n%d", i)})
	}
	for b.Loop() {
		Merge(seen, Rules{}, known)
	}
}
