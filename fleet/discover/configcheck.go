package discover

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/sextant-fleet/sextant/fleet"
)

// explainTOML turns the decoder's errors into "file:line: what is wrong", one
// line each.
func explainTOML(path string, err error) error {
	if missing := (*toml.StrictMissingError)(nil); errors.As(err, &missing) {
		var all []error
		for _, e := range missing.Errors {
			line, _ := e.Position()
			all = append(all, fmt.Errorf("%s:%d: %s", path, line, unknownKey(e.Key())))
		}
		return errors.Join(all...)
	}
	if bad := (*toml.DecodeError)(nil); errors.As(err, &bad) {
		line, _ := bad.Position()
		return fmt.Errorf("%s:%d: %s", path, line, badValue(bad))
	}
	return fmt.Errorf("%s: %s", path, fleet.Clean(err.Error()))
}

// unknownKey says which key is not known and which one was likely meant.
func unknownKey(key []string) string {
	name := strings.Join(key, ".")
	known, at := keysAt(reflect.TypeFor[Config](), key), key[len(key)-1]
	for i := range key { // the first part that is not known is the one to suggest for
		if have := keysAt(reflect.TypeFor[Config](), key[:i+1]); !slices.Contains(have, key[i]) {
			known, at = have, key[i]
			break
		}
	}
	msg := fmt.Sprintf("unknown key %q", fleet.Clean(name))
	if near := nearestKey(at, known); near != "" {
		msg += fmt.Sprintf("; did you mean %q?", near)
	}
	return msg
}

// nearestKey is the key that was likely meant: the nearest, or the first that
// goes on where this one ends.
func nearestKey(word string, known []string) string {
	if near := fleet.Nearest(word, known); near != "" {
		return near
	}
	for _, k := range known {
		if fleet.Nearest(k, []string{word}) != "" || len(word) > 2 && strings.HasPrefix(k, word) {
			return k
		}
	}
	return ""
}

// keysAt are the keys that may stand where the last part of key stands.
func keysAt(t reflect.Type, key []string) []string {
	for _, part := range key[:len(key)-1] {
		if t = fieldType(t, part); t == nil {
			return nil
		}
	}
	if t = table(t); t.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("toml"); name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// table takes the wrapping of lists and pointers off a type.
func table(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// fieldType is the type of a key in a table, nil where there is none.
func fieldType(t reflect.Type, key string) reflect.Type {
	switch t = table(t); t.Kind() {
	case reflect.Struct:
		for _, f := range reflect.VisibleFields(t) {
			if f.Tag.Get("toml") == key {
				return f.Type
			}
		}
	case reflect.Map:
		return t.Elem()
	}
	return nil
}

// badValue says what a value should have been, where only its kind is wrong.
func badValue(e *toml.DecodeError) string {
	text := fleet.Clean(strings.TrimPrefix(e.Error(), "toml: "))
	t := reflect.TypeFor[Config]()
	for _, part := range e.Key() {
		if t = fieldType(t, part); t == nil {
			return text
		}
	}
	if len(e.Key()) == 0 || !strings.Contains(text, "cannot ") {
		return text
	}
	return fmt.Sprintf("%q must be %s", strings.Join(e.Key(), "."), kindName(t))
}

func kindName(t reflect.Type) string {
	if t == reflect.TypeFor[Duration]() {
		return `a duration in quotes, such as "90s"`
	}
	switch t.Kind() {
	case reflect.String:
		return "text in quotes"
	case reflect.Int:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Pointer:
		return kindName(t.Elem())
	case reflect.Slice:
		if table(t).Kind() == reflect.Struct {
			return "a list of tables"
		}
		return "a list of texts in quotes"
	}
	return "a table"
}

// positions gives the line of every key of a document: "host.0.port" → 12.
func positions(text []byte) map[string]int {
	lines, counts := map[string]int{}, map[string]int{}
	var p unstable.Parser
	p.Reset(text)
	prefix := ""
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.KeyValue && e.Kind != unstable.Table && e.Kind != unstable.ArrayTable {
			continue
		}
		name, line := "", 0
		for it := e.Key(); it.Next(); {
			name += "." + string(it.Node().Data)
			line = p.Shape(it.Node().Raw).Start.Line
		}
		switch e.Kind {
		case unstable.Table:
			prefix = name
		case unstable.ArrayTable:
			prefix = name + "." + strconv.Itoa(counts[name])
			counts[name]++
			name = prefix
		default:
			name = prefix + name
		}
		lines[strings.TrimPrefix(name, ".")] = line
	}
	return lines
}

// checker collects what is wrong with the values of a configuration.
type checker struct {
	path  string
	lines map[string]int
	errs  []error
}

func (k *checker) wrong(key, format string, args ...any) {
	line := k.lines[key]
	for at := key; line == 0 && strings.Contains(at, "."); line = k.lines[at] {
		at = at[:strings.LastIndex(at, ".")] // an inline table has no lines of its own
	}
	where := k.path
	if line > 0 {
		where += ":" + strconv.Itoa(line)
	}
	k.errs = append(k.errs, fmt.Errorf("%s: %s", where, fleet.Clean(fmt.Sprintf(format, args...))))
}

// check finds values that cannot be meant.
func (c *Config) check(path string, lines map[string]int) error {
	k := &checker{path: path, lines: lines}
	seen := map[string]bool{}
	for i, h := range c.Hosts {
		at := "host." + strconv.Itoa(i)
		k.host(at, h)
		if name := canon(h.Name); name != "" && seen[name] {
			k.wrong(at+".name", "a second [[host]] is called %q", h.Name)
		} else {
			seen[name] = true
		}
	}
	k.patterns("include", c.Include)
	k.patterns("exclude", c.Exclude)
	k.tailscale(c.Tailscale)
	for _, job := range slices.Sorted(maps.Keys(c.Limits.Backups)) {
		k.duration("limits.backups."+job, c.Limits.Backups[job])
	}
	times := c.Deploy.times()
	for _, key := range slices.Sorted(maps.Keys(times)) {
		k.duration("deploy."+key, times[key])
		if v := times[key].Or(time.Second); v < time.Second {
			k.wrong("deploy."+key, "%q is less than a second", string(times[key]))
		}
	}
	for i, m := range c.Meant {
		k.meant("meant."+strconv.Itoa(i), m)
	}
	for action, key := range c.UI.Keys {
		if strings.TrimSpace(key) == "" {
			k.wrong("ui.keys."+action, "no key is named for %q", action)
		}
	}
	if m := c.Monitoring; m.GrafanaHost == "" && (m.GrafanaTokenFile != "" || m.GrafanaTokenEnv != "") {
		k.wrong("monitoring", "a token for Grafana without grafana_host: it is shown only to the host that is named")
	}
	return errors.Join(k.errs...)
}

func (k *checker) host(at string, h HostConfig) {
	switch {
	case h.Name == "":
		k.wrong(at, "a [[host]] has no name")
	case !validHostName(h.Name):
		k.wrong(at+".name", "%q cannot be a host's name: letters, digits, dashes and dots", h.Name)
	}
	if h.Port < 0 || h.Port > 65535 {
		k.wrong(at+".port", "port %d is not between 1 and 65535", h.Port)
	}
	become := []fleet.Become{fleet.BecomeAuto, fleet.BecomeNone, fleet.BecomeSudo, fleet.BecomeDoas, fleet.BecomeRun0}
	if h.Become != "" && !slices.Contains(become, h.Become) {
		k.wrong(at+".become", "become = %q: it is one of auto, none, sudo, doas, run0", h.Become)
	}
	if h.Build != "" && h.Build != "never" {
		k.wrong(at+".build", "build = %q: it is \"never\", or left out", h.Build)
	}
	if h.Role != "" && h.Role != fleet.RoleNone && !slices.Contains(fleet.Roles, h.Role) {
		k.wrong(at+".role", "role = %q: it is one of router, storage, cloud, edge, desktop, none", h.Role)
	}
	if h.Tier != "" && !validHostName(h.Tier) {
		k.wrong(at+".tier", "%q cannot be a tier: letters, digits and dashes", h.Tier)
	}
	for _, a := range h.Addresses {
		if _, err := parseAddress(a); err != nil {
			k.wrong(at+".addresses", "%v", err)
		}
	}
	for key, v := range map[string]string{"user": h.User, "jump": h.Jump} {
		if strings.HasPrefix(v, "-") || strings.ContainsAny(v, " \t\n") {
			k.wrong(at+"."+key, "%s = %q cannot be meant", key, v)
		}
	}
}

func (k *checker) meant(at string, m MeantConfig) {
	if m.Port == "" && m.Name == "" {
		k.wrong(at, "a [[meant]] has neither a port nor a name")
	}
	if _, _, _, ok := fleet.ParsePorts(m.Port); m.Port != "" && m.Port != fleet.IPv6 && !ok {
		k.wrong(at+".port", "%q is not a port: tcp/443, udp/60000-61000, or ipv6 of a router", m.Port)
	}
	if m.Host != "" && !validHostName(m.Host) {
		k.wrong(at+".host", "%q cannot be a host's name: letters, digits, dashes and dots", m.Host)
	}
	if m.Name != "" && !validHostName(strings.ReplaceAll(m.Name, "*", "x")) {
		k.wrong(at+".name", "%q is not a name such as photos.example.org or *.example.org", m.Name)
	}
}

func (k *checker) duration(key string, d Duration) {
	if v, err := time.ParseDuration(string(d)); d != "" && (err != nil || v <= 0) {
		k.wrong(key, "%q is not a duration such as \"90s\" or \"48h\"", string(d))
	}
}

func (k *checker) patterns(key string, patterns []string) {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil || strings.Trim(p, "@ ") == "" {
			k.wrong(key, "%q is not a pattern: a name, a glob such as \"web*\", or @tag", p)
		}
	}
}

func (k *checker) tailscale(t TailscaleConfig) {
	if t.OAuthClientID != "" && t.OAuthSecretFile == "" && t.OAuthSecretEnv == "" {
		k.wrong("tailscale.oauth_client_id", "oauth_client_id needs oauth_client_secret_file or oauth_client_secret_env")
	}
	if u, err := url.Parse(t.APIURL); t.APIURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		k.wrong("tailscale.api_url", "%q is not a URL such as https://api.tailscale.com", t.APIURL)
	}
}

// parseAddress reads "host", "host:port", an IP address or "[IPv6]:port".
func parseAddress(s string) (fleet.Address, error) {
	a := fleet.Address{Via: fleet.ViaConfig, Host: s}
	if isIP(s) {
		return a, nil
	}
	if host, port, err := net.SplitHostPort(s); err == nil {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return a, fmt.Errorf("address %q: port %q is not between 1 and 65535", s, port)
		}
		a.Host, a.Port = host, n
	}
	if !isIP(a.Host) && !validHostName(a.Host) {
		return a, fmt.Errorf("%q is not an address: an IP address or a name, with :port where it is not the usual one", s)
	}
	return a, nil
}
