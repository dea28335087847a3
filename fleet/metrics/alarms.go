package metrics

import (
	"cmp"
	"errors"
	"html"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// errSilent means that nothing is judged there, so that no alarm means nothing.
var errSilent = errors.New("health checks are off")

// maxAlarms bounds what one host may raise.
const maxAlarms = 1000

// Statuses that are alarms; all others are not, or not yet.
const (
	warning  = "WARNING"
	critical = "CRITICAL"
)

// parseAlarmsV1 reads the answer of /api/v1/alarms: those raised, in HTML.
func parseAlarmsV1(body []byte) ([]fleet.Alarm, error) {
	var in struct {
		Health *bool `json:"status"`
		Alarms map[string]struct {
			Name    string   `json:"name"`
			Chart   string   `json:"chart"`
			Status  string   `json:"status"`
			Value   *float64 `json:"value"`
			Text    string   `json:"value_string"`
			Units   string   `json:"units"`
			Info    string   `json:"info"`
			Changed int64    `json:"last_status_change"`
		} `json:"alarms"`
	}
	if err := decode(body, &in, "alarms"); err != nil {
		return nil, err
	}
	if in.Health == nil || in.Alarms == nil {
		return nil, errors.New("alarms: the answer tells of none, nor that there are none")
	}
	if !*in.Health {
		return nil, errSilent
	}
	out := []fleet.Alarm{}
	for _, a := range in.Alarms {
		text := a.Text
		if text == "" && a.Value != nil {
			text = quantity(*a.Value, a.Units)
		}
		out = add(out, fleet.Alarm{Name: a.Name, Status: a.Status, Value: text, Since: stamp(a.Changed), Info: a.Info, Chart: a.Chart})
	}
	return order(out), nil
}

// parseAlarmsV3 reads the answer of /api/v3/alerts with options=instances,values
// for the node with the GUID. Keys have a short and a long spelling.
func parseAlarmsV3(body []byte, guid string) ([]fleet.Alarm, error) {
	var in struct {
		Nodes []struct {
			GUID      string `json:"mg"`
			LongGUID  string `json:"machine_guid"`
			Index     *int   `json:"ni"`
			LongIndex *int   `json:"nodes_array_index"`
		} `json:"nodes"`
		Alerts []struct {
			Index       *int     `json:"ni"`
			LongIndex   *int     `json:"nodes_array_index"`
			Name        string   `json:"nm"`
			LongName    string   `json:"alert_name"`
			Chart       string   `json:"ch"`
			LongChart   string   `json:"instance_id"`
			Status      string   `json:"st"`
			LongStatus  string   `json:"status"`
			Units       string   `json:"units"`
			ShortUnits  string   `json:"un"`
			Info        string   `json:"info"`
			Changed     int64    `json:"tr_t"`
			LongChanged int64    `json:"last_transition_timestamp"`
			Value       *float64 `json:"v"`
			LongValue   *float64 `json:"last_updated_value"`
		} `json:"alert_instances"`
	}
	if err := decode(body, &in, "alerts"); err != nil {
		return nil, err
	}
	if in.Nodes == nil || in.Alerts == nil {
		return nil, errors.New("alerts: the answer tells of none, nor that there are none")
	}
	ours := map[int]bool{}
	for _, n := range in.Nodes {
		if i := cmp.Or(n.Index, n.LongIndex); i != nil && strings.EqualFold(cmp.Or(n.GUID, n.LongGUID), guid) {
			ours[*i] = true
		}
	}
	out := []fleet.Alarm{}
	for _, a := range in.Alerts {
		if i := cmp.Or(a.Index, a.LongIndex); i == nil || !ours[*i] {
			continue // of another machine
		}
		text := ""
		if v := cmp.Or(a.Value, a.LongValue); v != nil {
			text = quantity(*v, cmp.Or(a.Units, a.ShortUnits))
		}
		out = add(out, fleet.Alarm{
			Name: cmp.Or(a.Name, a.LongName), Status: cmp.Or(a.Status, a.LongStatus), Value: text,
			Since: stamp(cmp.Or(a.Changed, a.LongChanged)), Info: a.Info, Chart: cmp.Or(a.Chart, a.LongChart),
		})
	}
	return order(out), nil
}

// add keeps what is an alarm, fit for a screen.
func add(list []fleet.Alarm, a fleet.Alarm) []fleet.Alarm {
	if a.Status != warning && a.Status != critical || len(list) >= maxAlarms {
		return list
	}
	text := func(s string, n int) string { return fleet.Short(fleet.Clean(html.UnescapeString(s)), n) }
	a.Name, a.Value, a.Info, a.Chart = text(a.Name, 200), text(a.Value, 80), text(a.Info, 500), text(a.Chart, 200)
	return append(list, a)
}

// order puts the worst first, then the newest.
func order(list []fleet.Alarm) []fleet.Alarm {
	slices.SortFunc(list, func(a, b fleet.Alarm) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), b.Since.Compare(a.Since), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Chart, b.Chart))
	})
	return list
}

// stamp is a time in seconds since 1970, where it can be one.
func stamp(s int64) time.Time {
	if s <= 0 || s > 1<<33 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// quantity is a number with its unit, as people read it.
func quantity(v float64, unit string) string {
	if !finite(v) {
		return ""
	}
	text := strconv.FormatFloat(v, 'g', 4, 64)
	if unit == "" || unit == "%" {
		return text + unit
	}
	return text + " " + unit
}
