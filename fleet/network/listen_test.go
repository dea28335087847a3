package network

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web/webtest"
)

func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// told is a line of each listener.
func told(list []fleet.Listener) string {
	var b strings.Builder
	for _, l := range list {
		fmt.Fprintf(&b, "%s %s %d %s %s%s %s\n", l.Proto, l.Address, l.Port, l.Process, l.User, l.Unit, fleet.Short(l.Container, 5))
	}
	return b.String()
}

// TestListens: what ss of iproute2 6.15 says on a host with rootful containers is
// read whole, with units and containers.
func TestListens(t *testing.T) {
	l := &webtest.Link{Name: "storage", Do: func(_ context.Context, cmd link.Command) (link.Result, error) {
		mark := cmd.Args[len(cmd.Args)-1]
		return link.Result{Stdout: []byte(strings.ReplaceAll(sample(t, "listen-storage.txt"), "MARK", mark))}, nil
	}}
	f := Listens(t.Context(), l)
	got := told(f.Value)
	for _, want := range []string{
		"tcp 127.0.0.1 2019 caddy caddy.service \n", "tcp * 80 caddy caddy.service \n", "tcp 0.0.0.0 8096 conmon podman-jellyfin.service \n",
		"tcp 127.0.0.1 8090 conmon  d5b6…\n", "udp :: 41641 tailscaled tailscaled.service \n", "tcp fd7a:115c:a1e0:ab12:4843:cd96:6240:b 36186 tailscaled tailscaled.service \n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if len(f.Value) != 15 || f.Source != "ss" {
		t.Errorf("%d listeners by %s", len(f.Value), f.Source)
	}
	st := fleet.State{Listens: f}
	if at, ok := st.ListenerAt("tcp", "localhost", 8096); !ok || at.Unit != "podman-jellyfin.service" {
		t.Errorf("%+v", at)
	}
	if _, ok := st.ListenerAt("tcp", "10.77.0.11", 2019); ok {
		t.Error("a loopback listener is reached by another address")
	}
}

// TestProc: without ss the kernel's tables tell, without processes.
func TestProc(t *testing.T) {
	out := "\nM tcp\n  sl  local_address rem_address   st\n" +
		"   0: 00000000:1FA0 00000000:0000 0A 0\n   1: 0100007F:07E3 00000000:0000 0A 0\n   2: 0100007F:07E4 0100007F:1111 01 0\n" +
		"\nM tcp6\n   0: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 0\n" +
		"\nM udp\n   0: 0B004D0A:0035 00000000:0000 07 0\n\nM end\n"
	list, source, err := parseListens(out, "M")
	if want := "tcp ::1 22   \ntcp 127.0.0.1 2019   \ntcp 0.0.0.0 8096   \nudp 10.77.0.11 53   \n"; err != nil || source != "/proc/net" || told(list) != want {
		t.Errorf("%s %v\n%s", source, err, told(list))
	}
	if _, _, err := parseListens(strings.TrimSuffix(out, "M end\n"), "M"); err == nil {
		t.Error("half an answer is taken for a whole one")
	}
}

// TestGroup: to whom a process belongs is read out of its cgroup, of either kind.
func TestGroup(t *testing.T) {
	id := strings.Repeat("ab", 32)
	for line, want := range map[string]group{
		"0::/system.slice/caddy.service":                                                          {unit: "caddy.service"},
		"1:name=systemd:/system.slice/system-x.slice/x@1.service":                                 {unit: "x@1.service"},
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/notes.service":                {unit: "notes.service", user: "1000"},
		"0::/machine.slice/libpod-conmon-" + id + ".scope":                                        {container: id},
		"0::/machine.slice/libpod-" + id + ".scope/container":                                     {container: id},
		"0::/system.slice/docker-" + id + ".scope":                                                {container: id},
		"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id + ".scope":     {container: id, user: "1000"},
		"0::/system.slice/podman-x.service/libpod-payload-" + id:                                  {unit: "podman-x.service", container: id},
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.kde.dolphin-77.scope": {scope: "app-org.kde.dolphin-77.scope", user: "1000"},
		"0::/user.slice/user-1000.slice/session-3.scope":                                          {scope: "session-3.scope", user: "1000"},
		"0::/machine.slice/machine-qemu\\x2d1\\x2dhaos.scope/libvirt/emulator":                    {scope: "machine-qemu\\x2d1\\x2dhaos.scope"},
		"0::/machine.slice/container@web.service/payload/system.slice/nginx.service":              {unit: "container@web.service"},
		"0::/system.slice/container@web.service/supervisor":                                       {unit: "container@web.service"},
		"0::/user.slice/user-1000.slice/user@1000.service/init.scope":                             {}, "0::/init.scope": {}, "": {}, "rubbish": {},
	} {
		if got := readGroup(line); got != want {
			t.Errorf("%s: %+v, want %+v", line, got, want)
		}
	}
}

func FuzzListens(f *testing.F) {
	f.Add(sample(f, "listen-storage.txt"))
	f.Add(sample(f, "listen-media.txt"))
	f.Fuzz(func(t *testing.T, out string) {
		list, _, err := parseListens(out, "MARK")
		if err != nil {
			return
		}
		for _, l := range list {
			if l.Process != fleet.Clean(l.Process) || l.Unit != fleet.Clean(l.Unit) {
				t.Errorf("%+v", l)
			}
		}
	})
}
