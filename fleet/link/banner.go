package link

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// checkURL finds the page Tailscale SSH wants a person to open.
var checkURL = regexp.MustCompile(`https?://[^\s"'<>]+`)

// banner shows a person what the host says before it lets anyone in. With an
// URL in it (Tailscale SSH in check mode) the login waits for the visit, for as
// long as a question waits; it ends by itself when the host lets us in, and at
// once when the person refuses.
func (d *Dialer) banner(ctx context.Context, refuse context.CancelCauseFunc, h fleet.Host, user string, clock *clock) *banner {
	return &banner{d: d, ctx: ctx, refuse: refuse, host: h, user: user, clock: clock}
}

// banner is what a host says while we log in. The library calls it and the
// login's end looks at it in turns, never at once.
type banner struct {
	d      *Dialer
	ctx    context.Context // of the login
	refuse context.CancelCauseFunc
	host   fleet.Host
	user   string // who we want to be there
	clock  *clock
	page   string // what it wants to be visited
	denied string // what it says where the tailnet's policy keeps us out
}

// denials are what Tailscale SSH says before it ends a login that the tailnet's policy
// does not allow (tailssh.go, 1.30 to 1.102).
var denials = regexp.MustCompile(`(?i)tailnet policy does not permit|failed to evaluate (tailnet|SSH) policy|no matching policy|tailscale: access denied`)

// say is the ssh.BannerCallback.
func (b *banner) say(message string) error {
	message = fleet.Clean(message)
	page := checkURL.FindString(message)
	message = fleet.Short(message, 500)
	if denials.MatchString(message) {
		b.denied = message
	}
	if page == "" || b.d.Asker == nil {
		b.page = page
		b.d.note(fleet.Info, b.host.Name, message)
		return nil
	}
	if b.page != "" {
		return nil // it is being asked already
	}
	b.page = page
	resume := b.clock.pause()
	go func() {
		defer resume()
		_, err := b.d.ask(b.ctx, "visit\x00"+string(b.host.ID), fleet.Question{
			Host: b.host.Name, Kind: fleet.AskVisit, URL: page,
			Text:   b.host.Name + " wants you to confirm in a browser",
			Detail: []string{message},
		}) // its end is the login's end: there is nothing to answer but no
		if errors.Is(err, ErrRefused) {
			b.refuse(fmt.Errorf("visiting %s: %w", page, err))
		}
	}()
	return nil
}

// blame adds to why a login failed the page that nobody visited, or that it was the
// tailnet's policy, which no key helps against.
func (b *banner) blame(err error) error {
	if err != nil && b.denied != "" && !errors.Is(err, ErrHostKey) && !errors.Is(err, ErrRefused) { // it is then cut off without more words
		return fleet.WithCure(fmt.Errorf("%w: Tailscale SSH of %s says: %s", ErrAuth, b.host.Name, strings.TrimSpace(b.denied)), b.rule())
	}
	if err == nil || b.page == "" || errors.Is(err, ErrRefused) {
		return err
	}
	return fleet.WithCure(fmt.Errorf("%w (it wants you to visit %s)", err, b.page), "visit that page in a browser and let yourself in")
}

// rule is what the policy lacks, as it is written there.
func (b *banner) rule() string {
	dst := "autogroup:self"
	if len(b.host.Tags) > 0 {
		dst = "tag:" + b.host.Tags[0]
	}
	return fmt.Sprintf(`add to "ssh" of the tailnet's policy: {"action": "accept", "src": [you], "dst": [%q], "users": [%q]}; or turn Tailscale SSH off there (tailscale set --ssh=false) and log in with a key`, dst, b.user)
}
