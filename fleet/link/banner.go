package link

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/sextant-fleet/sextant/fleet"
)

// checkURL finds the page Tailscale SSH wants a person to open.
var checkURL = regexp.MustCompile(`https?://[^\s"'<>]+`)

// banner shows a person what the host says before it lets anyone in. With an
// URL in it (Tailscale SSH in check mode) the login waits for the visit, for as
// long as a question waits; it ends by itself when the host lets us in, and at
// once when the person refuses.
func (d *Dialer) banner(ctx context.Context, refuse context.CancelCauseFunc, h fleet.Host, clock *clock) *banner {
	return &banner{d: d, ctx: ctx, refuse: refuse, host: h, clock: clock}
}

// banner is what a host says while we log in. The library calls it and the
// login's end looks at it in turns, never at once.
type banner struct {
	d      *Dialer
	ctx    context.Context // of the login
	refuse context.CancelCauseFunc
	host   fleet.Host
	clock  *clock
	page   string // what it wants to be visited
}

// say is the ssh.BannerCallback.
func (b *banner) say(message string) error {
	message = fleet.Clean(message)
	page := checkURL.FindString(message)
	message = fleet.Short(message, 500)
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

// blame adds the page that nobody visited to why a login failed.
func (b *banner) blame(err error) error {
	if err == nil || b.page == "" || errors.Is(err, ErrRefused) {
		return err
	}
	return fleet.WithCure(fmt.Errorf("%w (it wants you to visit %s)", err, b.page), "visit that page in a browser and let yourself in")
}
