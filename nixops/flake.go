package nixops

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
	"strings"
	"syscall"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Flake is where the systems of a fleet are declared. It is evaluated and built
// by the nix of this machine.
type Flake struct {
	Ref string // as nix takes it: ".", "/etc/nixos", "github:me/fleet"
}

// InHome puts the person's folder in the place of ~ in what was typed, which no
// shell does here.
func InHome(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if dir, err := os.UserHomeDir(); err == nil {
			return filepath.Join(dir, rest)
		}
	}
	return path
}

// evalLimit is how long naming the hosts of a flake may take.
const evalLimit = 5 * time.Minute

// Bounds of nix on this machine.
const (
	outputLimit = 32 << 20
	endLimit    = 5 * time.Second // from the first signal to the last
)

// features are what a nix that was not configured needs to know flakes.
var features = []string{"--extra-experimental-features", "nix-command flakes"}

// attribute is the one of a host: the configuration's, or the host's own name or
// one of its aliases. One that is not there is an error with the nearest names.
func attribute(h fleet.Host, attributes []string) (string, error) {
	if h.Flake != "" {
		if slices.Contains(attributes, h.Flake) {
			return h.Flake, nil
		}
		return "", fmt.Errorf("%s: the flake has no %q%s", h.Name, h.Flake, didYouMean(h.Flake, attributes))
	}
	for _, name := range append([]string{h.Name}, h.Aliases...) {
		if slices.Contains(attributes, name) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s: the flake has no host of that name%s", h.Name, didYouMean(h.Name, attributes))
}

// Of is what the flake declares for a host: the attribute of the configuration,
// of the host's name or one of its aliases, or else the one whose deployer reaches
// it where this host is. Two of those are an error: which is meant cannot be known.
func Of(h fleet.Host, hosts []FlakeHost) (FlakeHost, error) {
	byName := map[string]FlakeHost{}
	var names, there []string
	for _, f := range hosts {
		if f.System() {
			names, byName[f.Attr] = append(names, f.Attr), f
			if reaches(f, h) {
				there = append(there, f.Attr)
			}
		}
	}
	name, err := attribute(h, names)
	switch {
	case err == nil || h.Flake != "" || len(there) == 0:
		return byName[name], err
	case len(there) > 1:
		return FlakeHost{}, fmt.Errorf("%s: the flake deploys %s to it; say which by flake = \"…\" in the configuration", h.Name, strings.Join(there, ", "))
	}
	return byName[there[0]], nil
}

// reaches tells whether the flake reaches this host where h is.
func reaches(f FlakeHost, h fleet.Host) bool {
	if f.Hostname == "" {
		return false
	}
	same := func(name string) bool {
		return strings.EqualFold(strings.TrimSuffix(name, "."), strings.TrimSuffix(f.Hostname, "."))
	}
	return same(h.Name) || slices.ContainsFunc(h.Aliases, same) ||
		slices.ContainsFunc(h.Addresses, func(a fleet.Address) bool { return same(a.Host) && (a.Port == 0 || f.Port == 0 || a.Port == f.Port) })
}

// didYouMean gives the nearest of some names, and what there is.
func didYouMean(name string, names []string) string {
	text := "; it has "
	if near := fleet.Nearest(name, names); near != "" {
		text = fmt.Sprintf("; did you mean %q? It has ", near)
	}
	return text + fleet.Short(strings.Join(names, ", "), 200)
}

// toplevel is the installable of a host's system.
func (f Flake) toplevel(attribute string) string {
	return f.Ref + "#nixosConfigurations.\"" + attribute + "\".config.system.build.toplevel"
}

// Build builds the system of an attribute here and gives its store path.
func (f Flake) Build(ctx context.Context, attribute string, tell func(Building)) (string, error) {
	out, err := runNix(ctx, tell, "build", "--no-link", "--json", f.toplevel(attribute))
	if err != nil {
		return "", fmt.Errorf("building %s: %w", attribute, err)
	}
	store, err := parseBuilt(out)
	if err != nil {
		return "", fmt.Errorf("building %s: %w", attribute, err)
	}
	return store, nil
}

// parseBuilt reads what `nix build --json` prints of one derivation.
func parseBuilt(b []byte) (string, error) {
	var built []struct{ Outputs map[string]string }
	if err := json.Unmarshal(b, &built); err != nil || len(built) != 1 || built[0].Outputs["out"] == "" {
		return "", fmt.Errorf("nix does not tell what it has built: %q", fleet.Short(fleet.Clean(string(b)), 200))
	}
	out := built[0].Outputs["out"]
	if !strings.Contains(out, "/") { // nix's newer JSON leaves the folder out
		out = "/nix/store/" + out
	}
	return out, nil
}

// Derivation evaluates the system of an attribute and gives the store path of
// how it is built.
func (f Flake) Derivation(ctx context.Context, attribute string) (string, error) {
	out, err := runNix(ctx, nil, "path-info", "--derivation", f.toplevel(attribute))
	if err != nil {
		return "", fmt.Errorf("evaluating %s: %w", attribute, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Revision is the revision of the flake, with "-dirty" where it has changes that
// are not committed; "" where it is no repository.
func (f Flake) Revision(ctx context.Context) string {
	out, err := runNix(ctx, nil, "flake", "metadata", "--json", f.Ref)
	var meta struct {
		Revision      string
		DirtyRevision string
	}
	if err != nil || json.Unmarshal(out, &meta) != nil {
		return ""
	}
	if meta.Revision == "" {
		return meta.DirtyRevision
	}
	return meta.Revision
}

// runNix runs nix to its end, with its progress in its own JSON, and gives what
// it printed. Its error is what nix said is wrong, a *NixError where it said so.
func runNix(ctx context.Context, tell func(Building), args ...string) ([]byte, error) {
	args = append(append([]string{args[0]}, features...), append([]string{"--log-format", "internal-json", "-v"}, args[1:]...)...)
	cmd := here(ctx, "nix", args...)
	said, out := &listener{tell: tell}, &bounded{limit: outputLimit}
	cmd.Stdout, cmd.Stderr = out, said
	err := finish(ctx, cmd)
	said.end()
	switch {
	case err != nil && ctx.Err() == nil && said.failure() != "":
		return nil, said.broken()
	case err != nil:
		return nil, err
	case out.over:
		return nil, fmt.Errorf("nix gives more than %d MiB", outputLimit>>20)
	}
	return out.kept.Bytes(), nil
}

// here prepares a program of nix on this machine, in a session of its own:
// nothing that it starts can ask a question on our terminal (git, ssh), and all
// of it ends with the context.
func here(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "SSH_ASKPASS_REQUIRE=never")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = endLimit
	return cmd
}

// finish runs a prepared program to its end, and gives the reason of the context
// where that ended it.
func finish(ctx context.Context, cmd *exec.Cmd) error {
	err := cmd.Run()
	if ctx.Err() != nil {
		if cmd.Process != nil { // what did not heed the first signal
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		if err != nil {
			return context.Cause(ctx)
		}
	}
	switch {
	case errors.Is(err, exec.ErrNotFound):
		if cmd.Args[0] == "nix" {
			return errors.New("there is no nix on this machine, which evaluates, builds and copies: run sextant where nix is")
		}
		return fmt.Errorf("there is no %s on this machine", cmd.Args[0])
	case errors.Is(err, exec.ErrWaitDelay): // it ended well, and left something behind that holds its output, such as a shared connection of ssh
		return nil
	}
	return err
}

// bounded keeps the beginning of what is written to it.
type bounded struct {
	kept  bytes.Buffer
	limit int
	over  bool
}

// Write implements [io.Writer].
func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.limit-b.kept.Len())
	b.over = b.over || n < len(p)
	b.kept.Write(p[:n])
	return len(p), nil
}
