package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

func logsCommand(o *options) *cobra.Command {
	var q fleet.LogQuery
	var since, grep string
	c := &cobra.Command{
		Use: "logs HOST NAME", Short: "Log of a container or unit", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			re, err := regexp.Compile(grep)
			if err != nil {
				return usageError{fmt.Errorf("--grep: %w", err)}
			}
			if q.Since, err = sinceTime(since, time.Now()); err != nil {
				return usageError{err}
			}
			return failed(withHosts(cmd.Context(), *o, args[:1], only("containers"), func(a *app, states []fleet.State) error {
				return printLogs(cmd.Context(), cmd.OutOrStdout(), a, states, args[1], q, re)
			}))
		},
	}
	f := c.Flags()
	f.BoolVarP(&q.Follow, "follow", "f", false, "go on as lines come")
	f.StringVar(&since, "since", "", "how far back: 15m, 2h, 3d, or 2006-01-02T15:04:05Z")
	f.IntVarP(&q.Lines, "lines", "n", 0, "at most this many old lines (default 500)")
	f.StringVar(&grep, "grep", "", "only lines that match this regular expression")
	return c
}

// sinceTime reads a span back from now, or a time.
func sinceTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := span(s); err == nil {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("--since %q is neither a span (15m, 2h, 3d) nor a time (2006-01-02T15:04:05Z)", s)
	}
	return t, nil
}

// span reads how long: in days, as nix writes it, or as a duration.
func span(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil && n > 0 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no span of time: 30d, 12h", s)
	}
	return d, nil
}

// printLogs follows the log of one name on one host.
func printLogs(ctx context.Context, w io.Writer, a *app, states []fleet.State, name string, q fleet.LogQuery, re *regexp.Regexp) error {
	if len(states) != 1 {
		return usageError{fmt.Errorf("name one host, not %d", len(states))}
	}
	st := states[0]
	if st.Reach.Err != "" {
		return fmt.Errorf("%s is not reachable: %w", st.Host.Name, st.Reach.Why())
	}
	q.Host = st.Host.ID
	if err := named(st, name, &q); err != nil {
		return err
	}
	stream, err := console{a}.Logs(ctx, q)
	if err != nil {
		return err
	}
	defer stream.Close()
	enc := json.NewEncoder(w)
	for {
		lines, err := stream.Next(ctx)
		for _, l := range lines {
			switch {
			case !re.MatchString(l.Text):
			case a.opts.json:
				err = errors.Join(err, enc.Encode(l))
			default:
				fmt.Fprintf(w, "%s %s: %s\n", l.At.Local().Format("2006-01-02 15:04:05.000"), l.From, l.Text)
			}
		}
		switch {
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
	}
}

// named fills in what a name means on a host: a container, else a unit.
func named(st fleet.State, name string, q *fleet.LogQuery) error {
	var names []string
	for _, c := range st.Containers.Value {
		names = append(names, c.Name)
		if c.Name == name {
			q.Container, q.User = name, c.User
			return nil
		}
	}
	for _, u := range st.Units.Value {
		short := strings.TrimSuffix(u.Name, ".service")
		names = append(names, short)
		if u.Name == name || short == name {
			q.Unit, q.User = u.Name, u.User
			return nil
		}
	}
	if slices.ContainsFunc([]string{".service", ".timer", ".socket", ".mount", ".target", ".path", ".slice"}, func(s string) bool { return strings.HasSuffix(name, s) }) {
		q.Unit = name // one that is not loaded may still have a journal
		return nil
	}
	if near := fleet.Nearest(name, names); near != "" {
		return fmt.Errorf("%s has no container or unit %q; the nearest is %q", st.Host.Name, name, near)
	}
	return fmt.Errorf("%s has no container or unit %q", st.Host.Name, name)
}

func sshCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "ssh HOST [CMD…]", Short: "A shell on a host, over the way Sextant finds to it", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return failed(withHosts(cmd.Context(), *o, args[:1], nothing, func(a *app, states []fleet.State) error {
				if len(states) != 1 {
					return usageError{fmt.Errorf("name one host, not %d", len(states))}
				}
				l := a.links.Open(states[0].Host)
				if len(args) > 1 {
					return runRemote(cmd.Context(), l, args[1:])
				}
				s, err := l.Shell(link.Command{})
				if err != nil {
					return err
				}
				s.SetStdin(os.Stdin)
				s.SetStdout(os.Stdout)
				s.SetStderr(os.Stderr)
				return s.Run()
			}))
		},
	}
}

// runRemote runs one command and ends with its status.
func runRemote(ctx context.Context, l link.Link, args []string) error {
	p, err := l.Start(ctx, link.Command{Args: args})
	if err != nil {
		return err
	}
	defer p.Close()
	if _, err := io.Copy(os.Stdout, p); err != nil {
		return err
	}
	res, err := p.Wait()
	if err != nil {
		return err
	}
	os.Stderr.Write(res.Stderr)
	if res.Status != 0 {
		return exitCode(max(1, res.Status))
	}
	return nil
}
