package services

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// runDNS runs the script with a systemctl that tells these commands of units.
func runDNS(t *testing.T, commands map[string]string, what ...string) dnsTold {
	t.Helper()
	dir := t.TempDir()
	fake := "#!/bin/sh\ncase \"$*\" in\n"
	for unit, args := range commands {
		fake += "*ExecStart*" + unit + ") echo '{ path=/bin/x ; argv[]=" + args + " ; ignore_errors=no ; start_time=[n/a] ; pid=1 }' ;;\n"
	}
	fake += "*MainPID*) echo 0 ;;\nesac\n"
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte(fake), 0o755); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", dnsScript, "sextant", "MARK"}, what...)...)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter2", "token="} {
		if strings.Contains(string(out), secret) {
			t.Errorf("%s has left the host:\n%s", secret, out)
		}
	}
	told := parseDNS(string(out), "MARK")
	if told.err != nil {
		t.Fatal(told.err)
	}
	return told
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config file.yaml")
	if err := os.WriteFile(strings.ReplaceAll(path, " ", "-"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(path, " ", "-")
}

const wholeConfig = `# password: hunter2
upstreams:
  groups:
    default:
    - https://dns.example/?token=hunter2
blocking:
  denylists:
    ads:
    - https://lists.example/?token=hunter2
  loading:
    refreshPeriod: 24h # token=hunter2
  refreshPeriod: 1h
"ports": # token=hunter2
  # hunter2
  dns: 53
  http: # hunter2
  - 127.0.0.1:4001	# hunter2
redis:
  password: hunter2
  http: 1
prometheus:
  enable: true # hunter2
  path: /m #hunter2
queryLog:
  target: db://user:hunter2@x/
`

// TestTheScriptReadsOnlyWhatIsNeeded: of a configuration of Blocky's ports, metrics and
// the period leave the host, and nothing of what may be secret.
func TestTheScriptReadsOnlyWhatIsNeeded(t *testing.T) {
	for _, option := range []string{"--config ", "--config=", "-c "} {
		told := runDNS(t, map[string]string{"blocky.service": "/nix/store/x-blocky/bin/blocky serve " + option + file(t, wholeConfig)}, "blocky")
		s := server{DNSServer: fleet.DNSServer{Kind: "blocky", Unit: "blocky.service"}}
		if err := s.place(fleet.State{}, told); err != nil || len(s.at) != 1 || s.at[0] != "127.0.0.1:4001" || s.metrics != "/m" || s.period.Duration() != 24*time.Hour {
			t.Errorf("%s: %+v %v\n%v", option, s, err, told)
		}
	}
}

func TestConfigurationsThatAreNotRead(t *testing.T) {
	for want, args := range map[string]string{
		"names no file":        "/bin/blocky",
		"is a folder":          "/bin/blocky --config " + t.TempDir(),
		"cannot be read":       "/bin/blocky --config /nonexistent/x",
		"not written in lines": "/bin/blocky --config " + file(t, `{"ports":{"http":4000},"redis":{"password":"hunter2"}}`),
	} {
		told := runDNS(t, map[string]string{"blocky.service": args}, "blocky")
		if !strings.Contains(told.one("blocky-unread"), want) || told.one("blocky-file") != "" {
			t.Errorf("%s: %v", args, told.lines)
		}
	}
}

func TestTheScriptReadsAvahi(t *testing.T) {
	conf := file(t, "[server]\nhost-name=nas\ndomain-name=lan\nallow-interfaces=eth0, eth1\n[publish]\n publish-addresses = yes\npublish-aaaa-on-ipv4=hunter2\n")
	told := runDNS(t, map[string]string{"avahi-daemon.service": "/bin/avahi-daemon --syslog -f " + conf}, "avahi")
	m := told.avahi()
	if m.Wanted != "nas.lan" || len(m.Links) != 2 || m.Links[1] != "eth1" || m.Publishes != nil || m.Why == "" {
		t.Errorf("%+v", m) // its process is not there: its name is not known
	}
}

func said(lines ...string) dnsTold {
	out := ""
	for _, l := range append(lines, "end") {
		out += "MARK " + l + "\n"
	}
	return parseDNS(out, "MARK")
}

func TestNamesOfAvahi(t *testing.T) {
	for _, c := range []struct {
		title, conf string
		name, word  string
	}{
		{"avahi-daemon: running [storage.local]  ", "host-name=storage", "storage.local", "published"},
		{"avahi-daemon: running [storage-2.local]", "host-name=storage", "storage-2.local", "conflict: storage.local is another's"},
		{"avahi-daemon: running [storage-3.local]", "", "storage-3.local", "conflict: storage.local is another's"},
		{"avahi-daemon: running [nas.local]", "host-name=nas", "nas.local", "published"},
		{"avahi-daemon: running [web-1.local]", "host-name=web-1", "web-1.local", "published"},
		{"avahi-daemon: running [web-2.local]", "host-name=web-1", "web-2.local", "conflict: web-1.local is another's"},
		{"avahi-daemon: registering [storage.local]", "", "storage.local", "registering"},
		{"avahi-daemon: running [storage.local]", "disable-publishing=yes", "storage.local", "not published: disable-publishing (NixOS: services.avahi.publish.enable)"},
		{"avahi-daemon: running [storage.local]", "publish-addresses=no", "storage.local", "not published: publish-addresses=no"},
		{"", "", "", "unknown: its process does not tell its name"},
		{"avahi-daemon: running [\x1b[31mx.local]", "", "x.local", "published"},
	} {
		m := said("hostname storage", "avahi-title "+c.title, "avahi "+c.conf, "avahi-file /etc/avahi/avahi-daemon.conf").avahi()
		if m.Name != c.name || m.Word() != c.word {
			t.Errorf("%q: %q, %q, want %q, %q", c.title, m.Name, m.Word(), c.name, c.word)
		}
	}
	if m := said("avahi-title avahi-daemon: running [a.local]").avahi(); m.Publishes != nil || !strings.Contains(m.Word(), "configuration could not be read") {
		t.Errorf("%+v", m)
	}
}

func TestNamesOfResolved(t *testing.T) {
	yes := []string{"hostname web", "resolved Global: yes", "resolved Link 2 (eth0): yes", "resolved Link 3 (wg0): no"}
	m, on := said(append(yes, `resolved-name s "web"`)...).resolved()
	if !on || m.Name != "web.local" || m.Word() != "published" || len(m.Links) != 1 || m.Links[0] != "eth0" {
		t.Errorf("%+v", m)
	}
	if m, on = said(append(yes, `resolved-name s "web7"`)...).resolved(); !on || !m.Conflict {
		t.Errorf("%+v", m)
	}
	if _, on = said("hostname web", "resolved Global: yes", "resolved Link 2 (eth0): no").resolved(); on {
		t.Error("it answers on no link")
	}
	if _, on = said("hostname web", "resolved Global: no", "resolved Link 2 (eth0): yes").resolved(); on {
		t.Error("it is off for all links")
	}
	if m, on = said("hostname web").resolved(); !on || m.Publishes != nil || m.Why == "" {
		t.Errorf("%+v", m)
	}
	st := fleet.State{Units: fleet.Known([]fleet.Unit{{Name: "systemd-resolved.service", Active: "active"}}, time.Now(), "probe")}
	if f := namesFact(st, said("resolved Global: no")); !f.None {
		t.Errorf("%+v", f)
	}
	if f := namesFact(st, dnsTold{err: os.ErrDeadlineExceeded}); f.None || f.Err == "" {
		t.Errorf("%+v", f)
	}
}
