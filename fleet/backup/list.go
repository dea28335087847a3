package backup

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet/link"
)

// listScript prints the snapshots of a job's repository as JSON.
//
// Where the host has the job's wrapper (restic-NAME, rustic-NAME), that knows
// the credentials. Else the program of the unit runs in a unit of its own that
// is given the environment of the job's unit as it stands there: the files by
// their names, so that what is in them is read by systemd alone. Nothing of it
// is printed. Exit codes: the program's; 124 not within the limit; 125 there is
// no way to ask.
const listScript = `
tool=$1 name=$2 unit=$3 limit=$4
export LC_ALL=C TZ=UTC NO_COLOR=1 SYSTEMD_COLORS=0
case $tool in
restic) set -- snapshots --json --no-lock ;;
rustic) set -- snapshots --json --group-by host,label,paths ;;
esac
if command -v "$tool-$name" >/dev/null; then
	exec timeout -k 5 "$limit" "$tool-$name" "$@"
fi
command -v systemd-run >/dev/null || exit 125
start=$(systemctl show -p ExecStart --value "$unit")
program=$(printf '%s\n' "$start" | sed -n 's|^{ path=\([^ ;]*/'"$tool"'\) ;.*|\1|p' | head -n 1)
[ "$program" ] || program=$(command -v "$tool") || exit 125
if [ "$tool" = rustic ]; then
	profile=$(printf '%s\n' "$start" | sed -n -e 's/.* -P \([^ ;]*\) .*/\1/p' -e 's/.* --use-profile \([^ ;]*\) .*/\1/p' | head -n 1)
	set -- -P "${profile:-$name}" "$@"
fi
set -- --pipe --wait --quiet --collect -p RuntimeMaxSec="$limit" -- "$program" "$@"
while IFS= read -r line; do
	case $line in
	Environment=* | EnvironmentFile=* | PassEnvironment=* | UnsetEnvironment=* | User=* | Group=* | SupplementaryGroups=* | \
		LoadCredential=* | LoadCredentialEncrypted=* | CacheDirectory=* | CacheDirectoryMode=*)
		set -- -p "$line" "$@" ;;
	esac
done <<END
$(systemctl cat "$unit" | sed -e ':a' -e '/\\$/{N;s/\\\n//;ba' -e '}' | sed '1!G;h;$!d')
END
exec timeout -k 5 "$limit" systemd-run "$@"
`

// Ends of listScript that are not the program's.
const (
	exitLate  = 124
	exitKill  = 137
	exitNoWay = 125
)

// Reasons why snapshots are not known, that say something about the job too.
var (
	errNoWay  = errors.New("there is no way to ask for its snapshots")
	errNoRepo = errors.New("the repository does not exist")
)

// canList tells whether the snapshots of a job can be asked for.
func canList(e evidence) bool {
	return (e.Tool == "restic" || e.Tool == "rustic") && e.Unit != "" && !e.daemon
}

// list asks the repository of a job for its snapshots, as root.
func list(ctx context.Context, l link.Link, e evidence) ([]Snapshot, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, perSource+perSource/8, errLate)
	defer cancel()
	cmd := link.Script(listScript, e.Tool, e.Name, e.Unit, strconv.Itoa(int(perSource.Seconds())))
	cmd.Root, cmd.Limit = true, 64<<20
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return nil, err
	}
	if err := ended(e.Tool, res); err != nil {
		return nil, err
	}
	if e.Tool == "rustic" {
		return ParseRustic(res.Stdout)
	}
	return ParseRestic(res.Stdout)
}

// errLate says that a repository did not answer in time.
var errLate = fmt.Errorf("no answer within %d s", int(perSource.Seconds()))

// ended gives the reason why a listing ended badly.
func ended(tool string, res link.Result) error {
	text := complaint(res.Stderr)
	switch {
	case res.Status == 0:
		return nil
	case res.Status == exitLate, res.Status == exitKill:
		return errLate
	case res.Status == exitNoWay:
		return errNoWay
	case tool == "restic" && res.Status == 10, noRepository(text):
		return fmt.Errorf("%w: %s", errNoRepo, text)
	case text == "":
		return errors.New(reason(tool, "exit-code", res.Status))
	}
	return fmt.Errorf("%s: %s", reason(tool, "exit-code", res.Status), text)
}

// noRepository tells by the words, where the exit code does not: restic before
// 0.17, and rustic.
func noRepository(text string) bool {
	for _, words := range []string{"No repository config file found", "repository does not exist", "Is there a repository at"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return strings.Contains(text, "unable to open config file") && strings.Contains(text, "no such file")
}
