// Package words turns facts into the few words that screens show of them. It
// draws nothing. What is not known never becomes a word that sounds fine.
package words

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
)

// Age is a length of time in at most three cells. Less than a minute is "now",
// so that a screen nothing happens on does not change every second.
func Age(d time.Duration) string {
	switch {
	case d < 0:
		return ""
	case d < time.Minute:
		return "now"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 24*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d < 1000*24*time.Hour:
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	}
	return strconv.Itoa(int(d/(365*24*time.Hour))) + "y"
}

// Ago is how long before now a time was, or "" for no time.
func Ago(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return Age(max(0, now.Sub(t)))
}

// AgoLong is Ago as part of a sentence: "12m ago", "now", "in 3h".
func AgoLong(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case t.After(now.Add(time.Minute)):
		return "in " + Age(t.Sub(now))
	case now.Sub(t) < time.Minute:
		return "now"
	}
	return Age(now.Sub(t)) + " ago"
}

// When is a time with its distance: "2026-11-21 03:10 (17h ago)".
func When(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return Stamp(t) + " (" + AgoLong(t, now) + ")"
}

// Stamp is a time to the minute, in the zone of the person.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}

// Bytes is a size in at most five cells: "512 B", "1.4G".
func Bytes(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + "B"
	}
	v, units := float64(n), "BKMGTPE"
	i := 0
	for v >= 999.5 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f%c", v, units[i])
	}
	return fmt.Sprintf("%.0f%c", v, units[i])
}

// Percent is a share 0…1 as "42%", "?" when it is no number.
func Percent(f float64) string {
	if math.IsNaN(f) || f < 0 {
		return "?"
	}
	return strconv.Itoa(int(math.Round(f*100))) + "%"
}

// Span is how long something lasted: "3d 4h", "12m".
func Span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd %dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// Limit is a length of time as people set limits: in hours, up to three days.
func Limit(d time.Duration) string {
	if d <= 72*time.Hour && d >= time.Hour {
		return strconv.Itoa(int(d/time.Hour)) + "h"
	}
	return Age(d)
}

// Severity is the word and the role of a problem's severity.
func Severity(s fleet.Severity) (string, themes.Role) {
	switch s {
	case fleet.SeverityFail:
		return "FAIL", themes.Fail
	case fleet.SeverityWarn:
		return "warn", themes.Warn
	case fleet.SeverityUnknown:
		return "?", themes.Unknown
	}
	return "ok", themes.OK
}

// Level is a level of what happened in one word.
func Level(l fleet.Level) (string, themes.Role) {
	switch l {
	case fleet.Error:
		return "ERR", themes.Fail
	case fleet.Warn:
		return "warn", themes.Warn
	}
	return "info", themes.Dim
}

// Left fills text with spaces on its right to a width in cells.
func Left(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-ansi.StringWidth(s)))
}

// Right fills text with spaces on its left to a width in cells.
func Right(s string, width int) string {
	return strings.Repeat(" ", max(0, width-ansi.StringWidth(s))) + s
}
