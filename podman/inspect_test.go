package podman

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"unicode"

	"github.com/docker/docker/api/types/container"

	"github.com/sextant-fleet/sextant/fleet"
)

// labSecret is in environment, label, command and health check of the container
// that was recorded; see testdata.
const labSecret = "hunter2secret"

func TestInspect(t *testing.T) {
	for _, file := range []string{"podman-5.4.2-inspect", "podman-4.3.1-inspect", "docker-20.10-detail"} {
		t.Run(file, func(t *testing.T) {
			d, err := parseInspect(fixture(t, file+".json"), veil{})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, file, d)
			if s := fmt.Sprintf("%+v %+v", d, d.Health); strings.Contains(s, labSecret) {
				t.Errorf("a secret is told: %s", s)
			}
			open, err := parseInspect(fixture(t, file+".json"), veil{shown: true})
			if err != nil || open.Hidden != 0 || !open.Secrets {
				t.Fatal(open.Hidden, err)
			}
			if s := fmt.Sprintf("%+v %+v", open, open.Health); strings.Count(s, labSecret) < 5 || strings.Contains(s, fleet.Hidden) {
				t.Errorf("not all is shown: %s", s)
			}
		})
	}
}

func TestTop(t *testing.T) {
	for _, file := range []string{"podman-5.4.2-top", "podman-4.3.1-top", "docker-20.10-top"} {
		t.Run(file, func(t *testing.T) {
			var in struct {
				Titles    []string
				Processes [][]string
			}
			if err := json.Unmarshal(fixture(t, file+".json"), &in); err != nil {
				t.Fatal(err)
			}
			top, err := processes(in.Titles, in.Processes, veil{})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, file, top)
			if s := fmt.Sprintf("%+v", top); strings.Contains(s, labSecret) || top.Hidden != 1 {
				t.Errorf("%d hidden: %s", top.Hidden, s)
			}
			if open, err := processes(in.Titles, in.Processes, veil{shown: true}); err != nil || !strings.Contains(fmt.Sprint(open), labSecret) {
				t.Errorf("%v: %+v", err, open)
			}
		})
	}
}

// TestElapsed: Podman's times and those of ps.
func TestElapsed(t *testing.T) {
	for in, want := range map[string]fleet.Seconds{
		"1h2m3.5s": 3723.5, "12ms": 0.012, "02:03": 123, "01:02:03": 3723, "3-01:02:03": 262923, "": -1, "?": -1, "-5s": -1, "1:2:3:4": -1, "99999-00:00": -1, "x-1:2": -1,
	} {
		if got := elapsed(in); got != want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

// TestWhatIsCalledAHealthCheckAndIsNone: NONE takes the image's check away.
func TestWhatIsCalledAHealthCheckAndIsNone(t *testing.T) {
	for _, check := range []string{`null`, `{}`, `{"Test":["NONE"]}`} {
		if d, err := parseInspect([]byte(`{"Config":{"Healthcheck":`+check+`}}`), veil{}); err != nil || d.Health != nil {
			t.Errorf("%s: %+v %v", check, d.Health, err)
		}
	}
	if d, err := parseInspect([]byte(`{"Config":{"Healthcheck":{"Test":["CMD","true"]}}}`), veil{}); err != nil || d.Health == nil || d.Health.Status != "" {
		t.Errorf("%+v %v", d, err)
	}
}

// TestHealthOutputKeepsItsLines, also where something in it is hidden.
func TestHealthOutputKeepsItsLines(t *testing.T) {
	for in, want := range map[string]string{
		"one\r\ntwo\n\x1b[31mthree\n": "one\ntwo\nthree",
		"one\npassword:\nabc":         "one\npassword:\n(hidden)",
	} {
		v := veil{}
		if got := v.lines(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// TestSecretsAreFoundBeforeTextsAreCut: what is cut off must not be what tells
// that the rest is a secret.
func TestSecretsAreFoundBeforeTextsAreCut(t *testing.T) {
	v := veil{}
	if s := v.setting("URL", "postgres://app:"+strings.Repeat("p", maxText)+"@db/app"); strings.Contains(s.Value, "ppp") || !s.Hidden {
		t.Errorf("%+v", s)
	}
	if s := v.setting("X", strings.Repeat("ü", maxText)); len(s.Value) > maxText || s.Hidden {
		t.Errorf("%d bytes, %v", len(s.Value), s.Hidden)
	}
}

// everyText calls do for each text in a value.
func everyText(v reflect.Value, do func(string)) {
	switch v.Kind() {
	case reflect.String:
		do(v.String())
	case reflect.Slice:
		for i := range v.Len() {
			everyText(v.Index(i), do)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				everyText(v.Field(i), do)
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			everyText(v.Elem(), do)
		}
	}
}

// harmlessDetail fails the test when a text could do harm on a terminal, or is
// too long.
func harmlessDetail(t *testing.T, detail any) {
	t.Helper()
	everyText(reflect.ValueOf(detail), func(s string) {
		if len(s) > 3*maxText {
			t.Errorf("text of %d bytes kept", len(s))
		}
		for _, r := range s {
			if r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				t.Errorf("%q has %U", s, r)
			}
		}
	})
}

// hostileInspect is evil text in every field, and more of all than is shown.
func hostileInspect() []byte {
	e, _ := json.Marshal(evil)
	many := strings.TrimSuffix(strings.Repeat("$,", 1000), ",")
	labels := `"x":$`
	for i := range 1000 {
		labels += fmt.Sprintf(`,"%d":$`, i)
	}
	return []byte(strings.ReplaceAll(`{"Path":$,"Args":[`+many+`],"ImageDigest":$,"State":{"Error":$,"Pid":-1,"Health":{"Status":$,"Log":[{"Start":$,"End":$,"Output":$}]}},
		"Config":{"Hostname":$,"User":$,"WorkingDir":$,"Env":[`+many+`,"PASSWORD=\u001b[2J"],"CreateCommand":[`+many+`],"Labels":{`+labels+`},"StopSignal":$,"Secrets":[{"Name":$}],
		"Healthcheck":{"Test":[$,$]}},
		"HostConfig":{"NetworkMode":$,"PidMode":$,"IpcMode":$,"UsernsMode":$,"Runtime":$,"LogConfig":{"Type":$},"RestartPolicy":{"Name":$,"MaximumRetryCount":3},
		"CapAdd":[$],"CapDrop":[$],"SecurityOpt":[$],"Dns":[$],"ExtraHosts":[$],"Devices":[{"PathOnHost":$,"PathInContainer":"x"}],"Memory":-5,"Tmpfs":{$:$}},
		"Mounts":[{"Type":$,"Name":$,"Source":$,"Destination":$,"Mode":$,"Options":[$]}],
		"NetworkSettings":{"Networks":{$:{"IPAddress":$,"GlobalIPv6Address":$,"Gateway":$,"MacAddress":$,"Aliases":[$]},"none":null}}}`, "$", string(e)))
}

func TestHostileDetailIsCleanedAndBounded(t *testing.T) {
	for _, v := range []veil{{}, {shown: true}} {
		d, err := parseInspect(hostileInspect(), v)
		if err != nil {
			t.Fatal(err)
		}
		harmlessDetail(t, d)
		if len(d.Config.Command) != maxList || len(d.Labels) != maxList || len(d.Environment) != maxList || len(d.Cut) != 4 || d.Config.Memory != 0 {
			t.Errorf("%d words, %d labels, %d variables, cut %q", len(d.Config.Command), len(d.Labels), len(d.Environment), d.Cut)
		}
		rows := make([][]string, 5000)
		for i := range rows {
			rows[i] = []string{evil, evil, evil, evil, evil, evil}
		}
		top, err := processes([]string{"PID", "USER", "%CPU", "ELAPSED", "COMMAND"}, rows, v)
		if err != nil || len(top.Processes) != maxProcesses || top.More != 5000-maxProcesses {
			t.Fatal(len(top.Processes), top.More, err)
		}
		harmlessDetail(t, top)
	}
	for _, titles := range [][]string{nil, {evil}} {
		if _, err := processes(titles, nil, veil{}); err == nil || strings.ContainsRune(err.Error(), 0x1b) {
			t.Errorf("%q", err)
		}
	}
}

func FuzzInspect(f *testing.F) {
	for _, file := range []string{"podman-4.3.1-inspect.json", "podman-5.4.2-inspect.json", "docker-20.10-detail.json"} {
		f.Add(fixture(f, file))
	}
	f.Add(hostileInspect())
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parseInspect(b, veil{})
		if err != nil {
			return
		}
		harmlessDetail(t, d)
		if _, err := json.Marshal(d); err != nil {
			t.Errorf("cannot be written as JSON: %v", err)
		}
	})
}

// detailed is Podman that tells what was recorded of each container.
type detailed struct {
	*podmanServer
	inspect, top []byte
}

func (d detailed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v5.8.6/libpod/containers/")
	id, what, _ := strings.Cut(path, "/")
	switch {
	case what == "json" && containerID.MatchString(id):
		d.mu.Lock()
		d.asked = append(d.asked, r.URL.RequestURI())
		d.mu.Unlock()
		w.Write(d.inspect)
	case what == "top":
		w.Write(d.top)
	default:
		d.podmanServer.ServeHTTP(w, r)
	}
}

func newDetailed(t testing.TB, version string) detailed {
	return detailed{newPodman(t, version), fixture(t, "podman-"+version+"-inspect.json"), fixture(t, "podman-"+version+"-top.json")}
}

// TestInspectOverTheLink: by name and by ID, of the user's engine that is meant,
// with who told and when.
func TestInspectOverTheLink(t *testing.T) {
	for _, version := range []string{"5.4.2", "4.3.1"} {
		t.Run(version, func(t *testing.T) {
			h := newHost(t)
			srv := newDetailed(t, version)
			h.sockets[adaSock.Path] = srv
			e := h.engines()
			list := read(t, e, state(adaSock))
			c := list.Value[0]
			for _, ref := range []string{c.ID, c.Name} {
				d, err := e.Inspect(t.Context(), "ada", ref, false)
				if err != nil || d.Source != "podman "+version || d.At.IsZero() || d.Container.ID != c.ID || d.Hidden == 0 || len(d.Environment) < 4 {
					t.Errorf("%+v %v", d, err)
				}
				if n := srv.count("/containers/" + c.ID + "/json"); n == 0 {
					t.Errorf("it was not asked of: %q", srv.asked)
				}
				if top, err := e.Top(t.Context(), "ada", ref, true); c.Running() && (err != nil || len(top.Processes) == 0 || top.Source != "podman "+version) {
					t.Errorf("%+v %v", top, err)
				}
			}
			for _, user := range []string{"", "bea"} {
				if _, err := e.Inspect(t.Context(), user, c.ID, false); err == nil || !strings.Contains(fleet.Cure(err), "sextant containers storage") {
					t.Errorf("as %q: %v", user, err)
				}
			}
		})
	}
}

func TestInspectDocker(t *testing.T) {
	h := newHost(t)
	h.sockets[dockerSock.Path] = dockerServer(t, nil)
	e := h.engines()
	c := read(t, e, state(dockerSock)).Value[0]
	d, err := e.Inspect(t.Context(), "", c.ID, false)
	if err != nil || d.Source != "docker 20.10.24+dfsg1" || d.Config.Restart != "unless-stopped" || d.Config.LogDriver != "json-file" || d.Networks[0].IPv4 != "172.17.0.2/16" {
		t.Errorf("%+v %v", d, err)
	}
	for _, c := range e.Fact().Value {
		top, err := e.Top(t.Context(), "", c.ID, false)
		if err != nil || c.Running() != (len(top.Processes) > 0) {
			t.Errorf("%s: %+v %v", c.Name, top, err)
		}
	}
}

// TestInspectOfATooLongAnswer and of one that never comes end with an error that
// says so.
func TestInspectOfATooLongAnswer(t *testing.T) {
	h := newHost(t)
	srv := newDetailed(t, "5.4.2")
	srv.inspect = []byte(`{"Path":"` + strings.Repeat("x", maxDetail) + `"}`)
	h.sockets[rootSocket] = srv
	e := h.engines()
	c := read(t, e, state(rootSock)).Value[0]
	if _, err := e.Inspect(t.Context(), "root", c.ID, false); err == nil || !strings.Contains(err.Error(), "container "+c.Name+" on storage") {
		t.Errorf("%v", err)
	}
}

func TestInspectOfASilentEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		srv := newDetailed(t, "5.4.2")
		silent := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/json") && r.URL.Query().Get("all") == "" && !strings.Contains(r.URL.Path, "/images/") {
				<-r.Context().Done()
				return
			}
			srv.ServeHTTP(w, r)
		})
		h.sockets[rootSocket] = silent
		e := h.engines()
		c := read(t, e, state(rootSock)).Value[0]
		if _, err := e.Inspect(context.Background(), "root", c.ID, false); err == nil || !strings.Contains(err.Error(), errSilent.Error()) {
			t.Errorf("%v", err)
		}
	})
}

// TestTheListsCommandIsHidden: the list is kept and written down, as the details
// are not.
func TestTheListsCommandIsHidden(t *testing.T) {
	_, list, err := parseContainers([]byte(`[{"Id":"a","Command":["serve","--token","` + labSecret + `","--port=80"]}]`))
	if err != nil || strings.Join(list[0].Command, " ") != "serve --token (hidden) --port=80" {
		t.Errorf("%+v %v", list, err)
	}
	if c := summary(container.Summary{Command: "serve --token " + labSecret + " --port=80"}); strings.Join(c.Command, " ") != "serve --token (hidden) --port=80" {
		t.Errorf("%+v", c)
	}
}
