package discover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Times of asking a flake. Evaluating may fetch inputs, hence the patience.
const (
	flakeNames  = 2 * time.Minute
	flakeNodes  = 2 * time.Minute
	flakeEvery  = 30 * time.Second // how often a local flake's files are looked at
	flakeRetry  = 5 * time.Minute
	flakeOutput = 4 << 20
)

// flake is a Nix flake: the names of its systems, and what deploy-rs or
// colmena know of them. No system is ever evaluated as a whole: that takes half
// a minute a host, and one broken host would hide all.
type flake struct {
	ref  string // flake reference
	here bool   // nobody named it: it lies in the current folder
	dir  string // its folder, where it is a local one
	nix  string // path of the nix command; "" there is none
	eval func(ctx context.Context, attr, apply string) ([]byte, error)
}

// newFlake makes the source for the configured flake, or for the one in dir.
// It gives nil where there is none, or where nobody asked for one and nix is missing.
func newFlake(c *Config, dir string) *flake {
	f := &flake{ref: c.FlakeRef()}
	f.nix, _ = exec.LookPath("nix")
	switch {
	case f.ref == "" && (f.nix == "" || dir == "" || !exists(filepath.Join(dir, "flake.nix"))):
		return nil
	case f.ref == "":
		f.ref, f.here = dir, true
	}
	if filepath.IsAbs(f.ref) {
		f.dir = f.ref
	}
	f.eval = f.run
	return f
}

// Name is "flake".
func (*flake) Name() string { return SourceFlake }

// Slow is true: an evaluation takes seconds, or minutes when inputs are fetched.
func (*flake) Slow() bool { return true }

// Watch asks the flake, and again when its files changed.
func (f *flake) Watch(ctx context.Context, emit func([]Sighting, error)) {
	if f.nix == "" {
		emit(nil, &Trouble{errors.New("nix is not on PATH"), "install Nix, or take flake out of the configuration"})
		return
	}
	for ctx.Err() == nil {
		stamp, asked := f.stamp(), time.Now()
		err := f.ask(ctx, emit)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			emit(nil, &Trouble{fmt.Errorf("evaluating %s: %w", f.ref, err), "nix eval " + f.ref + "#nixosConfigurations --apply builtins.attrNames"})
		}
		for ctx.Err() == nil && f.stamp() == stamp && (err == nil || time.Since(asked) < flakeRetry) {
			pause(ctx, flakeEvery)
		}
	}
}

// stamp changes when the flake's own files do.
func (f *flake) stamp() string {
	out := ""
	if f.dir != "" {
		for _, name := range []string{"flake.nix", "flake.lock"} {
			if fi, err := os.Stat(filepath.Join(f.dir, name)); err == nil {
				out += fi.ModTime().String()
			}
		}
	}
	return out
}

// Expressions that are applied to outputs of a flake. None forces a system.
const (
	applyNames = `builtins.attrNames`
	// Settings of the group are the defaults of its nodes; path is never touched.
	applyDeploy = `d: builtins.mapAttrs (_: n: {
  hostname = n.hostname or null;
  sshUser = n.sshUser or d.sshUser or null;
  sshOpts = (d.sshOpts or [ ]) ++ (n.sshOpts or [ ]);
}) (d.nodes or { })`
	// keys is dropped: it can hold secrets.
	applyColmena = `builtins.mapAttrs (_: n: {
  targetHost = n.targetHost or null;
  targetUser = n.targetUser or null;
  targetPort = n.targetPort or null;
  tags = n.tags or [ ];
})`
)

// ask tells the names as soon as they are known, then again with what the
// deployment tools know.
func (f *flake) ask(ctx context.Context, emit func([]Sighting, error)) error {
	out, err := f.evalIn(ctx, flakeNames, "nixosConfigurations", applyNames)
	if err != nil && f.here && strings.Contains(err.Error(), "does not provide attribute") {
		emit([]Sighting{}, nil) // some project's flake, no fleet's
		return nil
	}
	if err != nil {
		return err
	}
	names, err := parseNames(out)
	if err != nil {
		return err
	}
	nodes := map[string]deployNode{}
	emit(fromFlake(names, nodes), nil)
	for _, tool := range []struct {
		attr, apply string
		parse       func([]byte) (map[string]deployNode, error)
	}{
		{"deploy", applyDeploy, parseDeploy},
		{"colmenaHive.deploymentConfig", applyColmena, parseColmena},
	} {
		out, err := f.evalIn(ctx, flakeNodes, tool.attr, tool.apply)
		if err != nil {
			continue // most flakes have neither; the names stand without
		}
		more, err := tool.parse(out)
		if err != nil {
			continue
		}
		for name, n := range more {
			if _, have := nodes[name]; !have {
				nodes[name] = n
			}
		}
		emit(fromFlake(names, nodes), nil)
	}
	return nil
}

func (f *flake) evalIn(ctx context.Context, limit time.Duration, attr, apply string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return f.eval(ctx, attr, apply)
}

// run evaluates one output. Nothing of the person's is changed (no lock file
// is written) and nothing can ask a question on their terminal.
func (f *flake) run(ctx context.Context, attr, apply string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, f.nix, "--extra-experimental-features", "nix-command flakes",
		"eval", "--json", "--no-write-lock-file", f.ref+"#"+attr, "--apply", apply)
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "SSH_ASKPASS_REQUIRE=never")
	apart(cmd)
	cmd.WaitDelay = 2 * time.Second
	stdout, stderr := &bounded{limit: flakeOutput}, &bounded{limit: 64 << 10}
	cmd.Stdout, cmd.Stderr = stdout, stderr // apart: warnings are not JSON
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, errors.New("it takes too long")
		}
		return nil, fmt.Errorf("%w: %s", err, lastLine(stderr.kept.Bytes()))
	}
	if stdout.over {
		return nil, errors.New("it gives more than 4 MiB")
	}
	return stdout.kept.Bytes(), nil
}

// bounded keeps the beginning of what is written to it.
type bounded struct {
	kept  bytes.Buffer // not embedded: its ReadFrom would go past the limit
	limit int
	over  bool
}

// Write implements [io.Writer].
func (b *bounded) Write(p []byte) (int, error) {
	if room := b.limit - b.kept.Len(); len(p) > room {
		b.over = true
		b.kept.Write(p[:room])
		return len(p), nil
	}
	return b.kept.Write(p)
}

// lastLine is the line of nix's errors that says what went wrong.
func lastLine(stderr []byte) string {
	lines := fleet.CleanAll(strings.Split(strings.TrimSpace(string(stderr)), "\n"))
	for _, l := range slices.Backward(lines) {
		if _, why, ok := strings.Cut(l, "error: "); ok {
			return fleet.Short(why, 200)
		}
	}
	return fleet.Short(lines[len(lines)-1], 200)
}

// deployNode is what a deployment tool knows of a system.
type deployNode struct {
	host string
	user string
	port int
	tags []string
}

func parseNames(b []byte) ([]string, error) {
	var names []string
	if err := json.Unmarshal(b, &names); err != nil {
		return nil, fmt.Errorf("its nixosConfigurations: %w", err)
	}
	return names, nil
}

func parseDeploy(b []byte) (map[string]deployNode, error) {
	var in map[string]struct {
		Hostname, SSHUser string
		SSHOpts           []string
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("its deploy.nodes: %w", err)
	}
	out := map[string]deployNode{}
	for name, n := range in {
		d := deployNode{host: clean(n.Hostname), user: clean(n.SSHUser)}
		for i, o := range n.SSHOpts {
			if o == "-p" && i+1 < len(n.SSHOpts) {
				d.port, _ = strconv.Atoi(n.SSHOpts[i+1])
			} else if rest, ok := strings.CutPrefix(o, "-p"); ok {
				d.port, _ = strconv.Atoi(rest)
			}
		}
		out[name] = d
	}
	return out, nil
}

func parseColmena(b []byte) (map[string]deployNode, error) {
	var in map[string]struct {
		TargetHost, TargetUser string
		TargetPort             int
		Tags                   []string
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("its colmenaHive: %w", err)
	}
	out := map[string]deployNode{}
	for name, n := range in {
		out[name] = deployNode{host: clean(n.TargetHost), user: clean(n.TargetUser), port: n.TargetPort, tags: n.Tags}
	}
	return out, nil
}

// fromFlake makes sightings of the flake's systems, by name.
func fromFlake(names []string, nodes map[string]deployNode) []Sighting {
	list := make([]Sighting, 0, len(names))
	for _, attr := range slices.Sorted(slices.Values(names)) {
		name := clean(attr)
		if name == "" || name != attr {
			continue // no such attribute can be named again
		}
		s := Sighting{Source: SourceFlake, Name: name, Flake: attr}
		if n, ok := nodes[attr]; ok {
			s.Tags = tagNames(n.tags)
			user, host, named := strings.Cut(n.host, "@") // "root@eve.i" is in use
			if !named {
				user, host = "", n.host
			}
			s.User = n.user
			if s.User == "" {
				s.User = user
			}
			if isIP(host) || validHostName(host) {
				s.Addresses = []fleet.Address{{Via: fleet.ViaConfig, Host: host}}
			}
			if n.port > 0 && n.port < 65536 {
				s.Port = n.port
			}
		}
		list = append(list, s)
	}
	return list
}
