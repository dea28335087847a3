package podman

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/term"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/test/pty"
)

// runner plays the exec API of both engines. What is run is told by its first word:
// "cat" copies its input, "both" writes to both outputs, "wait" says "ready" and
// waits for a signal, "exit" ends with its second word, "absent" is not there.
type runner struct {
	mu      sync.Mutex
	body    createBody
	start   startBody
	sizes   []string
	running bool
	exit    int
	removed bool
	deaf    bool          // a hang-up does not end it
	box     *box          // whose files they are; nil: nobody's
	noMv    bool          // there is no mv
	ended   chan struct{} // closed when "wait" shall end
}

const sessionID = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

func newRunner() *runner { return &runner{} }

// stop ends what waits.
func (x *runner) stop(code int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.running {
		x.running, x.exit = false, code
		close(x.ended)
	}
}

func (x *runner) kill(signal string) {
	if signal != "HUP" || !x.deaf {
		x.stop(129)
	}
}

// serves answers what is of the exec API.
func (x *runner) serves(w http.ResponseWriter, r *http.Request, path string) bool {
	switch {
	case x.box != nil && x.box.serves(w, r, path):
	case strings.HasSuffix(path, "/exec"):
		x.mu.Lock()
		defer x.mu.Unlock()
		if err := json.NewDecoder(r.Body).Decode(&x.body); err != nil {
			panic(err)
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"Id":%q}`, sessionID)
	case path == "/exec/"+sessionID+"/start":
		x.begin(w, r)
	case path == "/exec/"+sessionID+"/resize":
		x.mu.Lock()
		defer x.mu.Unlock()
		x.sizes = append(x.sizes, r.URL.Query().Get("w")+"x"+r.URL.Query().Get("h"))
		w.WriteHeader(http.StatusCreated)
	case path == "/exec/"+sessionID+"/json":
		x.mu.Lock()
		defer x.mu.Unlock()
		fmt.Fprintf(w, `{"Running":%t,"ExitCode":%d,"Pid":4711}`, x.running, x.exit)
	case path == "/exec/"+sessionID+"/remove":
		x.mu.Lock()
		x.removed = true
		x.mu.Unlock()
		x.stop(137)
	default:
		return false
	}
	return true
}

// begin runs the command on the connection of the request.
func (x *runner) begin(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	json.NewDecoder(r.Body).Decode(&x.start)
	cmd, tty := x.body.Cmd, x.body.Tty
	if cmd[0] == "absent" {
		x.mu.Unlock()
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, `{"cause":"no","message":"OCI runtime attempted to invoke a command that was not found: \u001b[31mabsent","response":500}`)
		return
	}
	x.running, x.ended = true, make(chan struct{})
	x.mu.Unlock()
	conn, in, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	if r.Header.Get("Upgrade") != "tcp" || r.Header.Get("Connection") != "Upgrade" {
		panic("no upgrade")
	}
	io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
	x.play(cmd, in.Reader, &framer{conn, 1, tty}, &framer{conn, 2, tty})
}

func (x *runner) play(cmd []string, in *bufio.Reader, out, errs io.Writer) {
	code := 0
	switch cmd[0] {
	case "cat":
		io.Copy(out, in)
		io.WriteString(out, "|end")
	case "both":
		io.WriteString(out, "to out")
		io.WriteString(errs, "to errs")
	case "engine":
		errs.(*framer).stream = 3
		io.WriteString(errs, "the engine \x1b[31mfailed")
	case "wait":
		io.WriteString(out, "ready")
		<-x.ended
		return
	case "echo": // what is typed, until q
		io.WriteString(out, "ready")
		for c := byte(0); c != 'q'; {
			c, _ = in.ReadByte()
			out.Write([]byte{c})
		}
	case "lost": // the connection ends, and not the command
		return
	case "exit":
		fmt.Sscan(cmd[1], &code)
	case "mv", "rm":
		if code = 127; !x.noMv {
			code = x.box.run(cmd)
		}
	}
	x.stop(code)
}

// framer writes as engines do: plainly where there is a terminal, else in frames.
type framer struct {
	w      io.Writer
	stream byte
	tty    bool
}

func (f *framer) Write(b []byte) (int, error) {
	whole := b
	if !f.tty {
		whole = append(binary.BigEndian.AppendUint32([]byte{f.stream, 0, 0, 0}, uint32(len(b))), b...)
	}
	if _, err := f.w.Write(whole); err != nil {
		return 0, err
	}
	return len(b), nil
}

// engineOf gives engines with a Podman or a Docker that runs commands, and the name
// of a container there.
func engineOf(t *testing.T, kind string) (*Engines, *runner, *host, string) {
	t.Helper()
	h, x := newHost(t), newRunner()
	h.kill = x.kill
	t.Cleanup(func() { x.stop(0) })
	sock, name := rootSock, "jellyfin"
	if kind == kindDocker {
		sock, name = dockerSock, "plex"
		docker := dockerServer(t, nil)
		h.sockets[sock.Path] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !x.serves(w, r, strings.TrimPrefix(r.URL.Path, "/v1.41")) {
				docker.ServeHTTP(w, r)
			}
		})
	} else {
		srv := newPodman(t, "5.4.2")
		srv.run = x
		h.sockets[sock.Path] = srv
	}
	e := h.engines()
	if f := read(t, e, state(sock)); !f.Current() {
		t.Fatal(f.Err)
	}
	return e, x, h, name
}

// ran runs a session on plain streams.
func ran(ctx context.Context, e *Engines, name, stdin string, cmd Command) (s *Session, out, errs string, err error) {
	var o, x bytes.Buffer
	s = e.Session(ctx, name, "", cmd)
	s.SetStdin(strings.NewReader(stdin))
	s.SetStdout(&o)
	s.SetStderr(&x)
	err = s.Run()
	return s, o.String(), x.String(), err
}

func TestExec(t *testing.T) {
	for _, kind := range []string{kindPodman, kindDocker} {
		t.Run(kind, func(t *testing.T) {
			e, x, _, name := engineOf(t, kind)
			big := strings.Repeat("0123456789", 1<<16)
			s, out, errs, err := ran(t.Context(), e, name, big, Command{Args: []string{"cat"}, User: "ada", Dir: "/srv", Env: []string{"A=b"}, TTY: true})
			if err != nil || out != big+"|end" || errs != "" || s.Status() != 0 {
				t.Errorf("%d bytes, %q, %d, %v", len(out), errs, s.Status(), err)
			}
			want := createBody{AttachStdin: true, AttachStdout: true, AttachStderr: true, DetachKeys: noDetach, User: "ada", WorkingDir: "/srv", Env: []string{"A=b"}, Cmd: []string{"cat"}}
			if !reflect.DeepEqual(x.body, want) {
				t.Errorf("%+v: no terminal where there is none here", x.body)
			}
			if _, out, errs, err = ran(t.Context(), e, name, "", Command{Args: []string{"both"}}); err != nil || out != "to out" || errs != "to errs" {
				t.Errorf("%q %q %v", out, errs, err)
			}
		})
	}
}

func TestExecStatus(t *testing.T) {
	for _, code := range []string{"1", "42", "255"} {
		e, _, _, name := engineOf(t, kindPodman)
		s, _, _, err := ran(t.Context(), e, name, "", Command{Args: []string{"exit", code}})
		if err != nil || fmt.Sprint(s.Status()) != code {
			t.Errorf("%d, want %s: %v", s.Status(), code, err)
		}
	}
	e, _, _, name := engineOf(t, kindPodman)
	_, _, _, err := ran(t.Context(), e, name, "", Command{Args: []string{"absent"}})
	if err == nil || !strings.HasPrefix(err.Error(), "a command in jellyfin on storage: HTTP 500: OCI runtime attempted") || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%v", err)
	}
	_, _, _, err = ran(t.Context(), e, name, "", Command{Args: []string{"engine"}})
	if err == nil || !strings.Contains(err.Error(), "the engine failed") && !strings.Contains(err.Error(), "the engine [31mfailed") || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("what the engine says in the stream: %v", err)
	}
	if _, _, _, err = ran(t.Context(), e, "nobody", "", Command{}); err == nil || !strings.Contains(err.Error(), "no container of this name") {
		t.Errorf("%v", err)
	}
}

func TestExecWithoutCommandIsAShell(t *testing.T) {
	e, x, _, name := engineOf(t, kindPodman)
	if _, _, _, err := ran(t.Context(), e, name, "", Command{}); err != nil || !reflect.DeepEqual(x.body.Cmd, Shell) {
		t.Errorf("%q %v", x.body.Cmd, err)
	}
}

// begun waits until the command runs, however slow the machine is.
func (x *runner) begun(ctx context.Context) {
	for ctx.Err() == nil {
		x.mu.Lock()
		running := x.running
		x.mu.Unlock()
		if running {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestExecIsEnded: what ends here, or loses its connection, is not left running there.
func TestExecIsEnded(t *testing.T) {
	for _, c := range []struct {
		name, kind, cmd, want string
		deaf, stop, removed   bool
	}{
		{"stopped", kindPodman, "wait", "jellyfin on storage: stopped; it was ended there", false, true, false},
		{"deaf", kindPodman, "wait", "jellyfin on storage: stopped; it was ended there", true, true, true},
		{"docker", kindDocker, "wait", "plex on storage: stopped; it was ended there", true, true, false},
		{"lostDocker", kindDocker, "lost", "plex on storage: the connection to it was lost; it was ended there", false, false, false},
		{"lost", kindPodman, "lost", "jellyfin on storage: the connection to it was lost; it was ended there", false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e, x, h, name := engineOf(t, c.kind)
			x.deaf = c.deaf
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.stop {
				go func() {
					x.begun(ctx)
					time.AfterFunc(200*time.Millisecond, cancel) // its answer is read by then
				}()
			}
			_, _, _, err := ran(ctx, e, name, "", Command{Args: []string{c.cmd}})
			if err == nil || err.Error() != c.want {
				t.Errorf("%v", err)
			}
			x.mu.Lock()
			defer x.mu.Unlock()
			if x.running || x.removed != c.removed {
				t.Errorf("running %t, removed %t: %q", x.running, x.removed, h.dialled())
			}
		})
	}
}

// TestExecThatCannotBeEnded: nothing is said to be ended that may still run.
func TestExecThatCannotBeEnded(t *testing.T) {
	e, x, h, name := engineOf(t, kindPodman)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		x.begun(ctx)
		time.Sleep(200 * time.Millisecond) // its answer is read by then
		h.listen(rootSocket, nil)
		h.mu.Lock()
		h.reach.User, h.reach.Root = "ada", ""
		h.mu.Unlock()
		e.root.disconnect()
		cancel()
	}()
	_, _, _, err := ran(ctx, e, name, "", Command{Args: []string{"wait"}})
	if err == nil || !strings.Contains(fleet.InFull(err), "it may still run there") || !strings.Contains(fleet.InFull(err), "sextant ssh storage") {
		t.Errorf("%v", err)
	}
}

// terminal is a terminal as a person has it.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, program, err := pty.Open(101, 33)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close(); program.Close() })
	return person, program
}

// TestExecOnATerminal: keys go there one by one, also Ctrl-C; the size is told, and
// afterwards the terminal is as it was and the next key is ours.
func TestExecOnATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm-kitty")
	e, x, _, name := engineOf(t, kindPodman)
	person, program := terminal(t)
	before, err := term.GetState(program.Fd())
	if err != nil {
		t.Fatal(err)
	}
	s := e.Session(t.Context(), name, "", Command{Args: []string{"echo"}, TTY: true})
	s.SetStdin(program)
	s.SetStdout(program)
	done := make(chan error, 1)
	go func() { done <- s.Run() }()
	if _, err := io.ReadFull(person, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	for _, key := range "a\x03\x10q" {
		if _, err := person.Write([]byte(string(key))); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1)
		if _, err := io.ReadFull(person, b); err != nil || b[0] != byte(key) {
			t.Fatalf("%q came back as %q: %v", key, b, err)
		}
	}
	if err := <-done; err != nil || s.Status() != 0 {
		t.Error(err, s.Status())
	}
	after, err := term.GetState(program.Fd())
	if err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("the terminal is another: %v", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.body.Tty || x.start.Width != 101 || x.start.Height != 33 || len(x.sizes) == 0 || x.sizes[0] != "101x33" || !reflect.DeepEqual(x.body.Env, []string{"TERM=xterm-256color"}) {
		t.Errorf("%+v %+v %q", x.body, x.start, x.sizes)
	}
	person.WriteString("mine\n")
	if l, err := bufio.NewReader(program).ReadString('\n'); l != "mine\n" || err != nil {
		t.Errorf("%q %v", l, err)
	}
}

// TestTheTerminalComesBack where the command is stopped or never begins.
func TestTheTerminalComesBack(t *testing.T) {
	for _, cmd := range []string{"wait", "absent"} {
		e, _, _, name := engineOf(t, kindPodman)
		person, program := terminal(t)
		before, _ := term.GetState(program.Fd())
		ctx, cancel := context.WithCancel(t.Context())
		s := e.Session(ctx, name, "", Command{Args: []string{cmd}, TTY: true})
		s.SetStdin(program)
		s.SetStdout(program)
		go func() {
			io.ReadFull(person, make([]byte, 5)) // "ready"
			cancel()
		}()
		if err := s.Run(); err == nil {
			t.Error("no error")
		}
		cancel()
		if after, err := term.GetState(program.Fd()); err != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("%s: the terminal is another: %v", cmd, err)
		}
	}
}

// TestHostileFrames: what is no output of a command ends it, without being kept.
func TestHostileFrames(t *testing.T) {
	for name, in := range map[string]string{
		"stream": "\x07\x00\x00\x00\x00\x00\x00\x01a", "zeros": "\x01\x01\x00\x00\x00\x00\x00\x01a", "short": "\x01\x00\x00\x00\xff\xff\xff\xffa", "head": "\x01\x00",
	} {
		var out bytes.Buffer
		if err := unframe(strings.NewReader(in), &out, io.Discard); err == nil || out.Len() > 1 {
			t.Errorf("%s: %v %q", name, err, out.String())
		}
	}
	huge := io.MultiReader(strings.NewReader("\x03\x00\x00\x00\xff\xff\xff\xff"), strings.NewReader(strings.Repeat("x", maxError+1)))
	if err := unframe(huge, io.Discard, io.Discard); err == nil || len(err.Error()) > 400 || errors.Is(err, io.EOF) {
		t.Errorf("%.100v", err)
	}
}

func inFull(err error) string { return fleet.InFull(err) }
