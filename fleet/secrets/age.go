package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/sextant-fleet/sextant/fleet"
)

// maxHeader is how much of an age file is looked at for its header: one of a
// hundred recipients has 20 KiB.
const maxHeader = 256 << 10

// How age files begin.
const (
	ageMagic   = "age-encryption.org/v1"
	armorMagic = "-----BEGIN AGE ENCRYPTED FILE-----"
)

// ageRecipients tells for whom an age file is encrypted, armored or not, by age's
// own parser. What an X25519 recipient's key is, the file does not tell.
func ageRecipients(file []byte) ([]fleet.Recipient, error) {
	text := file
	if bytes.HasPrefix(bytes.TrimLeft(file, " \t\r\n"), []byte(armorMagic)) {
		packed, err := io.ReadAll(io.LimitReader(armor.NewReader(bytes.NewReader(file)), maxHeader))
		if err != nil && len(packed) == 0 {
			return nil, errors.New("it is no age file: " + fleet.Short(fleet.Clean(err.Error()), 120))
		}
		text = packed // what is cut off behind the header is no loss
	}
	if !bytes.HasPrefix(text, []byte(ageMagic)) {
		return nil, errors.New("it is no age file")
	}
	var told recorder
	_, err := age.DecryptHeader(text[:min(len(text), maxHeader)], &told)
	if !told.asked {
		return nil, fmt.Errorf("its header cannot be read: %s", fleet.Short(fleet.Clean(err.Error()), 120))
	}
	return told.list, nil
}

// recorder is an identity that opens nothing and keeps for whom a file is.
type recorder struct {
	asked bool
	list  []fleet.Recipient
}

// Unwrap implements age.Identity.
func (r *recorder) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	r.asked = true
	for _, s := range stanzas {
		if strings.HasSuffix(s.Type, "-grease") { // noise, so that readers stay tolerant
			continue
		}
		one := fleet.Recipient{Kind: fleet.Short(fleet.Clean(s.Type), 40)}
		switch s.Type {
		case "X25519":
			one.Kind = fleet.RecipientAge
		case "mlkem768x25519":
			one.Kind = fleet.RecipientPQ
		case "scrypt":
			one.Kind = fleet.RecipientPassphrase
		case fleet.RecipientEd25519, fleet.RecipientRSA:
			if len(s.Args) > 0 {
				one.Tag = fleet.Short(fleet.Clean(s.Args[0]), 40)
			}
		}
		r.list = append(r.list, one)
	}
	return nil, age.ErrIncorrectIdentity
}
