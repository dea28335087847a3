package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/podman"
)

// TestLeading: flags up to the container are ours, those after it the command's.
func TestLeading(t *testing.T) {
	for _, c := range []struct{ args, words, user, env string }{
		{"storage web ls -l", "[storage web ls -l]", "", "[]"},
		{"storage --user ada web ls -l --user bea", "[storage web ls -l --user bea]", "ada", "[]"},
		{"storage web -e A=b -e C=d sh -c x", "[storage web sh -c x]", "", "[A=b C=d]"},
		{"storage web --user=ada -- -l --", "[storage web -l --]", "ada", "[]"},
		{"storage", "[storage]", "", "[]"},
		{"storage web --nonsense", "unknown flag: --nonsense", "", "[]"},
		{"storage web --help", "pflag: help requested", "", "[]"},
	} {
		fl := pflag.NewFlagSet("", pflag.ContinueOnError)
		fl.SetInterspersed(false)
		fl.Bool("help", false, "")
		user, env := fl.String("user", "", ""), fl.StringArrayP("env", "e", nil, "")
		words, err := leading(fl, strings.Fields(c.args), 2)
		got := fmt.Sprint(words)
		if err != nil {
			got = err.Error()
		}
		if got != c.words || *user != c.user || fmt.Sprint(*env) != c.env {
			t.Errorf("%s: %s, user %q, env %q", c.args, got, *user, *env)
		}
	}
}

func TestExecCode(t *testing.T) {
	for text, want := range map[string]int{
		"a command in web on storage: HTTP 500: crun: executable file `x` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found": 127,
		`OCI runtime exec failed: exec failed: unable to start container process: exec: "x": executable file not found in $PATH: unknown`:                                              127,
		"HTTP 500: crun: open executable: Permission denied: OCI permission denied":                                                                                                    126,
		"storage: web does not run": 125,
	} {
		if got := code(execCode(fmt.Errorf("%s", text))); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

// TestExecInTheDemo runs commands in a container of a simulated host.
func TestExecInTheDemo(t *testing.T) {
	withContainers(t, []string{"storage"}, func(a *app, states []fleet.State) {
		a.opts.json = true
		target := fleet.Target{Hosts: states, Container: "jellyfin"}
		var out bytes.Buffer
		cmd := &cobra.Command{}
		cmd.SetOut(&out)
		cmd.SetContext(t.Context())
		ran := func(args ...string) (got struct {
			Schema                                       int
			Exit                                         *int
			Host, User, Container, Stdout, Stderr, Error string
		}, err error) {
			out.Reset()
			err = a.exec(cmd, target, podman.Command{Args: args, Env: []string{"A=b"}})
			if jerr := json.Unmarshal(out.Bytes(), &got); jerr != nil {
				t.Errorf("%v in %q", jerr, out.String())
			}
			return got, err
		}
		got, err := ran("echo", "pass-word-1")
		if err != nil || got.Schema != 1 || got.Exit == nil || *got.Exit != 0 || got.Stdout != "pass-word-1\n" || got.Host != "storage" || got.User != "root" || got.Container != "jellyfin" {
			t.Errorf("%+v %v", got, err)
		}
		if got, err = ran("false"); code(err) != 1 || *got.Exit != 1 {
			t.Errorf("%+v %v", got, err)
		}
		if got, err = ran("nonsense"); code(err) != 127 || *got.Exit != 127 || !strings.Contains(got.Stderr, "does not exist (sextant demo)") {
			t.Errorf("%+v %v", got, err)
		}
		piped(t, a, target)
		written, _ := json.Marshal(a.store.Snapshot().Audit)
		for _, want := range []string{`"echo in container jellyfin begun"`, `"exit code 0"`, `"exit code 127"`, `"shell in container jellyfin"`} {
			if !strings.Contains(string(written), want) {
				t.Errorf("%s is not written down: %s", want, written)
			}
		}
		if strings.Contains(string(written), "pass-word") || strings.Contains(string(written), "typed") {
			t.Errorf("what was typed is written down: %s", written)
		}
		refused(t, a, cmd, target)
	})
}

// piped runs a shell whose commands are piped into it.
func piped(t *testing.T, a *app, target fleet.Target) {
	t.Helper()
	s, done, err := a.execSession(t.Context(), target, podman.Command{TTY: true})
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	s.SetStdin(strings.NewReader("echo typed\nnonsense\nexit 7\n"))
	s.SetStdout(&out)
	s.SetStderr(&errs)
	if err := done(s.Run()); err != nil || s.Status() != 7 || out.String() != "typed\n" || !strings.HasPrefix(errs.String(), "nonsense: not found") {
		t.Errorf("%d %q %q %v", s.Status(), out.String(), errs.String(), err)
	}
	s, _, _ = a.execSession(t.Context(), target, podman.Command{Args: []string{"cat"}})
	out.Reset()
	big := strings.Repeat("all of it\n", 100_000)
	s.SetStdin(strings.NewReader(big))
	s.SetStdout(&out)
	if err := s.Run(); err != nil || out.String() != big {
		t.Errorf("%d of %d bytes: %v", out.Len(), len(big), err)
	}
}

// refused are those that nothing is run in, and why.
func refused(t *testing.T, a *app, cmd *cobra.Command, target fleet.Target) {
	t.Helper()
	for want, t2 := range map[string]fleet.Target{
		"storage refuses: no container nobody there": {Hosts: target.Hosts, Container: "nobody"},
	} {
		if err := a.exec(cmd, t2, podman.Command{}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	a.opts.readOnly = true
	if err := a.exec(cmd, target, podman.Command{}); err == nil || !strings.Contains(err.Error(), "--read-only") {
		t.Errorf("with --read-only: %v", err)
	}
	a.opts.readOnly = false
}

func TestCapturedIsBounded(t *testing.T) {
	var c captured
	b := bytes.Repeat([]byte("x"), maxCaptured-1)
	for _, part := range [][]byte{b, []byte("yz"), []byte("more")} {
		if n, err := c.Write(part); n != len(part) || err != nil {
			t.Error(n, err)
		}
	}
	if !c.cut || c.b.Len() != maxCaptured || !reflect.DeepEqual(c.b.Bytes(), append(b, 'y')) {
		t.Errorf("%d bytes, cut %t", c.b.Len(), c.cut)
	}
}
