package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
	"github.com/sextant-fleet/sextant/podman"
)

func socketCommand(o *options) *cobra.Command {
	var user string
	var docker bool
	c := &cobra.Command{
		Use: "socket HOST", Short: "A local socket that is the host's Podman, for podman --url, docker -H, lazydocker", Args: cobra.ExactArgs(1),
		Long: "Hands a socket of this machine on to the Podman (or Docker) of a host, over the one SSH connection, until Ctrl-C. " +
			"It is in $XDG_RUNTIME_DIR/sextant/HOST, where only you may enter.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return failed(withHosts(cmd.Context(), *o, args, only("containers"), func(a *app, states []fleet.State) error {
				if len(states) != 1 {
					return usageError{fmt.Errorf("%s names %d hosts: name one", args[0], len(states))}
				}
				kind := ""
				if docker {
					kind = "docker"
				}
				return a.serveSocket(cmd, states[0], kind, user)
			}))
		},
	}
	c.Flags().StringVar(&user, "user", "", "whose Podman: root's where nothing is said")
	c.Flags().BoolVar(&docker, "docker", false, "the host's Docker, where it has Podman too")
	return c
}

// serveSocket hands a local socket on to an engine of the host until the command ends.
func (a *app) serveSocket(cmd *cobra.Command, st fleet.State, kind, user string) error {
	if a.readOnly() {
		return &nixops.Refusal{Host: st.Host.Name, Why: errReadOnly.Error(), Cure: "whoever has the socket can change anything in it"}
	}
	if err := cmp.Or(st.Reach.Why(), st.Containers.Why()); err != nil && !st.Containers.HasValue() {
		return fmt.Errorf("the containers of %s: %w", st.Host.Name, err)
	}
	f, err := a.readers.of(a.links.Open(st.Host)).Forward(kind, user)
	if err != nil {
		return err
	}
	conn, err := f.Dial(cmd.Context()) // that it does not work is said now, and not to the first who connects
	if err != nil {
		return err
	}
	conn.Close()
	dir, note, err := socketDir(st.Host.Name)
	if err != nil {
		return err
	}
	name := f.Kind()
	if f.User() != "root" {
		name += "-" + fileName(f.User())
	}
	s, err := listenAt(dir, name+".sock")
	if err != nil {
		return err
	}
	defer s.Remove()
	if note != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "sextant: "+note)
	}
	if err := a.opts.socketOpen(cmd.OutOrStdout(), st.Host, f, s.path); err != nil {
		return err
	}
	a.deployer().Did(st.Host, fleet.Event{At: time.Now(), Kind: fleet.EventAction, Level: fleet.Info, Text: "a local socket of " + f.User() + "'s " + f.Kind() + " opened", Result: s.path})
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP) // a terminal that is closed must not leave the socket there
	defer stop()
	return serve(ctx, f, s, cmd.ErrOrStderr())
}

// serve hands connections on, and says on w why some could not be.
func serve(ctx context.Context, f *podman.Forward, s *localSocket, w io.Writer) error {
	var mu sync.Mutex
	last := ""
	return f.Serve(ctx, s, func(line string) {
		mu.Lock()
		defer mu.Unlock()
		if line != last { // a tool that tries every second would fill the terminal
			fmt.Fprintln(w, "sextant: "+fleet.Clean(line))
		}
		last = line
	})
}

// socketOpen says where the socket is and how it is used.
func (o options) socketOpen(w io.Writer, h fleet.Host, f *podman.Forward, path string) error {
	out := struct {
		Schema int    `json:"schema"`
		Host   string `json:"host"`
		User   string `json:"user"`
		Engine string `json:"engine"`
		Path   string `json:"path"`
		URL    string `json:"url"`
	}{1, h.Name, f.User(), f.Engine(), path, "unix://" + path}
	return o.write(w, out, func(t *table) {
		t.note(out.Path + " is " + out.User + "'s " + out.Engine + " on " + out.Host + " until Ctrl-C:")
		if f.Kind() == "podman" {
			t.note("  podman --url " + out.URL + " ps")
		}
		t.note("  docker -H " + out.URL + " ps")
		t.note("  DOCKER_HOST=" + out.URL + " lazydocker")
	})
}
