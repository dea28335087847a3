package link

import (
	"time"
)

// Hurry shortens the limits of a dialer to what tests can wait for. A question waits
// for longer than they do: that it ends is never its limit's doing.
func Hurry(d *Dialer) {
	d.limits = limits{
		dial: 3 * time.Second, offline: 500 * time.Millisecond, auth: 5 * time.Second, person: 10 * time.Minute,
		raceDelay: 50 * time.Millisecond, keepAlive: 50 * time.Millisecond, lostAfter: 5 * time.Second, sessionGap: 10 * time.Millisecond,
	}
}

// KeepAlive sets how often a host is asked for a sign of life, and how long it
// may take.
func KeepAlive(d *Dialer, every, lost time.Duration) {
	d.limits.keepAlive, d.limits.lostAfter = every, lost
}

// AuthLimit sets how long a login may take without the time a person takes.
func AuthLimit(d *Dialer, limit time.Duration) { d.limits.auth = limit }

// RaceDelay sets the head start of each address before the next.
func RaceDelay(d *Dialer, delay time.Duration) { d.limits.raceDelay = delay }

// Receive is the program that runs what comes on its input.
const Receive = receive
