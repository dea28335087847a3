package simulate_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
)

// TestChecksOfTheConfiguration: what one of them finds is asked about instead of
// confirmed, and what a person says then counts; where all are well nobody is asked.
func TestChecksOfTheConfiguration(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		reply  fleet.Reply
		want   fleet.DeployState
	}{
		"well": {http.StatusOK, fleet.Reply{}, fleet.Confirmed}, "ill, kept": {http.StatusBadGateway, fleet.Reply{}, fleet.Confirmed},
		"ill, sent back": {http.StatusBadGateway, fleet.Reply{Refuse: true}, fleet.Cancelled},
	} {
		t.Run(name, func(t *testing.T) {
			y := inYard(t, "vault")
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(c.status) }))
			t.Cleanup(web.Close)
			t.Cleanup(http.DefaultClient.CloseIdleConnections)
			target := y.target()
			target.Hosts[0].Host.Checks = []string{web.URL + "/health"}
			y.asked.answer = c.reply
			dep, err := y.RollBack(soon(t), target, nixops.ConfirmAuto, nil)
			if err != nil || dep.State != c.want {
				t.Fatalf("%+v, %v", dep, err)
			}
			if c.status == http.StatusOK {
				if len(y.asked.asked) > 0 || len(dep.Findings) > 0 {
					t.Errorf("asked %+v, findings %q", y.asked.asked, dep.Findings)
				}
				return
			}
			want := `check "` + web.URL + `/health": 502 Bad Gateway`
			if len(y.asked.asked) != 1 || !slices.Equal(y.asked.asked[0].Detail, []string{want}) || !slices.Equal(dep.Findings, []string{want}) {
				t.Errorf("asked %+v, findings %q", y.asked.asked, dep.Findings)
			}
		})
	}
}

// TestContainersThatBreak: one that was broken before does not count, one that
// breaks does, and containers that cannot be read are a finding too.
func TestContainersThatBreak(t *testing.T) {
	for name, c := range map[string]struct {
		after   []string
		err     error
		finding string
	}{
		"as before":      {[]string{"old is exited"}, nil, ""},
		"one more":       {[]string{"old is exited", "web is unhealthy"}, nil, "web is unhealthy"},
		"cannot be read": {nil, context.DeadlineExceeded, "containers cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			y := inYard(t, "vault")
			asked := 0
			y.Broken = func(context.Context, fleet.Host) ([]string, error) {
				if asked++; asked == 1 {
					return []string{"old is exited"}, nil
				}
				return c.after, c.err
			}
			dep, err := y.RollBack(soon(t), y.target(), nixops.ConfirmAuto, nil)
			if err != nil || dep.State != fleet.Confirmed {
				t.Fatalf("%+v, %v", dep, err)
			}
			if got := strings.Join(dep.Findings, "; "); (c.finding == "") != (got == "") || !strings.HasPrefix(got, c.finding) {
				t.Errorf("findings %q, want %q", got, c.finding)
			}
		})
	}
}

// TestWhatIsDoneFromHereIsShown: each state with its last line, and its end.
func TestWhatIsDoneFromHereIsShown(t *testing.T) {
	y := inYard(t, "vault")
	var mu sync.Mutex
	var shown []fleet.Doing
	y.Show = func(h fleet.Host, is fleet.Doing) {
		mu.Lock()
		defer mu.Unlock()
		shown = append(shown, is)
	}
	dep := y.wait()
	if d := y.state().Deploys.Value[0]; d.ID != dep.ID || d.Line == "" || strings.HasPrefix(d.Line, "==") {
		t.Errorf("the host tells of its last line %q", d.Line)
	}
	if _, err := y.Cancel(soon(t), y.host, ""); err != nil {
		t.Fatal(err)
	}
	y.ended(fleet.Cancelled)
	mu.Lock()
	defer mu.Unlock()
	has := func(state fleet.DeployState, line string) bool {
		return slices.ContainsFunc(shown, func(is fleet.Doing) bool { return is.State == state && strings.Contains(is.Line, line) })
	}
	if !has(fleet.Staged, "") || !has(fleet.Activating, "activating the configuration") || !has(fleet.Awaiting, "") {
		t.Errorf("%+v", shown)
	}
	if last := shown[len(shown)-1]; last != (fleet.Doing{}) {
		t.Errorf("its end is not shown: %+v", last)
	}
}
