package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/backup"
	"github.com/sextant-fleet/sextant/nixops"
)

// The choices of a restore on the screen.
var (
	choiceWhere  = fleet.Choice{ID: "where", Title: "to", Values: []string{"a new folder on the host", "a new folder here"}}
	choiceFolder = fleet.Choice{
		ID: "folder", Title: "new folder here", Typed: true, Values: []string{""},
		When: func(t fleet.Target) bool { return t.Chose(choiceWhere) == choiceWhere.Values[1] },
	}
)

// restoreAction restores what is chosen in a snapshot.
func (a *app) restoreAction(d *nixops.Deployer) fleet.Action {
	return fleet.Action{
		ID: "backup-restore", Title: "Restore from the backup", Help: "restore the file or folder of a snapshot to a new folder, on the host or here", Scope: fleet.ScopeJob, Danger: true, Single: true,
		Choices: []fleet.Choice{choiceWhere, choiceFolder},
		Disabled: func(t fleet.Target) string {
			if why := offJob(t); why != "" {
				return why
			}
			if t.Snapshot == "" || t.Path == "" {
				return "choose a file or folder in a snapshot first (f on the backup)"
			}
			return ""
		},
		Plan: func(_ context.Context, t fleet.Target) (fleet.Plan, error) {
			p := fleet.Plan{Title: "Restore " + fleet.Clean(t.Path) + " of " + t.Hosts[0].Host.Name, Lines: []string{"as it was in snapshot " + fleet.Short(t.Snapshot, 9)}}
			if here := t.Chose(choiceFolder); choiceFolder.Offered(t) {
				if here == "" {
					return p, errors.New("name the new folder")
				}
				p.Lines = append(p.Lines, "to "+here+" here, which must not be there yet; files are for you alone, links are left out")
				return p, nil
			}
			p.Lines = append(p.Lines, "to a new folder in "+backup.RestoreDir+" on the host; nothing that is there is touched")
			return p, nil
		},
		Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
			here := ""
			if choiceFolder.Offered(t) {
				here = nixops.InHome(t.Chose(choiceFolder))
			}
			out, err := a.restore(ctx, d, t, here, say)
			for _, l := range out.Left {
				say("left out: " + l)
			}
			return err
		},
	}
}

// restore restores what a target names, and writes it down. here is the new folder
// of this machine; "": it is one on the host.
func (a *app) restore(ctx context.Context, d *nixops.Deployer, t fleet.Target, here string, say func(string)) (backup.Restored, error) {
	st, j, err := jobOfTarget(t)
	if err != nil {
		return backup.Restored{}, err
	}
	e := fleet.Event{At: time.Now(), Kind: fleet.EventAction, Level: fleet.Info, Text: "backup " + j.Key() + ": " + fleet.Clean(t.Path) + " restored"}
	last := time.Now()
	progress := func(bytes uint64) {
		if time.Since(last) > time.Second {
			last = time.Now()
			say(size(bytes) + " restored")
		}
	}
	var out backup.Restored
	l := a.links.Open(st.Host)
	if here == "" {
		out, err = backup.RestoreThere(ctx, l, j, t.Snapshot, t.Path, progress)
	} else {
		var to string
		if to, err = filepath.Abs(here); err == nil {
			e.Text += " here"
			out, err = backup.RestoreHere(ctx, l, j, t.Snapshot, t.Path, to, progress)
		}
	}
	return out, a.acted(d, st.Host, e, restored(out), err, say)
}

// restored is what a restore brought, in words.
func restored(r backup.Restored) string {
	return fmt.Sprintf("%s, %s, are in %s", fleet.Count(r.Files, "file"), size(r.Bytes), r.Folder)
}

// restoreTestAction reads a sample of a job's files back.
func (a *app) restoreTestAction(d *nixops.Deployer) fleet.Action {
	return fleet.Action{
		ID: "backup-test", Title: "Test the restore of the backup", Help: "read a sample of files of the newest snapshot back, and compare them with those of the host", Scope: fleet.ScopeJob, Danger: true, Single: true,
		Disabled: offJob,
		Plan: func(_ context.Context, t fleet.Target) (fleet.Plan, error) {
			return fleet.Plan{Title: "Test the restore of " + t.Item + " of " + t.Hosts[0].Host.Name, Lines: []string{
				"20 files at most, 64 MiB together, are read from the repository and compared on the host", "nothing is written but how it ended, in " + backup.TestsDir,
			}}, nil
		},
		Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
			_, err := a.restoreTest(ctx, d, t, 0, say)
			return err
		},
	}
}

// restoreTest does it, and writes it down.
func (a *app) restoreTest(ctx context.Context, d *nixops.Deployer, t fleet.Target, files int, say func(string)) (fleet.RestoreTest, error) {
	st, j, err := jobOfTarget(t)
	if err != nil {
		return fleet.RestoreTest{}, err
	}
	e := fleet.Event{At: time.Now(), Kind: fleet.EventAction, Level: fleet.Info, Text: "backup " + j.Key() + ": restore tested"}
	out, err := backup.Test(ctx, a.links.Open(st.Host), st, j, files, say)
	if err == nil && !out.Well() {
		err = fmt.Errorf("%d of the files did not come back as they were: %s", len(out.Bad), strings.Join(out.Bad, "; "))
	}
	return out, a.acted(d, st.Host, e, tested(out), err, say)
}

// tested is how a restore test ended, in words.
func tested(t fleet.RestoreTest) string {
	return fmt.Sprintf("%s read back, %s: %d the same as on the host, %d changed there since, %d bad", fleet.Count(t.Files, "file"), size(t.Bytes), t.Same, t.Changed, len(t.Bad))
}

// withJob does something with one job of one host.
func withJob(cmd *cobra.Command, o options, args []string, then func(a *app, t fleet.Target, st fleet.State, j fleet.BackupJob) error) error {
	return failed(withHosts(cmd.Context(), o, args[:1], probeOnly, func(a *app, states []fleet.State) error {
		t := fleet.Target{Hosts: states, Item: args[1]}
		if why := nixops.Unreachable(t); why != "" {
			return errors.New(args[0] + ": " + why)
		}
		st, j, err := jobOfTarget(t)
		if err != nil {
			return err
		}
		return then(a, t, st, j)
	}))
}

func backupSnapshotsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "snapshots HOST JOB", Short: "Snapshots of a backup, newest first", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withJob(cmd, *o, args, func(a *app, _ fleet.Target, st fleet.State, j fleet.BackupJob) error {
				list, err := console{a}.Snapshots(cmd.Context(), st.Host.ID, j.Key())
				if err != nil {
					return err
				}
				out := struct {
					Schema    int                    `json:"schema"`
					Host      string                 `json:"host"`
					Job       string                 `json:"job"`
					Snapshots []fleet.BackupSnapshot `json:"snapshots"`
				}{1, st.Host.Name, j.Key(), list}
				return o.write(cmd.OutOrStdout(), out, func(t *table) {
					t.row("SNAPSHOT", "AT", "SIZE", "ADDED", "LABEL", "TAGS", "PATHS")
					for _, s := range list {
						t.row(fleet.Short(s.ID, 9), s.At.Local().Format("2006-01-02 15:04"), sizeOrNot(s.Size), sizeOrNot(s.Added), cmp.Or(s.Label, "-"), cmp.Or(strings.Join(s.Tags, " "), "-"), strings.Join(s.Paths, " "))
					}
				})
			})
		},
	}
}

// snapshotOf finds a snapshot of a job by the beginning of its ID; "" is the newest.
func (a *app) snapshotOf(ctx context.Context, st fleet.State, j fleet.BackupJob, id string) (string, error) {
	list, err := console{a}.Snapshots(ctx, st.Host.ID, j.Key())
	if err != nil {
		return "", err
	}
	var found []string
	for _, s := range list {
		if strings.HasPrefix(s.ID, strings.TrimSuffix(id, "…")) {
			found = append(found, s.ID)
		}
	}
	switch {
	case len(found) == 0:
		return "", fmt.Errorf("%s has no snapshot %s of this job", st.Host.Name, id)
	case len(found) > 1 && id != "":
		return "", usageError{fmt.Errorf("%d snapshots begin with %s", len(found), id)}
	}
	return found[0], nil
}

func backupFilesCommand(o *options) *cobra.Command {
	var snapshot string
	c := &cobra.Command{
		Use: "files HOST JOB [FOLDER]", Short: "What is in a folder of a snapshot", Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withJob(cmd, *o, args, func(a *app, _ fleet.Target, st fleet.State, j fleet.BackupJob) error {
				id, err := a.snapshotOf(cmd.Context(), st, j, snapshot)
				if err != nil {
					return err
				}
				list, err := console{a}.SnapshotFiles(cmd.Context(), st.Host.ID, j.Key(), id, path.Clean("/"+strings.Join(args[2:], "")))
				if err != nil {
					return err
				}
				out := struct {
					Schema int    `json:"schema"`
					Host   string `json:"host"`
					Job    string `json:"job"`
					fleet.FileList
				}{1, st.Host.Name, j.Key(), list}
				return o.write(cmd.OutOrStdout(), out, func(t *table) {
					t.row("MODE", "SIZE", "CHANGED", "NAME")
					for _, f := range list.Files {
						changed := "-"
						if !f.Changed.IsZero() {
							changed = f.Changed.Local().Format("2006-01-02 15:04")
						}
						t.row(f.Mode, sizeOrNot(f.Size), changed, f.Name)
					}
					if list.More {
						t.note("? there is more than is listed")
					}
				})
			})
		},
	}
	c.Flags().StringVar(&snapshot, "snapshot", "", "the ID of the snapshot, or its beginning (default: the newest)")
	return c
}

func backupDiffCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "diff HOST JOB SNAPSHOT SNAPSHOT", Short: "How two snapshots differ", Args: cobra.ExactArgs(4),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withJob(cmd, *o, args, func(a *app, _ fleet.Target, st fleet.State, j fleet.BackupJob) error {
				from, err := a.snapshotOf(cmd.Context(), st, j, args[2])
				if err != nil {
					return err
				}
				to, err := a.snapshotOf(cmd.Context(), st, j, args[3])
				if err != nil {
					return err
				}
				diff, err := console{a}.SnapshotDiff(cmd.Context(), st.Host.ID, j.Key(), from, to)
				if err != nil {
					return err
				}
				out := struct {
					Schema int    `json:"schema"`
					Host   string `json:"host"`
					Job    string `json:"job"`
					fleet.SnapshotDiff
				}{1, st.Host.Name, j.Key(), diff}
				return o.write(cmd.OutOrStdout(), out, func(t *table) {
					t.row("CHANGE", "PATH")
					for _, c := range diff.Changes {
						t.row(c.Sign, c.Path)
					}
					if diff.More {
						t.note("? there is more than is listed")
					}
				})
			})
		},
	}
}

func backupRestoreCommand(o *options) *cobra.Command {
	var snapshot, here string
	var yes bool
	c := &cobra.Command{
		Use: "restore HOST JOB PATH", Short: "Restore a file or folder of a snapshot to a new folder, on the host or here", Args: cobra.ExactArgs(3),
		Long: "Restores one path of a snapshot to a new folder in " + backup.RestoreDir + " on the host, or with --here to a new folder of this machine. " +
			"Nothing that is there is overwritten. Here, files are for their owner alone, and links and devices are left out.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return withJob(cmd, *o, args, func(a *app, t fleet.Target, st fleet.State, j fleet.BackupJob) error {
				id, err := a.snapshotOf(cmd.Context(), st, j, snapshot)
				if err != nil {
					return err
				}
				t.Snapshot, t.Path, t.Chosen = id, path.Clean("/"+args[2]), map[string]string{choiceWhere.ID: choiceWhere.Values[0]}
				if here != "" {
					t.Chosen = map[string]string{choiceWhere.ID: choiceWhere.Values[1], choiceFolder.ID: here}
				}
				d := a.deployer()
				if err := a.agree(cmd, d, "backup-restore", t, yes); err != nil {
					return changeCode(err)
				}
				done, err := a.restore(cmd.Context(), d, t, here, func(l string) { fmt.Fprintln(cmd.ErrOrStderr(), l) })
				out := struct {
					Schema   int    `json:"schema"`
					Host     string `json:"host"`
					Job      string `json:"job"`
					Snapshot string `json:"snapshot"`
					backup.Restored
					Error string `json:"error,omitempty"`
				}{1, st.Host.Name, j.Key(), id, done, ""}
				if err != nil {
					out.Error = fleet.InFull(err)
				}
				werr := o.write(cmd.OutOrStdout(), out, func(t *table) {
					t.note(cmp.Or(out.Error, restored(done)))
					for _, l := range done.Left {
						t.note("left out: " + l)
					}
				})
				return cmp.Or(werr, changeCode(err))
			})
		},
	}
	c.Flags().StringVar(&snapshot, "snapshot", "", "the ID of the snapshot, or its beginning (default: the newest)")
	c.Flags().StringVar(&here, "here", "", "a new folder of this machine, in place of one on the host")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask before it begins")
	return c
}

func backupTestCommand(o *options) *cobra.Command {
	var files int
	var yes bool
	c := &cobra.Command{
		Use: "test HOST JOB", Short: "Read a sample of files of the newest snapshot back, and compare them with the host's", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withJob(cmd, *o, args, func(a *app, t fleet.Target, st fleet.State, j fleet.BackupJob) error {
				d := a.deployer()
				if err := a.agree(cmd, d, "backup-test", t, yes); err != nil {
					return changeCode(err)
				}
				done, err := a.restoreTest(cmd.Context(), d, t, min(max(files, 0), 200), func(l string) { fmt.Fprintln(cmd.ErrOrStderr(), l) })
				out := struct {
					Schema int    `json:"schema"`
					Host   string `json:"host"`
					Job    string `json:"job"`
					fleet.RestoreTest
					Error string `json:"error,omitempty"`
				}{1, st.Host.Name, j.Key(), done, ""}
				if err != nil {
					out.Error = fleet.InFull(err)
				}
				return cmp.Or(o.write(cmd.OutOrStdout(), out, func(t *table) { t.note(cmp.Or(out.Error, tested(done))) }), changeCode(err))
			})
		},
	}
	c.Flags().IntVar(&files, "files", 0, "how many files at most (default 20, up to 200)")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask before it begins")
	return c
}
