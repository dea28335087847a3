package tui_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui"
)

// restarting has an action on containers that writes down what it was done to.
func restarting(o *tui.Options) func() []string {
	var mu sync.Mutex
	var done []string
	o.Actions = append(o.Actions, fleet.Action{
		ID: "container-restart", Title: "Restart the container", Help: "restart it", Keys: []string{"X"}, Scope: fleet.ScopeContainer, Danger: true,
		Disabled: func(t fleet.Target) string {
			if t.Container == "postgres" {
				return "it is loved too much"
			}
			return ""
		},
		Plan: func(_ context.Context, t fleet.Target) (fleet.Plan, error) {
			return fleet.Plan{Title: "Restart " + t.Container, Lines: []string{"its unit is restarted"}}, nil
		},
		Run: func(_ context.Context, t fleet.Target, say func(string)) error {
			mu.Lock()
			defer mu.Unlock()
			done = append(done, t.Hosts[0].Host.Name+"/"+t.User+"/"+t.Container)
			say("done")
			if t.Container == "immich-server" {
				return fmt.Errorf("it did not come back")
			}
			return nil
		},
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Sorted(slices.Values(done))
	}
}

func TestMarkedContainersOfSeveralHosts(t *testing.T) {
	o := sample()
	done := restarting(&o)
	term := open(t, o, 80, 24).WaitFor("> cloud").Press("C").WaitFor("jellyfin", "media-r2s")
	term.Press("/", "caddy", "enter").WaitFor("2 of 8").Press("V").WaitFor(">*caddy")
	term.Press("X").WaitFor("Restart the container: 2 marked", "caddy on media-r2s: its unit is restarted", "caddy on storage: its unit is restarted", "Type 2 hosts").Settle(300 * time.Millisecond)
	term.Press("y", "enter").WaitFor("Type 2 hosts").Press("backspace")
	term.Press(strings.Split("2 hosts", "")...).Press("enter").WaitFor("done after", "storage: done", "media-r2s: done")
	if got := done(); !slices.Equal(got, []string{"media-r2s/root/caddy", "storage/root/caddy"}) {
		t.Errorf("done to %v", got)
	}
	term.Press("esc").WaitGone("done after").Press("esc").WaitGone("of 8").Press("esc").WaitGone("*caddy")
}

func TestOneOfTheMarkedFailsOrIsOff(t *testing.T) {
	o := sample()
	done := restarting(&o)
	term := open(t, o, 80, 24).WaitFor("> cloud").Press("G", "3").WaitFor("jellyfin").Press("/", "im", "enter", "V", "X").WaitFor("Restart the container: 2 marked")
	term.Settle(300*time.Millisecond).Press("y").WaitFor("FAIL", "immich-server on storage: it did not come back")
	if got := done(); !slices.Equal(got, []string{"storage/root/immich-ml", "storage/root/immich-server"}) {
		t.Errorf("done to %v", got)
	}
	term.Press("esc").WaitGone("done after").Press("esc").Settle(100*time.Millisecond).Press("esc").WaitGone("of 6").Press("esc").WaitGone("*immich").Press("V", "X").WaitFor("postgres on storage: it is loved too much")
}

func TestContainersAreSortedByAnyColumn(t *testing.T) {
	term := open(t, sample(), 200, 40).WaitFor("> cloud").Press("C").WaitFor("jellyfin", "media-r2s")
	first := func() string {
		for _, l := range strings.Split(term.Screen(), "\n")[4:] { // below the title, the lists, what is not known, the heading
			if f := strings.Fields(strings.TrimLeft(l, "> ")); len(f) > 2 {
				return f[0] + " " + f[1]
			}
		}
		return ""
	}
	for _, step := range []struct{ column, first, turned string }{
		{"name", "caddy media-r2s", "vaultwarden storage"}, {"host", "caddy media-r2s", "caddy storage"}, {"user", "caddy media-r2s", "vaultwarden storage"},
		{"state", "immich-ml storage", "caddy media-r2s"}, {"health", "caddy media-r2s", "jellyfin storage"}, {"restarts", "jellyfin storage", "caddy media-r2s"},
		{"cpu", "vaultwarden storage", "caddy storage"}, {"memory", "vaultwarden storage", "caddy storage"}, {"share of", "vaultwarden storage", "caddy storage"},
		{"network", "vaultwarden storage", "caddy storage"}, {"disk", "vaultwarden storage", "caddy storage"}, {"image", "caddy media-r2s", "vaultwarden storage"},
		{"age", "vaultwarden storage", "caddy media-r2s"}, {"port", "caddy media-r2s", "vaultwarden storage"}, {"unit", "caddy media-r2s", "vaultwarden storage"},
		{"engine", "caddy media-r2s", "caddy media-r2s"},
	} {
		term.Press("s").WaitFor("Sort by").Press(step.column, "enter").WaitGone("Sort by")
		eventually(t, "by "+step.column+" the first is "+step.first, func() bool { return first() == step.first })
		term.Press("s").WaitFor("Sort by", "the other way round").Press(step.column, "enter").WaitGone("Sort by")
		eventually(t, "by "+step.column+" turned round the first is "+step.turned, func() bool { return first() == step.turned })
	}
	term.ClickOn("health")
	eventually(t, "a tap on a heading sorts", func() bool { return first() == "caddy media-r2s" })
	term.Press("s").WaitFor("Sort by").Press("as it was", "enter").WaitGone("Sort by")
	eventually(t, "the broken are first again", func() bool { return first() == "immich-ml storage" })
}

// TestWhatIsVisibleIsMeasured: of the list of all hosts the rows on the screen,
// all that are listed where they are sorted by it, and nothing once it is left.
func TestWhatIsVisibleIsMeasured(t *testing.T) {
	o := sample()
	look := func(what string, n int) {
		t.Helper()
		eventually(t, what, func() bool {
			looks := console(o).Looks()
			return len(looks) > 0 && len(looks[len(looks)-1].Containers) == n
		})
	}
	term := open(t, o, 80, 11).WaitFor("> cloud").Press("C").WaitFor("jellyfin")
	rows := len(strings.Split(term.Screen(), "\n")) - 5 // title, lists, holes, heading, footer
	look("those on the screen, without the one that is absent", rows-1)
	term.Press("s", "cpu", "enter").WaitFor("cpu↓")
	look("all that run", 7)
	term.Press("/", "caddy", "enter").WaitFor("2 of 8")
	look("all that are listed", 2)
	term.Press("esc").WaitGone("of 8").Press("esc").WaitFor("backups")
	look("none on another screen", 0)
}

func TestTheListOfAllLeadsToOne(t *testing.T) {
	term := open(t, sample(), 80, 24).WaitFor("> cloud").Press("C").WaitFor("> immich-ml").Press("j", "enter").WaitFor("storage › Containers › jellyfin", "networks")
	term.Press("esc").WaitFor("› storage › Containers").WaitGone("networks").Press("esc").WaitFor("> jellyfin", "media-r2s")
	term.Press("4").WaitFor("[4 Units]", "storage ›").Press("esc").WaitFor("> jellyfin")
	term.Press("space", "space", "L").WaitFor("following")
}

// TestWhatIsSharedIsReadWhenLookedAt: not before, once, again where the containers
// are others or a person says so, and only on hosts that have some.
func TestWhatIsSharedIsReadWhenLookedAt(t *testing.T) {
	o := sample()
	asked := func(what string, n int) {
		t.Helper()
		eventually(t, what, func() bool { return len(console(o).AskedShared()) == n })
	}
	term := open(t, o, 80, 24).WaitFor("> cloud").Press("G", "3").WaitFor("jellyfin").Settle(100 * time.Millisecond)
	asked("nobody looked yet", 0)
	term.Press("v").WaitFor("[Pods 2]", "left-over", "unused").Press("v").WaitFor("[Networks 4]", "mealie").Settle(100 * time.Millisecond)
	asked("once for all lists", 1)
	o.Store.Update("n-storage", func(s *fleet.State) { s.Trend = []float64{0.5} })
	term.Settle(300 * time.Millisecond)
	asked("what changes elsewhere does not matter", 1)
	o.Store.Update("n-storage", func(s *fleet.State) { s.Containers.Value = s.Containers.Value[1:] })
	asked("there are other containers", 2)
	term.Press("r").WaitFor("asking storage again")
	asked("a person says so", 3)
	term.Press("v").WaitFor("[Volumes 4]", "mealie-data").Press("/", "vault", "enter").WaitFor("1 of 4", "vault-data").WaitGone("mealie")
	term.Press("enter").WaitFor("/home/vault/").Press("esc").WaitFor("1 of 4").Press("esc").WaitFor("mealie").Press("esc").WaitFor("[Containers")
	term.Press("esc").WaitFor("backups").Press("C").WaitFor("[Containers 7]").ClickOn("Volumes").WaitFor("plex-config", "in part: media-r2s")
	asked("all hosts that are reached and have some", 5)
	if got := console(o).AskedShared(); !slices.Contains(got[3:], "n-media-r2s") || !slices.Contains(got[3:], "n-storage") {
		t.Errorf("asked are %v", got)
	}
}

func TestHostileNamesInTheListOfAll(t *testing.T) {
	o := sample()
	o.Store.Update("n-storage", func(s *fleet.State) {
		list := slices.Clone(s.Containers.Value)
		list[0].Name, list[0].Digest = fleet.Clean("evil\x1b]52;c;AAAA\x07\nname"), strings.Repeat("9", 500)
		s.Containers.Value = list
	})
	term := open(t, o, 40, 20).WaitFor("> cloud").Press("C").WaitFor("evil")
	if strings.Contains(term.Raw(), "52;c;AAAA\x07") {
		t.Error("a name reached the terminal as a command")
	}
	term.Golden("containers-hostile-40x20", *update)
}
