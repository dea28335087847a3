package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/nixops"
	"github.com/sextant-fleet/sextant/podman"
)

// Exit codes of a command that could not be run: as of podman and docker, so that
// scripts tell them from the command's own.
const (
	exitNotRun        = 125
	exitNotExecutable = 126
	exitNotFound      = 127
)

// maxCaptured bounds each output that goes into JSON, in bytes.
const maxCaptured = 4 << 20

// execFlags are the flags of exec.
type execFlags struct {
	user  string
	cmd   podman.Command
	noTTY bool
}

func execCommand(o *options) *cobra.Command {
	var f execFlags
	c := &cobra.Command{
		Use: "exec HOST CONTAINER [CMD…]", Short: "A command in a container, or a shell, on this terminal", Args: cobra.MinimumNArgs(1),
		Long: "Runs a command in a container that runs, or the shell that is there. It has a terminal where this has one. " +
			"Flags stand before the command; what comes after its name is the command's. The exit code is the command's; " +
			"125, 126 and 127 say that it could not be run, as of podman.",
		RunE: func(cmd *cobra.Command, args []string) error {
			words, err := leading(cmd.Flags(), args, 2)
			switch {
			case errors.Is(err, pflag.ErrHelp):
				return cmd.Help()
			case err != nil:
				return usageError{err}
			case len(words) < 2:
				return usageError{errors.New("name a host and a container: see sextant containers")}
			}
			f.cmd.Args, f.cmd.TTY = words[2:], !f.noTTY && !o.json
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP) // a terminal that is closed ends what runs on it, there too
			defer stop()
			cmd.SetContext(ctx)
			return execCode(withHosts(ctx, *o, words[:1], only("containers"), func(a *app, states []fleet.State) error {
				if len(states) != 1 {
					return usageError{fmt.Errorf("%s names %d hosts: name one", words[0], len(states))}
				}
				return a.exec(cmd, fleet.Target{Hosts: states, Container: words[1], User: f.user}, f.cmd)
			}))
		},
	}
	fl := c.Flags()
	fl.SetInterspersed(false)
	fl.StringVar(&f.user, "user", "", "whose container, where several have one of this name")
	fl.StringVarP(&f.cmd.User, "as", "u", "", "the user in the container: a name or number, with :group")
	fl.StringVarP(&f.cmd.Dir, "workdir", "w", "", "the folder in the container")
	fl.StringArrayVarP(&f.cmd.Env, "env", "e", nil, "NAME=value for the command; again for each")
	fl.BoolVar(&f.noTTY, "no-tty", false, "no terminal, also where this has one")
	return c
}

// leading reads flags that stand among the first n words, and leaves what comes
// after those as it is: flags there are another program's.
func leading(fl *pflag.FlagSet, args []string, n int) (words []string, err error) {
	for len(args) > 0 && len(words) < n {
		words = append(words, args[0])
		if err := fl.Parse(args[1:]); err != nil {
			return nil, err
		}
		if help := fl.Lookup("help"); help != nil && help.Changed {
			return nil, pflag.ErrHelp
		}
		args = fl.Args()
	}
	return append(words, args...), nil
}

// execCode gives the exit code of what could not be run.
func execCode(err error) error {
	var exit exitCode
	if err == nil || errors.As(err, &exit) || errors.As(err, new(usageError)) {
		return err
	}
	code, text := exitNotRun, strings.ToLower(err.Error())
	switch {
	case strings.Contains(text, "executable file"), strings.Contains(text, "command that was not found"):
		code = exitNotFound
	case strings.Contains(text, "oci permission denied"), strings.Contains(text, "exec format error"), strings.Contains(text, ": permission denied: unknown"):
		code = exitNotExecutable
	}
	fmt.Fprintln(os.Stderr, "sextant: "+fleet.InFull(err))
	return exitCode(code)
}

// exec runs a command in a container, on the command's own streams or, for machine
// output, into it.
func (a *app) exec(cmd *cobra.Command, t fleet.Target, c podman.Command) error {
	s, done, err := a.execSession(cmd.Context(), t, c)
	if err != nil {
		return err
	}
	host := t.Hosts[0].Host
	if !a.opts.json {
		s.SetStdin(os.Stdin)
		s.SetStdout(cmd.OutOrStdout())
		s.SetStderr(cmd.ErrOrStderr())
		if err := done(s.Run()); err != nil {
			return err
		}
		return statusCode(s.Status())
	}
	out, errs := &captured{}, &captured{}
	if _, person := link.TerminalOf(os.Stdin); !person {
		s.SetStdin(os.Stdin)
	}
	s.SetStdout(out)
	s.SetStderr(errs)
	err = done(s.Run())
	told := struct {
		Schema    int    `json:"schema"`
		Host      string `json:"host"`
		User      string `json:"user"`
		Container string `json:"container"`
		Exit      *int   `json:"exit,omitempty"`
		Stdout    string `json:"stdout"`
		Stderr    string `json:"stderr"`
		Cut       bool   `json:"cut,omitempty"` // there was more
		Error     string `json:"error,omitempty"`
	}{Schema: 1, Host: host.Name, User: s.User(), Container: t.Container, Stdout: out.b.String(), Stderr: errs.b.String(), Cut: out.cut || errs.cut}
	code := s.Status()
	if err == nil {
		told.Exit = &code
	} else {
		told.Error = fleet.InFull(err)
	}
	if werr := a.opts.write(cmd.OutOrStdout(), told, nil); werr != nil {
		return werr
	}
	if err != nil {
		return err
	}
	return statusCode(code)
}

func statusCode(status int) error {
	if status == 0 {
		return nil
	}
	return exitCode(status)
}

// captured keeps the beginning of an output.
type captured struct {
	b   bytes.Buffer
	cut bool
}

// Write keeps what there is room for, and takes the rest.
func (c *captured) Write(b []byte) (int, error) {
	keep := b[:min(len(b), maxCaptured-c.b.Len())]
	c.cut = c.cut || len(keep) < len(b)
	c.b.Write(keep)
	return len(b), nil
}

// execSession makes a session of a command in a container. done is called with what
// it ended with, writes it down, and gives it.
func (a *app) execSession(ctx context.Context, t fleet.Target, c podman.Command) (s *podman.Session, done func(error) error, err error) {
	host := t.Hosts[0].Host
	if err := a.mayChange(host.Name); err != nil {
		return nil, nil, err
	}
	ct, err := containerOf(t)
	why := offExec(t)
	switch {
	case err != nil && why == err.Error(): // it names the host itself
		return nil, nil, err
	case why != "":
		return nil, nil, errors.New(host.Name + ": " + why)
	}
	d := a.deployer()
	e := fleet.Event{At: time.Now(), Kind: fleet.EventAction, Level: fleet.Info, Text: execTitle(c) + " in container " + ct.Name}
	begun := e
	begun.Text += " begun"
	d.Did(host, begun)
	s = a.readers.of(a.links.Open(host)).Session(ctx, ct.Name, ct.User, c)
	return s, func(err error) error {
		if e.Result = fmt.Sprintf("exit code %d", s.Status()); err != nil {
			e.Level, e.Result = fleet.Error, fleet.InFull(err)
		}
		d.Did(host, e)
		return err
	}, nil
}

// execTitle is what is written down of a command: its name, and none of its
// arguments, in which a secret may stand.
func execTitle(c podman.Command) string {
	if len(c.Args) == 0 {
		return "shell"
	}
	return fleet.Short(fleet.Clean(path.Base(c.Args[0])), 40)
}

// offExec is why nothing can be run in a container now.
func offExec(t fleet.Target) string {
	if why := nixops.Unreachable(t); why != "" {
		return why
	}
	c, err := containerOf(t)
	switch {
	case err != nil && !t.Hosts[0].Containers.Current() && t.Hosts[0].Containers.Err != "":
		return "the containers are not known: " + t.Hosts[0].Containers.Err
	case err != nil:
		return err.Error()
	case c.State == "paused":
		return c.Name + " is paused: unpause it first"
	case !c.Running():
		return c.Name + " does not run"
	}
	return ""
}

// noted is a session whose end is written down.
type noted struct {
	*podman.Session
	done func(error) error
}

// Run runs it.
func (n *noted) Run() error { return n.done(n.Session.Run()) }
