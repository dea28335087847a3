package main

import (
	"context"

	"github.com/sextant-fleet/sextant/fleet/watch"
)

func (r *readers) judgeBackups(ctx context.Context, a watch.Ask) watch.Change  { return nil }
func (r *readers) readSnapshots(ctx context.Context, a watch.Ask) watch.Change { return nil }
