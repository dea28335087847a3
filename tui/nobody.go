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

// Look does nothing.
func (nobody) Look(fleet.Focus) {}

// Refresh does nothing.
func (nobody) Refresh(fleet.HostID) {}

// Answer does nothing.
func (nobody) Answer(int, fleet.Reply) {}

// Logs gives none.
func (nobody) Logs(context.Context, fleet.LogQuery) (fleet.LogStream, error) {
	return nil, errNobody
}

// SaveLog saves none.
func (nobody) SaveLog(string, []string) (string, error) { return "", errNobody }

// Series gives none.
func (nobody) Series(context.Context, fleet.HostID, fleet.SeriesQuery) ([]fleet.Series, error) {
	return nil, errNobody
}

// Units gives none.
func (nobody) Units(context.Context, fleet.HostID) (fleet.UnitList, error) {
	return fleet.UnitList{}, errNobody
}

// Shared tells nothing.
func (nobody) Shared(context.Context, fleet.HostID) fleet.Fact[fleet.Shared] {
	return fleet.Unknown[fleet.Shared](errNobody, time.Now(), "")
}

// Unit tells nothing.
func (nobody) Unit(context.Context, fleet.HostID, string, string, bool) (fleet.UnitDetail, error) {
	return fleet.UnitDetail{}, errNobody
}

// Container tells nothing.
func (nobody) Container(context.Context, fleet.HostID, fleet.Container, bool) (fleet.ContainerDetail, error) {
	return fleet.ContainerDetail{}, errNobody
}

// Processes tells nothing.
func (nobody) Processes(context.Context, fleet.HostID, fleet.Container, bool) (fleet.ContainerTop, error) {
	return fleet.ContainerTop{}, errNobody
}

// Snapshots gives none.
func (nobody) Snapshots(context.Context, fleet.HostID, string) ([]fleet.BackupSnapshot, error) {
	return nil, errNobody
}

// SnapshotFiles gives none.
func (nobody) SnapshotFiles(context.Context, fleet.HostID, string, string, string) (fleet.FileList, error) {
	return fleet.FileList{}, errNobody
}

// SnapshotDiff gives none.
func (nobody) SnapshotDiff(context.Context, fleet.HostID, string, string, string) (fleet.SnapshotDiff, error) {
	return fleet.SnapshotDiff{}, errNobody
}

// Trace gives none.
func (nobody) Trace(context.Context, string) (fleet.Trace, error) { return fleet.Trace{}, errNobody }

// Images gives none.
func (nobody) Images(context.Context, fleet.HostID, bool) fleet.Fact[[]fleet.NamedImage] {
	return fleet.Unknown[[]fleet.NamedImage](errNobody, time.Now(), "")
}

// Shell gives none.
func (nobody) Shell(fleet.HostID) (fleet.Session, error) { return nil, errNobody }

// Exec runs nothing.
func (nobody) Exec(context.Context, fleet.HostID, string, string) (fleet.Session, error) {
	return nil, errNobody
}

// Ping tells nothing.
func (nobody) Ping(context.Context, []fleet.Node, func(string, fleet.Fact[fleet.Path])) {}
