package services

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/internal/systemd"
	"github.com/sextant-fleet/sextant/fleet/link"
)

//go:embed declared.sh
var declaredScript string

// Bounds of one reading of what a host declares.
const (
	declaredTime  = 25 * time.Second
	declaredBytes = 8 << 20
	maxRegistry   = 256 << 10
	maxEntries    = 1000
	maxServices   = 2000
	maxMapped     = 20   // ports of one entry
	maxFolders    = 50   // of one container
	maxListed     = 3000 // names in one section of an answer
	maxQuadlets   = 1000
	maxMounts     = 500 // containers of one engine
	settled       = 180 * time.Second
	declaredFrom  = "/etc/services.json and systemd"
)

// Declares reads what the modules of a host say should be there.
func Declares(ctx context.Context, l link.Link) fleet.Fact[fleet.Declared] {
	ctx, cancel := context.WithTimeout(ctx, declaredTime)
	defer cancel()
	mark := rand.Text()
	cmd := link.Script(declaredScript, mark)
	cmd.IfRoot, cmd.Limit = true, declaredBytes
	res, err := l.Run(ctx, cmd)
	var d fleet.Declared
	if err == nil {
		d, err = parseDeclared(string(res.Stdout), mark)
	}
	if err != nil {
		return fleet.Unknown[fleet.Declared](fmt.Errorf("what %s declares: %w", l.Host().Name, err), time.Now(), declaredFrom)
	}
	return fleet.Known(d, time.Now(), declaredFrom)
}

// parts are the sections of an answer, by their names.
type parts map[string]string

func (t parts) lines(name string) []string {
	return slices.DeleteFunc(strings.Split(t[name], "\n"), func(l string) bool { return l == "" })
}

// number is a section that is one; ok is false where it is not.
func (t parts) number(name string) (n int64, ok bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(t[name]), 10, 64)
	return n, err == nil
}

func (t parts) has(name string) bool { _, ok := t[name]; return ok }

// parseDeclared reads what declared.sh prints.
func parseDeclared(out, mark string) (fleet.Declared, error) {
	t := parts(link.Sections(out, mark))
	if !t.has("end") {
		return fleet.Declared{}, errors.New("the answer has no end")
	}
	d := fleet.Declared{Units: []fleet.DeclaredUnit{}}
	if top := fleet.Clean(strings.TrimSpace(t["toplevel"])); strings.HasPrefix(top, "/nix/store/") {
		d.Toplevel = top
	}
	d.Settled, d.Why = t.settled(d.Toplevel != "")
	d.Registry = t.registry(&d)
	switch {
	case t.has("no-systemd"):
		d.Unseen = append(d.Unseen, "units: systemd does not run there")
		return d, nil
	case !t.has("shown"), !strings.Contains(t["show"], "Id="):
		return d, errors.New("systemctl does not tell all units")
	}
	if err := t.cut(); err != nil {
		return d, err
	}
	d.Units = t.units()
	if n := len(d.Units); n > maxServices {
		d.Unseen = append(d.Unseen, fmt.Sprintf("units: only the first %d of %d are known", maxServices, n))
		d.Units = d.Units[:maxServices]
	}
	for i := range d.Registry.Entries {
		e := &d.Registry.Entries[i]
		for _, name := range fleet.EntryUnits(e.Name) {
			if u, ok := d.Unit(name); ok && e.Unit == "" {
				e.Unit = u.Name
			}
		}
	}
	d.Data = t.mounts(&d)
	return d, nil
}

// cut tells where a list is longer than is taken in: what is not in it would be taken
// for what is not of the system.
func (t parts) cut() error {
	for _, c := range []struct {
		section string
		most    int
	}{{"modules", maxListed}, {"wants", maxListed}, {"etc", maxListed}, {"quadlets", maxQuadlets}} {
		if len(t.names(c.section)) > c.most {
			return fmt.Errorf("there are more than %d (%s)", c.most, c.section)
		}
	}
	return nil
}

// settled tells whether boot and switch are long enough ago.
func (t parts) settled(nixos bool) (is bool, why string) {
	up, ok := t.number("uptime")
	if !ok {
		return false, "how long it is up is not known"
	}
	age, dated := t.number("age")
	switch {
	case up < int64(settled.Seconds()):
		return false, "it was booted just now"
	case nixos && !dated:
		return false, "when it was switched to its system is not known"
	case nixos && age < int64(settled.Seconds()): // below 0: the clock was set back
		return false, "it was switched to its system just now"
	}
	return true, ""
}

// entryJSON is a service of the registry.
type entryJSON struct {
	Listen  any `json:"listenPort"`
	Expose  any `json:"exposePort"`
	Mapping any `json:"portMapping"`
}

// registry reads /etc/services.json.
func (t parts) registry(d *fleet.Declared) fleet.Registry {
	if t.has("registry-unread") {
		return fleet.Registry{There: true, Err: fleet.Clean(t["registry-unread"])}
	}
	if !t.has("registry") {
		return fleet.Registry{}
	}
	r, text := fleet.Registry{There: true}, []byte(t["registry"])
	if len(text) > maxRegistry {
		r.Err = fmt.Sprintf("it is larger than %d kB", maxRegistry>>10)
		return r
	}
	entries, err := parseRegistry(text)
	if err != nil {
		r.Err = err.Error()
		return r
	}
	if n := len(entries); n > maxEntries {
		d.Unseen = append(d.Unseen, fmt.Sprintf("registry: only the first %d of %d services are known", maxEntries, n))
		entries = entries[:maxEntries]
	}
	r.Entries = entries
	return r
}

// parseRegistry reads {"NAME":{"listenPort":8096,"exposePort":18096,"portMapping":"18096:8096"}},
// in which any of them may be null.
func parseRegistry(text []byte) ([]fleet.RegistryEntry, error) {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0:
		return nil, errors.New("it is empty")
	case text[0] == '<':
		return nil, errors.New("it is HTML or XML, and no registry")
	}
	var in map[string]json.RawMessage
	if err := json.Unmarshal(text, &in); err != nil || in == nil {
		return nil, errors.New(`it is no registry: not an object of services in JSON`)
	}
	var list []fleet.RegistryEntry
	all, proxy := map[string]entryJSON{}, map[uint16]int{}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		var e entryJSON
		if json.Unmarshal(in[name], &e) != nil || bytes.Equal(bytes.TrimSpace(in[name]), []byte("null")) {
			return nil, fmt.Errorf("it is no registry: %s is no service", strconv.Quote(fleet.Short(fleet.Clean(name), 40)))
		}
		all[name] = e
		proxy[portIn(e.Expose)]++
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if clean := fleet.Short(fleet.Clean(name), 80); clean != "" {
			list = append(list, fleet.RegistryEntry{Name: clean, Ports: all[name].ports(proxy)})
		}
	}
	return own(list), nil
}

// ports are those of the host: where it is exposed or mapped, the port at which it
// listens is inside its container. A port at which several are exposed, which proxy
// tells, is the proxy's and none of theirs.
func (e entryJSON) ports(proxy map[uint16]int) (list []uint16) {
	for _, p := range append([]uint16{portIn(e.Expose)}, mapped(e.Mapping)...) {
		if p != 0 && !slices.Contains(list, p) && proxy[p] < 2 {
			list = append(list, p)
		}
	}
	if p := portIn(e.Listen); p != 0 && len(list) == 0 && e.Mapping == nil {
		list = append(list, p)
	}
	return list
}

// own leaves entries the ports that are theirs alone: some fleets write the port of
// the proxy for all of them.
func own(list []fleet.RegistryEntry) []fleet.RegistryEntry {
	have := map[uint16]int{}
	for _, e := range list {
		for _, p := range e.Ports {
			have[p]++
		}
	}
	for i := range list {
		list[i].Ports = slices.DeleteFunc(list[i].Ports, func(p uint16) bool { return have[p] > 1 })
	}
	return list
}

// portIn is a port as a number or a text; 0 none.
func portIn(v any) uint16 {
	switch n := v.(type) {
	case float64:
		if n >= 1 && n <= 65535 && n == float64(uint16(n)) {
			return uint16(n)
		}
	case string:
		p, _ := strconv.ParseUint(n, 10, 16)
		return uint16(p)
	}
	return 0
}

// mapped are the host's ports of a mapping: "18096:8096", or several.
func mapped(v any) []uint16 {
	var list []any
	switch m := v.(type) {
	case string:
		list = []any{m}
	case []any:
		list = m[:min(len(m), maxMapped)]
	}
	var out []uint16
	for _, one := range list {
		text, _ := one.(string)
		text, _, _ = strings.Cut(text, "/")
		parts := strings.Split(text, ":")
		if len(parts) < 2 {
			continue
		}
		if p := portIn(parts[len(parts)-2]); p != 0 {
			out = append(out, p)
		}
	}
	return out
}

// names are the files of a folder of units, and where they lead.
func (t parts) names(section string) map[string]string {
	all := map[string]string{}
	for _, l := range t.lines(section) {
		name, to, _ := strings.Cut(l, "\t")
		all[name] = to
	}
	return all
}

// units joins what the system has with what systemd tells.
func (t parts) units() []fleet.DeclaredUnit {
	modules, etc, quadlets := t.names("modules"), t.names("etc"), t.names("quadlets")
	shown, byName := t.shown()
	wanted := wantedBy(t.lines("wants"), byName)
	all := map[string]fleet.DeclaredUnit{}
	aliases := map[string]bool{}
	for id, p := range shown {
		if !strings.HasSuffix(id, ".service") || p["LoadState"] == "not-found" && p["ActiveState"] == "inactive" {
			continue
		}
		u := shownUnit(p)
		u.Idle = slices.DeleteFunc(slices.Clone(u.Starters), func(by string) bool { p := byName[by]; return p == nil || p["ActiveState"] != "inactive" })
		for _, n := range strings.Fields(p["Names"]) {
			if n != id {
				u.Names, aliases[n] = append(u.Names, n), true
			}
			u.WantedBy = append(u.WantedBy, wanted[n]...)
		}
		u.Origin, u.File = t.origin(u, p, modules, etc, quadlets)
		all[id] = u
	}
	for name, to := range modules { // not loaded
		if _, ok := all[name]; !ok && !aliases[name] {
			all[name] = fleet.DeclaredUnit{Name: fleet.Clean(name), Origin: fleet.FromModules, File: "/etc/systemd/system/" + fleet.Clean(name), WantedBy: wanted[name], Masked: to == "/dev/null"}
		}
	}
	list := make([]fleet.DeclaredUnit, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[name])
	}
	return list
}

// shown are the properties that systemctl shows, by what units are called, and by all
// their names: default.target is multi-user.target.
func (t parts) shown() (byID, byName map[string]map[string]string) {
	byID, byName = map[string]map[string]string{}, map[string]map[string]string{}
	for block := range strings.SplitSeq(t["show"], "\n\n") {
		p := systemd.Properties(block)
		if p["Id"] == "" {
			continue
		}
		byID[p["Id"]], byName[p["Id"]] = p, p
		for _, n := range strings.Fields(p["Names"]) {
			byName[n] = p
		}
	}
	return byID, byName
}

// wantedBy are, of each unit, those that are active and want it.
func wantedBy(lines []string, shown map[string]map[string]string) map[string][]string {
	wanted := map[string][]string{}
	for _, l := range lines {
		folder, name, _ := strings.Cut(l, "/")
		by := strings.TrimSuffix(strings.TrimSuffix(folder, ".wants"), ".requires")
		if p := shown[by]; p != nil && p["ActiveState"] == "active" && !slices.Contains(wanted[name], by) {
			wanted[name] = append(wanted[name], fleet.Clean(by))
		}
	}
	return wanted
}

// shownUnit is a unit as systemctl shows it.
func shownUnit(p map[string]string) fleet.DeclaredUnit {
	u := fleet.DeclaredUnit{
		Name: p["Id"], Active: p["ActiveState"], Sub: p["SubState"], Result: p["Result"], Type: p["Type"], Restart: p["Restart"],
		Masked: p["LoadState"] == "masked", Starters: strings.Fields(p["TriggeredBy"]),
		Stays:   p["RemainAfterExit"] == "yes",
		Ran:     !systemd.Stamp(p["ExecMainStartTimestamp"]).IsZero(),
		Skipped: p["ConditionResult"] == "no" && !systemd.Stamp(p["ConditionTimestamp"]).IsZero(),
		Job:     p["Job"] != "" && p["Job"] != "0",
	}
	for _, dir := range strings.Fields(p["StateDirectory"]) {
		dir, _, _ = strings.Cut(dir, ":")
		if p["DynamicUser"] == "yes" { // /var/lib has only a link to it
			dir = path.Join("private", dir)
		}
		u.State = append(u.State, path.Join("/var/lib", dir))
	}
	return u
}

// origin tells where a unit comes from.
func (t parts) origin(u fleet.DeclaredUnit, p map[string]string, modules, etc, quadlets map[string]string) (from fleet.Origin, file string) {
	file = p["FragmentPath"]
	base := u.Name
	if at := strings.IndexByte(base, '@'); at >= 0 {
		base = base[:at+1] + ".service" // of the template
	}
	has := func(files map[string]string) bool {
		_, own := files[u.Name]
		_, template := files[base]
		return own || template || slices.ContainsFunc(u.Names, func(n string) bool { _, ok := files[n]; return ok })
	}
	source := p["SourcePath"]
	switch {
	case strings.HasPrefix(file, "/run/systemd/transient/"):
		return fleet.FromTransient, file
	case strings.HasSuffix(source, ".container"):
		if to := quadlets[source]; strings.HasPrefix(to, "/nix/store/") || strings.HasPrefix(source, "/usr/") {
			return fleet.FromQuadlet, source
		}
		if !t.has("modules") && strings.HasPrefix(source, "/etc/") {
			return fleet.FromQuadlet, source // not NixOS: there is no other place for them
		}
		return fleet.FromHand, source
	case has(modules):
		return fleet.FromModules, file
	case strings.Contains(file, "/systemd/generator"):
		return fleet.FromGenerator, file
	case file == "" && p["LoadState"] == "not-found", file == "" && u.Runs() && !u.Masked:
		return fleet.FromNowhere, ""
	case strings.HasPrefix(file, "/etc/systemd/"), strings.HasPrefix(file, "/run/"):
		if !t.has("modules") && strings.HasPrefix(file, "/etc/") {
			return fleet.FromPackage, file // likewise
		}
		if t.has("modules") && strings.HasPrefix(file, "/etc/") && !has(etc) {
			return fleet.FromNowhere, file
		}
		return fleet.FromHand, file
	case strings.HasPrefix(file, "/nix/store/") && t.has("modules"):
		return fleet.FromModules, file // of a package that the system brings: systemd's own
	}
	return fleet.FromPackage, file
}

// mounts are the folders and volumes of containers, by name; nil: not told.
func (t parts) mounts(d *fleet.Declared) map[string][]string {
	var all map[string][]string
	for _, engine := range []string{"podman", "docker"} {
		if !t.has("mounts " + engine) {
			continue
		}
		if !t.has("mounted " + engine) {
			d.Unseen = append(d.Unseen, "what containers of "+engine+" mount: it does not tell")
			continue
		}
		if all == nil {
			all = map[string][]string{}
		}
		lines := t.lines("mounts " + engine)
		if len(lines) > maxMounts {
			d.Unseen = append(d.Unseen, fmt.Sprintf("what containers of %s mount: only of the first %d", engine, maxMounts))
			lines = lines[:maxMounts]
		}
		for _, l := range lines {
			f := strings.Split(l, "\t")
			name, folders := fleet.Clean(strings.TrimPrefix(f[0], "/")), []string{}
			for _, m := range f[1:min(len(f), maxFolders)] {
				if kind, from, _ := strings.Cut(m, " "); (kind == "bind" || kind == "volume") && strings.HasPrefix(from, "/") {
					folders = append(folders, fleet.Clean(path.Clean(from)))
				}
			}
			all[name] = folders
		}
	}
	return all
}
