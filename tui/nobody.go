package tui

import (
	"context"
	"errors"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// nobody is the console of a UI that has none: facts are shown, and nothing
// else can be asked for.
type nobody struct{}

var errNobody = errors.New("there is no connection to hosts here")

func (nobody) Look(fleet.Focus)        {}
func (nobody) Refresh(fleet.HostID)    {}
func (nobody) Answer(int, fleet.Reply) {}
func (nobody) Logs(context.Context, fleet.LogQuery) (fleet.LogStream, error) {
	return nil, errNobody
}

func (nobody) Series(context.Context, fleet.HostID, time.Duration) ([]fleet.Series, error) {
	return nil, errNobody
}

func (nobody) Shell(fleet.HostID) (fleet.Session, error) { return nil, errNobody }
