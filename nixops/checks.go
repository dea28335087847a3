package nixops

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// worse tells what is worse on the host than before: what the guard sees of
// units, the checks of the configuration, and containers that broke. That it cannot
// be told is a finding too.
func (f *follower) worse(ctx context.Context, l link.Link, id string) []finding {
	units, err := check(ctx, l, id)
	if err != nil {
		return []finding{{of: "what is worse cannot be told", how: err.Error()}}
	}
	var all []finding
	for _, u := range units {
		all = append(all, finding{of: u})
	}
	for _, c := range f.kept.Checks {
		if why := checked(ctx, l, c, f.change.Limits.or().Check); why != "" {
			all = append(all, finding{of: fmt.Sprintf("check %q", c), how: why})
		}
	}
	for _, c := range f.containers(ctx) {
		all = append(all, finding{of: c})
	}
	return all
}

// containers are those that broke since the deploy began, and that they cannot be
// read any more.
func (f *follower) containers(ctx context.Context) []string {
	if f.d.Broken == nil {
		return nil
	}
	broken, err := f.d.Broken(ctx, f.host)
	switch {
	case err != nil && f.kept.Unread: // it is no worse
		return nil
	case err != nil:
		return []string{"containers cannot be read: " + err.Error()}
	}
	return slices.DeleteFunc(broken, func(name string) bool { return slices.Contains(f.kept.Broken, name) })
}

// checked does one check of the configuration: a URL that is fetched from here,
// or a command that is run on the host as root where that is possible. It gives
// why it failed, "" where it did not.
func checked(ctx context.Context, l link.Link, check string, limit time.Duration) string {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no end within %s", limit))
	defer cancel()
	if u, err := url.Parse(check); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		return fetched(ctx, check)
	}
	cmd := link.Script(check)
	cmd.IfRoot = true
	res, err := l.Run(ctx, cmd)
	switch {
	case err != nil:
		return err.Error()
	case res.Status != 0:
		said := cmp.Or(lastLine(res.Stderr), lastLine(res.Stdout))
		return strings.TrimSuffix(fmt.Sprintf("exit %d: %s", res.Status, fleet.Short(fleet.Clean(said), 120)), ": ")
	}
	return ""
}

func fetched(ctx context.Context, address string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err.Error()
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusBadRequest {
		return fleet.Clean(res.Status)
	}
	return ""
}
