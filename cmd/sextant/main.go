// Command sextant shows and manages a fleet of NixOS machines: without
// arguments in a terminal UI, and by a subcommand for everything on its screens.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"charm.land/fang/v2"
)

// version is set by the linker.
var version = "dev"

// Exit codes, as the documentation promises them.
const (
	exitProblem = 1   // a problem was found, or the action failed
	exitUsage   = 2   // wrong usage or configuration
	exitUnknown = 3   // nothing wrong was seen, but something could not be read
	exitStopped = 130 // by Ctrl-C, as shells have it
)

// errInterrupted ends a command that a person stopped before it knew what it would tell.
var errInterrupted = errors.New("interrupted")

// exitCode ends the program with a code and nothing more to say.
type exitCode int

// Error names the code.
func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is a mistake of the caller.
type usageError struct{ error }

// Unwrap gives the mistake.
func (u usageError) Unwrap() error { return u.error }

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return code(fang.Execute(ctx, rootCommand(), fang.WithVersion(version), fang.WithErrorHandler(tell)))
}

// code gives the exit code of an error. What cobra itself refuses is usage.
func code(err error) int {
	var exit exitCode
	var done *doneError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errInterrupted):
		return exitStopped
	case errors.As(err, &exit):
		return int(exit)
	case errors.As(err, &done):
		return exitProblem
	}
	return exitUsage
}

// doneError is a failure of what was to be done, as opposed to one of usage.
type doneError struct{ error }

// Unwrap gives the failure.
func (d *doneError) Unwrap() error { return d.error }

// failed marks an error as a failure of the work.
func failed(err error) error {
	var exit exitCode
	if err == nil || errors.As(err, &exit) || errors.As(err, new(usageError)) {
		return err
	}
	return &doneError{err}
}
