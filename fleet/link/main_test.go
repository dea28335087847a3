package link_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == proxyArg {
		os.Exit(proxyProgram(os.Args[2:]))
	}
	goleak.VerifyTestMain(m)
}

// simulated starts hosts that do not exist.
func simulated(t testing.TB, o simulate.Options) *simulate.Fleet {
	t.Helper()
	f, err := simulate.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// person answers questions and remembers them.
type person struct {
	answer func(q fleet.Question) fleet.Reply // nil: refuses

	mu    sync.Mutex
	asked []fleet.Question
	ended int // questions that ended before an answer
	hold  chan struct{}
}

// Ask is link.Asker. With hold, it waits until that is closed.
func (p *person) Ask(ctx context.Context, q fleet.Question) (fleet.Reply, error) {
	p.mu.Lock()
	p.asked = append(p.asked, q)
	p.mu.Unlock()
	if p.hold != nil {
		select {
		case <-p.hold:
		case <-ctx.Done():
			p.mu.Lock()
			p.ended++
			p.mu.Unlock()
			return fleet.Reply{}, context.Cause(ctx)
		}
	}
	if p.answer == nil {
		return fleet.Reply{Refuse: true}, nil
	}
	return p.answer(q), nil
}

// questions are those of a kind, or all.
func (p *person) questions(kind fleet.QuestionKind) []fleet.Question {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []fleet.Question
	for _, q := range p.asked {
		if kind == "" || q.Kind == kind {
			out = append(out, q)
		}
	}
	return out
}

func yes(fleet.Question) fleet.Reply { return fleet.Reply{} }

// says answers with these texts, one after the other.
func says(texts ...string) func(fleet.Question) fleet.Reply {
	return func(fleet.Question) fleet.Reply {
		text := texts[0]
		if len(texts) > 1 {
			texts = texts[1:]
		}
		return fleet.Reply{Text: text}
	}
}

// dialer has the fleet's key in its own ~/.ssh, knows no host, and is quick to
// give up.
func dialer(t testing.TB, f *simulate.Fleet, asker link.Asker) *link.Dialer {
	t.Helper()
	dir := filepath.Join(t.TempDir(), ".ssh")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "id_ed25519"), string(f.PrivateKey()))
	d := &link.Dialer{Asker: asker, SSHDir: dir, KnownHosts: []string{filepath.Join(dir, "known_hosts")},
		ConfigFiles: []string{filepath.Join(dir, "config")}}
	link.Hurry(d)
	t.Cleanup(d.Close)
	return d
}

// known is a dialer that knows every host's key.
func known(t testing.TB, f *simulate.Fleet, asker link.Asker) *link.Dialer {
	d := dialer(t, f, asker)
	write(t, d.KnownHosts[0], f.KnownHosts())
	return d
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

// plainHost is a host whose key nobody vouches for, reached at a configured address.
func plainHost(f *simulate.Fleet, name string) fleet.Host {
	h := f.Host(name)
	h.HostKeys, h.Presence = nil, fleet.Fact[fleet.Presence]{}
	for i := range h.Addresses {
		h.Addresses[i].Via = fleet.ViaConfig
	}
	return h
}

// within is a context for what must not take long.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// run runs a command and wants it to work.
func run(t testing.TB, l link.Link, args ...string) string {
	t.Helper()
	res, err := l.Run(within(t, 10*time.Second), link.Command{Args: args})
	if err != nil || res.Status != 0 {
		t.Fatalf("%v: status %d, %v: %s", args, res.Status, err, res.Stderr)
	}
	return strings.TrimSuffix(string(res.Stdout), "\n")
}

// quickly fails the test where something takes longer than it may.
func quickly(t testing.TB, limit time.Duration, what string, do func()) {
	t.Helper()
	began := time.Now()
	do()
	if took := time.Since(began); took > limit {
		t.Errorf("%s took %s, more than %s", what, took.Round(time.Millisecond), limit)
	}
}

// eventually waits for something to become true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("%s: not within a minute", what)
}
