package fleet

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"filippo.io/edwards25519"
)

// SSHTag is what age writes in a file in place of a public SSH key: the first four
// bytes of the SHA-256 of the key as SSH sends it. "" where the key is none.
func SSHTag(key string) string {
	_, wire := sshKey(key)
	if wire == nil {
		return ""
	}
	sum := sha256.Sum256(wire)
	return base64.RawStdEncoding.EncodeToString(sum[:4])
}

// AgeRecipient is the age recipient that ssh-to-age makes of an SSH ed25519 key;
// sops-nix decrypts with it. "" of any other key.
func AgeRecipient(key string) string {
	kind, wire := sshKey(key)
	if kind != RecipientEd25519 {
		return ""
	}
	point, ok := wireString(wire[4+len(kind):])
	if !ok || len(point) != 32 {
		return ""
	}
	p, err := new(edwards25519.Point).SetBytes(point)
	if err != nil {
		return ""
	}
	return bech32("age", p.BytesMontgomery())
}

// sshKey is a public key of the authorized_keys form: its kind and its bytes; nil
// where it is none.
func sshKey(key string) (kind string, wire []byte) {
	f := strings.Fields(key)
	if len(f) < 2 {
		return "", nil
	}
	wire, err := base64.StdEncoding.DecodeString(f[1])
	if err != nil {
		return "", nil
	}
	if first, ok := wireString(wire); !ok || string(first) != f[0] {
		return "", nil
	}
	return f[0], wire
}

// wireString is the first string of SSH's wire form.
func wireString(b []byte) ([]byte, bool) {
	if len(b) < 4 {
		return nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, false
	}
	return b[4 : 4+n], true
}

// bech32Letters are those of bech32 (BIP 173), by their value.
const bech32Letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// bech32 encodes bytes with the checksum of BIP 173, and without its bound of
// length, as age does.
func bech32(prefix string, data []byte) string {
	var values []byte
	acc, bits := 0, 0
	for _, b := range data {
		acc, bits = acc<<8|int(b), bits+8
		for ; bits >= 5; bits -= 5 {
			values = append(values, byte(acc>>(bits-5))&31)
		}
		acc &= 1<<bits - 1
	}
	if bits > 0 {
		values = append(values, byte(acc<<(5-bits))&31)
	}
	var out strings.Builder
	out.WriteString(prefix + "1")
	for _, v := range append(values, checksum(prefix, values)...) {
		out.WriteByte(bech32Letters[v])
	}
	return out.String()
}

// checksum is the six values at the end.
func checksum(prefix string, values []byte) []byte {
	var all []byte
	for _, c := range []byte(prefix) {
		all = append(all, c>>5)
	}
	all = append(all, 0)
	for _, c := range []byte(prefix) {
		all = append(all, c&31)
	}
	all = append(append(all, values...), 0, 0, 0, 0, 0, 0)
	sum := uint32(1)
	for _, v := range all {
		top := sum >> 25
		sum = (sum&0x1ffffff)<<5 ^ uint32(v)
		for i, g := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	sum ^= 1
	out := make([]byte, 6)
	for i := range out {
		out[i] = byte(sum>>(5*(5-i))) & 31
	}
	return out
}
