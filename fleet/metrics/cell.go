package metrics

import (
	"encoding/json"
	"math"
)

// cell is a value in a table of Netdata: a number, null, or a list of these.
type cell struct{ numbers []float64 }

// UnmarshalJSON reads a number, null, or a list of them; anything else in a
// list counts as not measured.
func (c *cell) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '[' {
		c.numbers = []float64{number(b)}
		return nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	for _, raw := range list {
		c.numbers = append(c.numbers, number(raw))
	}
	return nil
}

func number(b []byte) float64 {
	var v *float64
	if err := json.Unmarshal(b, &v); err != nil || v == nil {
		return math.NaN()
	}
	return *v
}

// value is the number at a place of the list, or the only one.
func (c cell) value(at int) float64 {
	if len(c.numbers) == 1 {
		at = 0
	}
	if at < 0 || at >= len(c.numbers) {
		return math.NaN()
	}
	return c.numbers[at]
}
