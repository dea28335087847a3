package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/adrg/xdg"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/units"
)

// source is a log that can be opened. Of a host that is gone it says so when it is.
func (c console) source(of fleet.LogSource) units.Source {
	s := units.Source{LogSource: of, On: string(of.Host)}
	l, st, err := c.link(of.Host)
	if err != nil {
		s.Open = func(context.Context, fleet.LogSource, fleet.LogQuery) (fleet.LogStream, error) { return nil, err }
		return s
	}
	s.On, s.Skew = st.Host.Name, c.a.readers.skew(st)
	s.Open = func(ctx context.Context, of fleet.LogSource, q fleet.LogQuery) (fleet.LogStream, error) {
		return c.a.readers.logs(ctx, l, st, of, q)
	}
	return s
}

// steady is how much a host's clock must have moved before its lines are put
// elsewhere: it is read to the second, and the next page of a log must go on
// exactly where the last one ended.
const steady = 2 * time.Second

// skew is by how much a host's clock is ahead of ours.
func (r *readers) skew(st fleet.State) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := st.Host.ID
	if now := st.System.Value.ClockSkew.Duration(); st.System.HasValue() && (now-r.skews[id]).Abs() >= steady {
		r.skews[id] = now
	}
	return r.skews[id]
}

// logs opens the log of a unit or container where it is kept: in the journal,
// or with the container's engine.
func (r *readers) logs(ctx context.Context, l link.Link, st fleet.State, of fleet.LogSource, q fleet.LogQuery) (fleet.LogStream, error) {
	if of.Container == "" {
		return units.Logs(ctx, l, of, q)
	}
	asked, done := context.WithTimeout(ctx, 10*time.Second)
	driver, err := r.of(l).LogDriver(asked, of.Container, of.User)
	done()
	switch {
	case err != nil, driver == "journald", driver == "": // also of a container that is gone: the journal remembers it
		return units.Logs(ctx, l, of, q)
	case driver == "none":
		return nil, fmt.Errorf("%s: the container %s keeps no log (driver none)", l.Host().Name, of.Container)
	case driver == "passthrough": // what it writes is its unit's
		return units.Logs(ctx, l, ownerOf(st, of), q)
	}
	s, err := r.of(l).Logs(ctx, of, q)
	if err != nil || q.Until.IsZero() && q.Grep == "" && (!q.Oldest || q.Follow) {
		return s, err
	}
	return units.Sift(ctx, s, q)
}

// ownerOf is the unit that owns a container, or the container where none does.
func ownerOf(st fleet.State, of fleet.LogSource) fleet.LogSource {
	c, err := containerOf(fleet.Target{Hosts: []fleet.State{st}, Container: of.Container, User: of.User})
	if err != nil || c.Unit == "" {
		return of
	}
	return fleet.LogSource{Host: of.Host, Unit: c.Unit, User: managerOf(c)}
}

// SaveLog writes lines to a file in the folder logs of the program's state, for
// this person's eyes only.
func (c console) SaveLog(name string, lines []string) (string, error) {
	return saveLog(filepath.Join(xdg.StateHome, "sextant", "logs"), name, lines, time.Now())
}

func saveLog(dir, name string, lines []string, now time.Time) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("the log was not saved: %w", err)
	}
	plain := strings.Trim(strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' || strings.ContainsRune("._@-", r)) {
			return r
		}
		return '_'
	}, name), ".")
	stem := filepath.Join(dir, plain[:min(len(plain), 100)]+now.Format("-20060102-150405"))
	for n := 1; ; n++ {
		path := stem + ".log"
		if n > 1 {
			path = fmt.Sprintf("%s-%d.log", stem, n)
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, os.ErrExist) && n < 100 {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("the log was not saved: %w", err)
		}
		for i, l := range lines {
			lines[i] = fleet.Clean(l)
		}
		_, err = io.WriteString(f, strings.Join(lines, "\n")+"\n")
		if err = errors.Join(err, f.Close()); err != nil {
			os.Remove(path)
			return "", fmt.Errorf("the log was not saved: %w", err)
		}
		return path, nil
	}
}
