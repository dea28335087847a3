package nixops

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// FlakeHost is a host that a flake declares.
type FlakeHost = fleet.FlakeHost

// Expressions that are applied to outputs of a flake. None of them forces a
// whole system: that takes half a minute a host, and a host that is broken would
// hide all others. keys (colmena) are never read: they can hold secrets.
const (
	// Settings stand at the group, the node or its system profile; the nearer
	// one counts, and sshOpts add up. profiles.system.path is never touched.
	applyDeploy = `d: if d.type or null == "derivation" then throw "a package named deploy hides the output" else
builtins.mapAttrs (_: n: let p = n.profiles.system or { }; get = k: p.${k} or n.${k} or d.${k} or null; in {
  hostname = n.hostname or null;
  sshOpts = (d.sshOpts or [ ]) ++ (n.sshOpts or [ ]) ++ (p.sshOpts or [ ]);
} // builtins.listToAttrs (map (k: { name = k; value = get k; })
  [ "sshUser" "user" "remoteBuild" "confirmTimeout" "magicRollback" "autoRollback" "fastConnection" ])) (d.nodes or { })`
	applyHive = `builtins.mapAttrs (_: n: {
  targetHost = n.targetHost or null;
  targetUser = n.targetUser or null;
  targetPort = n.targetPort or null;
  tags = n.tags or [ ];
  buildOnTarget = n.buildOnTarget or false;
  allowLocalDeployment = n.allowLocalDeployment or false;
})`
	// A tier is a list of names, or a set by them.
	applyTiers = `t: if t.type or null == "derivation" then throw "a package named tiers hides the output" else
builtins.mapAttrs (_: v: if builtins.isAttrs v then builtins.attrNames v else if builtins.isList v then builtins.filter builtins.isString v else [ ]) t`
	// Nodes are modules: sets, functions to sets, or files with either. There is
	// no nixpkgs here to evaluate them with, so a function is given its name and,
	// for all else, what fails when it is looked at; what fails is left out, and
	// the host's name stays.
	applyColmena = `c: if c.type or null == "derivation" then throw "a package named colmena hides the output" else let
  absent = throw "not known without nixpkgs";
  try = v: let t = builtins.tryEval (builtins.deepSeq v v); in if t.success then t.value else null;
  given = name: f: let wants = builtins.functionArgs f; in
    if wants == { } then { inherit name; nodes = absent; pkgs = absent; lib = absent; config = absent; options = absent; modulesPath = absent; }
    else builtins.mapAttrs (k: _: if k == "name" then name else absent) wants;
  set = name: m: let
    x = if builtins.isPath m || builtins.isString m then import m else m;
    y = if builtins.isFunction x then x (given name x) else x;
    r = builtins.tryEval (if builtins.isAttrs y then y.deployment or (y.config.deployment or { }) else { });
  in if r.success && builtins.isAttrs r.value then r.value else { };
  value = v: let t = builtins.tryEval (if builtins.isAttrs v then v.content or v else v); in if t.success then try t.value else null;
  node = name: m: let
    own = set name m;
    base = set name (c.defaults or { });
    get = k: let v = value (own.${k} or null); in if v == null then value (base.${k} or null) else v;
    many = v: if builtins.isList v then v else [ ];
  in {
    tags = many (value (own.tags or null)) ++ many (value (base.tags or null));
  } // builtins.listToAttrs (map (k: { name = k; value = get k; })
    [ "targetHost" "targetUser" "targetPort" "buildOnTarget" "allowLocalDeployment" ]);
in builtins.mapAttrs node (removeAttrs c [ "meta" "network" "defaults" ])`
)

// shape is one output of a flake that tells of hosts.
type shape struct {
	from, attr, apply string
	parse             func([]byte) (map[string]FlakeHost, error)
}

var shapes = []shape{
	{fleet.FromSystems, "nixosConfigurations", "builtins.attrNames", parseSystems},
	{fleet.FromDeploy, "deploy", applyDeploy, parseDeploy},
	{fleet.FromHive, "colmenaHive.deploymentConfig", applyHive, parseColmena},
	{fleet.FromColmena, "colmena", applyColmena, parseColmena},
	{fleet.FromTiers, "tiers", applyTiers, parseTiers},
}

// Hosts are what the flake's outputs tell of hosts, by their names. Each output
// is evaluated by itself, and one that fails hides none of the others: why is
// among the unread. An output that the flake does not have is no failure. tell is
// called with what is known so far, each time that more is; it may be nil.
func (f Flake) Hosts(ctx context.Context, tell func([]FlakeHost)) (hosts []FlakeHost, unread []error) {
	ctx, cancel := context.WithTimeoutCause(ctx, evalLimit, fmt.Errorf("the flake was not evaluated within %s", evalLimit))
	defer cancel()
	told := make([]map[string]FlakeHost, len(shapes))
	errs := make([]error, len(shapes))
	came := make(chan int, len(shapes))
	for i, s := range shapes {
		go func() { // ends with its nix
			told[i], errs[i] = f.ask(ctx, s)
			came <- i
		}()
	}
	seen := make([]map[string]FlakeHost, len(shapes))
	for n := range shapes {
		i := <-came
		seen[i] = told[i]
		if tell != nil && n < len(shapes)-1 && seen[0] != nil {
			tell(together(seen))
		}
	}
	for i, s := range shapes {
		if errs[i] != nil && (i != 3 || len(seen[2]) == 0) {
			unread = append(unread, fmt.Errorf("reading %s of %s: %w", s.from, f.Ref, errs[i]))
		}
	}
	return together(seen), unread
}

// together are the hosts of all outputs. The hive is made of colmena's other
// output, and knows more: where it is there, that one is left out.
func together(seen []map[string]FlakeHost) (hosts []FlakeHost) {
	all := map[string]FlakeHost{}
	for i, s := range shapes {
		if s.from == fleet.FromColmena && len(seen[i-1]) > 0 {
			continue
		}
		for name, h := range seen[i] {
			h.From = []string{s.from}
			all[name] = with(all[name], h)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		h := all[name]
		h.Attr = name
		hosts = append(hosts, h)
	}
	return hosts
}

// Systems are the hosts of the flake; it is an error where it declares none, or
// where what it declares cannot be read.
func (f Flake) Systems(ctx context.Context, tell func([]FlakeHost)) ([]FlakeHost, error) {
	hosts, unread := f.Hosts(ctx, tell)
	if slices.ContainsFunc(hosts, FlakeHost.System) {
		return hosts, nil // its deployers' own settings are a help, never required
	}
	if err := errors.Join(unread...); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s: %w", f.Ref, fleet.ErrNoSystems)
}

// ask evaluates one output.
func (f Flake) ask(ctx context.Context, s shape) (map[string]FlakeHost, error) {
	out, err := runNix(ctx, nil, "eval", "--json", "--no-write-lock-file", f.Ref+"#"+s.attr, "--apply", s.apply)
	switch {
	case err != nil && strings.Contains(err.Error(), "does not provide attribute"):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return s.parse(out)
}

// with adds what another output tells; what is known already stays.
func with(h, o FlakeHost) FlakeHost {
	if h.Hostname == "" { // user, port and the way are those of that address
		h.Hostname, h.User, h.Port, h.Identity, h.Jump = o.Hostname, o.User, o.Port, o.Identity, o.Jump
	}
	if h.ConfirmTimeout == 0 {
		h.ConfirmTimeout = o.ConfirmTimeout
	}
	h.BuildOnTarget = h.BuildOnTarget || o.BuildOnTarget
	h.Tier = cmp.Or(h.Tier, o.Tier)
	for _, t := range o.Tags {
		if !slices.Contains(h.Tags, t) {
			h.Tags = append(h.Tags, t)
		}
	}
	h.SSHOptions = append(h.SSHOptions, o.SSHOptions...)
	for k, v := range o.Options {
		if h.Options == nil {
			h.Options = map[string]string{}
		}
		h.Options[k] = v
	}
	h.From = append(h.From, o.From...)
	return h
}

func parseSystems(b []byte) (map[string]FlakeHost, error) {
	var names []string
	if err := json.Unmarshal(b, &names); err != nil {
		return nil, fmt.Errorf("it is no list of names: %w", err)
	}
	out := map[string]FlakeHost{}
	for _, n := range names {
		if nameable(n) {
			out[n] = FlakeHost{}
		}
	}
	return out, nil
}

// nameable tells whether an attribute can be named on a command line and on a
// screen: nix has no way to write a quote in one.
func nameable(attr string) bool {
	return attr != "" && fleet.Clean(attr) == attr && !strings.ContainsRune(attr, '"')
}

func parseDeploy(b []byte) (map[string]FlakeHost, error) {
	var in map[string]struct {
		Hostname, SSHUser, User                                  string
		SSHOpts                                                  []string
		RemoteBuild, MagicRollback, AutoRollback, FastConnection *bool
		ConfirmTimeout                                           float64
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("it is not as deploy-rs has it: %w", err)
	}
	out := map[string]FlakeHost{}
	for name, n := range in {
		if !nameable(name) {
			continue
		}
		h := FlakeHost{BuildOnTarget: n.RemoteBuild != nil && *n.RemoteBuild, SSHOptions: fleet.CleanAll(n.SSHOpts), Options: map[string]string{}}
		if s := n.ConfirmTimeout; s > 0 && s < 1e6 {
			h.ConfirmTimeout = time.Duration(s * float64(time.Second))
		}
		way := sshWay(n.SSHOpts)
		reach(&h, n.Hostname, cmp.Or(n.SSHUser, way.User), way.Port)
		h.Identity, h.Jump = way.Identity, way.Jump
		if n.User != "" {
			h.Options["user"] = fleet.Clean(n.User)
		}
		for k, v := range map[string]*bool{"magicRollback": n.MagicRollback, "autoRollback": n.AutoRollback, "fastConnection": n.FastConnection} {
			if v != nil {
				h.Options[k] = strconv.FormatBool(*v)
			}
		}
		out[name] = h
	}
	return out, nil
}

func parseColmena(b []byte) (map[string]FlakeHost, error) {
	var in map[string]struct {
		TargetHost, TargetUser              string
		TargetPort                          int
		Tags                                []string
		BuildOnTarget, AllowLocalDeployment bool
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("it is not as colmena has it: %w", err)
	}
	out := map[string]FlakeHost{}
	for name, n := range in {
		if !nameable(name) {
			continue
		}
		h := FlakeHost{Tags: fleet.CleanAll(n.Tags), BuildOnTarget: n.BuildOnTarget}
		reach(&h, n.TargetHost, n.TargetUser, n.TargetPort)
		if n.AllowLocalDeployment {
			h.Options = map[string]string{"allowLocalDeployment": "true"}
		}
		out[name] = h
	}
	return out, nil
}

// parseTiers reads which tier each host is in: the first, where it is in several.
func parseTiers(b []byte) (map[string]FlakeHost, error) {
	var in map[string][]string
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("it is no set of lists of names: %w", err)
	}
	out := map[string]FlakeHost{}
	for _, tier := range slices.SortedFunc(maps.Keys(in), fleet.CompareTiers) {
		for _, name := range in[tier] {
			if _, has := out[name]; !has && nameable(name) && nameable(tier) {
				out[name] = FlakeHost{Tier: tier}
			}
		}
	}
	return out, nil
}

// reach takes in where a host is reached. "root@eve.i" is in use for a host name.
func reach(h *FlakeHost, host, user string, port int) {
	before, after, named := strings.Cut(fleet.Clean(host), "@")
	if !named {
		before, after = "", before
	}
	h.Hostname, h.User = after, fleet.Clean(user)
	if h.User == "" {
		h.User = before
	}
	if name, p, err := net.SplitHostPort(after); err == nil {
		if n, err := strconv.Atoi(p); err == nil && port == 0 {
			h.Hostname, port = name, n
		}
	}
	if port > 0 && port < 65536 {
		h.Port = port
	}
}

// sshWay is what options of ssh say of the way to a host: -p, -i, -J and -l, and
// their likes behind -o, with their values beside them or as the next word.
func sshWay(opts []string) (way FlakeHost) {
	set := func(what, value string) {
		value = fleet.Clean(strings.TrimSpace(value))
		if value == "" || strings.HasPrefix(value, "-") {
			return
		}
		switch strings.ToLower(what) {
		case "p", "port":
			way.Port, _ = strconv.Atoi(value)
		case "i", "identityfile":
			way.Identity = value
		case "j", "proxyjump":
			way.Jump = value
		case "l", "user":
			way.User = value
		}
	}
	for i, o := range opts {
		if len(o) < 2 || o[0] != '-' || !slices.Contains([]byte("piJlo"), o[1]) {
			continue
		}
		value := o[2:]
		if value == "" && i+1 < len(opts) {
			value = opts[i+1]
		}
		what := o[1:2]
		if what == "o" {
			at := strings.IndexAny(value, "= ")
			if at < 0 {
				continue
			}
			what, value = value[:at], value[at+1:]
		}
		set(what, value)
	}
	return way
}

// unheeded tells which of a deployer's settings mean nothing here.
func unheeded(h FlakeHost) (lines []string) {
	for _, k := range []string{"magicRollback", "autoRollback"} {
		if h.Options[k] == "false" {
			lines = append(lines, "deploy-rs' "+k+" = false is not heeded: a host always goes back by itself")
		}
	}
	if u := h.Options["user"]; u != "" && u != "root" {
		lines = append(lines, "deploy-rs' user = "+u+" is not heeded: a system is root's")
	}
	return lines
}
