package metrics

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unicode"

	"github.com/sextant-fleet/sextant/fleet"
)

// seed adds every sample, and some that are cut or bent.
func seed(f *testing.F) {
	names, err := filepath.Glob("testdata/*.*")
	if err != nil || len(names) == 0 {
		f.Fatal(names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Add([]byte(`{"labels":["time","a"],"data":[[1,[1,2,[3]]],[2,null],[3,"x"]]}`))
}

func clean(t *testing.T, texts ...string) {
	for _, s := range texts {
		for _, r := range s {
			if unicode.IsControl(r) {
				t.Errorf("%q reaches the terminal", s)
			}
		}
	}
}

func FuzzInfo(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) (agent, error){parseInfoV1, parseInfoV3} {
			a, err := parse(b)
			if err != nil {
				clean(t, err.Error())
				continue
			}
			clean(t, a.version)
			if !isGUID.MatchString(a.guid) {
				t.Errorf("GUID %q", a.guid)
			}
			for _, n := range a.nodes {
				clean(t, n.name, n.guid)
			}
		}
		nodes, _ := parseNodesV3(b)
		for _, n := range nodes {
			clean(t, n.name, n.guid)
		}
	})
}

func FuzzRow(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRow(b)
		if err != nil {
			return
		}
		m := fleet.Metrics{CPU: -1}
		r.overlay(&m)
		for _, v := range []float64{m.Load1, m.Load5, m.Load15, m.NetIn, m.NetOut, m.DiskIn, m.DiskOut, m.CPU + 1} {
			if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
				t.Errorf("%+v", m)
			}
		}
		if m.CPU > 1 || m.Memory.Used > m.Memory.Total || m.Swap.Used > m.Swap.Total {
			t.Errorf("%+v", m)
		}
		r.uptime()
		if age, err := r.age(time.Unix(1795375367, 0)); err == nil && (age < 0 || age > maxSilence) {
			t.Error(age)
		}
	})
}

func FuzzAlarms(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		one, err1 := parseAlarmsV1(b)
		three, err3 := parseAlarmsV3(b, galactica)
		if one == nil != (err1 != nil) || three == nil != (err3 != nil) {
			t.Error("no alarms and no reason, or both")
		}
		for _, a := range append(one, three...) {
			clean(t, a.Name, a.Value, a.Info, a.Chart)
			if a.Status != warning && a.Status != critical {
				t.Errorf("%+v", a)
			}
		}
	})
}

func FuzzData(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		data, err := parseData(b)
		if err != nil {
			return
		}
		lines, charts := hostLines([]fleet.Disk{{Mount: "/"}}), map[string]table{}
		for _, l := range lines {
			for _, c := range l.charts {
				charts[c.id] = data.since(time.Unix(0, 0))
			}
		}
		for _, s := range compose(lines, charts, "") {
			for _, p := range s.Points {
				if p.Value < 0 || math.IsInf(p.Value, 0) {
					t.Errorf("%s: %v", s.Name, p.Value)
				}
			}
		}
	})
}

func FuzzTurn(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		p := parseTurn(b)
		m := FromProc(fleet.Proc{}, p)
		if m.Memory.Used > m.Memory.Total || m.CPU > 1 || math.IsNaN(m.Load1) {
			t.Errorf("%+v", m)
		}
	})
}
