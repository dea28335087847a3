package backup

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// throughScript runs the tool of a job, with the job's credentials.
//
// Where the host has the job's wrapper (restic-NAME, rustic-NAME, borg-job-NAME),
// that knows them. Else the program of the unit runs in a unit of its own that
// is given the environment of the job's unit as it stands there: the files by
// their names, so that what is in them is read by systemd alone. Nothing of it
// is printed. $5 is "-", and what the tool prints comes back; "-NAME", the same,
// by a unit that can be stopped by its name; or the NAME of a unit that runs it from
// then on by itself, and says at its end how it ended. Exit
// codes: the program's; 124 not within the limit; 125 there is no way to ask.
const throughScript = `# A tool of a backup, with the credentials of its job.
tool=$1 name=$2 unit=$3 limit=$4 as=$5
shift 5
export LC_ALL=C TZ=UTC NO_COLOR=1 SYSTEMD_COLORS=0
wrapper=$tool-$name
[ "$tool" != borg ] || wrapper=borg-job-$name
if command -v "$wrapper" >/dev/null; then
	[ "$as" != - ] || exec timeout -k 5 "$limit" "$wrapper" "$@"
	given=
	set -- "$(command -v "$wrapper")" "$@"
else
	command -v systemd-run >/dev/null || exit 125
	given=y
	start=$(systemctl show -p ExecStart --value "$unit")
	program=$(printf '%s\n' "$start" | sed -n 's|^{ path=\([^ ;]*/'"$tool"'\) ;.*|\1|p' | head -n 1)
	[ "$program" ] || program=$(command -v "$tool") || exit 125
	if [ "$tool" = rustic ]; then
		profile=$(printf '%s\n' "$start" | sed -n -e 's/.* -P \([^ ;]*\) .*/\1/p' -e 's/.* --use-profile \([^ ;]*\) .*/\1/p' | head -n 1)
		set -- -P "${profile:-$name}" "$@"
	fi
	set -- "$program" "$@"
fi
case $as in
-*)
	set -- --pipe --wait --quiet --collect -E TZ=UTC -p RuntimeMaxSec="$limit" -- "$@"
	[ "$as" = - ] || set -- --unit="${as#-}" -E HOME="${HOME:-/root}" -E PATH="$PATH" "$@"
	;;
*)
	set -- --unit="$as" --quiet --collect -p Nice=10 -p IOSchedulingClass=idle -E HOME="${HOME:-/root}" -E PATH="$PATH" \
		-- sh -c '"$@"; code=$?; echo "` + marker + `$code"; exit $code' sextant "$@"
	;;
esac
while [ "$given" ] && IFS= read -r line; do
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

// marker begins the last line of a unit that runs a tool by itself: its exit
// code follows.
const marker = "sextant: ended with status "

// asked is what the tool of a job is asked.
type asked struct {
	args  []string
	limit time.Duration // 0: perSource
	bytes int           // of its output; 0: link.DefaultLimit
	as    string        // the unit that runs it by itself; "": its output comes back; "-NAME": so too, in a unit of that name
}

// command is how the tool of a job is asked, as root.
func (a asked) command(j fleet.BackupJob) link.Command {
	limit := cmp.Or(a.limit, perSource)
	cmd := link.Script(throughScript, append([]string{j.Tool, j.Name, j.Unit, strconv.Itoa(int(limit.Seconds())), cmp.Or(a.as, "-")}, a.args...)...)
	cmd.Root, cmd.Limit = true, a.bytes
	return cmd
}

// ask asks the tool of a job, and waits for all that it prints. The error says in
// the tool's words why it could not.
func ask(ctx context.Context, l link.Link, j fleet.BackupJob, a asked) (link.Result, error) {
	limit := cmp.Or(a.limit, perSource)
	ctx, cancel := context.WithTimeoutCause(ctx, limit+limit/8, fmt.Errorf("no answer within %d s", int(limit.Seconds())))
	defer cancel()
	res, err := l.Run(ctx, a.command(j))
	if err != nil {
		return res, err
	}
	return res, ended(j.Tool, res)
}
