package tui

import (
	"cmp"
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"
)

// Run shows the UI until the person leaves it or the context ends, which gives
// the context's error.
func Run(ctx context.Context, opts Options) error {
	if opts.Environ == nil {
		opts.Environ = os.Environ()
	}
	if getenv(opts.Environ, "TERM") == "dumb" {
		return ErrDumb
	}
	if opts.Glyphs == "" && poor(opts.Environ) {
		opts.Glyphs = "ascii"
	}
	m, err := newModel(ctx, opts)
	if err != nil {
		return err
	}
	defer m.Close()
	p := tea.NewProgram(m, programOptions(opts)...)
	// Not tea.WithContext: a program that is killed closes its input under the
	// goroutine that reads it (v2.1.1), which then waits for ever.
	stop := context.AfterFunc(ctx, p.Quit)
	defer stop()
	_, err = p.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Frames a second. Every frame is a chance to write; over a slow link fewer are
// enough. The ticker behind them runs always, and is most of what an idle UI
// costs: 30 answer half of the keys within 17 ms.
const (
	fps     = 30
	fpsSlow = 20
)

func programOptions(opts Options) []tea.ProgramOption {
	list := []tea.ProgramOption{tea.WithEnvironment(opts.Environ), tea.WithFilter(Filter())}
	if overSSH(opts.Environ) {
		list = append(list, tea.WithFPS(fpsSlow))
	} else {
		list = append(list, tea.WithFPS(fps))
	}
	if opts.Input != nil {
		list = append(list, tea.WithInput(opts.Input))
	}
	if opts.Output != nil {
		list = append(list, tea.WithOutput(opts.Output))
	}
	return list
}

// askSynchronized asks whether the terminal can show a frame at once (mode
// 2026). Bubble Tea asks by itself, but not over SSH.
const askSynchronized = "\x1b[?2026$p"

// ErrDumb says that the terminal cannot show screens.
var ErrDumb = errors.New("this terminal (TERM=dumb) cannot show screens; sextant status --plain tells the same")

// overSSH tells whether the terminal is at the other end of an SSH connection.
func overSSH(environ []string) bool {
	return getenv(environ, "SSH_TTY") != "" || getenv(environ, "SSH_CONNECTION") != ""
}

// poor tells whether the terminal hardly has more signs than ASCII: the
// console of Linux, or a locale that is not UTF-8.
func poor(environ []string) bool {
	locale := cmp.Or(getenv(environ, "LC_ALL"), getenv(environ, "LC_CTYPE"), getenv(environ, "LANG"))
	utf8 := strings.Contains(strings.ToLower(strings.ReplaceAll(locale, "-", "")), "utf8")
	return getenv(environ, "TERM") == "linux" || locale != "" && !utf8
}

// getenv is the last value of a variable, as a shell would have it.
func getenv(environ []string, name string) string {
	for i := len(environ) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(environ[i], name+"="); ok {
			return value
		}
	}
	return ""
}

// wheelEvery is how often a turn of the wheel counts; trackpads send hundreds
// a second.
const wheelEvery = 15 * time.Millisecond

// Filter gives the event filter of the UI: pointer movements mean nothing
// here, and floods of wheel turns are thinned out. A program has one filter;
// who adds another must call this one.
func Filter() func(tea.Model, tea.Msg) tea.Msg {
	var last atomic.Int64
	return func(_ tea.Model, msg tea.Msg) tea.Msg {
		switch msg.(type) {
		case tea.MouseMotionMsg, tea.MouseReleaseMsg:
			return nil
		case tea.MouseWheelMsg:
			now := time.Now().UnixNano()
			if now-last.Load() < int64(wheelEvery) {
				return nil
			}
			last.Store(now)
		}
		return msg
	}
}
