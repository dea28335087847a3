package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/sextant-fleet/sextant/fleet"
)

// maxNames bounds the names of secrets in one file.
const maxNames = 500

// sopsMark stands in every file of sops, as its metadata does.
const sopsMark = "ENC[AES256_GCM,"

// isSops tells whether a file may be one of sops.
func isSops(file []byte) bool {
	return bytes.Contains(file, []byte(sopsMark)) && bytes.Contains(file, []byte("sops"))
}

// sopsFile is what stands in clear in a file of sops.
type sopsFile struct {
	names      []string
	recipients []fleet.Recipient
	modified   time.Time
	together   int // keys of so many groups are needed at once; 0, 1: any key will do
}

// keyGroup is a group of keys in a file's metadata.
type keyGroup struct {
	Age []struct {
		Recipient string `yaml:"recipient" json:"recipient"`
	} `yaml:"age" json:"age"`
	PGP []struct {
		FP string `yaml:"fp" json:"fp"`
	} `yaml:"pgp" json:"pgp"`
	KMS []struct {
		ARN string `yaml:"arn" json:"arn"`
	} `yaml:"kms" json:"kms"`
	GCP []struct {
		ID string `yaml:"resource_id" json:"resource_id"`
	} `yaml:"gcp_kms" json:"gcp_kms"`
	Azure []struct {
		URL  string `yaml:"vault_url" json:"vault_url"`
		Name string `yaml:"name" json:"name"`
	} `yaml:"azure_kv" json:"azure_kv"`
	Vault []struct {
		Address string `yaml:"vault_address" json:"vault_address"`
		Key     string `yaml:"key_name" json:"key_name"`
	} `yaml:"hc_vault" json:"hc_vault"`
}

// metadata is that of a file.
type metadata struct {
	keyGroup `yaml:",inline"`
	Groups   []keyGroup `yaml:"key_groups" json:"key_groups"`
	Modified string     `yaml:"lastmodified" json:"lastmodified"`
	Together int        `yaml:"shamir_threshold" json:"shamir_threshold"` // of the groups; of keys without groups it says nothing
	grouped  bool       // a flat file has groups
	Mac      string     `yaml:"mac" json:"mac"`
	Version  string     `yaml:"version" json:"version"`
}

// together is why it is not known who can read a file: one key alone may not do.
func together(groups int) error {
	if groups < 2 {
		return nil
	}
	return fmt.Errorf("keys of %d groups are needed at once (shamir_threshold): who can read it is not worked out", groups)
}

var errNoSops = errors.New("it has no metadata of sops")

// readSops reads what stands in clear in a file of sops, of any of its formats.
func readSops(name string, file []byte) (sopsFile, error) {
	switch path.Ext(name) {
	case ".env":
		return sopsFlat(file, "")
	case ".ini":
		return sopsFlat(file, "sops")
	}
	var doc yaml.Node // JSON is YAML, and so are binary files of sops
	if err := yaml.Unmarshal(file, &doc); err != nil || len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		if out, err := sopsFlat(file, ""); err == nil {
			return out, nil
		}
		return sopsFlat(file, "sops")
	}
	return sopsTree(doc.Content[0])
}

// sopsTree reads a file that is a tree: YAML, JSON, and JSON around a binary file.
func sopsTree(top *yaml.Node) (sopsFile, error) {
	var out sopsFile
	var meta *metadata
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		if key.Value == "sops" && value.Kind == yaml.MappingNode {
			meta = &metadata{}
			if err := value.Decode(meta); err != nil {
				return out, errors.New("its metadata cannot be read")
			}
			continue
		}
		out.addNames(key.Value, value, 0)
	}
	if meta == nil {
		return out, errNoSops
	}
	return out.with(*meta)
}

// addNames takes in the names below one, as sops-nix writes them: "smtp/password". Which
// values a file leaves in clear is its rules' choice, by suffix or by expression.
func (s *sopsFile) addNames(name string, n *yaml.Node, depth int) {
	if len(s.names) >= maxNames {
		return
	}
	if n.Kind == yaml.MappingNode && depth < 8 {
		for i := 0; i+1 < len(n.Content); i += 2 {
			s.addNames(name+"/"+n.Content[i].Value, n.Content[i+1], depth+1)
		}
		return
	}
	if sealed(n, depth) {
		s.names = append(s.names, fleet.Short(fleet.Clean(name), 200))
	}
}

// sealed tells whether a value, or anything in a list, is encrypted.
func sealed(n *yaml.Node, depth int) bool {
	if n.Kind == yaml.ScalarNode {
		return strings.HasPrefix(n.Value, sopsMark)
	}
	return depth < 8 && slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return sealed(c, depth+1) })
}

// with takes in the metadata.
func (s sopsFile) with(m metadata) (sopsFile, error) {
	if m.Mac == "" && m.Modified == "" && m.Version == "" {
		return s, errNoSops
	}
	for _, g := range append([]keyGroup{m.keyGroup}, m.Groups...) {
		s.add(g)
	}
	if at, err := time.Parse(time.RFC3339, m.Modified); err == nil {
		s.modified = at.UTC()
	}
	if m.grouped || len(m.Groups) > 1 {
		s.together = m.Together
	}
	return s, nil
}

// add takes in the keys of a group.
func (s *sopsFile) add(g keyGroup) {
	for _, a := range g.Age {
		s.recipients = append(s.recipients, recipientOf(a.Recipient))
	}
	for _, p := range g.PGP {
		s.recipients = append(s.recipients, fleet.Recipient{Kind: fleet.RecipientPGP, Key: key(p.FP)})
	}
	cloud := func(id string) {
		s.recipients = append(s.recipients, fleet.Recipient{Kind: fleet.RecipientCloud, Key: key(id)})
	}
	for _, k := range g.KMS {
		cloud(k.ARN)
	}
	for _, k := range g.GCP {
		cloud(k.ID)
	}
	for _, k := range g.Azure {
		cloud(k.URL + "/" + k.Name)
	}
	for _, k := range g.Vault {
		cloud(k.Address + "/" + k.Key)
	}
}

func key(s string) string { return fleet.Short(fleet.Clean(strings.TrimSpace(s)), 1000) }

// recipientOf is a recipient as age takes it: its own, or a public SSH key.
func recipientOf(text string) fleet.Recipient {
	text = key(text)
	kind, _, ssh := strings.Cut(text, " ")
	switch {
	case ssh:
		f := strings.Fields(text)
		r := fleet.Recipient{Kind: kind, Key: strings.Join(f[:min(2, len(f))], " ")}
		if len(f) > 2 {
			r.Name, r.Group = comment(f[2])
		}
		return r
	case strings.HasPrefix(text, "age1pq1"):
		return fleet.Recipient{Kind: fleet.RecipientPQ, Key: text}
	}
	return fleet.Recipient{Kind: fleet.RecipientAge, Key: text}
}

// comment tells what the comment behind a public SSH key says: ssh-keygen writes
// USER@HOST, and root is whose keys hosts have.
func comment(text string) (name, group string) {
	user, _, at := strings.Cut(text, "@")
	switch {
	case at && user == "root":
		return text, "hosts"
	case at:
		return text, "users"
	}
	return text, ""
}

// assignment is a line of an env or ini file.
var assignment = regexp.MustCompile(`^\s*([^\s=;#\[][^=]*?)\s*=\s*(.*)$`)

// inList is a key of the metadata in a flat file: "age__list_0__map_recipient".
var inList = regexp.MustCompile(`^(?:key_groups__list_\d+__map_)?(age|pgp|kms|gcp_kms)__list_\d+__map_(recipient|fp|arn|resource_id)$`)

// sopsFlat reads a file without nesting: with a section for the metadata (ini), or
// with a prefix of theirs (env).
func sopsFlat(file []byte, section string) (sopsFile, error) {
	var out sopsFile
	var m metadata
	in := ""
	for line := range strings.Lines(string(file)) {
		line = strings.TrimRight(line, "\r\n")
		if name, ok := strings.CutPrefix(line, "["); ok && section != "" {
			in = strings.TrimSuffix(strings.TrimSpace(name), "]")
			continue
		}
		f := assignment.FindStringSubmatch(line)
		if f == nil {
			continue
		}
		name, value := f[1], f[2]
		meta := section != "" && in == section
		if section == "" {
			name, meta = strings.CutPrefix(name, "sops_")
		}
		switch {
		case meta:
			out.flat(&m, name, strings.ReplaceAll(value, `\n`, "\n"))
		case strings.HasPrefix(value, sopsMark) && len(out.names) < maxNames:
			out.names = append(out.names, fleet.Short(fleet.Clean(strings.TrimPrefix(in+"/"+name, "/")), 200))
		}
	}
	return out.with(m)
}

// flat takes in one entry of the metadata of a flat file.
func (s *sopsFile) flat(m *metadata, name, value string) {
	switch name {
	case "lastmodified":
		m.Modified = value
	case "mac":
		m.Mac = "there"
	case "version":
		m.Version = value
	case "shamir_threshold":
		m.Together, _ = strconv.Atoi(value)
	}
	m.grouped = m.grouped || strings.HasPrefix(name, "key_groups__")
	f := inList.FindStringSubmatch(name)
	if f == nil {
		return
	}
	switch f[2] {
	case "recipient":
		s.recipients = append(s.recipients, recipientOf(value))
	case "fp":
		s.recipients = append(s.recipients, fleet.Recipient{Kind: fleet.RecipientPGP, Key: key(value)})
	default:
		s.recipients = append(s.recipients, fleet.Recipient{Kind: fleet.RecipientCloud, Key: key(value)})
	}
}
