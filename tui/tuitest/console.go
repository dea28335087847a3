package tuitest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Console is a fleet.Console without hosts. It remembers what it was asked.
type Console struct {
	// AllImages gives the images of a host; nil: none.
	AllImages func(newer bool) fleet.Fact[[]fleet.NamedImage]

	NoSnapshots error // why none can be read

	mu        sync.Mutex
	looks     []fleet.Focus
	refreshes []fleet.HostID
	answers   map[int]fleet.Reply
	logs      []*Log
	series    []fleet.HostID
	windows   []time.Duration
	shared    []fleet.HostID
	units     []string // what was asked for of units: a host, or a unit

	OnAnswer    func(id int, r fleet.Reply)
	NewShell    func(fleet.HostID) (fleet.Session, error)
	Way         func(url string) fleet.Trace // nil: there is none
	Path        func(fleet.Node) fleet.Fact[fleet.Path]
	NewExec     func(host fleet.HostID, container, user string) (fleet.Session, error)
	LogErr      error
	SeriesIn    []fleet.Series
	NoSeries    error           // why there are none
	OfContainer []fleet.Series  // of every container
	AllUnits    *fleet.UnitList // what the host's systemds tell; nil: nothing
	OneUnit     func(unit, user string, secrets bool) (fleet.UnitDetail, error)
	OnUnits     func(context.Context) (fleet.UnitList, error) // in place of AllUnits
	Lines       []fleet.LogLine                               // what every log begins with
	SharedBy    map[fleet.HostID]fleet.Fact[fleet.Shared]

	// Detail and Top tell of a container; nil: nothing is told.
	Detail func(c fleet.Container, secrets bool) (fleet.ContainerDetail, error)
	Top    func(c fleet.Container, secrets bool) (fleet.ContainerTop, error)

	// Old gives the lines of a log that is not followed; nil: Lines.
	Old   func(fleet.LogQuery) []fleet.LogLine
	saved map[string][]string
}

// Look implements fleet.Console.
func (c *Console) Look(f fleet.Focus) { c.mu.Lock(); c.looks = append(c.looks, f); c.mu.Unlock() }

// Looks is what was looked at, in order.
func (c *Console) Looks() []fleet.Focus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]fleet.Focus(nil), c.looks...)
}

// Refresh implements fleet.Console.
func (c *Console) Refresh(id fleet.HostID) {
	c.mu.Lock()
	c.refreshes = append(c.refreshes, id)
	c.mu.Unlock()
}

// Refreshes are the hosts that were asked again.
func (c *Console) Refreshes() []fleet.HostID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]fleet.HostID(nil), c.refreshes...)
}

// Answer implements fleet.Console.
func (c *Console) Answer(id int, r fleet.Reply) {
	c.mu.Lock()
	if c.answers == nil {
		c.answers = map[int]fleet.Reply{}
	}
	c.answers[id] = r
	f := c.OnAnswer
	c.mu.Unlock()
	if f != nil {
		f(id, r)
	}
}

// Answered is how a question was answered.
func (c *Console) Answered(id int) (fleet.Reply, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.answers[id]
	return r, ok
}

// Logs implements fleet.Console.
func (c *Console) Logs(_ context.Context, q fleet.LogQuery) (fleet.LogStream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.LogErr != nil {
		return nil, c.LogErr
	}
	l := &Log{Query: q, in: make(chan []fleet.LogLine, 1000), closed: make(chan struct{})}
	lines := slices.Clone(c.Lines)
	if !q.Follow && c.Old != nil {
		lines = c.Old(q)
	}
	for i := range lines {
		if lines[i].Here.IsZero() {
			lines[i].Here = lines[i].At
		}
	}
	if l.in <- lines; !q.Follow {
		close(l.in)
	}
	c.logs = append(c.logs, l)
	return l, nil
}

// OpenLogs are the logs that were opened, closed ones too.
func (c *Console) OpenLogs() []*Log {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Log(nil), c.logs...)
}

// SaveLog implements fleet.Console.
func (c *Console) SaveLog(name string, lines []string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.saved == nil {
		c.saved = map[string][]string{}
	}
	path := "/home/ada/.local/state/sextant/logs/" + name + ".log"
	c.saved[path] = lines
	return path, nil
}

// Saved is what was written to a file.
func (c *Console) Saved(path string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.saved[path]
}

// Series implements fleet.Console.
func (c *Console) Series(_ context.Context, id fleet.HostID, q fleet.SeriesQuery) ([]fleet.Series, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case q.Container != "" && c.OfContainer == nil:
		return nil, errors.New("no Netdata keeps the past of this host")
	case q.Container != "":
		return c.OfContainer, nil
	}
	c.series = append(c.series, id)
	c.windows = append(c.windows, q.Window)
	return c.SeriesIn, c.NoSeries
}

// Windows are how much of the past was asked for, in order.
func (c *Console) Windows() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]time.Duration(nil), c.windows...)
}

// Charted are the hosts whose charts were asked for, in order.
func (c *Console) Charted() []fleet.HostID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]fleet.HostID(nil), c.series...)
}

// Units implements fleet.Console.
func (c *Console) Units(ctx context.Context, id fleet.HostID) (fleet.UnitList, error) {
	c.askedUnits(string(id))
	switch {
	case c.OnUnits != nil:
		return c.OnUnits(ctx)
	case c.AllUnits == nil:
		return fleet.UnitList{}, errors.New("no units here")
	}
	return *c.AllUnits, nil
}

// Shared implements fleet.Console.
func (c *Console) Shared(_ context.Context, id fleet.HostID) fleet.Fact[fleet.Shared] {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shared = append(c.shared, id)
	if f, ok := c.SharedBy[id]; ok {
		return f
	}
	return fleet.Unknown[fleet.Shared](errors.New("nothing is shared here"), Now, "")
}

// AskedShared are the hosts whose pods, networks and volumes were read, in order.
func (c *Console) AskedShared() []fleet.HostID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]fleet.HostID(nil), c.shared...)
}

// Unit implements fleet.Console.
func (c *Console) Unit(_ context.Context, _ fleet.HostID, unit, user string, secrets bool) (fleet.UnitDetail, error) {
	c.askedUnits(fleet.Unit{Name: unit, User: user}.Label())
	if c.OneUnit == nil {
		return fleet.UnitDetail{}, errors.New("no units here")
	}
	return c.OneUnit(unit, user, secrets)
}

// Container implements fleet.Console.
func (c *Console) Container(_ context.Context, _ fleet.HostID, ct fleet.Container, secrets bool) (fleet.ContainerDetail, error) {
	if c.Detail == nil {
		return fleet.ContainerDetail{}, errors.New("no details here")
	}
	return c.Detail(ct, secrets)
}

// Processes implements fleet.Console.
func (c *Console) Processes(_ context.Context, _ fleet.HostID, ct fleet.Container, secrets bool) (fleet.ContainerTop, error) {
	if c.Top == nil {
		return fleet.ContainerTop{}, errors.New("no processes here")
	}
	return c.Top(ct, secrets)
}

func (c *Console) askedUnits(what string) {
	c.mu.Lock()
	c.units = append(c.units, what)
	c.mu.Unlock()
}

// AskedUnits are the hosts whose units were asked for, and the units that were, in order.
func (c *Console) AskedUnits() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.units)
}

// Trace implements fleet.Console.
func (c *Console) Trace(_ context.Context, url string) (fleet.Trace, error) {
	if c.Way == nil {
		return fleet.Trace{}, errors.New("no way is known here")
	}
	return c.Way(url), nil
}

// Shell implements fleet.Console.
func (c *Console) Shell(id fleet.HostID) (fleet.Session, error) {
	if c.NewShell == nil {
		return nil, errors.New("no shell here")
	}
	return c.NewShell(id)
}

// Exec implements fleet.Console.
func (c *Console) Exec(_ context.Context, id fleet.HostID, container, user string) (fleet.Session, error) {
	if c.NewExec == nil {
		return nil, errors.New("nothing can be run here")
	}
	return c.NewExec(id, container, user)
}

// Log is a log that a test writes.
type Log struct {
	Query  fleet.LogQuery
	in     chan []fleet.LogLine
	err    error // why it breaks off
	once   sync.Once
	closed chan struct{}
}

// Write adds a line.
func (l *Log) Write(lines ...fleet.LogLine) { l.in <- lines }

// End ends the log.
func (l *Log) End() { close(l.in) }

// Break ends the log as a connection that is lost does.
func (l *Log) Break(err error) {
	l.err = err
	close(l.in)
}

// Closed tells whether the reader has closed it.
func (l *Log) Closed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// Next implements fleet.LogStream.
func (l *Log) Next(ctx context.Context) ([]fleet.LogLine, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case lines, ok := <-l.in:
		if !ok {
			return nil, cmp.Or(l.err, io.EOF)
		}
		return lines, nil
	}
}

// Close implements fleet.LogStream.
func (l *Log) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

// Wave is a series to draw charts of.
func Wave(name, unit string, high float64) fleet.Series {
	s := fleet.Series{Name: name, Unit: unit, Source: "netdata v1.37"}
	for i := range 120 {
		s.Points = append(s.Points, fleet.Point{At: ago(time.Duration(120-i) * 30 * time.Second), Value: high * (0.5 + 0.45*math.Sin(float64(i)/9))})
	}
	return s
}

// LogLines are lines of a log to begin with.
func LogLines(n int) []fleet.LogLine {
	lines := make([]fleet.LogLine, 0, n)
	for i := range n {
		l := fleet.LogLine{At: ago(time.Duration(n-i) * 7 * time.Second), Host: "storage", From: "nginx", Level: 6, Text: fmt.Sprintf("10.77.0.%d GET /photos/%d 200", i%9+1, i)}
		switch {
		case i%11 == 10:
			l.Level, l.Text = 3, fmt.Sprintf("upstream timed out (110: Connection timed out) while connecting to upstream, request %d, host photos.example.org, upstream 127.0.0.1:2283", i)
		case i%7 == 6:
			l.Level, l.Text = 4, fmt.Sprintf("slow request %d took 3.2 s", i)
		}
		lines = append(lines, l)
	}
	return lines
}

// Ping implements fleet.Console.
func (c *Console) Ping(_ context.Context, nodes []fleet.Node, tell func(string, fleet.Fact[fleet.Path])) {
	for _, n := range nodes {
		if c.Path != nil {
			tell(n.ID, c.Path(n))
		}
	}
}
