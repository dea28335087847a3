package units

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// told is what list.sh prints of a host with a failed service, a timer that is
// enabled and stopped, one that its conditions keep away, and ada's notes.
const told = `
MARK units system
broken.service loaded failed failed A job that fails
idle.timer     loaded inactive dead A timer that was stopped
kept.timer     loaded inactive dead Only on batteries
well.timer     loaded active waiting Daily
MARK told system

MARK show system
Id=broken.service
Result=exit-code
ExecMainStatus=3
ExecMainExitTimestamp=@1795375729
StateChangeTimestamp=@1795375730
MemoryCurrent=[not set]
Type=oneshot

Id=kept.timer
ConditionResult=no
ConditionTimestamp=@1795375729

MARK timers system
[{"next":1795392000000000,"left":1795392000000000,"last":0,"passed":0,"unit":"well.timer","activates":"well.service"},{"next":null,"left":0,"last":1795375729000000,"passed":0,"unit":"idle.timer","activates":"idle.service"}]
MARK files system
well.timer  enabled enabled
idle.timer  enabled enabled
kept.timer  enabled enabled
gone.timer  enabled enabled
many@.timer enabled enabled
off.timer   disabled enabled

MARK closed 1001

MARK user 1000
ada

MARK units 1000
notes.service loaded active running Notes [31m
MARK told 1000

MARK show 1000
Id=notes.service
MemoryCurrent=18446744073709551615

MARK timers 1000
[]
MARK files 1000

MARK end
`

func TestAList(t *testing.T) {
	list, err := parseList([]byte(told), "MARK")
	if err != nil {
		t.Fatal(err)
	}
	b := list.Units[0]
	if !b.Failed() || b.ExitStatus != 3 || b.Result != "exit-code" || b.Memory != nil || b.Since.Unix() != 1795375730 || b.Exited.Unix() != 1795375729 || b.Type != "oneshot" {
		t.Errorf("%+v", b)
	}
	n := list.Units[len(list.Units)-1]
	if n.Label() != "ada: notes.service" || strings.Contains(n.Description, "\x1b") || n.Memory != nil {
		t.Errorf("%+v", n)
	}
	var got []string
	for _, x := range list.Timers {
		got = append(got, fmt.Sprint(x.Name, " ", x.Active, " ", x.Idle(), " ", !x.Next.IsZero(), " ", !x.Last.IsZero()))
	}
	want := "gone.timer inactive true false false,idle.timer inactive true false true,kept.timer inactive false false false,well.timer active false true false"
	if strings.Join(got, ",") != want {
		t.Errorf("timers:\n%s\nwant\n%s", strings.Join(got, ","), want)
	}
	if !list.Timers[3].Next.Equal(time.UnixMicro(1795392000000000)) {
		t.Error(list.Timers[3].Next)
	}
	if strings.Join(list.Unseen, ";") != "units of user 1001: not root" {
		t.Errorf("%q", list.Unseen)
	}
}

// TestWhatIsNotToldIsNamed: an answer that breaks off, and one that lacks a part.
func TestWhatIsNotToldIsNamed(t *testing.T) {
	for cut, want := range map[string]string{
		"MARK end":           "units: the answer has no end",
		"MARK timers system": "next and last runs of timers of the system",
		"MARK show system":   "since, memory and last exit of the system",
		"MARK told 1000":     "units of user ada",
	} {
		list, err := parseList([]byte(strings.Replace(told, cut, "MARK other x", 1)), "MARK")
		if err != nil || !strings.Contains(strings.Join(list.Unseen, ";"), want) {
			t.Errorf("without %q: %q, %v", cut, list.Unseen, err)
		}
	}
	for _, out := range []string{"", "\nMARK none\n", "\nMARK end\n"} {
		if _, err := parseList([]byte(out), "MARK"); err == nil {
			t.Errorf("%q: no error", out)
		}
	}
}

const shown = `
MARK show
Id=web.service
LoadState=loaded
ActiveState=failed
SubState=failed
Result=dependency
MemoryCurrent=[not set]

MARK who
root

MARK file
# /etc/systemd/system/web.service
[Service]
Environment="API_TOKEN=s3cr3t" \
  MORE=s3cr3t
Environment=s3cr3t
SetCredential=key:s3cr3t
Environment=
LoadCredential=token:/run/secrets/token
ExecStartPre=/bin/wait --token s3cr3t \
  # a comment
  --url https://ada:s3cr3t@example.org --port 80
ExecStart=/bin/web
MARK needs 1
Id=web.service
LoadState=loaded
ActiveState=failed
Requires=middle.service lost.service
Wants=absent.service

MARK needs 2
Id=middle.service
LoadState=loaded
ActiveState=inactive
SubState=dead
BindsTo=base.service web.service

Id=lost.service
LoadState=not-found
ActiveState=inactive

Id=absent.service
LoadState=not-found
ActiveState=inactive

MARK needs 3
Id=base.service
LoadState=loaded
ActiveState=failed
SubState=failed
Result=exit-code

MARK end
`

func TestAUnitsDetail(t *testing.T) {
	d, err := parseShow([]byte(shown), "MARK", false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range d.Broken {
		got = append(got, b.Kind+" "+b.Name+" by "+strings.Join(b.Via, ">")+": "+b.State)
	}
	if want := "Requires lost.service by web.service: not-found;BindsTo base.service by web.service>middle.service: failed (failed), exit-code"; strings.Join(got, ";") != want {
		t.Errorf("broken: %s", strings.Join(got, ";"))
	}
	if strings.Contains(d.File, "s3cr3t") || !strings.Contains(d.File, "API_TOKEN=(hidden)") || !strings.Contains(d.File, "\nEnvironment=\n") || !strings.HasSuffix(d.File, "ExecStart=/bin/web\n") ||
		!strings.Contains(d.File, "=token:/run/secrets/token\n") || !strings.Contains(d.File, "\nExecStartPre=/bin/wait --token (hidden) \\\n  # a comment\n  --url https://ada:(hidden)@example.org --port 80\n") {
		t.Errorf("file:\n%s", d.File)
	}
	if !d.Unit.Failed() || len(d.Unseen) > 0 || d.Secrets || d.Hidden != 6 || d.As != "root" {
		t.Errorf("%+v", d)
	}
	open, err := parseShow([]byte(shown), "MARK", true)
	if err != nil || !open.Secrets || open.Hidden != 0 || strings.Contains(open.File, fleet.Hidden) ||
		!strings.HasSuffix(open.File, "\nEnvironment=\"API_TOKEN=s3cr3t\" \\\n  MORE=s3cr3t\nEnvironment=s3cr3t\nSetCredential=key:s3cr3t\nEnvironment=\nLoadCredential=token:/run/secrets/token\n"+
			"ExecStartPre=/bin/wait --token s3cr3t \\\n  # a comment\n  --url https://ada:s3cr3t@example.org --port 80\nExecStart=/bin/web\n") {
		t.Errorf("as it is: %v\n%s", err, open.File)
	}
	if _, err := parseShow([]byte("\nMARK show\nId=x.service\nLoadState=not-found\nActiveState=inactive\n\nMARK end\n"), "MARK", false); err == nil {
		t.Error("a unit that is not there")
	}
	cut, err := parseShow([]byte(strings.Replace(shown, "MARK end", "", 1)), "MARK", false)
	if err != nil || len(cut.Unseen) != 1 {
		t.Errorf("%q, %v", cut.Unseen, err)
	}
}

// TestTheEnvironmentIsNotAsked: it holds secrets, and is told to everybody who asks.
func TestTheEnvironmentIsNotAsked(t *testing.T) {
	for _, script := range []string{listScript, showScript} {
		for line := range strings.Lines(script) {
			if strings.Contains(line, " -p ") && strings.Contains(line, "Environment") {
				t.Error(line)
			}
		}
	}
}

func FuzzList(f *testing.F) {
	f.Add([]byte(told))
	f.Fuzz(func(t *testing.T, out []byte) {
		list, _ := parseList(out, "MARK")
		for _, u := range list.Units {
			if s := u.Label() + u.Description + u.Active; fleet.Clean(s) != s {
				t.Errorf("%q is not clean", s)
			}
		}
		for _, x := range list.Timers {
			if s := x.Name + x.Activates + x.User; fleet.Clean(s) != s {
				t.Errorf("%q is not clean", s)
			}
		}
	})
}

func FuzzShow(f *testing.F) {
	f.Add([]byte(shown))
	f.Fuzz(func(t *testing.T, out []byte) {
		d, _ := parseShow(out, "MARK", false)
		if bytes.ContainsRune([]byte(d.File), 0x1b) {
			t.Errorf("%q is not clean", d.File)
		}
		for _, b := range d.Broken {
			if len(b.Via) > 5 {
				t.Errorf("%v is too far", b.Via)
			}
		}
	})
}
