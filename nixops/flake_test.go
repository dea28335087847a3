package nixops

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// As nix 2.8 gave them for applyDeploy and applyColmena.
const (
	deployNodes = `{"dev.ldn":{"autoRollback":null,"confirmTimeout":null,"fastConnection":null,"hostname":"ada@dev-ldn","magicRollback":false,"remoteBuild":null,"sshOpts":["-A"],"sshUser":null,"user":null},
"storage":{"autoRollback":null,"confirmTimeout":60,"fastConnection":true,"hostname":"storage.lan","magicRollback":false,"remoteBuild":true,"sshOpts":["-A","-p","2222"],"sshUser":"root","user":"root"}}`
	colmenaNodes = `{"file":{"allowLocalDeployment":null,"buildOnTarget":null,"tags":[],"targetHost":"file.lan","targetPort":null,"targetUser":"deploy"},
"storage":{"allowLocalDeployment":true,"buildOnTarget":true,"tags":["tier1"],"targetHost":"storage.colmena","targetPort":2222,"targetUser":"deploy"}}`
)

// shapesOfFlake answers as nix does for a flake with all shapes but a hive.
const shapesOfFlake = `case "$*" in
*"#nixosConfigurations "*) echo '["storage","router","dev.ldn"]' ;;
*"#deploy "*) echo '` + deployNodes + `' ;;
*"#colmena "*) echo '` + colmenaNodes + `' ;;
*"#tiers "*) echo '{"tier2":["router","storage","a\"b"],"tier1":["storage"]}' ;;
*) echo "@nix {\"action\":\"msg\",\"level\":0,\"msg\":\"error: flake 'path:/x' does not provide attribute 'colmenaHive.deploymentConfig'\"}" >&2; exit 1 ;;
esac
`

func TestHostsOfAFlake(t *testing.T) {
	fakeNix(t, shapesOfFlake)
	hosts, unread := Flake{Ref: "/x"}.Hosts(t.Context(), nil)
	if len(unread) != 0 {
		t.Errorf("%v", unread)
	}
	want := []FlakeHost{
		{Attr: "dev.ldn", Hostname: "dev-ldn", User: "ada", SSHOptions: []string{"-A"}, Options: map[string]string{"magicRollback": "false"}, From: []string{fleet.FromSystems, fleet.FromDeploy}},
		{Attr: "file", Hostname: "file.lan", User: "deploy", From: []string{fleet.FromColmena}},
		{Attr: "router", Tier: "tier2", From: []string{fleet.FromSystems, fleet.FromTiers}},
		{
			Attr: "storage", Hostname: "storage.lan", User: "root", Port: 2222, Tags: []string{"tier1"}, Tier: "tier1", BuildOnTarget: true, ConfirmTimeout: time.Minute,
			SSHOptions: []string{"-A", "-p", "2222"}, From: []string{fleet.FromSystems, fleet.FromDeploy, fleet.FromColmena, fleet.FromTiers},
			Options: map[string]string{"magicRollback": "false", "fastConnection": "true", "user": "root", "allowLocalDeployment": "true"},
		},
	}
	if !reflect.DeepEqual(hosts, want) {
		t.Errorf("got  %+v\nwant %+v", hosts, want)
	}
	if hosts[1].System() || !hosts[3].System() {
		t.Error("what is built is what stands in nixosConfigurations")
	}
}

func TestOneShapeThatFailsHidesNoOther(t *testing.T) {
	fakeNix(t, strings.Replace(shapesOfFlake, `*"#deploy "*)`, `*"#deploy "*) echo "error: boom" >&2; exit 1 ;;
*"#nothing "*)`, 1))
	hosts, unread := Flake{Ref: "/x"}.Hosts(t.Context(), nil)
	if len(unread) != 1 || unread[0].Error() != "reading deploy.nodes of /x: boom" {
		t.Errorf("%v", unread)
	}
	if len(hosts) != 4 || hosts[3].Hostname != "storage.colmena" || hosts[3].Port != 2222 {
		t.Errorf("%+v", hosts)
	}
}

func TestTheHiveIsBelievedBeforeColmena(t *testing.T) {
	fakeNix(t, `case "$*" in
*"#colmenaHive.deploymentConfig "*) echo '{"storage":{"targetHost":"of.hive"}}' ;;
*"#colmena "*) echo '{"storage":{"targetHost":"of.modules"},"other":{}}' ;;
*) echo "error: flake does not provide attribute" >&2; exit 1 ;;
esac`)
	hosts, unread := Flake{Ref: "/x"}.Hosts(t.Context(), nil)
	if len(unread) != 0 || len(hosts) != 1 || hosts[0].Hostname != "of.hive" {
		t.Errorf("%+v, %v", hosts, unread)
	}
}

func TestNothingOfAFlakeCanBeRead(t *testing.T) {
	fakeNix(t, "echo 'error: no such flake' >&2; exit 1")
	if hosts, unread := (Flake{Ref: "/x"}).Hosts(t.Context(), nil); len(hosts) != 0 || len(unread) != len(shapes) {
		t.Errorf("%v, %v", hosts, unread)
	}
}

func TestOf(t *testing.T) {
	system := []string{fleet.FromSystems}
	flake := []FlakeHost{
		{Attr: "storage", From: system},
		{Attr: "dev.ldn", Hostname: "dev-ldn", From: system},
		{Attr: "gate", Hostname: "10.0.0.1", Port: 22, From: system},
		{Attr: "gate-initrd", Hostname: "10.0.0.1", Port: 2222, From: system},
		{Attr: "hive", Hostname: "hive.lan", From: []string{fleet.FromColmena}},
		{Attr: "ai", Hostname: "Desk.TS.net", From: system},
		{Attr: "ai-niri", Hostname: "desk.ts.net", From: system},
	}
	at := func(name string, port int) []fleet.Address { return []fleet.Address{{Host: name, Port: port}} }
	for _, c := range []struct {
		host fleet.Host
		want string
		err  string
	}{
		{fleet.Host{Name: "storage"}, "storage", ""},
		{fleet.Host{Name: "box", Flake: "storage"}, "storage", ""},
		{fleet.Host{Name: "dev-ldn"}, "dev.ldn", ""},
		{fleet.Host{Name: "x", Aliases: []string{"dev-ldn."}}, "dev.ldn", ""},
		{fleet.Host{Name: "router", Addresses: at("10.0.0.1", 22)}, "gate", ""},
		{fleet.Host{Name: "router", Addresses: at("10.0.0.1", 0)}, "", "deploys gate, gate-initrd to it"},
		{fleet.Host{Name: "desk", Aliases: []string{"desk.ts.net"}}, "", "deploys ai, ai-niri to it"},
		{fleet.Host{Name: "hive", Addresses: at("hive.lan", 0)}, "", "no host of that name"},
		{fleet.Host{Name: "dev-ldn", Flake: "storag"}, "", `did you mean "storage"`},
	} {
		got, err := Of(c.host, flake)
		if got.Attr != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: %q, %v", c.host, got.Attr, err)
		}
	}
}

func FuzzFlakeHosts(f *testing.F) {
	f.Add([]byte(deployNodes))
	f.Add([]byte(colmenaNodes))
	f.Add([]byte(`["a","\u001b","b\""]`))
	f.Add([]byte(`{"a":{"hostname":"x@[::1]:99999","sshOpts":["-p"],"confirmTimeout":-1,"targetPort":-1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range shapes {
			hosts, _ := s.parse(b)
			for name, h := range hosts {
				text := name + h.Hostname + h.User + strings.Join(h.Tags, "") + strings.Join(h.SSHOptions, "")
				if text != fleet.Clean(text) || h.Port < 0 || h.Port > 65535 || h.ConfirmTimeout < 0 {
					t.Errorf("%q: %+v", name, h)
				}
			}
		}
	})
}

// TestWhatIsKnownOfAFlakeIsToldAsItComes: the names before what takes longer.
func TestWhatIsKnownOfAFlakeIsToldAsItComes(t *testing.T) {
	fakeNix(t, `case "$*" in
*"#nixosConfigurations "*) echo '["storage"]' ;;
*"#deploy "*) sleep 0.5; echo '{"storage":{"hostname":"storage.lan"}}' ;;
*) echo "error: flake does not provide attribute" >&2; exit 1 ;;
esac`)
	var told [][]FlakeHost
	hosts, err := Flake{Ref: "/x"}.Systems(t.Context(), func(h []FlakeHost) { told = append(told, h) })
	if err != nil || len(hosts) != 1 || hosts[0].Hostname != "storage.lan" {
		t.Errorf("%+v, %v", hosts, err)
	}
	if len(told) == 0 || len(told[0]) != 1 || told[0][0].Attr != "storage" || told[0][0].Hostname != "" {
		t.Errorf("told %+v", told)
	}
}

func TestSSHWay(t *testing.T) {
	for _, c := range []struct {
		opts []string
		want FlakeHost
	}{
		{[]string{"-A"}, FlakeHost{}},
		{[]string{"-A", "-p", "2222", "-i", "~/.ssh/fleet", "-J", "ada@gate:22"}, FlakeHost{Port: 2222, Identity: "~/.ssh/fleet", Jump: "ada@gate:22"}},
		{[]string{"-p2222", "-lada"}, FlakeHost{Port: 2222, User: "ada"}},
		{[]string{"-o", "Port=2222", "-oProxyJump=gate", "-o", "identityfile ~/k"}, FlakeHost{Port: 2222, Jump: "gate", Identity: "~/k"}},
		{[]string{"-o", "StrictHostKeyChecking=no", "-o", "nonsense", "-p"}, FlakeHost{}},
		{[]string{"-J", "-oProxyCommand=evil"}, FlakeHost{}},
	} {
		if got := sshWay(c.opts); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v, want %+v", c.opts, got, c.want)
		}
	}
	if got := unheeded(FlakeHost{Options: map[string]string{"magicRollback": "false", "autoRollback": "true", "user": "root"}}); len(got) != 1 || !strings.Contains(got[0], "magicRollback") {
		t.Errorf("%q", got)
	}
}
