package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Work is what can be done for a job on its host.
type Work string

// Kinds of work.
const (
	Run   Work = "run"
	Check Work = "check"
	Prune Work = "prune"
)

// Ready is how a job stands for being worked on.
type Ready struct {
	Way   string   // by what its tool is asked: "wrapper" or "unit"; "": there is no way
	Check string   // the unit of its own that checks its repository; "": there is none
	Prune string   // and that prunes it
	Busy  []string // what stands against it: units that are at work, with their state
	Split bool     // its repository has a cold part, of which nothing is to be read
}

// atWork is the part of a shell program that tells which of the units of a job,
// and of others with its repository, are at work.
const atWork = `
export LC_ALL=C SYSTEMD_COLORS=0
base=${unit%.service}
busy() {
	for u in "$unit" "$base-check.service" "$base-prune.service" "$tool-check-$name.service" "$tool-prune.service" \
		"sextant-check-$tool-$name.service" "sextant-prune-$tool-$name.service" "$@"; do
		state=$(systemctl show -p ActiveState --value -- "$u")/$(systemctl show -p SubState --value -- "$u")
		case $state in
		*/exited | */auto-restart*) ;;
		activating/* | active/* | reloading/* | deactivating/*) echo "busy $u (${state%/*})" ;;
		esac
	done
}
own() { # WORK: the unit that does it
	for u in "$base-$1.service" "$tool-$1-$name.service"; do
		if [ "$(systemctl show -p LoadState --value -- "$u")" = loaded ]; then echo "$u" && return; fi
	done
}
`

// readyScript tells how a job stands: $1 is its tool, $2 its name, $3 its unit; the
// others are units with the same repository.
const readyScript = `# How a backup stands for being worked on.
tool=$1 name=$2 unit=$3
shift 3` + atWork + `
busy "$@"
echo "check $(own check)"
echo "prune $(own prune)"
wrapper=$tool-$name
[ "$tool" != borg ] || wrapper=borg-job-$name
if command -v "$wrapper" >/dev/null; then echo way wrapper
elif command -v systemd-run >/dev/null; then echo way unit; fi
! grep -qs '^[[:space:]]*repo-hot' "/etc/rustic/$name.toml" || echo split
`

// beginScript begins work by a unit that is there, and does not wait: $1 to $3 as
// in readyScript, $4 is the unit.
const beginScript = `# Begins a unit of a backup.
tool=$1 name=$2 unit=$3 does=$4
shift 4` + atWork + `
at=$(busy "$@")
if [ "$at" ]; then echo "$at"; exit 0; fi
told() { systemctl show -p "$1" --value -- "$does"; }
echo "since $(date +%s)"
before=$(told ConditionTimestampMonotonic)
echo "was $(told InvocationID)"
systemctl start --no-block --no-ask-password -- "$does" || exit
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	[ "$(told ConditionTimestampMonotonic)" = "$before" ] || break
	sleep 0.25
done
if [ "$(told ConditionTimestampMonotonic)" = "$before" ]; then
	echo queued
elif [ "$(told ConditionResult)" = no ]; then
	echo "skipped $(journalctl -q --no-pager -n 1 -o cat "UNIT=$does" MESSAGE_ID=` + msgStarted + ` 2>/dev/null)"
fi
echo begun
`

// Prepare tells how a job stands for being worked on; others are units that save
// into the same repository.
func Prepare(ctx context.Context, l link.Link, j fleet.BackupJob, others []string) (Ready, error) {
	if err := workable(j); err != nil {
		return Ready{}, err
	}
	cmd := link.Script(readyScript, append([]string{j.Tool, j.Name, j.Unit}, others...)...)
	cmd.Root = true
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return Ready{}, err
	}
	var r Ready
	for line := range strings.Lines(string(res.Stdout)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(fleet.Clean(line)), " ")
		switch word {
		case "busy":
			r.Busy = append(r.Busy, fleet.Short(rest, 200))
		case "check":
			r.Check = rest
		case "prune":
			r.Prune = rest
		case "way":
			r.Way = rest
		case "split":
			r.Split = true
		}
	}
	return r, nil
}

// Workable is why nothing can be done for a job; "" it can.
func Workable(j fleet.BackupJob) string {
	if err := workable(j); err != nil {
		return err.Error()
	}
	return ""
}

func workable(j fleet.BackupJob) error {
	switch {
	case j.Tool == "borg":
		return errors.New("borg is only read: run it by its unit (tab 4)")
	case j.Tool != "restic" && j.Tool != "rustic":
		return fmt.Errorf("%s plans and runs its backups itself; Sextant acts on jobs of restic and rustic", j.Tool)
	case j.Unit == "":
		return errors.New("no unit of the host runs it")
	}
	return nil
}

// Order is what is to be done for a job.
type Order struct {
	Work   Work
	Data   string   // of a check: how much of the data is read, as the tool takes it: "5%", "all"; "": none
	Others []string // units that save into the same repository
}

// Unit is the unit that does it, as r tells of the job.
func (o Order) Unit(j fleet.BackupJob, r Ready) string {
	switch {
	case o.Work == Run:
		return j.Unit
	case o.Work == Check && r.Check != "" && o.Data == "":
		return r.Check
	case o.Work == Prune && r.Prune != "":
		return r.Prune
	}
	return "sextant-" + string(o.Work) + "-" + j.Tool + "-" + j.Name + ".service"
}

// args are those of the tool, where no unit of the host does it.
func (o Order) args(tool string) []string {
	args := []string{string(o.Work)}
	switch {
	case o.Work != Check || o.Data == "":
	case tool == "restic" && o.Data == "all":
		args = append(args, "--read-data")
	case tool == "restic":
		args = append(args, "--read-data-subset="+o.Data)
	default: // the subset of rustic needs the other
		args = append(args, "--read-data")
		if o.Data != "all" {
			args = append(args, "--read-data-subset", o.Data)
		}
	}
	return args
}

// ErrBusy is why nothing was begun: something of the job, or of another with its
// repository, is at work.
var ErrBusy = errors.New("it is at work already")

// Begun is work that goes on by itself on the host.
type Begun struct {
	Unit   string
	Queued bool // systemd has not begun it yet: it waits for something else

	host   string
	tool   string
	own    bool   // it is a unit of the host, not one of ours
	was    string // the invocation of the unit before
	ran    bool   // it was seen to run since
	since  int64  // by the host's clock
	cursor string
	status int // as our own unit said at its end; -1: it did not
	last   []string
}

// Begin begins work, and does not wait for its end. The host does it by itself from
// then on.
func Begin(ctx context.Context, l link.Link, j fleet.BackupJob, o Order) (*Begun, error) {
	r, err := Prepare(ctx, l, j, o.Others)
	if err != nil {
		return nil, err
	}
	if len(r.Busy) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrBusy, strings.Join(r.Busy, ", "))
	}
	b := &Begun{Unit: o.Unit(j, r), host: l.Host().Name, tool: j.Tool, status: -1}
	b.own = !strings.HasPrefix(b.Unit, "sextant-")
	switch {
	case b.own:
		return b, b.begin(ctx, l, j, o)
	case r.Way == "":
		return nil, errors.New("there is no way to ask its tool: no wrapper " + j.Tool + "-" + j.Name + ", and no systemd-run")
	case o.Data != "" && r.Split:
		return nil, errors.New("its repository has a cold part: reading the data there costs money and hours; check its structure only")
	}
	res, err := l.Run(ctx, link.Command{Args: []string{"date", "+%s"}})
	if err != nil {
		return nil, err
	}
	b.since, _ = strconv.ParseInt(strings.TrimSpace(string(res.Stdout)), 10, 64)
	res, err = l.Run(ctx, asked{args: o.args(j.Tool), as: b.Unit}.command(j))
	if err == nil && res.Status != 0 {
		err = fmt.Errorf("systemd-run ended with status %d: %s", res.Status, complaint(res.Stderr))
	}
	return b, err
}

// begin starts a unit of the host.
func (b *Begun) begin(ctx context.Context, l link.Link, j fleet.BackupJob, o Order) error {
	cmd := link.Script(beginScript, append([]string{j.Tool, j.Name, j.Unit, b.Unit}, o.Others...)...)
	cmd.Root = true
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return err
	}
	begun := false
	for line := range strings.Lines(string(res.Stdout)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(fleet.Clean(line)), " ")
		switch word {
		case "busy":
			return fmt.Errorf("%w: %s", ErrBusy, fleet.Short(rest, 200))
		case "since":
			b.since, _ = strconv.ParseInt(rest, 10, 64)
		case "skipped":
			return fmt.Errorf("%s did not run: systemd skipped it: %s", b.Unit, condition(rest))
		case "was":
			b.was = rest
		case "queued":
			b.Queued = true
		case "begun":
			begun = true
		}
	}
	if !begun {
		return fmt.Errorf("%s was not started: %s", b.Unit, complaint(res.Stderr))
	}
	return nil
}

// lookScript tells how a unit does and what it has said: $1 is the unit, $2 the
// cursor behind which the journal is read, $3 the time where there is none yet.
const lookScript = `# How a unit of a backup does, and what it says.
unit=$1 cursor=$2
export LC_ALL=C TZ=UTC SYSTEMD_COLORS=0 SYSTEMD_PAGER=
systemctl show -p LoadState -p ActiveState -p SubState -p Result -p ExecMainStatus -p InvocationID -p Job -- "$unit"
[ "$4" != last ] || sleep 0.5
if [ "$cursor" ]; then set -- --after-cursor="$cursor"; else set -- --since="@$3"; fi
timeout 20 journalctl -q --no-pager -n 500 -o json --output-fields=MESSAGE,PRIORITY,_SYSTEMD_INVOCATION_ID "$@" "_SYSTEMD_UNIT=$unit" 2>/dev/null
exit 0
`

// everyLook is how often a unit at work is looked at.
const everyLook = time.Second

// Follow waits until the work has ended, and hands on what it says; what stands
// in its way is said as its error. Work goes on where the wait is ended.
func (b *Begun) Follow(ctx context.Context, l link.Link, say func(line string)) error {
	for {
		over, err := b.look(ctx, l, say, false)
		if err == nil && over != nil { // what it said last may be on its way
			over, err = b.look(ctx, l, say, true)
			if err == nil && over != nil {
				return b.ended(over)
			}
		}
		if err != nil {
			return fleet.WithCure(fmt.Errorf("%s goes on on %s; its end was not seen: %w", b.Unit, b.host, err), "follow it with sextant logs "+b.host+" "+b.Unit+" -f")
		}
		select {
		case <-ctx.Done():
			return fleet.WithCure(fmt.Errorf("%s goes on on %s; its end was not waited for", b.Unit, b.host), "follow it with sextant logs "+b.host+" "+b.Unit+" -f")
		case <-time.After(everyLook):
		}
	}
}

// look reads on; it gives the properties of the unit where it has ended.
func (b *Begun) look(ctx context.Context, l link.Link, say func(string), last bool) (map[string]string, error) {
	when := ""
	if last {
		when = "last"
	}
	cmd := link.Script(lookScript, b.Unit, b.cursor, strconv.FormatInt(b.since, 10), when)
	cmd.Root = true
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return nil, err
	}
	props := map[string]string{}
	for line := range bytes.Lines(res.Stdout) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] == '{' {
			b.hear(line, say)
			continue
		}
		name, value, _ := strings.Cut(fleet.Clean(string(line)), "=")
		props[name] = value
	}
	b.ran = b.ran || props["InvocationID"] != "" && props["InvocationID"] != b.was
	if props["ActiveState"] == "" {
		return nil, errors.New("systemctl told nothing: " + complaint(res.Stderr))
	}
	atWork := props["Job"] != "" && props["Job"] != "0" || slices.Contains([]string{"activating", "active", "reloading", "deactivating"}, props["ActiveState"]) &&
		props["SubState"] != "exited" && !strings.HasPrefix(props["SubState"], "auto-restart")
	if atWork {
		return nil, nil //nolint:nilnil // it goes on
	}
	return props, nil
}

// keptLines are the last lines of a unit that are kept to tell what went wrong.
const keptLines = 50

// hear takes in a line of the journal.
func (b *Begun) hear(line []byte, say func(string)) {
	e, ok := parseEntry(line)
	if !ok {
		return
	}
	var at struct {
		Cursor string `json:"__CURSOR"`
	}
	if json.Unmarshal(line, &at) == nil && at.Cursor != "" {
		b.cursor = at.Cursor
	}
	if code, ok := strings.CutPrefix(e.text, marker); ok && !b.own {
		if n, err := strconv.Atoi(code); err == nil {
			b.status = n
		}
		return
	}
	for part := range strings.SplitSeq(e.text, "\n") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		b.last = append(b.last[max(0, len(b.last)-keptLines+1):], part)
		say(safe(part))
	}
}

// safe is a line of a program without the password that a URL in it may hold.
func safe(line string) string {
	return fleet.Short(login.ReplaceAllString(line, "://…@"), 1000)
}

// ended judges the end of the work by what the host tells of it.
func (b *Begun) ended(props map[string]string) error {
	line := complaint([]byte(strings.Join(b.last, "\n")))
	if !b.own {
		switch {
		case b.status == 0:
			return nil
		case b.status > 0:
			return fmt.Errorf("%s: %s", reason(b.tool, "exit-code", b.status), line)
		}
		return errors.New(b.Unit + " has ended, and how is not known: its journal does not tell")
	}
	status, _ := strconv.Atoi(props["ExecMainStatus"])
	switch {
	case props["ActiveState"] == "failed" || props["Result"] != "success":
		return fmt.Errorf("%s: %s", reason(b.tool, props["Result"], status), line)
	case b.Queued && !b.ran:
		return errors.New(b.Unit + " was not seen to run: its start is over, and it is as before; something that it needs may have failed, or it counts as running already")
	case status != 0:
		return fmt.Errorf("%s ended with status %d, which it calls well: %s", b.Unit, status, line)
	}
	return nil
}
