package podman

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

func count(n int) *int { return &n }

// oci is a unit of NixOS' oci-containers.
func oci(name, active, sub string) fleet.Unit {
	return fleet.Unit{Name: name, Load: "loaded", Active: active, Sub: sub, Type: "notify", FileState: "enabled"}
}

func known(units ...fleet.Unit) fleet.Fact[[]fleet.Unit] {
	return fleet.Known(units, time.Now(), "probe")
}

// rows are the containers of a list with what joining tells of them.
func rows(list []fleet.Container) []string {
	var out []string
	for _, c := range list {
		restarts := "?"
		if c.Restarts != nil {
			restarts = fmt.Sprint(*c.Restarts)
		}
		out = append(out, fmt.Sprintf("%s %s %s unit=%s user=%v %s %s restarts=%s", c.User, c.Name, c.State, c.Unit, c.UserUnit, c.UnitSub, c.UnitResult, restarts))
	}
	return out
}

func TestJoin(t *testing.T) {
	running := func(engine, user, name, unit string) fleet.Container {
		return fleet.Container{Engine: engine, User: user, Name: name, State: "running", Unit: unit, UserUnit: unit != "" && user != "root"}
	}
	started := time.Now()
	for _, c := range []struct {
		name  string
		raw   []fleet.Container
		units []fleet.Unit
		want  []string
	}{
		{
			name:  "by its label, whatever the unit is called",
			raw:   []fleet.Container{running("podman", "root", "web", "website.service")},
			units: []fleet.Unit{{Name: "website.service", Load: "loaded", Active: "active", Sub: "running", Type: "notify", Restarts: 4}},
			want:  []string{"root web running unit=website.service user=false active/running  restarts=4"},
		},
		{
			name:  "by the unit's name, where Docker has no label",
			raw:   []fleet.Container{running("docker", "root", "plex", "")},
			units: []fleet.Unit{{Name: "docker-plex.service", Load: "loaded", Active: "active", Sub: "running", Type: "simple"}},
			want:  []string{"root plex running unit=docker-plex.service user=false active/running  restarts=0"},
		},
		{
			name:  "a unit of the other engine is not its",
			raw:   []fleet.Container{running("docker", "root", "web", "")},
			units: []fleet.Unit{oci("podman-web.service", "active", "running")},
			want:  []string{"root web running unit= user=false   restarts=?"},
		},
		{
			name: "a quadlet's container, with its default name and without a label",
			raw:  []fleet.Container{running("podman", "root", "systemd-memos", "")},
			units: []fleet.Unit{{Name: "memos.service", Load: "loaded", Active: "active", Sub: "running", Type: "notify",
				Source: "/etc/containers/systemd/memos.container"}},
			want: []string{"root systemd-memos running unit=memos.service user=false active/running  restarts=0"},
		},
		{
			name: "crashed with --rm: only the unit is left",
			units: []fleet.Unit{
				{Name: "podman-web.service", Load: "loaded", Active: "failed", Sub: "failed", Result: "exit-code", ExitStatus: 3, Type: "notify", Restarts: 5},
			},
			want: []string{"root web absent unit=podman-web.service user=false failed/failed exit-code restarts=5"},
		},
		{
			name:  "crash loop: waits to be started again",
			units: []fleet.Unit{{Name: "docker-web.service", Load: "loaded", Active: "activating", Sub: "auto-restart", Type: "simple", Restarts: 9}},
			want:  []string{"root web absent unit=docker-web.service user=false activating/auto-restart  restarts=9"},
		},
		{
			name: "ended with status 0, so that Restart=on-failure does nothing",
			units: []fleet.Unit{
				{Name: "podman-vpn.service", Load: "loaded", Active: "inactive", Sub: "dead", Result: "success", Type: "notify", FileState: "linked", Started: started},
			},
			want: []string{"root vpn absent unit=podman-vpn.service user=false inactive/dead  restarts=0"},
		},
		{
			name:  "never started though it should have been: a mount it needs did not come",
			units: []fleet.Unit{oci("podman-files.service", "inactive", "dead")},
			want:  []string{"root files absent unit=podman-files.service user=false inactive/dead  restarts=0"},
		},
		{
			name:  "autoStart = false and never started: nothing is missing",
			units: []fleet.Unit{{Name: "podman-once.service", Load: "loaded", Active: "inactive", Sub: "dead", Type: "notify", FileState: "linked"}},
		},
		{
			name:  "a unit that runs has its container, though we see none",
			units: []fleet.Unit{oci("podman-hidden.service", "active", "running")},
		},
		{
			name: "a crashed quadlet, and the quadlets that are no container",
			units: []fleet.Unit{
				{Name: "memos.service", Load: "loaded", Active: "failed", Sub: "failed", Result: "exit-code", Type: "notify", Source: "/etc/containers/systemd/memos.container", FileState: "generated"},
				{Name: "data-volume.service", Load: "loaded", Active: "failed", Sub: "failed", Type: "oneshot", Source: "/etc/containers/systemd/data.volume"},
				{Name: "web-network.service", Load: "loaded", Active: "failed", Sub: "failed", Type: "oneshot", Source: "/etc/containers/systemd/web.network"},
				{Name: "pod.service", Load: "loaded", Active: "failed", Sub: "failed", Type: "notify", Source: "/etc/containers/systemd/pod.kube"},
				{Name: "worker@.service", Load: "loaded", Active: "failed", Sub: "failed", Source: "/etc/containers/systemd/worker@.container"},
				{Name: "other.service", Load: "loaded", Active: "failed", Sub: "failed", Source: "/etc/systemd/system/other.container"},
			},
			want: []string{"root memos absent unit=memos.service user=false failed/failed exit-code restarts=0"},
		},
		{
			name: "the unit is there, the container too, but it failed",
			raw:  []fleet.Container{{Engine: "podman", User: "root", Name: "db", State: "exited", ExitCode: 1, Unit: "podman-db.service", Restarts: count(2)}},
			units: []fleet.Unit{
				{Name: "podman-db.service", Load: "loaded", Active: "failed", Sub: "failed", Result: "start-limit-hit", Type: "notify", Restarts: 5},
			},
			want: []string{"root db exited unit=podman-db.service user=false failed/failed start-limit-hit restarts=5"},
		},
		{
			name: "a user's container under a unit of the system (podman.user)",
			raw:  []fleet.Container{running("podman", "ada", "notes", "podman-notes.service")},
			units: []fleet.Unit{
				oci("podman-notes.service", "active", "running"),
			},
			want: []string{"ada notes running unit=podman-notes.service user=false active/running  restarts=0"},
		},
		{
			name: "a user's own unit is not the system's of the same name",
			raw: []fleet.Container{
				running("podman", "ada", "web", "podman-web.service"), running("podman", "root", "web", "podman-web.service"),
				running("podman", "ada", "caddy", "caddy.service"),
			},
			units: []fleet.Unit{
				oci("podman-web.service", "active", "running"),
				{Name: "caddy.service", Load: "loaded", Active: "active", Sub: "running", Type: "notify"},
			},
			want: []string{
				"root web running unit=podman-web.service user=false active/running  restarts=0",
				"ada caddy running unit=caddy.service user=true   restarts=?",
				"ada web running unit=podman-web.service user=true   restarts=?",
			},
		},
		{
			name: "each user's unit has that user's container",
			raw: []fleet.Container{
				running("podman", "ada", "web", "web.service"), running("podman", "root", "web", "web.service"), running("podman", "bea", "wiki", ""),
			},
			units: []fleet.Unit{
				{Name: "web.service", Load: "loaded", Active: "active", Sub: "running", Type: "notify", Restarts: 1},
				{Name: "web.service", User: "ada", Load: "loaded", Active: "active", Sub: "running", Type: "notify", Restarts: 2},
				{Name: "container-wiki.service", User: "bea", Description: "Podman container-wiki.service", Load: "loaded", Active: "active", Sub: "running", Type: "notify"},
				{Name: "container-wiki.service", Description: "Podman container-wiki.service", Load: "loaded", Active: "active", Sub: "running", Type: "notify"},
			},
			want: []string{
				"root web running unit=web.service user=false active/running  restarts=1",
				"ada web running unit=web.service user=true active/running  restarts=2",
				"bea wiki running unit=container-wiki.service user=true active/running  restarts=0",
			},
		},
		{
			name: "crashed with --rm in users' own systemds, and one of the system beside them",
			raw:  []fleet.Container{running("podman", "ada", "notes", "notes.service")},
			units: []fleet.Unit{
				{Name: "reader.service", User: "ada", Load: "loaded", Active: "failed", Sub: "failed", Result: "exit-code", ExitStatus: 4, Type: "notify", Restarts: 2,
					Source: "/home/ada/.config/containers/systemd/reader.container", FileState: "generated"},
				{Name: "notes.service", User: "ada", Load: "loaded", Active: "active", Sub: "running", Type: "notify", Source: "/home/ada/.config/containers/systemd/notes.container"},
				{Name: "notes.service", User: "bea", Load: "loaded", Active: "failed", Sub: "failed", Result: "oom-kill", Type: "notify", Source: "/etc/containers/systemd/users/notes.container"},
				{Name: "container-wiki.service", User: "bea", Description: "Podman container-wiki.service", Load: "loaded", Active: "failed", Sub: "failed", Type: "forking"},
				{Name: "photos-sync.service", User: "ada", Load: "loaded", Active: "failed", Sub: "failed", Type: "oneshot"},
				{Name: "container-guard.service", Description: "Looks after containers", Load: "loaded", Active: "failed", Sub: "failed", Type: "simple"},
				oci("podman-web.service", "failed", "failed"),
			},
			want: []string{
				"root web absent unit=podman-web.service user=false failed/failed  restarts=0",
				"ada notes running unit=notes.service user=true active/running  restarts=0",
				"ada reader absent unit=reader.service user=true failed/failed exit-code restarts=2",
				"bea notes absent unit=notes.service user=true failed/failed oom-kill restarts=0",
				"bea wiki absent unit=container-wiki.service user=true failed/failed  restarts=0",
			},
		},
		{
			name: "containers of one pod have one unit",
			raw: []fleet.Container{
				running("podman", "root", "a", "podman-kube@x.service"), running("podman", "root", "b", "podman-kube@x.service"),
			},
			units: []fleet.Unit{{Name: "podman-kube@x.service", Load: "loaded", Active: "active", Sub: "running", Type: "notify"}},
			want: []string{
				"root a running unit=podman-kube@x.service user=false active/running  restarts=0",
				"root b running unit=podman-kube@x.service user=false active/running  restarts=0",
			},
		},
		{
			name: "a label's unit that is not among those that were read stays",
			raw:  []fleet.Container{running("podman", "root", "x", "gone.service")},
			want: []string{"root x running unit=gone.service user=false   restarts=?"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := append([]fleet.Container(nil), c.raw...)
			got := Join(c.raw, known(c.units...))
			if !reflect.DeepEqual(rows(got), c.want) {
				t.Errorf("got\n%q\nwant\n%q", rows(got), c.want)
			}
			if !reflect.DeepEqual(c.raw, before) {
				t.Error("the list that was given is changed")
			}
			if again := Join(got, known(c.units...)); !reflect.DeepEqual(again, got) {
				t.Errorf("joined once more it is another:\n%q", rows(again))
			}
		})
	}
}

// TestHelpersAreNoContainers has all the units named like containers that are
// none: Podman's own, NixOS', compose2nix' and some by hand.
func TestHelpersAreNoContainers(t *testing.T) {
	units := []fleet.Unit{
		{Name: "podman.service", Type: "exec"},
		{Name: "podman.socket"},
		{Name: "docker.service", Type: "notify"},
		{Name: "podman-auto-update.service", Type: "oneshot"},
		{Name: "podman-auto-update.timer"},
		{Name: "podman-restart.service", Type: "oneshot"},
		{Name: "podman-clean-transient.service", Type: "oneshot"},
		{Name: "podman-user-wait-network-online.service", Type: "oneshot"},
		{Name: "podman-kube@-etc-pods-web.yaml.service", Type: "notify"},
		{Name: "podman-prune.service", Type: "oneshot"},
		{Name: "docker-prune.service", Type: "oneshot"},
		{Name: "podman-image-pull.service", Type: "oneshot"},
		{Name: "podman-network-media_default.service", Type: "oneshot"},
		{Name: "podman-volume-media_data.service", Type: "oneshot"},
		{Name: "podman-build-media.service", Type: "oneshot"},
		{Name: "podman-create-media-pod.service", Type: "oneshot"},
		{Name: "podman-compose-media-root.target"},
		{Name: "docker-registry.service", Type: "simple", Description: "Docker Container Registry"},
		{Name: "podman-masked.service", Load: "masked"},
		{Name: "podman-gone.service", Load: "not-found"},
		// The same where nobody asked for the type.
		{Name: "podman-auto-update.service"}, {Name: "podman-restart.service"}, {Name: "docker-prune.service"},
		{Name: "podman-network-media_default.service"}, {Name: "docker-volume-x.service"},
	}
	for i := range units {
		if units[i].Load == "" {
			units[i].Load = "loaded"
		}
		units[i].Active, units[i].Sub = "failed", "failed"
	}
	if got := Join(nil, known(units...)); len(got) != 0 {
		t.Errorf("taken for containers: %q", rows(got))
	}
}

// TestContainersNamedLikeHelpers are told by their type.
func TestContainersNamedLikeHelpers(t *testing.T) {
	got := Join(nil, known(
		oci("podman-network-tools.service", "failed", "failed"),
		fleet.Unit{Name: "docker-registry.service", Load: "loaded", Active: "failed", Sub: "failed", Type: "simple"},
	))
	if len(got) != 2 {
		t.Errorf("containers %q", rows(got))
	}
}

func TestJoinWithoutUnits(t *testing.T) {
	raw := []fleet.Container{{Engine: "podman", User: "root", Name: "web", State: "running", Unit: "podman-web.service"}}
	got := Join(raw, fleet.Unknown[[]fleet.Unit](fmt.Errorf("systemctl failed"), time.Now(), "probe"))
	if !reflect.DeepEqual(got, raw) {
		t.Errorf("got %+v", got)
	}
}

// TestJoinOfTheLab joins what Podman 5.4.2 told with the units of that host.
func TestJoinOfTheLab(t *testing.T) {
	_, list, err := parseContainers(fixture(t, "podman-5.4.2-containers.json"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		list[i].User = rootUser
	}
	got := Join(list, known(
		oci("podman-jellyfin.service", "active", "running"), oci("podman-authelia.service", "active", "running"),
		oci("podman-unhealthy.service", "active", "running"),
		fleet.Unit{Name: "podman-crashed.service", Load: "loaded", Active: "failed", Sub: "failed", Result: "exit-code", ExitStatus: 3, Type: "notify", FileState: "enabled"},
		fleet.Unit{Name: "memos.service", Load: "loaded", Active: "active", Sub: "running", Type: "notify", Source: "/etc/containers/systemd/memos.container"},
		fleet.Unit{Name: "podman.service", Load: "loaded", Active: "inactive", Sub: "dead", Type: "exec"},
	))
	golden(t, "joined-5.4.2", got)
	broken := ""
	for _, c := range got {
		if c.Broken() {
			broken += c.Name + " "
		}
	}
	if broken != "crashed unhealthy " {
		t.Errorf("broken: %q", broken)
	}
}

func TestBrokenUnits(t *testing.T) {
	for sub, want := range map[string]bool{
		"activating/start":          false, // pulls its image
		"activating/start-pre":      false,
		"deactivating/stop-sigterm": false,
		"activating/auto-restart":   true,
		"inactive/dead":             true,
		"failed/failed":             true,
	} {
		if got := (fleet.Container{State: fleet.Absent, UnitSub: sub}).Broken(); got != want {
			t.Errorf("absent, unit %s: broken %v", sub, got)
		}
	}
	if !(fleet.Container{State: "running", UnitSub: "failed/failed"}).Broken() {
		t.Error("its unit failed, and nobody is to look")
	}
}
