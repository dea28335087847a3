package services

import (
	"fmt"
	"strings"
	"sync"

	"github.com/sextant-fleet/sextant/fleet"
)

// kept is what hosts answered, by host and question. It is safe for concurrent use.
type kept[T any] struct {
	mu  sync.Mutex
	all map[string]T
}

func keyOf(id fleet.HostID, question ...any) string {
	return fmt.Sprint(id, " ") + fmt.Sprintln(question...)
}

func (k *kept[T]) get(key string) (T, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.all[key]
	return v, ok
}

func (k *kept[T]) put(key string, v T) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil {
		k.all = map[string]T{}
	}
	k.all[key] = v
}

// forget drops what is kept of a host.
func (k *kept[T]) forget(id fleet.HostID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key := range k.all {
		if strings.HasPrefix(key, string(id)+" ") {
			delete(k.all, key)
		}
	}
}
