package history

import (
	"fmt"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// TestRegistryAnswers: of two processes that save answers none loses the other's,
// the later of one name stays, and there is an end to how many are kept.
func TestRegistryAnswers(t *testing.T) {
	h, _ := opened(t)
	now := time.Now().UTC().Truncate(time.Second)
	save := func(name, digest string, at time.Time, held map[string]time.Time) {
		t.Helper()
		err := h.SaveRegistry(fleet.RegistryAnswers{Digests: map[string]fleet.RegistryAnswer{name: {Digest: digest, At: at, Source: "r"}}, Held: held})
		if err != nil {
			t.Fatal(err)
		}
	}
	save("a:1", "sha256:new", now, map[string]time.Time{"hub": now.Add(time.Hour), "old": now.Add(-time.Hour)})
	save("b:1", "sha256:b", now, nil)
	save("a:1", "sha256:old", now.Add(-time.Hour), nil)
	got, err := h.Registry()
	if err != nil || got.Digests["a:1"].Digest != "sha256:new" || got.Digests["b:1"].Digest != "sha256:b" || len(got.Held) != 1 || !got.Held["hub"].Equal(now.Add(time.Hour)) {
		t.Errorf("%+v, %v", got, err)
	}
	many := fleet.RegistryAnswers{Digests: map[string]fleet.RegistryAnswer{}}
	for i := range maxAnswers + 10 {
		many.Digests[fmt.Sprint(i)] = fleet.RegistryAnswer{At: now.Add(time.Duration(i+1) * time.Second)}
	}
	if err := h.SaveRegistry(many); err != nil {
		t.Fatal(err)
	}
	got, err = h.Registry()
	if _, there := got.Digests["a:1"]; err != nil || len(got.Digests) != maxAnswers || there {
		t.Errorf("%d answers, the oldest: %v, %v", len(got.Digests), there, err)
	}
}
