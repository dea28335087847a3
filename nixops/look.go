package nixops

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Preflight is what speaks for and against activating a toplevel on a host. It
// was read there; nothing was changed.
type Preflight struct {
	There     bool   // the toplevel is in the host's store
	Special   string // the name of the specialisation that runs; "": none does
	Run       string // the one of that name in the toplevel, a store path; "": it has none
	Host      string // the host's own name, and the one in the toplevel
	Hostname  string
	Arch      string // uname -m
	System    string // of the toplevel, as nix names it: x86_64-linux
	Systemd   bool
	Root      bool
	Programs  map[string]bool
	Free      map[string]int64 // bytes: "store", "state", "boot"
	Boot      string           // where the boot menu's files are
	BootNeed  int64            // bytes that the system's files will take there; 0 too where that is not seen
	Busy      []string         // deploys that are under way
	Inhibitor []string         // critical components that differ: "dbus: a -> b"
	Init      bool             // the new system wants another init: it can only be booted
	Kernel    bool             // another kernel
	Ways      []string         // units by which the host is reached, that differ
	Locked    string           // who switches the host just now, by the lock of NixOS; "": nobody
	Pull      []string         // what else deploys to this host by itself
}

// look asks the host.
func look(ctx context.Context, l link.Link, toplevel string, limits Limits) (Preflight, error) {
	ctx, cancel := limits.preflight(ctx)
	defer cancel()
	out, err := guard(ctx, l, "look", toplevel)
	if err != nil {
		return Preflight{}, err
	}
	if lastLine(out) != "looked" {
		return Preflight{}, fmt.Errorf("%s: the look before the deploy broke off", l.Host().Name)
	}
	return parseLook(out), nil
}

// parseLook reads the lines of "guard look".
func parseLook(out []byte) Preflight {
	p := Preflight{Programs: map[string]bool{}, Free: map[string]int64{}}
	inhibitors := map[string]map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		word, text, _ := strings.Cut(fleet.Clean(lines.Text()), " ")
		first, second, _ := strings.Cut(text, " ")
		switch word {
		case "uid":
			p.Root = text == "0"
		case "host":
			p.Host, p.Arch = first, second
		case "there":
			p.There = true
		case "special":
			p.Special = text
		case "run":
			p.Run = text
		case "hostname":
			p.Hostname = text
		case "system":
			p.System = text
		case "systemd":
			p.Systemd = true
		case "has":
			p.Programs[text] = true
		case "free":
			if kb, err := strconv.ParseInt(second, 10, 64); err == nil {
				p.Free[first] = kb << 10
			}
		case "boot":
			p.Boot = text
		case "need":
			if kb, err := strconv.ParseInt(second, 10, 64); err == nil && kb > 0 {
				p.BootNeed = kb << 10
			}
		case "busy":
			p.Busy = append(p.Busy, text)
		case "inhibitors":
			var m map[string]string
			if json.Unmarshal([]byte(second), &m) == nil {
				inhibitors[first] = m
			}
		case "init":
			p.Init = true
		case "kernel":
			p.Kernel = true
		case "way":
			p.Ways = append(p.Ways, text)
		case "locked":
			p.Locked = text
		case "pull":
			p.Pull = append(p.Pull, text)
		}
	}
	p.Inhibitor = differing(inhibitors["prev"], inhibitors["run"])
	return p
}

// differing are the keys in both with different values, as switch-to-configuration
// compares them (nixpkgs#473282).
func differing(before, after map[string]string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(after)) {
		if old, ok := before[k]; ok && old != after[k] {
			out = append(out, fmt.Sprintf("%s: %s -> %s", k, old, after[k]))
		}
	}
	return out
}

// Room that a deploy needs beside the closure itself: for what it writes down,
// and for the entries of the boot menu, beside kernels and initrds.
const (
	stateRoom = 4 << 20
	bootRoom  = 256 << 10
)

// refusal is what speaks against it so much that nothing is begun; nil: nothing.
func (p Preflight) refusal(host fleet.Host, c Change) *Refusal {
	no := func(why, cure string) *Refusal { return &Refusal{Host: host.Name, Why: why, Cure: cure} }
	switch {
	case !p.There:
		return no("the system is not in its store", "copy it there first, or choose a generation that is there")
	case !p.Systemd:
		return no("systemd does not run there", "the guard runs as a unit of systemd")
	case !p.Programs["systemd-run"] || !p.Programs["nix-env"] || !p.Programs["timeout"]:
		return no("systemd-run, nix-env and timeout are not all there", "is this a NixOS host?")
	case len(p.Busy) > 0:
		r := no(strings.Join(p.Busy, ", "), "confirm or cancel it first: sextant confirm|cancel "+host.Name)
		r.Busy = true
		return r
	case p.Locked != "":
		r := no("another program switches it just now: "+p.Locked, "wait for its end")
		r.Busy = true
		return r
	case p.Hostname != "" && p.Hostname != p.Host && p.Hostname != c.As:
		return no("the system is of "+p.Hostname+", this host is "+p.Host, "deploy it there, or name the host it is of: --as "+p.Hostname)
	case p.System != "" && !runsOn(p.System, p.Arch):
		return no("the system is for "+p.System+", this host is "+p.Arch, "build it for this host")
	case p.Free["state"] < stateRoom && has(p.Free, "state"):
		return no("its /var is full", "free some space there")
	case has(p.Free, "boot") && p.Free["boot"] < p.BootNeed+bootRoom && c.Action != "test":
		return no(fmt.Sprintf("its %s has %s free, and the boot menu with this system needs %s", cmp.Or(p.Boot, "boot partition"), inUnits(p.Free["boot"]), inUnits(p.BootNeed+bootRoom)),
			"delete old generations: sextant garbage "+host.Name+" --keep 3")
	case len(p.Inhibitor) > 0 && c.Action != "boot":
		return no("critical components change: "+strings.Join(p.Inhibitor, ", "), c.byReboot(host))
	case p.Init && c.Action != "boot":
		return no("the new system wants another init", c.byReboot(host))
	}
	return nil
}

// byReboot is how a change is made that only a reboot can do.
func (c Change) byReboot(host fleet.Host) string {
	if c.Kind == "rollback" {
		return fmt.Sprintf("only a reboot can do it: sextant rollback %s --to %d --boot, then sextant reboot %s", host.Name, c.To.Generation, host.Name)
	}
	return "deploy with --action boot and reboot"
}

// tellSpecial tells what becomes of the specialisation that runs.
func (p Preflight) tellSpecial() []string {
	switch {
	case p.Special == "":
		return nil
	case p.Run != "":
		return []string{"specialisation " + p.Special + " runs, and that of the same name will"}
	}
	return []string{"specialisation " + p.Special + " runs now; the new system has none of that name, and runs itself"}
}

// tellWays tells which of the ways in change.
func (p Preflight) tellWays() []string {
	if len(p.Ways) == 0 {
		return nil
	}
	return []string{"the way in changes with it: " + strings.Join(p.Ways, ", ")}
}

func has(m map[string]int64, k string) bool { _, ok := m[k]; return ok }

// runsOn tells whether a nix system runs on a machine of uname's name.
func runsOn(system, arch string) bool {
	cpu, _, _ := strings.Cut(system, "-")
	switch arch {
	case "x86_64":
		return cpu == "x86_64" || cpu == "i686"
	case "armv7l", "armv6l", "i686", "aarch64", "riscv64":
		return cpu == arch || arch == "aarch64" && cpu == "armv7l"
	}
	return true // a machine that we do not know the name of
}

// window is how long a host waits for its confirmation.
func (p Preflight) window(l Limits) Limits {
	if l.Confirm == 0 && len(p.Ways) > 0 {
		l.Confirm = longConfirm
	}
	return l
}
