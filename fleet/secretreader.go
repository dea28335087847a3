package fleet

import (
	"cmp"
	"slices"
	"strings"
)

// Who can read an encrypted file, as far as its recipients tell.
const (
	ReaderHost    = "host"    // a host of the fleet
	ReaderFormer  = "former"  // a key that a host of the fleet had: its keys are others now
	ReaderGone    = "gone"    // a host, as the rules call it, that is none of the fleet
	ReaderPerson  = "person"  // by what the rules call it
	ReaderUnknown = "unknown" // somebody's key
	ReaderUnnamed = "unnamed" // the file does not tell whose key it is
)

// Reader is a recipient and who that is.
type Reader struct {
	Recipient
	Who    string `json:"who"` // one of the above
	Host   string `json:"host,omitempty"`
	HostID HostID `json:"hostId,omitempty"`
	Why    string `json:"why,omitempty"` // how that is known, where it is not by the key
}

// Label is the reader in a word or two.
func (r Reader) Label() string {
	switch r.Who {
	case ReaderHost:
		return r.Host
	case ReaderFormer:
		return r.Host + " (an older key)"
	case ReaderUnnamed:
		return "somebody (" + r.Kind + ")"
	}
	return cmp.Or(r.Name, Short(cmp.Or(r.Key, r.Kind+" "+r.Tag), 24))
}

// keyring is whose keys are whose.
type keyring struct {
	hosts   map[string]State     // by recipient: tag of an SSH key, age recipient
	named   map[string]Recipient // those of the rules, likewise
	byName  map[string]State
	unknown []string // hosts of which no key is known that secrets are encrypted for
}

// keyring gathers the keys of all hosts and what the rules call keys.
func (s Snapshot) keyring() keyring {
	k := keyring{hosts: map[string]State{}, named: map[string]Recipient{}, byName: map[string]State{}}
	for _, st := range s.Hosts {
		usable := false
		for _, key := range st.HostKeys() {
			kind, _, _ := strings.Cut(key, " ")
			k.hosts[Recipient{Kind: kind, Key: key}.id()] = st
			if age := AgeRecipient(key); age != "" {
				k.hosts[age], usable = st, true
			}
		}
		if !usable {
			k.unknown = append(k.unknown, st.Host.Name)
		}
		for _, name := range append([]string{st.Host.Name, st.Host.Flake}, st.Host.Aliases...) {
			if name = plainName(name); name != "" {
				k.byName[name] = st
			}
		}
	}
	for _, r := range s.Sealed.Value.Keys {
		k.named[r.id()] = r
	}
	return k
}

// wordsOfHosts are what people put before or behind the name of a host in rules.
var wordsOfHosts = []string{"hosts", "host", "systems", "system", "machines", "machine", "servers", "server", "nodes", "node"}

// wordsOfPeople likewise.
var wordsOfPeople = []string{"users", "user", "admins", "admin", "people", "persons", "person", "owners", "owner", "me"}

// plainName is a name as rules and hosts may both write it.
func plainName(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// split takes a word of a list off a name: "host_storage" is storage of hosts.
func split(name string, list []string) (rest string, found bool) {
	name = plainName(name)
	for _, w := range list {
		if rest, ok := strings.CutPrefix(name, w+"-"); ok {
			return rest, true
		}
		if rest, ok := strings.CutSuffix(name, "-"+w); ok {
			return rest, true
		}
	}
	return name, slices.Contains(list, name)
}

// read tells who a recipient is.
func (k keyring) read(r Recipient) Reader {
	if !r.Named() || r.Kind == RecipientCloud || r.Kind == RecipientPassphrase {
		return Reader{Recipient: r, Who: ReaderUnnamed}
	}
	if n, ok := k.named[r.id()]; ok {
		r.Name, r.Group = cmp.Or(r.Name, n.Name), cmp.Or(r.Group, n.Group)
		r.Key = cmp.Or(r.Key, n.Key)
	}
	if st, ok := k.hosts[r.id()]; ok {
		return Reader{Recipient: r, Who: ReaderHost, Host: st.Host.Name, HostID: st.Host.ID}
	}
	return k.byRules(r)
}

// byRules tells who a recipient is that has none of the known keys.
func (k keyring) byRules(r Recipient) Reader {
	plain, ofHost := split(r.Name, wordsOfHosts)
	_, inHosts := split(r.Group, wordsOfHosts)
	_, ofPerson := split(r.Name, wordsOfPeople)
	_, inPeople := split(r.Group, wordsOfPeople)
	user, at, _ := strings.Cut(plain, "@") // the comment that ssh-keygen puts behind a host's key
	if user == "root" && at != "" {
		plain, ofHost = at, true
	}
	st, known := k.byName[plain]
	switch {
	case known && slices.Contains(k.unknown, st.Host.Name):
		return Reader{Recipient: r, Who: ReaderHost, Host: st.Host.Name, HostID: st.Host.ID, Why: "by its name in the rules: its own key is not known"}
	case known && !inPeople && !ofPerson:
		return Reader{Recipient: r, Who: ReaderFormer, Host: st.Host.Name, HostID: st.Host.ID, Why: "the rules call the key so; the host has others"}
	case (ofHost || inHosts) && at != "" && len(k.unknown) > 0:
		return Reader{Recipient: r, Who: ReaderUnknown, Why: "it may be of " + few(k.unknown) + ", of which no key is known"}
	case (ofHost || inHosts) && plain != "":
		return Reader{Recipient: r, Who: ReaderGone, Why: "the rules call it a host, and there is none of that name or key"}
	case r.Name != "":
		return Reader{Recipient: r, Who: ReaderPerson}
	}
	return Reader{Recipient: r, Who: ReaderUnknown}
}

func (k keyring) readAll(list []Recipient) []Reader {
	out := []Reader{}
	for _, r := range list {
		out = append(out, k.read(r))
	}
	return out
}
