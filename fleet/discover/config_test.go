package discover

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

func TestConfigFull(t *testing.T) {
	t.Setenv("HOME", "/home/ada")
	c, err := LoadConfig("testdata/config/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Hosts) != 2 || c.Hosts[0].Become != fleet.BecomeSudo || !c.ReadOnly || on(c.Sources.MDNS) || !on(c.Sources.Flake) ||
		c.UI.Keys["rollback"] != "R" || *c.UI.Mouse || c.Limits.Backups["home"].Or(0) != 48*time.Hour {
		t.Errorf("misread: %+v", c)
	}
	got := fromConfig(c)
	hosts, _ := Merge(got, c.Rules(), nil)
	want := "storage id=name:storage from=config at=config:10.77.0.11,config:storage.lan#2222,config:fd00::1,config:fd00::2#22" +
		" tags=tier1 user=root port=22 jump=bastion identity=/home/ada/.ssh/id_ed25519 become=sudo flake=storage\n" +
		"web id=name:web from=config at=config:web\n"
	if text := render(hosts, nil); text != want {
		t.Errorf("got:\n%swant:\n%s", text, want)
	}
	if f := c.file("key"); f != filepath.Join("testdata/config", "key") {
		t.Errorf("a relative file is %q", f)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "inclde = []\n", `c:1: unknown key "inclde"; did you mean "include"?`},
		{"unknown key of a host", "[[host]]\nname = \"a\"\nadress = [\"1.2.3.4\"]\n", `c:3: unknown key "host.adress"; did you mean "addresses"?`},
		{"unknown table", "[tailscail]\nsocket = \"x\"\n", `c:1: unknown key "tailscail"; did you mean "tailscale"?`},
		{"unknown key, nothing near", "zzzzzzzzz = 1\n", `c:1: unknown key "zzzzzzzzz"`},
		{"a secret does not belong here", "[tailscale]\napi_key = \"tskey\"\n", `c:2: unknown key "tailscale.api_key"; did you mean "api_key_file"?`},
		{"several", "flak = \"\"\n[ui]\ntema = 1\n", "c:1: unknown key \"flak\"; did you mean \"flake\"?\nc:3: unknown key \"ui.tema\"; did you mean \"theme\"?"},
		{"text for a number", "[[host]]\nname = \"a\"\nport = \"22\"\n", `c:3: "host.port" must be a whole number`},
		{"number for text", "[ui]\n\ntheme = 3\n", `c:3: "ui.theme" must be text in quotes`},
		{"text for a list", "include = \"a\"\n", `c:1: "include" must be a list of texts in quotes`},
		{"text for yes", "read_only = \"yes\"\n", `c:1: "read_only" must be true or false`},
		{"pointer", "[sources]\nmdns = 1\n", `c:2: "sources.mdns" must be true or false`},
		{"a number for a duration", "[limits.backups]\nhome = 10\n", `c:2: "limits.backups.home" must be a duration in quotes, such as "90s"`},
		{"no duration", "[limits.backups]\nhome = \"ten\"\n", `c:2: "ten" is not a duration such as "90s" or "48h"`},
		{"a value for a table", "tailscale = 3\n", `c:1: "tailscale" must be a table`},
		{"a table for hosts", "host = 3\n", `c:1: "host" must be a list of tables`},
		{"not TOML", "[[host]\nname = \"a\"\n", "c:1: "},
		{"twice", "flake = \"a\"\nflake = \"b\"\n", "c:2: "},
		{"no name", "[[host]]\nname = \"a\"\n\n[[host]]\nport = 3\n", "c:4: a [[host]] has no name"},
		{"no possible name", "[[host]]\nname = \"-oProxyCommand=x\"\n", `c:2: "-oProxyCommand=x" cannot be a host's name: letters, digits, dashes and dots`},
		{"same name", "[[host]]\nname = \"a\"\n[[host]]\nname = \"A\"\n", `c:4: a second [[host]] is called "A"`},
		{"port", "[[host]]\nname = \"a\"\nport = 70000\n", "c:3: port 70000 is not between 1 and 65535"},
		{"become", "[[host]]\nname = \"a\"\nbecome = \"su\"\n", `c:3: become = "su": it is one of auto, none, sudo, doas, run0`},
		{"address", "[[host]]\nname = \"a\"\naddresses = [\"a b\"]\n", `c:3: "a b" is not an address: an IP address or a name, with :port where it is not the usual one`},
		{"address port", "[[host]]\nname = \"a\"\naddresses = [\"a:99999\"]\n", `c:3: address "a:99999": port "99999" is not between 1 and 65535`},
		{"option as user", "[[host]]\nname = \"a\"\nuser = \"-l\"\n", `c:3: user = "-l" cannot be meant`},
		{"pattern", "exclude = [\"[a\"]\n", `c:1: "[a" is not a pattern: a name, a glob such as "web*", or @tag`},
		{"oauth", "[tailscale]\noauth_client_id = \"x\"\n", "c:2: oauth_client_id needs oauth_client_secret_file or oauth_client_secret_env"},
		{"url", "[tailscale]\napi_url = \"api.tailscale.com\"\n", `c:2: "api.tailscale.com" is not a URL such as https://api.tailscale.com`},
		{"inline table", "host = [{name = \"a\", port = -1}]\n", "c:1: port -1 is not between 1 and 65535"},
		{"meant nothing", "[[meant]]\nhost = \"a\"\n", "c:1: a [[meant]] has neither a port nor a name"},
		{"meant port", "[[meant]]\nport = \"443\"\n", `c:2: "443" is not a port: tcp/443, udp/60000-61000, or ipv6 of a router`},
		{"meant name", "[[meant]]\nname = \"https://a.example\"\n", `c:2: "https://a.example" is not a name such as photos.example.org or *.example.org`},
		{"meant host", "[[meant]]\nport = \"ipv6\"\nhost = \"a b\"\n", `c:3: "a b" cannot be a host's name: letters, digits, dashes and dots`},
		{"key", "[ui.keys]\nrollback = \"\"\n", `c:2: no key is named for "rollback"`},
		{"several values", "include = [\"\"]\n[[host]]\nname = \"a\"\nport = -1\n", "c:4: port -1 is not between 1 and 65535\nc:1: \"\" is not a pattern: a name, a glob such as \"web*\", or @tag"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseConfig("c", []byte(c.text))
			if err == nil {
				t.Fatal("accepted")
			}
			if got := err.Error(); got != c.want && (!strings.HasSuffix(c.want, " ") || !strings.HasPrefix(got, c.want) || strings.Contains(got, "\n")) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestConfigPlaces(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "xdg"))
	t.Setenv("XDG_CONFIG_DIRS", filepath.Join(dir, "etc"))
	t.Setenv("SEXTANT_CONFIG", "")
	flake := func(named string) string {
		t.Helper()
		c, err := LoadConfig(named)
		if err != nil {
			return err.Error()
		}
		return c.Flake
	}
	if got := flake(""); got != "" {
		t.Errorf("without a file: %q", got)
	}
	if got := DefaultConfigPath(); got != filepath.Join(dir, "xdg", configName) {
		t.Errorf("a new file would be %q", got)
	}
	write("etc/"+configName, `flake = "system"`)
	if got := flake(""); got != "system" {
		t.Errorf("the system's: %q", got)
	}
	write("xdg/"+configName, `flake = "mine"`)
	if got := flake(""); got != "mine" {
		t.Errorf("the person's: %q", got)
	}
	t.Setenv("SEXTANT_CONFIG", write("env.toml", `flake = "env"`))
	if got := flake(""); got != "env" {
		t.Errorf("the environment's: %q", got)
	}
	if got := flake(write("named.toml", `flake = "named"`)); got != "named" {
		t.Errorf("the named one: %q", got)
	}
	if got := flake(filepath.Join(dir, "missing")); !strings.Contains(got, "no such file") {
		t.Errorf("a named file that is missing: %q", got)
	}
	t.Setenv("SEXTANT_CONFIG", filepath.Join(dir, "missing"))
	if got := flake(""); got != "" {
		t.Errorf("the environment names a missing file: %q", got)
	}
}

func FuzzConfig(f *testing.F) {
	full, err := os.ReadFile("testdata/config/full.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add([]byte("[[host]]\nname = \"a\"\n[a.b]\nc.d = {e = 1}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseConfig("c", text)
		if (c == nil) == (err == nil) {
			t.Fatal("neither a configuration nor an error, or both")
		}
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "c:") || line != fleet.Clean(line) {
					t.Errorf("not told where, or not clean: %q", line)
				}
			}
			return
		}
		Merge(fromConfig(c), c.Rules(), nil)
	})
}

func TestFlakeRef(t *testing.T) {
	t.Setenv("HOME", "/home/ada")
	for ref, want := range map[string]string{
		"": "", "~/nixos": "/home/ada/nixos", "./nixos": "/etc/sextant/nixos", "/etc/nixos": "/etc/nixos", "github:ada/nixos": "github:ada/nixos",
	} {
		c := Config{Flake: ref, Path: "/etc/sextant/config.toml"}
		if got := c.FlakeRef(); got != want {
			t.Errorf("%q: %q, want %q", ref, got, want)
		}
	}
}

// TestDeployConfig: what cannot be meant in [deploy] is told with its line.
func TestDeployConfig(t *testing.T) {
	for text, want := range map[string]string{
		"[deploy]\nconfirm = \"soon\"\n":             `c.toml:2: "soon" is not a duration`,
		"[deploy]\nconfirm = 120\n":                  `c.toml:2: "deploy.confirm" must be a duration in quotes`,
		"[deploy]\ncheck = \"-1s\"\n":                `c.toml:2: "-1s" is not a duration`,
		"[deploy]\nreboot = \"10ms\"\n":              `c.toml:2: "10ms" is less than a second`,
		"[deploy]\nconfirms = \"2m\"\n":              `did you mean "confirm"?`,
		"[deploy]\nbuild_here = \"no\"\n":            `"deploy.build_here" must be true or false`,
		"[[host]]\nname = \"a\"\nrole = \"nas\"\n":   `c.toml:3: role = "nas": it is one of router, storage, cloud, edge, desktop, none`,
		"[[host]]\nname = \"a\"\ntier = \"-1\"\n":    `c.toml:3: "-1" cannot be a tier`,
		"[[host]]\nname = \"a\"\nbuild = \"here\"\n": `c.toml:3: build = "here": it is "never", or left out`,
	} {
		if _, err := ParseConfig("c.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestCloudflareToken: it comes from where it is named, else from the environment;
// one that is named and not there is an error.
func TestCloudflareToken(t *testing.T) {
	t.Setenv("CLOUDFLARE_API_TOKEN", "")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		conf      CloudflareConfig
		env, want string
		bad       bool
	}{
		{}, {env: "from-env", want: "from-env"}, {conf: CloudflareConfig{TokenFile: file}, env: "from-env", want: "from-file"},
		{conf: CloudflareConfig{TokenFile: file + "x"}, bad: true}, {conf: CloudflareConfig{TokenEnv: "NO_SUCH_TOKEN"}, bad: true},
	} {
		t.Setenv("CLOUDFLARE_API_TOKEN", tt.env)
		got, err := (&Config{Cloudflare: tt.conf}).CloudflareToken()
		if got != tt.want || (err != nil) != tt.bad {
			t.Errorf("%+v: %q, %v", tt.conf, got, err)
		}
	}
}

// TestGrafanaToken: it is shown to the host that it is for, and to no other.
func TestGrafanaToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		conf       MonitoringConfig
		host, want string
		bad        bool
	}{
		{MonitoringConfig{GrafanaHost: "storage", GrafanaTokenFile: file}, "storage", "secret", false},
		{MonitoringConfig{GrafanaHost: "storage", GrafanaTokenFile: file}, "laptop", "", false},
		{MonitoringConfig{GrafanaTokenFile: file}, "storage", "", false},
		{MonitoringConfig{GrafanaHost: "storage", GrafanaTokenFile: file + "x"}, "storage", "", true},
		{MonitoringConfig{GrafanaHost: "storage", GrafanaTokenEnv: "NO_SUCH_TOKEN"}, "storage", "", true},
		{MonitoringConfig{}, "", "", false},
	} {
		got, err := (&Config{Monitoring: tt.conf}).GrafanaToken(tt.host)
		if got != tt.want || (err != nil) != tt.bad {
			t.Errorf("%+v for %q: %q, %v", tt.conf, tt.host, got, err)
		}
	}
}
