package units

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"strings"

	"github.com/sextant-fleet/sextant/fleet/internal/systemd"
)

// newMark is a random word that begins each section of an answer: no text of a
// host can be taken for one.
func newMark() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return "sextant-" + hex.EncodeToString(b[:])
}

// section is a part of an answer: "units system" and what stands below.
type section struct {
	name, of string
	text     []byte
}

// parts divides an answer at the lines that begin with the mark.
func parts(out []byte, mark string) []section {
	var list []section
	for _, piece := range bytes.Split(append([]byte("\n"), out...), []byte("\n"+mark+" "))[1:] {
		head, text, _ := bytes.Cut(piece, []byte("\n"))
		name, of, _ := strings.Cut(string(head), " ")
		list = append(list, section{name, of, text})
	}
	return list
}

// blocks reads what systemctl show prints of several units.
func blocks(text []byte) []map[string]string {
	var list []map[string]string
	for b := range strings.SplitSeq(string(text), "\n\n") {
		if p := systemd.Properties(b); p["Id"] != "" {
			list = append(list, p)
		}
	}
	return list
}
