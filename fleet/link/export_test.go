package link

import "time"

// Hurry shortens the limits of a dialer to what tests can wait for.
func Hurry(d *Dialer) {
	d.limits = limits{
		dial: 2 * time.Second, offline: 300 * time.Millisecond, auth: 700 * time.Millisecond, person: 5 * time.Second,
		raceDelay: 50 * time.Millisecond, keepAlive: 50 * time.Millisecond, lostAfter: 400 * time.Millisecond, sessionGap: 10 * time.Millisecond,
	}
}

// KeepAlive sets how often a host is asked for a sign of life, and how long it
// may take.
func KeepAlive(d *Dialer, every, lost time.Duration) {
	d.limits.keepAlive, d.limits.lostAfter = every, lost
}
