package history

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// registryFile holds what registries said of the names of images: they are asked
// only by a person, and not again for each new process.
const registryFile = "registry.json"

// maxAnswers is how many names are kept.
const maxAnswers = 2000

type registry struct {
	header
	fleet.RegistryAnswers
}

// SaveRegistry adds what registries said.
func (h *History) SaveRegistry(a fleet.RegistryAnswers) error {
	all := registry{}
	err := h.load(registryFile, &all)
	all.Schema = schema
	all.RegistryAnswers = all.Join(a).Bound(maxAnswers, time.Now())
	data, bad := json.Marshal(all)
	return errors.Join(err, bad, h.write(registryFile, data))
}

// Registry gives what registries said.
func (h *History) Registry() (fleet.RegistryAnswers, error) {
	all := registry{}
	err := h.load(registryFile, &all)
	return all.RegistryAnswers, err
}
