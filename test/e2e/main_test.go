//go:build lab

package e2e

import (
	"os"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// TestMain has the screens waited for longer than those of recorded hosts: the hosts
// of two labs share the processors, and list their backups meanwhile.
func TestMain(m *testing.M) {
	tuitest.Patience = 3 * time.Minute
	os.Exit(m.Run())
}
