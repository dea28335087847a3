package podman

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/sextant-fleet/sextant/fleet"
)

// readLog reads a log to its end, as JSON lines would show it.
func readLog(t *testing.T, b []byte, framed bool) ([]fleet.LogLine, error) {
	t.Helper()
	s := newLogStream(io.NopCloser(bytes.NewReader(b)), framed, func() {}, fleet.LogLine{Host: "storage", From: "web", Level: 6})
	defer s.Close()
	var all []fleet.LogLine
	for {
		batch, err := s.Next(t.Context())
		all = append(all, batch...)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

func TestRecordedLogs(t *testing.T) {
	for file, framed := range map[string]bool{
		"podman-5.4.2-logs": true, "podman-4.3.1-logs": true, "podman-5.4.2-logs-tty": true, "podman-4.3.1-logs-tty": true,
		"docker-20.10-logs": true, "docker-20.10-logs-tty": false,
	} {
		all, err := readLog(t, fixture(t, file+".bin"), framed)
		if err != nil {
			t.Fatal(file, err)
		}
		for i, l := range all {
			if l.At.IsZero() || l.Host != "storage" || l.From != "web" {
				t.Errorf("%s: %+v", file, l)
			}
			if strings.ContainsFunc(l.Text, unicode.IsControl) {
				t.Errorf("%s: %q", file, l.Text)
			}
			all[i].Text = fleet.Short(l.Text, 60)
		}
		golden(t, file, all)
	}
}

// frame is what an engine sends of one stream.
func frame(stream byte, text string) []byte {
	b := []byte{stream, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(b[4:], uint32(len(text)))
	return append(b, text...)
}

func TestLongLinesAreCut(t *testing.T) {
	const at = "2026-11-22T21:10:07.956172199Z "
	long := strings.Repeat("x", 300<<10)
	parts := frame(1, at+"begin ")
	for range 100 { // Docker sends a long line in parts of 16 KiB
		parts = append(parts, frame(1, at+strings.Repeat("y", 16<<10))...)
	}
	parts = append(parts, frame(1, at+"end\n")...)
	for name, c := range map[string]struct {
		b      []byte
		framed bool
	}{
		"one frame":   {append(frame(1, at+long+"\n"), frame(1, at+"next\n")...), true},
		"many frames": {append(parts, frame(1, at+"next\n")...), true},
		"plain":       {[]byte(at + long + "\n" + at + "next\n"), false},
	} {
		all, err := readLog(t, c.b, c.framed)
		if err != nil || len(all) != 2 || all[1].Text != "next" || len(all[0].Text) > maxLogLine || len(all[0].Text) < maxLogLine-100 {
			t.Errorf("%s: %d lines, %v", name, len(all), err)
		}
	}
}

func TestTwoStreamsDoNotMix(t *testing.T) {
	const at = "2026-11-22T21:10:07Z "
	b := bytes.Join([][]byte{frame(1, at+"one "), frame(2, at+"err\n"), frame(1, at+"two\n"), frame(2, at+"last")}, nil)
	all, err := readLog(t, b, true)
	if err != nil || len(all) != 3 || all[0].Text != "err" || all[1].Text != "one two" || all[2].Text != "last" {
		t.Errorf("%+v %v", all, err)
	}
}

func TestNoLog(t *testing.T) {
	for name, b := range map[string][]byte{
		"a page":            []byte("<html><body>login"),
		"a stream too many": frame(3, "x"),
	} {
		if all, err := readLog(t, b, true); err == nil {
			t.Errorf("%s: %+v", name, all)
		}
	}
	// A frame of 4 GiB that does not come is no reason to make room for it.
	all, err := readLog(t, []byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 'a'}, true)
	if err != nil || len(all) != 0 {
		t.Errorf("%+v %v", all, err)
	}
}

func FuzzLog(f *testing.F) {
	for _, file := range []string{"podman-5.4.2-logs.bin", "docker-20.10-logs-tty.bin"} {
		f.Add(fixture(f, file), true)
		f.Add(fixture(f, file), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, framed bool) {
		all, _ := readLog(t, b, framed)
		for _, l := range all {
			if strings.ContainsFunc(l.Text, unicode.IsControl) || len(l.Text) > 3*maxLogLine {
				t.Errorf("%q", l.Text)
			}
		}
	})
}

func TestLogsOfAContainer(t *testing.T) {
	h := newHost(t)
	srv := newPodman(t, "5.4.2")
	h.sockets[rootSocket] = srv
	h.sockets[dockerSock.Path] = dockerServer(t, nil)
	e := h.engines()
	e.Read(t.Context(), probed(state(rootSock, dockerSock)))
	since := time.Date(2026, 11, 22, 20, 0, 0, 5, time.UTC)
	for name, user := range map[string]string{"handmade": "", "plex": "root"} {
		s, err := e.Logs(t.Context(), fleet.LogSource{Container: name, User: user}, fleet.LogQuery{Since: since})
		if err != nil {
			t.Fatal(err)
		}
		lines, err := s.Next(t.Context())
		if err != nil || lines[0].Text != "out" || lines[0].From != name {
			t.Errorf("%s: %+v %v", name, lines, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Error("after Close:", err)
		}
	}
	if srv.count("/containers/"+handmade+"/logs?follow=false&since=2026-11-22T20%3A00%3A00.000000005Z&stderr=true&stdout=true&tail=500&timestamps=true") != 1 {
		t.Errorf("asked %q", srv.asked)
	}
	if _, err := e.Logs(t.Context(), fleet.LogSource{Container: "nobody", User: ""}, fleet.LogQuery{Since: since}); !errors.Is(err, errNotFound) {
		t.Error(err)
	}
	if _, err := e.Logs(t.Context(), fleet.LogSource{Container: "handmade", User: "ada"}, fleet.LogQuery{Since: since}); !errors.Is(err, errNotFound) {
		t.Error("root's container is not ada's:", err)
	}
	for name, want := range map[string]string{"handmade": "k8s-file", "plex": "json-file"} {
		if d, err := e.LogDriver(t.Context(), name, ""); err != nil || d != want {
			t.Errorf("%s: %q %v", name, d, err)
		}
	}
}

// TestFollowedLog ends with Close, with its context and with the container.
func TestFollowedLog(t *testing.T) {
	for name, end := range map[string]func(s fleet.LogStream, cancel func(), more chan<- []byte){
		"closed":   func(s fleet.LogStream, _ func(), _ chan<- []byte) { s.Close() },
		"canceled": func(_ fleet.LogStream, cancel func(), _ chan<- []byte) { cancel() },
		"ended":    func(_ fleet.LogStream, _ func(), more chan<- []byte) { close(more) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				more := make(chan []byte)
				h := newHost(t)
				h.sockets[rootSocket] = following(newPodman(t, "5.4.2"), more)
				e := h.engines()
				e.Read(t.Context(), probed(state(rootSock)))
				ctx, cancel := context.WithCancel(t.Context())
				s, err := e.Logs(ctx, fleet.LogSource{Container: "handmade"}, fleet.LogQuery{Lines: 10, Follow: true})
				if err != nil {
					t.Fatal(err)
				}
				more <- frame(1, "2026-11-22T21:10:07Z one\n")
				if lines, err := s.Next(ctx); err != nil || lines[0].Text != "one" {
					t.Error(lines, err)
				}
				time.Sleep(time.Hour) // longer than any patience
				// Nobody reads; what comes waits.
				for range 8 {
					more <- bytes.Repeat(frame(2, "2026-11-22T21:10:07Z two\n"), 2)
				}
				end(s, cancel, more)
				for range 400 {
					if _, err = s.Next(t.Context()); err != nil {
						break
					}
				}
				if err == nil {
					t.Error("it does not end")
				}
				s.Close()
				cancel()
				e.Close()
			})
		})
	}
}

// following serves frames as they come for a log.
func following(srv http.Handler, more <-chan []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/logs") {
			srv.ServeHTTP(w, r)
			return
		}
		w.(http.Flusher).Flush()
		for {
			select {
			case b, ok := <-more:
				if !ok {
					return
				}
				w.Write(b)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})
}

func TestSilentLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		srv := newPodman(t, "5.4.2")
		h.sockets[rootSocket] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/logs") {
				<-r.Context().Done()
				return
			}
			srv.ServeHTTP(w, r)
		})
		e := h.engines()
		e.Read(t.Context(), probed(state(rootSock)))
		if _, err := e.Logs(t.Context(), fleet.LogSource{Container: "handmade"}, fleet.LogQuery{Lines: 10, Follow: true}); !errors.Is(err, errSilent) {
			t.Error(err)
		}
		e.Close()
	})
}
