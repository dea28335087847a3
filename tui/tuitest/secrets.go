package tuitest

import (
	"slices"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// keys of the sample's hosts; nobody has them.
const (
	storageKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF/KPU3Z5LSjbBI6hrq25wCcseq2UpqSzUFZRr+ux6LM"
	mediaKey   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIL2vjdqpppuCn7yPdF2muINriAG7zBWrsELKpPWkhn5"
)

// Secretive adds to a host the secrets that it decrypts: one that is well, one that a
// unit has an older one of, one that it could not decrypt, and one that is left over.
func Secretive(st fleet.State) fleet.State {
	at := ago(2 * time.Minute)
	secret := func(name, file string, used ...string) fleet.HostSecret {
		return fleet.HostSecret{Name: name, System: "agenix", Path: "/run/agenix/" + name, File: "/nix/store/0c4h-" + file, Owner: "root", Group: "keys", Mode: "440", UsedBy: used}
	}
	older, missing := secret("photos-env", "photos.age", "podman-immich.service"), secret("restic-password", "restic.age", "restic-backups-photos.service")
	older.Changed = ago(time.Hour)
	missing.Missing, missing.Why = true, "age: error: no identity matched any of the recipients"
	missing.Owner, missing.Group, missing.Mode = "", "", ""
	st.Secrets = fleet.Known(fleet.HostSecrets{
		Systems: []string{"agenix"}, Keys: []string{storageKey}, Installed: ago(time.Hour),
		Secrets: []fleet.HostSecret{
			secret("caddy-token", "caddy.age", "caddy.service"), older, missing,
			{Name: "old-token", System: "agenix", Path: "/run/agenix/old-token", Owner: "root", Group: "keys", Mode: "400", UsedBy: []string{}, LeftOver: true},
		},
		Failed: []fleet.SecretFailure{{At: ago(time.Hour), What: missing.Why, File: missing.File}},
		Sealed: []fleet.SealedFile{stored("caddy.age", tagged(storageKey)), stored("photos.age", tagged(storageKey)), stored("restic.age", tagged(mediaKey))},
	}, at, "activation scripts, units and journal")
	st.Units.Value = append(slices.Clone(st.Units.Value), fleet.Unit{Name: "podman-immich.service", Load: "loaded", Active: "active", Sub: "running", Started: ago(5 * day)})
	return st
}

func tagged(key string) fleet.Recipient {
	return fleet.Recipient{Kind: fleet.RecipientEd25519, Tag: fleet.SSHTag(key)}
}

func stored(name string, to ...fleet.Recipient) fleet.SealedFile {
	return fleet.SealedFile{Path: "/nix/store/0c4h-" + name, Kind: fleet.SealedAge, Recipients: to}
}

// Sealed are the encrypted files of a flake: a host that is gone can read one, one is
// not for those whom its rule names, and one is not for who needs it.
func Sealed() fleet.Fact[fleet.SealedFiles] {
	named := func(key, name, group string) fleet.Recipient {
		return fleet.Recipient{Kind: fleet.RecipientEd25519, Key: key, Name: name, Group: group}
	}
	storage, ada := named(storageKey, "storage", "hosts"), named("ssh-ed25519 AAAAada", "ada", "users")
	attic := fleet.Recipient{Kind: fleet.RecipientAge, Key: "age1attic", Name: "attic", Group: "hosts"}
	file := func(name string, rule []fleet.Recipient, to ...fleet.Recipient) fleet.SealedFile {
		return fleet.SealedFile{Path: "secrets/" + name, Kind: fleet.SealedAge, Recipients: to, Rule: rule, RuleFrom: "secrets/secrets.nix", Modified: ago(40 * day)}
	}
	rule := []fleet.Recipient{ada, storage}
	smtp := file("smtp.yaml", []fleet.Recipient{attic, storage}, attic, storage)
	smtp.Kind, smtp.Names, smtp.RuleFrom = fleet.SealedSops, []string{"host", "password", "user"}, ".sops.yaml"
	return fleet.Known(fleet.SealedFiles{
		Folder: "/home/ada/fleet", Rules: []string{".sops.yaml", "secrets/secrets.nix"}, Keys: []fleet.Recipient{ada, attic, storage, named(mediaKey, "media-r2s", "hosts")},
		Files: []fleet.SealedFile{
			file("caddy.age", rule, ada, storage), file("photos.age", rule, storage), file("restic.age", []fleet.Recipient{named(mediaKey, "media-r2s", "hosts")}, tagged(mediaKey)),
			smtp, file("laptop.age", []fleet.Recipient{ada}, ada),
		},
	}, ago(time.Minute), "the flake")
}
