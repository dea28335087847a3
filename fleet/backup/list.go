package backup

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sextant-fleet/sextant/fleet/link"
)

// Ends of throughScript that are not the program's.
const (
	exitLate  = 124
	exitKill  = 137
	exitNoWay = 125
)

// Reasons why snapshots are not known, that say something about the job too.
var (
	errNoWay  = errors.New("there is no way to ask for its snapshots")
	errNoRepo = errors.New("the repository does not exist")
)

// canList tells whether the snapshots of a job can be asked for.
func canList(e evidence) bool {
	return (e.Tool == "restic" || e.Tool == "rustic" || e.Tool == "borg" && e.Unit != "borgmatic.service") && e.Unit != "" && !e.daemon
}

// list asks the repository of a job for its snapshots, as root.
func list(ctx context.Context, l link.Link, e evidence) ([]Snapshot, error) {
	res, err := ask(ctx, l, e.BackupJob, asked{args: listArgs(e.Tool), bytes: 64 << 20})
	if err != nil {
		return nil, err
	}
	switch e.Tool {
	case "rustic":
		return ParseRustic(res.Stdout)
	case "borg":
		return ParseBorg(res.Stdout, e.Name)
	}
	return ParseRestic(res.Stdout)
}

// listArgs are the arguments that list all snapshots as JSON.
func listArgs(tool string) []string {
	switch tool {
	case "rustic":
		return []string{"snapshots", "--json", "--group-by", "host,label,paths"}
	case "borg":
		return []string{"list", "--json", "--bypass-lock"}
	}
	return []string{"snapshots", "--json", "--no-lock"}
}

// errLate says that a repository did not answer in time.
var errLate = fmt.Errorf("no answer within %d s", int(perSource.Seconds()))

// ended gives the reason why a listing ended badly.
func ended(tool string, res link.Result) error {
	text := complaint(res.Stderr)
	switch {
	case res.Status == 0:
		return nil
	case res.Status == exitLate, res.Status == exitKill:
		return errLate
	case res.Status == exitNoWay:
		return errNoWay
	case tool == "restic" && res.Status == 10, noRepository(text):
		return fmt.Errorf("%w: %s", errNoRepo, text)
	case text == "":
		return errors.New(reason(tool, "exit-code", res.Status))
	}
	return fmt.Errorf("%s: %s", reason(tool, "exit-code", res.Status), text)
}

// noRepository tells by the words, where the exit code does not: restic before
// 0.17, and rustic.
func noRepository(text string) bool {
	for _, words := range []string{"No repository config file found", "repository does not exist", "Is there a repository at"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return strings.Contains(text, "unable to open config file") && strings.Contains(text, "no such file")
}
