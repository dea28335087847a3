package link

import (
	"context"
	"regexp"

	"golang.org/x/crypto/ssh"

	"github.com/sextant-fleet/sextant/fleet"
)

// checkURL finds the page Tailscale SSH wants a person to open.
var checkURL = regexp.MustCompile(`https?://[^\s"'<>]+`)

// banner shows a person what the host says before it lets anyone in. With an
// URL in it (Tailscale SSH in check mode) the login waits for the visit, for as
// long as a question waits; it ends by itself when the host lets us in.
func (d *Dialer) banner(ctx context.Context, h fleet.Host, clock *clock) ssh.BannerCallback {
	return func(message string) error {
		message = fleet.Short(fleet.Clean(message), 500)
		url := checkURL.FindString(message)
		if url == "" || d.Asker == nil {
			d.note(fleet.Info, h.Name, message)
			return nil
		}
		resume := clock.pause()
		go func() {
			defer resume()
			_, _ = d.ask(ctx, fleet.Question{
				Host: h.Name, Kind: fleet.AskVisit, URL: url,
				Text:   h.Name + " wants you to confirm in a browser",
				Detail: []string{message},
			}) // its end is the login's end: there is nothing to answer
		}()
		return nil
	}
}
