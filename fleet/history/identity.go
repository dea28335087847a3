package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Files of what outlives a host's facts.
const (
	identitiesFile = "identities.json"
	addressesFile  = "addresses.json"
)

// Identity is how a host is known again after it was renamed or reinstalled,
// or when the source that named it is silent.
type Identity struct {
	ID        fleet.HostID `json:"id"`
	Names     []string     `json:"names,omitempty"`     // all it ever had, newest first
	NodeID    string       `json:"nodeId,omitempty"`    // Tailscale's stable node ID
	MachineID string       `json:"machineId,omitempty"` // /etc/machine-id
	HostKeys  []string     `json:"hostKeys,omitempty"`  // public keys, authorized_keys form
	Seen      time.Time    `json:"seen,omitzero"`       // when a source last told of it
}

// SaveIdentities keeps who the hosts are, in place of what was kept before.
func (h *History) SaveIdentities(list []Identity) error {
	data, err := json.MarshalIndent(struct {
		header
		Hosts []Identity `json:"hosts"`
	}{header{schema}, list}, "", " ")
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return h.write(identitiesFile, data)
}

// Identities gives the hosts that were ever kept.
func (h *History) Identities() ([]Identity, error) {
	var file struct {
		Hosts []Identity `json:"hosts"`
	}
	err := h.load(identitiesFile, &file)
	return file.Hosts, err
}

// address is the way that last led to a host.
type address struct {
	fleet.Address
	At time.Time `json:"at"`
}

// Remember keeps the address that just led to a host: the next start tries it
// first. It writes only where the address is new. It fits link.Dialer, which
// has no use for an error: an address that was not kept costs a moment later.
func (h *History) Remember(id fleet.HostID, a fleet.Address) {
	_ = h.remember(id, a)
}

func (h *History) remember(id fleet.HostID, a fleet.Address) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if known := h.known(); known[string(id)].Address == a {
		return nil
	}
	// Another process may have written meanwhile: what it learnt stays.
	fresh, err := h.loadAddresses()
	if err == nil {
		h.addresses = fresh
	}
	h.addresses[string(id)] = address{Address: a, At: time.Now().UTC().Truncate(time.Second)}
	data, bad := json.MarshalIndent(struct {
		header
		Hosts map[string]address `json:"hosts"`
	}{header{schema}, h.addresses}, "", " ")
	return errors.Join(err, bad, h.write(addressesFile, data))
}

// Remembered gives the address that last led to a host, or the zero one.
func (h *History) Remembered(id fleet.HostID) fleet.Address {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known()[string(id)].Address
}

// known are the addresses, read once. It is called with the lock held.
func (h *History) known() map[string]address {
	if h.addresses == nil {
		list, err := h.loadAddresses()
		if err != nil || list == nil {
			list = map[string]address{}
		}
		h.addresses = list
	}
	return h.addresses
}

func (h *History) loadAddresses() (map[string]address, error) {
	var file struct {
		Hosts map[string]address `json:"hosts"`
	}
	if err := h.load(addressesFile, &file); err != nil {
		return nil, err
	}
	if file.Hosts == nil {
		file.Hosts = map[string]address{}
	}
	return file.Hosts, nil
}
