package discover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os/exec"
	"reflect"
	"runtime"
	"syscall"
	"time"

	"tailscale.com/client/local"
	"tailscale.com/ipn"
	"tailscale.com/paths"
	"tailscale.com/safesocket"

	"github.com/sextant-fleet/sextant/fleet"
)

// Times of following tailscaled.
const (
	tailnetQuiet   = 200 * time.Millisecond // notices come in bursts: one question for all within this
	tailnetRenew   = 30 * time.Second       // paths and ages are told by no notice
	tailnetAnswer  = 5 * time.Second        // a daemon that takes longer hangs
	tailnetRetry   = 250 * time.Millisecond // first wait after the watch broke; it doubles
	tailnetRetries = 5 * time.Second        // up to this
)

// tailnetMask asks for every change of who is there and who is online. The
// last bit was needed by older daemons to let others than root watch.
const tailnetMask = ipn.NotifyInitialState | ipn.NotifyPeerChanges | ipn.NotifyPeerPatches | ipn.NotifyNoPrivateKeys

// tailnet is the local tailscaled.
type tailnet struct {
	socket      string // "" the usual one
	serviceTags []string
	last        []Sighting
	lastAt      time.Time
}

// Name is "tailscale".
func (*tailnet) Name() string { return SourceTailscale }

// Slow is false: the daemon answers at once or is not there.
func (*tailnet) Slow() bool { return false }

// Watch follows the daemon, over its restarts, until ctx ends.
func (t *tailnet) Watch(ctx context.Context, emit func([]Sighting, error)) {
	wait, told := tailnetRetry, ""
	for ctx.Err() == nil {
		began := time.Now()
		err := t.follow(ctx, emit)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > tailnetRetries {
			wait, told = tailnetRetry, ""
		}
		if why := t.explain(err); why.Error() != told {
			told = why.Error()
			emit(nil, why)
		}
		t.last = nil
		pause(ctx, wait)
		wait = min(2*wait, tailnetRetries)
	}
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// follow holds one watch of the daemon, until it breaks.
func (t *tailnet) follow(ctx context.Context, emit func([]Sighting, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client, end := t.client()
	defer end()

	watcher, err := client.WatchIPNBus(ctx, tailnetMask)
	if err != nil {
		return err
	}
	notices, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() { ended <- readNotices(watcher, notices) }()
	defer func() { cancel(); watcher.Close(); <-ended }()

	renew := time.NewTicker(tailnetRenew)
	defer renew.Stop()
	for {
		if err := t.read(ctx, client, emit); err != nil {
			return err
		}
		select {
		case <-notices:
			pause(ctx, tailnetQuiet)
			select { // those that came meanwhile are answered too
			case <-notices:
			default:
			}
		case <-renew.C:
		case err := <-ended:
			ended <- err
			return fmt.Errorf("tailscaled went away: %w", err)
		}
	}
}

// client speaks to the daemon; end is called when it is done with.
func (t *tailnet) client() (client *local.Client, end func()) {
	transport := &http.Transport{DialContext: t.dial, ResponseHeaderTimeout: tailnetAnswer}
	return &local.Client{Transport: transport, OmitAuth: t.socket != ""}, transport.CloseIdleConnections
}

// readNotices puts a mark in notices for each message. What it says does not
// matter: the status that is asked for then says all, whichever version the
// daemon is of.
func readNotices(w *local.IPNBusWatcher, notices chan<- struct{}) error {
	for {
		_, err := w.Next()
		if odd := (*json.UnmarshalTypeError)(nil); err != nil && !errors.As(err, &odd) {
			return err
		}
		select {
		case notices <- struct{}{}:
		default: // one is waiting already
		}
	}
}

// read asks the daemon for its status and tells it, where it says something new.
func (t *tailnet) read(ctx context.Context, client *local.Client, emit func([]Sighting, error)) error {
	ctx, cancel := context.WithTimeout(ctx, tailnetAnswer)
	defer cancel()
	st, err := client.Status(ctx)
	if err != nil {
		return err
	}
	if st == nil {
		return errors.New("tailscaled gave no status")
	}
	switch st.BackendState {
	case ipn.Running.String():
	case ipn.Starting.String(), ipn.NoState.String():
		return nil // a notice comes when it has started
	default:
		t.last = nil
		emit(nil, stateTrouble(st.BackendState))
		return nil
	}
	now := time.Now()
	list := fromStatus(st, now, t.serviceTags)
	if now.Sub(t.lastAt) < tailnetRenew && sameButAge(t.last, list) {
		return nil
	}
	t.last, t.lastAt = list, now
	emit(list, nil)
	return nil
}

// sameButAge tells whether two lists say the same, whenever they were made.
func sameButAge(a, b []Sighting) bool {
	if len(a) != len(b) || a == nil {
		return false
	}
	for i, s := range a {
		s.Presence.At = b[i].Presence.At
		if !reflect.DeepEqual(s, b[i]) {
			return false
		}
	}
	return true
}

// dial connects to the daemon. The client's own dialler is not used: it waits
// two seconds for a socket that is not there, and runs systemctl to explain.
func (t *tailnet) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	var d net.Dialer
	path := t.socket
	if path == "" {
		if port, _, err := safesocket.LocalTCPPortAndToken(); err == nil { // the App Store's Tailscale on a Mac
			return d.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		}
		path = paths.DefaultTailscaledSocket()
	}
	if runtime.GOOS == "windows" {
		return safesocket.ConnectContext(ctx, path)
	}
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("tailscaled's socket: %w", err)
	}
	return conn, nil
}

// stateTrouble says why a daemon that answers knows nobody.
func stateTrouble(state string) *Trouble {
	switch state {
	case ipn.NeedsLogin.String():
		return &Trouble{errors.New("this machine is logged out of Tailscale"), "sudo tailscale up"}
	case ipn.NeedsMachineAuth.String():
		return &Trouble{errors.New("this machine waits to be approved in the tailnet"), "approve it in the admin console"}
	case ipn.Stopped.String():
		return &Trouble{errors.New("this machine's Tailscale is turned off"), "sudo tailscale up"}
	case ipn.InUseOtherUser.String():
		return &Trouble{errors.New("another user of this machine has Tailscale in use"), "log that user out"}
	}
	return &Trouble{fmt.Errorf("tailscaled is in state %q", fleet.Clean(state)), "tailscale status"}
}

// explain says why the daemon could not be asked and what can be done.
func (t *tailnet) explain(err error) *Trouble {
	switch {
	case errors.Is(err, fs.ErrNotExist) && t.socket != "":
		return &Trouble{fmt.Errorf("no tailscaled at %s", t.socket), "check the path of the socket"}
	case errors.Is(err, fs.ErrNotExist):
		if _, missing := exec.LookPath("tailscale"); missing != nil {
			return &Trouble{errors.New("no Tailscale is installed on this machine"), "services.tailscale.enable = true, or name hosts in the configuration or ~/.ssh/config"}
		}
		return &Trouble{errors.New("tailscaled is not running"), "sudo systemctl start tailscaled"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &Trouble{errors.New("tailscaled is not running"), "sudo systemctl start tailscaled"}
	case errors.Is(err, fs.ErrPermission), local.IsAccessDeniedError(err):
		return &Trouble{errors.New("you are not allowed to talk to tailscaled"), "sudo tailscale set --operator=$USER"}
	case errors.Is(err, context.DeadlineExceeded):
		return &Trouble{errors.New("tailscaled does not answer"), "sudo systemctl restart tailscaled"}
	}
	return &Trouble{fmt.Errorf("asking tailscaled: %w", err), "tailscale status"}
}
