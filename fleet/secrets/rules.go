package secrets

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/sextant-fleet/sextant/fleet"
)

// sopsRule is a rule of .sops.yaml: which files, and for whom they are to be encrypted.
type sopsRule struct {
	re   *regexp.Regexp // nil: every file
	want []fleet.Recipient
}

// sopsRules reads a .sops.yaml: its rules, and every key that it names.
func sopsRules(text []byte) (rules []sopsRule, keys []fleet.Recipient, err error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, nil, errors.New("it is no YAML: " + fleet.Short(fleet.Clean(err.Error()), 120))
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, nil, errors.New("it has no rules")
	}
	anchors(doc.Content[0], "", &keys, 0)
	list := child(doc.Content[0], "creation_rules")
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil, keys, nil
	}
	for _, n := range list.Content {
		r, err := sopsRuleOf(n)
		if err != nil {
			return rules, keys, err
		}
		rules = append(rules, r)
	}
	for _, r := range rules { // those that stand in a rule alone
		for _, one := range r.want {
			if !slices.ContainsFunc(keys, func(k fleet.Recipient) bool { return k.Key == one.Key }) {
				keys = append(keys, one)
			}
		}
	}
	return rules, keys, nil
}

// anchors gathers the keys that have a name, with the list that they stand in.
func anchors(n *yaml.Node, group string, keys *[]fleet.Recipient, depth int) {
	if depth > 8 || n.Kind == yaml.AliasNode {
		return
	}
	if n.Kind == yaml.ScalarNode && n.Anchor != "" {
		r := ruleKey(n, group)
		*keys = append(*keys, r)
	}
	for i := 0; i < len(n.Content); i++ {
		below, in := n.Content[i], group
		if n.Kind == yaml.MappingNode {
			if i+1 >= len(n.Content) {
				return
			}
			in, below = n.Content[i].Value, n.Content[i+1]
			i++
		}
		anchors(below, fleet.Short(fleet.Clean(in), 60), keys, depth+1)
	}
}

// ruleKey is a key as a rule writes it, with what it is called.
func ruleKey(n *yaml.Node, group string) fleet.Recipient {
	name := n.Anchor
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		name, n = n.Alias.Anchor, n.Alias
	}
	r := recipientOf(n.Value)
	if pgpPrint.MatchString(r.Key) {
		r.Kind = fleet.RecipientPGP
	}
	if name != "" {
		r.Name = fleet.Short(fleet.Clean(name), 60)
	}
	if group != "" && group != "keys" {
		r.Group = group
	}
	return r
}

// pgpPrint is a fingerprint of PGP.
var pgpPrint = regexp.MustCompile(`^(0x)?[0-9A-Fa-f]{16,40}$`)

func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func sopsRuleOf(n *yaml.Node) (sopsRule, error) {
	var r sopsRule
	if n.Kind != yaml.MappingNode {
		return r, errors.New("a rule of it is none")
	}
	if re := child(n, "path_regex"); re != nil && re.Value != "" {
		var err error
		if r.re, err = regexp.Compile(re.Value); err != nil {
			return r, errors.New("a path_regex of it cannot be read")
		}
	}
	r.gather(n)
	if groups := child(n, "key_groups"); groups != nil {
		for _, g := range groups.Content {
			r.gather(g)
		}
	}
	return r, nil
}

// gather takes in the keys of a rule, or of a group of one.
func (r *sopsRule) gather(n *yaml.Node) {
	for _, kind := range []string{"age", "pgp"} {
		list := child(n, kind)
		if list == nil {
			continue
		}
		for _, k := range list.Content {
			r.take(k, kind)
		}
		if list.Kind == yaml.AliasNode {
			r.take(list, kind)
		}
		if list.Kind == yaml.ScalarNode { // one text with commas between
			for word := range strings.SplitSeq(list.Value, ",") {
				if word = strings.TrimSpace(word); word != "" {
					r.take(&yaml.Node{Kind: yaml.ScalarNode, Value: word}, kind)
				}
			}
		}
	}
}

func (r *sopsRule) take(n *yaml.Node, kind string) {
	if n.Kind == yaml.SequenceNode { // an alias of a list
		for _, k := range n.Content {
			r.take(k, kind)
		}
		return
	}
	if n.Kind == yaml.AliasNode && n.Alias != nil && n.Alias.Kind == yaml.SequenceNode {
		r.take(n.Alias, kind)
		return
	}
	one := ruleKey(n, "")
	if kind == "pgp" {
		one.Kind = fleet.RecipientPGP
	}
	r.want = append(r.want, one)
}

// agenixRules reads what nix makes of a secrets.nix: for whom each file is to be.
func agenixRules(text []byte) (map[string][]fleet.Recipient, error) {
	var all map[string]struct {
		PublicKeys []string `json:"publicKeys"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, errors.New("it is not what agenix takes")
	}
	out := map[string][]fleet.Recipient{}
	for name, r := range all {
		list := []fleet.Recipient{}
		for _, k := range r.PublicKeys {
			list = append(list, recipientOf(k))
		}
		out[name] = list
	}
	return out, nil
}
