package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/units"
)

// manyLines is how many old lines a time in place of a number means.
const manyLines = 100_000

// logFlags are how a log is asked for on the command line.
type logFlags struct {
	follow            bool
	lines             int
	since, until      string
	grep, level, user string
	q                 fleet.LogQuery
	worst             int // the least serious level that is shown
}

func logsCommand(o *options) *cobra.Command {
	var lf logFlags
	c := &cobra.Command{
		Use: "logs SEL NAME…", Short: "Logs of containers and units, of several hosts on one clock", Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := lf.read(time.Now()); err != nil {
				return usageError{err}
			}
			return failed(withHosts(cmd.Context(), *o, args[:1], only("containers"), func(a *app, states []fleet.State) error {
				return printLogs(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), a, states, args[1:], lf)
			}))
		},
	}
	f := c.Flags()
	f.BoolVarP(&lf.follow, "follow", "f", false, "go on as lines come")
	f.StringVar(&lf.since, "since", "", "from when on: 15m, 2h, 3d ago, or 2006-01-02T15:04:05Z")
	f.StringVar(&lf.until, "until", "", "up to when, in the same words")
	f.IntVarP(&lf.lines, "lines", "n", 0, "at most this many old lines, the newest (default 500; with --since 100000)")
	f.StringVar(&lf.grep, "grep", "", "search the whole log on the host for a regular expression; capitals count where it has some")
	f.StringVar(&lf.level, "level", "", "of the lines that are read those of this level and worse: err, warning, notice, info, debug")
	f.StringVar(&lf.user, "user", "", "whose containers and units, where not root's")
	return c
}

// read makes the query of what was given.
func (lf *logFlags) read(now time.Time) (err error) {
	lf.q = fleet.LogQuery{Follow: lf.follow, Lines: lf.lines, Grep: lf.grep}
	if lf.q.Since, err = sinceTime("--since", lf.since, now); err != nil {
		return err
	}
	if lf.q.Until, err = sinceTime("--until", lf.until, now); err != nil {
		return err
	}
	if _, err := units.Pattern(lf.grep); err != nil {
		return fmt.Errorf("--grep: %w", err)
	}
	if lf.worst = 7; lf.level != "" {
		var ok bool
		if lf.worst, ok = fleet.LevelNamed(lf.level); !ok {
			return fmt.Errorf("--level %q is none of emerg, alert, crit, err, warning, notice, info, debug", lf.level)
		}
	}
	if lf.lines <= 0 && (!lf.q.Since.IsZero() || lf.level != "") {
		lf.q.Lines = manyLines
	}
	if lf.follow && !lf.q.Until.IsZero() {
		return errors.New("--follow goes on for ever, --until ends: one of them")
	}
	return nil
}

// sinceTime reads a span back from now, or a time.
func sinceTime(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := span(s); err == nil {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("%s %q is neither a span (15m, 2h, 3d) nor a time (2006-01-02T15:04:05Z)", flag, s)
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

// printLogs prints the logs of all hosts that have them. What could not be read
// is told beside; it makes the end 3 where something else could.
func printLogs(ctx context.Context, w, errs io.Writer, a *app, states []fleet.State, names []string, lf logFlags) error {
	var wrong []error
	for _, st := range states {
		for _, name := range names {
			of, err := named(st, name, lf.user)
			if err != nil {
				wrong = append(wrong, err)
				continue
			}
			lf.q.Sources = append(lf.q.Sources, of)
		}
	}
	if len(lf.q.Sources) == 0 {
		return errors.Join(wrong...)
	}
	stream, err := console{a}.Logs(ctx, lf.q)
	if err != nil {
		return err
	}
	defer stream.Close()
	for _, err := range wrong {
		fmt.Fprintln(errs, "sextant:", err)
	}
	out := logWriter{w: w, errs: errs, json: a.opts.json, several: len(lf.q.Sources) > 1, unknown: len(wrong) > 0}
	for {
		lines, err := stream.Next(ctx)
		for _, l := range lines {
			if l.Level > lf.worst && !l.Note {
				continue
			}
			if err := out.line(l); err != nil {
				return err
			}
		}
		switch {
		case (errors.Is(err, io.EOF) || ctx.Err() != nil) && out.unknown:
			return exitCode(3)
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
	}
}

// logWriter writes lines of logs.
type logWriter struct {
	w, errs io.Writer
	json    bool
	several bool // host and source stand in front
	unknown bool // something could not be read
}

func (o *logWriter) line(l fleet.LogLine) error {
	var err error
	switch at := l.At.Local().Format("2006-01-02 15:04:05.000"); {
	case o.json:
		err = newJSON(o.w).Encode(l)
	case l.Note:
		_, err = fmt.Fprintf(o.errs, "sextant: %s %s: %s\n", l.Host, l.Name(), l.Text)
	case o.several:
		_, err = fmt.Fprintf(o.w, "%s %s %s: %s\n", at, l.Host, l.Name(), l.Text)
	default:
		_, err = fmt.Fprintf(o.w, "%s %s: %s\n", at, l.From, l.Text)
	}
	o.unknown = o.unknown || l.Note && l.Level <= 4
	return err
}

// named is what a name means on a host: a container, else a unit.
func named(st fleet.State, name, user string) (fleet.LogSource, error) {
	of := fleet.LogSource{Host: st.Host.ID, User: user}
	if st.Reach.Err != "" {
		return of, fmt.Errorf("%s is not reachable: %w", st.Host.Name, st.Reach.Why())
	}
	names, whose := []string{}, []string{}
	for _, c := range st.Containers.Value {
		names = append(names, c.Name)
		if c.Name == name && (user == "" || c.User == user) {
			whose = append(whose, c.User)
		}
	}
	if len(whose) > 1 {
		return of, fmt.Errorf("%s has a container %s of each of %s: name one with --user", st.Host.Name, name, strings.Join(whose, ", "))
	}
	if len(whose) == 1 {
		of.Container, of.User = name, whose[0]
		return of, nil
	}
	return unitNamed(st, name, of, names)
}

// unitNamed is the unit that a name means, where it means no container.
func unitNamed(st fleet.State, name string, of fleet.LogSource, names []string) (fleet.LogSource, error) {
	for _, u := range st.Units.Value {
		short := strings.TrimSuffix(u.Name, ".service")
		names = append(names, short)
		if (u.Name == name || short == name) && (u.User == of.User || of.User == "root" && u.User == "") {
			of.Unit, of.User = u.Name, u.User
			return of, nil
		}
	}
	for _, u := range st.Units.Value { // where the system has none of that name, a user's own
		if of.User == "" && (u.Name == name || u.Name == name+".service") {
			of.Unit, of.User = u.Name, u.User
			return of, nil
		}
	}
	typed := slices.ContainsFunc([]string{".service", ".timer", ".socket", ".mount", ".target", ".path", ".slice", ".scope"}, func(s string) bool { return strings.HasSuffix(name, s) })
	switch near := fleet.Nearest(name, names); {
	case typed: // one that is not loaded may still have a journal
		of.Unit = name
	case !st.Containers.Current() && !st.Containers.None:
		return of, fmt.Errorf("%s has no unit %q, and its containers are not known: %s", st.Host.Name, name, st.Containers.Err)
	case near != "":
		return of, fmt.Errorf("%s has no container or unit %q; the nearest is %q", st.Host.Name, name, near)
	default:
		return of, fmt.Errorf("%s has no container or unit %q", st.Host.Name, name)
	}
	return of, nil
}

func sshCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use: "ssh HOST [CMD…]", Short: "A shell on a host, over the way Sextant finds to it", Args: cobra.MinimumNArgs(1),
		Long: "With a command: standard input goes to it, its output and its error output come back as they come, and its exit code is Sextant's.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return failed(withHosts(cmd.Context(), *o, args[:1], nothing, func(a *app, states []fleet.State) error {
				if len(states) != 1 {
					return usageError{fmt.Errorf("name one host, not %d", len(states))}
				}
				return a.ssh(cmd.Context(), states[0].Host, args[1:])
			}))
		},
	}
	c.Flags().SetInterspersed(false) // what stands behind the host is the command's own
	return c
}

// ssh gives a shell on a host, or runs a command there.
func (a *app) ssh(ctx context.Context, h fleet.Host, args []string) error {
	if err := a.mayChange(h.Name); err != nil { // whoever has a shell can change anything
		return err
	}
	l := a.links.Open(h)
	if len(args) > 0 {
		return onHost(h.Name, runRemote(ctx, l, link.Command{Args: args, Stdin: os.Stdin, Stderr: os.Stderr}, os.Stdout))
	}
	s, err := l.Shell(link.Command{})
	if err != nil {
		return onHost(h.Name, err)
	}
	s.SetStdin(os.Stdin)
	s.SetStdout(os.Stdout)
	s.SetStderr(os.Stderr)
	return onHost(h.Name, s.Run())
}

// onHost names the host that an error is of; the status of a command is its own.
func onHost(name string, err error) error {
	if err == nil || isExit(err) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// runRemote runs one command, gives its output as it comes, and ends with its status.
func runRemote(ctx context.Context, l link.Link, cmd link.Command, out io.Writer) error {
	p, err := l.Start(ctx, cmd)
	if err != nil {
		return err
	}
	defer p.Close()
	if _, err := io.Copy(out, p); err != nil {
		return err
	}
	res, err := p.Wait()
	if err != nil {
		return err
	}
	if res.Status != 0 {
		return exitCode(max(1, res.Status))
	}
	return nil
}
