package probe

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

// comins are stores as comin's source has them written: no host of ours runs it.
// The first is of its newer ones (protojson, every field, spaces at its will), the
// second of those before (Go's own JSON).
var comins = map[string]string{
	"newer": `{"deployments":[{"uuid":"a", "generation":{"uuid":"b", "source":{"git":{"selected_commit_id":"1111", "selected_commit_msg":"say \"started_at\": \"2030-01-01T00:00:00Z\""}}, "selected_commit_id":"", "eval_started_at":"2026-11-23T10:00:00Z"}, "started_at":"2026-11-23T10:05:00.123Z", "ended_at":"2026-11-23T10:06:00Z", "error_msg":"", "status":"done", "operation":"switch"},` +
		`{"uuid":"c", "generation":{"source":{"git":{"selected_commit_id":"2222"}}, "selected_commit_id":""}, "started_at":"2026-11-24T09:00:00Z", "ended_at":"2026-11-24T09:01:00Z", "error_msg":"switch:\n\u001b[31mexit status \"4\"", "status":"done", "operation":"test"},` +
		`{"uuid":"d", "generation":{"source":{"git":{"selected_commit_id":"3333"}}}, "started_at":null, "ended_at":null, "error_msg":"", "status":"init", "operation":"switch"}], "generations":[{"selected_commit_id":"4444"}]}`,
	"before": `{"version":"1","deployments":[{"uuid":"a","generation":{"selected_commit_id":"5555"},"started_at":"2026-11-24T08:00:00.5Z","ended_at":"0001-01-01T00:00:00Z","error_msg":"","status":1,"operation":"switch"}],"generations":[]}`,
	"none":   `{"deployments":[],"generations":[{"selected_commit_id":"4444"}]}`,
	"torn":   `{"deployments":[{"uuid":"a", "generation":{"selected_commit_id":"11`,
}

// TestWhatCominDeployed reads each store with the probe's own line.
func TestWhatCominDeployed(t *testing.T) {
	program, err := os.ReadFile("probe.sh")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(program), "begin comin\n")
	line, _, _ = strings.Cut(strings.TrimSpace(line), "\n")
	if !strings.HasPrefix(line, "grep ") {
		t.Fatalf("it reads the store by %q", line)
	}
	for name, want := range map[string]*fleet.Pulled{
		"newer":  {Began: moment("2026-11-24T09:00:00Z"), Ended: moment("2026-11-24T09:01:00Z"), Commit: "2222", Operation: "test", Err: `switch: exit status "4"`},
		"before": {Began: moment("2026-11-24T08:00:00.5Z"), Commit: "5555", Operation: "switch"},
		"none":   nil,
		"torn":   nil,
	} {
		file := t.TempDir() + "/store.json"
		if err := os.WriteFile(file, []byte(comins[name]), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("sh", "-c", strings.Replace(line, "/var/lib/comin/store.json", file, 1)).Output()
		if err != nil {
			t.Fatal(err)
		}
		got := pulled(strings.Split(string(out), "\n"))
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%s: %+v, not %+v, of\n%s", name, got, want, out)
		}
	}
}
