package metrics

import (
	"testing"

	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web/webtest"
)

// TestBadAnswers: what is no Netdata is not taken for one, and costs no more than
// the time that one gets.
func TestBadAnswers(t *testing.T) {
	webtest.Bad(t, callTimeout, func(l link.Link) error {
		c := newClient(l)
		defer c.close()
		_, err := detect(t.Context(), c)
		return err
	})
}
