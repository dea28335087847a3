package discover

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

var testNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// tail is a node of the tailnet as tailscaled tells of it: online, since a year.
func tail(id, name string, change ...func(*Sighting)) Sighting {
	s := Sighting{
		Source: SourceTailscale, Name: name, Aliases: []string{name + ".tail.ts.net"}, HostName: name, NodeID: id, OS: "linux",
		Addresses: []fleet.Address{{Via: fleet.ViaTailnet, Host: "100.64.0." + strings.TrimLeft(id, "n")}},
		Presence:  fleet.Known(fleet.Presence{Online: true}, testNow, "tailscaled"), Joined: testNow.Add(-365 * day),
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

func offline(ago time.Duration) func(*Sighting) {
	return func(s *Sighting) { s.Presence.Value = fleet.Presence{LastSeen: testNow.Add(-ago)} }
}
func joined(ago time.Duration) func(*Sighting) {
	return func(s *Sighting) { s.Joined = testNow.Add(-ago) }
}
func system(name string) func(*Sighting) { return func(s *Sighting) { s.HostName = name } }
func hostKeyed(k string) func(*Sighting) {
	return func(s *Sighting) { s.HostKeys = []string{"ssh-ed25519 " + k} }
}
func notHost(why string) func(*Sighting)  { return func(s *Sighting) { s.NotHost = why } }
func tagged(t ...string) func(*Sighting)  { return func(s *Sighting) { s.Tags = t } }
func self(s *Sighting)                    { s.Local = true }
func osName(os string) func(*Sighting)    { return func(s *Sighting) { s.OS = os } }
func guess(why string) func(*Sighting)    { return func(s *Sighting) { s.NotHost, s.Guess = why, true } }
func user(u string) func(*Sighting)       { return func(s *Sighting) { s.User = u } }
func port(p int) func(*Sighting)          { return func(s *Sighting) { s.Port = p } }
func jump(j string) func(*Sighting)       { return func(s *Sighting) { s.Jump = j } }
func attribute(a string) func(*Sighting)  { return func(s *Sighting) { s.Flake = a } }
func machineID(id string) func(*Sighting) { return func(s *Sighting) { s.MachineID = id } }

// named is a sighting of another source, with its address where there is one.
func named(source, name, address string, change ...func(*Sighting)) Sighting {
	s := Sighting{Source: source, Name: name}
	via := fleet.ViaConfig
	switch source {
	case SourceMDNS:
		s.Weak, via = true, fleet.ViaMDNS
	case SourceFlake:
		s.Flake = name
	case SourceLocal:
		s.Local, via, address = true, fleet.ViaLocal, "localhost"
	}
	if address != "" {
		s.Addresses = []fleet.Address{{Via: via, Host: address}}
	} else if source == SourceSSHConfig || source == SourceConfig {
		s.Addresses = []fleet.Address{{Via: via, Host: name}}
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

// render writes hosts and others one a line, with only what is set.
func render(hosts []fleet.Host, others []fleet.Other) string {
	var b strings.Builder
	part := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, " %s=%s", name, value)
		}
	}
	for _, h := range hosts {
		b.WriteString(h.Name)
		part("id", string(h.ID))
		part("from", strings.Join(h.Sources, ","))
		var at []string
		for _, a := range h.Addresses {
			text := string(a.Via) + ":" + a.Host
			if a.Port != 0 {
				text += fmt.Sprintf("#%d", a.Port)
			}
			at = append(at, text)
		}
		part("at", strings.Join(at, ","))
		part("alias", strings.Join(h.Aliases, ","))
		part("tags", strings.Join(h.Tags, ","))
		part("user", h.User)
		if h.Port != 0 {
			part("port", fmt.Sprint(h.Port))
		}
		part("jump", h.Jump)
		part("identity", h.Identity)
		part("become", string(h.Become))
		part("flake", h.Flake)
		part("machine", h.MachineID)
		if h.Local {
			b.WriteString(" local")
		}
		b.WriteByte('\n')
	}
	for _, o := range others {
		fmt.Fprintf(&b, "- %s: %s (%s)\n", o.Name, o.Why, strings.Join(o.Sources, ","))
	}
	return b.String()
}

type mergeCase struct {
	name  string
	seen  []Sighting
	rules Rules
	known []Identity
	want  string
}

func checkMerge(t *testing.T, cases []mergeCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			hosts, others := Merge(slices.Clone(c.seen), c.rules, c.known)
			want := strings.ReplaceAll(strings.TrimLeft(c.want, "\n"), "\t", "")
			if got := render(hosts, others); got != want {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
		})
	}
}

func TestMergeNames(t *testing.T) {
	checkMerge(t, []mergeCase{
		{name: "nothing", want: ""},
		{
			name: "one host from every source",
			seen: []Sighting{
				named(SourceConfig, "storage", "10.77.0.11", user("root"), tagged("tier1")),
				tail("n1", "storage", tagged("server")),
				named(SourceFlake, "storage", "storage.tail.ts.net", user("deploy")),
				named(SourceSSHConfig, "storage", "", user("ada"), port(22)),
				named(SourceMDNS, "storage", "192.168.1.4"),
			},
			want: `
			storage id=ts:n1 from=config,tailscale,flake,ssh_config,mdns at=config:10.77.0.11,tailnet:100.64.0.1,mdns:192.168.1.4 alias=storage.tail.ts.net tags=tier1,server user=root port=22 flake=storage
			`,
		},
		{
			name: "names that only differ in case are the same",
			seen: []Sighting{tail("n1", "storage"), named(SourceSSHConfig, "Storage", "", user("ada"))},
			want: `
			storage id=ts:n1 from=tailscale,ssh_config at=tailnet:100.64.0.1 alias=storage.tail.ts.net user=ada
			`,
		},
		{
			name: "dotted attributes, the dashed name of the tailnet, and a duplicate attribute",
			seen: []Sighting{tail("n1", "dev-ldn"), named(SourceFlake, "dev.ldn", ""), named(SourceFlake, "dev-ldn", ""), named(SourceFlake, "dev.oslo", "")},
			want: `
			dev-ldn id=ts:n1 from=tailscale,flake at=tailnet:100.64.0.1 alias=dev-ldn.tail.ts.net,dev.ldn flake=dev-ldn
			- dev.oslo: only in the flake: no address known (flake)
			`,
		},
		{
			name: "a dotted attribute alone",
			seen: []Sighting{tail("n1", "dev-ldn"), named(SourceFlake, "dev.ldn", "")},
			want: `
			dev-ldn id=ts:n1 from=tailscale,flake at=tailnet:100.64.0.1 alias=dev-ldn.tail.ts.net,dev.ldn flake=dev.ldn
			`,
		},
		{
			name: "full names beside short ones",
			seen: []Sighting{
				tail("n1", "eve"), named(SourceFlake, "ahorn", "ahorn.pin"), named(SourceSSHConfig, "eve.i", "", user("root")),
				named(SourceSSHConfig, "ahorn.pin", "", user("ada")), named(SourceSSHConfig, "www.example.org", ""),
			},
			want: `
			ahorn id=name:ahorn from=flake,ssh_config at=config:ahorn.pin alias=ahorn.pin user=ada flake=ahorn
			eve id=ts:n1 from=tailscale,ssh_config at=tailnet:100.64.0.1,config:eve.i alias=eve.tail.ts.net,eve.i user=root
			www.example.org id=name:www.example.org from=ssh_config at=config:www.example.org
			`,
		},
		{
			name: "two dotted names with one first label are two machines",
			seen: []Sighting{tail("n1", "dev"), named(SourceFlake, "dev.ldn", "dev.ldn.example.org"), named(SourceFlake, "dev.oslo", "dev.oslo.example.org")},
			want: `
			dev id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=dev.tail.ts.net
			dev.ldn id=name:dev.ldn from=flake at=config:dev.ldn.example.org flake=dev.ldn
			dev.oslo id=name:dev.oslo from=flake at=config:dev.oslo.example.org flake=dev.oslo
			`,
		},
		{
			name: "the system's own name ties where the tailnet's was changed",
			seen: []Sighting{tail("n1", "galactica", system("storage")), named(SourceFlake, "storage", "")},
			want: `
			galactica id=ts:n1 from=tailscale,flake at=tailnet:100.64.0.1 alias=galactica.tail.ts.net,storage flake=storage
			`,
		},
		{
			name: "a common system name ties nothing where it is ambiguous",
			seen: []Sighting{tail("n1", "a", system("nixos")), tail("n2", "b", system("nixos")), named(SourceFlake, "nixos", "")},
			want: `
			a id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=a.tail.ts.net
			b id=ts:n2 from=tailscale at=tailnet:100.64.0.2 alias=b.tail.ts.net
			- nixos: only in the flake: no address known (flake)
			`,
		},
		{
			name: "what only the flake knows",
			seen: []Sighting{named(SourceFlake, "iso", ""), named(SourceFlake, "web", "203.0.113.9", user("root")), named(SourceFlake, "lan", ""), named(SourceMDNS, "lan", "192.168.1.9")},
			want: `
			lan id=name:lan from=flake,mdns at=mdns:192.168.1.9 flake=lan
			web id=name:web from=flake at=config:203.0.113.9 user=root flake=web
			- iso: only in the flake: no address known (flake)
			`,
		},
		{
			name: "a host's name is no alias of another",
			seen: []Sighting{tail("n1", "galactica", system("storage")), tail("n2", "storage", system("storage"))},
			want: `
			galactica id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=galactica.tail.ts.net
			storage id=ts:n2 from=tailscale at=tailnet:100.64.0.2 alias=storage.tail.ts.net
			`,
		},
		{
			name: "daemon and control plane know the same node",
			seen: []Sighting{tail("n1", "storage"), tail("n1", "storage", func(s *Sighting) { s.Source, s.TailscaleOK = SourceControl, true })},
			want: `
			storage id=ts:n1 from=tailscale,control at=tailnet:100.64.0.1 alias=storage.tail.ts.net
			`,
		},
	})
}

func TestMergeWays(t *testing.T) {
	checkMerge(t, []mergeCase{
		{
			name: "behind a jump",
			seen: []Sighting{tail("n1", "router"), named(SourceSSHConfig, "vault", "10.78.0.18", port(2222), jump("root@router"))},
			want: `
			router id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=router.tail.ts.net
			vault id=name:vault from=ssh_config at=config:10.78.0.18#2222 port=2222 jump=root@router
			`,
		},
		{
			name: "an alias for an address of the tailnet brings its settings",
			seen: []Sighting{tail("n1", "galactica"), named(SourceSSHConfig, "gal", "100.64.0.1", user("ada"), port(2222))},
			want: `
			galactica id=ts:n1 from=tailscale,ssh_config at=tailnet:100.64.0.1 alias=galactica.tail.ts.net,gal user=ada port=2222
			`,
		},
		{
			name: "so does one for a full name",
			seen: []Sighting{tail("n1", "galactica"), named(SourceSSHConfig, "gal", "galactica.tail.ts.net.", user("ada"))},
			want: `
			galactica id=ts:n1 from=tailscale,ssh_config at=tailnet:100.64.0.1 alias=galactica.tail.ts.net,gal user=ada
			`,
		},
		{
			name: "a public address keeps its port to itself",
			seen: []Sighting{tail("n1", "storage"), named(SourceSSHConfig, "storage", "storage.example.org", user("ada"), port(2222))},
			want: `
			storage id=ts:n1 from=tailscale,ssh_config at=tailnet:100.64.0.1,config:storage.example.org#2222 alias=storage.tail.ts.net user=ada
			`,
		},
		{
			name: "the tailnet needs no jump",
			seen: []Sighting{tail("n1", "storage"), named(SourceSSHConfig, "storage", "10.0.0.5", jump("bastion"))},
			want: `
			storage id=ts:n1 from=tailscale,ssh_config at=tailnet:100.64.0.1 alias=storage.tail.ts.net
			`,
		},
		{
			name: "who is outside the tailnet does",
			seen: []Sighting{tail("n1", "storage", func(s *Sighting) { s.Source = SourceControl }), named(SourceSSHConfig, "storage", "10.0.0.5", jump("bastion"))},
			want: `
			storage id=ts:n1 from=control,ssh_config at=tailnet:100.64.0.1,config:10.0.0.5 alias=storage.tail.ts.net jump=bastion
			`,
		},
		{
			name: "the entry with the host's name speaks before the one for its initrd",
			seen: []Sighting{
				tail("n1", "storage"), named(SourceSSHConfig, "storage-initrd", "storage.tail.ts.net", user("root"), port(2222)),
				named(SourceSSHConfig, "storage", "", user("ada")),
			},
			want: `
			storage id=ts:n1 from=tailscale,ssh_config at=tailnet:100.64.0.1 alias=storage.tail.ts.net,storage-initrd user=ada
			`,
		},
		{
			name: "one public name, a machine for each port",
			seen: []Sighting{named(SourceSSHConfig, "a", "home.example.org", port(2201)), named(SourceSSHConfig, "b", "home.example.org", port(2202))},
			want: `
			a id=name:a from=ssh_config at=config:home.example.org#2201 port=2201
			b id=name:b from=ssh_config at=config:home.example.org#2202 port=2202
			`,
		},
		{
			name: "one private address at two sites",
			seen: []Sighting{named(SourceSSHConfig, "a", "192.168.1.10", jump("site-a")), named(SourceSSHConfig, "b", "192.168.1.10", jump("site-b"))},
			want: `
			a id=name:a from=ssh_config at=config:192.168.1.10 jump=site-a
			b id=name:b from=ssh_config at=config:192.168.1.10 jump=site-b
			`,
		},
		{
			name: "two names of one address are one host",
			seen: []Sighting{named(SourceSSHConfig, "nas", "192.168.1.10"), named(SourceSSHConfig, "files", "192.168.1.10", user("ada"))},
			want: `
			nas id=name:nas from=ssh_config at=config:192.168.1.10 alias=files
			`,
		},
		{
			name: "no resolver may know a bare name, but nothing better is known",
			seen: []Sighting{named(SourceSSHConfig, "nas", ""), named(SourceConfig, "web", "", port(2222))},
			want: `
			nas id=name:nas from=ssh_config at=config:nas
			web id=name:web from=config at=config:web port=2222
			`,
		},
		{
			name: "git services and forwarded ports are no hosts and lend nothing",
			seen: []Sighting{
				tail("n1", "git"), named(SourceSSHConfig, "git", "git.tail.ts.net", user("git"), port(2222), notHost("git service")),
				named(SourceSSHConfig, "github.com", "", notHost("git service")),
			},
			want: `
			git id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=git.tail.ts.net
			- git: git service (ssh_config)
			- github.com: git service (ssh_config)
			`,
		},
		{
			name: "a [[host]] says all it wants",
			seen: []Sighting{
				named(SourceConfig, "nas", "100.64.0.1", user("root"), port(2222), jump("bastion"), attribute("storage"), func(s *Sighting) {
					s.Become, s.Identity = fleet.BecomeDoas, "/k"
				}),
				tail("n1", "galactica"), named(SourceFlake, "galactica", ""), named(SourceSSHConfig, "galactica", "", user("ada")),
			},
			want: `
			nas id=ts:n1 from=config,tailscale,flake,ssh_config at=tailnet:100.64.0.1 alias=storage,galactica,galactica.tail.ts.net user=root port=2222 jump=bastion identity=/k become=doas flake=storage
			`,
		},
		{
			name: "each [[host]] is a machine of its own",
			seen: []Sighting{named(SourceConfig, "a", "192.168.1.10"), named(SourceConfig, "b", "192.168.1.10")},
			want: `
			a id=name:a from=config at=config:192.168.1.10
			b id=name:b from=config at=config:192.168.1.10
			`,
		},
	})
}

func TestMergeOthers(t *testing.T) {
	phone := tail("n9", "phone", osName("iOS"), notHost("phone (iOS)"))
	service := tail("n8", "grafana", tagged("service"), notHost("service node (tag:service)"))
	exit := tail("n7", "brazil-exit", tagged("exit"), guess("exit node"))
	checkMerge(t, []mergeCase{
		{
			name: "what is no machine",
			seen: []Sighting{phone, service, exit, tail("n1", "storage")},
			want: `
			storage id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=storage.tail.ts.net
			- brazil-exit: exit node (tailscale)
			- grafana: service node (tag:service) (tailscale)
			- phone: phone (iOS) (tailscale)
			`,
		},
		{
			name:  "the configuration overrules",
			seen:  []Sighting{named(SourceConfig, "brazil-exit", ""), phone, service, exit, tail("n1", "storage"), tail("n2", "web1"), tail("n3", "web2", tagged("lab"))},
			rules: Rules{Include: []string{"graf*"}, Exclude: []string{"web1", "@tag:lab", "brazil*"}},
			want: `
			brazil-exit id=ts:n7 from=config,tailscale at=tailnet:100.64.0.7 alias=brazil-exit.tail.ts.net tags=exit
			grafana id=ts:n8 from=tailscale at=tailnet:100.64.0.8 alias=grafana.tail.ts.net tags=service
			storage id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=storage.tail.ts.net
			- phone: phone (iOS) (tailscale)
			- web1: excluded by the configuration (tailscale)
			- web2: excluded by the configuration (tailscale)
			`,
		},
		{
			name:  "a name that is excluded is excluded",
			seen:  []Sighting{named(SourceConfig, "old", "192.0.2.1")},
			rules: Rules{Include: []string{"old"}, Exclude: []string{"OLD"}},
			want:  "- old: excluded by the configuration (config)\n",
		},
		{
			name: "a guess gives way to the flake, a fact does not",
			seen: []Sighting{phone, exit, named(SourceFlake, "brazil-exit", ""), named(SourceFlake, "phone", "")},
			want: `
			brazil-exit id=ts:n7 from=tailscale,flake at=tailnet:100.64.0.7 alias=brazil-exit.tail.ts.net tags=exit flake=brazil-exit
			- phone: phone (iOS) (tailscale,flake)
			`,
		},
		{
			name: "a machine that is called like a service node",
			seen: []Sighting{service, named(SourceSSHConfig, "grafana", "192.168.1.7")},
			want: `
			grafana id=name:grafana from=ssh_config at=config:192.168.1.7
			- grafana: service node (tag:service) (tailscale)
			`,
		},
		{
			name: "neighbours on the network are no hosts, until they are included",
			seen: []Sighting{named(SourceMDNS, "printer", "192.168.1.7"), named(SourceMDNS, "pi", "192.168.1.8")}, rules: Rules{Include: []string{"pi"}},
			want: `
			pi id=name:pi from=mdns at=mdns:192.168.1.8
			- printer: seen on the local network only: name it in include to manage it (mdns)
			`,
		},
		{
			name: "a flake's system can be included by name",
			seen: []Sighting{named(SourceFlake, "vm", "")}, rules: Rules{Include: []string{"vm"}},
			want: `
			vm id=name:vm from=flake at=config:vm flake=vm
			`,
		},
	})
}

func TestMergeThisMachine(t *testing.T) {
	debian := func() Sighting {
		return named(SourceLocal, "desk", "", guess("this machine, which is not NixOS"), machineID("m1"))
	}
	nixos := func() Sighting { return named(SourceLocal, "desk", "", machineID("m1")) }
	checkMerge(t, []mergeCase{
		{
			name: "NixOS, in the tailnet under another name",
			seen: []Sighting{tail("n1", "operator", self), nixos()},
			want: `
			operator id=ts:n1 from=tailscale,local at=tailnet:100.64.0.1,local:localhost alias=operator.tail.ts.net,desk machine=m1 local
			`,
		},
		{
			name: "another system",
			seen: []Sighting{tail("n1", "desk", self), debian()},
			want: "- desk: this machine, which is not NixOS (tailscale,local)\n",
		},
		{
			name: "another system that the flake knows better",
			seen: []Sighting{tail("n1", "desk", self), debian(), named(SourceFlake, "desk", "")},
			want: `
			desk id=ts:n1 from=tailscale,local,flake at=tailnet:100.64.0.1,local:localhost alias=desk.tail.ts.net flake=desk machine=m1 local
			`,
		},
		{
			name: "another system that is configured",
			seen: []Sighting{named(SourceConfig, "desk", "10.0.0.1"), debian()},
			want: `
			desk id=name:desk from=config,local at=config:10.0.0.1,local:localhost machine=m1 local
			`,
		},
		{
			name: "without a tailnet",
			seen: []Sighting{nixos(), named(SourceSSHConfig, "desk", "", user("ada"))},
			want: `
			desk id=name:desk from=local,ssh_config at=local:localhost user=ada machine=m1 local
			`,
		},
		{
			name: "another node with this machine's name is not this machine",
			seen: []Sighting{tail("n1", "desk"), tail("n2", "mine", self), nixos()},
			want: `
			desk id=ts:n1 from=tailscale at=tailnet:100.64.0.1 alias=desk.tail.ts.net
			mine id=ts:n2 from=tailscale,local at=tailnet:100.64.0.2,local:localhost alias=mine.tail.ts.net machine=m1 local
			`,
		},
	})
}
