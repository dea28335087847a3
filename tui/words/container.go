package words

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
)

// Pair is a fact with its name, for lists of them.
type Pair struct {
	Name, Value string
	Role        themes.Role // of the value; Text where nothing is remarkable
}

// ContainerConfig tells how a container was made and what it may, in pairs; what
// is as it mostly is, is left out.
func ContainerConfig(c fleet.ContainerConfig) []Pair {
	var list []Pair
	add := func(name, value string, role themes.Role) {
		if value != "" {
			list = append(list, Pair{name, value, role})
		}
	}
	add("command", Command(c.Command), themes.Text)
	add("made by", Command(c.Made), themes.Dim)
	add("error", c.Error, themes.Fail)
	add("killed", when(c.OOMKilled, "it took more memory than it may (OOM)"), themes.Fail)
	add("restarts if", c.Restart, themes.Text)
	add("removed", when(c.AutoRemove, "when it stops (--rm)"), themes.Text)
	add("user", cmp.Or(c.User, "root"), themes.Text)
	add("folder", c.WorkDir, themes.Text)
	add("hostname", c.Hostname, themes.Text)
	add("privileged", when(c.Privileged, "yes: it may what root of the host may"), themes.Warn)
	add("root files", when(c.ReadOnly, "read-only"), themes.Text)
	add("may also", strings.Join(c.CapAdd, " "), themes.Warn)
	add("may not", strings.Join(c.CapDrop, " "), themes.Text)
	add("security", strings.Join(c.Security, " "), themes.Text)
	add("devices", strings.Join(c.Devices, " "), themes.Text)
	add("limits", limits(c), themes.Text)
	add("network", c.NetworkMode, themes.Text)
	add("pid space", c.PIDMode, themes.Text)
	add("ipc space", c.IPCMode, themes.Text)
	add("user space", c.UserNS, themes.Text)
	add("dns", strings.Join(c.DNS, " "), themes.Text)
	add("extra hosts", strings.Join(c.ExtraHosts, " "), themes.Text)
	add("secrets", strings.Join(c.SecretNames, " "), themes.Text)
	add("stopped by", stopping(c), themes.Text)
	add("log driver", c.LogDriver, themes.Text)
	add("runtime", c.Runtime, themes.Text)
	add("digest", c.ImageDigest, themes.Dim)
	if c.PID > 0 {
		add("pid", strconv.Itoa(c.PID), themes.Text)
	}
	return list
}

func when(so bool, word string) string {
	if so {
		return word
	}
	return ""
}

func limits(c fleet.ContainerConfig) string {
	var list []string
	if c.Memory > 0 {
		list = append(list, "memory "+Bytes(c.Memory))
	}
	if c.CPUs > 0 {
		list = append(list, fmt.Sprintf("%g cores", c.CPUs))
	}
	if c.PIDs > 0 {
		list = append(list, fleet.Count(int(c.PIDs), "process"))
	}
	return strings.Join(list, ", ")
}

func stopping(c fleet.ContainerConfig) string {
	if c.StopTimeout > 0 {
		return strings.TrimSpace(fmt.Sprintf("%s, killed after %d s", cmp.Or(c.StopSignal, "SIGTERM"), c.StopTimeout))
	}
	return c.StopSignal
}

// Command is a command as a shell would read it; words that are no plain ones are
// in quotes.
func Command(argv []string) string {
	out := make([]string, len(argv))
	for i, a := range argv {
		if out[i] = a; a == "" || strings.ContainsAny(strings.ReplaceAll(a, fleet.Hidden, ""), " \"'\\$`;&|<>*?(){}[]~#!") {
			out[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}

// ContainerMount tells what is at a path of a container.
func ContainerMount(m fleet.ContainerMount) string {
	s := m.Type
	if m.Name != "" {
		s += " " + m.Name
	}
	if m.Source != "" {
		s += " " + m.Source
	}
	if m.ReadOnly {
		s += ", read-only"
	}
	var more []string
	for _, o := range m.Options {
		if o != "" && o != "ro" && o != "rw" {
			more = append(more, o)
		}
	}
	if len(more) > 0 {
		s += "  " + strings.Join(more, ",")
	}
	return s
}

// ContainerNetwork tells what a container is in a network.
func ContainerNetwork(n fleet.ContainerNetwork) string {
	var list []string
	for _, s := range []string{n.IPv4, n.IPv6, prefixed("via ", n.Gateway), prefixed("mac ", n.MAC), prefixed("also called ", strings.Join(n.Aliases, " "))} {
		if s != "" {
			list = append(list, s)
		}
	}
	return cmp.Or(strings.Join(list, ", "), "no address")
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// ContainerHealth is a health check's state and how often it failed lately.
func ContainerHealth(h fleet.ContainerHealth) Cell {
	c := Cell{Text: cmp.Or(h.Status, "not checked yet"), Role: themes.Warn}
	switch h.Status {
	case "healthy":
		c.Role = themes.OK
	case "unhealthy":
		c.Role = themes.Fail
	case "":
		c.Role = themes.Unknown
	}
	if h.Streak > 0 {
		c.Text += ", failed " + fleet.Count(h.Streak, "time") + " in a row"
	}
	return c
}

// HealthCheck is what is run and how often.
func HealthCheck(h fleet.ContainerHealth) (test, how string) {
	test = Command(h.Test)
	if len(h.Test) > 1 && h.Test[0] == "CMD-SHELL" {
		test = strings.Join(h.Test[1:], " ")
	} else if len(h.Test) > 1 && h.Test[0] == "CMD" {
		test = Command(h.Test[1:])
	}
	var list []string
	for _, p := range []struct {
		name string
		s    fleet.Seconds
	}{{"every ", h.Interval}, {"at most ", h.Timeout}, {"not in the first ", h.Grace}} {
		if p.s > 0 {
			list = append(list, p.name+Span(p.s.Duration()))
		}
	}
	if h.Retries > 0 {
		list = append(list, fmt.Sprintf("unhealthy after %d", h.Retries))
	}
	return test, strings.Join(list, ", ")
}

// ContainerProcess tells of a process; its command comes last.
func ContainerProcess(p fleet.ContainerProcess) string {
	list := []string{p.User, fmt.Sprintf("%.2f", p.CPU)}
	if p.Memory > 0 {
		list = append(list, Bytes(p.Memory))
	}
	if p.Elapsed >= 0 {
		list = append(list, Span(p.Elapsed.Duration()))
	}
	return strings.Join(list, " ") + "  " + p.Command
}

// Port is a published port in full: "0.0.0.0:8443 > 443/tcp".
func Port(p fleet.Port) string {
	s := fmt.Sprintf("%s:%d > %d/%s", cmp.Or(p.HostIP, "*"), p.Host, p.Container, cmp.Or(p.Protocol, "tcp"))
	if p.Range > 1 {
		s += fmt.Sprintf(" (%d ports)", p.Range)
	}
	return s
}
