package podman

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/docker/docker/api/types/container"

	"github.com/sextant-fleet/sextant/fleet"
)

func TestContainersOfPodman(t *testing.T) {
	for _, file := range []string{"podman-4.3.1-rest-containers", "podman-4.3.1-containers", "podman-5.4.2-containers"} {
		t.Run(file, func(t *testing.T) {
			_, list, err := parseContainers(fixture(t, file+".json"))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, file, list)
		})
	}
}

func TestContainersOfDocker(t *testing.T) {
	var in []container.Summary
	if err := json.Unmarshal(fixture(t, "docker-20.10-containers.json"), &in); err != nil {
		t.Fatal(err)
	}
	var list []fleet.Container
	for _, s := range in {
		list = append(list, summary(s))
	}
	golden(t, "docker-20.10-containers", list)
}

func TestImages(t *testing.T) {
	got, err := parseImages(fixture(t, "podman-5.4.2-images.json"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "podman-5.4.2-images", got)
}

// TestOlderServersDoNotCountRestarts keeps null apart from 0.
func TestOlderServersDoNotCountRestarts(t *testing.T) {
	_, old, _ := parseContainers(fixture(t, "podman-4.3.1-containers.json"))
	if old[0].Restarts != nil {
		t.Errorf("Podman 4.3.1 does not tell restarts, got %d", *old[0].Restarts)
	}
	_, now, _ := parseContainers(fixture(t, "podman-5.4.2-containers.json"))
	if now[0].Restarts == nil || *now[0].Restarts != 0 {
		t.Errorf("Podman 5.4.2 tells 0 restarts, got %v", now[0].Restarts)
	}
}

// evil is text that would take over a terminal, in every field of a list.
const evil = "\x1b]0;owned\x07\x1b[31m\x1b[2Jred\r\n\u202eabc\xff"

func TestHostileTextIsCleaned(t *testing.T) {
	e, _ := json.Marshal(evil)
	in := strings.ReplaceAll(`[{"Id":$,"Names":[$,$],"Image":$,"ImageID":$,"Command":[$,$],"State":$,"Status":$,
		"Labels":{"PODMAN_SYSTEMD_UNIT":$},"Networks":[$],"PodName":$,
		"Ports":[{"host_ip":$,"container_port":1,"host_port":2,"range":1,"protocol":$}]}]`, "$", string(e))
	_, list, err := parseContainers([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	clean(t, list)
	c := list[0]
	if c.Name != "red  abc\ufffd" {
		t.Errorf("name %q", c.Name)
	}
	if c.Unit != "" {
		t.Errorf("a label that is no unit name was taken for one: %q", c.Unit)
	}
}

// clean fails the test when a text of the list could do harm on a terminal.
func clean(t *testing.T, list []fleet.Container) {
	t.Helper()
	for _, c := range list {
		texts := append([]string{c.Engine, c.User, c.Name, c.ID, c.State, c.Health, c.Image, c.ImageID, c.Unit, c.Pod}, c.Command...)
		texts = append(texts, c.Networks...)
		for _, p := range c.Ports {
			texts = append(texts, p.HostIP, p.Protocol)
		}
		for _, s := range texts {
			if len(s) > maxText*3 {
				t.Errorf("text of %d bytes kept", len(s))
			}
			for _, r := range s {
				if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
					t.Errorf("%q has %U", s, r)
				}
			}
		}
	}
}

func TestUnitOfLabel(t *testing.T) {
	for label, want := range map[string]string{
		"podman-web.service":                  "podman-web.service",
		`podman-kube@-etc-x.service`:          `podman-kube@-etc-x.service`,
		"-H.service":                          "", // would be an option of systemctl
		"--force.service":                     "",
		"../x.service":                        "",
		"a b.service":                         "",
		"%n":                                  "",
		"web":                                 "",
		"":                                    "",
		strings.Repeat("a", 300) + ".service": "",
	} {
		if got := unitOf(map[string]string{unitLabel: label}); got != want {
			t.Errorf("label %q: unit %q, want %q", label, got, want)
		}
	}
}

func TestHealthOnlyWhileRunning(t *testing.T) {
	for _, c := range []struct{ state, word, want string }{
		{"running", "unhealthy", "unhealthy"},
		{"running", "reset", "starting"},
		{"running", "stopped", ""},
		{"exited", "unhealthy", ""}, // what it said before it ended
		{"running", "<b>", ""},
	} {
		if got := health(c.state, c.word); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.state, c.word, got, c.want)
		}
	}
}

func TestStatusOfDocker(t *testing.T) {
	for words, want := range map[string]struct {
		health string
		exit   int
	}{
		"Up 2 hours":                               {},
		"Up 2 hours (healthy)":                     {health: "healthy"},
		"Up 3 seconds (unhealthy)":                 {health: "unhealthy"},
		"Up Less than a second (health: starting)": {health: "starting"},
		"Up 2 hours (Paused)":                      {},
		"Exited (3) 2 seconds ago":                 {exit: 3},
		"Exited (137) 4 days ago":                  {exit: 137},
		"Restarting (1) 5 seconds ago":             {exit: 1},
		"Created":                                  {},
	} {
		if h, e := status(words); h != want.health || e != want.exit {
			t.Errorf("%q: %q %d, want %q %d", words, h, e, want.health, want.exit)
		}
	}
}

func TestRubbishIsAnError(t *testing.T) {
	for _, b := range []string{"", "<html>", `{"cause":"x"}`, `[{"Id":1}]`, `[1]`, "[", `"x"`, "\x1b[31m"} {
		if _, _, err := parseContainers([]byte(b)); err == nil {
			t.Errorf("%q passes for a list of containers", b)
		} else if strings.ContainsRune(err.Error(), 0x1b) {
			t.Errorf("the error holds what the host sent: %q", err)
		}
	}
}

func TestPortsAreFolded(t *testing.T) {
	got := mergePorts([]fleet.Port{
		{HostIP: "0.0.0.0", Host: 80, Container: 80, Protocol: "tcp"},
		{HostIP: "::", Host: 80, Container: 80, Protocol: "tcp"},
		{HostIP: "::", Host: 80, Container: 80, Protocol: "udp"},
		{HostIP: "127.0.0.1", Host: 80, Container: 80, Protocol: "tcp"},
	})
	if len(got) != 3 {
		t.Errorf("ports %+v", got)
	}
}

func FuzzContainers(f *testing.F) {
	for _, file := range []string{"podman-4.3.1-rest-containers.json", "podman-5.4.2-containers.json"} {
		f.Add(fixture(f, file))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, list, err := parseContainers(b)
		if err != nil {
			return
		}
		clean(t, list)
		if _, err := json.Marshal(list); err != nil {
			t.Errorf("cannot be written as JSON: %v", err)
		}
	})
}

func FuzzDocker(f *testing.F) {
	f.Add(fixture(f, "docker-20.10-containers.json"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var in []container.Summary
		if json.Unmarshal(b, &in) != nil {
			return
		}
		for _, s := range in {
			clean(t, []fleet.Container{summary(s)})
		}
	})
}

func FuzzEvent(f *testing.F) {
	for _, l := range recorded(f, "podman-5.4.2-events.jsonl") {
		f.Add([]byte(l))
	}
	f.Fuzz(func(t *testing.T, b []byte) { _, _ = parseEvent(b) })
}

// TestWhatIsBeingCleanedUpHasEnded: between the end of a container and its cleaning up
// Podman calls it stopped, and tells nobody when that is over.
func TestWhatIsBeingCleanedUpHasEnded(t *testing.T) {
	_, list, err := parseContainers([]byte(`[{"Id":"1","Names":["again"],"State":"stopped","Exited":true,"ExitCode":9}]`))
	if err != nil || len(list) != 1 || list[0].State != "exited" || list[0].ExitCode != 9 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestWhoseContainers: what holds a pod together, and what Compose made, are told.
func TestWhoseContainers(t *testing.T) {
	_, list, err := parseContainers([]byte(`[{"Id":"aa","Names":["aa-infra"],"IsInfra":true,"PodName":"shop"},{"Id":"bb","Names":["wiki"],"Labels":{"com.docker.compose.project":"wiki"}}]`))
	if err != nil || len(list) != 2 || !list[0].Infra || list[1].Infra || list[1].Compose != "wiki" {
		t.Errorf("%v, %+v", err, list)
	}
}
