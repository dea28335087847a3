package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/services"
	"github.com/sextant-fleet/sextant/nixops"
)

// Choices of what is done with a DNS server, and what is done where nothing is chosen.
const (
	idPause, standardPause = "for", "5m"
	idLists                = "groups"
	idName                 = "name"
	idType, standardType   = "type", "A"
)

var (
	choicePause = fleet.Choice{ID: idPause, Title: "for", Typed: true, Values: []string{standardPause}, Help: "how long nothing is blocked: 30s, 5m, 1h30m", Wrong: wrongPause}
	choiceLists = fleet.Choice{ID: idLists, Title: "groups", Typed: true, Optional: true, Values: []string{""}, Hint: "all", Help: "groups of lists with commas between them", Wrong: wrongGroups}
	choiceName  = fleet.Choice{ID: idName, Title: "name", Typed: true, Values: []string{""}, Help: "the name that the server is asked for", Wrong: wrongName}
	choiceType  = fleet.Choice{ID: idType, Title: "type", Typed: true, Values: []string{standardType}, Help: "A, AAAA, MX, TXT, …", Wrong: wrongName}
)

// maxPause is how long a pause may be: longer ones are forgotten.
const maxPause = 7 * 24 * time.Hour

func pauseLength(t fleet.Target) (time.Duration, error) {
	text := cmp.Or(t.Chosen[idPause], standardPause)
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("for %s: no length of time: 30s, 5m, 1h30m", fleet.Short(fleet.Clean(text), 40))
	case d < time.Second || d > maxPause:
		return 0, fmt.Errorf("for %s: a pause has 1 second to 7 days", d)
	}
	return d, nil
}

func wrongPause(t fleet.Target) string {
	if _, err := pauseLength(t); err != nil {
		return err.Error()
	}
	return ""
}

// groupName is what a group of lists may be called here: Blocky divides them at commas.
var groupName = regexp.MustCompile(`^[^\s,;&]{1,100}$`)

// pausedGroups are those that were named; none: all are meant. What is between commas
// may be empty, which is wrong.
func pausedGroups(t fleet.Target) (list []string) {
	if t.Chosen[idLists] == "" {
		return nil
	}
	for g := range strings.SplitSeq(t.Chosen[idLists], ",") {
		list = append(list, strings.TrimSpace(g))
	}
	return list
}

func wrongGroups(t fleet.Target) string {
	for _, g := range pausedGroups(t) {
		switch {
		case g == "":
			return "groups: one has no name"
		case !groupName.MatchString(g):
			return "groups: " + fleet.Short(fleet.Clean(g), 40) + " cannot be one"
		}
	}
	return ""
}

func wrongName(t fleet.Target) string {
	name, kind := question(t)
	if name == "" {
		return "" // it is said by the choice itself
	}
	return services.WrongQuestion(name, kind)
}

// question is the name that is asked for, and of what type.
func question(t fleet.Target) (name, kind string) {
	return strings.TrimSpace(t.Chosen[idName]), strings.ToUpper(cmp.Or(t.Chosen[idType], standardType))
}

// dnsOf is the DNS server that a target means: the one it names, or the only one of its
// host that is meant to be asked. What was only remembered, or could not be read anew, is
// not acted on: at its address something else may answer by now.
func dnsOf(t fleet.Target) (fleet.State, fleet.DNSServer, error) {
	if len(t.Hosts) != 1 {
		return fleet.State{}, fleet.DNSServer{}, fmt.Errorf("%d hosts are meant; this is for one", len(t.Hosts))
	}
	st := t.Hosts[0]
	refuse := func(why, cure string) (fleet.State, fleet.DNSServer, error) {
		return st, fleet.DNSServer{}, &nixops.Refusal{Host: st.Host.Name, Why: why, Cure: cure}
	}
	see := "see sextant dns " + st.Host.Name
	if !st.DNS.Current() {
		why := "its DNS servers were not read now: "
		if st.DNS.None {
			why = ""
		}
		return refuse(why+cmp.Or(st.DNS.Err, "not asked yet"), cmp.Or(st.DNS.Cure, see))
	}
	switch list := st.DNSServersOf(t.DNS); {
	case len(list) == 1:
		return st, list[0], nil
	case len(list) > 1:
		return refuse("it has several DNS servers", "say which is meant: --server "+list[0].Key()+", or --server "+list[1].Key())
	case t.DNS != "":
		return refuse("no DNS server "+t.DNS+" there", see)
	}
	return refuse("no DNS server is known there", see)
}

// offDNS is why nothing can be done with a DNS server now.
func offDNS(t fleet.Target) string {
	if why := nixops.Unreachable(t); why != "" {
		return why
	}
	_, d, err := dnsOf(t)
	switch {
	case err != nil:
		return err.Error()
	case d.Err != "":
		return d.Err
	}
	return ""
}

// dnsChange is something that is done with a DNS server: it says what came of it.
type dnsChange func(ctx context.Context, l link.Link, d fleet.DNSServer, t fleet.Target, say func(string)) (string, error)

// dnsActions are what can be done with a DNS server.
func (a *app) dnsActions(d *nixops.Deployer) []fleet.Action {
	run := func(past string, do dnsChange) func(context.Context, fleet.Target, func(string)) error {
		return func(ctx context.Context, t fleet.Target, say func(string)) error {
			st, server, err := dnsOf(t)
			if err != nil {
				return err
			}
			e := fleet.Event{At: time.Now(), Kind: fleet.EventAction, Level: fleet.Info, Text: server.Key() + " " + past}
			said, err := do(ctx, a.links.Open(st.Host), server, t, say)
			return a.acted(d, st.Host, e, said, err, say)
		}
	}
	return []fleet.Action{
		{
			ID: "dns-pause", Title: "Pause blocking", Help: "nothing on the lists is blocked for a time; blocking comes back by itself", Keys: []string{"p"}, Scope: fleet.ScopeDNS, Danger: true,
			Choices: []fleet.Choice{choicePause, choiceLists}, Disabled: offDNS, Plan: planPause, Run: run("paused", pauseDNS),
		},
		{
			ID: "dns-resume", Title: "Resume blocking", Help: "what is on the lists is blocked again, now", Keys: []string{"u"}, Scope: fleet.ScopeDNS, Danger: true,
			Disabled: offDNS, Plan: planDNS("Resume blocking of %s on %s", "what is on its lists is blocked again, of all groups"), Run: run("resumed", resumeDNS),
		},
		{
			ID: "dns-refresh", Title: "Refresh the lists", Help: "read all lists of the server anew; may take minutes", Scope: fleet.ScopeDNS, Danger: true,
			Disabled: offDNS, Plan: planDNS("Refresh the lists of %s on %s", "it downloads all its lists; names are answered meanwhile",
				"to stop waiting for it may stop it"), Run: run("refreshed its lists", refreshDNS),
		},
		{
			ID: "dns-ask", Title: "Ask for a name", Help: "what the server answers for a name, and why: is it blocked, and by which list", Keys: []string{"a"}, Scope: fleet.ScopeDNS,
			Choices: []fleet.Choice{choiceName, choiceType}, Disabled: offDNS,
			Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
				answer, err := a.askName(ctx, t)
				if err == nil {
					say(answer.Line())
				}
				return err
			},
		},
	}
}

func planPause(_ context.Context, t fleet.Target) (fleet.Plan, error) {
	st, d, err := dnsOf(t)
	if err != nil {
		return fleet.Plan{}, err
	}
	length, err := pauseLength(t)
	if why := wrongGroups(t); err == nil && why != "" {
		err = errors.New(why)
	}
	p := fleet.Plan{Title: fmt.Sprintf("Pause blocking of %s on %s", d.Name(), st.Host.Name)}
	if groups := pausedGroups(t); len(groups) > 0 {
		p.Lines = []string{fmt.Sprintf("nothing of %s is blocked for %s, for everybody who asks it", strings.Join(groups, ", "), fleet.Length(length))}
	} else {
		p.Lines = []string{fmt.Sprintf("nothing is blocked for %s, for everybody who asks it", fleet.Length(length))}
	}
	p.Lines = append(p.Lines, "then it blocks again by itself")
	if b := d.Blocking; b != nil && !b.Enabled {
		p.Lines = append(p.Lines, "it is "+b.Word(time.Now())+" already: that is replaced, it is not added to")
	}
	return p, err
}

// planDNS is a plan of which title and lines are always the same.
func planDNS(title string, lines ...string) func(context.Context, fleet.Target) (fleet.Plan, error) {
	return func(_ context.Context, t fleet.Target) (fleet.Plan, error) {
		st, d, err := dnsOf(t)
		return fleet.Plan{Title: fmt.Sprintf(title, d.Name(), st.Host.Name), Lines: lines}, err
	}
}

func pauseDNS(ctx context.Context, l link.Link, d fleet.DNSServer, t fleet.Target, _ func(string)) (string, error) {
	length, err := pauseLength(t)
	if err != nil {
		return "", err
	}
	if why := wrongGroups(t); why != "" {
		return "", errors.New(why)
	}
	b, err := services.PauseBlocking(ctx, l, d, length, pausedGroups(t))
	return d.Name() + ": " + b.Word(time.Now()), err
}

func resumeDNS(ctx context.Context, l link.Link, d fleet.DNSServer, _ fleet.Target, _ func(string)) (string, error) {
	b, err := services.ResumeBlocking(ctx, l, d)
	return d.Name() + ": " + b.Word(time.Now()), err
}

// askName asks a DNS server for a name. It changes nothing, and is not written down.
func (a *app) askName(ctx context.Context, t fleet.Target) (fleet.DNSAnswer, error) {
	st, d, err := dnsOf(t)
	if err != nil {
		return fleet.DNSAnswer{}, err
	}
	name, kind := question(t)
	return services.AskName(ctx, a.links.Open(st.Host), d, name, kind)
}

func refreshDNS(ctx context.Context, l link.Link, d fleet.DNSServer, _ fleet.Target, say func(string)) (string, error) {
	return services.RefreshLists(ctx, l, d, say)
}
