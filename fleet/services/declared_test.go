package services

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

// declaredAnswer is what declared.sh prints, with a section in the place of another.
func declaredAnswer(change map[string]string) string {
	sections := [][2]string{
		{"toplevel", "/nix/store/0000-nixos-system-storage-26.05"}, {"age", "90000"}, {"uptime", "90000"},
		{"registry", `{"jellyfin":{"listenPort":8096,"exposePort":18096,"portMapping":"127.0.0.1:19096:8096/tcp"},"db":{"listenPort":null,"exposePort":null,"portMapping":null}}`},
		{"modules", "caddy.service\t/nix/store/1-unit/caddy.service\nmasked.service\t/dev/null\npodman-jellyfin.service\t/nix/store/2\napp@.service\t/nix/store/3\nidle.service\t/nix/store/4"},
		{"wants", "multi-user.target.wants/caddy.service\nmulti-user.target.wants/podman-jellyfin.service\nrescue.target.wants/idle.service\nsleep.target.requires/caddy.service"},
		{"etc", "caddy.service\tx\nhand.service\tx"},
		{"quadlets", "/etc/containers/systemd/memos.container\t/nix/store/5-memos.container\n/run/containers/systemd/try.container\t/run/containers/systemd/try.container"},
		{"show", strings.Join([]string{
			"Id=multi-user.target\nActiveState=active", "Id=rescue.target\nActiveState=inactive",
			"Type=notify\nId=caddy.service\nNames=caddy.service web.service\nLoadState=loaded\nActiveState=active\nSubState=running\nFragmentPath=/etc/systemd/system/caddy.service\nExecMainStartTimestamp=@1795375729\nStateDirectory=caddy caddy/x:y\nConditionResult=yes\nConditionTimestamp=@1795375729",
			"Type=notify\nRestart=always\nId=podman-jellyfin.service\nNames=podman-jellyfin.service\nLoadState=loaded\nActiveState=inactive\nSubState=dead\nFragmentPath=/etc/systemd/system/podman-jellyfin.service\nConditionResult=no\nConditionTimestamp=\nJob=",
			"Id=left.service\nNames=left.service\nLoadState=not-found\nActiveState=active\nSubState=running\nFragmentPath=",
			"Id=nothing.service\nLoadState=not-found\nActiveState=inactive",
			"Id=hand.service\nLoadState=loaded\nActiveState=active\nFragmentPath=/etc/systemd/system/hand.service",
			"Id=run-u3.service\nLoadState=loaded\nActiveState=active\nFragmentPath=/run/systemd/transient/run-u3.service",
			"Id=memos.service\nLoadState=loaded\nActiveState=active\nFragmentPath=/run/systemd/generator/memos.service\nSourcePath=/etc/containers/systemd/memos.container",
			"Id=try.service\nLoadState=loaded\nActiveState=active\nFragmentPath=/run/systemd/generator/try.service\nSourcePath=/run/containers/systemd/try.container",
			"Id=app@1.service\nLoadState=loaded\nActiveState=active\nFragmentPath=/etc/systemd/system/app@.service\nJob=77",
			"Id=gone.service\nLoadState=loaded\nActiveState=active\nFragmentPath=/etc/systemd/system/gone.service",
		}, "\n\n")},
		{"shown", ""},
		{"mounts podman", "jellyfin\tbind /var/lib/jellyfin\tvolume /var/lib/containers/storage/volumes/c/_data\ttmpfs \nbare"}, {"mounted podman", ""},
		{"end", ""},
	}
	var b strings.Builder
	for _, s := range sections {
		text, changed := change[s[0]]
		if !changed {
			text = s[1]
		}
		if text != "-" {
			fmt.Fprintf(&b, "\nMARK %s\n%s\n", s[0], text)
		}
	}
	return b.String()
}

func TestParseDeclared(t *testing.T) {
	d, err := parseDeclared(declaredAnswer(nil), "MARK")
	if err != nil || !d.Settled || d.Toplevel == "" || !d.Registry.There || d.Registry.Err != "" || len(d.Registry.Entries) != 2 {
		t.Fatalf("%v, %+v", err, d)
	}
	if e := d.Registry.Entries[1]; e.Name != "jellyfin" || !slices.Equal(e.Ports, []uint16{18096, 19096}) {
		t.Errorf("%+v", e)
	}
	shared, err := parseRegistry([]byte(`{"a":{"listenPort":8096,"exposePort":443},"b":{"listenPort":"9091","exposePort":443}}`))
	if err != nil || !slices.Equal(shared[0].Ports, []uint16{8096}) || !slices.Equal(shared[1].Ports, []uint16{9091}) {
		t.Errorf("%v, %+v", err, shared)
	}
	want := map[string]fleet.Origin{
		"caddy.service": fleet.FromModules, "podman-jellyfin.service": fleet.FromModules, "left.service": fleet.FromNowhere, "hand.service": fleet.FromHand, "run-u3.service": fleet.FromTransient,
		"memos.service": fleet.FromQuadlet, "try.service": fleet.FromHand, "app@1.service": fleet.FromModules, "gone.service": fleet.FromNowhere,
		"masked.service": fleet.FromModules, "app@.service": fleet.FromModules, "idle.service": fleet.FromModules,
	}
	for _, u := range d.Units {
		if u.Origin != want[u.Name] {
			t.Errorf("%s is from %s", u.Name, u.Origin)
		}
		delete(want, u.Name)
	}
	if len(want) > 0 {
		t.Errorf("not told: %v", want)
	}
	caddy, _ := d.Unit("web.service")
	if caddy.Name != "caddy.service" || !slices.Equal(caddy.WantedBy, []string{"multi-user.target"}) || !caddy.Ran || caddy.Skipped || !slices.Equal(caddy.State, []string{"/var/lib/caddy", "/var/lib/caddy/x"}) {
		t.Errorf("%+v", caddy)
	}
	idle, _ := d.Unit("idle.service")
	masked, _ := d.Unit("masked.service")
	app, _ := d.Unit("app@1.service")
	jelly, _ := d.Unit("podman-jellyfin.service")
	if len(idle.WantedBy) > 0 || !masked.Masked || !app.Job || jelly.Skipped || jelly.Restart != "always" {
		t.Errorf("%+v %+v %+v %+v", idle, masked, app, jelly)
	}
	if len(d.Data["jellyfin"]) != 2 || d.Data["bare"] == nil || d.Data["other"] != nil {
		t.Errorf("%v", d.Data)
	}
}

// TestOddDeclared: what is not as it should be is unknown, with the reason.
func TestOddDeclared(t *testing.T) {
	for what, change := range map[string]map[string]string{"no end": {"end": "-"}, "no units": {"show": ""}, "cut short": {"shown": "-"}} {
		if d, err := parseDeclared(declaredAnswer(change), "MARK"); err == nil {
			t.Errorf("%s: %+v", what, d)
		}
	}
	for text, why := range map[string]string{
		"": "empty", "<html>": "HTML", "[]": "no registry", "null": "no registry", `{"a":3}`: "a is no service", `{"a":null}`: "no service", "{": "no registry", `{"\u001b[2J":[]}`: "no service",
		strings.Repeat(" ", maxRegistry+1): "larger than 256 kB",
	} {
		d, err := parseDeclared(declaredAnswer(map[string]string{"registry": text}), "MARK")
		if err != nil || !strings.Contains(strings.ReplaceAll(d.Registry.Err, `"`, ""), why) || strings.Contains(d.Registry.Err, "\x1b") {
			t.Errorf("%.20q: %v, %q", text, err, d.Registry.Err)
		}
	}
	for section, text := range map[string]string{"age": "12", "uptime": "100"} {
		if d, err := parseDeclared(declaredAnswer(map[string]string{section: text}), "MARK"); err != nil || d.Settled || d.Why == "" {
			t.Errorf("%s %s: %v, %+v", section, text, err, d)
		}
	}
	if d, err := parseDeclared(declaredAnswer(map[string]string{"age": "-5"}), "MARK"); err != nil || d.Settled {
		t.Errorf("%v, %+v", err, d)
	}
	d, err := parseDeclared(declaredAnswer(map[string]string{"mounted podman": "-"}), "MARK")
	if err != nil || d.Data != nil || len(d.Unseen) != 1 {
		t.Errorf("%v, %v, %q", err, d.Data, d.Unseen)
	}
	var many strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&many, "Id=u%04d.service\nLoadState=loaded\nActiveState=active\n\n", i)
	}
	var entries []string
	for i := range 3000 {
		entries = append(entries, fmt.Sprintf(`"s%d":{"listenPort":%d}`, i, i))
	}
	d, err = parseDeclared(declaredAnswer(map[string]string{"show": many.String(), "registry": "{" + strings.Join(entries, ",") + "}"}), "MARK")
	if err != nil || len(d.Units) != maxServices || len(d.Registry.Entries) != maxEntries || len(d.Unseen) != 2 {
		t.Errorf("%v, %d units, %d entries, %q", err, len(d.Units), len(d.Registry.Entries), d.Unseen)
	}
	d, err = parseDeclared(declaredAnswer(map[string]string{"toplevel": "", "age": "-", "modules": "-", "wants": "-", "registry": "-"}), "MARK")
	if hand, _ := d.Unit("hand.service"); err != nil || d.Toplevel != "" || !d.Settled || d.Registry.There || hand.Origin != fleet.FromPackage {
		t.Errorf("not NixOS: %v, %+v", err, d)
	}
}

// TestDeclaredScript: the program itself is understood by a shell, and ends.
func TestDeclaredScript(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "sh", "-c", declaredScript, "sextant", "MARK").Output()
	if err != nil || !strings.Contains(string(out), "\nMARK end\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// runDeclared runs the program on a made-up NixOS with a masked unit, a template that
// is wanted, and a systemctl.
func runDeclared(t *testing.T, systemctl string) string {
	t.Helper()
	root := t.TempDir()
	units := root + "/etc/systemd/system"
	for _, dir := range []string{units + "/multi-user.target.wants", root + "/store", root + "/bin"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{
		root + "/store/off.service": "/dev/null", units + "/off.service": root + "/store/off.service",
		units + "/multi-user.target.wants/vpn@.service": "../vpn@.service", units + "/multi-user.target.wants/app.service": "../app.service",
	} {
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(root+"/bin/systemctl", []byte("#!/bin/sh\n"+systemctl+"\n"), 0o700); err != nil { //nolint:gosec // it is a program
		t.Fatal(err)
	}
	script := strings.NewReplacer("s=/run/current-system", "s="+root, "! -d /run/systemd/system", "! -d /").Replace(declaredScript)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script, "sextant", "MARK")
	cmd.Env = append(os.Environ(), "PATH="+root+"/bin:"+os.Getenv("PATH"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestDeclaredScriptAsks: systemctl is asked for no template, of which it could tell
// nothing; where it stops before its end all is unknown; and a unit that leads to
// /dev/null by a path of the store is masked.
func TestDeclaredScriptAsks(t *testing.T) {
	show := `echo Id=multi-user.target; echo ActiveState=active; for a; do case $a in *@.*) exit 1 ;; --all) echo; echo Id=all.service; echo LoadState=loaded ;; app.service) echo; echo Id=app.service; echo Names=app.service; echo LoadState=loaded ;; esac; done`
	d, err := parseDeclared(runDeclared(t, show), "MARK")
	app, _ := d.Unit("app.service")
	off, _ := d.Unit("off.service")
	if _, all := d.Unit("all.service"); err != nil || !slices.Equal(app.WantedBy, []string{"multi-user.target"}) || !off.Masked || !all {
		t.Errorf("%v, %+v", err, d.Units)
	}
	if d, err := parseDeclared(runDeclared(t, show+"; exit 1"), "MARK"); err == nil {
		t.Errorf("an answer that is cut is taken for a whole one: %+v", d.Units)
	}
}

// TestDeclaredStarters: what starts units is told with how it is, and units are found
// by all their names.
func TestDeclaredStarters(t *testing.T) {
	d, err := parseDeclared(declaredAnswer(map[string]string{
		"wants": "default.target.wants/a.service",
		"show": "Id=multi-user.target\nNames=multi-user.target default.target\nActiveState=active\n\nId=on.timer\nActiveState=active\n\nId=off.timer\nActiveState=inactive\n\n" +
			"Id=a.service\nNames=a.service\nLoadState=loaded\nActiveState=inactive\nTriggeredBy=on.timer off.timer gone.timer\nRemainAfterExit=yes\nDynamicUser=yes\nStateDirectory=a\n\n" +
			"Id=b.service\nLoadState=loaded\nActiveState=inactive\nTriggeredBy=off.timer",
	}), "MARK")
	a, _ := d.Unit("a.service")
	b, _ := d.Unit("b.service")
	if err != nil || !a.Awaits() || b.Awaits() || !slices.Equal(a.Idle, []string{"off.timer"}) || !a.Stays || len(a.WantedBy) != 1 || !slices.Equal(a.State, []string{"/var/lib/private/a"}) {
		t.Errorf("%v, %+v, %+v", err, a, b)
	}
}

// TestDeclaredTooMuch: of a list that was cut nothing can be said that is not in it.
func TestDeclaredTooMuch(t *testing.T) {
	var many strings.Builder
	for i := range maxListed + 1 {
		fmt.Fprintf(&many, "u%04d.service\tx\n", i)
	}
	if d, err := parseDeclared(declaredAnswer(map[string]string{"modules": many.String()}), "MARK"); err == nil || !strings.Contains(err.Error(), "more than 3000") {
		t.Errorf("%v, %d units", err, len(d.Units))
	}
	d, err := parseDeclared(declaredAnswer(map[string]string{"mounts podman": many.String()}), "MARK")
	if err != nil || len(d.Data) != maxMounts || len(d.Unseen) != 1 {
		t.Errorf("%v, %d containers, %q", err, len(d.Data), d.Unseen)
	}
}

// TestRegistryPorts: the port at which a container listens inside is none of its host.
func TestRegistryPorts(t *testing.T) {
	for text, want := range map[string][]uint16{
		`{"a":{"listenPort":80,"exposePort":8222,"portMapping":null}}`:                {8222},
		`{"a":{"listenPort":80,"exposePort":null,"portMapping":"127.0.0.1:8222:80"}}`: {8222},
		`{"a":{"listenPort":8096}}`: {8096},
		`{"a":{"listenPort":80,"exposePort":443,"portMapping":"8222:80"},"b":{"exposePort":443}}`: {8222},
	} {
		if r, err := parseRegistry([]byte(text)); err != nil || !slices.Equal(r[0].Ports, want) {
			t.Errorf("%s: %v, %+v", text, err, r)
		}
	}
}

func FuzzDeclared(f *testing.F) {
	f.Add(declaredAnswer(nil))
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseDeclared(text, "MARK")
		if err == nil && (len(d.Units) > maxServices || len(d.Registry.Entries) > maxEntries) {
			t.Errorf("%d units, %d entries", len(d.Units), len(d.Registry.Entries))
		}
		for _, e := range d.Registry.Entries {
			if fleet.Clean(e.Name) != e.Name {
				t.Errorf("%q", e.Name)
			}
		}
	})
}
