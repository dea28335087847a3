package podman

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"

	"github.com/sextant-fleet/sextant/fleet/link"
)

// lend is the program that lends us the Podman of a user who has no socket.
//
//go:embed lend.sh
var lend string

// borrow opens a connection to Podman of a user who has no socket, as that user:
// who we are, or with root. Nobody is asked for a password for it.
func (e *engine) borrow(ctx context.Context, at place, known <-chan struct{}) (net.Conn, way, error) {
	cmd := at.command()
	if at.user != at.login && !e.rootAtHand(ctx, known) {
		return nil, way{}, link.ErrNoRoot
	}
	conn, err := e.link.DialCommand(ctx, cmd)
	return conn, way{&cmd}, err
}

// errUnlistening is what can be done about a Podman that does not listen.
var errUnlistening = errors.New("has no podman.socket, and cannot be asked without: systemctl --user enable --now podman.socket")

// unlent says what can be done where a Podman without socket could not be asked.
func unlent(at place, err error) error {
	if at.lent == nil {
		return err
	}
	return fmt.Errorf("%s %w: %w", at.user, errUnlistening, err)
}
