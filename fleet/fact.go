package fleet

import (
	"encoding/json"
	"errors"
	"time"
)

// Fact is something that was read, with the time it was read, where it came
// from, and why the newest attempt to read it failed, if it did.
//
// The zero Fact was never asked: it is unknown, not fine. A failed refresh
// keeps the old value and its age (see [Fact.Refresh]), so that old knowledge
// stays visible without ever passing for current.
type Fact[T any] struct {
	Value  T
	At     time.Time // when Value was read; zero: there is no value
	Source string    // what Value was read from, for people: "probe", "netdata v1.37 on storage"
	Err    string    // why the newest attempt failed; empty when Value is from the newest attempt
	Cure   string    // what a person can do about Err, where that is known
	ErrAt  time.Time // when that attempt failed
	None   bool      // there is nothing to read there (no container engine, no monitoring): Err says so, and it is no problem
}

// Known makes a fact that was just read.
func Known[T any](value T, at time.Time, source string) Fact[T] {
	return Fact[T]{Value: value, At: at, Source: source}
}

// Unknown makes a fact that could not be read, with the reason.
func Unknown[T any](err error, at time.Time, source string) Fact[T] {
	return Fact[T]{Err: err.Error(), Cure: Cure(err), ErrAt: at, Source: source}
}

// Nothing makes a fact of which the host has nothing that could be read: it is
// neither fine nor a problem. The reason says what is missing.
func Nothing[T any](reason string, at time.Time, source string) Fact[T] {
	return Fact[T]{Err: reason, ErrAt: at, Source: source, None: true}
}

// Asked tells whether anybody tried to read the fact.
func (f Fact[T]) Asked() bool { return !f.At.IsZero() || f.Err != "" }

// HasValue tells whether there is a value, old or new.
func (f Fact[T]) HasValue() bool { return !f.At.IsZero() }

// Current tells whether the value comes from the newest attempt. Anything
// that counts, exports or judges a fact must ask this first.
func (f Fact[T]) Current() bool { return !f.At.IsZero() && f.Err == "" }

// Failed tells whether the newest attempt to read the fact failed. That there is
// nothing to read is no failure.
func (f Fact[T]) Failed() bool { return f.Err != "" && !f.None }

// Why is why the newest attempt to read the fact failed, nil where it did not.
func (f Fact[T]) Why() error {
	switch {
	case f.Err == "":
		return nil
	case f.Cure == "":
		return errors.New(f.Err)
	}
	return WithCure(errors.New(f.Err), f.Cure)
}

// Age is how old the value is at the given time, or -1 without a value.
func (f Fact[T]) Age(now time.Time) time.Duration {
	if f.At.IsZero() {
		return -1
	}
	return max(0, now.Sub(f.At))
}

// Refresh gives the fact after a newer attempt: the newer value, or the old
// one with the reason why it could not be renewed.
func (f Fact[T]) Refresh(newer Fact[T]) Fact[T] {
	if newer.Err == "" || newer.None || newer.HasValue() || !f.HasValue() {
		return newer
	}
	f.Err, f.Cure, f.ErrAt = newer.Err, newer.Cure, newer.ErrAt
	return f
}

// Remembered is the reason in facts that an earlier process read: the value
// stands with its age, but nobody has asked again yet.
const Remembered = "not asked again yet"

// Remember gives the fact as a later process may take it up: the old value,
// never as current. What failed then is forgotten; that there was nothing to
// read stays known.
func (f Fact[T]) Remember(now time.Time) Fact[T] {
	switch {
	case f.HasValue():
		f.Err, f.Cure, f.ErrAt, f.None = Remembered, "", now, false
	case !f.None:
		f = Fact[T]{}
	}
	return f
}

// factJSON is the form of a fact in machine output, schema 1.
type factJSON[T any] struct {
	Value  *T       `json:"value,omitempty"`
	Error  string   `json:"error,omitempty"`
	Cure   string   `json:"cure,omitempty"`
	At     *jsonUTC `json:"at,omitempty"`
	Source string   `json:"source,omitempty"`
	None   bool     `json:"none,omitempty"`
	Last   *last[T] `json:"last,omitempty"`
}

// last is an old value beside the error that kept it from being renewed.
type last[T any] struct {
	Value T       `json:"value"`
	At    jsonUTC `json:"at"`
}

// ErrNotAsked is the reason of a fact that nobody has tried to read yet.
var ErrNotAsked = errors.New("not asked yet")

// MarshalJSON writes {"value","at","source"}, or {"error","at","source"} and,
// where they are known, "cure" and the older value, {"last":{"value","at"}}.
// Times are UTC.
func (f Fact[T]) MarshalJSON() ([]byte, error) {
	out := factJSON[T]{Source: f.Source, None: f.None}
	switch {
	case f.Current():
		out.Value, out.At = &f.Value, utc(f.At)
	case f.Asked():
		out.Error, out.Cure, out.At = f.Err, f.Cure, utc(f.ErrAt)
		if f.HasValue() {
			out.Last = &last[T]{Value: f.Value, At: *utc(f.At)}
		}
	default:
		out.Error = ErrNotAsked.Error()
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (f *Fact[T]) UnmarshalJSON(b []byte) error {
	var in factJSON[T]
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*f = Fact[T]{Source: in.Source, None: in.None}
	switch {
	case in.Value != nil && in.At != nil:
		f.Value, f.At = *in.Value, time.Time(*in.At)
	case in.Error != "" && in.At != nil:
		f.Err, f.Cure, f.ErrAt = in.Error, in.Cure, time.Time(*in.At)
	}
	if in.Last != nil {
		f.Value, f.At = in.Last.Value, time.Time(in.Last.At)
	}
	return nil
}

// jsonUTC is a time in machine output: RFC 3339 in UTC.
type jsonUTC time.Time

func utc(t time.Time) *jsonUTC { u := jsonUTC(t.UTC()); return &u }

// MarshalJSON writes RFC 3339 in UTC.
func (t jsonUTC) MarshalJSON() ([]byte, error) { return time.Time(t).UTC().MarshalJSON() }

// UnmarshalJSON reads RFC 3339.
func (t *jsonUTC) UnmarshalJSON(b []byte) error { return (*time.Time)(t).UnmarshalJSON(b) }
