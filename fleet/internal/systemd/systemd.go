// Package systemd reads the forms in which systemctl tells something, for the
// rooms that ask it. It does no input and no output.
package systemd

import (
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Stamp reads a time of systemctl: "@1795375729" where --timestamp=unix is
// known, else "Sun 2026-11-22 19:28:48 UTC"; zero where there is none.
func Stamp(v string) time.Time {
	if sec, ok := strings.CutPrefix(v, "@"); ok {
		if n, err := strconv.ParseInt(sec, 10, 64); err == nil && n > 0 {
			return time.Unix(n, 0).UTC()
		}
		return time.Time{}
	}
	t, err := time.Parse("Mon 2006-01-02 15:04:05 MST", v)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// Properties reads what `systemctl show` prints of one unit, NAME=VALUE a line;
// a value may hold "=". Values are clean: no control characters.
func Properties(block string) map[string]string {
	p := map[string]string{}
	for l := range strings.SplitSeq(block, "\n") {
		if k, v, ok := strings.Cut(l, "="); ok {
			p[k] = fleet.Clean(v)
		}
	}
	return p
}
