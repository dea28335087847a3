package tuitest

import (
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Secret is what the sample's containers keep secret.
const Secret = "hunter2"

// setting is a variable or label, hidden as a reader of engines hides it.
func setting(name, value string, secrets bool) fleet.Setting {
	s := fleet.Setting{Name: name, Value: value}
	if !secrets {
		s.Value, s.Hidden = fleet.HideValue(name, value)
	}
	return s
}

// ContainerDetail is what an engine tells of a container of the sample.
func ContainerDetail(c fleet.Container, secrets bool) (fleet.ContainerDetail, error) {
	command := []string{"/jellyfin/jellyfin", "--api-key", Secret, "--webdir=/usr/share/web"}
	if !secrets {
		command = fleet.HideArgs(command)
	}
	d := fleet.ContainerDetail{
		Container: c, Secrets: secrets, At: Now, Source: "podman 5.8",
		Config: fleet.ContainerConfig{
			Command: command, User: "1000:100", WorkDir: "/config", Hostname: "media", StopSignal: "SIGTERM", StopTimeout: 10, Restart: "no", AutoRemove: true,
			CapDrop: []string{"CAP_NET_RAW"}, Devices: []string{"/dev/dri"}, Memory: 4 << 30, CPUs: 2, PIDs: 2048, NetworkMode: "bridge", LogDriver: "journald", Runtime: "crun",
		},
		Environment: []fleet.Setting{
			setting("DATABASE_URL", "postgres://jellyfin:"+Secret+"@db.internal:5432/jellyfin", secrets), setting("DB_PASSWORD_FILE", "/run/secrets/jellyfin", secrets),
			setting("JELLYFIN_API_KEY", Secret, secrets), setting("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", secrets), setting("TZ", "Europe/Berlin", secrets),
		},
		Labels: []fleet.Setting{setting("PODMAN_SYSTEMD_UNIT", c.Unit, secrets), setting("org.opencontainers.image.title", "Jellyfin", secrets)},
		Mounts: []fleet.ContainerMount{
			{Type: "volume", Name: "jellyfin-cache", Source: "/var/lib/containers/storage/volumes/jellyfin-cache/_data", Target: "/cache"},
			{Type: "bind", Source: "/srv/media", Target: "/media", ReadOnly: true, Options: []string{"rbind", "ro"}},
		},
		Networks: []fleet.ContainerNetwork{{Name: "podman", IPv4: "10.88.0.7/16", Gateway: "10.88.0.1", MAC: "2a:11:0c:4e:00:01", Aliases: []string{"jellyfin"}}},
		Health: &fleet.ContainerHealth{
			Status: "unhealthy", Streak: 17, Test: []string{"CMD-SHELL", "curl -fsS http://localhost:8096/health || exit 1"}, Interval: 30, Timeout: 10, Retries: 3,
			Runs: []fleet.HealthRun{
				{End: ago(20 * time.Second), ExitCode: 1, Output: "curl: (22) The requested URL returned error: 503\nlibrary database is locked"},
				{End: ago(50 * time.Second), ExitCode: 1, Output: "curl: (28) Operation timed out"}, {End: ago(80 * time.Second)},
			},
		},
	}
	for _, s := range d.Environment {
		if s.Hidden {
			d.Hidden++
		}
	}
	return d, nil
}

// ContainerTop are the processes of a container of the sample.
func ContainerTop(_ fleet.Container, secrets bool) (fleet.ContainerTop, error) {
	command := "/jellyfin/jellyfin --api-key " + Secret
	if !secrets {
		command = fleet.HideCommand(command)
	}
	return fleet.ContainerTop{At: Now, Source: "podman 5.8", Processes: []fleet.ContainerProcess{
		{PID: 1, HostPID: 4711, User: "abc", CPU: 0.42, Memory: 812 << 20, Elapsed: 3 * 86400, Command: command},
		{PID: 77, HostPID: 4799, Parent: 1, User: "abc", CPU: 1.3, Memory: 96 << 20, Elapsed: 720, Command: "ffmpeg -i /media/film.mkv -c:v h264_vaapi"},
	}}, nil
}
