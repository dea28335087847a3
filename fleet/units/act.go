package units

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Verb is what systemctl does to a unit.
type Verb string

// Verbs.
const (
	Start       Verb = "start"
	Stop        Verb = "stop"
	Restart     Verb = "restart"
	ResetFailed Verb = "reset-failed"
)

// Outcome is how a unit stood when its job had ended: the properties of systemd
// of these names.
type Outcome struct {
	Active string `json:"active"` // active, failed, inactive, …
	Sub    string `json:"sub"`
	Result string `json:"result"` // success, exit-code, timeout, …
}

// String tells it in the words of systemctl.
func (o Outcome) String() string {
	s := o.Active + " (" + o.Sub + ")"
	if o.Result != "" && o.Result != "success" {
		s += ", " + o.Result
	}
	return s
}

// act waits for the job of systemctl, and tells how the unit stands then. The
// manager of a user is found by the folder of that user's session.
const act = `# Does something to a unit of systemd, and waits for it.
verb=$1 unit=$2
if [ "$3" = user ]; then
	export XDG_RUNTIME_DIR="/run/user/$(id -u)"
	set -- --user
else
	set --
fi
systemctl "$@" --no-ask-password "$verb" -- "$unit"
code=$?
systemctl "$@" show -p LoadState -p ActiveState -p SubState -p Result -- "$unit"
exit $code`

// unitName is the name of one unit. Patterns, which systemctl takes for all units
// that match, are none: systemd.unit(5).
var unitName = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]+\.(service|socket|target|timer|path|mount|automount|swap|slice|scope)$`)

// Act does something to a unit and waits until that has ended; what it gives is
// read from the host afterwards. user is whose systemd is meant; "" is the
// system's. The error says what systemctl said.
func Act(ctx context.Context, l link.Link, verb Verb, unit, user string) (Outcome, error) {
	if !unitName.MatchString(unit) {
		return Outcome{}, fmt.Errorf("%q is not the name of a unit, such as nginx.service", unit)
	}
	cmd := link.Script(act, string(verb), unit, "")
	cmd.Root = true
	if user != "" {
		cmd = link.Script(act, string(verb), unit, "user")
		cmd.User = user
	}
	cmd.Env = []string{"LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER="}
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return Outcome{}, fmt.Errorf("%s %s on %s: %w", verb, unit, l.Host().Name, err)
	}
	out, known := outcome(string(res.Stdout))
	if res.Status != 0 || !known {
		why := fleet.Short(strings.Join(strings.Fields(fleet.Clean(string(res.Stderr))), " "), 300)
		if why == "" {
			why = fmt.Sprintf("systemctl ended with %d", res.Status)
		}
		return out, errors.New(l.Host().Name + ": " + string(verb) + " " + unit + ": " + why)
	}
	return out, nil
}

// outcome reads what systemctl show says, and tells whether systemd knows the unit.
func outcome(text string) (Outcome, bool) {
	p := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		p[name] = fleet.Clean(value)
	}
	return Outcome{Active: p["ActiveState"], Sub: p["SubState"], Result: p["Result"]}, p["ActiveState"] != "" && p["LoadState"] != "not-found"
}
