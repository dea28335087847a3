package simulate

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// known are the shell programs that Sextant sends, by a piece of their text: a
// host that does not exist has no shell to run them. Args are those of the
// shell behind the text. The tests of this package run the rooms that send
// them against simulated hosts, and so notice when one is another.
var known []script

func init() { // not in the declaration: scripts run programs, which run scripts
	known = []script{
		{"# What a host is and has, told in one go", probeProgram},
		{"# The guard: changes a NixOS host's system", guardProgram},
		{"# What two systems of a host are made of", tellDifference},
		{"# The garbage of a NixOS host", garbageProgram},
		{"# All units and timers of a host's systemds", tellUnits},
		{"# One unit: what systemd tells of it", tellUnit},
		{"# Who listens where on a host", tellListens},
		{"# What a host tells of DNS", tellDNS},
		{"# What the modules of a host declare", tellDeclared},
		{"# Which secrets a host decrypts", tellSecrets},
		{"# What the firewall of a host is made of", tellFirewall},
		{"# How a host is on its networks", tellNetworking},
		{"# The counters of a host's links, again and again", tellRates},
		{"# Does something to a unit of systemd", actOnUnit},
		{"# What the start of a unit does to its container's image", tellStart},
		{"# podman auto-update, of who runs this", autoUpdate},
		{"nix-store --check-validity --print-invalid", tellInvalid},
		{sentinel, func(c Call) int { return c.behindSentinel(behind(c.Args)) }},
		{"iflag=fullblock", func(c Call) int { return c.received(behind(c.Args)) }},
		{"sextant: root by", func(c Call) int { return c.elevate(behind(c.Args)) }},
		{"# A tool of a backup, with the credentials of its job", askBackupTool},
		{"# Reads files of a backup back, and compares them", testRestore},
		{"# How a backup stands for being worked on", tellReady},
		{"# Makes a folder for what is restored from a backup", func(Call) int { return 0 }},
		{"# Counts what was restored from a backup", countRestored},
		{"# Keeps how a restore test of a backup ended", keepTest},
		{"# The last restore tests of backups", tellTests},
		{"# When the repositories of backups were checked and pruned", tellChores},
		{"# Begins a unit of a backup", beginBackup},
		{"# How a unit of a backup does, and what it says", tellWork},
		{"read_journal() {", tellJournal},
		{`"_SYSTEMD_USER_UNIT=$name"`, tellUserJournal},
		{"cat /proc/uptime /proc/loadavg /proc/stat /proc/meminfo /proc/net/dev /proc/diskstats", tellCounters},
	}
}

// behind are the arguments behind $0.
func behind(args []string) []string {
	if len(args) > 0 {
		return args[1:]
	}
	return nil
}

// arg gives argument i of a script, "" where there is none.
func (c Call) arg(i int) string {
	if i < len(c.Args) {
		return c.Args[i]
	}
	return ""
}

// tellJournal prints what the journal tells of units: $1 is how many lines of
// each, then a unit and its timer, or "-", for each.
func tellJournal(c Call) int {
	units := behind(behind(c.Args))
	n := c.arg(1)
	fmt.Fprintf(c.Stdout, "uid %d\nsince %d\n", c.uid(), c.machine().began.Add(-journalDays).Unix())
	for ; len(units) >= 2; units = units[2:] {
		fmt.Fprintf(c.Stdout, "unit %s\n", units[0])
		args := []string{"journalctl", "-q", "-r", "-n", n, "-o", "json", "UNIT=" + units[0]}
		for _, id := range []string{msgStarted, msgFailed, msgExit, msgBad, msgWell} {
			args = append(args, "MESSAGE_ID="+id)
		}
		if c.with(args).run() != 0 {
			fmt.Fprintln(c.Stdout, "unread")
		}
		fmt.Fprintf(c.Stdout, "log %s\n", units[0])
		c.with([]string{"journalctl", "-q", "-r", "-n", n, "-o", "json", "_SYSTEMD_UNIT=" + units[0]}).run()
		if units[1] != "-" {
			fmt.Fprintln(c.Stdout, "persistent yes")
		}
	}
	return 0
}

// tellCounters prints the kernel's counters every $1 seconds, with $2 behind
// each turn.
func tellCounters(c Call) int {
	pause, err := strconv.ParseFloat(c.arg(1), 64)
	if err != nil || pause <= 0 {
		return 1
	}
	for {
		var b strings.Builder
		for _, f := range []string{"uptime", "loadavg", "stat", "meminfo", "net/dev", "diskstats"} {
			text, _ := c.machine().file("/proc/"+f, c.now())
			b.WriteString(text)
		}
		for _, kind := range []string{"cpu", "memory", "io"} {
			fmt.Fprintf(&b, "pressure %s %s\n", kind, c.machine().pressure(kind, c.now()))
		}
		if _, err := io.WriteString(c.Stdout, b.String()+c.arg(2)+"\n"); err != nil {
			return 1
		}
		select {
		case <-time.After(time.Duration(pause * float64(time.Second))):
		case <-c.Context.Done():
			return 130
		}
	}
}
