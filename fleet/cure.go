package fleet

import "errors"

// cured is an error that knows what a person can do about it.
type cured struct {
	error
	cure string
}

// Unwrap gives the error.
func (c *cured) Unwrap() error { return c.error }

// WithCure adds to an error what a person can do about it. Who makes the error
// knows best: nobody has to read its text again to find out. The text of the
// error stays as it is; the cure reaches the screens and the machine output
// beside it.
func WithCure(err error, cure string) error { return &cured{err, cure} }

// Cure is what a person can do about an error, "" where nobody said.
func Cure(err error) string {
	var c *cured
	if errors.As(err, &c) {
		return c.cure
	}
	return ""
}

// InFull is an error with its cure, for where both go into one line.
func InFull(err error) string {
	if cure := Cure(err); cure != "" {
		return err.Error() + "; " + cure
	}
	return err.Error()
}
