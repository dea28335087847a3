//go:build lab

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/test/labtest"
)

// inside runs a program of the shell in a host of the lab as root: without
// SSH, and without anything of ours.
func inside(t testing.TB, host, script string) string {
	t.Helper()
	cmd, err := labtest.Load(t).Inside(host, script)
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %s: %v: %s", host, script, err, errs.String())
	}
	return string(out)
}

// rows are the lines of a command's output, in words.
func rows(out string) [][]string {
	var all [][]string
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 0 {
			all = append(all, f)
		}
	}
	return all
}

// system is which systems a host says it has.
type system struct{ Running, Default, Booted, Version string }

// systemOf asks readlink.
func systemOf(t testing.TB, host string) system {
	t.Helper()
	out := strings.Split(inside(t, host, `readlink -f /run/current-system /nix/var/nix/profiles/system /run/booted-system; cat /run/current-system/nixos-version`), "\n")
	return system{out[0], out[1], out[2], out[3]}
}

// rebootWhy is what differs between the system that was booted and the one that runs.
func rebootWhy(t testing.TB, host string) []string {
	t.Helper()
	return strings.Fields(inside(t, host, `for k in kernel initrd kernel-modules systemd; do
		[ "$(readlink -f /run/booted-system/$k)" = "$(readlink -f /run/current-system/$k)" ] || echo $k; done`))
}

// generation is a link of the system profile, and what it leads to.
type generation struct {
	Path, Version string
	Made          time.Time
	InMenu        bool // the boot menu has it
}

// generationsOf lists the links of the profile, by number.
func generationsOf(t testing.TB, host string) map[int]generation {
	t.Helper()
	out := map[int]generation{}
	for _, f := range rows(inside(t, host, `cd /nix/var/nix/profiles || exit 1
		for l in system-*-link; do
			n=${l#system-} n=${n%-link} p=$(readlink -f $l)
			echo $n $p $(stat -c %Y $l) $(cat $p/nixos-version) $(grep -ls "^version Generation $n " /boot/loader/entries/nixos-*.conf | xargs -r grep -lx 'title NixOS' | wc -l)
		done`)) {
		n, _ := strconv.Atoi(f[0])
		made, _ := strconv.ParseInt(f[2], 10, 64)
		out[n] = generation{Path: f[1], Version: f[3], Made: time.Unix(made, 0), InMenu: f[4] != "0"}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no generations", host)
	}
	return out
}

// numbered is the number of the generation that is a system, 0 where none is.
func numbered(all map[int]generation, path string) int {
	for _, n := range slices.Sorted(maps.Keys(all)) {
		if all[n].Path == path {
			return n
		}
	}
	return 0
}

// container is a container as its engine tells of it.
type container struct {
	Engine, User, Name, State, Health string
	Exit                              int // of its main process, once that has ended
}

// containersOf asks every engine of a host: root's Podman, that of each user
// who has one, Docker; and systemd for the units that should run a container
// and do not.
func containersOf(t testing.TB, h labtest.Host) []container {
	t.Helper()
	var all []container
	has := func(what string) bool { return slices.Contains(h.Runs, what) }
	if has("podman") {
		all = append(all, podmanPS(t, h.Name, "root", "podman ps -a --format json")...)
		all = append(all, vanished(t, h.Name, all)...)
	}
	for _, p := range peopleOf(t, h.Name) {
		if has("podman") && p.engine {
			list := podmanPS(t, h.Name, p.name, p.as("podman ps -a --format json"))
			all = append(append(all, list...), gone(t, h.Name, p, list)...)
		}
	}
	if has("docker") {
		for _, f := range rows(inside(t, h.Name, `docker ps -aq | xargs -r docker inspect -f '{{.Name}} {{.State.Status}} {{.State.ExitCode}}'`)) {
			exit, _ := strconv.Atoi(f[2])
			all = append(all, container{"docker", "root", strings.TrimPrefix(f[0], "/"), f[1], "", exit})
		}
	}
	return all
}

func podmanPS(t testing.TB, host, user, command string) []container {
	t.Helper()
	var told []struct {
		Names         []string
		State, Status string
		ExitCode      int
	}
	if err := json.Unmarshal([]byte(inside(t, host, command)), &told); err != nil {
		t.Fatal(err)
	}
	var all []container
	for _, c := range told {
		_, health, _ := strings.Cut(strings.TrimSuffix(c.Status, ")"), "(")
		if !slices.Contains([]string{"healthy", "unhealthy", "starting"}, health) {
			health = ""
		}
		all = append(all, container{"podman", user, c.Names[0], c.State, health, c.ExitCode})
	}
	return all
}

// person is a user of a host with a systemd of their own.
type person struct {
	name, home, id string
	engine         bool // there is a Podman of theirs
}

// as is a command as that person runs it.
func (p person) as(command string) string {
	return fmt.Sprintf(`cd / && runuser -u %s -- env HOME=%s XDG_RUNTIME_DIR=/run/user/%s DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/%s/bus %s`, p.name, p.home, p.id, p.id, command)
}

// peopleOf are those whose systemd runs.
func peopleOf(t testing.TB, host string) []person {
	t.Helper()
	var all []person
	for _, f := range rows(inside(t, host, `getent passwd | while IFS=: read -r user _ id _ _ home _; do
		[ $id -lt 1000 ] || [ ! -S /run/user/$id/systemd/private ] || echo $user $home $id $([ ! -d $home/.local/share/containers ] || echo podman); done`)) {
		all = append(all, person{f[0], f[1], f[2], len(f) > 3})
	}
	return all
}

// gone are the containers of a person's quadlets that are not there.
func gone(t testing.TB, host string, p person, there []container) []container {
	t.Helper()
	var all []container
	for _, f := range rows(inside(t, host, `cd `+p.home+`/.config/containers/systemd 2>/dev/null || exit 0
		for q in *.container; do name=$(sed -n 's/^ContainerName=//p' $q); echo ${name:-systemd-${q%.container}} ${q%.container}.service; done`)) {
		if !slices.ContainsFunc(there, func(c container) bool { return c.Name == f[0] }) {
			exit, _ := strconv.Atoi(strings.TrimSpace(inside(t, host, p.as("systemctl --user show -p ExecMainStatus --value "+f[1]))))
			all = append(all, container{"podman", p.name, f[0], "absent", "", exit})
		}
	}
	return all
}

// vanished are containers that a unit should run, and that are not there.
func vanished(t testing.TB, host string, there []container) []container {
	t.Helper()
	var all []container
	for _, unit := range strings.Fields(inside(t, host, `cd /etc/systemd/system && grep -ls 'podman run' podman-*.service || true`)) {
		name := strings.TrimSuffix(strings.TrimPrefix(unit, "podman-"), ".service")
		if !slices.ContainsFunc(there, func(c container) bool { return c.Name == name }) {
			exit, _ := strconv.Atoi(strings.TrimSpace(inside(t, host, "systemctl show -p ExecMainStatus --value "+unit)))
			all = append(all, container{"podman", "root", name, "absent", "", exit})
		}
	}
	return all
}

// unitsOf asks systemctl: what runs and what starts it, and what failed of any kind. Units that
// come and go by the minute, with health checks, are left out.
func unitsOf(t testing.TB, host string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, f := range rows(inside(t, host, `systemctl list-units --all --plain --no-legend --full --no-pager`)) {
		kind := f[0][strings.LastIndexByte(f[0], '.')+1:]
		if (slices.Contains([]string{"service", "socket", "timer", "path"}, kind) && f[1] != "not-found" || f[2] == "failed") && !passing(f[0]) {
			all[f[0]] = f[2] + "/" + f[3]
		}
	}
	return all
}

// passing tells units that come and go while nobody does anything: health
// checks, logins, and what timers and sockets start for a moment.
func passing(unit string) bool {
	for _, p := range []string{"user@", "user-runtime-dir@", "session-", "run-", "systemd-", "restic-backups-", "podman.service", "sysstat", "e2scrub", "dpkg-db", "apt-"} {
		if strings.HasPrefix(unit, p) {
			return true
		}
	}
	return healthCheck(unit)
}

// healthCheck tells a unit in which Podman checks a container's health.
func healthCheck(unit string) bool {
	return len(unit) > 64 && strings.Trim(unit[:64], "0123456789abcdef") == ""
}

// failedOf are the units that failed, sorted: the system's, and each user's own
// with the name of the user.
func failedOf(t testing.TB, host string) []string {
	t.Helper()
	const list = `list-units --failed --plain --no-legend --full --no-pager`
	var all []string
	for _, f := range rows(inside(t, host, `systemctl `+list)) {
		all = append(all, f[0])
	}
	for _, p := range peopleOf(t, host) {
		for _, f := range rows(inside(t, host, p.as(`systemctl --user `+list))) {
			all = append(all, p.name+": "+f[0])
		}
	}
	slices.Sort(all)
	return all
}

// disk is a line of df.
type disk struct {
	Source, Type      string
	Total, Used, Free uint64
}

// disksOf asks df, by where they are mounted.
func disksOf(t testing.TB, host string) map[string]disk {
	t.Helper()
	all := map[string]disk{}
	for _, f := range rows(inside(t, host, `df -P -T -l -B1`))[1:] {
		n := func(i int) uint64 { v, _ := strconv.ParseUint(f[i], 10, 64); return v }
		all[f[6]] = disk{Source: f[0], Type: f[1], Total: n(2), Used: n(3), Free: n(4)}
	}
	return all
}

// memoryOf is how much memory the kernel says there is.
func memoryOf(t testing.TB, host string) uint64 {
	t.Helper()
	kb, _ := strconv.ParseUint(strings.TrimSpace(inside(t, host, `awk '/^MemTotal/ { print $2 }' /proc/meminfo`)), 10, 64)
	return kb << 10
}

// backup is a job as its unit, its timer and its repository tell of it.
type backup struct {
	Tool, Unit, Result, Exit string
	Ended                    time.Time // the last run
	Snapshots                []time.Time
}

// backupsOf asks systemd for the jobs there are and how they ended, and the
// repositories, through the wrappers on the host, for what they hold.
func backupsOf(t testing.TB, host string) map[string]backup {
	t.Helper()
	all := map[string]backup{}
	for _, f := range rows(inside(t, host, `systemctl list-unit-files --plain --no-legend --no-pager 'restic-backups-*.timer' 'rustic-*.timer' || true`)) {
		unit := strings.TrimSuffix(f[0], ".timer")
		if strings.HasSuffix(unit, "-prune") || strings.HasSuffix(unit, "-check") {
			continue
		}
		tool, _, _ := strings.Cut(unit, "-")
		name := strings.TrimPrefix(strings.TrimPrefix(unit, tool+"-"), "backups-")
		b := backup{Tool: tool, Unit: unit + ".service"}
		for line := range strings.Lines(inside(t, host, "systemctl show --timestamp=unix -p Result,ExecMainStatus,ExecMainExitTimestamp "+b.Unit)) {
			switch key, value, _ := strings.Cut(strings.TrimSpace(line), "="); key {
			case "Result":
				b.Result = value
			case "ExecMainStatus":
				b.Exit = value
			case "ExecMainExitTimestamp":
				if at, err := strconv.ParseInt(strings.TrimPrefix(value, "@"), 10, 64); err == nil {
					b.Ended = time.Unix(at, 0)
				}
			}
		}
		lock := ""
		if tool == "restic" {
			lock = " --no-lock"
		}
		var list any
		if json.Unmarshal([]byte(inside(t, host, fmt.Sprintf("%s-%s snapshots --json%s 2>/dev/null || true", tool, name, lock))), &list) == nil {
			b.Snapshots = snapshotTimes(list)
		}
		all[name] = b
	}
	return all
}

// snapshotTimes finds snapshots in what restic lists and rustic groups.
func snapshotTimes(v any) []time.Time {
	var all []time.Time
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			all = append(all, snapshotTimes(x)...)
		}
	case map[string]any:
		if text, ok := v["time"].(string); ok && v["tree"] != nil {
			if at, err := time.Parse(time.RFC3339Nano, strings.Split(text, "[")[0]); err == nil {
				return []time.Time{at}
			}
		}
		for _, x := range v {
			all = append(all, snapshotTimes(x)...)
		}
	}
	return all
}

// alarmsOf asks the Netdata that has a host's data, by names and states;
// no Netdata gives none.
func alarmsOf(t testing.TB, h labtest.Host) map[string]string {
	t.Helper()
	if !slices.Contains(h.Runs, "netdata") {
		return nil
	}
	path := "/api/v1/alarms?active"
	if h.Name != "storage" { // the parent has the children's
		path = "/host/" + h.Name + path
	}
	var told struct {
		Alarms map[string]struct{ Name, Status string }
	}
	if err := json.Unmarshal([]byte(inside(t, "storage", "curl -fsS http://127.0.0.1:19999"+path)), &told); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, a := range told.Alarms {
		if a.Status == "WARNING" || a.Status == "CRITICAL" {
			all[a.Name] = a.Status
		}
	}
	return all
}
