package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

// TestMetricsHaveTheSeriesOfTheCharts: what the screen draws is in the machine output,
// with who keeps it; of a host whose past nobody keeps it says that there is none.
func TestMetricsHaveTheSeriesOfTheCharts(t *testing.T) {
	i := imagine(t, simulate.Options{}, options{json: true})
	i.store.SetHosts([]fleet.Host{i.Host("storage"), i.Host("r2s"), i.Host("laptop")}, nil, nil)
	i.ask(t.Context(), i.store.Snapshot().Hosts, only("metrics"))
	states := i.store.Snapshot().Hosts
	var out bytes.Buffer
	if exit := code(printMetrics(&out, options{json: true}, states, i.seriesOf(t.Context(), states, 10*time.Minute))); exit != exitUnknown {
		t.Errorf("exit %d with a host that is off", exit)
	}
	var got struct {
		Hosts []struct {
			Host   string
			Series struct {
				Value []struct {
					Name, Unit, Source string
					Points             []struct {
						At    time.Time
						Value *float64
					}
				}
				Error, Source string
				None          bool
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got.Hosts) != 3 {
		t.Fatalf("%v in %.500s", err, out.String())
	}
	for _, h := range got.Hosts {
		s := h.Series
		switch h.Host {
		case "storage":
			if len(s.Value) < 5 || s.Value[0].Name != "cpu" || s.Value[0].Unit != "%" || s.Value[0].Source == "" {
				t.Fatalf("storage: %+v", s)
			}
			p := s.Value[0].Points
			if len(p) < 10 || p[len(p)-1].Value == nil || time.Since(p[0].At) > 12*time.Minute || time.Since(p[0].At) < 5*time.Minute {
				t.Errorf("storage: %d points of the cpu from %v on", len(p), p[0].At)
			}
		case "r2s":
			if !s.None || s.Error == "" {
				t.Errorf("r2s has no Netdata: %+v", s)
			}
		default:
			if s.None || s.Error == "" || s.Value != nil {
				t.Errorf("%s is off: %+v", h.Host, s)
			}
		}
	}
}
