//go:build lab

package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/test/labtest"
)

// configured writes a configuration and gives the flags that name it.
func configured(t *testing.T, text string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--config", file}
}

// TestChecksOfTheConfigurationDecide: a command that fails on the host, or a URL that
// does not answer well, and a deploy does not confirm itself: it goes back. Where
// they are well, and run as root, it is kept.
func TestChecksOfTheConfigurationDecide(t *testing.T) {
	labtest.Load(t)
	defer stay(t, "cloud")()
	before := runs(t, "cloud")
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ill" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer web.Close()
	for _, c := range []struct{ name, checks, finding string }{
		{"a command that fails", `"echo the door is open >&2; exit 3"`, `exit 3: the door is open`},
		{"a URL that is ill", `"` + web.URL + `/ill"`, "503 Service Unavailable"},
		{"all well", `"test $(id -u) = 0 && systemctl is-active lab-web", "` + web.URL + `/well"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			limit := "12s" // where it passes
			if c.finding == "" {
				limit = "60s"
			}
			args := append([]string{"rollback", "cloud", "--yes", "--json", "--confirm-timeout", limit},
				configured(t, "[[host]]\nname = \"cloud\"\nchecks = ["+c.checks+"]\n")...)
			out, errs, code := sextant(t, args...)
			if c.finding == "" {
				if code != 0 || runs(t, "cloud") == before {
					t.Errorf("%d: %s %s", code, out, errs)
				}
				return
			}
			if code != 20 || !strings.Contains(errs, c.finding) || runs(t, "cloud") != before {
				t.Errorf("%d: %s %s", code, out, errs)
			}
		})
	}
}

// TestACheckThatNeedsAMoment: what is ill for five seconds after the activation, and
// well from then on, is waited for, and the deploy confirmed, though nobody can be
// asked.
func TestACheckThatNeedsAMoment(t *testing.T) {
	labtest.Load(t)
	defer stay(t, "cloud")()
	before := runs(t, "cloud")
	first := make(chan time.Time, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		began := time.Now()
		select {
		case first <- began:
		case began = <-first:
			first <- began
		}
		if time.Since(began) < 5*time.Second {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer web.Close()
	args := append([]string{"rollback", "cloud", "--yes", "--json", "--confirm-timeout", "60s"},
		configured(t, "[[host]]\nname = \"cloud\"\nchecks = [\""+web.URL+"\"]\n")...)
	out, errs, code := sextant(t, args...)
	if code != 0 || runs(t, "cloud") == before {
		t.Errorf("%d: %s %s", code, out, errs)
	}
	_, after, found := strings.Cut(errs, "502 Bad Gateway")
	if !found || !strings.Contains(after, "what was found is gone") {
		t.Errorf("what was found, and that it is gone, is not told: %s", errs)
	}
}

// TestNeverBuild: what the configuration says is never built on is refused, and
// nothing is changed.
func TestNeverBuild(t *testing.T) {
	labtest.Load(t)
	flake := labtest.Fork(t, `payload = "four"`, `payload = "never"`)
	for _, c := range []struct{ config, at, want string }{
		{"[[host]]\nname = \"r2s\"\nbuild = \"never\"\n", "target", "r2s refuses"},
		{"[deploy]\nbuild_here = false\n", "here", "build_here = false"},
	} {
		args := append([]string{"deploy", "r2s", "--flake", flake, "--build-on", c.at, "--action", "dry-activate"}, configured(t, c.config)...)
		if out, errs, code := sextant(t, args...); code == 0 || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: %d: %s %s", c.at, code, out, errs)
		}
	}
}
