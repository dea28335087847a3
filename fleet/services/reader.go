package services

import (
	"context"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Bounds of one reading of a host.
const readTime = 25 * time.Second

// Reader reads hosts, and keeps what need not be asked each time. It is safe for
// concurrent use.
type Reader struct {
	certs certs
	auths auths
}

// New makes a Reader.
func New() *Reader { return &Reader{} }

// Forget drops what is kept of a host that left the fleet.
func (r *Reader) Forget(id fleet.HostID) {
	r.certs.forget(id)
	r.auths.forget(id)
}

// Read asks a host what it serves and how its services are. Of what the host is,
// st tells; who listens there should be known.
func (r *Reader) Read(ctx context.Context, l link.Link, st fleet.State) (fleet.Fact[[]fleet.Proxy], fleet.Fact[[]fleet.Service]) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	var sites fleet.Fact[[]fleet.Proxy]
	var list fleet.Fact[[]fleet.Service]
	var wg sync.WaitGroup
	wg.Go(func() {
		sites = readCaddy(ctx, l, st)
		for _, p := range sites.Value {
			r.certs.add(ctx, l, p.Sites)
			r.auths.add(ctx, l, p.Sites)
		}
	})
	wg.Go(func() { list = readServices(ctx, l, st) })
	wg.Wait()
	return sites, list
}
