package backup

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// testsScript prints the last restore test of jobs, whose files are its arguments.
const testsScript = `# The last restore tests of backups.
for f; do
	printf 'file %s\n' "$f"
	tail -n 1 "$f" 2>/dev/null | head -c 65536
	echo
done
echo end
`

// readTests reads how the last restore test of each job ended, by the files that
// keep it. It tells whether that could be read.
func readTests(ctx context.Context, l link.Link, jobs []evidence) (map[string]*fleet.RestoreTest, bool) {
	var files []string
	for _, e := range jobs {
		if canList(e) {
			files = append(files, testsFile(e.BackupJob))
		}
	}
	if len(files) == 0 {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := link.Script(testsScript, files...)
	cmd.Root = true
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return nil, false
	}
	return parseTests(string(res.Stdout))
}

// parseTests reads what testsScript prints.
func parseTests(out string) (map[string]*fleet.RestoreTest, bool) {
	tests, file, whole := map[string]*fleet.RestoreTest{}, "", false
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		name, of := strings.CutPrefix(line, "file ")
		var t fleet.RestoreTest
		switch {
		case of:
			file = name
		case line == "end":
			whole = true
		case strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &t) == nil && !t.At.IsZero() && t.Files >= 0 && t.Took >= 0:
			t.Snapshot, t.Bad = fleet.Short(fleet.Clean(t.Snapshot), 64), fleet.CleanAll(t.Bad[:min(len(t.Bad), maxLeft)])
			tests[file] = &t
		}
	}
	return tests, whole
}
