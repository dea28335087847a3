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
