package discover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kevinburke/ssh_config"

	"github.com/sextant-fleet/sextant/fleet"
)

// sshEvery is how often the file is looked at again.
const sshEvery = 15 * time.Second

// sshFile is the person's ~/.ssh/config: every name of a Host line without
// wildcards.
type sshFile struct {
	path  string
	every time.Duration
}

// Name is "ssh_config".
func (*sshFile) Name() string { return SourceSSHConfig }

// Slow is false.
func (*sshFile) Slow() bool { return false }

// Watch reads the file, and tells it again when what it says changed.
func (s *sshFile) Watch(ctx context.Context, emit func([]Sighting, error)) {
	var last []Sighting
	for first := true; ctx.Err() == nil; first = false {
		list, err := readSSHConfig(s.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			list, err = []Sighting{}, nil // nobody needs one
		case err != nil:
			err = &Trouble{fmt.Errorf("reading %s: %w", s.path, err), "ssh -G HOST tells what is wrong with the file"}
		}
		if first || err != nil || !reflect.DeepEqual(list, last) {
			emit(list, err)
		}
		last = list
		pause(ctx, s.every)
	}
}

// Limits of Include, beyond which a file includes itself.
const (
	sshDepth = 8
	sshFiles = 200
)

func readSSHConfig(file string) ([]Sighting, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f := &flattener{home: filepath.Dir(filepath.Dir(file)), dir: filepath.Dir(file)}
	f.add(b, 0)
	return fromSSHConfig(f.out.Bytes(), f.names)
}

// flattener makes one plain file of an ssh_config and what it includes. The
// parser's own Include does not tell which names it read, and a Match that it
// cannot evaluate fails the whole file: such blocks are left out here, and
// whoever dials asks ssh itself for what they say.
type flattener struct {
	home  string
	dir   string // where relative Includes are looked for
	files int
	out   bytes.Buffer
	names []string
}

func (f *flattener) add(text []byte, depth int) {
	head, skip := "", false // the block we are in, and whether it is left out
	for line := range strings.Lines(string(text)) {
		key, value := keyword(line)
		switch key {
		case "":
			continue
		case "host":
			head, skip = "Host "+strings.Join(fields(value), " "), len(fields(value)) == 0
			if !skip {
				f.names = add(f.names, concrete(fields(value))...)
				fmt.Fprintln(&f.out, head)
			}
		case "match":
			head, skip = matchHead(value)
			if !skip {
				fmt.Fprintln(&f.out, head)
			}
		case "include":
			if skip {
				continue
			}
			f.include(fields(value), depth+1)
			if head != "" { // the rest of the block goes on
				fmt.Fprintln(&f.out, head)
			} else {
				fmt.Fprintln(&f.out, "Host *")
			}
		default:
			if !skip {
				fmt.Fprintf(&f.out, "  %s %s\n", key, value)
			}
		}
	}
}

func (f *flattener) include(patterns []string, depth int) {
	if depth > sshDepth {
		return
	}
	for _, p := range patterns {
		if rest, ok := strings.CutPrefix(p, "~/"); ok {
			p = filepath.Join(f.home, rest)
		} else if !filepath.IsAbs(p) {
			p = filepath.Join(f.dir, p)
		}
		found, _ := filepath.Glob(p)
		for _, file := range found {
			if f.files++; f.files > sshFiles {
				return
			}
			if b, err := os.ReadFile(file); err == nil {
				f.add(b, depth)
				fmt.Fprintln(&f.out, "Host *") // what follows belongs to no block of that file
			}
		}
	}
}

// keyword splits a line of ssh_config: "Key value", "Key=value", comments and
// empty lines give "". The key is in lower case.
func keyword(line string) (key, value string) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", ""
	}
	i := strings.IndexAny(line, " \t=")
	if i < 0 {
		return "", "" // a key without a value: ssh would complain
	}
	key, value = line[:i], strings.TrimLeft(line[i:], " \t")
	value = strings.TrimSpace(strings.TrimPrefix(value, "="))
	if at := strings.Index(value, " #"); at >= 0 {
		value = strings.TrimSpace(value[:at])
	}
	if value == "" {
		return "", ""
	}
	return strings.ToLower(key), value
}

// fields splits a list of words, each of which may be quoted.
func fields(value string) []string {
	var out []string
	for _, w := range strings.Fields(value) {
		if w = strings.Trim(w, `"`); w != "" && w != "!" {
			out = append(out, w)
		}
	}
	return out
}

// matchHead gives the head of a Match block that can be told from the name
// alone, and whether the block must be left out.
func matchHead(value string) (head string, skip bool) {
	words := fields(value)
	switch {
	case len(words) == 1 && strings.EqualFold(words[0], "all"):
		return "Match all", false
	case len(words) == 2 && strings.EqualFold(words[0], "host"):
		return "Match host " + strings.ReplaceAll(words[1], ",", " "), false
	}
	return "", true
}

// concrete are the words of a Host line that are names rather than patterns.
func concrete(words []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool {
		return strings.ContainsAny(w, "*?!%@/") || strings.HasPrefix(w, "-") || w != clean(w)
	})
}

// fromSSHConfig makes sightings of the names, with what the file sets for them.
func fromSSHConfig(text []byte, names []string) (list []Sighting, err error) {
	defer func() {
		if r := recover(); r != nil { // the parser panics on some malformed files
			list, err = nil, fmt.Errorf("not an ssh_config: %v", r)
		}
	}()
	cfg, err := ssh_config.DecodeBytes(text)
	if err != nil {
		return nil, err
	}
	list = []Sighting{}
	for _, name := range names {
		get := func(key string) string {
			v, err := cfg.Get(name, key)
			if err != nil || strings.EqualFold(v, "none") {
				return ""
			}
			return clean(strings.Trim(v, `"`))
		}
		list = append(list, sshSighting(name, get))
	}
	return list, nil
}

func sshSighting(name string, get func(string) string) Sighting {
	s := Sighting{Source: SourceSSHConfig, Name: name, User: get("User"), Jump: get("ProxyJump"), Identity: get("IdentityFile")}
	if n, err := strconv.Atoi(get("Port")); err == nil && n > 0 && n < 65536 {
		s.Port = n
	}
	host := strings.NewReplacer("%%", "%", "%h", name, "%n", name).Replace(get("HostName"))
	if host == "" {
		host = name
	}
	s.Addresses = []fleet.Address{{Via: fleet.ViaConfig, Host: host}}
	switch {
	case forge(name) || forge(host) || s.User == "git":
		s.NotHost = "git service"
	case loopback(host):
		s.NotHost = "leads to this machine: a forwarded port or a local VM"
	}
	return s
}

// forges are services one talks git to, not machines one manages.
var forges = []string{
	"github.com", "gitlab.com", "codeberg.org", "bitbucket.org", "git.sr.ht", "gitee.com", "ssh.dev.azure.com",
	"vs-ssh.visualstudio.com", "aur.archlinux.org", "salsa.debian.org", "hf.co", "git.launchpad.net", "gitlab.freedesktop.org",
	"gitlab.gnome.org", "invent.kde.org", "framagit.org", "notabug.org", "gitea.com", "tangled.sh", "source.developers.google.com",
}

func forge(host string) bool {
	host = canon(host)
	if ok, _ := path.Match("git-codecommit.*.amazonaws.com", host); ok {
		return true
	}
	return slices.ContainsFunc(forges, func(f string) bool {
		return host == f || strings.HasSuffix(host, "."+f) || strings.HasPrefix(host, f+"-")
	})
}

func loopback(host string) bool {
	return canon(host) == "localhost" || host == "::1" || strings.HasPrefix(host, "127.") && isIP(host)
}
