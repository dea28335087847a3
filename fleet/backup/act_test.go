package backup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

// scripted runs one of the scripts against a systemctl of the test's own, which
// tells the properties of units out of files of the folder.
func scripted(t *testing.T, script string, units map[string]string, programs map[string]string, args ...string) (out string, dir string) {
	t.Helper()
	dir = t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("systemctl", `#!/bin/sh
case $1 in
show) for last; do :; done
	while [ $# -gt 0 ]; do
		[ "$1" != -p ] || { v=$(sed -n "s/^$2=//p" "`+dir+`/$last" 2>/dev/null); [ "$v" ] && echo "$v"; [ "$v" ] || [ "$2" != ActiveState ] || echo inactive; }
		shift
	done ;;
start) for last; do :; done
	echo "$*" >>"`+dir+`/started"; sed -i 's/^ConditionTimestampMonotonic=.*/ConditionTimestampMonotonic=2/' "`+dir+`/$last" ;;
esac
`, 0o700)
	write("journalctl", "#!/bin/sh\necho 'x.service was skipped because of an unmet condition check (ConditionPathIsMountPoint=/mnt/x).'\n", 0o700)
	for name, text := range units {
		write(name, text, 0o600)
	}
	for name, text := range programs {
		write(name, "#!/bin/sh\n"+text+"\n", 0o700)
	}
	cmd := exec.Command("sh", append([]string{"-c", script, "sextant"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(b), dir
}

func TestWhatStandsAgainstWorkIsFound(t *testing.T) {
	out, _ := scripted(t, readyScript, map[string]string{
		"rustic-cold.service":       "ActiveState=activating\nSubState=start\n",
		"rustic-cold-check.service": "ActiveState=inactive\nSubState=dead\nLoadState=loaded\n",
		"other.service":             "ActiveState=active\nSubState=exited\n",
		"neighbour.service":         "ActiveState=deactivating\nSubState=stop\n",
	}, map[string]string{"rustic-cold": "exit 1"}, "rustic", "cold", "rustic-cold.service", "other.service", "neighbour.service")
	want := "busy rustic-cold.service (activating)\nbusy neighbour.service (deactivating)\ncheck rustic-cold-check.service\nprune \nway wrapper\n"
	if out != want {
		t.Errorf("%q", out)
	}
}

func TestAUnitIsBegunOrWhyNot(t *testing.T) {
	unit := func(condition string) map[string]string {
		return map[string]string{"x.service": "ActiveState=inactive\nSubState=dead\nConditionTimestampMonotonic=1\nConditionResult=" + condition + "\n"}
	}
	out, dir := scripted(t, beginScript, unit("yes"), nil, "restic", "x", "x.service", "x.service")
	if started, err := os.ReadFile(filepath.Join(dir, "started")); err != nil || string(started) != "start --no-block --no-ask-password -- x.service\n" || !strings.HasSuffix(out, "begun\n") || strings.Contains(out, "queued") {
		t.Errorf("%q %s %v", out, started, err)
	}
	out, _ = scripted(t, beginScript, unit("no"), nil, "restic", "x", "x.service", "x.service")
	if !strings.Contains(out, "skipped x.service was skipped") {
		t.Errorf("%q", out)
	}
	never := map[string]string{"x.service": "ActiveState=active\nSubState=exited\nConditionTimestampMonotonic=2\nConditionResult=no\nInvocationID=abc\n"}
	out, _ = scripted(t, beginScript, never, nil, "restic", "x", "x.service", "x.service") // its start does nothing
	if !strings.Contains(out, "was abc\nqueued\nbegun\n") {
		t.Errorf("%q", out)
	}
	out, dir = scripted(t, beginScript, map[string]string{"x.service": "ActiveState=activating\nSubState=start\n"}, nil, "restic", "x", "x.service", "x.service")
	if _, err := os.Stat(filepath.Join(dir, "started")); err == nil || out != "busy x.service (activating)\n" {
		t.Errorf("%q, or it was started", out)
	}
}

func TestWhatAToolIsAskedForWork(t *testing.T) {
	for want, c := range map[string]struct {
		o    Order
		tool string
	}{
		"check":                       {Order{Work: Check}, "restic"},
		"check --read-data-subset=5%": {Order{Work: Check, Data: "5%"}, "restic"},
		"check --read-data":           {Order{Work: Check, Data: "all"}, "restic"},
		"check --read-data --read-data-subset 5%": {Order{Work: Check, Data: "5%"}, "rustic"},
		"prune": {Order{Work: Prune}, "rustic"},
	} {
		if got := strings.Join(c.o.args(c.tool), " "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	j := fleet.BackupJob{Name: "cold", Tool: "rustic", Unit: "rustic-cold.service"}
	r := Ready{Check: "rustic-cold-check.service"}
	for want, o := range map[string]Order{
		"rustic-cold.service": {Work: Run}, "rustic-cold-check.service": {Work: Check}, "sextant-check-rustic-cold.service": {Work: Check, Data: "all"}, "sextant-prune-rustic-cold.service": {Work: Prune},
	} {
		if got := o.Unit(j, r); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestHowWorkEnded: only what the host tells counts; where it does not tell, how it
// ended is not known.
func TestHowWorkEnded(t *testing.T) {
	for name, c := range map[string]struct {
		b     Begun
		props map[string]string
		want  string // "": well
	}{
		"well":            {Begun{own: true}, map[string]string{"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}, ""},
		"queued, and ran": {Begun{own: true, Queued: true, ran: true}, map[string]string{"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}, ""},
		"not seen to run": {Begun{own: true, Queued: true, Unit: "u"}, map[string]string{"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"},
			"u was not seen to run: its start is over, and it is as before; something that it needs may have failed, or it counts as running already"},
		"failed":          {Begun{own: true, tool: "restic", last: []string{"Fatal: no"}}, map[string]string{"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "12"}, "wrong password (exit code 12): Fatal: no"},
		"accepted":        {Begun{own: true, Unit: "u"}, map[string]string{"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "3"}, "u ended with status 3, which it calls well: "},
		"ours, well":      {Begun{status: 0}, map[string]string{"ActiveState": "inactive"}, ""},
		"ours, failed":    {Begun{status: 1, tool: "restic", last: []string{"error: pack"}}, map[string]string{"ActiveState": "inactive", "Result": "success"}, "failed (exit code 1): error: pack"},
		"ours, not known": {Begun{status: -1, Unit: "u"}, map[string]string{"ActiveState": "inactive", "Result": "success"}, "u has ended, and how is not known: its journal does not tell"},
	} {
		err := c.b.ended(c.props)
		if (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLinesOfAUnitAreMadeSafe: no control characters, no password of a URL.
func TestLinesOfAUnitAreMadeSafe(t *testing.T) {
	b := Begun{status: -1}
	var said []string
	say := func(l string) { said = append(said, l) }
	for _, line := range []string{
		`{"__REALTIME_TIMESTAMP":"1795300000000000","__CURSOR":"c1","MESSAGE":"open rest:https://u:geheim@host/ \u001b[31mred"}`,
		`{"__REALTIME_TIMESTAMP":"1795300000000000","__CURSOR":"c2","MESSAGE":"sextant: ended with status 3"}`,
		`{"no":"time"}`, `{broken`,
	} {
		b.hear([]byte(line), say)
	}
	if len(said) != 1 || strings.Contains(said[0], "geheim") || strings.ContainsRune(said[0], 27) || b.cursor != "c2" || b.status != 3 {
		t.Errorf("%q %+v", said, b)
	}
}
