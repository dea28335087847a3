package webtest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/sextant-fleet/sextant/fleet/link"
)

// Bounds that every reader has to keep, whatever answers.
const (
	slack   = time.Second // beyond the reader's own limit
	maxHeap = 96 << 20    // more than before, for all of the cases at once
	maxWhy  = 500         // runes of a reason
)

// Bad has a reader ask a host on which everything that is dialled answers badly,
// each time in another way. The reader gives why it knows nothing; it has to do so
// within limit and a second, without taking much memory, and in words that are fit
// for a terminal.
func Bad(t *testing.T, limit time.Duration, ask func(link.Link) error) {
	stop := watchHeap(t)
	t.Run("bad", func(t *testing.T) {
		for name, serve := range Answers() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				began := time.Now()
				err := ask(&everywhere{serve: serve})
				if took := time.Since(began); took > limit+slack {
					t.Errorf("it took %s, more than %s", took, limit)
				}
				judge(t, err)
			})
		}
	})
	stop()
}

func judge(t *testing.T, err error) {
	if err == nil {
		t.Fatal("a bad answer was taken for a good one")
	}
	why := err.Error()
	if len([]rune(why)) > maxWhy || strings.ContainsFunc(why, unicode.IsControl) {
		t.Errorf("the reason is not fit for a screen: %q", why)
	}
}

// watchHeap looks, until the function that it gives is called, at what is kept on the
// heap, as the collector finds it: what waits to be collected depends on how busy the
// machine is.
func watchHeap(t *testing.T) func() {
	runtime.GC()
	before := kept()
	most := before
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-end:
				return
			case <-time.After(20 * time.Millisecond):
				most = max(most, kept())
			}
		}
	})
	return func() {
		close(end)
		wg.Wait()
		if most > before+maxHeap {
			t.Errorf("the heap grew by %d MiB", (most-before)>>20)
		}
	}
}

// kept is what the last collection found to be in use, in bytes.
func kept() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// everywhere is a host on which the same answers at every address.
type everywhere struct {
	Link
	serve func(net.Conn)
}

// Dial connects to it.
func (e *everywhere) Dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		e.serve(theirs)
	}()
	return ours, nil
}

// Answers are the bad answers by name, each as what a server does with one
// connection.
func Answers() map[string]func(net.Conn) {
	all := map[string]func(net.Conn){
		"drip":           afterRequest(drip),
		"endless body":   afterRequest(endless("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[", "\"x\",")),
		"endless header": afterRequest(endless("HTTP/1.1 200 OK\r\n", "X-Long: "+strings.Repeat("x", 1000)+"\r\n")),
		"silence":        func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"closed at once": func(net.Conn) {},
		"not HTTP":       afterRequest(func(w io.Writer) { _, _ = io.WriteString(w, "SSH-2.0-OpenSSH_9.6\r\n") }),
		"cut off": afterRequest(func(w io.Writer) {
			_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"a\":")
		}),
	}
	for name, a := range whole() {
		all[name] = afterRequest(a.write)
	}
	return all
}

// answer is one that arrives whole.
type answer struct {
	status int
	head   string // more header lines, each with its end
	kind   string
	body   string
}

func (a answer) write(w io.Writer) {
	fmt.Fprintf(w, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s", a.status, http.StatusText(a.status), a.kind, len(a.body), a.head, a.body)
}

func whole() map[string]answer {
	const js = "application/json"
	return map[string]answer{
		"rubbish":              {200, "", js, "\x00\x01rubbish\xff\xfe"},
		"HTML for JSON":        {200, "", "text/html", "<html><body>It works!&#x2F;</body></html>"},
		"HTML that says JSON":  {200, "", js, "<html>&#x2F;</html>"},
		"empty":                {200, "", js, ""},
		"null":                 {200, "", js, "null"},
		"a number":             {200, "", js, strings.Repeat("9", 400)},
		"deep":                 {200, "", js, strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)},
		"a redirect":           {302, "Location: http://169.254.169.254/\r\n", "text/html", ""},
		"a redirect to itself": {301, "Location: /\r\n", "text/html", ""},
		"401":                  {401, "WWW-Authenticate: Basic\r\n", "text/plain", "Unauthorized"},
		"403":                  {403, "", js, `{"error":"host not allowed"}`},
		"404":                  {404, "", "text/plain", "404 page not found"},
		"412":                  {412, "", "text/plain", "bearer"},
		"429":                  {429, "Retry-After: 30\r\n", "text/plain", "slow down"},
		"500":                  {500, "", "text/plain", "\x1b]0;title\x07\x1b[31mbroken\r\n"},
		"503":                  {503, "", "text/html", "<h1>Service &#x2F; Unavailable</h1>"},
		"gzip bomb":            {200, "Content-Encoding: gzip\r\n", js, bomb()},
	}
}

// bomb is 64 MiB of spaces, packed.
func bomb() string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	for range 64 {
		_, _ = z.Write(chunk)
	}
	_ = z.Close()
	return b.String()
}

// afterRequest answers once a request has come.
func afterRequest(say func(io.Writer)) func(net.Conn) {
	return func(c net.Conn) {
		if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.Copy(io.Discard, req.Body)
			say(c)
		}
	}
}

// drip gives a byte ten times a second: each read gets something.
func drip(w io.Writer) {
	for _, b := range []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat(" ", 1000)) {
		if _, err := w.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// endless never ends.
func endless(head, again string) func(io.Writer) {
	return func(w io.Writer) {
		_, err := io.WriteString(w, head)
		for chunk := strings.Repeat(again, 100); err == nil; {
			_, err = io.WriteString(w, chunk)
		}
	}
}
