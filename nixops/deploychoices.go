package nixops

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// andRestart is the choice of "boot" with a restart.
const andRestart = "boot, reboot"

// What can be chosen of a deploy on the screen.
var (
	chooseAction  = fleet.Choice{ID: "action", Title: "action", Values: []string{"switch", "boot", andRestart, "test", "dry-activate"}}
	chooseBuild   = fleet.Choice{ID: "build", Title: "build", Values: []string{"as the flake says", BuildHere, BuildTarget, onAnother}}
	chooseConfirm = fleet.Choice{ID: "confirm", Title: "confirm", Values: []string{string(ConfirmAuto), string(ConfirmAsk), string(ConfirmNone)}}
	chooseBuilder = fleet.Choice{
		ID: "builder", Title: "builder", Typed: true, Values: []string{""}, Help: "the host to build on",
		When: func(t fleet.Target) bool { return t.Chose(chooseBuild) == onAnother },
	}
	chooseFlake = fleet.Choice{
		ID: "flake", Title: "flake", Typed: true, Values: []string{""}, Help: "a flake, or the store path of a system that is built",
	}
	chooseAttribute = fleet.Choice{
		ID: "attribute", Title: "attribute", Typed: true, Optional: true, Rare: true, Values: []string{""}, Hint: "as the host is called",
		Help: "the system in the flake", When: func(t fleet.Target) bool { return len(t.Hosts) == 1 },
	}
	chooseWaves = fleet.Choice{
		ID: "waves", Title: "waves", Typed: true, Optional: true, Rare: true, Values: []string{""}, Hint: "one, then the others",
		Help: "hosts at a time: 1,4 is one, then four, then four again", When: several,
	}
	chooseFailure = fleet.Choice{
		ID: "on-failure", Title: "on failure", Rare: true, Values: []string{string(KeepOthers), string(RollBackOthers)},
		Help: "the hosts before one that goes wrong", When: several,
	}
)

// onAnother is the choice to build on another host.
const onAnother = "on another host"

func several(t fleet.Target) bool { return len(t.Hosts) > 1 }

// choices are what can be chosen of a deploy: where no flake is known one must be
// typed.
func (d *Deployer) choices() []fleet.Choice {
	builder, flake, attribute, waves := chooseBuilder, chooseFlake, chooseAttribute, chooseWaves
	found := d.Flake.Ref != ""
	flake.Hint, flake.Rare, flake.Optional = cmp.Or(d.Flake.Ref, "none was found: where is it?"), found, found
	flake.Wrong, attribute.Wrong = wrongStore, wrongAttribute
	builder.Wrong = func(t fleet.Target) string {
		_, err := d.builder(typed(t, chooseBuilder))
		return words(err)
	}
	waves.Wrong = func(t fleet.Target) string {
		_, err := ParseWaves(t.Chose(chooseWaves))
		return words(err)
	}
	return []fleet.Choice{chooseAction, chooseBuild, builder, chooseConfirm, flake, attribute, waves, chooseFailure}
}

// words are those of an error, or "".
func words(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// typed is what was typed of a choice, without what is around it.
func typed(t fleet.Target, c fleet.Choice) string { return strings.TrimSpace(t.Chose(c)) }

// wrongStore is why what was typed cannot be deployed to the hosts, or "".
func wrongStore(t fleet.Target) string {
	if storePath.MatchString(typed(t, chooseFlake)) && len(t.Hosts) > 1 {
		return fmt.Sprintf("a store path is for one host, not for %d", len(t.Hosts))
	}
	return ""
}

// wrongAttribute is why there is no such attribute, or "".
func wrongAttribute(t fleet.Target) string {
	if typed(t, chooseAttribute) != "" && storePath.MatchString(typed(t, chooseFlake)) {
		return "an attribute is of a flake, a store path of none: name one of them"
	}
	return ""
}

// builder is the host of a name, to build on.
func (d *Deployer) builder(name string) (fleet.Host, error) {
	var hosts fleet.Snapshot
	if d.Fleet != nil {
		hosts = d.Fleet()
	}
	s, ok := hosts.Named(name)
	if ok {
		return s.Host, nil
	}
	var names []string
	for _, s := range hosts.Hosts {
		names = append(names, s.Host.Name)
	}
	return fleet.Host{}, fmt.Errorf("%s: no host of the fleet%s", name, didYouMean(name, names))
}

// ParseWaves reads how many hosts each wave has: "1,4" or "1 4". "" is nil: one,
// then all the others.
func ParseWaves(text string) ([]int, error) {
	var waves []int
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("waves: %q is no number of hosts: 1,4 is one, then four, then four again", fleet.Short(word, 20))
		}
		waves = append(waves, n)
	}
	return waves, nil
}

// order is what was chosen.
func (d *Deployer) order(t fleet.Target) (Order, error) {
	o := Order{
		Flake: d.Flake, Action: t.Chose(chooseAction), Confirm: Confirmation(t.Chose(chooseConfirm)),
		Attribute: typed(t, chooseAttribute), OnFailure: Failing(t.Chose(chooseFailure)),
	}
	if o.Action == andRestart {
		o.Action, o.Restart = "boot", true
	}
	switch what := typed(t, chooseFlake); {
	case storePath.MatchString(what):
		o.Store = what
	case what != "":
		o.Flake.Ref = InHome(what)
	}
	var err error
	if o.Waves, err = ParseWaves(t.Chose(chooseWaves)); err != nil {
		return o, err
	}
	switch at := t.Chose(chooseBuild); at {
	case chooseBuild.Values[0]:
	case onAnother:
		o.Builder, err = d.builder(typed(t, chooseBuilder))
		o.BuildOn = o.Builder.Name
	default:
		o.BuildOn = at
	}
	return o, err
}
