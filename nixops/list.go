package nixops

import (
	"bytes"
	"context"
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

// Listing is what a host tells of its deploys, newest first.
type Listing struct {
	Deploys []fleet.Deploy
	Running string // store paths
	Default string
	Log     []byte // of the one deploy that was asked for, from the offset asked for on
	LogSize int64  // of the whole log

	nonces map[string]string
	kept   map[string]kept
}

// Deploys reads what is and was under way on a host. Without root nothing can
// be seen, which is an error.
func Deploys(ctx context.Context, l link.Link) ([]fleet.Deploy, error) {
	list, err := list(ctx, l, "", 0)
	return list.Deploys, err
}

// list reads the deploys of a host, or one of them with its log from offset on.
func list(ctx context.Context, l link.Link, id string, offset int64) (Listing, error) {
	args := []string{"list"}
	if id != "" {
		args = append(args, id, strconv.FormatInt(offset, 10))
	}
	out, err := guard(ctx, l, args...)
	if err != nil {
		return Listing{}, err
	}
	got, err := parseListing(out, time.Now())
	if err != nil {
		err = fmt.Errorf("%s: %w", l.Host().Name, err)
	}
	return got, err
}

// theirs are a host's clocks at the time of the answer.
type theirs struct {
	epoch, uptime int64
	boot          string
	here          time.Time // our time
}

// at gives our time of a moment of the host's clock.
func (c theirs) at(epoch string) time.Time {
	sec, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return c.here.Add(time.Duration(sec-c.epoch) * time.Second).Round(time.Second).UTC()
}

// parseListing reads the answer of "guard list": lines of "now", "running",
// "default", then for each deploy "deploy ID" and "field NAME VALUE", then "log
// SIZE" and the log as it is.
func parseListing(out []byte, now time.Time) (Listing, error) {
	l := Listing{nonces: map[string]string{}, kept: map[string]kept{}}
	clock := theirs{here: now}
	var fields map[string]string
	finish := func() {
		if fields != nil {
			l.Deploys = append(l.Deploys, deploy(fields, clock))
			l.nonces[fields["id"]] = fields["nonce"]
			var k kept
			if json.Unmarshal([]byte(fields["request"]), &k) == nil { // an older deploy has none
				l.kept[fields["id"]] = k
			}
		}
	}
	for len(out) > 0 {
		line, rest, _ := bytes.Cut(out, []byte("\n"))
		out = rest
		word, text, _ := strings.Cut(fleet.Clean(string(line)), " ")
		switch word {
		case "now":
			f := strings.Fields(text)
			if len(f) != 3 {
				return l, errors.New("the guard does not tell the time")
			}
			clock.epoch, _ = strconv.ParseInt(f[0], 10, 64)
			clock.uptime, _ = strconv.ParseInt(f[1], 10, 64)
			clock.boot = f[2]
		case "running":
			l.Running = text
		case "default":
			l.Default, _, _ = strings.Cut(text, " ")
		case "deploy":
			finish()
			fields = map[string]string{"id": text}
		case "field":
			if name, value, ok := strings.Cut(text, " "); ok && fields != nil {
				fields[name] = value
			}
		case "log":
			l.LogSize, _ = strconv.ParseInt(text, 10, 64)
			l.Log, out = out, nil
		}
	}
	finish()
	if clock.boot == "" {
		return l, errors.New("the guard's answer broke off")
	}
	slices.SortStableFunc(l.Deploys, func(a, b fleet.Deploy) int { return b.Started.Compare(a.Started) })
	return l, nil
}

// deploy makes sense of what lies on the host of one deploy.
func deploy(f map[string]string, clock theirs) fleet.Deploy {
	state, why, _ := strings.Cut(f["state"], " ")
	d := fleet.Deploy{
		ID: f["id"], Kind: f["kind"], Action: f["action"], State: fleet.DeployState(state), Why: why,
		From: fleet.Toplevel{Path: f["prev"], Generation: generationOf(f["prev-profile"])},
		To:   fleet.Toplevel{Path: f["new"]}, Who: f["who"], Client: f["client"], Revision: f["revision"], Started: clock.at(f["started"]),
	}
	d.To.Generation, _ = strconv.Atoi(f["number"])
	if !d.State.Over() {
		d.Line = fleet.Short(f["line"], 300)
	}
	if last, _, ok := strings.Cut(f["last"], " "); ok {
		d.Changed = clock.at(last)
	}
	if d.State.Over() {
		d.Result = strings.TrimSpace(strings.ToLower(state) + " " + why)
		return d
	}
	if until, err := strconv.ParseInt(f["deadline"], 10, 64); err == nil && d.State == fleet.Awaiting {
		d.Deadline = clock.here.Add(time.Duration(until-clock.uptime) * time.Second).UTC()
	}
	guarded := f["guarded"] != ""
	if f["boot-id"] != clock.boot {
		return restarted(d, guarded)
	}
	if !guarded {
		d.Why = strings.TrimSpace(why + " (its guard is not running: cancel, or the next change of the host, picks it up)")
	}
	return d
}

// restarted is a deploy that was under way when its host went down. The system
// before runs then, for nothing else was the default, but in the middle of a commit.
func restarted(d fleet.Deploy, guarded bool) fleet.Deploy {
	was := d.State.Words()
	d.Deadline = time.Time{}
	if guarded {
		d.State, d.Why = fleet.RollingBack, "the host was restarted while it was "+was+"; what is left is put right"
		return d
	}
	d.Unsettled = true
	d.Why = "the host was restarted while it was " + was + "; what is left is put right by the next change of the host, or by cancel"
	if d.State != fleet.Committing {
		d.State, d.Result = fleet.RolledBack, "rolled back: the host was restarted"
	}
	return d
}

// generationOf reads the number out of a profile link, "system-142-link".
func generationOf(link string) int {
	name := strings.TrimSuffix(strings.TrimPrefix(path.Base(link), "system-"), "-link")
	n, _ := strconv.Atoi(name)
	return n
}
