package history

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// acksFile holds which problems are acknowledged, for all processes of this machine.
const acksFile = "acknowledged.json"

// maxAcks is how many are kept.
const maxAcks = 5000

type acks struct {
	header
	Acks fleet.Acks `json:"acks"`
}

// SaveAcks adds acknowledgements; one without an end takes back what there is.
func (h *History) SaveAcks(add fleet.Acks) error {
	defer h.alone()()
	all := acks{}
	err := h.load(acksFile, &all)
	kept := all.Acks.Live(time.Now())
	maps.Copy(kept, add)
	all.Acks = kept.Live(time.Now())
	for _, key := range slices.Sorted(maps.Keys(all.Acks))[:max(0, len(all.Acks)-maxAcks)] {
		delete(all.Acks, key)
	}
	all.Schema = schema
	data, bad := json.Marshal(all)
	return errors.Join(err, bad, h.write(acksFile, data))
}

// Acks gives which problems are acknowledged.
func (h *History) Acks() (fleet.Acks, error) {
	all := acks{}
	err := h.load(acksFile, &all)
	return all.Acks.Live(time.Now()), err
}
