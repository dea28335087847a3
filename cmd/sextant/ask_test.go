package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/term"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// TestAskOnTheTerminal: a secret is not shown, what is asked at once is asked one
// after the other, an empty answer refuses, and who gives up has the terminal back
// as it was.
func TestAskOnTheTerminal(t *testing.T) {
	asked := func(ctx context.Context, q fleet.Question, types func(*tuitest.Term)) (reply fleet.Reply, screen string, err error, echoes bool) {
		ui := tuitest.Run(t, 80, 24, func(tty *os.File) error {
			before, _ := term.GetState(tty.Fd())
			a := &terminalAsker{in: tty, out: tty, turn: make(chan struct{}, 1)}
			reply, err = a.Ask(ctx, q)
			after, _ := term.GetState(tty.Fd())
			echoes = *before == *after
			return nil
		})
		types(ui.WaitFor(q.Text))
		_ = ui.Wait()
		return reply, ui.Raw(), err, echoes
	}
	secret := fleet.Question{Kind: fleet.AskSudo, Text: "sudo password of ada on desk", Secret: true}
	r, raw, err, echoes := asked(t.Context(), secret, func(ui *tuitest.Term) { ui.Send("hunter 2\r") })
	if err != nil || r.Text != "hunter 2" || r.Refuse || strings.Contains(raw, "hunter") || !echoes {
		t.Errorf("%+v, %v, %q, as before %v", r, err, raw, echoes)
	}
	if r, _, err, _ := asked(t.Context(), secret, func(ui *tuitest.Term) { ui.Send("\r") }); err != nil || !r.Refuse {
		t.Errorf("nothing was typed: %+v, %v", r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, _, err, echoes := asked(ctx, secret, func(*tuitest.Term) { cancel() }); !errors.Is(err, context.Canceled) || !echoes {
		t.Errorf("given up: %v, the terminal is as before: %v", err, echoes)
	}
	another := func(tty *os.File) {
		a := &terminalAsker{in: tty, out: tty, turn: make(chan struct{}, 1)}
		first, withdraw := context.WithCancel(t.Context())
		go func() { time.Sleep(50 * time.Millisecond); withdraw() }()
		if _, err := a.Ask(first, fleet.Question{Kind: fleet.AskConfirm, Text: "keep it?"}); !errors.Is(err, context.Canceled) {
			t.Errorf("withdrawn: %v", err)
		}
		if r, err := a.Ask(t.Context(), fleet.Question{Kind: fleet.AskConfirm, Text: "and now?"}); err != nil || r.Refuse {
			t.Errorf("after one that was withdrawn: %+v, %v", r, err)
		}
	}
	ui := tuitest.Run(t, 80, 24, func(tty *os.File) error { another(tty); return nil })
	ui.WaitFor("and now?").Send("y\r")
	_ = ui.Wait()
	key := fleet.Question{Kind: fleet.AskHostKey, Text: "unknown host key of desk", Detail: []string{"SHA256:9cX1l"}}
	for typed, refuse := range map[string]bool{"y\r": false, "\r": true, "no\r": true} {
		r, raw, err, _ := asked(t.Context(), key, func(ui *tuitest.Term) { ui.Send(typed) })
		if err != nil || r.Refuse != refuse || !strings.Contains(raw, "SHA256:9cX1l") {
			t.Errorf("%q: %+v, %v, %q", typed, r, err, raw)
		}
	}
}
