package nixops

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Freed is what a garbage collection deleted, as nix tells it.
type Freed struct {
	Paths int   `json:"paths"`
	Bytes int64 `json:"bytes"`
}

// String tells it in a few words.
func (f Freed) String() string {
	return fmt.Sprintf("%d store paths deleted, %s freed", f.Paths, inUnits(f.Bytes))
}

// collecting hears what nix-store --gc says.
type collecting struct {
	tell func(string)

	freed   Freed
	deleted int       // paths that it began to delete
	told    time.Time // when the last of those was told
	ended   string    // nix's exit code; "": it did not end
	words   string    // the last that nix said but the end
	last    string    // the last line
}

// hear takes in a line. Of the paths that go by the thousand only some are told.
func (c *collecting) hear(line string) {
	line = fleet.Short(fleet.Clean(line), 300)
	if line == "" {
		return
	}
	c.last = line
	if code, ok := strings.CutPrefix(line, "ended "); ok {
		c.ended = code
		return
	}
	if strings.HasPrefix(line, "refused ") {
		return
	}
	c.words = line
	if freed, ok := parseFreed(line); ok {
		c.freed = freed
		c.tell(line)
		return
	}
	if what, ok := strings.CutPrefix(line, "deleting '"); ok {
		c.deleted++
		if time.Since(c.told) < tellEvery {
			return
		}
		c.told = time.Now()
		line = fmt.Sprintf("deleting path %d: %s", c.deleted, path.Base(strings.TrimSuffix(what, "'")))
	}
	c.tell(line)
}

// failure is why nix did not collect; nil: it did.
func (c *collecting) failure(host string) error {
	switch c.ended {
	case "0":
		return nil
	case "":
		return fmt.Errorf("%s: collecting garbage broke off: %s", host, c.words)
	}
	return fmt.Errorf("%s: nix-store --gc ended with %s: %s", host, c.ended, c.words)
}

// units of nix's own words, which rounds to them.
var units = map[string]float64{"bytes": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

// parseFreed reads "12 store paths deleted, 8.03 MiB freed", with which all versions
// of nix end.
func parseFreed(line string) (Freed, bool) {
	f := strings.Fields(line)
	if len(f) != 7 || f[1] != "store" || strings.TrimSuffix(f[2], "s") != "path" || f[3] != "deleted," || f[6] != "freed" {
		return Freed{}, false
	}
	paths, err := strconv.Atoi(f[0])
	size, wrong := strconv.ParseFloat(f[4], 64)
	unit, known := units[f[5]]
	bytes := size * unit
	if err != nil || wrong != nil || !known || paths < 0 || !(bytes >= 0 && bytes < 1<<62) {
		return Freed{}, false
	}
	return Freed{Paths: paths, Bytes: int64(bytes)}, true
}
