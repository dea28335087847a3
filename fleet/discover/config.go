package discover

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/adrg/xdg"
	"github.com/pelletier/go-toml/v2"

	"github.com/sextant-fleet/sextant/fleet"
)

// Config is the configuration file of Sextant. Every key is optional; the
// zero Config is the one of a person who has no file.
type Config struct {
	Path string `toml:"-"` // where it was read from; "" there is no file

	Hosts      []HostConfig     `toml:"host"`
	Include    []string         `toml:"include"`   // patterns of names, or @tag: these are hosts
	Exclude    []string         `toml:"exclude"`   // patterns of names, or @tag: these are not
	Flake      string           `toml:"flake"`     // flake reference whose systems are the fleet's
	ReadOnly   bool             `toml:"read_only"` // no action that changes a host
	Tailscale  TailscaleConfig  `toml:"tailscale"`
	Sources    SourcesConfig    `toml:"sources"`
	UI         UIConfig         `toml:"ui"`
	Limits     LimitsConfig     `toml:"limits"`
	Deploy     DeployConfig     `toml:"deploy"`
	Cloudflare CloudflareConfig `toml:"cloudflare"`
	Trace      TraceConfig      `toml:"trace"`
	Meant      []MeantConfig    `toml:"meant"`
	Monitoring MonitoringConfig `toml:"monitoring"`
}

// HostConfig is a [[host]] of the configuration.
type HostConfig struct {
	Name      string       `toml:"name"`
	Addresses []string     `toml:"addresses"` // host or host:port, beside what discovery found
	User      string       `toml:"user"`
	Port      int          `toml:"port"`
	Jump      string       `toml:"jump"`
	Identity  string       `toml:"identity"`
	Become    fleet.Become `toml:"become"`
	Tags      []string     `toml:"tags"`
	Flake     string       `toml:"flake"`
	Checks    []string     `toml:"checks"`
	Build     string       `toml:"build"` // "never": no system is built there
	Role      fleet.Role   `toml:"role"`  // "none": it has none, whatever else says one
	Tier      string       `toml:"tier"`
}

// TailscaleConfig is [tailscale]: how the local daemon and the control plane
// are reached. Secrets are named by file or environment variable, never written here.
type TailscaleConfig struct {
	Socket          string   `toml:"socket"`
	ServiceTags     []string `toml:"service_tags"` // nodes with these tags are services, not machines; replaces the built-in list
	Tailnet         string   `toml:"tailnet"`      // "" the one the credential belongs to
	APIURL          string   `toml:"api_url"`      // "" https://api.tailscale.com
	APIKeyFile      string   `toml:"api_key_file"`
	APIKeyEnv       string   `toml:"api_key_env"`
	OAuthClientID   string   `toml:"oauth_client_id"`
	OAuthSecretFile string   `toml:"oauth_client_secret_file"`
	OAuthSecretEnv  string   `toml:"oauth_client_secret_env"`
}

// CloudflareConfig is [cloudflare]: how its API is asked. The token is named by file
// or environment variable, never written here.
type CloudflareConfig struct {
	TokenFile string `toml:"token_file"`
	TokenEnv  string `toml:"token_env"`
	APIURL    string `toml:"api_url"` // "" Cloudflare's own
}

// TraceConfig is [trace].
type TraceConfig struct {
	Resolver string `toml:"resolver"` // the public name server that is asked: address or address:port
}

// MeantConfig is a [[meant]]: a port or a name that is meant to be reached from the
// internet.
type MeantConfig struct {
	Host string `toml:"host"` // "" any
	Port string `toml:"port"` // "tcp/443", "udp/60000-61000", "ipv6"
	Name string `toml:"name"` // "photos.example.org", "*.example.org"
	Why  string `toml:"why"`
}

// MeantList is what the configuration says is meant to be reached from the internet.
func (c *Config) MeantList() []fleet.Meant {
	var list []fleet.Meant
	for _, m := range c.Meant {
		list = append(list, fleet.Meant{Host: m.Host, Port: m.Port, Name: m.Name, Why: m.Why})
	}
	return list
}

// MonitoringConfig is [monitoring]: the token that Grafana wants, named by file or
// environment variable, and the one host that it is shown to.
type MonitoringConfig struct {
	GrafanaHost      string `toml:"grafana_host"`
	GrafanaTokenFile string `toml:"grafana_token_file"`
	GrafanaTokenEnv  string `toml:"grafana_token_env"`
}

// GrafanaToken reads the token for the Grafana of a host; "" there is none for it.
func (c *Config) GrafanaToken(host string) (string, error) {
	if m := c.Monitoring; m.GrafanaHost != "" && strings.EqualFold(m.GrafanaHost, host) {
		return secretOf("the token for Grafana", m.GrafanaTokenFile, m.GrafanaTokenEnv, c.file)
	}
	return "", nil
}

// CloudflareToken reads the token for Cloudflare's API; "" there is none.
func (c *Config) CloudflareToken() (string, error) {
	token, err := secretOf("the token for Cloudflare", c.Cloudflare.TokenFile, c.Cloudflare.TokenEnv, c.file)
	if err != nil {
		return "", err
	}
	return cmp.Or(token, strings.TrimSpace(os.Getenv("CLOUDFLARE_API_TOKEN"))), nil
}

// SourcesConfig is [sources]: which sources are asked. All are, unless set to false.
type SourcesConfig struct {
	Tailscale *bool `toml:"tailscale"`
	Control   *bool `toml:"control"`
	Local     *bool `toml:"local"`
	Flake     *bool `toml:"flake"`
	SSHConfig *bool `toml:"ssh_config"`
	MDNS      *bool `toml:"mdns"`
}

// UIConfig is [ui].
type UIConfig struct {
	Theme  string            `toml:"theme"`
	Glyphs string            `toml:"glyphs"`
	Mouse  *bool             `toml:"mouse"`
	Keys   map[string]string `toml:"keys"` // action → key
}

// DeployConfig is [deploy]: how systems are changed. Empty durations mean the
// built-in ones.
type DeployConfig struct {
	BuildHere *bool `toml:"build_here"` // false: nothing is built on this machine
	MayReboot bool  `toml:"may_reboot"` // a host may be restarted as the last step back

	Connect    Duration `toml:"connect"` // an address, until it answers
	KeepAlive  Duration `toml:"keep_alive"`
	LostAfter  Duration `toml:"lost_after"`
	Preflight  Duration `toml:"preflight"`
	CopyStall  Duration `toml:"copy_stall"`
	Activation Duration `toml:"activation"`
	Confirm    Duration `toml:"confirm"`
	Check      Duration `toml:"check"`
	Commit     Duration `toml:"commit"`
	RollBack   Duration `toml:"roll_back"`
	Reboot     Duration `toml:"reboot"`
}

// times are the durations of [deploy] by their keys.
func (c DeployConfig) times() map[string]Duration {
	return map[string]Duration{
		"connect": c.Connect, "keep_alive": c.KeepAlive, "lost_after": c.LostAfter, "preflight": c.Preflight, "copy_stall": c.CopyStall, "activation": c.Activation, "confirm": c.Confirm,
		"check": c.Check, "commit": c.Commit, "roll_back": c.RollBack, "reboot": c.Reboot,
	}
}

// LimitsConfig is [limits]. Zero values mean the built-in ones.
type LimitsConfig struct {
	Backups map[string]Duration `toml:"backups"` // how old the last good backup of a job may be
}

// Duration is a length of time as it is written: "90s", "15m", "48h". It was
// checked when the configuration was read.
type Duration string

// Or gives the duration, or another where none is set.
func (d Duration) Or(other time.Duration) time.Duration {
	if v, err := time.ParseDuration(string(d)); err == nil {
		return v
	}
	return other
}

// configName is the file's place below the XDG configuration folders.
const configName = "sextant/config.toml"

// maxConfig bounds the file: a log given by mistake is not read whole.
const maxConfig = 1 << 20

// LoadConfig reads the configuration: the named file (of --config), else the
// one SEXTANT_CONFIG names, else config.toml in the XDG folders. Only a named
// file must exist. Errors name file and line of each mistake, a mistake a line.
func LoadConfig(named string) (*Config, error) {
	path := named
	if path == "" {
		path = os.Getenv("SEXTANT_CONFIG")
	}
	if path == "" {
		path = DefaultConfigPath()
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && named == "" {
		return &Config{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return ParseConfig(path, b)
}

// DefaultConfigPath is where the configuration is looked for when no other
// place is named: the first that exists, else the person's own.
func DefaultConfigPath() string {
	xdg.Reload() // the environment may have changed since the program began
	if found, err := xdg.SearchConfigFile(configName); err == nil {
		return found
	}
	if home, err := os.UserHomeDir(); err == nil {
		// The documented place, also where XDG folders are elsewhere (macOS).
		if p := filepath.Join(home, ".config", configName); exists(p) {
			return p
		}
	}
	return filepath.Join(xdg.ConfigHome, configName)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// ParseConfig reads a configuration. The path is used in errors, and relative
// file names in the configuration are relative to its folder.
func ParseConfig(path string, text []byte) (*Config, error) {
	if len(text) > maxConfig {
		return nil, fmt.Errorf("%s: larger than 1 MiB: is this a configuration?", path)
	}
	c := &Config{}
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(c); err != nil {
		return nil, explainTOML(path, err)
	}
	c.Path = path
	if err := c.check(path, positions(text)); err != nil {
		return nil, err
	}
	return c, nil
}

// file resolves the name of a file in the configuration.
func (c *Config) file(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if !filepath.IsAbs(name) && c.Path != "" {
		return filepath.Join(filepath.Dir(c.Path), name)
	}
	return name
}

// FlakeRef is the configured flake as nix takes it: a path is taken from the
// home or from where the configuration lies. "" is not configured.
func (c *Config) FlakeRef() string {
	if strings.HasPrefix(c.Flake, "~/") || strings.HasPrefix(c.Flake, ".") {
		return c.file(c.Flake)
	}
	return c.Flake
}

// on tells whether a source that may be turned off is wanted.
func on(set *bool) bool { return set == nil || *set }

// Rules is what the configuration says of who is a host.
type Rules struct {
	Include []string // patterns of names, or @tag
	Exclude []string
}

// Rules gives the configuration's patterns.
func (c *Config) Rules() Rules { return Rules{Include: c.Include, Exclude: c.Exclude} }
