package tuitest

import (
	"errors"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// AllUnits is all that storage's systemds tell of their units: more than the
// probe does, and not all that there is.
func AllUnits() *fleet.UnitList {
	memory := func(mib uint64) *uint64 { n := mib << 20; return &n }
	list := storage().Units.Value
	for i := range list {
		u := &list[i]
		u.Since, u.Started, u.FileState = ago(3*day), ago(3*day), "enabled"
		switch u.Name {
		case "nginx.service":
			u.Memory = memory(42)
		case "sshd.service":
			u.Memory = memory(7)
		case "tailscaled.service":
			u.Memory, u.Restarts = memory(310), 2
		case "restic-backups-home.service":
			u.Since, u.Started, u.Exited, u.Triggers = ago(9*time.Hour), ago(9*time.Hour+4*time.Minute), ago(9*time.Hour), []string{"restic-backups-home.timer"}
		case "podman-immich-ml.service":
			u.Since = u.Exited
		}
	}
	other := func(name, user, active, sub, about string, since time.Duration) fleet.Unit {
		return fleet.Unit{Name: name, User: user, Load: "loaded", Active: active, Sub: sub, Description: about, Since: ago(since)}
	}
	photos := other("photos-sync.service", "ada", "failed", "failed", "Sync of the photos to the phone", 26*time.Hour)
	photos.Result, photos.ExitStatus, photos.Exited, photos.Type = "exit-code", 3, ago(26*time.Hour), "oneshot"
	list = append(list, photos,
		other("syncthing.service", "ada", "active", "running", "Syncthing", 2*day),
		other("photos-sync.timer", "ada", "active", "waiting", "Sync of the photos", 2*day),
		other("restic-backups-home.timer", "", "active", "waiting", "Restic backup of home", 3*day),
		other("logrotate.timer", "", "inactive", "dead", "Logrotate", 3*day),
		other("nginx.socket", "", "active", "listening", "Nginx Socket", 3*day),
		other("multi-user.target", "", "active", "active", "Multi-User System", 3*day),
		other("srv-media.mount", "", "active", "mounted", "/srv/media", 3*day),
		other("system.slice", "", "active", "active", "System Slice", 3*day),
	)
	return &fleet.UnitList{Units: list, Timers: timers(), Unseen: []string{"units of user 1002: not root"}}
}

func timers() []fleet.Timer {
	return []fleet.Timer{
		{Name: "fstrim.timer", Activates: "fstrim.service", Active: "active", FileState: "enabled", Next: Now.Add(6 * day)},
		{Name: "logrotate.timer", Activates: "logrotate.service", Active: "inactive", FileState: "enabled", Last: ago(2 * day)},
		{Name: "restic-backups-home.timer", Activates: "restic-backups-home.service", Active: "active", FileState: "enabled", Next: Now.Add(15 * time.Hour), Last: ago(9 * time.Hour)},
		{Name: "systemd-tmpfiles-clean.timer", Activates: "systemd-tmpfiles-clean.service", Active: "active", FileState: "static", Next: Now.Add(20 * time.Minute), Last: ago(23 * time.Hour)},
		{Name: "photos-sync.timer", User: "ada", Activates: "photos-sync.service", Active: "active", FileState: "enabled", Next: Now.Add(4 * time.Hour), Last: ago(26 * time.Hour)},
	}
}

// OneUnit is what systemd tells of one of [AllUnits].
func OneUnit(unit, user string, secrets bool) (fleet.UnitDetail, error) {
	for _, u := range AllUnits().Units {
		if u.Name != unit || u.User != user {
			continue
		}
		d := fleet.UnitDetail{
			Unit: u, At: Now, Source: "systemctl", As: "root", Secrets: secrets, Hidden: 1,
			Properties: [][2]string{{"Id", u.Name}, {"Names", u.Name}, {"LoadState", u.Load}, {"ActiveState", u.Active}, {"FragmentPath", "/etc/systemd/system/" + u.Name}},
			File: "# /etc/systemd/system/" + u.Name + "\n[Unit]\nAfter=network-online.target\nDescription=" + u.Description + "\nRequires=srv-photos.mount\n\n" +
				"[Service]\nEnvironment=PATH=(hidden)\nExecStart=/nix/store/0123456789abcdfghijklmnpqrsvwxyz-unit-script-" + u.Name + "/bin/start\nRestart=always\n",
		}
		if secrets {
			d.Hidden, d.File = 0, strings.Replace(d.File, fleet.Hidden, Secret, 1)
		}
		if u.Failed() {
			d.Broken = []fleet.Dependency{{Name: "srv-photos.mount", Kind: "Requires", Via: []string{u.Name}, State: "failed (failed), exit-code"}}
		}
		return d, nil
	}
	return fleet.UnitDetail{}, errors.New(unit + ": there is no such unit")
}
