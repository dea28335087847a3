package fleet

import "time"

// MaxAck is for how long a problem can be acknowledged at most.
const MaxAck = 30 * 24 * time.Hour

// Ack says that somebody knows of a problem, and until when it is not to count.
type Ack struct {
	Who      string    `json:"who"`
	Client   string    `json:"client"` // the machine it was said on
	Why      string    `json:"why,omitempty"`
	At       time.Time `json:"at"`
	Until    time.Time `json:"until"`
	Severity Severity  `json:"severity"` // the problem's, then
}

// Holds tells whether the acknowledgement holds for a problem now: not once its
// time is over, nor when the problem has become worse, nor where its times cannot
// be (another client's clock may be wrong).
func (a Ack) Holds(sev Severity, now time.Time) bool {
	return now.Before(a.Until) && a.Until.Sub(now) <= MaxAck && rank(sev) >= rank(a.Severity)
}

// Acks are the acknowledged problems of all hosts, by [FullKey].
type Acks map[string]Ack

// Live are those whose time is not over.
func (a Acks) Live(now time.Time) Acks {
	out := Acks{}
	for key, ack := range a {
		if now.Before(ack.Until) {
			out[key] = ack
		}
	}
	return out
}
