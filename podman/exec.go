package podman

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Command is what is run in a container that runs already.
type Command struct {
	Args          []string // none: a shell, see [Shell]
	User          string   // in the container: a name or number, with :group; "" is the container's own
	Dir           string   // "" is the container's own
	Env           []string // NAME=value
	TTY           bool     // with a terminal, whose output is one stream
	Width, Height int      // of the terminal, in cells; 0: the engine's
}

// Shell is the shell that is there: bash, or else sh.
var Shell = []string{"/bin/sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash; exec sh"}

// noDetach are the keys that would leave a command running and come back. There is
// no way to say that there are none, and the engines' own, Ctrl-P Ctrl-Q, keep the
// shell's Ctrl-P waiting for the next key.
const noDetach = "ctrl-^,ctrl-@,ctrl-^,ctrl-@,ctrl-^,ctrl-@,ctrl-^,ctrl-@"

// How long is waited for a command.
const (
	statusPatience = 3 * time.Second // until it is known to have ended, once its output has
	statusEvery    = 50 * time.Millisecond
	hangUp         = 2 * time.Second  // for it to end by itself when its terminal has gone
	stopPatience   = 15 * time.Second // to end it, and to reach the host again for it
)

// execer runs commands in containers.
type execer interface {
	// execCreate prepares a command and gives its session.
	execCreate(ctx context.Context, id string, cmd Command) (session string, err error)
	// execStart begins it and gives its input and output, which outlive ctx.
	execStart(ctx context.Context, session string, cmd Command) (io.ReadWriteCloser, error)
	execResize(ctx context.Context, session string, width, height int) error
	execState(ctx context.Context, session string) (execState, error)
	// execRemove ends the command by force.
	execRemove(ctx context.Context, session string) error
}

// execState is how a command stands.
type execState struct {
	Running bool
	Exit    int
	Pid     int // on the host
}

// Exec is a command that runs in a container. Write is its standard input.
type Exec struct {
	e       *Engines
	api     api
	session string
	tty     bool
	stream  io.ReadWriteCloser
	end     context.CancelFunc
	once    sync.Once
}

// Exec begins a command in a container that was read before; user is whose engine.
// It must be closed.
func (e *Engines) Exec(ctx context.Context, name, user string, cmd Command) (*Exec, error) {
	if len(cmd.Args) == 0 {
		cmd.Args = Shell
	}
	life, cancel := e.bound(ctx)
	x := &Exec{e: e, tty: cmd.TTY, end: cancel}
	late := time.AfterFunc(readPatience, cancel) // it may last, its beginning may not
	err := e.ask(life, name, user, func(api api, id string) (err error) {
		x.api = api
		if x.session, err = api.execCreate(life, id, cmd); err == nil {
			x.stream, err = api.execStart(life, x.session, cmd)
		}
		return err
	})
	if !late.Stop() && ctx.Err() == nil {
		if err == nil {
			x.stream.Close()
		}
		err = errSilent
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("a command in %s on %s: %w", name, e.link.Host().Name, told{err})
	}
	context.AfterFunc(life, func() { x.stream.Close() })
	return x, nil
}

// Write writes to the command's input.
func (x *Exec) Write(b []byte) (int, error) { return x.stream.Write(b) }

// CloseWrite ends the command's input.
func (x *Exec) CloseWrite() error { return closeWrite(x.stream) }

// Copy writes the command's output, until it ends. With a terminal all of it goes
// to out. What it gives is an error of reading or writing, never the command's.
func (x *Exec) Copy(out, errs io.Writer) error {
	if x.tty {
		_, err := io.Copy(out, x.stream)
		return err
	}
	return unframe(x.stream, out, errs)
}

// unframe splits the two outputs: [stream, 0, 0, 0, length, 4 bytes big endian].
// The third is what the engine itself has to say.
func unframe(in io.Reader, out, errs io.Writer) error {
	var head [8]byte
	for {
		if _, err := io.ReadFull(in, head[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		size := int64(head[4])<<24 | int64(head[5])<<16 | int64(head[6])<<8 | int64(head[7])
		to := out
		var said bytes.Buffer
		switch {
		case head[1]|head[2]|head[3] != 0 || head[0] > 3:
			return errors.New("this is no output of a command")
		case head[0] == 2:
			to = errs
		case head[0] == 3:
			to, size = &said, min(size, maxError)
		}
		if _, err := io.CopyN(to, in, size); err != nil {
			return err
		}
		if head[0] == 3 {
			return errors.New(fleet.Short(fleet.Clean(said.String()), 300))
		}
	}
}

// Resize tells the command the size of its terminal.
func (x *Exec) Resize(ctx context.Context, width, height int) error {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	return x.api.execResize(ctx, x.session, width, height)
}

// errStillRuns is a command whose output has ended and that has not.
var errStillRuns = errors.New("its output has ended, and it still runs")

// Status is what the command ended with. It is asked for once its output has ended.
func (x *Exec) Status(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	for until := time.Now().Add(statusPatience); ; pause(ctx, statusEvery) {
		st, err := x.api.execState(ctx, x.session)
		switch {
		case err != nil:
			return 0, told{err}
		case !st.Running:
			return st.Exit, nil
		case time.Now().After(until):
			return 0, errStillRuns
		}
	}
}

// Stop ends the command on the host, where it still runs: as when a terminal is
// closed, and by force where that does not help.
func (x *Exec) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	st, err := x.api.execState(ctx, x.session)
	if err != nil || !st.Running {
		return err
	}
	if err = x.signal(ctx, st.Pid, "HUP"); err == nil {
		for until := time.Now().Add(hangUp); time.Now().Before(until); pause(ctx, statusEvery) {
			if st, err := x.api.execState(ctx, x.session); err == nil && !st.Running {
				return nil
			}
		}
		err = errStillRuns
	}
	if rerr := x.api.execRemove(ctx, x.session); rerr == nil {
		return nil
	}
	if st, serr := x.api.execState(ctx, x.session); serr == nil && st.Running {
		err = x.signal(ctx, st.Pid, "KILL")
	}
	return err
}

// signal sends a signal to the command's process, by its number on the host. It is
// called right after the engine has told the number.
func (x *Exec) signal(ctx context.Context, pid int, name string) error {
	if pid < 2 {
		return errNotTold
	}
	res, err := x.e.link.Run(ctx, link.Command{Args: []string{"kill", "-s", name, strconv.Itoa(pid)}, IfRoot: true})
	if err == nil && res.Status != 0 {
		err = fmt.Errorf("kill ended with status %d: %s", res.Status, fleet.Short(fleet.Clean(string(res.Stderr)), 200))
	}
	return err
}

// Close lets go of the command: it does not end it.
func (x *Exec) Close() error {
	x.once.Do(func() { x.end(); x.stream.Close() })
	return nil
}

// createBody is the body of POST containers/ID/exec, of both engines.
type createBody struct {
	AttachStdin, AttachStdout, AttachStderr, Tty bool
	DetachKeys, User, WorkingDir                 string
	Env, Cmd                                     []string
}

func (p *podmanAPI) execCreate(ctx context.Context, id string, c Command) (string, error) {
	b, err := p.post(ctx, "/containers/%s/exec", nil, createBody{
		AttachStdin: true, AttachStdout: true, AttachStderr: true, Tty: c.TTY,
		DetachKeys: noDetach, User: c.User, WorkingDir: c.Dir, Env: c.Env, Cmd: c.Args,
	}, id)
	if err != nil {
		return "", err
	}
	var in struct {
		ID string `json:"Id"`
	}
	if err := json.Unmarshal(b, &in); err != nil || !containerID.MatchString(in.ID) {
		return "", errNoSession
	}
	return in.ID, nil
}

var errNoSession = errors.New("the engine names no session")

// startBody is the body of POST exec/ID/start, of both engines.
type startBody struct {
	Detach, Tty bool
	Height      uint16 `json:"h,omitempty"`
	Width       uint16 `json:"w,omitempty"`
}

func startOf(c Command) startBody {
	return startBody{Tty: c.TTY, Width: cells(c.Width), Height: cells(c.Height)}
}

// cells is a size as engines take it.
func cells(n int) uint16 { return uint16(min(max(n, 0), 10000)) }

// upgrading are the headers that make a connection of a request.
func upgrading() http.Header {
	return http.Header{"Connection": {"Upgrade"}, "Upgrade": {"tcp"}, "Content-Type": {"application/json"}}
}

func (p *podmanAPI) execStart(ctx context.Context, session string, c Command) (io.ReadWriteCloser, error) {
	body, _ := json.Marshal(startOf(c))
	resp, err := p.conn.DoRequest(flowing(ctx, raw), bytes.NewReader(body), http.MethodPost, "/exec/%s/start", nil, upgrading(), session)
	if err != nil {
		return nil, err
	}
	return upgraded(resp.Response)
}

// upgraded gives the connection that a request has become.
func upgraded(resp *http.Response) (io.ReadWriteCloser, error) {
	stream, ok := resp.Body.(io.ReadWriteCloser)
	if ok && resp.StatusCode == http.StatusSwitchingProtocols {
		return stream, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return nil, err
	}
	return nil, refusal(resp.StatusCode, b)
}

func (p *podmanAPI) execResize(ctx context.Context, session string, width, height int) error {
	size := url.Values{"w": {strconv.Itoa(int(cells(width)))}, "h": {strconv.Itoa(int(cells(height)))}, "running": {"true"}}
	_, err := p.post(ctx, "/exec/%s/resize", size, nil, session)
	return err
}

func (p *podmanAPI) execState(ctx context.Context, session string) (execState, error) {
	b, err := p.get(ctx, "/exec/%s/json", nil, session)
	if err != nil {
		return execState{}, err
	}
	var in struct {
		Running       bool
		ExitCode, Pid int
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return execState{}, fmt.Errorf("this is no session: %w", jsonError(err))
	}
	return execState{in.Running, in.ExitCode, in.Pid}, nil
}

// execRemove ends a session and takes it away.
func (p *podmanAPI) execRemove(ctx context.Context, session string) error {
	_, err := p.post(flowing(ctx, slow), "/exec/%s/remove", nil, struct{ Force bool }{true}, session)
	return err
}

// post sends a request with a body of JSON and reads the whole answer.
func (p *podmanAPI) post(ctx context.Context, endpoint string, params url.Values, body any, in ...string) ([]byte, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	resp, err := p.conn.DoRequest(ctx, bytes.NewReader(b), http.MethodPost, endpoint, params, http.Header{"Content-Type": {"application/json"}}, in...)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if !resp.IsSuccess() {
		b, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
		if err != nil {
			return nil, err
		}
		return nil, refusal(resp.StatusCode, b)
	}
	return io.ReadAll(resp.Body)
}

func (d *dockerAPI) execCreate(ctx context.Context, id string, c Command) (string, error) {
	if err := d.agree(ctx); err != nil {
		return "", err
	}
	in, err := d.cli.ContainerExecCreate(ctx, id, container.ExecOptions{
		AttachStdin: true, AttachStdout: true, AttachStderr: true, Tty: c.TTY,
		DetachKeys: noDetach, User: c.User, WorkingDir: c.Dir, Env: c.Env, Cmd: c.Args,
	})
	if err == nil && !containerID.MatchString(in.ID) {
		err = errNoSession
	}
	return in.ID, err
}

// execStart asks by hand: Docker's client would dial by itself, and not through
// the link.
func (d *dockerAPI) execStart(ctx context.Context, session string, c Command) (io.ReadWriteCloser, error) {
	body, _ := json.Marshal(startBody{Tty: c.TTY})
	req, err := http.NewRequestWithContext(flowing(ctx, raw), http.MethodPost, d.url("/exec/"+session+"/start"), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = upgrading()
	resp, err := d.wire.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	return upgraded(resp)
}

func (d *dockerAPI) execResize(ctx context.Context, session string, width, height int) error {
	return d.cli.ContainerExecResize(ctx, session, container.ResizeOptions{Width: uint(cells(width)), Height: uint(cells(height))})
}

func (d *dockerAPI) execState(ctx context.Context, session string) (execState, error) {
	in, err := d.cli.ContainerExecInspect(ctx, session)
	return execState{in.Running, in.ExitCode, in.Pid}, err
}

// execRemove is nothing that Docker can.
func (*dockerAPI) execRemove(context.Context, string) error { return errors.ErrUnsupported }
