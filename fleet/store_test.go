package fleet_test

import (
	"sync"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

func TestStoreKeepsWhoStays(t *testing.T) {
	s := fleet.NewStore()
	s.SetHosts([]fleet.Host{{ID: "1", Name: "b"}, {ID: "2", Name: "a"}}, nil, nil)
	s.Update("1", func(st *fleet.State) { st.System = fleet.Known(fleet.System{Hostname: "b"}, noon, "probe") })
	s.SetHosts([]fleet.Host{{ID: "1", Name: "renamed", Aliases: []string{"b"}}}, nil, nil)
	s.Update("2", func(st *fleet.State) { st.Asking = true }) // has left: not brought back
	snap := s.Snapshot()
	if len(snap.Hosts) != 1 || snap.Hosts[0].System.Value.Hostname != "b" {
		t.Errorf("%+v", snap.Hosts)
	}
	if st, ok := snap.Named("B"); !ok || st.Host.Name != "renamed" {
		t.Error("a host is found by its former name")
	}
}

// TestStoreKnowsWhoComesBack: what was known of a host is not lost while a source
// has not told of it yet.
func TestStoreKnowsWhoComesBack(t *testing.T) {
	s := fleet.NewStore()
	s.Restore([]fleet.State{{Host: fleet.Host{ID: "1", Name: "a"}, System: fleet.Known(fleet.System{Hostname: "a"}, noon, "probe"), Asking: true}})
	s.SetHosts([]fleet.Host{{ID: "2"}}, nil, nil)
	if _, ok := s.Get("1"); ok {
		t.Error("it has not left")
	}
	s.SetHosts([]fleet.Host{{ID: "1"}, {ID: "2"}}, nil, nil)
	if st, _ := s.Get("1"); st.System.Value.Hostname != "a" || !st.System.At.Equal(noon) || st.Asking {
		t.Errorf("come back: %+v", st)
	}
}

func TestStoreTellsOfChanges(t *testing.T) {
	s := fleet.NewStore()
	s.SetHosts([]fleet.Host{{ID: "1"}}, nil, nil)
	notices, end := s.Subscribe()
	defer end()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			s.Update("1", func(st *fleet.State) { st.Trend = append(st.Trend[:len(st.Trend):len(st.Trend)], 1) })
		})
	}
	wg.Wait()
	<-notices // at least one; more may have become one
	if got := len(s.Snapshot().Hosts[0].Trend); got != 50 {
		t.Errorf("%d of 50 changes", got)
	}
}
