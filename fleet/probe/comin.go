package probe

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// pulled reads what comin wrote down of its deployments: lines "key":"value" of its
// store.json, in their order. Each deployment begins with its generation, of which the
// commit is told; the newest need not be the first. nil: none has begun.
func pulled(lines []string) *fleet.Pulled {
	var newest *fleet.Pulled
	at, commit := &fleet.Pulled{}, "" // what comes before the first beginning is nobody's
	for _, l := range lines {
		key, value, ok := pair(l)
		switch {
		case !ok:
		case key == "selected_commit_id": // a newer comin repeats it, empty, at its old place
			if value != "" {
				commit = value
			}
		case key == "started_at":
			at = &fleet.Pulled{Began: moment(value), Commit: commit}
			if newest == nil || at.Began.After(newest.Began) {
				newest = at
			}
			commit = ""
		case key == "ended_at":
			at.Ended = moment(value)
		case key == "error_msg":
			at.Err = value
		case key == "operation":
			at.Operation = value
		}
	}
	if newest == nil || newest.Began.IsZero() {
		return nil
	}
	return newest
}

// pair reads a line of JSON's "key": "value".
func pair(line string) (key, value string, ok bool) {
	var got map[string]string
	if json.Unmarshal([]byte("{"+line+"}"), &got) != nil || len(got) != 1 {
		return "", "", false
	}
	for k, v := range got {
		key, value = k, fleet.Short(fleet.Clean(strings.TrimSpace(v)), 2000)
	}
	return key, value, true
}

// moment reads a time as protojson and Go's JSON write it; what never was is zero.
func moment(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() < 2000 {
		return time.Time{}
	}
	return t
}
