package history

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// publicFile holds how the public finds what the fleet serves.
const publicFile = "public.json"

type public struct {
	header
	At     time.Time    `json:"at"`
	Source string       `json:"source"`
	Public fleet.Public `json:"public"`
}

// SavePublic keeps what was found out; a fact without a value is not kept.
func (h *History) SavePublic(f fleet.Fact[fleet.Public]) error {
	if !f.HasValue() {
		return nil
	}
	defer h.alone()()
	data, err := json.Marshal(public{header{schema}, f.At, f.Source, f.Value})
	return errors.Join(err, h.write(publicFile, data))
}

// Public gives what was found out last, as remembered; nothing where that was never.
func (h *History) Public() (fleet.Fact[fleet.Public], error) {
	var p public
	if err := h.load(publicFile, &p); err != nil || p.At.IsZero() {
		return fleet.Fact[fleet.Public]{}, err
	}
	return fleet.Fact[fleet.Public]{Value: p.Public, At: p.At, Source: p.Source, Err: fleet.Remembered}, nil
}
