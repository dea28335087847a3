package nixops

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// errStillUp is a host that has not gone down yet.
var errStillUp = errors.New("it has not gone down yet")

// Reboot restarts a host and waits until it is back: reached anew, with another
// boot ID. The error tells what it was last seen doing.
func (d *Deployer) Reboot(ctx context.Context, h fleet.Host, tell func(string)) error {
	return d.recordReboot(h, "it is back", func() error { return d.reboot(ctx, h, tell) })
}

// RebootOnly restarts a host and does not wait for it: that it comes back is not known.
func (d *Deployer) RebootOnly(ctx context.Context, h fleet.Host, tell func(string)) error {
	return d.recordReboot(h, "nobody waited for it", func() error { return d.goDown(ctx, d.Links.Open(h), tell) })
}

// recordReboot writes down what came of a restart.
func (d *Deployer) recordReboot(h fleet.Host, result string, reboot func() error) error {
	e := fleet.Event{At: time.Now(), Kind: fleet.EventReboot, Level: fleet.Info, Text: "restarted", Result: result}
	err := reboot()
	if err != nil {
		e.Level, e.Result = fleet.Error, err.Error()
	}
	d.Did(h, e)
	return err
}

func (d *Deployer) reboot(ctx context.Context, h fleet.Host, tell func(string)) error {
	l := d.Links.Open(h)
	before, err := bootID(ctx, l)
	if err != nil {
		return err
	}
	if err := d.goDown(ctx, l, tell); err != nil {
		return err
	}
	limit := d.Limits.or().Reboot
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it did not come back within %s", limit))
	defer cancel()
	why := errStillUp
	for {
		now, err := d.anew(ctx, h)
		switch {
		case err == nil && now != before:
			tell("it is back")
			return nil
		case err == nil:
			err = errStillUp
		}
		if err.Error() != why.Error() && ctx.Err() == nil {
			tell("waiting: " + err.Error())
			why = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w; last: %w", h.Name, context.Cause(ctx), why)
		case <-time.After(time.Second):
		}
	}
}

// goDown begins the restart. The answer may be lost with the connection: the boot ID
// is what tells.
func (d *Deployer) goDown(ctx context.Context, l link.Link, tell func(string)) error {
	if _, err := l.Connect(ctx); err != nil {
		return err
	}
	tell("restarting")
	res, err := l.Run(ctx, link.Command{Args: []string{"systemctl", "--no-block", "reboot"}, Root: true})
	switch {
	case err == nil && res.Status != 0:
		return fmt.Errorf("%s: systemctl reboot: %s", l.Host().Name, fleet.Short(fleet.Clean(lastLine(res.Stderr)), 200))
	case errors.Is(err, link.ErrNoRoot):
		return err
	}
	return nil
}

// anew reads the boot ID over a connection of its own.
func (d *Deployer) anew(ctx context.Context, h fleet.Host) (string, error) {
	l := d.Links.Apart(h)
	defer l.Close()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	return bootID(ctx, l)
}

func bootID(ctx context.Context, l link.Link) (string, error) {
	res, err := l.Run(ctx, link.Command{Args: []string{"cat", "/proc/sys/kernel/random/boot_id"}})
	if err != nil {
		return "", err
	}
	if id := lastLine(res.Stdout); res.Status == 0 && id != "" {
		return id, nil
	}
	return "", fmt.Errorf("%s: its boot ID cannot be read", l.Host().Name)
}
