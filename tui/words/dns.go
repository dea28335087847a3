package words

import (
	"fmt"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// DNSCells is what a DNS server counted, and how its lists are, as they stand in lists;
// "?" what is not known.
type DNSCells struct {
	Queries, Blocked, Cache, Errors string
	Span                            string // of these: "24h", "3d"
	Entries, Refreshed, Failed      string
}

// DNS tells what a DNS server counted, and how its lists are.
func DNS(d fleet.DNSServer, now time.Time) DNSCells {
	c := DNSCells{"?", "?", "?", "?", "?", "?", "?", "?"}
	if d.None {
		return DNSCells{"-", "-", "-", "-", "-", "-", "-", "-"}
	}
	if s := d.Stats; s != nil {
		c.Queries, c.Errors = Many(s.Queries), Many(s.Errors)
		c.Blocked, c.Cache = "-", "-"
		if share := d.BlockedShare(); share >= 0 {
			c.Blocked = fmt.Sprintf("%.1f%%", share*100)
		}
		if s.CacheHitRate != nil {
			c.Cache = fmt.Sprintf("%.0f%%", *s.CacheHitRate*100)
		}
		if !s.Start.IsZero() && s.End.After(s.Start) {
			c.Span = Ago(s.Start, s.End)
		}
	}
	if l := d.Lists; l != nil {
		old := ""
		if d.NoLists != "" {
			old = "?" // it was so at an earlier reading
		}
		if len(l.Groups) > 0 || l.None() {
			c.Entries = old + Many(l.Entries())
		}
		if l.Unread == "" {
			c.Failed = old + Many(l.Failed)
			if age := l.Age(now.Sub(d.At)); age >= 0 {
				c.Refreshed = old + Ago(now.Add(-age), now)
			}
		}
	}
	return c
}

// Many is a large number in a few letters: "950", "12.3k", "1.24M".
func Many(n uint64) string {
	switch v := float64(n); {
	case n < 10_000:
		return fmt.Sprint(n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1fk", v/1e3)
	}
	return fmt.Sprintf("%.2fM", float64(n)/1e6)
}
