package main

import (
	"context"
	"os/exec"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/secrets"
	"github.com/sextant-fleet/sextant/fleet/watch"
	"github.com/sextant-fleet/sextant/nixops"
)

// How old what is known of secrets may get. They change with deploys.
const (
	everySecrets  = 15 * time.Minute
	lookedSecrets = time.Minute
	everySealed   = 2 * time.Minute
)

// secretCollectors read which secrets hosts decrypt.
func secretCollectors() []watch.Collector {
	return []watch.Collector{{Name: "secrets", Every: everySecrets, Looked: lookedSecrets, Slow: true, Read: readSecrets,
		Failed: func(s fleet.State) bool { return s.Secrets.Failed() }}}
}

func readSecrets(ctx context.Context, a watch.Ask) watch.Change {
	st, err := a.Probed(ctx)
	if err != nil {
		return nil // the probe has said why nothing is known
	}
	now := time.Now()
	var f fleet.Fact[fleet.HostSecrets]
	switch {
	case !st.System.Value.NixOS:
		f = fleet.Nothing[fleet.HostSecrets]("not NixOS", now, "probe")
	case st.System.Value.UID != 0:
		f = fleet.Unknown[fleet.HostSecrets](secrets.ErrOfRoot, now, "probe")
	default:
		f = secrets.Host(ctx, a.Link)
	}
	return func(s *fleet.State) { s.Secrets = s.Secrets.Refresh(f) }
}

// sealed reads the encrypted files of the flake; false: there is none to read.
func (a *app) sealed(ctx context.Context) (fleet.Fact[fleet.SealedFiles], bool) {
	const source = "the flake"
	folder := a.secretsIn
	if folder == "" {
		folder = nixops.Flake{Ref: a.flake}.Folder()
	}
	if folder == "" {
		return fleet.Nothing[fleet.SealedFiles]("no flake on this machine is known", time.Now(), source), false
	}
	eval := nixops.EvaluateFile
	if _, err := exec.LookPath("nix"); err != nil {
		eval = nil
	}
	files, err := secrets.Repository(ctx, folder, eval)
	if err != nil {
		return fleet.Unknown[fleet.SealedFiles](err, time.Now(), source), true
	}
	return fleet.Known(files, time.Now(), source), true
}

// followSealed keeps the store's view of the encrypted files fresh until ctx ends.
func (a *app) followSealed(ctx context.Context) {
	for {
		f, any := a.sealed(ctx)
		if ctx.Err() != nil {
			return
		}
		a.store.SetSealed(f)
		if !any {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(everySealed):
		}
	}
}
