package network

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/sextant-fleet/sextant/fleet"
)

// atMost reads a list of JSON, of which no more than so many are looked at: what would
// be left out is not decoded. A text of nothing is no list.
func atMost[T any](text []byte, most int) ([]T, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, errors.New("it is not a list of JSON")
	}
	var list []T
	for d.More() {
		if len(list) >= most {
			return list, nil
		}
		var v T
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.Token()
	return list, err
}

// maxFew is how many are looked at of a list inside of another: flags, addresses, ways.
const maxFew = 256

// few is such a list.
type few[T any] []T

// UnmarshalJSON reads it.
func (f *few[T]) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	list, err := atMost[T](text, maxFew)
	*f = list
	return err
}

// linkName is the name of a link, fit for a terminal; the kernel's have 15 bytes at most.
func linkName(s string) string { return fleet.Short(fleet.Clean(s), 40) }
