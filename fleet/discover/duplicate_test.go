package discover

import (
	"testing"
	"time"
)

func TestMergeDuplicates(t *testing.T) {
	checkMerge(t, []mergeCase{
		{
			name: "an old node beside the living one",
			seen: []Sighting{tail("n1", "storage"), tail("n2", "storage-1", system("storage"), offline(40*day))},
			want: `
			storage id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=storage.tail.ts.net,storage-1
			- storage-1: duplicate of storage (tailscale)
			`,
		},
		{
			name: "the machine came back with a number",
			seen: []Sighting{
				tail("n1", "storage", offline(time.Hour)), tail("n2", "storage-1", system("storage"), joined(time.Hour)),
				named(SourceFlake, "storage", ""), named(SourceSSHConfig, "storage", "", user("root")),
			},
			want: `
			storage id=ts:n2 from=tailscale,flake,ssh_config at=tailnet:100.64.0.2 alias=storage-1,storage-1.tail.ts.net user=root flake=storage
			- storage: earlier registration of storage (tailscale)
			`,
		},
		{
			name: "and keeps its identity",
			seen: []Sighting{
				tail("n1", "storage", offline(time.Hour)), tail("n2", "storage-1", system("storage"), joined(time.Hour)),
			},
			known: []Identity{{ID: "ts:n1", Name: "storage", NodeID: "n1"}},
			want: `
			storage id=ts:n1 from=tailscale at=tailnet:100.64.0.2 alias=storage-1,storage-1.tail.ts.net
			- storage: earlier registration of storage (tailscale)
			`,
		},
		{
			name: "the old node was removed, the number stayed",
			seen: []Sighting{tail("n2", "storage-1", system("storage")), named(SourceSSHConfig, "storage", "storage.tail.ts.net", user("root"))},
			want: `
			storage id=ts:n2 from=tailscale,ssh_config at=tailnet:100.64.0.2,config:storage.tail.ts.net alias=storage-1,storage-1.tail.ts.net user=root
			`,
		},
		{
			name: "several old ones, none online: the one seen last is the machine",
			seen: []Sighting{
				tail("n1", "storage", offline(9*day)), tail("n2", "storage-1", system("storage"), offline(2*day)), tail("n3", "storage-2", system("storage"), offline(3*day)),
			},
			want: `
			storage id=ts:n2 from=tailscale at=tailnet:100.64.0.2 alias=storage-1,storage-1.tail.ts.net,storage-2
			- storage: earlier registration of storage (tailscale)
			- storage-2: duplicate of storage (tailscale)
			`,
		},
		{
			name: "two that are online are two machines",
			seen: []Sighting{tail("n1", "nixos"), tail("n2", "nixos-1", system("nixos")), tail("n3", "nixos-2", system("nixos"), offline(day))},
			want: `
			nixos id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=nixos.tail.ts.net
			nixos-1 id=ts:n2 from=tailscale at=tailnet:100.64.0.2 alias=nixos-1.tail.ts.net
			nixos-2 id=ts:n3 from=tailscale at=tailnet:100.64.0.3 alias=nixos-2.tail.ts.net
			`,
		},
		{
			name: "only looks like one, and was never seen beside the other",
			seen: []Sighting{tail("n1", "storage", joined(10*day)), tail("n2", "storage-1", offline(40*day))},
			want: `
			storage id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=storage.tail.ts.net,storage-1
			- storage-1: duplicate of storage (tailscale)
			`,
		},
		{
			name: "siblings: one is down, and was seen while the other was there",
			seen: []Sighting{tail("n1", "web"), tail("n2", "web-1", offline(40*day)), tail("n3", "web-2", offline(400*day))},
			want: `
			web id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=web.tail.ts.net
			web-1 id=ts:n2 from=tailscale at=tailnet:100.64.0.2 alias=web-1.tail.ts.net
			web-2 id=ts:n3 from=tailscale at=tailnet:100.64.0.3 alias=web-2.tail.ts.net
			`,
		},
		{
			name: "where nobody tells since when: long gone is gone",
			seen: []Sighting{
				tail("n1", "a", joined(0), func(s *Sighting) { s.Joined = time.Time{} }), tail("n2", "a-1", offline(6*day)),
				tail("n3", "b", func(s *Sighting) { s.Joined = time.Time{} }), tail("n4", "b-1", offline(8*day)),
			},
			want: `
			a id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=a.tail.ts.net
			a-1 id=ts:n2 from=tailscale at=tailnet:100.64.0.2 alias=a-1.tail.ts.net
			b id=ts:n3 from=tailscale at=tailnet:100.64.0.3 alias=b.tail.ts.net,b-1
			- b-1: duplicate of b (tailscale)
			`,
		},
		{
			name: "another system is another machine",
			seen: []Sighting{
				tail("n1", "raider", osName("windows"), notHost("Windows machine")), tail("n2", "raider-1", system("raider")), named(SourceFlake, "raider", ""),
			},
			want: `
			raider-1 id=ts:n2 from=tailscale,flake at=tailnet:100.64.0.2 alias=raider-1.tail.ts.net,raider flake=raider
			- raider: Windows machine (tailscale)
			`,
		},
		{
			name:  "a pattern overrules",
			rules: Rules{Include: []string{"storage-1"}},
			seen:  []Sighting{tail("n1", "storage"), tail("n2", "storage-1", system("storage"), offline(40*day))},
			want: `
			storage id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=storage.tail.ts.net
			storage-1 id=ts:n2 from=tailscale at=tailnet:100.64.0.2 alias=storage-1.tail.ts.net
			`,
		},
		{
			name: "so does a [[host]] of the numbered name, but not one of the plain name",
			seen: []Sighting{
				named(SourceConfig, "storage", ""), named(SourceConfig, "web-1", ""),
				tail("n1", "storage"), tail("n2", "storage-1", system("storage"), offline(40*day)),
				tail("n3", "web"), tail("n4", "web-1", system("web"), offline(40*day)),
			},
			want: `
			storage id=ts:n1 from=config,tailscale at=tailnet:100.64.0.1 alias=storage.tail.ts.net,storage-1
			web id=ts:n3 from=tailscale at=tailnet:100.64.0.3 alias=web.tail.ts.net
			web-1 id=ts:n4 from=config,tailscale at=tailnet:100.64.0.4 alias=web-1.tail.ts.net
			- storage-1: duplicate of storage (tailscale)
			`,
		},
		{
			name: "one host key, two nodes: renamed and registered anew",
			seen: []Sighting{tail("n1", "storage", hostKeyed("AAA"), offline(30*day)), tail("n2", "galactica", hostKeyed("AAA")), named(SourceSSHConfig, "storage", "", user("root"))},
			want: `
			galactica id=ts:n2 from=tailscale,ssh_config at=tailnet:100.64.0.2 alias=galactica.tail.ts.net,storage user=root
			- storage: duplicate of galactica: same SSH host key or machine-id (tailscale)
			`,
		},
		{
			name: "one host key, both online: clones",
			seen: []Sighting{tail("n1", "a", hostKeyed("AAA")), tail("n2", "b", hostKeyed("AAA"))},
			want: `
			a id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=a.tail.ts.net
			b id=ts:n2 from=tailscale at=tailnet:100.64.0.2 alias=b.tail.ts.net
			`,
		},
	})
}

func TestMergeIdentities(t *testing.T) {
	checkMerge(t, []mergeCase{
		{
			name:  "a renamed node keeps its ID, and its old name while nobody else has it",
			seen:  []Sighting{tail("n1", "galactica"), named(SourceSSHConfig, "storage", "", user("root"))},
			known: []Identity{{ID: "ts:n1", Name: "storage", Former: []string{"nas"}, NodeID: "n1", MachineID: "m1"}},
			want: `
			galactica id=ts:n1 from=tailscale,ssh_config at=tailnet:100.64.0.1 alias=galactica.tail.ts.net,storage,nas user=root machine=m1
			`,
		},
		{
			name:  "a new machine that takes the old name is a new host",
			seen:  []Sighting{tail("n1", "galactica"), tail("n2", "storage")},
			known: []Identity{{ID: "ts:n1", Name: "storage", NodeID: "n1", MachineID: "m1", HostKeys: []string{"ssh-ed25519 AAA"}}},
			want: `
			galactica id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=galactica.tail.ts.net machine=m1
			storage id=ts:n2 from=tailscale at=tailnet:100.64.0.2 alias=storage.tail.ts.net
			`,
		},
		{
			name:  "registered anew under its name",
			seen:  []Sighting{tail("n2", "storage")},
			known: []Identity{{ID: "ts:n1", Name: "storage", NodeID: "n1"}},
			want:  "storage id=ts:n1 from=tailscale at=tailnet:100.64.0.2 alias=storage.tail.ts.net\n",
		},
		{
			name:  "registered anew under another name, with its host key",
			seen:  []Sighting{tail("n2", "galactica", hostKeyed("AAA"))},
			known: []Identity{{ID: "ts:n1", Name: "storage", NodeID: "n1", HostKeys: []string{"ssh-ed25519 AAA root@storage"}}},
			want:  "galactica id=ts:n1 from=tailscale at=tailnet:100.64.0.2 alias=galactica.tail.ts.net,storage\n",
		},
		{
			name:  "found by ssh_config first, in the tailnet later",
			seen:  []Sighting{tail("n1", "storage")},
			known: []Identity{{ID: "name:storage", Name: "storage"}},
			want:  "storage id=name:storage from=tailscale at=tailnet:100.64.0.1 alias=storage.tail.ts.net\n",
		},
		{
			name:  "in the tailnet first, without tailscaled today",
			seen:  []Sighting{named(SourceSSHConfig, "storage", "192.0.2.1")},
			known: []Identity{{ID: "ts:n1", Name: "storage", NodeID: "n1"}},
			want:  "storage id=ts:n1 from=ssh_config at=config:192.0.2.1\n",
		},
		{
			name: "two names that were found to be one machine",
			seen: []Sighting{tail("n1", "galactica"), named(SourceSSHConfig, "nas", "nas.example.org", user("root"))},
			known: []Identity{
				{ID: "ts:n1", Name: "galactica", NodeID: "n1", MachineID: "m1"}, {ID: "name:nas", Name: "nas", MachineID: "m1"},
			},
			want: `
			galactica id=ts:n1 from=tailscale,ssh_config at=tailnet:100.64.0.1,config:nas.example.org alias=galactica.tail.ts.net,nas user=root machine=m1
			`,
		},
		{
			name: "two [[host]]s of clones stay two",
			seen: []Sighting{named(SourceConfig, "a", "192.0.2.1"), named(SourceConfig, "b", "192.0.2.2")},
			known: []Identity{
				{ID: "name:a", Name: "a", MachineID: "m1"}, {ID: "name:b", Name: "b", MachineID: "m1"},
			},
			want: `
			a id=name:a from=config at=config:192.0.2.1 machine=m1
			b id=name:b from=config at=config:192.0.2.2 machine=m1
			`,
		},
		{
			name:  "the ID of a name that went on to another name is not given twice",
			seen:  []Sighting{tail("n1", "galactica"), named(SourceSSHConfig, "storage", "192.0.2.1", port(2222))},
			known: []Identity{{ID: "name:storage", Name: "galactica", NodeID: "n1"}},
			want: `
			galactica id=name:storage from=tailscale at=tailnet:100.64.0.1 alias=galactica.tail.ts.net
			storage id=name:storage~2 from=ssh_config at=config:192.0.2.1#2222 port=2222
			`,
		},
		{
			name: "two nodes of one name from two tailnets",
			seen: []Sighting{
				tail("n1", "nas"),
				tail("n2", "nas.neighbour.ts.net", func(s *Sighting) { s.Aliases, s.NotHost = nil, "shared in" }),
			},
			rules: Rules{Include: []string{"nas.*"}},
			want: `
			nas id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=nas.tail.ts.net
			nas.neighbour.ts.net id=ts:n2 from=tailscale at=tailnet:100.64.0.2
			`,
		},
	})
}
