package backup

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// resticExits are restic's exit codes (doc/075_scripting.rst). Versions before
// 0.17 end with 1 for what later ones tell apart.
var resticExits = map[int]string{
	1:   "failed",
	2:   "crashed",
	3:   "some files could not be read: the snapshot is incomplete",
	10:  "the repository does not exist",
	11:  "the repository is locked",
	12:  "wrong password",
	130: "was interrupted",
}

// systemdExits are what systemd itself ends a process with before it runs
// (systemd.exec(5), "Process exit codes").
var systemdExits = map[int]string{
	200: "its working directory is missing",
	203: "its program is missing or cannot be run",
	208: "its standard input could not be set up",
	209: "its output could not be set up",
	216: "its group does not exist",
	217: "its user does not exist",
	226: "a folder it needs is missing",
	233: "its run-time folder could not be made",
	238: "its state folder could not be made",
	239: "its cache folder could not be made",
	243: "a credential it needs is missing",
}

// results are systemd's words for how a unit ended (systemd.exec(5),
// $SERVICE_RESULT), other than by an exit code.
var results = map[string]string{
	"timeout":         "took longer than its limit and was stopped",
	"signal":          "was killed by signal %d",
	"core-dump":       "crashed with signal %d",
	"watchdog":        "stopped answering and was killed",
	"oom-kill":        "was killed for lack of memory",
	"start-limit-hit": "was started too often",
	"resources":       "could not be started for lack of resources",
	"protocol":        "did not start as its unit says",
}

// reason says why a run failed, from systemd's result and the exit status.
func reason(tool, result string, status int) string {
	if text, ok := results[result]; ok {
		if strings.Contains(text, "%d") {
			return fmt.Sprintf(text, status)
		}
		return text
	}
	if result != "exit-code" && result != "" && result != "success" {
		return "failed: " + fleet.Short(fleet.Clean(result), 60)
	}
	if status == 0 { // a later or earlier command of the unit failed
		return "failed"
	}
	return fmt.Sprintf("%s (exit code %d)", exitWords(tool, status), status)
}

func exitWords(tool string, status int) string {
	if text, ok := systemdExits[status]; ok {
		return text
	}
	if text, ok := resticExits[status]; ok && tool == "restic" {
		return text
	}
	return "failed"
}

// login matches what may stand before the host of a URL.
var login = regexp.MustCompile(`://[^/\s@]*@`)

// say makes a line of a program fit to be shown: clean, not long, and without
// the password that a repository's URL may hold.
func say(s string) string {
	return fleet.Short(login.ReplaceAllString(strings.TrimSpace(fleet.Clean(s)), "://…@"), 200)
}

// complaint picks the line of a program's error output that says what is
// wrong: restic's last JSON message, rustic's paragraph after "Message:", a line
// that calls itself an error, else the last line.
func complaint(stderr []byte) string {
	var last, worst string
	message := false
	for line := range strings.Lines(string(stderr)) {
		line = strings.TrimSpace(fleet.Clean(line))
		switch {
		case line == "":
			continue
		case message:
			return say(line)
		case line == "Message:":
			message = true
		case strings.HasPrefix(line, "{"):
			if text := exitMessage(line); text != "" {
				worst = text
			}
		case isError(line):
			worst = line
		}
		last = line
	}
	return say(cmp.Or(worst, last))
}

// exitMessage reads restic's {"message_type":"exit_error","message":…}.
func exitMessage(line string) string {
	var in struct {
		Type    string `json:"message_type"`
		Message string `json:"message"`
	}
	if json.Unmarshal([]byte(line), &in) != nil || in.Type != "exit_error" {
		return ""
	}
	first, _, _ := strings.Cut(in.Message, "\n")
	return first
}

// isError tells a line that calls itself an error.
func isError(line string) bool {
	word, _, _ := strings.Cut(strings.ToLower(line), ":")
	switch strings.Trim(word, " []") {
	case "fatal", "error", "panic":
		return true
	}
	return false
}

// ago is an age as people say it.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}
