package backup

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sextant-fleet/sextant/fleet/link"
)

// filling is a host on which a folder is filled, as its counts tell one after the other.
type filling struct {
	link.Link
	counts []string
}

func (f *filling) Run(context.Context, link.Command) (link.Result, error) {
	n := f.counts[0]
	if len(f.counts) > 1 {
		f.counts = f.counts[1:]
	}
	return link.Result{Stdout: []byte(n + "\n")}, nil
}

// TestARestoreStopsBeforeTheDiskIsFull: what is left must hold what may come until it
// is looked again, and some more.
func TestARestoreStopsBeforeTheDiskIsFull(t *testing.T) {
	for name, c := range map[string]struct {
		counts []string
		stops  bool
	}{
		"room enough":            {[]string{"1 1000000 900000000", "2 2000000 899000000"}, false},
		"hardly any":             {[]string{"1 1000000 900000000", "2 2000000 60000000"}, true},
		"fills fast":             {[]string{"1 1000000 900000000", "2 301000000 600000000"}, true},
		"somebody else fills it": {[]string{"1 1000000 900000000", "1 1000000 50000000"}, true},
		"not told":               {[]string{"du: cannot read directory"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				err := watched(t.Context(), &filling{counts: c.counts}, "/srv/new", nil, func(ctx context.Context) error {
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-time.After(10 * time.Second):
						return nil
					}
				})
				if stopped := err != nil && strings.Contains(err.Error(), "left on the disk of /srv/new"); stopped != c.stops || err != nil && !stopped {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// TestWhatIsWatchedEndsWithWhoWaits: a cancel is told as one, and nothing goes on.
func TestWhatIsWatchedEndsWithWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		told := 0
		err := watched(ctx, &filling{counts: []string{"1 10 900000000"}}, "/srv/new", func(uint64) { told++ }, func(ctx context.Context) error {
			<-ctx.Done()
			return errors.New("the channel is closed")
		})
		if !errors.Is(err, context.Canceled) || told != 2 && told != 3 {
			t.Errorf("%v, told %d times", err, told)
		}
	})
}

func TestNamesOfUnits(t *testing.T) {
	if got := unitName("restic-a b@ü/x-20260101-000000.000"); got != "restic-a_b___x-20260101-000000.000" {
		t.Error(got)
	}
}
