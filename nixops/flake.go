package nixops

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
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

// evalLimit is how long naming the hosts of a flake may take.
const evalLimit = 5 * time.Minute

// features are what a nix that was not configured needs to know flakes.
var features = []string{"--extra-experimental-features", "nix-command flakes"}

// Attributes are the names in the flake's nixosConfigurations.
func (f Flake) Attributes(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, evalLimit, fmt.Errorf("the flake was not evaluated within %s", evalLimit))
	defer cancel()
	var names []string
	out, err := runNix(ctx, nil, "eval", "--json", f.Ref+"#nixosConfigurations", "--apply", "builtins.attrNames")
	if err == nil {
		err = json.Unmarshal(out, &names)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the hosts of %s: %w", f.Ref, err)
	}
	return names, nil
}

// Attribute is the one of a host: the configuration's, or the host's own name or
// one of its aliases. One that is not there is an error with the nearest names.
func Attribute(h fleet.Host, attributes []string) (string, error) {
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

// didYouMean gives the nearest of some names, and what there is.
func didYouMean(name string, names []string) string {
	text := ""
	if near := fleet.Nearest(name, names); near != "" {
		text = fmt.Sprintf("; did you mean %q?", near)
	}
	return text + " it has " + fleet.Short(strings.Join(names, ", "), 200)
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
	var built []struct{ Outputs map[string]string }
	if err := json.Unmarshal(out, &built); err != nil || len(built) != 1 || built[0].Outputs["out"] == "" {
		return "", fmt.Errorf("building %s: nix does not tell what it has built: %q", attribute, fleet.Short(fleet.Clean(string(out)), 200))
	}
	return built[0].Outputs["out"], nil
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
// it printed. Its error is the end of what nix said.
func runNix(ctx context.Context, tell func(Building), args ...string) ([]byte, error) {
	args = append(append([]string{args[0]}, features...), append([]string{"--log-format", "internal-json", "-v"}, args[1:]...)...)
	cmd := exec.CommandContext(ctx, "nix", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout = &out
	said, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return nil, errors.New("there is no nix on this machine: build elsewhere (--build-on) or give a store path (--store-path)")
		}
		return nil, err
	}
	why := follow(said, tell)
	if err := cmd.Wait(); err != nil {
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case why != "":
			return nil, errors.New(why)
		}
		return nil, err
	}
	return out.Bytes(), nil
}

// follow reads what nix says to its end and gives its errors.
func follow(r io.Reader, tell func(Building)) string {
	p := progress{kinds: map[uint64]int{}}
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if p.read(line) && tell != nil {
			tell(p.Building)
		}
		if err != nil {
			return p.failure()
		}
	}
}
