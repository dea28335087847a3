package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/sextant-fleet/sextant/fleet"
)

// The audit is what was done to hosts from this machine, a line of JSON an
// event, oldest first. It is only ever added to; when it is full it is put aside
// as the older one, in place of the one before.
const (
	auditFile  = "audit.jsonl"
	auditOlder = "audit.1.jsonl"
	maxAudit   = 2 << 20 // bytes of each, some 5,000 events
)

// auditLine is an event in the file.
type auditLine struct {
	header
	fleet.Event
}

// Record adds an event to the audit. It lasts when Record returns.
func (h *History) Record(e fleet.Event) error {
	line, err := json.Marshal(auditLine{header{schema}, e})
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.alone()()
	info, err := h.root.Lstat(auditFile)
	switch {
	case err == nil && !info.Mode().IsRegular(): // a link is not followed
		return fmt.Errorf("audit: %s/%s is no regular file", h.dir, auditFile)
	case err == nil && info.Size() > maxAudit:
		err = h.root.Rename(auditFile, auditOlder)
	case missing(err):
		err = nil
	}
	if err == nil {
		err = h.add(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("audit: %s is not written down: %w", e.Kind, err)
	}
	return nil
}

// add writes a line at the end, in one go. The caller is alone: while another
// writes, the file may already have its new length and not yet its last byte.
func (h *History) add(line []byte) error {
	f, err := h.root.OpenFile(auditFile, os.O_RDWR|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	last := []byte{'\n'}
	if info, err := f.Stat(); err == nil && info.Size() > 0 {
		_, _ = f.ReadAt(last, info.Size()-1)
	}
	if last[0] != '\n' { // the disk was full, or the machine stopped, in the middle of a line
		line = append([]byte{'\n'}, line...)
	}
	_, err = f.Write(line)
	return errors.Join(err, f.Sync(), f.Close())
}

// Audit gives what was done from this machine, oldest first. Lines that cannot
// be read are left out, and counted in the error: they do not hide the others.
func (h *History) Audit() ([]fleet.Event, error) {
	var events []fleet.Event
	var errs []error
	for _, name := range []string{auditOlder, auditFile} {
		data, err := h.read(name)
		switch {
		case missing(err):
		case err != nil:
			errs = append(errs, fmt.Errorf("audit: %w", err))
		default:
			more, err := parseAudit(data)
			events, errs = append(events, more...), append(errs, err)
		}
	}
	return events, errors.Join(errs...)
}

// parseAudit reads the lines of a file.
func parseAudit(data []byte) ([]fleet.Event, error) {
	var events []fleet.Event
	bad := 0
	for line := range bytes.Lines(data) {
		var l auditLine
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := json.Unmarshal(line, &l); err != nil || l.Schema != schema {
			bad++
			continue
		}
		events = append(events, clean(l.Event))
	}
	if bad > 0 {
		return events, fmt.Errorf("audit: %s cannot be read", fleet.Count(bad, "line"))
	}
	return events, nil
}

// clean makes the texts of an event fit for a screen: they come from hosts, by
// way of a file.
func clean(e fleet.Event) fleet.Event {
	for _, s := range []*string{&e.Host, &e.Text, &e.Source, &e.ID, &e.Who, &e.Client, &e.Revision, &e.Result, &e.From.Path, &e.To.Path} {
		*s = fleet.Clean(strings.TrimSpace(*s))
	}
	return e
}
