package fleet

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// two are containers of one host and one of another, marked.
func two() Target {
	on := func(host HostID, name string) Target {
		return Target{Hosts: []State{{Host: Host{ID: host, Name: string(host)}}}, Container: name, User: "root"}
	}
	return Target{Each: []Target{on("a", "web"), on("a", "db"), on("b", "web")}}
}

func TestAnActionOverSeveral(t *testing.T) {
	var mu sync.Mutex
	var did []string
	var busy = map[HostID]bool{}
	a := Action{
		Title: "Stop", Scope: ScopeContainer,
		Plan: func(_ context.Context, t Target) (Plan, error) {
			return Plan{Title: "x", Lines: []string{"one", "two"}}, nil
		},
		Run: func(_ context.Context, t Target, say func(string)) error {
			id := t.Hosts[0].Host.ID
			mu.Lock()
			if busy[id] {
				did = append(did, "at once on "+string(id))
			}
			busy[id] = true
			mu.Unlock()
			time.Sleep(5 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			busy[id] = false
			did = append(did, t.On()+" "+t.Chosen["how"])
			say("ok")
			if t.Container == "web" {
				return errors.New("no")
			}
			return nil
		},
	}
	all := a.Over(two())
	p, err := all.Planned(t.Context(), two(), func(string) {})
	if err != nil || p.Typed != "2 hosts" || !slices.Equal(p.Lines, []string{"web on a: one; two", "db on a: one; two", "web on b: one; two"}) {
		t.Errorf("%+v %v", p, err)
	}
	var said []string
	to := two()
	to.Chosen = map[string]string{"how": "softly"}
	err = all.Run(t.Context(), to, func(line string) { said = append(said, line) })
	if err == nil || !strings.Contains(err.Error(), "2 of 3 failed") || !strings.Contains(err.Error(), "web on b: no") {
		t.Errorf("%v", err)
	}
	slices.Sort(did)
	slices.Sort(said)
	if !slices.Equal(did, []string{"db on a softly", "web on a softly", "web on b softly"}) || !slices.Equal(said, []string{"a: ok", "a: ok", "b: ok"}) {
		t.Errorf("%q %q", did, said)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := all.Run(gone, two(), func(string) {}); err == nil || !strings.Contains(err.Error(), "db on a: not begun") {
		t.Errorf("%v", err)
	}
}

func TestAnActionThatIsOffForOneOfSeveral(t *testing.T) {
	a := Action{Scope: ScopeContainer, Disabled: func(t Target) string {
		if t.Container == "db" {
			return "it does not run"
		}
		return ""
	}}
	if why := a.Over(two()).Off(two()); why != "db on a: it does not run" {
		t.Errorf("%q", why)
	}
	a.Disabled, a.Single = nil, true
	if why := a.Over(two()).Off(two()); why != "3 are marked; this is for one" {
		t.Errorf("%q", why)
	}
	a.Single = false
	a.Plan = func(context.Context, Target) (Plan, error) { return Plan{}, errors.New("nobody knows") }
	if _, err := a.Over(two()).Planned(t.Context(), two(), func(string) {}); err == nil || !strings.Contains(err.Error(), "web on b: nobody knows") {
		t.Errorf("%v", err)
	}
	host := Action{Scope: ScopeHost, Title: "x", Disabled: func(Target) string { return "itself" }}
	if host.Over(two()).Off(two()) != "itself" {
		t.Error("an action on hosts is another")
	}
}

func TestWhatATargetHas(t *testing.T) {
	one := two().Each[0]
	if !two().Has(ScopeContainer) || two().Has(ScopeUnit) || !one.Has(ScopeContainer) || (Target{}).Has(ScopeContainer) || !(Target{Unit: "x"}).Has(ScopeUnit) || (Target{}).Has(ScopeHost) {
		t.Error("it is told wrong")
	}
	if two().Object() != "(3 marked)" || one.On() != "web on a" || (Target{}).Object() != "" {
		t.Errorf("%q %q", two().Object(), one.On())
	}
}

func TestReadingsAreKeptAndForgotten(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(1000+int64(s), 0) }
	var st State
	for i := range 40 {
		st = st.Measured([]ContainerStats{{ID: "a", NetIn: uint64(i * 200), At: at(2 * i)}})
	}
	if n := len(st.Use["a"]); n != maxUse || st.Use["a"][n-1].NetIn != 39*200 {
		t.Errorf("%d are kept, the last %v", n, st.Use["a"][n-1])
	}
	if r := Rates(st.Use["a"], ContainerStats.Net); len(r) != maxUse-1 || r[0] != 100 {
		t.Errorf("%v", r)
	}
	before := st
	st = st.Measured([]ContainerStats{{ID: "b", At: at(100)}})
	if _, ok := st.Stats["a"]; ok || len(st.Use["a"]) > 0 || len(before.Use["a"]) != maxUse {
		t.Error("what nobody looks at is kept, or a state was changed")
	}
	st = st.Measured([]ContainerStats{{ID: "b", At: at(200)}})
	if len(st.Use["b"]) != 1 {
		t.Error("readings of long ago stand beside new ones")
	}
	if r := Rates([]ContainerStats{{NetIn: 5, At: at(0)}, {NetIn: 3, At: at(1)}}, ContainerStats.Net); r[0] == r[0] {
		t.Errorf("a counter that was begun anew: %v", r)
	}
}
