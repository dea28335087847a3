package tui_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// askedContainers notes what is asked for of containers.
func askedContainers(o tui.Options) func() []string {
	var mu sync.Mutex
	var asked []string
	note := func(what string, c fleet.Container, secrets bool) {
		mu.Lock()
		defer mu.Unlock()
		if secrets {
			what += " with secrets"
		}
		asked = append(asked, what+" of "+c.Name)
	}
	console(o).Detail = func(c fleet.Container, secrets bool) (fleet.ContainerDetail, error) {
		note("detail", c, secrets)
		return tuitest.ContainerDetail(c, secrets)
	}
	console(o).Top = func(c fleet.Container, secrets bool) (fleet.ContainerTop, error) {
		note("processes", c, secrets)
		return tuitest.ContainerTop(c, secrets)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), asked...)
	}
}

// TestScreensOfAContainer: page after page, and with what is hidden.
func TestScreensOfAContainer(t *testing.T) {
	for _, size := range sizes {
		for _, story := range []struct {
			name string
			keys []string
			see  string
		}{
			{"detail", nil, "UNHEALTHY"}, {"health", []string{"pgdown"}, "failed 17 time"}, {"end", []string{"G"}, "PODMAN_SYSTEMD_UNIT"},
		} {
			name := fmt.Sprintf("host-container-%s-%dx%d", story.name, size[0], size[1])
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				term := open(t, sample(), size[0], size[1]).WaitFor("storage").Press("G", "3").WaitFor("jellyfin").Press("j", "enter").WaitFor("memory")
				seek(t, term, "PODMAN_SYSTEMD_UNIT") // it was told
				seek(t, term, "ffmpeg")
				term.Press("g").WaitFor("UNHEALTHY").Press(story.keys...).WaitFor(story.see)
				term.Golden(name, *update)
			})
		}
	}
}

// anew has the host's facts read again.
func anew(o tui.Options) {
	o.Store.Update("n-storage", func(s *fleet.State) { s.Units.At = s.Units.At.Add(time.Minute) })
}

// TestAContainerIsAskedForWhileItIsOpen: not before, again as its host's facts
// are, at once when it is another, and not after.
func TestAContainerIsAskedForWhileItIsOpen(t *testing.T) {
	o := sample()
	asked := askedContainers(o)
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "3").WaitFor("jellyfin").Settle(200 * time.Millisecond)
	if got := asked(); len(got) != 0 {
		t.Fatalf("asked before it was opened: %q", got)
	}
	term.Press("j", "enter").WaitFor("memory")
	eventually(t, "it was asked for", func() bool { return len(asked()) == 2 })
	o.Store.Update("n-storage", func(s *fleet.State) {
		for i := range s.Containers.Value {
			if c := &s.Containers.Value[i]; c.Name == "jellyfin" {
				s.Containers.Value = append([]fleet.Container(nil), s.Containers.Value...)
				s.Containers.Value[i].ID = strings.Repeat("f", 64)
			}
		}
	})
	eventually(t, "it was asked for when it was made anew", func() bool { return len(asked()) == 4 })
	term.Press("r")
	eventually(t, "it was asked for again", func() bool { return len(asked()) == 6 })
	term.Press("esc").WaitFor("caddy")
	anew(o)
	if term.Settle(200 * time.Millisecond); len(asked()) != 6 {
		t.Errorf("asked after it was left: %q", asked())
	}
	for _, what := range asked() {
		if strings.Contains(what, "secrets") || !strings.HasSuffix(what, " of jellyfin") {
			t.Errorf("%q", what)
		}
	}
}

// TestSecretsOfAContainer are shown when a person asks for them, and never longer
// than that one looks at it.
func TestSecretsOfAContainer(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {40, 20}} {
		o := sample()
		asked := askedContainers(o)
		term := open(t, o, size[0], size[1]).WaitFor("storage").Press("G", "3").WaitFor("jellyfin").Press("j", "enter").WaitFor("jellyfin")
		seek(t, term, "JELLYFIN_API_KEY=(hidden)")
		term.Press("v")
		seek(t, term, "JELLYFIN_API_KEY="+tuitest.Secret)
		for name, leave := range map[string][]string{"hidden again": {"v"}, "left and opened": {"esc", "enter"}, "another tab": {"2", "3", "enter"}, "its log": {"L", "esc"}} {
			if !strings.Contains(term.Screen(), tuitest.Secret) {
				term.Press("v")
				seek(t, term, "JELLYFIN_API_KEY="+tuitest.Secret)
			}
			term.Press(leave...).WaitGone(tuitest.Secret)
			if name == "another tab" {
				term.WaitFor("jellyfin")
			}
			seek(t, term, "JELLYFIN_API_KEY=(hidden)")
			if strings.Contains(term.Screen(), tuitest.Secret) {
				t.Errorf("%s: still shown:\n%s", name, term.Screen())
			}
		}
		if len(asked()) < 4 {
			t.Errorf("%q", asked())
		}
	}
}

// seek scrolls through what is open until the text is to be seen.
func seek(t *testing.T, term *tuitest.Term, text string) {
	t.Helper()
	flat := func() string { return strings.Join(strings.Fields(term.Screen()), "") }
	want := strings.Join(strings.Fields(text), "")
	for range 5 {
		term.Press("g")
		for range 15 {
			for range 6 { // until the key has come through
				if time.Sleep(20 * time.Millisecond); strings.Contains(flat(), want) {
					return
				}
			}
			term.Press("pgdown")
		}
	}
	t.Fatalf("no %q on\n%s", text, term.Screen())
}

// TestAContainerThatCannotBeAskedFor: why, what to do, and what is known stays.
func TestAContainerThatCannotBeAskedFor(t *testing.T) {
	o := sample()
	err := fleet.WithCure(errors.New("container jellyfin on storage: no answer within 20s"), "see whether Podman is well there")
	console(o).Detail = func(fleet.Container, bool) (fleet.ContainerDetail, error) { return fleet.ContainerDetail{}, err }
	console(o).Top = tuitest.ContainerTop
	term := open(t, o, 40, 20).WaitFor("storage").Press("G", "3").WaitFor("jellyfin").Press("j", "enter").WaitFor("jellyfin")
	seek(t, term, "no answer within 20s")
	seek(t, term, "see whether Podman is well there")
	seek(t, term, "ffmpeg")
	seek(t, term, "podman-jellyfin.service")
}
