package secrets

import (
	"regexp"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// token is what a Nix file is looked through by: comments and strings, names, signs.
var token = regexp.MustCompile(`#[^\n]*|/\*[\s\S]*?\*/|"(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z0-9_'.-]*|[={}\[\];]`)

// publicKey is a public key in a text.
var publicKey = regexp.MustCompile(`^(?:ssh-[a-z0-9-]+ [A-Za-z0-9+/=]+|age1[a-z0-9]+)`)

// nixKeys tells what a Nix file calls the public keys in it: nix itself tells only
// what becomes of them. What is bound to a key is its name, and what that stands in
// (hosts = [ a b ], hosts = { a = "…"; }) its group.
func nixKeys(text string) []fleet.Recipient {
	var keys []fleet.Recipient
	var path []string // names of the sets and lists around
	lists := map[string]string{}
	name, last := "", ""
	for _, t := range token.FindAllString(text, -1) {
		switch {
		case strings.HasPrefix(t, "#"), strings.HasPrefix(t, "/*"):
		case t == "=":
			name = last
		case t == "{" || t == "[":
			path, name = append(path, name), ""
		case t == "}" || t == "]":
			if len(path) > 0 {
				path = path[:len(path)-1]
			}
			name = ""
		case t == ";":
			name = ""
		case strings.HasPrefix(t, `"`):
			last = strings.Trim(t, `"`)
			if publicKey.MatchString(last) {
				keys = append(keys, nixKey(last, name, path))
			}
		default:
			if last = t; name == "" && len(path) > 0 && path[len(path)-1] != "" {
				list := path[len(path)-1]
				if _, taken := lists[t]; !taken && grouping(list) {
					lists[t] = list
				}
			}
		}
	}
	for i, k := range keys {
		if g := lists[k.Name]; g != "" {
			keys[i].Group = g
		}
	}
	return keys
}

// nixKey is one key with what it is called.
func nixKey(text, name string, path []string) fleet.Recipient {
	r := recipientOf(text)
	if name != "" {
		r.Name = fleet.Short(fleet.Clean(name), 60)
	}
	for _, p := range path {
		if grouping(p) {
			r.Group = fleet.Short(fleet.Clean(p), 60)
		}
	}
	return r
}

// grouping tells whether the name of a list says what those in it are.
var groupWord = regexp.MustCompile(`(?i)^(all)?-?(hosts?|systems?|machines?|servers?|nodes?|users?|admins?|people|persons?|owners?)$`)

func grouping(name string) bool { return groupWord.MatchString(name) }
