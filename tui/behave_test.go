package tui_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

func console(o tui.Options) *tuitest.Console { return o.Console.(*tuitest.Console) }

// eventually waits until something is true that is not on the screen.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(tuitest.Patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("never came true: %s", what)
}

func TestNothingIsWrittenWhileNothingChanges(t *testing.T) {
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			// how long the start goes on writing is the machine's affair
			open(t, sample(), size[0], size[1]).WaitFor("storage").Settle(3 * time.Second)
		})
	}
}

func TestACursorMoveIsCheap(t *testing.T) {
	term := open(t, sample(), 40, 20).WaitFor("storage").Settle(time.Second)
	before := term.Written()
	term.Press("j").WaitFor("> desk").Settle(200 * time.Millisecond)
	if n := term.Written() - before; n > 400 { // two rows of text that change from and to reverse
		t.Errorf("moving the cursor wrote %d bytes", n)
	}
}

// TestWhoTypesANameMeansThatHost: others that the filter finds by what is told of them
// are listed, and the cursor is on the one of the name.
func TestWhoTypesANameMeansThatHost(t *testing.T) {
	o := sample()
	for _, st := range o.Store.Snapshot().Hosts {
		o.Store.Update(st.Host.ID, func(s *fleet.State) { s.Host.Tags = append(s.Host.Tags, "near-router") })
	}
	term := open(t, o, 80, 24).WaitFor("storage")
	for _, name := range []string{"router", "desk", "router"} {
		term.Press("/").Send(name).Press("enter").WaitFor("> " + name).Press("esc").WaitGone("/" + name)
	}
}

func TestBackGoesOneLevel(t *testing.T) {
	term := open(t, sample(), 80, 24).WaitFor("storage")
	term.Press("G", "space", "/", "stor", "enter").WaitFor("1 of 7")
	term.Press("3").WaitFor("jellyfin").Press("enter").WaitFor("networks")
	term.Press("?").WaitFor("Everywhere", "Here").Press("esc").WaitGone("Here")
	term.Press("esc").WaitFor("jellyfin").WaitGone("networks")
	term.Press("esc").WaitFor("1 of 7")
	term.Press("esc").WaitGone("1 of 7").WaitFor("router")
	if !strings.Contains(term.Screen(), "*storage") && !strings.Contains(term.Screen(), ">*storage") {
		t.Errorf("the mark went with the filter:\n%s", term.Screen())
	}
	term.Press("esc").WaitGone("*storage")
	term.Press("esc").WaitFor("this is the first screen")
}

func TestHistory(t *testing.T) {
	term := open(t, sample(), 80, 24).WaitFor("storage")
	term.Press("G", "enter").WaitFor("1 Overview").Press("M").WaitFor("Messages")
	term.Press("[").WaitFor("1 Overview").Press("[").WaitFor("7 hosts").Press("]").WaitFor("1 Overview")
	term.Press("-").WaitFor("7 hosts").Press("-").WaitFor("1 Overview")
}

func TestKeysThatAreOffSayWhy(t *testing.T) {
	term := open(t, sample(), 80, 24).WaitFor("storage")
	term.Press("R").WaitFor("roll back: not in this version yet")
	term.Press("D").WaitFor("deploy: not in this version yet")
}

func TestReadOnly(t *testing.T) {
	o := sample()
	o.ReadOnly = true
	term := open(t, o, 80, 24).WaitFor("read-only")
	term.Press("S").WaitFor("shell: read-only")
	term.Press("?").WaitFor("off: read-only")
}

func TestThePaletteRunsWhatItShows(t *testing.T) {
	term := open(t, sample(), 80, 24).WaitFor("storage")
	term.Press(":", "rout").WaitFor("→ host router").Press("enter").WaitFor("router › Overview")
	term.Press(":", "cont").WaitFor("ainers of router").Press("enter").WaitFor("router › Containers", "no container engine")
	term.Press(":", "deplo").WaitFor("deploy is off").Press("enter").WaitFor("deploy: not in this version yet")
	term.Press("esc").WaitGone("Commands").Press(":", "secr", "enter").WaitFor("Secrets", "No encrypted file is known")
	term.Press(":", "theme hi", "enter").WaitGone("Commands")
}

func TestAPhonesKeyboard(t *testing.T) {
	o := sample()
	term := open(t, o, 40, 20).WaitFor("storage")
	// With the kitty protocol a key can carry several letters as its text.
	term.Send("\x1b[0;;71:51u").WaitFor("jellyfin") // "G3"
	term.Press("esc").WaitFor("cloud")
	term.Paste("g").Settle(100 * time.Millisecond)
	term.Paste("G4").WaitFor("immich-ml.service")
	term.Press("esc").WaitFor("cloud").Paste("rm -rf everything there is\n").WaitFor("pasted text is not")
	if len(console(o).Refreshes()) != 0 {
		t.Error("pasted text was taken as keys")
	}
}

func TestEverythingCanBeTapped(t *testing.T) {
	term := open(t, sample(), 40, 20).WaitFor("storage")
	term.ClickOn("router").WaitFor("> router").ClickOn("router").WaitFor("[1 Overview]")
	term.Click(13, 1).WaitFor("[2 Generations]").ClickOn("back").WaitFor("cloud")
	term.ClickOn("help").WaitFor("┌─ Help").ClickOn("esc close").WaitGone("┌─ Help")
	term.ClickOn("command").WaitFor("Commands")
	term.Press("esc").WaitGone("Commands").ClickOn("storage").WaitFor("> storage").Press("4").WaitFor("FAIL  3h")
	term.Click(1, 0).WaitFor("cloud") // the title leads back
}

func TestTheMouseCanBeTurnedOff(t *testing.T) {
	term := open(t, sample(), 80, 24).WaitFor("storage").Press("m").WaitFor("mouse off").Settle(100 * time.Millisecond)
	eventually(t, "the terminal reports the mouse no more", func() bool { return strings.Contains(term.Raw(), "\x1b[?1002l") })
}

func TestTheCursorIsOnTheSelectedRow(t *testing.T) {
	term := open(t, sample(), 80, 24).WaitFor("storage").Press("j", "j").WaitFor("> lab").Settle(200 * time.Millisecond)
	x, y := term.Cursor()
	if row := term.Row(y); x != 0 || !strings.HasPrefix(row, "> lab") {
		t.Errorf("the cursor is at %d,%d in %q", x, y, row)
	}
	if term.Title() != "sextant" {
		t.Errorf("the window is called %q", term.Title())
	}
}

func TestLookSaysWhatIsOnTheScreen(t *testing.T) {
	o := sample()
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "3").WaitFor("jellyfin")
	eventually(t, "the containers are looked at", func() bool {
		looks := console(o).Looks()
		last := looks[len(looks)-1]
		return last.Host == "n-storage" && last.Tab == "containers" && len(last.Containers) == 5
	})
	term.Press("j").Settle(150 * time.Millisecond).Press("enter").WaitFor("networks")
	eventually(t, "only the open container is looked at", func() bool {
		looks := console(o).Looks()
		return len(looks[len(looks)-1].Containers) == 1
	})
	term.Send("\x1b[O")
	eventually(t, "nobody looks", func() bool { looks := console(o).Looks(); return looks[len(looks)-1].Idle })
	term.Send("\x1b[I")
	eventually(t, "somebody looks", func() bool { looks := console(o).Looks(); return !looks[len(looks)-1].Idle })
}

// talker is a shell that says where it is, reads a line and ends.
type talker struct {
	in  io.Reader
	out io.Writer
	got chan string
	err error
}

func (s *talker) SetStdin(r io.Reader)  { s.in = r }
func (s *talker) SetStdout(w io.Writer) { s.out = w }
func (s *talker) SetStderr(io.Writer)   {}
func (s *talker) Run() error {
	fmt.Fprint(s.out, "remote$ ")
	buf := make([]byte, 100)
	n, _ := s.in.Read(buf)
	s.got <- string(buf[:n])
	return s.err
}

func TestAShellTakesTheTerminalAndGivesItBack(t *testing.T) {
	o := sample()
	sh := &talker{got: make(chan string, 1)}
	console(o).NewShell = func(id fleet.HostID) (fleet.Session, error) { return sh, nil }
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "S").WaitFor("a shell on storage", "remote$")
	if term.AltScreen() {
		t.Error("the shell is on the UI's own screen")
	}
	looks := console(o).Looks()
	if !looks[len(looks)-1].Idle {
		t.Error("hosts are kept live while nobody looks")
	}
	for range 50 { // who writes to the store does not wait for the shell
		o.Store.Note(fleet.Message{At: tuitest.Now, Level: fleet.Info, Text: "meanwhile"})
		time.Sleep(time.Millisecond)
	}
	term.Send("uptime\r")
	if got := <-sh.got; !strings.HasPrefix(got, "uptime") {
		t.Errorf("the shell read %q", got)
	}
	term.WaitFor("7 hosts", "> storage").Press("k").WaitFor("> router")
	eventually(t, "somebody looks again", func() bool { looks := console(o).Looks(); return !looks[len(looks)-1].Idle })
	term.Press("M").WaitFor("meanwhile")
	sh.err = errors.New("connection lost")
	term.Press("esc", "S").WaitFor("remote$").Send("x\r").WaitFor("shell: connection lost")
}

func TestNoShell(t *testing.T) {
	term := open(t, sample(), 80, 24).WaitFor("storage").Press("S").WaitFor("ERR cloud: no shell: no shell here")
	term.Press("M").WaitFor("no shell here")
}

func TestALogFollowsAndEnds(t *testing.T) {
	o := sample()
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "4", "L").WaitFor("following", "/photos/59")
	log := console(o).OpenLogs()[0]
	if q := log.Query; !slices.Equal(q.Sources, []fleet.LogSource{{Host: "n-storage", Unit: "podman-immich-ml.service"}}) || !q.Follow || q.Lines != 500 {
		t.Errorf("asked for %+v", q)
	}
	line := func(s string) fleet.LogLine { return fleet.LogLine{At: tuitest.Now, Level: 6, Text: s} }
	log.Write(line("the next one"))
	term.WaitFor("the next one").Press("k").WaitFor("stopped")
	log.Write(line("unseen one"), line("unseen two"))
	term.WaitFor("2 new").WaitGone("unseen two").Press("G").WaitFor("unseen two", "following")
	term.Press("g").WaitFor("/photos/0 ").Press("/", "upstream", "enter").WaitFor("request 54").Press("N").WaitFor("request 43")
	term.Press("n").WaitFor("request 54").Press("o").WaitFor("only matches").WaitGone("/photos/")
	term.Press("esc").WaitGone("only matches").Press("t").WaitFor("2026-11-22 11").Press("s").WaitFor("last hour")
	eventually(t, "the first log is closed", log.Closed)
	logs := console(o).OpenLogs()
	second := logs[len(logs)-1] // between them older lines were asked for
	if !second.Query.Since.Equal(tuitest.Now.Add(-time.Hour)) {
		t.Errorf("since %v", second.Query.Since)
	}
	second.End()
	term.WaitFor("The log ended here")
	term.Press("esc").WaitFor("[4 Units]")
	eventually(t, "the second log is closed", second.Closed)
}

func TestALogThatCannotBeRead(t *testing.T) {
	o := sample()
	console(o).LogErr = errors.New("storage: journalctl: permission denied; join the group systemd-journal")
	open(t, o, 40, 20).WaitFor("storage").Press("G", "4", "L").WaitFor("ERR storage: journalctl")
}

func TestActionsAskAndTell(t *testing.T) {
	o := sample()
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "4").WaitFor("immich-ml")
	term.Press(".").WaitFor("restart unit").Press("down", "enter").WaitFor("roll back: not in this version yet")
	term.Press("up", "enter").WaitFor("Restart podman-immich-ml.service", "systemctl restart")
	time.Sleep(300 * time.Millisecond)                // what is typed at once does not count
	term.Press("enter").WaitGone("systemctl restart") // the default is No
	term.Press(":", "restart", "enter").WaitFor("systemctl restart")
	time.Sleep(300 * time.Millisecond)
	term.Press("y").WaitFor("stopping podman-immich-ml", "done")
	eventually(t, "the host is asked again", func() bool { return len(console(o).Refreshes()) > 0 })
	term.Press("esc", "P").WaitFor("starting podman-immich-ml").Press("esc", "M").WaitFor("restart unit podman-immich-ml.service: done")
}

func TestKeysCanBeBoundAnew(t *testing.T) {
	o := sample()
	o.Keys = map[string][]string{"messages": {"x"}, "deploy": {"M"}}
	term := open(t, o, 80, 24).WaitFor("storage").Press("M").WaitFor("deploy: not in this version yet")
	term.Press("x").WaitFor("Messages", "7 hosts found")
}

func TestAQuestion(t *testing.T) {
	o := sample()
	term := open(t, o, 40, 20).WaitFor("storage")
	for id := 7; ; id++ {
		answered := func() bool { _, ok := console(o).Answered(id); return ok }
		asked := time.Now()
		o.Store.SetQuestions([]fleet.Question{{ID: id, Host: "cloud", Kind: fleet.AskHostKey, Text: "unknown host key of cloud", Detail: []string{"ed25519 SHA256:9cX1lCwyFkq1pQ5nZ0zB7Jm0m1a2b3c4d5e6f7g8h9i", "seen for the first time at 100.64.0.7"}}})
		term.WaitFor("Trust this host?", "SHA256:9cX1l")
		term.Press("yyy") // typed ahead
		for end := time.Now().Add(700 * time.Millisecond); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if answered() && time.Since(asked) < 400*time.Millisecond {
				t.Fatal("keys that were typed ahead answered")
			}
		}
		if !answered() {
			term.Press("enter")
			eventually(t, "the question is answered", answered)
		}
		term.WaitGone("Trust this host?")
		if r, _ := console(o).Answered(id); r.Refuse {
			return
		}
		if id == 16 { // where the machine stalls, what was typed comes late, and counts
			t.Fatal("keys that were typed ahead answered, or Enter trusted the key")
		}
	}
}

// TestAQuestionWaitsForWhoTypes: what is typed stays where it was typed.
func TestAQuestionWaitsForWhoTypes(t *testing.T) {
	for _, key := range []string{"/", ":"} {
		o := sample()
		term := open(t, o, 80, 24).WaitFor("storage").Press(key).Press("dex").WaitFor("dex").Press("backspace").WaitGone("dex")
		o.Store.SetQuestions([]fleet.Question{{ID: 8, Host: "desk", Kind: fleet.AskHostKey, Text: "unknown host key of desk"}})
		term.WaitFor("desk asks").Press("ploy").WaitFor("deploy")
		if strings.Contains(term.Screen(), "Trust this host?") {
			t.Errorf("a question opened over what is typed behind %s", key)
		}
		term.Press("esc").WaitFor("Trust this host?")
	}
}

// TestRootWaitsForWhoLooks: that a host would tell more to root interrupts nobody who
// looks at the fleet; it is asked where the host is looked into, or something is done.
func TestRootWaitsForWhoLooks(t *testing.T) {
	o := sample()
	o.Store.SetQuestions([]fleet.Question{
		{ID: 8, Host: "storage", Kind: fleet.AskSudo, Text: "sudo password of ada on storage", Secret: true},
		{ID: 9, Host: "cloud", Kind: fleet.AskSudo, Text: "sudo password of ada on cloud", Secret: true},
	})
	term := open(t, o, 120, 40).WaitFor("2 questions").Press("G").WaitFor("> storage", "asks sudo password of ada on").Settle(500 * time.Millisecond)
	if strings.Contains(term.Screen(), "Password for root rights") {
		t.Errorf("it opened by itself:\n%s", term.Screen())
	}
	term.Press("enter").WaitFor("Password for root rights", "ada on storage", "cloud asks")
	term.Settle(700 * time.Millisecond).Press("esc").WaitGone("Password for root rights").Press("0").WaitFor("cloud asks")

	o = sample()
	o.Store.SetQuestions([]fleet.Question{{ID: 8, Host: "storage", Kind: fleet.AskSudo, Text: "sudo password of ada on storage", Secret: true}})
	o.Actions = append(o.Actions, fleet.Action{
		ID: "wait", Title: "wait", Help: "wait", Keys: []string{"X"}, Scope: fleet.ScopeHost,
		Run: func(ctx context.Context, _ fleet.Target, _ func(string)) error {
			<-ctx.Done()
			return ctx.Err()
		},
	})
	open(t, o, 120, 40).WaitFor("storage asks").Press("G").WaitFor("> storage").Press("X").WaitFor("Password for root rights")
}

func TestASecretIsNotShown(t *testing.T) {
	o := sample()
	term := open(t, o, 40, 20).WaitFor("storage").Press("G", "enter").WaitFor("Overview")
	o.Store.SetQuestions([]fleet.Question{{ID: 8, Host: "storage", Kind: fleet.AskSudo, Text: "sudo password of ada on storage", Secret: true}})
	term.WaitFor("Password for root rights")
	time.Sleep(600 * time.Millisecond)
	term.Press("hun q").Paste("ter 2").WaitFor("**********").Press("enter")
	eventually(t, "the question is answered", func() bool { _, ok := console(o).Answered(8); return ok })
	if r, _ := console(o).Answered(8); r.Text != "hun qter 2" || r.Refuse {
		t.Errorf("answered %+v", r)
	}
	if strings.Contains(term.Raw(), "ter 2") {
		t.Error("the secret was written to the terminal")
	}
}

func TestAnAddressToVisitEndsByItself(t *testing.T) {
	o := sample()
	term := open(t, o, 40, 20).WaitFor("storage")
	url := "https://login.tailscale.com/a/0123456789abcdef0123456789abcdef0123456789"
	o.Store.SetQuestions([]fleet.Question{{ID: 9, Host: "router", Kind: fleet.AskVisit, Text: "Tailscale wants you to check in", URL: url}})
	term.WaitFor("Open this address", "https://login.tailscale.com/a/0123")
	o.Store.SetQuestions(nil)
	term.WaitGone("Open this address")
	if _, ok := console(o).Answered(9); ok {
		t.Error("it was answered")
	}
}

func TestErrorsThatComeInAreFlashed(t *testing.T) {
	o := sample()
	term := open(t, o, 40, 20).WaitFor("storage")
	o.Store.Note(fleet.Message{At: tuitest.Now.Add(time.Second), Level: fleet.Error, Host: "lab", Text: "units cannot be read: D-Bus is gone; look at it with S"})
	term.WaitFor("ERR lab: units cannot be read", "look at it with S").Press("esc").WaitGone("look at it with S").WaitFor("1 ERR")
	term.Press("M").WaitFor("D-Bus is gone").Press("esc").WaitFor("cloud").WaitGone("1 ERR")
}

func TestRowsStayUnderTheCursor(t *testing.T) {
	o := sample()
	term := open(t, o, 80, 24).WaitFor("storage").Press("j", "j", "j").WaitFor("> laptop")
	snap := o.Store.Snapshot()
	hosts := []fleet.Host{{ID: "new", Name: "aaa-new"}, {ID: "new2", Name: "zzz"}}
	for _, st := range snap.Hosts {
		hosts = append(hosts, st.Host)
	}
	o.Store.SetHosts(hosts, nil, nil)
	term.WaitFor("zzz", "aaa-new", "> laptop")
}

// TestHostsAreGrouped by role and by tier, those on which most depends first; the heads
// of groups are no rows.
func TestHostsAreGrouped(t *testing.T) {
	term := open(t, sample(), 80, 24).WaitFor("> cloud").Press("v").WaitFor("hosts by role", "router 1", "storage 1", "desktop 1", "no role")
	if s := term.Screen(); strings.Index(s, "router 1") > strings.Index(s, "storage 1") || strings.Index(s, "storage 1") > strings.Index(s, "cloud 1") || strings.Index(s, "no role") > strings.Index(s, "desktop 1") {
		t.Errorf("the groups are in another order:\n%s", s)
	}
	term.Press("g").WaitFor("> router").Press("j").WaitFor("> storage").Press("G").WaitFor("> laptop")
	term.Press("/", "desktop", "enter").WaitFor("1 of 7", "laptop").Press("esc").WaitGone("1 of 7")
	term.Press("v").WaitFor("hosts by tier", "tier1 2").Press("enter").WaitFor("[1 Overview]").Press("esc").WaitFor("tier1 2")
	term.Press("v").WaitFor("hosts by name").WaitGone("tier1 2")
}

// TestNodesAreRemoved: what is marked is named to the action, and its hosts are opened.
func TestNodesAreRemoved(t *testing.T) {
	o := sample()
	tailnetted(&o)
	var mu sync.Mutex
	var removed []string
	o.Actions = append(o.Actions, fleet.Action{
		ID: "node-remove", Title: "Remove from the tailnet", Keys: []string{"x"}, Scope: fleet.ScopeNode, Danger: true,
		Disabled: func(t fleet.Target) string {
			if slices.Contains(t.Nodes, "nrouter") {
				return "router: it is online"
			}
			return ""
		},
		Plan: func(_ context.Context, t fleet.Target) (fleet.Plan, error) {
			return fleet.Plan{Title: fmt.Sprintf("Remove %d nodes", len(t.Nodes)), Typed: fmt.Sprintf("%d nodes", len(t.Nodes))}, nil
		},
		Run: func(_ context.Context, t fleet.Target, _ func(string)) error {
			mu.Lock()
			defer mu.Unlock()
			removed = t.Nodes
			return nil
		},
	})
	term := open(t, o, 80, 24).WaitFor("storage").Press(":", "Tailnet").Settle(150*time.Millisecond).Press("enter").WaitFor("relay fra 48 ms", "6d")
	term.Press("/", "router", "enter").WaitFor("1 of 10").Press("x").WaitFor("it is online").Press("enter").WaitFor("[1 Overview]").Press("esc").WaitFor("1 of 10").Press("esc")
	term.Press("/", "stale", "enter").WaitFor("2 of 10").Press("V", "x").WaitFor("Remove 2 nodes", "Type 2 nodes").Settle(time.Second).Press("2 nodes", "enter")
	eventually(t, "they are removed", func() bool { mu.Lock(); defer mu.Unlock(); return len(removed) == 2 })
	if slices.Sort(removed); !slices.Equal(removed, []string{"nold", "nsvc"}) {
		t.Errorf("%q", removed)
	}
}

func TestTooSmall(t *testing.T) {
	term := open(t, sample(), 30, 8).WaitFor("sextant needs 32x10")
	term.Press("q")
	if err := term.Wait(); err != nil {
		t.Errorf("leaving: %v", err)
	}
}

func TestLeaving(t *testing.T) {
	for _, key := range []string{"q", "ctrl+c"} {
		term := open(t, sample(), 80, 24).WaitFor("storage").Press(key)
		if err := term.Wait(); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		eventually(t, key+": the terminal is as it was", func() bool { return !term.AltScreen() })
	}
}

func TestOverSSHTheTerminalIsAskedForWholeFrames(t *testing.T) {
	o := sample()
	o.Environ = []string{"TERM=xterm-256color", "SSH_TTY=/dev/pts/3", "SSH_CONNECTION=1 2 3 4"}
	term := open(t, o, 80, 24).WaitFor("storage").Settle(200 * time.Millisecond)
	if !strings.Contains(term.Raw(), "\x1b[?2026$p") {
		t.Error("it was not asked")
	}
}

func TestWithoutColourTheSelectionIsStillSeen(t *testing.T) {
	o := sample()
	o.Environ = []string{"TERM=xterm-256color", "NO_COLOR=1"}
	term := open(t, o, 80, 24).WaitFor("> cloud").Settle(200 * time.Millisecond)
	for _, sgr := range []string{"\x1b[3", "\x1b[4", ";3"} {
		for rest := term.Raw(); ; {
			_, after, ok := strings.Cut(rest, sgr)
			if !ok {
				break
			}
			if digits := strings.TrimLeft(after, "0123456789;"); strings.HasPrefix(digits, "m") && !strings.HasPrefix(after, "m") {
				t.Fatalf("colour was written: %q", sgr+after[:5])
			}
			rest = after
		}
	}
	if !strings.Contains(term.Raw(), "\x1b[7m") {
		t.Error("the selected row is not reversed")
	}
}

func TestMessagesThatAreReadAreNotCounted(t *testing.T) {
	o := sample()
	term := open(t, o, 80, 24).WaitFor("storage").Press("M").WaitFor("7 hosts found")
	o.Store.Note(fleet.Message{At: tuitest.Now.Add(time.Second), Level: fleet.Error, Host: "lab", Text: "seen while it is read"})
	term.WaitFor("lab: seen while it is read").Press("esc", "esc").WaitFor("> cloud").Settle(200 * time.Millisecond)
	if strings.Contains(term.Screen(), "1 ERR") {
		t.Errorf("it is counted as new:\n%s", term.Screen())
	}
	for range 600 { // more than are kept
		o.Store.Note(fleet.Message{At: tuitest.Now.Add(2 * time.Second), Level: fleet.Info, Text: "more"})
	}
	o.Store.Note(fleet.Message{At: tuitest.Now.Add(3 * time.Second), Level: fleet.Error, Host: "lab", Text: "a new one"})
	term.WaitFor("1 ERR")
}

// TestChartsAreAskedForOnlyWhileTheirTabIsOpen: newer values ask again there,
// and nowhere else.
func TestChartsAreAskedForOnlyWhileTheirTabIsOpen(t *testing.T) {
	o := sample()
	c := console(o)
	newer := func() {
		o.Store.Update("n-storage", func(s *fleet.State) { s.Metrics.At = s.Metrics.At.Add(20 * time.Second) })
	}
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "enter").WaitFor("[1 Overview]")
	newer()
	term.Settle(200 * time.Millisecond)
	if asked := c.Charted(); len(asked) != 0 {
		t.Errorf("asked for %v before the tab was opened", asked)
	}
	term.Press("6").WaitFor("highest")
	newer()
	eventually(t, "asked again after newer values", func() bool { return len(c.Charted()) == 2 })
	term.Press("4").WaitFor("[4 Units]")
	newer()
	term.Press("esc").WaitFor("desk").Settle(200 * time.Millisecond)
	newer()
	term.Settle(200 * time.Millisecond)
	asked := c.Charted()
	if len(asked) != 2 || asked[0] != "n-storage" || asked[1] != "n-storage" {
		t.Errorf("asked for %v", asked)
	}
	looks := c.Looks()
	if last := looks[len(looks)-1]; last.Host != "" && last.Tab == "metrics" {
		t.Errorf("still looked at: %+v", last)
	}
}

// TestLinksAreForTerminalsThatKnowThem: a link is text everywhere, and leads to its
// page (OSC 8) but where signs are plain.
func TestLinksAreForTerminalsThatKnowThem(t *testing.T) {
	const page = "https://prometheus.example.org/graph?g0.tab=1"
	for _, glyphs := range []string{"unicode", "ascii"} {
		o := sample()
		monitoring(&o)
		o.Glyphs = glyphs
		term := open(t, o, 120, 40).WaitFor("storage").Press("A").WaitFor("HostDown", page).Settle(200 * time.Millisecond)
		if linked := strings.Contains(term.Raw(), "\x1b]8;") && strings.Contains(term.Raw(), page); linked != (glyphs == "unicode") {
			t.Errorf("%s: linked %v", glyphs, linked)
		}
		term.Press("q")
	}
}

// TestTheChartsOfAContainer: below what runs in it, over the same windows, and why
// there are none where nobody keeps them.
func TestTheChartsOfAContainer(t *testing.T) {
	o := sample()
	happening(&o)
	term := open(t, o, 100, 70).WaitFor("storage").Press("G", "3", "/", "caddy", "enter", "enter").WaitFor("The last 1h", "cores  highest", "memory ", "load_average_15")
	term.Golden("container-charts-100x70", *update)
	term.Press("w").WaitFor("The last 24h", "cores  highest")
	console(o).OfContainer = nil
	term.Press("w").WaitFor("The last 7d", "no Netdata keeps the past")
}

// TestTheWindowOfTheCharts: a key and a tap turn it, another is asked for at once
// and asked again as often as it would look otherwise.
func TestTheWindowOfTheCharts(t *testing.T) {
	o := sample()
	c := console(o)
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "6").WaitFor("[1h] 24h  7d", "highest")
	term.Press("w").WaitFor(" 1h [24h] 7d", "highest").Press("w").WaitFor("[7d]", "highest").Press("w").WaitFor("[1h]", "highest")
	term.ClickOn("24h").WaitFor("[24h]", "highest")
	want := []time.Duration{time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, time.Hour, 24 * time.Hour}
	eventually(t, "each was asked for", func() bool { return slices.Equal(c.Windows(), want) })
	o.Store.Update("n-storage", func(s *fleet.State) { s.Metrics.At = s.Metrics.At.Add(time.Minute) })
	term.Settle(200 * time.Millisecond)
	if got := c.Windows(); len(got) != len(want) {
		t.Errorf("a day of charts was read again after a minute: %v", got)
	}
	o.Store.Update("n-storage", func(s *fleet.State) { s.Metrics.At = s.Metrics.At.Add(6 * time.Minute) })
	eventually(t, "a day is read again after six", func() bool { return len(c.Windows()) == len(want)+1 })
}

// TestAShellInAContainer is of the container the cursor is on, and only where it runs.
func TestAShellInAContainer(t *testing.T) {
	o := sample()
	sh := &talker{got: make(chan string, 1)}
	console(o).NewExec = func(id fleet.HostID, container, user string) (fleet.Session, error) {
		if container == "postgres" {
			return nil, errors.New("storage: HTTP 500: no such container")
		}
		if id != "n-storage" || container != "jellyfin" || user != "root" {
			return nil, fmt.Errorf("%s of %s on %s", container, user, id)
		}
		return sh, nil
	}
	term := open(t, o, 80, 24).WaitFor("storage").Press("G", "enter", "e").WaitFor("exec: select a container first")
	term.Press("3", "/", "jelly", "enter").WaitFor("> jellyfin").Press("e").WaitFor("a shell in jellyfin on storage", "remote$").Send("id\r")
	if got := <-sh.got; !strings.HasPrefix(got, "id") {
		t.Errorf("the shell read %q", got)
	}
	term.WaitFor("> jellyfin")
	sh.err = errors.New("jellyfin on storage: the connection to it was lost; it was ended there")
	term.Press("e").WaitFor("remote$").Send("x\r").WaitFor("shell in jellyfin: jellyfin on storage: the connection")
	term.Press("esc", "/", "immich-ml", "enter").WaitFor("> immich-ml").Press("e").WaitFor("exec: immich-ml does not run")
	term.Press("esc", "/", "postgres", "enter").WaitFor("> postgres").Press("e").WaitFor("no shell in postgres: storage: HTTP 500")
	o = sample()
	o.ReadOnly = true
	open(t, o, 80, 24).WaitFor("read-only").Press("G", "3", "e").WaitFor("exec: read-only")
}
