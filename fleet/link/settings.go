package link

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kevinburke/ssh_config"

	"github.com/sextant-fleet/sextant/fleet"
)

// settings are what ssh_config(5) and the fleet say of the way to one host.
type settings struct {
	user           string
	port           int
	hostName       string // HostName, where a Host entry names an address
	jump           string
	proxy          proxy
	identities     []string
	certificates   []string
	identitiesOnly bool
	agent          string // IdentityAgent; "none" or a socket
	keyAlias       string // HostKeyAlias
	knownHosts     []string
}

// sshConfig reads ssh_config files once; where one holds what the parser does
// not read (any Match but "all"), it asks ssh itself.
type sshConfig struct {
	files []string
	note  func(string) // is told once where ssh cannot be asked
	once  sync.Once
	cfgs  []*ssh_config.Config
	askG  bool
	told  sync.Once
}

// lookup gives the value of a keyword for a name, "" when none is set.
type lookup func(keyword string) []string

// forName gives a lookup for a host name.
func (c *sshConfig) forName(ctx context.Context, name string) lookup {
	c.once.Do(c.read)
	if c.askG {
		values, err := c.resolveG(ctx, name)
		if err == nil {
			return func(keyword string) []string { return values[strings.ToLower(keyword)] }
		}
		if ctx.Err() == nil {
			c.told.Do(func() {
				c.note("your ssh_config needs ssh to be read, and `ssh -G` fails, so parts of it are passed over: " + err.Error())
			})
		}
	}
	return func(keyword string) []string {
		for _, cfg := range c.cfgs {
			if v, err := cfg.GetAll(name, keyword); err == nil && len(v) > 0 {
				if strings.EqualFold(keyword, "HostName") {
					return []string{expandHostName(v[0], name)}
				}
				return v
			}
		}
		return nil
	}
}

// expandHostName resolves what ssh_config allows in a HostName: %h is the name that was
// asked for, %% a percent sign. ssh itself has done so in what it tells.
func expandHostName(hostName, name string) string {
	return strings.NewReplacer("%%", "%", "%h", name).Replace(hostName)
}

func (c *sshConfig) read() {
	var all []byte
	for _, path := range c.files {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // a file that is not there says nothing
		}
		all = append(all, bytes.ToLower(b)...)
		cfg, err := ssh_config.DecodeBytes(b)
		if err != nil || conditional(b, filepath.Dir(path), 0) {
			c.askG = true
			continue
		}
		c.cfgs = append(c.cfgs, cfg)
	}
	if bytes.Contains(all, []byte("proxyjump")) && bytes.Contains(all, []byte("proxycommand")) {
		c.askG = true // of these the one that stands first counts, whichever it is
	}
}

// directive is a Match or an Include, with what follows it.
var directive = regexp.MustCompile(`(?im)^[ \t]*(match|include)[ \t=]+(.*)$`)

// conditional tells whether a file, or one that it includes, has a Match: the
// parser takes all that follows "Match host" for names, and what stands under
// "exec" for said always.
func conditional(file []byte, dir string, depth int) bool {
	for _, found := range directive.FindAllSubmatch(file, -1) {
		words := strings.Fields(strings.ToLower(string(found[2])))
		if strings.EqualFold(string(found[1]), "match") {
			if len(words) == 1 && words[0] == "all" {
				continue
			}
			return true
		}
		for _, pattern := range strings.Fields(string(found[2])) {
			pattern = strings.Trim(pattern, `"`)
			if rest, ok := strings.CutPrefix(pattern, "~/"); ok {
				home, _ := os.UserHomeDir()
				pattern = filepath.Join(home, rest)
			} else if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(dir, pattern)
			}
			paths, _ := filepath.Glob(pattern)
			for _, p := range paths {
				if b, err := os.ReadFile(p); err == nil && depth < maxIncludes && conditional(b, dir, depth+1) {
					return true
				}
			}
		}
	}
	return false
}

// maxIncludes is how deep files may include files, as the parser has it.
const maxIncludes = 5

// resolveG asks OpenSSH what it would use: `ssh -G`, which evaluates every
// Match. Its output is one "keyword value" a line, keywords in lower case.
func (c *sshConfig) resolveG(ctx context.Context, name string) (map[string][]string, error) {
	if strings.HasPrefix(name, "-") {
		return nil, fmt.Errorf("%q is no name", name)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	every, err := c.together()
	if err != nil {
		return nil, err
	}
	defer os.Remove(every)
	out, err := exec.CommandContext(ctx, "ssh", "-G", "-F", every, "--", name).Output()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return nil, fmt.Errorf("%w: %s", err, brief(exit.Stderr))
	case err != nil:
		return nil, err
	}
	values := map[string][]string{}
	for line := range bytes.Lines(out) {
		if k, v, ok := strings.Cut(strings.TrimSpace(string(line)), " "); ok && v != "none" {
			values[k] = append(values[k], v)
		}
	}
	if u := values["user"]; len(u) == 1 && u[0] == os.Getenv("USER") {
		delete(values, "user") // ssh's own default, not a setting
	}
	if p := values["port"]; len(p) == 1 && p[0] == "22" {
		delete(values, "port")
	}
	if h := values["hostname"]; len(h) == 1 && h[0] == name {
		delete(values, "hostname")
	}
	if k := values["userknownhostsfile"]; len(k) == 1 && strings.HasSuffix(k[0], "/.ssh/known_hosts2") {
		delete(values, "userknownhostsfile")
	}
	return values, nil
}

// together makes a file that includes all of the files, in their order: with a
// file named, ssh reads neither the person's nor the system's by itself, and a
// file that is named must be there, while one that is included need not.
func (c *sshConfig) together() (string, error) {
	var b strings.Builder
	for _, path := range c.files {
		fmt.Fprintf(&b, "Include %q\n", path)
	}
	return temporary([]byte(b.String()))
}

// settle brings together what is said of a host: the fleet's own settings
// before ssh_config's, and that of the host's name before its other names.
func (d *Dialer) settle(ctx context.Context, h fleet.Host) settings {
	names := append([]string{h.Name}, h.Aliases...)
	for _, a := range h.Addresses {
		names = append(names, a.Host)
	}
	var says []lookup
	for _, n := range names {
		says = append(says, d.configs.forName(ctx, n))
	}
	first := func(keyword string) []string {
		for _, say := range says {
			if v := say(keyword); len(v) > 0 {
				return v
			}
		}
		return nil
	}
	one := func(keyword string) string {
		if v := first(keyword); len(v) > 0 {
			return v[0]
		}
		return ""
	}
	port, _ := strconv.Atoi(one("Port"))
	s := settings{
		user: cmp.Or(h.User, one("User"), "root"), port: cmp.Or(h.Port, port, 22),
		hostName: one("HostName"), jump: cmp.Or(h.Jump, one("ProxyJump")), proxy: proxyOf(names, says),
		identities: first("IdentityFile"), certificates: first("CertificateFile"),
		identitiesOnly: strings.EqualFold(one("IdentitiesOnly"), "yes"),
		agent:          cmp.Or(one("IdentityAgent"), d.AgentSocket), keyAlias: one("HostKeyAlias"),
		knownHosts: d.KnownHosts,
	}
	if h.Identity != "" {
		s.identities = append([]string{h.Identity}, s.identities...)
	}
	onTailnet := slices.ContainsFunc(h.Addresses, func(a fleet.Address) bool { return a.Via == fleet.ViaTailnet })
	if h.Jump != "" {
		s.proxy = proxy{}
	}
	if strings.EqualFold(s.jump, "none") || h.Jump == "" && onTailnet { // ssh_config's jump is the way to an address that the tailnet makes needless
		s.jump = ""
	}
	if files := first("UserKnownHostsFile"); len(files) > 0 && !strings.EqualFold(files[0], "/dev/null") {
		s.knownHosts = append(d.expandAll(strings.Fields(strings.Join(files, " "))), d.KnownHosts...)
	}
	s.identities, s.certificates = d.expandAll(s.identities), d.expandAll(s.certificates)
	return s
}

// defaultIdentities are the key files ssh tries when none is named.
var defaultIdentities = []string{"id_ed25519", "id_ecdsa", "id_rsa"}

func (d *Dialer) expandAll(paths []string) []string {
	out := make([]string, 0, len(paths))
	for _, p := range paths {
		out = append(out, d.expand(p))
	}
	return out
}

// expand resolves "~/" and "%d" as ssh_config does for files of the person.
func (d *Dialer) expand(path string) string {
	home := filepath.Dir(d.SSHDir)
	path = strings.Trim(path, `"`)
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(home, rest)
	}
	return strings.ReplaceAll(path, "%d", home)
}
