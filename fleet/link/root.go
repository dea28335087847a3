package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sextant-fleet/sextant/fleet"
)

// rooter knows how to become root over one connection, and finds out when it
// is first asked.
type rooter struct {
	d    *Dialer
	host fleet.Host
	user string
	run  func(context.Context, Command) (Result, error) // without becoming anybody

	finding gate // one at a time finds the way, and may ask a person: nobody else waits for that

	mu   sync.Mutex
	way  string // "root", "sudo", "sudo password", "doas", "run0"; "" not known yet
	word string // what the host said of a user who is not root: "ask", "none"; "" nothing yet
	no   error  // why not, for good
}

// Ways to be root. wayPassword is sudo with the password on its input.
const (
	wayRoot     = "root"
	waySudo     = "sudo"
	wayPassword = "sudo password"
	wayDoas     = "doas"
	wayRun0     = "run0"
)

// What a host says when there is no way without a password, or none at all.
const (
	wordAsk  = "ask"
	wordNone = "none"
)

func newRooter(d *Dialer, h fleet.Host, user string, run func(context.Context, Command) (Result, error)) *rooter {
	r := &rooter{d: d, host: h, user: user, run: run, finding: newGate()}
	if user == "root" { // a login as root is root without being asked
		r.way = wayRoot
	}
	return r
}

// known is the way in the words of fleet.Reach, "" while it is not known.
func (r *rooter) known() string {
	way, _ := r.heard()
	if way == wayPassword {
		return waySudo
	}
	return way
}

func (r *rooter) heard() (way, word string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.way, r.word
}

// hear takes in what the host said of a way to root.
func (r *rooter) hear(word string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch word {
	case wayRoot, waySudo, wayDoas, wayRun0:
		r.way = word
	case wordAsk, wordNone:
		r.word = word
	}
}

// told is what stands in front of the word with which [elevate] says on its
// error output, before anything else, which way it took.
const told = "sextant: root by "

// before is what stands in front of a command for each way that asks nothing. A
// way is tried with the very same words: run0 of systemd 256 knows no --pipe.
var before = map[string][]string{
	waySudo: {"sudo", "-n", "--"},
	wayDoas: {"doas", "-n", "--"},
	wayRun0: {"run0", "--no-ask-password", "--pipe", "--"},
}

// elevate runs its arguments as root where that needs no password, and else as
// who we are: one round trip where nothing is known yet.
var elevate = `want=$1; shift
by() { echo "` + told + `$1" >&2; }
try() { [ "$want" = auto ] || [ "$want" = "$1" ]; }
if [ "$(id -u)" = 0 ]; then by root; exec "$@"; fi
no=none
can() { command -v "$1" >/dev/null && LC_ALL=C "$@" true </dev/null >/dev/null 2>&1; }
if try sudo && can ` + Quote(before[waySudo]) + `; then by sudo; exec ` + Quote(before[waySudo]) + ` "$@"; fi
if try sudo && command -v sudo >/dev/null; then no=ask; fi
if try doas && can ` + Quote(before[wayDoas]) + `; then by doas; exec ` + Quote(before[wayDoas]) + ` "$@"; fi
if try run0 && can ` + Quote(before[wayRun0]) + `; then by run0; exec ` + Quote(before[wayRun0]) + ` "$@"; fi
by $no
exec "$@"`

// byItself makes a command that becomes root by itself.
func (r *rooter) byItself(cmd Command) Command {
	want := r.host.Become
	if want == "" {
		want = fleet.BecomeAuto
	}
	cmd = unlogged(cmd)
	cmd.Args = append([]string{"sh", "-c", elevate, "sextant", string(want)}, withEnv(cmd.Args, cmd.Env)...)
	cmd.Env, cmd.told = nil, r.hear
	return cmd
}

// find finds the way to root, asking for sudo's password where it must.
func (r *rooter) find(ctx context.Context) (string, error) {
	if way, _ := r.heard(); way != "" {
		return way, nil
	}
	if err := r.finding.enter(ctx); err != nil {
		return "", fmt.Errorf("becoming root on %s: %w", r.host.Name, err)
	}
	defer r.finding.leave()
	way, word := r.heard()
	switch {
	case way != "":
		return way, nil
	case r.no != nil:
		return "", r.no
	case r.host.Become == fleet.BecomeNone:
		r.no = fleet.WithCure(fmt.Errorf("%w on %s: the configuration says become = \"none\"", ErrNoRoot, r.host.Name),
			"set become = \"auto\" for this host in config.toml")
		return "", r.no
	case word == "":
		if _, err := r.run(ctx, r.byItself(Command{Args: []string{"true"}})); err != nil {
			return "", err // the connection failed, not the way: ask again later
		}
		if way, word = r.heard(); way != "" {
			return way, nil
		}
	}
	if word == wordAsk {
		return r.password(ctx)
	}
	r.no = fleet.WithCure(fmt.Errorf("%w on %s: %s may use neither sudo, doas nor run0", ErrNoRoot, r.host.Name, r.user),
		"log in as root (user = \"root\" for this host in config.toml), or add the user to wheel")
	return "", r.no
}

// key names the password of sudo on this host among the secrets.
func (r *rooter) key() string { return "sudo\x00" + string(r.host.ID) + "\x00" + r.user }

// password asks for sudo's password, where none is kept, and tries it.
func (r *rooter) password(ctx context.Context) (string, error) {
	err := r.d.secrets.get(ctx, r.key(), func(attempt int) (string, error) {
		reply, err := r.d.ask(ctx, r.key(), fleet.Question{
			Host: r.host.Name, Kind: fleet.AskSudo, Secret: true,
			Text: again(attempt, "sudo password of "+r.user+" on "+r.host.Name),
		})
		return reply.Text, err
	}, func(secret string) (bool, error) { return r.takes(ctx, secret) })
	if err != nil {
		return "", fleet.WithCure(fmt.Errorf("%w on %s: sudo wants the password of %s: %w", ErrNoRoot, r.host.Name, r.user, err), curePassword(err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.way = wayPassword
	return r.way, nil
}

// curePassword is what a person can do where sudo's password was not given.
func curePassword(err error) string {
	if errors.Is(err, ErrNobody) {
		return "run it at a terminal, where you can be asked, or let the user's sudo ask nothing (NOPASSWD)"
	}
	return cureAgain
}

// takes tells whether sudo takes a password.
func (r *rooter) takes(ctx context.Context, secret string) (bool, error) {
	res, err := r.run(ctx, r.withPassword(Command{Args: []string{"true"}}, secret))
	return res.Status == 0, err
}

// wrap makes a command run as root, or as another user through root.
func (r *rooter) wrap(ctx context.Context, cmd Command) (Command, error) {
	other := cmd.User != "" && cmd.User != r.user
	switch {
	case !cmd.Root && !cmd.IfRoot && !other:
		return cmd, nil
	case cmd.IfRoot && !cmd.Root && !other:
		return r.wrapIf(ctx, cmd), nil
	}
	way, err := r.find(ctx)
	if err != nil {
		if cmd.IfRoot && !cmd.Root && errors.Is(err, ErrNoRoot) {
			return cmd, nil
		}
		return cmd, err
	}
	return r.by(way, cmd), nil
}

// wrapIf makes a command run as root where that costs nobody a question and
// no further round trip; only a password that is kept from an earlier
// connection is tried first.
func (r *rooter) wrapIf(ctx context.Context, cmd Command) Command {
	way, word := r.heard()
	if kept, _ := r.d.secrets.peek(r.key()); way == "" && kept != "" {
		way = r.tryKept(ctx)
	}
	switch {
	case way != "":
		return r.by(way, cmd)
	case word != "", r.host.Become == fleet.BecomeNone:
		return cmd
	}
	return r.byItself(cmd)
}

// wrapShell is wrap for what runs on a terminal, where no word may be said
// that is not the command's own.
func (r *rooter) wrapShell(ctx context.Context, cmd Command) (Command, error) {
	if cmd.IfRoot && !cmd.Root {
		if _, err := r.find(ctx); err != nil && !errors.Is(err, ErrNoRoot) {
			return cmd, err
		} else if err != nil && (cmd.User == "" || cmd.User == r.user) {
			return cmd, nil
		}
	}
	return r.wrap(ctx, cmd)
}

// tryKept tries the kept password of sudo, once on a connection.
func (r *rooter) tryKept(ctx context.Context) string {
	if r.finding.enter(ctx) != nil {
		return ""
	}
	defer r.finding.leave()
	way, _ := r.heard()
	kept, _ := r.d.secrets.peek(r.key())
	if way != "" || kept == "" {
		return way
	}
	switch ok, err := r.takes(ctx, kept); {
	case err != nil:
		return ""
	case !ok:
		r.d.secrets.drop(r.key())
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.way = wayPassword
	return r.way
}

// by makes a command run as root a known way.
func (r *rooter) by(way string, cmd Command) Command {
	if way != wayRoot {
		cmd = unlogged(cmd)
	}
	args := withEnv(cmd.Args, cmd.Env)
	cmd.Env = nil
	if cmd.User != "" && cmd.User != "root" {
		// The user's own group, which on NixOS is not called like the user.
		args = append([]string{"chroot", "--userspec=" + cmd.User, "/"}, args...)
	}
	if way == wayPassword {
		secret, _ := r.d.secrets.peek(r.key())
		cmd.Args = args
		return r.withPassword(cmd, secret)
	}
	cmd.Args = append(slices.Clone(before[way]), args...)
	return cmd
}

// receive runs a program that comes on the standard input, ahead of the input
// that is the program's own: its length is known, so nothing more is read. What
// broke off on the way is not begun.
const receive = `program=$(dd bs="$1" count=1 iflag=fullblock 2>/dev/null)
case $program in *"` + programEnd + `") ;; *) echo "the program did not arrive" >&2; exit 125 ;; esac
eval "$program"`

// programEnd is the last line of a program that arrived whole.
const programEnd = "# end of the program"

// unlogged moves a script and its arguments to the front of the standard input:
// sudo, doas and run0 write a command's arguments down.
func unlogged(cmd Command) Command {
	if cmd.script == "" {
		return cmd
	}
	const own = 4 // sh -c SCRIPT sextant
	text := "set -- " + Quote(cmd.Args[own:]) + "\n" + cmd.script + "\n" + programEnd
	cmd.Args = []string{"sh", "-c", receive, "sextant", strconv.Itoa(len(text))}
	cmd.script = ""
	return ahead(cmd, text)
}

// ahead puts a text in front of a command's input.
func ahead(cmd Command, text string) Command {
	if cmd.Stdin == nil {
		cmd.Stdin = strings.NewReader(text)
	} else {
		cmd.Stdin = io.MultiReader(strings.NewReader(text), cmd.Stdin)
	}
	return cmd
}

// sentinel stands between the password and the input of the command.
const sentinel = "sextant: input begins"

// afterPassword runs its arguments with the input behind the sentinel. sudo
// reads the password from the same input, but not where a rule lets this
// command pass without: then it must not reach the command.
const afterPassword = `IFS= read -r line; [ "$line" = "` + sentinel + `" ] || IFS= read -r line; exec "$@"`

// withPassword makes a command of sudo that reads the password from its input.
func (r *rooter) withPassword(cmd Command, secret string) Command {
	cmd.Args = append([]string{"sudo", "-k", "-S", "-p", "", "--", "sh", "-c", afterPassword, "sextant"}, cmd.Args...)
	return ahead(cmd, secret+"\n"+sentinel+"\n")
}

// withEnv puts env(1) in front of a program.
func withEnv(args, env []string) []string {
	if len(env) == 0 {
		return args
	}
	return append(append([]string{"env"}, env...), args...)
}
