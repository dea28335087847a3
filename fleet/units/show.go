package units

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

//go:embed show.sh
var showScript string

// Show asks systemd for all that it tells of one unit: its properties, its file,
// and what it needs and is broken. user is whose systemd is meant; "" is the
// system's. What its file puts into the environment is hidden, unless secrets says
// that a person asked for it.
func Show(ctx context.Context, l link.Link, unit, user string, secrets bool) (fleet.UnitDetail, error) {
	if !unitName.MatchString(unit) {
		return fleet.UnitDetail{}, fmt.Errorf("%q is not the name of a unit, such as nginx.service", unit)
	}
	mark := newMark()
	cmd := link.Script(showScript, mark, unit, "")
	cmd.IfRoot = true
	if user != "" {
		cmd = link.Script(showScript, mark, unit, "user")
		cmd.User = user
	}
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return fleet.UnitDetail{}, fmt.Errorf("%s on %s: %w", unit, l.Host().Name, err)
	}
	d, err := parseShow(res.Stdout, mark, secrets)
	if err != nil {
		return d, fmt.Errorf("%s on %s: %w", unit, l.Host().Name, err)
	}
	d.Unit.User, d.At, d.Source = user, time.Now().UTC(), "systemctl"
	return d, nil
}

// need is a unit as the walk along the needs of another found it.
type need struct {
	state string
	well  bool // it did not fail, and is not missing where something must have it
	lost  bool // there is no such unit, or it cannot be loaded
	wants [][2]string
}

// parseShow reads what show.sh prints.
func parseShow(out []byte, mark string, secrets bool) (fleet.UnitDetail, error) {
	d := fleet.UnitDetail{Properties: [][2]string{}, Broken: []fleet.Dependency{}, Secrets: secrets}
	needs, whole := map[string]need{}, false
	for _, s := range parts(out, mark) {
		switch s.name {
		case "show":
			d.Properties = propertyList(s.text)
			if list := blocks(s.text); len(list) > 0 {
				p := list[0]
				d.Unit = fleet.Unit{Name: p["Id"], Load: p["LoadState"], Active: p["ActiveState"], Sub: p["SubState"], Description: p["Description"]}
				detail(&d.Unit, p)
			}
		case "file":
			if secrets {
				d.File = plain(string(s.text))
				break
			}
			d.File = hideEnvironment(string(s.text))
			d.Hidden = strings.Count(d.File, fleet.Hidden)
		case "who":
			d.As = fleet.Short(fleet.Clean(strings.TrimSpace(string(s.text))), 64)
		case "needs":
			for _, p := range blocks(s.text) {
				needs[p["Id"]] = needOf(p)
			}
		case "many":
			d.Unseen = append(d.Unseen, "what it needs: there are too many units")
		case "end":
			whole = true
		}
	}
	switch {
	case d.Unit.Name == "" || d.Unit.Active == "":
		return d, errors.New("systemctl does not tell of it")
	case d.Unit.Load == "not-found" && d.File == "" && d.Unit.Active == "inactive":
		return d, errors.New("there is no such unit")
	case !whole:
		d.Unseen = append(d.Unseen, "what it needs: the answer has no end")
	}
	d.Broken = append(d.Broken, broken(d.Unit.Name, needs)...)
	return d, nil
}

// propertyList are the properties that are told, in their order.
func propertyList(text []byte) [][2]string {
	list := [][2]string{}
	for l := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(strings.TrimRight(l, "\n"), "="); ok && v != "" && v != "[not set]" {
			list = append(list, [2]string{fleet.Clean(k), fleet.Clean(v)})
		}
	}
	return list
}

// kinds are the ways in which a unit needs another, the strongest first.
var kinds = []string{"Requires", "BindsTo", "Requisite", "Wants"}

func needOf(p map[string]string) need {
	n := need{state: p["ActiveState"] + " (" + p["SubState"] + ")", well: p["ActiveState"] != "failed", lost: p["LoadState"] != "loaded"}
	if r := p["Result"]; r != "" && r != "success" {
		n.state += ", " + r
	}
	if n.lost {
		n.state = p["LoadState"]
	}
	for _, kind := range kinds {
		for _, name := range strings.Fields(p[kind]) {
			n.wants = append(n.wants, [2]string{kind, name})
		}
	}
	return n
}

// broken walks along what a unit needs, breadth first, and gives what failed, or
// is not there and must be.
func broken(unit string, needs map[string]need) []fleet.Dependency {
	list, seen := []fleet.Dependency{}, map[string]bool{unit: true}
	for todo := [][]string{{unit}}; len(todo) > 0; todo = todo[1:] {
		via := todo[0]
		for _, w := range needs[via[len(via)-1]].wants {
			n, known := needs[w[1]]
			if seen[w[1]] || !known {
				continue
			}
			seen[w[1]] = true
			if !n.well || n.lost && w[0] != "Wants" {
				list = append(list, fleet.Dependency{Name: w[1], Kind: w[0], Via: via, State: n.state})
			}
			if len(via) < 5 {
				todo = append(todo, append(slices.Clone(via), w[1]))
			}
		}
	}
	return list
}

// plain gives a unit's file as it is, line by line.
func plain(text string) string {
	var b strings.Builder
	for l := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		b.WriteString(fleet.Clean(l) + "\n")
	}
	return b.String()
}

// hideEnvironment gives a unit's file with all that it puts into the environment
// hidden, for nobody can tell from outside which of it is a secret, and what looks
// secret in the commands that it runs. Lines that a backslash continues belong
// to the one before.
func hideEnvironment(text string) string {
	var b strings.Builder
	hide := func(line string) string { return line } // of the line before, which goes on
	goes := false
	for l := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		l = fleet.Clean(l)
		name, value, ok := strings.Cut(l, "=")
		key := strings.TrimSpace(name)
		switch {
		case goes && strings.HasPrefix(strings.TrimSpace(l), "#"): // a comment does not end it
			b.WriteString(l + "\n")
			continue
		case goes:
			goes = strings.HasSuffix(l, `\`)
			l = hide(l)
		case ok && (key == "Environment" || key == "SetCredential" || key == "SetCredentialEncrypted"):
			goes, hide = strings.HasSuffix(l, `\`), func(string) string { return "  " + fleet.Hidden }
			l = name + "=" + hideValues(key, value)
		case ok && strings.HasPrefix(key, "Exec"):
			goes, hide = strings.HasSuffix(l, `\`), fleet.HideCommand
			l = name + "=" + fleet.HideCommand(value)
		}
		b.WriteString(l + "\n")
	}
	return b.String()
}

// hideValues keeps the names of variables, which tell what a unit reads.
func hideValues(key, value string) string {
	value = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), `\`))
	sep := "="
	if key != "Environment" {
		sep = ":"
	}
	if value == "" {
		return ""
	}
	name, _, ok := strings.Cut(strings.TrimLeft(value, `"'`), sep)
	if !ok || strings.ContainsAny(name, " \t") {
		return fleet.Hidden
	}
	return name + sep + fleet.Hidden
}
