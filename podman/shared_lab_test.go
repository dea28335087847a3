//go:build lab

package podman_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// makeShared makes what containers share: a pod, a network and volumes, of which
// some are used. The infrastructure of the pod is made of an image that is there.
const makeShared = `img=$(podman images -q | head -n 1)
podman network create -q lab-used >/dev/null 2>&1 || podman network create lab-used >/dev/null; podman network create lab-idle >/dev/null
podman volume create lab-used >/dev/null; podman volume create lab-idle >/dev/null
podman pod create --name lab-pod --network lab-used -v lab-used:/shared --infra-image "$img" --infra-command true >/dev/null
podman create --name lab-one --pod lab-pod "$img" true >/dev/null
podman create --name lab-two --network lab-used -v lab-used:/data "$img" true >/dev/null`

const dropShared = `podman rm -f -v lab-two; podman pod rm -f lab-pod; podman network rm -f lab-used lab-idle; podman volume rm -f lab-used lab-idle`

// shell has somebody's shell run a script.
func shell(t *testing.T, l link.Link, as link.Command, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	as.Args = []string{"sh", "-c", script}
	res, err := l.Run(ctx, as)
	if err != nil {
		t.Fatal(err)
	}
	if res.Status != 0 {
		t.Logf("%s: %s", script, res.Stderr)
	}
	return strings.TrimSpace(string(res.Stdout))
}

// TestLabSharedAgreesWithPodman: pods, networks and volumes are those that the
// host's own commands tell, of root and of users, with Podman 4.3.1 and 5.4.2.
func TestLabSharedAgreesWithPodman(t *testing.T) {
	lab := labtest.Load(t)
	type whose struct{ host, user string }
	onHosts(t, []whose{{"router", "root"}, {"router", "bea"}, {"desktop", "root"}, {"desktop", "ada"}}, func(c whose) string { return c.host }, func(t *testing.T, c whose) {
		l := lab.Link(t, c.host)
		as := link.Command{Root: true}
		switch c.user {
		case "ada":
			as = link.Command{}
		case "bea":
			as = link.Command{User: "bea", Env: []string{"HOME=/var/lib/containers/bea", "XDG_RUNTIME_DIR=/run/user/" + uid(t, l, "bea")}}
		}
		shell(t, l, as, makeShared)
		defer shell(t, l, as, dropShared)
		a := open(t, l)
		f := a.engines.Shared(t.Context())
		if !f.Current() {
			t.Fatal(f.Err)
		}
		var pods, networks, volumes, idle []string
		for _, p := range f.Value.Pods {
			if p.User == c.user {
				pods = append(pods, p.Name)
			}
		}
		for _, n := range f.Value.Networks {
			if n.User == c.user {
				networks = append(networks, n.Name)
				if used := []string{"lab-two", "pod lab-pod"}; n.Name == "lab-used" && !slices.Equal(n.Containers, used) || n.Unused() != (n.Name == "lab-idle") {
					t.Errorf("%+v", n)
				}
			}
		}
		for _, v := range f.Value.Volumes {
			if v.User != c.user {
				continue
			}
			volumes = append(volumes, v.Name)
			if v.Unused() {
				idle = append(idle, v.Name)
			}
			if v.Name == "lab-used" && (!slices.Contains(v.Containers, "lab-two") || !slices.Contains(v.Containers, "pod lab-pod")) {
				t.Errorf("%+v", v)
			}
		}
		for what, got := range map[string][]string{"pod ps": pods, "network ls": networks, "volume ls": volumes, "volume ls --filter dangling=true": idle} {
			want := strings.Fields(shell(t, l, as, "podman "+what+" --format '{{.Name}}'"))
			slices.Sort(want)
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", what, got, want)
			}
		}
		if i := slices.IndexFunc(f.Value.Pods, func(p fleet.Pod) bool { return p.User == c.user && p.Name == "lab-pod" }); i < 0 || !slices.Equal(f.Value.Pods[i].Containers, []string{"lab-one"}) {
			t.Errorf("%+v", f.Value.Pods)
		}
	})
}
