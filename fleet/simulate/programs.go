package simulate

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// builtins are the programs that every host has.
var builtins map[string]Program

func init() { // not in the declaration: programs run other programs
	builtins = map[string]Program{
		"sh": sh, "bash": sh, "env": env, "sudo": sudo, "doas": doas, "run0": run0, "chroot": chroot, "timeout": timeout,
		"true": func(Call) int { return 0 }, "false": func(Call) int { return 1 }, ":": func(Call) int { return 0 },
		"echo": echo, "printf": echo, "cat": cat, "sleep": sleep, "exit": exit,
		"id": id, "whoami": func(c Call) int { return c.say(c.name()) },
		"hostname": func(c Call) int { return c.say(c.Host) }, "uname": uname, "date": func(c Call) int { return c.say(strconv.FormatInt(c.now().Unix(), 10)) },
		"systemctl": systemctl, "journalctl": journalctl, "backup-status": withProgram("backup-status", backupStatus),
		"switch-to-configuration": switchToConfiguration, "podman": withProgram("podman", podmanProgram), "nixos-version": nixosVersion, "readlink": readlink,
	}
}

// withProgram plays a program only where the host has it.
func withProgram(name string, p Program) Program {
	return func(c Call) int {
		for _, have := range c.machine().programs {
			if have == name && (name != "podman" || !c.fault().NoPodman) {
				return p(c)
			}
		}
		return c.notFound(name)
	}
}

func (c Call) say(text string) int {
	if _, err := io.WriteString(c.Stdout, text+"\n"); err != nil {
		return 1
	}
	return 0
}

// sh runs a shell program: one that is known by its text, or a simple line.
func sh(c Call) int {
	text, args := "", []string(nil)
	for i := 1; i < len(c.Args); i++ {
		if a := c.Args[i]; strings.HasPrefix(a, "-") && strings.Contains(a, "c") && i+1 < len(c.Args) {
			text, args = c.Args[i+1], c.Args[i+2:]
			break
		}
	}
	if p := c.h.f.played(text); p != nil {
		return p(c.with(args))
	}
	for _, k := range known {
		if strings.Contains(text, k.piece) {
			return k.play(c.with(args))
		}
	}
	if strings.HasPrefix(text, "PATH=") && strings.HasSuffix(text, `exec "$@"`) {
		return c.with(behind(args)).run()
	}
	return c.line(text)
}

// sentinel stands in the input of a command behind a password for sudo.
const sentinel = "sextant: input begins"

// behindSentinel drops the input up to the sentinel and runs a program.
func (c Call) behindSentinel(args []string) int {
	if l, _ := readLine(c.Stdin); l != sentinel {
		_, _ = readLine(c.Stdin)
	}
	return c.with(args).run()
}

// received runs a program that comes on the input, of the length that is its
// argument: "set --" with its arguments, its text, and a line that ends it.
func (c Call) received(args []string) int {
	length, err := strconv.Atoi(strings.Join(args, " "))
	if err != nil || length < 0 || length > 1<<20 {
		return 2
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(c.Stdin, text); err != nil || !strings.HasSuffix(string(text), "# end of the program") {
		fmt.Fprintln(c.Stderr, "the program did not arrive")
		return 125
	}
	words, program, err := parseFirst(string(text))
	if err != nil || len(words) < 2 || words[0] != "set" {
		return 2
	}
	return c.with(append([]string{"sh", "-c", program, "sextant"}, words[2:]...)).run()
}

// readLine reads a line byte by byte: what comes behind is somebody else's.
func readLine(r io.Reader) (string, error) {
	var line []byte
	one := make([]byte, 1)
	for {
		n, err := r.Read(one)
		if n == 1 && one[0] == '\n' {
			return string(line), nil
		}
		if line = append(line, one[:n]...); err != nil {
			return string(line), err
		}
	}
}

// elevate plays the program by which a command becomes root by itself where it
// can, and says on its first line of error output how.
func (c Call) elevate(args []string) int {
	want := "auto"
	if len(args) > 0 {
		want, args = args[0], args[1:]
	}
	way := "none"
	try := func(w string) bool { return want == "auto" || want == w }
	switch s := c.sudo(); {
	case c.Root:
		way = "root"
	case s == SudoFree && try("sudo"):
		way = "sudo"
	case s == SudoPassword && try("sudo"):
		way = "ask"
	case s == SudoDoas && try("doas"):
		way = "doas"
	case s == SudoRun0 && try("run0"):
		way = "run0"
	}
	c.Root = c.Root || way != "ask" && way != "none"
	fmt.Fprintln(c.Stderr, "sextant: root by", way)
	return c.with(args).run()
}

func (c Call) sudo() Sudo {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	return c.h.login.Sudo
}

func (c Call) password() string {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	return c.h.login.Password
}

// sudo runs a program as root, as sudo 1.9 does with -n and with -S.
func sudo(c Call) int {
	ask, args := false, c.Args[1:]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		flag := args[0]
		args = args[1:]
		switch {
		case flag == "--":
			return c.sudoRun(ask, args)
		case flag == "-S":
			ask = true
		case flag == "-p" && len(args) > 0:
			args = args[1:]
		}
	}
	return c.sudoRun(ask, args)
}

func (c Call) sudoRun(ask bool, args []string) int {
	policy := c.sudo()
	switch {
	case c.Root || policy == SudoFree:
	case policy != SudoPassword:
		return c.notFound("sudo")
	case !ask:
		fmt.Fprintln(c.Stderr, "sudo: a password is required")
		return 1
	default:
		for try := 0; ; try++ {
			line, err := readLine(c.Stdin)
			if line == c.password() && line != "" {
				break
			}
			if try == 2 || err != nil {
				fmt.Fprintf(c.Stderr, "sudo: %d incorrect password attempts\n", try+1)
				return 1
			}
			fmt.Fprintln(c.Stderr, "Sorry, try again.")
		}
	}
	c.Root = true
	return c.with(args).run()
}

func doas(c Call) int { return c.becomeBy(SudoDoas, "doas") }

func run0(c Call) int {
	if c.fault().NoSystemd {
		return c.notFound("run0")
	}
	return c.becomeBy(SudoRun0, "run0")
}

// becomeBy runs a program as root where the host lets people do so this way.
func (c Call) becomeBy(policy Sudo, name string) int {
	args := c.Args[1:]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		args = args[1:]
	}
	if !c.Root && c.sudo() != policy {
		if policy == SudoDoas {
			return c.notFound(name)
		}
		fmt.Fprintln(c.Stderr, "Failed to start transient service unit: Interactive authentication required.")
		return 1
	}
	c.Root = true
	return c.with(args).run()
}

// chroot runs a program as another user: `chroot --userspec=USER /`.
func chroot(c Call) int {
	args := c.Args[1:]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if user, ok := strings.CutPrefix(args[0], "--userspec="); ok {
			c.as = user
		}
		args = args[1:]
	}
	if len(args) < 2 || args[0] != "/" {
		fmt.Fprintln(c.Stderr, "chroot: cannot change root directory: this host does not exist (sextant demo)")
		return 125
	}
	c.Root = c.as == "root"
	return c.with(args[1:]).run()
}

func env(c Call) int {
	args := c.Args[1:]
	for len(args) > 0 && (strings.Contains(args[0], "=") || strings.HasPrefix(args[0], "-")) {
		c.Env = append(c.Env, args[0])
		args = args[1:]
	}
	return c.with(args).run()
}

func timeout(c Call) int {
	args := c.Args[1:]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		args = args[1:]
	}
	if len(args) < 2 {
		return 125
	}
	return c.with(args[1:]).run()
}

func echo(c Call) int {
	out := strings.Join(c.Args[1:], " ")
	if c.Args[0] == "printf" {
		_, _ = io.WriteString(c.Stdout, strings.ReplaceAll(out, `\n`, "\n"))
		return 0
	}
	return c.say(out)
}

func cat(c Call) int {
	if len(c.Args) == 1 {
		if _, err := io.Copy(c.Stdout, c.Stdin); err != nil {
			return 1
		}
		return 0
	}
	for _, f := range c.Args[1:] {
		text, ok := c.machine().file(f, c.now())
		if !ok {
			fmt.Fprintf(c.Stderr, "cat: %s: No such file or directory\n", f)
			return 1
		}
		_, _ = io.WriteString(c.Stdout, text)
	}
	return 0
}

func sleep(c Call) int {
	if len(c.Args) < 2 {
		return 1
	}
	d, err := time.ParseDuration(c.Args[1] + "s")
	if c.Args[1] == "infinity" {
		d, err = time.Hour*24*365, nil
	}
	if err != nil {
		return 1
	}
	select {
	case <-time.After(d):
		return 0
	case <-c.Context.Done():
		return 143
	}
}

func exit(c Call) int {
	n := 0
	if len(c.Args) > 1 {
		n, _ = strconv.Atoi(c.Args[1])
	}
	return n
}

func id(c Call) int {
	switch {
	case c.has("-u"):
		return c.say(strconv.Itoa(c.uid()))
	case c.has("-un"):
		return c.say(c.name())
	}
	return c.say(fmt.Sprintf("uid=%d(%s) gid=%d(%s) groups=%d(%s)", c.uid(), c.name(), c.uid(), c.name(), c.uid(), c.name()))
}

func uname(c Call) int {
	m := c.machine()
	kernel := m.kernel()
	switch {
	case c.has("-n"):
		return c.say(m.name)
	case c.has("-r"):
		return c.say(kernel)
	case c.has("-m"):
		return c.say(m.arch)
	case c.has("-a"):
		return c.say("Linux " + m.name + " " + kernel + " #1-NixOS SMP " + m.arch + " GNU/Linux")
	}
	return c.say("Linux")
}

func nixosVersion(c Call) int {
	m := c.machine()
	m.mu.Lock()
	defer m.mu.Unlock()
	return c.say(m.generation(m.running).version + " (Yarara)")
}

// readlink follows the links that lead to the systems of the host.
func readlink(c Call) int {
	m, status := c.machine(), 1
	words, _ := c.split()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range words {
		number := 0
		switch strings.TrimSuffix(w, "/") {
		case "/run/current-system":
			number = m.running
		case "/run/booted-system":
			number = m.booted
		case "/nix/var/nix/profiles/system":
			number = m.standard
		}
		if number != 0 && !c.fault().NotNixOS {
			c.say(m.path(m.generation(number)))
			status = 0
		}
	}
	return status
}
