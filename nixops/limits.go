package nixops

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Limits are how long each part of a deploy may take. Zero is the default.
type Limits struct {
	Preflight  time.Duration // the look before, and staging, each: 30 s
	CopyStall  time.Duration // copying, without a byte taken: 120 s
	Activation time.Duration // 15 min
	Confirm    time.Duration // 120 s; 300 s where the ways in change
	Check      time.Duration // each check of the configuration: 60 s
	Commit     time.Duration // 5 min
	RollBack   time.Duration // 10 min
	Reboot     time.Duration // until a host is back: 10 min
}

// defaults of the limits.
var defaults = Limits{
	Preflight: 30 * time.Second, CopyStall: 2 * time.Minute, Activation: 15 * time.Minute, Confirm: 2 * time.Minute,
	Check: time.Minute, Commit: 5 * time.Minute, RollBack: 10 * time.Minute, Reboot: 10 * time.Minute,
}

// longConfirm is the default of Confirm where the ways in change.
const longConfirm = 5 * time.Minute

// or fills in the defaults.
func (l Limits) or() Limits {
	return l.under(defaults)
}

// under fills in what is not set from other limits.
func (l Limits) under(o Limits) Limits {
	return Limits{
		Preflight: cmp.Or(l.Preflight, o.Preflight), CopyStall: cmp.Or(l.CopyStall, o.CopyStall), Activation: cmp.Or(l.Activation, o.Activation),
		Confirm: cmp.Or(l.Confirm, o.Confirm), Check: cmp.Or(l.Check, o.Check), Commit: cmp.Or(l.Commit, o.Commit),
		RollBack: cmp.Or(l.RollBack, o.RollBack), Reboot: cmp.Or(l.Reboot, o.Reboot),
	}
}

// preflight bounds a question to a host that must be answered before anything is begun.
func (l Limits) preflight(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := l.or().Preflight
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
}
