package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
)

// TestContainerOfSeveralUsers: where several users have a container of one name,
// none of them is meant until it is said whose.
func TestContainerOfSeveralUsers(t *testing.T) {
	host := fleet.State{
		Host: fleet.Host{Name: "desktop"},
		Containers: fleet.Known([]fleet.Container{
			{Name: "web", User: "root", State: "running"}, {Name: "web", User: "ada", State: "exited"}, {Name: "notes", User: "ada", State: "running"},
		}, time.Now(), "podman"),
	}
	for _, c := range []struct{ name, user, want, wrong string }{
		{"web", "", "", "root and ada have a container web there; say whose is meant: --user root"},
		{"web", "ada", "ada", ""},
		{"web", "root", "root", ""},
		{"notes", "", "ada", ""},
		{"notes", "root", "", "no container notes there"},
	} {
		target := fleet.Target{Hosts: []fleet.State{host}, Container: c.name, User: c.user}
		got, err := containerOf(target)
		var no *nixops.Refusal
		if got.User != c.want || (err == nil) != (c.wrong == "") || err != nil && (!errors.As(err, &no) || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s of %q: %+v, %v", c.name, c.user, got, err)
		}
		host.Reach = fleet.Known(fleet.Reach{State: fleet.Up}, time.Now(), "ssh")
		target.Hosts = []fleet.State{host}
		if why := offContainer(ownerVerbs[0], target); !strings.Contains(why, c.wrong) {
			t.Errorf("%s of %q is off because %q", c.name, c.user, why)
		}
	}
}

// TestDueWhereAnEngineComes: the containers are asked for again when the probe sees
// other engines than before, once.
func TestDueWhereAnEngineComes(t *testing.T) {
	r := newReaders(nil)
	told := func(sockets ...fleet.Socket) {
		r.noticeEngines("a", fleet.Known(fleet.Inventory{Sockets: sockets}, time.Now(), "probe"))
	}
	sock := fleet.Socket{Path: "/run/podman/podman.sock", Owner: "root"}
	for _, c := range []struct {
		sockets []fleet.Socket
		want    string
	}{{nil, ""}, {nil, ""}, {[]fleet.Socket{sock}, "containers"}, {[]fleet.Socket{sock}, ""}, {nil, "containers"}} {
		told(c.sockets...)
		if got := r.due("a"); got != c.want {
			t.Errorf("with %v %q is due, want %q", c.sockets, got, c.want)
		}
	}
	r.close()
}
