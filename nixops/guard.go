package nixops

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

//go:embed guard.sh host.sh contact.sh tell.sh garbage.sh
var programs embed.FS

var (
	guardText   = program("guard.sh")
	garbageText = program("garbage.sh")
)

// program is a shell program in one text: what it reads in from its own folder
// stands in its place.
func program(name string) string {
	text, err := programs.ReadFile(name)
	if err != nil {
		panic(err) // it is built in
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		if file, ok := strings.CutPrefix(line, `. "${0%/*}/`); ok {
			line = program(strings.TrimSuffix(file, "\"\n"))
		}
		b.WriteString(line)
	}
	return b.String()
}

// Exit codes of the guard's commands that mean that nothing was changed.
const (
	codeRefused = 10
	codeBusy    = 11
)

// waysIn are the units by which a host is reached, as the guard has them: patterns.
var waysIn = strings.Fields(quoted(guardText, "\nways='"))

// quoted gives what stands behind a text up to the next single quote.
func quoted(text, behind string) string {
	_, rest, _ := strings.Cut(text, behind)
	list, _, _ := strings.Cut(rest, "'")
	return list
}

// WayIn tells whether a unit is one by which a host is reached.
func WayIn(unit string) bool {
	return slices.ContainsFunc(waysIn, func(pattern string) bool { ok, _ := path.Match(pattern, unit); return ok })
}

// guardLimit is how much one answer of the guard may be.
const guardLimit = 8 << 20

// Refusal is why a host does not do what it was asked; nothing was changed.
type Refusal struct {
	Host string
	Why  string
	Cure string // what to do about it, where that is known
	Busy bool   // another deploy is under way
}

// Error tells it with the host and the cure.
func (r *Refusal) Error() string {
	text := r.Host + " refuses: " + r.Why
	if strings.HasPrefix(r.Why, r.Host+" ") { // told of the host, not by it: it is not reachable
		text = r.Why
	}
	if r.Cure != "" {
		text += "; " + r.Cure
	}
	return text
}

// guard runs one command of the guard as root and gives what it said.
func guard(ctx context.Context, l link.Link, args ...string) ([]byte, error) {
	cmd := link.Script(guardText, args...)
	cmd.Limit = guardLimit
	switch args[0] {
	case "look", "list":
		cmd.IfRoot = true
	default:
		cmd.Root = true
	}
	if args[0] == "stage" {
		cmd.Stdin = strings.NewReader(guardText)
	}
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return nil, err
	}
	if res.Status == 0 {
		return res.Stdout, nil
	}
	return nil, failure(l.Host().Name, fmt.Sprintf("the guard's %q", args[0]), res)
}

// asRoot becomes root on a host. A person may be asked for a password, and takes
// as long as a person takes: the limits that follow are for the host.
func asRoot(ctx context.Context, l link.Link) error {
	reach, err := l.Connect(ctx)
	if err != nil || reach.Root == "root" {
		return err
	}
	_, err = l.Run(ctx, link.Command{Args: []string{"true"}, Root: true})
	return err
}

// failure is why a program of ours did not do what it was asked: its refusal, or
// the last that it said.
func failure(host, program string, res link.Result) error {
	if why, ok := strings.CutPrefix(lastLine(res.Stdout), "refused "); ok {
		r := &Refusal{Host: host, Why: fleet.Short(fleet.Clean(why), 300), Busy: res.Status == codeBusy}
		if r.Busy {
			r.Cure = "wait for its end, or see what it is: sextant deploys " + host
		}
		return r
	}
	return fmt.Errorf("%s: %s ended with %d: %s", host, program, res.Status, lastWords(res.Stderr))
}

func lastLine(b []byte) string {
	b = bytes.TrimSpace(b)
	return string(b[bytes.LastIndexByte(b, '\n')+1:])
}

// request is what a guard is told of a deploy.
type request struct {
	id, nonce   string
	kind        string // "deploy", "rollback"
	action      string // "switch", "boot", "test"
	to          fleet.Toplevel
	run         string // what is activated, where that is a specialisation of To
	limits      Limits
	reboot      bool // allowed as the last step back
	who, client string
	revision    string
	kept        kept
}

// kept is what a deploy has on its host for whoever comes to it later.
type kept struct {
	Checks []string `json:"checks,omitempty"` // of the configuration that it was begun with
	Broken []string `json:"broken,omitempty"` // containers that were broken before
	Unread bool     `json:"unread,omitempty"` // they could not be read before
}

// stage begins a deploy on the host.
func stage(ctx context.Context, l link.Link, r request) error {
	r.limits = r.limits.or()
	seconds := func(d time.Duration) string { return strconv.Itoa(int(max(d, time.Second) / time.Second)) }
	ctx, cancel := r.limits.preflight(ctx)
	defer cancel()
	args := []string{
		"stage", r.id, "kind=" + r.kind, "action=" + r.action, "new=" + r.to.Path, "run=" + r.run, "nonce=" + r.nonce,
		"window=" + seconds(r.limits.Confirm), "activation=" + seconds(r.limits.Activation),
		"commit=" + seconds(r.limits.Commit), "rollback=" + seconds(r.limits.RollBack),
		"who=" + oneLine(r.who), "client=" + oneLine(r.client), "revision=" + oneLine(r.revision),
	}
	if r.to.Generation > 0 {
		args = append(args, "number="+strconv.Itoa(r.to.Generation))
	}
	if r.reboot {
		args = append(args, "reboot=1")
	}
	more, err := json.Marshal(r.kept)
	if err != nil {
		return err
	}
	if len(more) < keptLimit { // else whoever comes later goes by its own
		args = append(args, "request="+string(more))
	}
	out, err := guard(ctx, l, args...)
	if err == nil && lastLine(out) != "staged "+r.id {
		err = fmt.Errorf("%s: the guard did not say that it was staged", l.Host().Name)
	}
	return err
}

// keptLimit is how much a deploy may keep: it is one argument, and one line.
const keptLimit = 32 << 10

// oneLine is a text that fits into one line of a file.
func oneLine(s string) string { return fleet.Short(fleet.Clean(strings.ReplaceAll(s, "\n", " ")), 200) }

// Answer is what a host makes of a confirmation or of a cancellation.
type Answer struct {
	Taken bool              // it counts
	State fleet.DeployState // where it was over before
	Why   string            // that it was answered before, by whom; that it was too late; or how it had ended

	Findings []string // what is worse than before, with which it was confirmed
}

// reply confirms or cancels a deploy.
func reply(ctx context.Context, l link.Link, word, id, nonce, who string) (Answer, error) {
	out, err := guard(ctx, l, word, id, nonce, oneLine(who))
	if err != nil {
		return Answer{}, err
	}
	verb, rest, _ := strings.Cut(lastLine(out), " ")
	rest = fleet.Clean(rest)
	switch verb {
	case "taken", "settling":
		return Answer{Taken: true}, nil
	case "before":
		return Answer{Why: "answered before: " + rest}, nil
	case "late":
		return Answer{Why: "too late: " + rest}, nil
	case "over":
		state, why, _ := strings.Cut(rest, " ")
		return Answer{State: fleet.DeployState(state), Why: why}, nil
	}
	return Answer{}, fmt.Errorf("%s: the guard's answer is not understood: %q", l.Host().Name, fleet.Short(rest, 100))
}

// check tells what is worse on the host than before the deploy began.
func check(ctx context.Context, l link.Link, id string) ([]string, error) {
	out, err := guard(ctx, l, "check", id)
	if err != nil {
		return nil, err
	}
	if lastLine(out) != "checked" {
		return nil, errors.New(l.Host().Name + ": the guard's checks broke off")
	}
	var findings []string
	for line := range strings.Lines(string(out)) {
		kind, unit, _ := strings.Cut(fleet.Clean(strings.TrimSpace(line)), " ")
		switch kind {
		case "failed":
			findings = append(findings, unit+" failed")
		case "restarts":
			findings = append(findings, unit+" fails and is started again")
		case "idle":
			findings = append(findings, unit+" does not run any more")
		}
	}
	return findings, nil
}
