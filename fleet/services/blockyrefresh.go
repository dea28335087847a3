package services

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web"
)

// maxRefresh is how long a refresh is waited for. Its request stays open for so long:
// a newer Blocky may stop a refresh whose request has ended.
const maxRefresh = 15 * time.Minute

// Times of watching a refresh; tests have shorter ones.
var (
	refreshEvery = 2 * time.Second
	refreshQuiet = 20 * time.Second // after its answer was cut off: nothing moves for so long
	refreshCut   = 15 * time.Second // Blocky has 20 s to write an answer: one that ends without is cut off by it
)

// RefreshLists has a server read its lists anew, and says how it ends. Where Blocky cuts
// its own answer off, its metrics tell what they can: whether all groups are done they do
// not, and it is an error that says so. To stop waiting may stop it.
func RefreshLists(ctx context.Context, l link.Link, d fleet.DNSServer, say func(string)) (string, error) {
	r := refresh{link: l, d: d, say: say, began: time.Now()}
	if err := stillThere(ctx, l, d); err != nil {
		return "", err
	}
	before, err := r.counters(ctx)
	if err != nil {
		return "", err
	}
	r.before, r.last, r.moved = before, before, time.Now()
	answered := make(chan error, 1)
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { answered <- r.ask(asking) }()
	say("asked to; how long it takes depends on the lists")
	return r.watch(ctx, answered)
}

// refresh is one that is under way.
type refresh struct {
	link   link.Link
	d      fleet.DNSServer
	say    func(string)
	began  time.Time
	before *fleet.DNSLists // nil: it has no metrics
	last   *fleet.DNSLists
	moved  time.Time // when something of it last did
}

// errCut is that the answer was cut off by Blocky itself.
var errCut = errors.New("its own answer was cut off")

// ask sends the request, once.
func (r *refresh) ask(ctx context.Context) error {
	c, err := apiOf(r.link, r.d, web.Limits{Time: maxRefresh})
	if err != nil {
		return err
	}
	defer c.Close()
	asked := time.Now()
	a, err := c.Ask(ctx, web.Request{Method: "POST", Path: "/api/lists/refresh"})
	switch ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF); {
	case errors.Is(err, web.ErrNone):
		return fmt.Errorf("nothing was sent: %w", err)
	case ended && time.Since(asked) >= refreshCut, errors.Is(err, web.ErrLate):
		return errCut
	case err != nil:
		return fmt.Errorf("it is not known whether it refreshes its lists: %w", err)
	case a.Status == 500:
		return errors.New("it says: " + cmp.Or(a.Text(300), "it failed"))
	}
	return a.Err()
}

// counters are what the metrics say of the lists; nil where there are none.
func (r *refresh) counters(ctx context.Context) (*fleet.DNSLists, error) {
	if r.d.MetricsPath == "" {
		return nil, nil
	}
	s := server{DNSServer: r.d, metrics: r.d.MetricsPath}
	s.Lists, s.NoLists = nil, ""
	if err := s.ask(ctx, r.link); err != nil {
		return nil, err
	}
	if s.Lists == nil || s.Lists.Unread != "" {
		return nil, errors.New(noMetrics(s.DNSServer))
	}
	return s.Lists, nil
}

// noMetrics is why the metrics of a server tell nothing of its lists.
func noMetrics(d fleet.DNSServer) string {
	if d.Lists != nil && d.NoLists == "" {
		return cmp.Or(d.Lists.Unread, "its metrics do not tell")
	}
	return cmp.Or(d.NoLists, "its metrics do not tell")
}

// watch waits for the answer, and where that was cut off until nothing moves any more.
func (r *refresh) watch(ctx context.Context, answered <-chan error) (string, error) {
	turn := time.NewTicker(refreshEvery)
	defer turn.Stop()
	cut := false
	for {
		select {
		case <-ctx.Done():
			return "", r.left(ctx)
		case err := <-answered:
			answered = nil
			switch cut = errors.Is(err, errCut); {
			case ctx.Err() != nil:
				return "", r.left(ctx)
			case !cut && err != nil:
				return "", err
			case !cut:
				return r.ended(ctx)
			case r.before == nil:
				return "", fleet.WithCure(fmt.Errorf("%w after %s, and how it ends is not known: %s", errCut, r.since(), noMetrics(r.d)), "see its log; with prometheus.enable its metrics would tell")
			}
			r.moved = time.Now()
			r.say(fmt.Sprintf("%s after %s; its metrics are watched", errCut, r.since()))
		case <-turn.C:
			r.look(ctx)
			if cut && (time.Since(r.moved) >= refreshQuiet || time.Since(r.began) > maxRefresh) {
				return "", r.quiet(ctx)
			}
		}
	}
}

func (r *refresh) since() time.Duration { return time.Since(r.began).Round(time.Second) }

func (r *refresh) left(ctx context.Context) error {
	return fmt.Errorf("not waited for any more: Blocky may go on, or stop it: %w", context.Cause(ctx))
}

// look reads the counters, and says what has moved.
func (r *refresh) look(ctx context.Context) {
	now, err := r.counters(ctx)
	if err != nil || now == nil || r.last == nil {
		return // it is busy; asked again soon
	}
	if now.Refreshed.Equal(r.last.Refreshed) && now.Failed == r.last.Failed && now.Entries() == r.last.Entries() {
		return
	}
	r.last, r.moved = now, time.Now()
	r.say(fmt.Sprintf("%d entries after %s%s", now.Entries(), r.since(), r.failed(now)))
}

// failed says how many attempts to download failed since it began.
func (r *refresh) failed(now *fleet.DNSLists) string {
	if now.Failed > r.before.Failed {
		return fmt.Sprintf(" (%d attempts to download failed)", now.Failed-r.before.Failed)
	}
	return ""
}

// after are the counters of the same process as before.
func (r *refresh) after(ctx context.Context) (*fleet.DNSLists, error) {
	now, err := r.counters(ctx)
	if err != nil || now == nil {
		return nil, fmt.Errorf("how its lists are now is not known: %w", cmp.Or(err, errors.New(noMetrics(r.d))))
	}
	if now.Started.Sub(r.before.Started).Abs() > 2*time.Second {
		return nil, errors.New("it was started anew meanwhile: whether its lists were refreshed is not known")
	}
	return now, nil
}

// quiet says what is known of one whose answer was cut off: not that it has ended.
func (r *refresh) quiet(ctx context.Context) error {
	now, err := r.after(ctx)
	if err != nil {
		return fmt.Errorf("%w; %w", errCut, err)
	}
	made := "no group was made anew"
	if now.Refreshed.After(r.before.Refreshed) {
		made = "a group or more were made anew"
	}
	return fmt.Errorf("%w, and nothing has moved for %s; whether all groups are done is not known: %s, %d entries in %d groups%s",
		errCut, time.Since(r.moved).Round(time.Second), made, now.Entries(), len(now.Groups), r.failed(now))
}

// ended says how it went, where Blocky has answered that it did.
func (r *refresh) ended(ctx context.Context) (string, error) {
	if r.before == nil {
		return "Blocky says that its lists were refreshed; whether attempts to download failed is not known: " + noMetrics(r.d), nil
	}
	now, err := r.after(ctx)
	if err != nil {
		return "", fmt.Errorf("it says that its lists were refreshed; %w", err)
	}
	return fmt.Sprintf("the lists were refreshed: %d entries in %d groups%s", now.Entries(), len(now.Groups), r.failed(now)), nil
}
