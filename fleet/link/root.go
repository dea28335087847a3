package link

import (
	"context"
	"errors"
	"fmt"
	"io"
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

	mu  sync.Mutex
	way string // "root", "sudo", "sudo password", "doas", "run0"; "" not known yet
	no  error  // why not
}

// Ways to be root. wayPassword is sudo with the password on its input.
const (
	wayRoot     = "root"
	waySudo     = "sudo"
	wayPassword = "sudo password"
	wayDoas     = "doas"
	wayRun0     = "run0"
)

// known is the way in the words of fleet.Reach, "" while it is not known.
func (r *rooter) known() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.way == wayPassword:
		return waySudo
	case r.way == "" && r.user == "root":
		return wayRoot
	}
	return r.way
}

// wayIn is a program that says how root can be had without a password. It
// prints one of the ways, or "ask" where sudo wants a password, or "none".
const wayIn = `
[ "$(id -u)" = 0 ] && { echo root; exit; }
want=$1
try() { [ "$want" = auto ] || [ "$want" = "$1" ]; }
if try sudo && command -v sudo >/dev/null; then
	LC_ALL=C sudo -n true 2>/dev/null && { echo sudo; exit; }
	ask=1
fi
try doas && command -v doas >/dev/null && doas -n true 2>/dev/null && { echo doas; exit; }
try run0 && command -v run0 >/dev/null && run0 --no-ask-password true 2>/dev/null </dev/null && { echo run0; exit; }
if [ "$ask" ]; then echo ask; else echo none; fi
`

// find finds the way to root, asking for sudo's password where it must.
func (r *rooter) find(ctx context.Context) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.way != "" {
		return r.way, nil
	}
	if r.no != nil && !errors.Is(r.no, ErrRefused) && !errors.Is(r.no, ErrNobody) {
		return "", r.no
	}
	want := r.host.Become
	if want == "" {
		want = fleet.BecomeAuto
	}
	if want == fleet.BecomeNone && r.user != "root" {
		return "", r.never(fmt.Errorf("%w on %s: the configuration says become = \"none\"", ErrNoRoot, r.host.Name))
	}
	res, err := r.run(ctx, Script(wayIn, string(want)))
	if err != nil {
		return "", err // the connection failed, not the way: ask again later
	}
	switch word := strings.TrimSpace(string(res.Stdout)); word {
	case wayRoot, waySudo, wayDoas, wayRun0:
		r.way = word
	case "ask":
		if r.no = r.password(ctx); r.no != nil {
			return "", r.no
		}
		r.way = wayPassword
	default:
		return "", r.never(fmt.Errorf("%w on %s: %s may use neither sudo, doas nor run0; log in as root, or add the user to wheel",
			ErrNoRoot, r.host.Name, r.user))
	}
	return r.way, nil
}

func (r *rooter) never(err error) error { r.no = err; return err }

// key names the password of sudo on this host among the secrets.
func (r *rooter) key() string { return "sudo\x00" + string(r.host.ID) + "\x00" + r.user }

// password asks for sudo's password and tries it.
func (r *rooter) password(ctx context.Context) error {
	_, err := r.d.secrets.get(r.key(), func(attempt int) (string, error) {
		reply, err := r.d.ask(ctx, fleet.Question{
			Host: r.host.Name, Kind: fleet.AskSudo, Secret: true,
			Text: again(attempt, "sudo password of "+r.user+" on "+r.host.Name),
		})
		return reply.Text, err
	}, func(secret string) error {
		res, err := r.run(ctx, r.withPassword(Command{Args: []string{"true"}}, secret))
		if err == nil && res.Status != 0 {
			err = errors.New("sudo did not take the password")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%w on %s: sudo wants the password of %s: %w", ErrNoRoot, r.host.Name, r.user, err)
	}
	return nil
}

// wrap makes a command run as root, or as another user through root.
func (r *rooter) wrap(ctx context.Context, cmd Command) (Command, error) {
	if !cmd.Root && !cmd.IfRoot && (cmd.User == "" || cmd.User == r.user) {
		return cmd, nil
	}
	way, err := r.find(ctx)
	if err != nil {
		if cmd.IfRoot && !cmd.Root && errors.Is(err, ErrNoRoot) {
			return cmd, nil
		}
		return cmd, err
	}
	args := withEnv(cmd.Args, cmd.Env)
	cmd.Env = nil
	if cmd.User != "" && cmd.User != "root" {
		args = append([]string{"setpriv", "--reuid", cmd.User, "--regid", cmd.User, "--init-groups", "--"}, args...)
	}
	switch way {
	case waySudo:
		args = append([]string{"sudo", "-n", "--"}, args...)
	case wayDoas:
		args = append([]string{"doas", "-n", "--"}, args...)
	case wayRun0:
		args = append([]string{"run0", "--no-ask-password", "--pipe", "--"}, args...)
	case wayPassword:
		secret, _ := r.d.secrets.peek(r.key())
		cmd.Args = args
		return r.withPassword(cmd, secret), nil
	}
	cmd.Args = args
	return cmd, nil
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
	head := strings.NewReader(secret + "\n" + sentinel + "\n")
	if cmd.Stdin == nil {
		cmd.Stdin = head
	} else {
		cmd.Stdin = io.MultiReader(head, cmd.Stdin)
	}
	return cmd
}

// withEnv puts env(1) in front of a program.
func withEnv(args, env []string) []string {
	if len(env) == 0 {
		return args
	}
	return append(append([]string{"env"}, env...), args...)
}
