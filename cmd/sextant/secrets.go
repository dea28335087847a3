package main

import (
	"cmp"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
)

func secretsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "secrets [SEL…]", Short: "Which secret which host can read, and what hosts decrypt",
		Long: "Who can read a file of agenix or sops-nix is told by its recipients and the hosts' public keys; no private key is used. " +
			"Of what hosts have decrypted, names, owners and the units that use it are read, never a value.",
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, only("secrets"), func(a *app, states []fleet.State) error {
				f, _ := a.sealed(cmd.Context())
				a.store.SetSealed(f)
				return printSecrets(cmd.OutOrStdout(), *o, a.store.Snapshot(), states, len(sel) > 0)
			}))
		},
	}
}

// secretsOut is what secrets says with --json.
type secretsOut struct {
	Schema int              `json:"schema"`
	Flake  flakeSecrets     `json:"flake"`
	Files  []secretFileOut  `json:"files"`
	Hosts  []hostSecretsOut `json:"hosts"`
	Errors []hostError      `json:"errors"`
}

// flakeSecrets says where the files are from.
type flakeSecrets struct {
	Folder string     `json:"folder,omitempty"`
	At     *time.Time `json:"at,omitempty"`
	Rules  []string   `json:"rules,omitempty"`
	Unread []string   `json:"unread,omitempty"`
	Error  string     `json:"error,omitempty"`
	None   bool       `json:"none,omitempty"`
}

// secretFileOut is a file and how it stands.
type secretFileOut struct {
	fleet.SecretFile
	State string `json:"state"`
	Says  string `json:"says,omitempty"`
	Cure  string `json:"cure,omitempty"`
}

// hostSecretsOut are the secrets of a host.
type hostSecretsOut struct {
	hostFact
	Systems   []string              `json:"systems,omitempty"`
	Age       []string              `json:"ageRecipients,omitempty"` // of its SSH keys
	Installed *time.Time            `json:"installed,omitempty"`
	Secrets   []secretOut           `json:"secrets"`
	Failed    []fleet.SecretFailure `json:"failed"`
}

// secretOut is a secret of a host and how it stands.
type secretOut struct {
	fleet.HostSecret
	State string   `json:"state"` // ok, missing, older, left over
	Older []string `json:"older,omitempty"`
}

// secretFilesOf are the files that concern some hosts; all of them where all are asked.
func secretFilesOf(snap fleet.Snapshot, states []fleet.State, some bool) []secretFileOut {
	out := []secretFileOut{}
	in := func(id fleet.HostID) bool {
		return slices.ContainsFunc(states, func(s fleet.State) bool { return s.Host.ID == id })
	}
	for _, f := range snap.SecretFiles() {
		of := slices.ContainsFunc(f.Readers, func(r fleet.Reader) bool { return r.HostID != "" && in(r.HostID) }) ||
			slices.ContainsFunc(f.Uses, func(u fleet.SecretUse) bool { return in(u.HostID) })
		if of || !some {
			out = append(out, secretFileOut{f, f.Word(), f.Says(), f.Cure()})
		}
	}
	return out
}

func hostSecretsOf(s fleet.State) hostSecretsOut {
	_, facts, _ := gather([]fleet.State{s}, func(s fleet.State) fleet.Fact[[]fleet.HostSecret] {
		return fleet.Derive(s.Secrets, func(h fleet.HostSecrets) []fleet.HostSecret { return h.Secrets })
	}, func(_ fleet.State, v fleet.HostSecret) fleet.HostSecret { return v })
	out := hostSecretsOut{hostFact: facts[0], Secrets: []secretOut{}, Failed: []fleet.SecretFailure{}}
	for _, k := range s.HostKeys() {
		if age := fleet.AgeRecipient(k); age != "" {
			out.Age = append(out.Age, age)
		}
	}
	if !s.Secrets.Current() {
		return out
	}
	h := s.Secrets.Value
	out.Systems, out.Failed = h.Systems, h.Failed
	if !h.Installed.IsZero() {
		out.Installed = utc(h.Installed)
	}
	for _, v := range h.Secrets {
		out.Secrets = append(out.Secrets, secretOut{v, s.SecretWord(v), s.Older(v)})
	}
	return out
}

func printSecrets(w io.Writer, o options, snap fleet.Snapshot, states []fleet.State, some bool) error {
	now := time.Now()
	out := secretsOut{1, flakeOfSecrets(snap.Sealed), secretFilesOf(snap, states, some), []hostSecretsOut{}, []hostError{}}
	for _, s := range states {
		h := hostSecretsOf(s)
		out.Hosts = append(out.Hosts, h)
		if h.Error != "" && !h.None {
			out.Errors = append(out.Errors, hostError{h.Host, h.Error, h.Cure})
		}
	}
	err := o.write(w, out, func(t *table) {
		fileTable(t, out)
		secretTable(t, out, now)
	})
	return cmp.Or(err, secretVerdict(out))
}

func flakeOfSecrets(f fleet.Fact[fleet.SealedFiles]) flakeSecrets {
	v := f.Value
	out := flakeSecrets{Folder: v.Folder, Rules: v.Rules, Unread: v.Unread, Error: f.Err, None: f.None}
	if f.HasValue() {
		out.At = utc(f.At)
	}
	return out
}

// secretVerdict is the exit code: whether somebody should do something.
func secretVerdict(out secretsOut) error {
	code := 0
	for _, f := range out.Files {
		switch f.State {
		case "ok":
		case "?":
			code = max(code, exitUnknown)
		default:
			return exitCode(exitProblem)
		}
	}
	for _, h := range out.Hosts {
		if len(h.Failed) > 0 || slices.ContainsFunc(h.Secrets, func(v secretOut) bool { return v.State == "missing" || v.State == "older" }) {
			return exitCode(exitProblem)
		}
	}
	if code == 0 && (len(out.Errors) > 0 || len(out.Flake.Unread) > 0 || out.Flake.Error != "" && !out.Flake.None) {
		code = exitUnknown
	}
	if code != 0 {
		return exitCode(code)
	}
	return nil
}

// fileTable is a row for each file.
func fileTable(t *table, out secretsOut) {
	t.row("FILE", "STATE", "HOSTS", "OTHERS", "USED BY", "WHY")
	for _, f := range out.Files {
		var others, uses []string
		for _, r := range f.Readers {
			if r.Who != fleet.ReaderHost && !slices.Contains(others, r.Label()) {
				others = append(others, r.Label())
			}
		}
		for _, u := range f.Uses {
			uses = append(uses, u.Host)
		}
		t.row(f.Path, f.State, dash(f.Hosts()), dash(others), dash(uses), cmp.Or(f.Says, "-"))
		cureNote(t, f.Cure)
	}
	for _, u := range out.Flake.Unread {
		t.note("? " + u)
	}
	if out.Flake.Error != "" {
		t.note("? secrets of the flake: " + out.Flake.Error)
	}
}

// dash is a list in one cell.
func dash(list []string) string { return cmp.Or(strings.Join(list, ", "), "-") }

// secretTable is a row for each secret of a host.
func secretTable(t *table, out secretsOut, now time.Time) {
	t.note("")
	t.row("HOST", "SECRET", "STATE", "BY", "OWNER", "MODE", "CHANGED", "UNITS", "WHY")
	var facts []hostFact
	for _, h := range out.Hosts {
		facts = append(facts, h.hostFact)
		for _, v := range h.Secrets {
			owner := cmp.Or(strings.Trim(v.Owner+":"+v.Group, ":"), "-")
			why := v.Why
			if len(v.Older) > 0 {
				why = strings.Join(v.Older, ", ") + " started before it changed"
			}
			t.row(h.Host, v.Name, v.State, v.System, owner, cmp.Or(v.Mode, "-"), age(v.Changed, now), dash(v.UsedBy), cmp.Or(why, "-"))
		}
		for _, f := range h.Failed {
			t.note(h.Host + ": " + f.What)
		}
	}
	holes(t, facts, now)
}
