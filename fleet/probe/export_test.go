package probe

import "time"

// Parse reads one whole answer.
func Parse(out []byte, mark string, now time.Time) (Facts, error) {
	f, _, err := parse(out, mark, now, nil)
	return f, err
}

// Certain is certain.
var Certain = certain
