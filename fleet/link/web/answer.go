package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"mime"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Answer is what a server said. Nothing in it is fit for a screen yet: see
// [Answer.Text].
type Answer struct {
	Status   int
	Type     string // Content-Type
	Server   string
	Location string    // where a redirect leads
	Clock    time.Time // the server's own when it answered; zero: not told
	Body     []byte
	Took     time.Duration

	retry string // Retry-After
}

// Reasons why an answer is none, told apart with errors.Is.
var (
	ErrNone      = errors.New("nothing answers")
	ErrClosed    = errors.New("closed to the login user")
	ErrProtected = errors.New("it wants credentials")
	ErrNotFound  = errors.New("it does not know that")
	ErrRedirect  = errors.New("answers with a redirect, which is not followed")
	ErrTooLarge  = errors.New("the answer is larger than")
	ErrNotJSON   = errors.New("what listens there may be something else")
	ErrLate      = errors.New("no whole answer")
	ErrBusy      = errors.New("it is asked too often")
)

// Err is why the answer is none, nil where its status is 200.
func (a Answer) Err() error {
	switch code := a.Status; {
	case code == 200:
		return nil
	case code == 401, code == 403, code == 412:
		return a.because(ErrProtected)
	case code == 404:
		return a.because(ErrNotFound)
	case code == 429:
		if wait := word(a.retry); a.retry != "" {
			return fmt.Errorf("%w: HTTP 429, again after %s", ErrBusy, wait)
		}
		return a.because(ErrBusy)
	case code >= 300 && code < 400:
		return fmt.Errorf("%w: HTTP %d", ErrRedirect, code)
	}
	return errors.New(strings.TrimSuffix(fmt.Sprintf("HTTP %d: %s", a.Status, a.Text(100)), ": "))
}

func (a Answer) because(why error) error {
	if text := a.Text(100); text != "" {
		return fmt.Errorf("%w: HTTP %d: %s", why, a.Status, text)
	}
	return fmt.Errorf("%w: HTTP %d", why, a.Status)
}

// JSON reads the answer into a value; what names it in errors. An answer that
// does not call itself JSON is none.
func (a Answer) JSON(into any, what string) error {
	if err := a.CalledJSON(); err != nil {
		return err
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		return Unreadable(what, err)
	}
	return nil
}

// CalledJSON is an error where the server says that the answer is something else.
func (a Answer) CalledJSON() error {
	if kind, _, _ := mime.ParseMediaType(a.Type); kind != "application/json" {
		return fmt.Errorf("answers with %s instead of JSON: %w", word(kind), ErrNotJSON)
	}
	return nil
}

// Unreadable is the error of an answer in which something is not as it should be.
// Of the answer itself it holds no more than a field's name.
func Unreadable(what string, err error) error {
	return fmt.Errorf("%s cannot be read: %s", what, fleet.Short(fleet.Clean(err.Error()), 120))
}

// Text is the beginning of the answer, at most n runes of it, fit for a line on a
// screen, with what looks secret in it hidden: an error may name a URL with its token.
func (a Answer) Text(n int) string {
	text := string(a.Body[:min(len(a.Body), 8*n)])
	return fleet.Short(strings.TrimSpace(fleet.HideText(fleet.Clean(html.UnescapeString(text)))), n)
}

// word is a short text from outside, or "nothing".
func word(s string) string {
	if s = fleet.Short(fleet.Clean(strings.TrimSpace(s)), 40); s == "" {
		return "nothing"
	}
	return s
}

// tooLarge says by how much.
func tooLarge(limit int64) error {
	if limit >= 1<<20 {
		return fmt.Errorf("%w %d MiB", ErrTooLarge, limit>>20)
	}
	return fmt.Errorf("%w %d KiB", ErrTooLarge, limit>>10)
}
