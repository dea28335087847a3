package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/x/term"
	"golang.org/x/sys/unix"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// asker is who answers questions: the screen, where one will be open; else the
// terminal, where a person sits at one; else nobody.
func (a *app) asker() link.Asker {
	switch {
	case a.opts.interactive:
		return a.questions
	case isTerminal(os.Stdin) && isTerminal(os.Stderr):
		return onTerminal
	}
	return nil
}

func isTerminal(f *os.File) bool { return term.IsTerminal(f.Fd()) }

// onTerminal asks whoever started the command. Questions go to the error output:
// the other may be read by a program.
var onTerminal = &terminalAsker{in: os.Stdin, out: os.Stderr, turn: make(chan struct{}, 1)}

// terminalAsker asks on a terminal, one question after the other.
type terminalAsker struct {
	in   *os.File
	out  io.Writer
	turn chan struct{}

	reading chan string // the line that is read; it outlives a question that is withdrawn
}

// Ask implements link.Asker.
func (t *terminalAsker) Ask(ctx context.Context, q fleet.Question) (fleet.Reply, error) {
	if q.Kind == fleet.AskVisit { // nothing is read, and others may ask meanwhile
		fmt.Fprintln(t.out, q.Text+": "+q.URL)
		<-ctx.Done()
		return fleet.Reply{}, context.Cause(ctx)
	}
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return fleet.Reply{}, context.Cause(ctx)
	}
	for _, l := range q.Detail {
		fmt.Fprintln(t.out, "  "+l)
	}
	if q.Kind == fleet.AskConfirm || q.Kind == fleet.AskHostKey {
		line, err := t.line(ctx, q.Text+" [y/N] ", false)
		return fleet.Reply{Refuse: !agrees(line)}, err
	}
	line, err := t.line(ctx, q.Text+": ", q.Secret)
	return fleet.Reply{Text: line, Refuse: line == ""}, err
}

// line reads a line, unseen where it is a secret. The terminal is left as it was.
func (t *terminalAsker) line(ctx context.Context, prompt string, secret bool) (string, error) {
	if secret {
		fd := t.in.Fd()
		before, err := term.GetState(fd)
		if err != nil {
			return "", fmt.Errorf("asking on the terminal: %w", err)
		}
		unseen := *before
		unseen.Lflag &^= unix.ECHO
		if err := term.Restore(fd, &unseen); err != nil {
			return "", fmt.Errorf("asking on the terminal: %w", err)
		}
		defer func() {
			_ = term.Restore(fd, before)
			fmt.Fprintln(t.out)
		}()
	}
	fmt.Fprint(t.out, prompt)
	select {
	case line := <-t.read():
		t.reading = nil
		return line, nil
	case <-ctx.Done():
		fmt.Fprintln(t.out) // what is told next begins its own line
		return "", context.Cause(ctx)
	}
}

// read reads a line from now on. What was typed for a question that was withdrawn
// is no answer to the next.
func (t *terminalAsker) read() <-chan string {
	select {
	case <-t.reading:
		t.reading = nil
	default:
	}
	if t.reading == nil {
		said := make(chan string, 1)
		t.reading = said
		go func() { // ends with the process: a terminal cannot be left while it is read
			line, _ := bufio.NewReader(t.in).ReadString('\n') // its end is no answer
			said <- strings.TrimRight(line, "\r\n")
		}()
	}
	return t.reading
}

func agrees(line string) bool {
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true
	}
	return false
}
