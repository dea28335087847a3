package simulate

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// maxRuns bounds the sessions that a machine remembers.
const maxRuns = 100

// run is a command that is run in a container: a session of Podman's exec.
type run struct {
	Cmd, Env         []string
	Tty              bool
	User, WorkingDir string

	id, box string

	mu            sync.Mutex
	width, height int
	state         string // "", "running", "over"
	exit          int
	conn          net.Conn
}

// prepare answers POST /containers/ID/exec. p.m.mu is held.
func (p *podman) prepare(w http.ResponseWriter, r *http.Request, b *box) {
	x := &run{box: b.name, id: hexID(p.m.seed, 64, "exec", strconv.Itoa(p.m.runCount))}
	if json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(x) != nil || len(x.Cmd) == 0 {
		refuse(w, http.StatusBadRequest, "must provide at least one argument to run in the exec session")
		return
	}
	if b.state != "running" {
		refuse(w, http.StatusConflict, "can only create exec sessions on running containers: container state improper")
		return
	}
	p.m.runCount++
	if p.m.runs = append(p.m.runs, x); len(p.m.runs) > maxRuns {
		p.m.runs = slices.Clone(p.m.runs[1:])
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]string{"Id": x.id})
}

// session answers what is asked of a session.
func (p *podman) session(w http.ResponseWriter, r *http.Request, id, what string) {
	p.m.mu.Lock()
	i := slices.IndexFunc(p.m.runs, func(x *run) bool { return x.id == id })
	var x *run
	if i >= 0 {
		x = p.m.runs[i]
	}
	p.m.mu.Unlock()
	switch {
	case x == nil:
		refuse(w, http.StatusNotFound, "no exec session with ID "+id+" found: no such exec session")
	case what == "json":
		x.mu.Lock()
		defer x.mu.Unlock()
		answer(w, map[string]any{"ID": x.id, "Running": x.state == "running", "ExitCode": x.exit, "Pid": 0})
	case what == "resize":
		width, _ := strconv.Atoi(r.URL.Query().Get("w"))
		height, _ := strconv.Atoi(r.URL.Query().Get("h"))
		x.mu.Lock()
		x.width, x.height = width, height
		x.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
	case what == "remove":
		x.over(137)
		w.WriteHeader(http.StatusOK)
	case what == "start":
		p.start(w, r, x)
	default:
		refuse(w, http.StatusNotFound, "page not found")
	}
}

// over ends it, once.
func (x *run) over(exit int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state != "over" {
		x.state, x.exit = "over", exit
	}
	if x.conn != nil {
		x.conn.Close()
	}
}

// start runs it on the connection of the request.
func (p *podman) start(w http.ResponseWriter, r *http.Request, x *run) {
	var size struct{ H, W int }
	_ = json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&size)
	x.mu.Lock()
	fresh := x.state == ""
	x.width, x.height = size.W, size.H
	x.mu.Unlock()
	hijack, ok := w.(http.Hijacker)
	if !fresh || !ok {
		refuse(w, http.StatusConflict, "exec session is not in the created state")
		return
	}
	conn, in, err := hijack.Hijack()
	if err != nil {
		return
	}
	x.mu.Lock()
	x.state, x.conn = "running", conn
	x.mu.Unlock()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
	x.over(x.play(p, in.Reader, conn))
}

// play plays the command and gives what it ends with: a tiny, honest shell where
// there is a terminal, and a few commands that need nothing.
func (x *run) play(p *podman, in io.Reader, conn net.Conn) int {
	out, errs := io.Writer(framed{conn, 1}), io.Writer(framed{conn, 2})
	if x.Tty {
		out, errs = conn, conn
	}
	if !slices.Contains(x.Cmd, "-c") {
		return x.word(p, x.Cmd, in, out, errs)
	}
	t := &tty{ReadWriter: struct {
		io.Reader
		io.Writer
	}{in, out}, echoes: x.Tty}
	prompt := ""
	if x.Tty {
		t.say("this container does not exist (sextant demo)\r\nhelp tells what can be done here; exit leaves.\r\n")
		prompt = "[" + x.user() + "@" + x.box + " /]# "
	}
	for status := 0; ; {
		line, err := t.ask(prompt)
		word := strings.Fields(line)
		switch {
		case err != nil:
			return status
		case len(word) == 0:
		case word[0] == "exit":
			if len(word) > 1 {
				status, _ = strconv.Atoi(word[1])
			}
			return status & 255
		default:
			ends, wrong := out, errs
			if x.Tty {
				ends, wrong = lineEnds{out}, lineEnds{errs}
			}
			status = x.word(p, word, strings.NewReader(""), ends, wrong)
		}
	}
}

func (x *run) user() string {
	if x.User == "" {
		return "root"
	}
	return x.User
}

// word plays one command.
func (x *run) word(p *podman, cmd []string, in io.Reader, out, errs io.Writer) int {
	switch cmd[0] {
	case "help":
		fmt.Fprintln(out, "echo, cat, env, id, hostname, pwd, size, true, false, exit")
	case "echo":
		fmt.Fprintln(out, strings.Join(cmd[1:], " "))
	case "cat":
		_, _ = io.Copy(out, in)
	case "env":
		fmt.Fprintln(out, strings.Join(append([]string{"container=podman", "HOSTNAME=" + x.hostname(p)}, x.Env...), "\n"))
	case "id":
		fmt.Fprintln(out, "uid=0("+x.user()+") gid=0("+x.user()+")")
	case "hostname":
		fmt.Fprintln(out, x.hostname(p))
	case "pwd":
		fmt.Fprintln(out, "/"+strings.TrimPrefix(x.WorkingDir, "/"))
	case "size":
		x.mu.Lock()
		defer x.mu.Unlock()
		fmt.Fprintf(out, "%d×%d\n", x.width, x.height)
	case "true":
	case "false":
		return 1
	default:
		fmt.Fprintln(errs, cmd[0]+": not found: this container does not exist (sextant demo)")
		return 127
	}
	return 0
}

func (x *run) hostname(p *podman) string {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	b := p.m.find(p.boxes(), x.box)
	if b == nil {
		return x.box
	}
	return p.m.boxID(b)[:12]
}

// framed writes in Podman's frames: the stream, three zeros, the length.
type framed struct {
	w      io.Writer
	stream byte
}

// Write writes one frame.
func (f framed) Write(b []byte) (int, error) {
	frame := append(binary.BigEndian.AppendUint32([]byte{f.stream, 0, 0, 0}, uint32(len(b))), b...)
	if _, err := f.w.Write(frame); err != nil {
		return 0, err
	}
	return len(b), nil
}
