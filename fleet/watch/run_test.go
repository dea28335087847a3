package watch_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
	"github.com/sextant-fleet/sextant/fleet/watch"
)

// TestRunFollowsTheStore: hosts that come are asked, those that leave are let go.
func TestRunFollowsTheStore(t *testing.T) {
	s := newScene(t, simulate.Options{})
	hosts := s.Hosts()
	s.Store.SetHosts(hosts[:2], nil, nil)
	left := make(chan fleet.HostID, 9)
	s.Left = func(id fleet.HostID) { left <- id }
	stop := s.run()
	s.known("storage")
	s.known("cloud")
	s.Store.SetHosts([]fleet.Host{s.Host("cloud"), s.Host("router")}, nil, nil)
	s.known("router")
	s.eventually("the end of storage's connection", func() bool { return s.Connections("storage") == 0 && s.Watching() == 2 })
	if id := <-left; id != hosts[0].ID || len(left) > 0 {
		t.Errorf("%s left, and %d more", id, len(left))
	}
	s.Store.SetHosts(hosts[:1], nil, nil)
	s.known("storage") // it came back
	stop()
	if st := s.state("storage"); !st.Reach.Current() || !st.System.Current() || !st.Metrics.Current() || st.Asking {
		t.Errorf("the end of the watch was taken for a loss: %+v %+v", st.Reach, st.System)
	}
	s.Look(fleet.Focus{Host: hosts[0].ID}) // after the end: nothing happens
	s.Refresh("")
}

// TestHostThatFlickers: a host that leaves and is back before the watch has looked,
// as when sources tell of it one after the other, is asked on.
func TestHostThatFlickers(t *testing.T) {
	s := newScene(t, simulate.Options{Hosts: 2})
	s.run()
	s.known("storage")
	s.Look(fleet.Focus{Host: s.Host("storage").ID})
	for range 10 {
		s.Store.SetHosts([]fleet.Host{s.Host("cloud")}, nil, nil)
		time.Sleep(30 * time.Millisecond)
		s.Store.SetHosts([]fleet.Host{s.Host("storage"), s.Host("cloud")}, nil, nil)
		time.Sleep(100 * time.Millisecond)
	}
	s.forget()
	s.eventually("an answer after it was back", func() bool { return s.times("probe storage") > 1 })
}

// TestPaces: the host on the screen is asked often, others now and then, and
// all seldom when nobody looks.
func TestPaces(t *testing.T) {
	s := newScene(t, simulate.Options{Hosts: 2})
	s.run()
	s.known("storage")
	s.known("cloud")
	s.Look(fleet.Focus{Host: s.Host("storage").ID})
	s.forget()
	time.Sleep(time.Second)
	looked, other := s.times("probe storage"), s.times("probe cloud")
	if looked < 5 || other < 1 || other > 4 {
		t.Errorf("in a second the one on the screen was asked %d times, the other %d times", looked, other)
	}
	if n, m := s.times("metrics storage"), s.times("metrics cloud"); n < 3 || m != 0 {
		t.Errorf("its collector %d times, the other's %d times", n, m)
	}
	s.Look(fleet.Focus{Host: s.Host("storage").ID, Idle: true})
	time.Sleep(500 * time.Millisecond) // what was under way
	s.forget()
	time.Sleep(time.Second)
	if n := s.times("probe storage") + s.times("probe cloud"); n > 1 {
		t.Errorf("nobody looks, but they were asked %d times", n)
	}
}

// TestBackoff: a host that fails keeps what was known, is told of once, and is
// known again when it comes back.
func TestBackoff(t *testing.T) {
	s := newScene(t, simulate.Options{Hosts: 1})
	s.run()
	s.known("storage")
	if err := s.SetFault("storage", simulate.Fault{Refuse: true}); err != nil {
		t.Fatal(err)
	}
	s.eventually("the loss", func() bool { return s.state("storage").Reach.Err != "" })
	st := s.state("storage")
	if !st.System.HasValue() || st.System.Current() || !st.Metrics.HasValue() || st.Metrics.Current() {
		t.Errorf("what was known: %+v %+v", st.System, st.Metrics)
	}
	time.Sleep(time.Second)
	told := 0
	for _, m := range s.Store.Snapshot().Messages {
		if m.Host == "storage" {
			told++
		}
	}
	if told < 1 || told > 2 { // the connection that broke, and the address that refuses
		t.Errorf("told %d times: %+v", told, s.Store.Snapshot().Messages)
	}
	if err := s.SetFault("storage", simulate.Fault{}); err != nil {
		t.Fatal(err)
	}
	s.eventually("its return", func() bool { return s.state("storage").Metrics.Current() || s.state("storage").System.Current() })
}

// TestOfflineHostIsAskedSeldom, until the tailnet says that it is back.
func TestOfflineHostIsAskedSeldom(t *testing.T) {
	s := newScene(t, simulate.Options{})
	laptop := s.Host("laptop")
	s.Store.SetHosts([]fleet.Host{laptop}, nil, nil)
	s.run()
	s.eventually("the reason", func() bool { return s.state("laptop").Reach.Err != "" })
	if err := s.SetFault("laptop", simulate.Fault{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	if s.state("laptop").Reach.Current() {
		t.Error("asked at once again")
	}
	laptop.Presence = fleet.Known(fleet.Presence{Online: true}, time.Now(), "tailscale")
	s.Store.SetHosts([]fleet.Host{laptop}, nil, nil)
	s.known("laptop")
}

func TestRefresh(t *testing.T) {
	s := newScene(t, simulate.Options{Hosts: 2})
	s.run()
	s.known("storage")
	s.known("cloud")
	s.Look(fleet.Focus{Idle: true})
	time.Sleep(500 * time.Millisecond)
	s.forget()
	s.Refresh(s.Host("storage").ID)
	s.eventually("a new answer", func() bool { return s.times("probe storage") == 1 && s.times("metrics storage") == 1 })
	if n := s.times("probe cloud"); n > 1 {
		t.Errorf("the other was asked %d times", n)
	}
	s.Refresh("")
	s.eventually("answers of all", func() bool { return s.times("metrics storage") == 2 && s.times("metrics cloud") == 1 })
}

// TestSlowGoesOnBeside: what is slow neither holds up the probe nor overlaps
// itself, nor is cut off by the limit of a round.
func TestSlowGoesOnBeside(t *testing.T) {
	s := newScene(t, simulate.Options{Hosts: 1})
	watch.RoundLimit(s.Watcher, time.Second)
	var now, most atomic.Int32
	s.Collectors = append(s.Collectors, watch.Collector{Name: "backups", Every: time.Millisecond, Slow: true, Timeout: time.Minute,
		Read: func(ctx context.Context, a watch.Ask) watch.Change {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			s.count("backups", a.Link)
			f := saved()
			// longer than a round may take, and than some rounds do
			for began := time.Now(); time.Since(began) < 2*time.Second || s.times("probe storage") < 4; time.Sleep(10 * time.Millisecond) {
				if ctx.Err() != nil {
					f = unsaved(context.Cause(ctx).Error())
					break
				}
			}
			return func(st *fleet.State) { st.Backups = st.Backups.Refresh(f) }
		}})
	s.Look(fleet.Focus{Host: s.Host("storage").ID})
	s.run()
	s.eventually("the slow facts, not cut off", func() bool { return s.state("storage").Backups.Current() })
	s.eventually("a second time", func() bool { return s.times("backups storage") >= 2 })
	if most.Load() != 1 {
		t.Errorf("%d at once", most.Load())
	}
}

// hourly is a collector of backups that has its turn once an hour. A fact that was never
// asked stands for a probe that failed.
func (s *scene) hourly(read func(context.Context, watch.Ask) fleet.Fact[[]fleet.BackupJob]) watch.Collector {
	return watch.Collector{Name: "backups", Every: time.Hour, Slow: true,
		Read: func(ctx context.Context, a watch.Ask) watch.Change {
			s.count("backups", a.Link)
			f := read(ctx, a)
			if !f.Asked() {
				return nil
			}
			return func(st *fleet.State) { st.Backups = st.Backups.Refresh(f) }
		}}
}

// again is such a collector that is asked again where it failed.
func (s *scene) again(read func(context.Context, watch.Ask) fleet.Fact[[]fleet.BackupJob]) watch.Collector {
	c := s.hourly(read)
	c.Failed = func(st fleet.State) bool { return st.Backups.Failed() }
	return c
}

// saved is a host without backups to speak of, and none that could not be read.
func saved() fleet.Fact[[]fleet.BackupJob] {
	return fleet.Known([]fleet.BackupJob{}, time.Now(), "units")
}

// unsaved is a host that does not tell of its backups.
func unsaved(why string) fleet.Fact[[]fleet.BackupJob] {
	return fleet.Unknown[[]fleet.BackupJob](errors.New(why), time.Now(), "units")
}

// TestWhatFailedIsAskedAgain: what could not be read is unknown for moments, not
// until its turn in an hour, and what was read then waits for that.
func TestWhatFailedIsAskedAgain(t *testing.T) {
	s := newScene(t, simulate.Options{Hosts: 1})
	var times atomic.Int32
	s.Collectors = []watch.Collector{s.again(func(context.Context, watch.Ask) fleet.Fact[[]fleet.BackupJob] {
		switch times.Add(1) {
		case 1:
			return fleet.Fact[[]fleet.BackupJob]{} // as where the probe failed
		case 2, 3:
			return unsaved("busy")
		}
		return saved()
	})}
	s.Look(fleet.Focus{Host: s.Host("storage").ID})
	s.run()
	s.eventually("the answer", func() bool { return s.state("storage").Backups.Current() })
	s.forget()
	s.eventually("more rounds", func() bool { return s.times("probe storage") > 9 })
	if n := s.times("backups storage"); n != 0 {
		t.Errorf("asked %d times more", n)
	}
}

// TestWhatWasLostIsAskedAgain: what a connection that broke made unknown is read as
// soon as the host is back, and not at its turn in an hour.
func TestWhatWasLostIsAskedAgain(t *testing.T) {
	s := newScene(t, simulate.Options{Hosts: 1})
	s.Collectors = []watch.Collector{s.again(func(context.Context, watch.Ask) fleet.Fact[[]fleet.BackupJob] { return saved() })}
	h := s.Host("storage")
	s.Look(fleet.Focus{Host: h.ID})
	s.run()
	s.eventually("the answer", func() bool { return s.state("storage").Backups.Current() })
	s.forget()
	s.Store.Update(h.ID, func(st *fleet.State) { *st = st.Lost(errors.New("no answer"), time.Now()) })
	s.eventually("the answer after it was back", func() bool { return s.state("storage").Backups.Current() })
	if n := s.times("backups storage"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// password gives one password to whoever asks.
type password string

func (p password) Ask(context.Context, fleet.Question) (fleet.Reply, error) {
	return fleet.Reply{Text: string(p)}, nil
}

// TestRootThatComesLate: what was not root's to see is asked again as soon as a person
// has given sudo's password for something else, and not every time from then on.
func TestRootThatComesLate(t *testing.T) {
	s := newScene(t, simulate.Options{Hosts: 1})
	s.SetLogin("storage", simulate.Login{User: "ada", Password: "open", Sudo: simulate.SudoPassword})
	s.Links.Asker = password("open")
	h := s.Host("storage")
	h.User = "ada"
	s.Store.SetHosts([]fleet.Host{h}, nil, nil)
	s.Collectors = append(s.Collectors, s.hourly(func(ctx context.Context, a watch.Ask) fleet.Fact[[]fleet.BackupJob] {
		if res, err := a.Link.Run(ctx, link.Command{Args: []string{"id", "-u"}, IfRoot: true}); err != nil || string(res.Stdout) != "0\n" {
			return unsaved("it is root's to see")
		}
		return saved()
	}))
	s.Look(fleet.Focus{Host: h.ID})
	s.run()
	s.known("storage")
	s.eventually("the answer without root", func() bool { return s.state("storage").Backups.Err != "" })
	if _, err := s.Links.Open(h).Run(context.Background(), link.Command{Args: []string{"true"}, Root: true}); err != nil {
		t.Fatal(err)
	}
	s.eventually("the answer as root", func() bool { return s.state("storage").Backups.Current() })
	s.forget()
	s.eventually("more rounds", func() bool { return s.times("probe storage") > 3 })
	if n := s.times("backups storage"); n != 0 {
		t.Errorf("asked %d times more", n)
	}
}

// TestLives are open while they are wanted and the host is there, again when
// they break, and anew when their key changes.
func TestLives(t *testing.T) {
	s := newScene(t, simulate.Options{Hosts: 1})
	var open, opened atomic.Int32
	var key atomic.Value
	s.Lives = []watch.Live{{
		Name: "stats",
		Wanted: func(f fleet.Focus, st fleet.State) (string, bool) {
			return f.Tab, f.Host == st.Host.ID && f.Tab != ""
		},
		Run: func(ctx context.Context, l link.Link, f fleet.Focus, put func(watch.Change), again func(string)) error {
			opened.Add(1)
			open.Add(1)
			defer open.Add(-1)
			key.Store(f.Tab)
			put(func(st *fleet.State) { st.Trend = append(st.Trend, 1) })
			again("metrics")
			p, err := l.Start(ctx, link.Command{Args: []string{"sleep", "infinity"}})
			if err != nil {
				return err
			}
			_, err = p.Wait()
			return err
		},
	}}
	s.run()
	s.known("storage")
	id := s.Host("storage").ID
	if opened.Load() != 0 {
		t.Error("open though nobody looks")
	}
	before := s.times("metrics storage")
	s.Look(fleet.Focus{Host: id, Tab: "containers"})
	s.eventually("it is open", func() bool { return open.Load() == 1 && key.Load() == "containers" })
	s.eventually("the collector it named", func() bool { return s.times("metrics storage") > before })
	if len(s.state("storage").Trend) != 1 {
		t.Error("what it put is not there")
	}
	s.Look(fleet.Focus{Host: id, Tab: "metrics"})
	s.eventually("it is another", func() bool { return open.Load() == 1 && key.Load() == "metrics" })
	n := opened.Load()
	s.Break("storage")
	s.eventually("it is open again", func() bool { return opened.Load() > n && open.Load() == 1 })
	s.Look(fleet.Focus{})
	s.eventually("it is closed", func() bool { return open.Load() == 0 })
}

func TestProbeThatFailsIsToldOnce(t *testing.T) {
	s := newScene(t, simulate.Options{Hosts: 1, Faults: map[string]simulate.Fault{"storage": {NoExec: true}}})
	s.run()
	s.eventually("three tries", func() bool { return s.times("probe storage") >= 3 })
	if notes := s.Store.Snapshot().Messages; len(notes) != 1 {
		t.Errorf("%+v", notes)
	}
	if st := s.state("storage"); !st.Reach.Current() || st.System.Err == "" || st.Metrics.Err == "" {
		t.Errorf("%+v, %+v", st.System, st.Metrics)
	}
}

func TestQuestions(t *testing.T) {
	store := fleet.NewStore()
	q := &watch.Questions{Store: store}
	type answer struct {
		reply fleet.Reply
		err   error
	}
	answers := make(chan answer, 3)
	ctx, cancel := context.WithCancelCause(context.Background())
	for _, host := range []string{"storage", "cloud", "vault"} {
		go func() {
			r, err := q.Ask(ctx, fleet.Question{Host: host, Kind: fleet.AskSudo})
			answers <- answer{r, err}
		}()
	}
	waiting := func(n int) []fleet.Question {
		t.Helper()
		for range 300 {
			if asks := store.Snapshot().Questions; len(asks) == n {
				return asks
			}
			time.Sleep(time.Millisecond)
		}
		t.Fatalf("%d questions wait, not %d", len(store.Snapshot().Questions), n)
		return nil
	}
	asks := waiting(3)
	if asks[0].ID == asks[1].ID || asks[1].ID == asks[2].ID {
		t.Errorf("the same ID twice: %+v", asks)
	}
	q.Answer(asks[1].ID, fleet.Reply{Text: "sesame"})
	q.Answer(asks[1].ID, fleet.Reply{Text: "again"}) // passed over
	q.Answer(4711, fleet.Reply{})
	if a := <-answers; a.err != nil || a.reply.Text != "sesame" {
		t.Errorf("%+v", a)
	}
	waiting(2)
	why := errors.New("over")
	cancel(why)
	for range 2 {
		if a := <-answers; !errors.Is(a.err, why) {
			t.Errorf("%+v", a)
		}
	}
	waiting(0)
}
