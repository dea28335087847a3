package simulate

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// inspect answers all that Podman tells of one container. m.mu is held.
func (p *podman) inspect(b *box) map[string]any {
	l := p.m.listed(b)
	secret := hexID(p.m.seed, 32, p.m.name, b.name, "secret")
	state := map[string]any{
		"OciVersion": "1.2.1", "Status": b.state, "Running": b.state == "running", "Paused": false, "Restarting": false, "OOMKilled": false, "Dead": false,
		"Pid": l.Pid, "ExitCode": b.exit, "Error": "", "StartedAt": b.made, "FinishedAt": time.Time{},
	}
	config := map[string]any{
		"Hostname": l.ID[:12], "User": "", "WorkingDir": "/config", "Tty": false, "Labels": l.Labels, "Image": b.image, "StopSignal": "SIGTERM", "StopTimeout": 10,
		"Env":           p.environment(b, secret),
		"CreateCommand": []string{"podman", "run", "--rm", "--name=" + b.name, "--log-driver=journald", "-e", "API_KEY=" + secret, b.image},
	}
	if b.health != "" {
		state["Health"] = p.health(b, secret)
		config["Healthcheck"] = map[string]any{
			"Test":     []string{"CMD-SHELL", "curl -fsS -H 'X-Api-Key: " + secret + "' http://localhost/ping || exit 1"},
			"Interval": 30 * time.Second, "Timeout": 10 * time.Second, "Retries": 3,
		}
	}
	address := fmt.Sprintf("10.88.0.%d", 2+dice(p.m.seed, b.name, "address")%250)
	return map[string]any{
		"Id": l.ID, "Created": l.Created, "Path": "/init", "Args": []string{"--token", secret}, "State": state, "Image": l.ImageID, "ImageName": b.image, "Name": b.name,
		"ImageDigest": "sha256:" + hexID(p.m.seed, 64, b.image, "digest"), "RestartCount": b.restarts, "Config": config,
		"Mounts": []any{
			map[string]any{"Type": "bind", "Source": "/var/lib/" + b.name, "Destination": "/config", "Mode": "", "Options": []string{"rbind"}, "RW": true},
			map[string]any{"Type": "bind", "Source": "/etc/localtime", "Destination": "/etc/localtime", "Mode": "", "Options": []string{"rbind"}, "RW": false},
			map[string]any{"Type": "volume", "Name": b.name + "-cache", "Source": "/var/lib/containers/storage/volumes/" + b.name + "-cache/_data", "Destination": "/cache", "Driver": "local", "RW": true},
		},
		"HostConfig": map[string]any{
			"AutoRemove": true, "LogConfig": map[string]any{"Type": "journald", "Config": nil}, "Memory": b.limit, "NetworkMode": "bridge", "PidMode": "private",
			"RestartPolicy": map[string]any{"Name": "no", "MaximumRetryCount": 0}, "CapDrop": []string{"CAP_NET_RAW"}, "PidsLimit": 2048, "Runtime": "crun",
		},
		"NetworkSettings": map[string]any{"Networks": map[string]any{b.network: map[string]any{
			"IPAddress": address, "IPPrefixLen": 16, "Gateway": "10.88.0.1", "MacAddress": "2a:11:0c:4e:00:01", "Aliases": []string{l.ID[:12]},
		}}},
	}
}

// environment has what people put into one: settings, and secrets that are not
// to be seen.
func (p *podman) environment(b *box, secret string) []string {
	list := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "container=podman", "HOSTNAME=" + p.m.boxID(b)[:12], "TZ=Etc/UTC",
		"PUID=1000", "PGID=1000", "API_KEY=" + secret, "DATABASE_URL=postgres://" + b.name + ":" + secret + "@db.internal:5432/" + b.name,
	}
	if p.h.misbehaves().Hostile {
		list = append(list, hostileText+"="+hostileText, "PASSWORD="+hostileText)
	}
	return list
}

// health is what the check of a container said lately.
func (p *podman) health(b *box, secret string) map[string]any {
	streak, code, output := 0, 0, "pong"
	if b.health == "unhealthy" {
		streak, code = 17, 1
		output = "curl: (22) The requested URL returned error: 503\nwhile asking http://probe:" + secret + "@localhost/ping"
	}
	runs := []any{}
	for i := 4; i >= 0; i-- {
		at := p.now().Add(time.Duration(-20-30*i) * time.Second)
		runs = append(runs, map[string]any{"Start": at, "End": at.Add(time.Second), "ExitCode": code, "Output": output})
	}
	return map[string]any{"Status": b.health, "FailingStreak": streak, "Log": runs}
}

// top answers the processes of a container that runs. m.mu is held.
func (p *podman) top(w http.ResponseWriter, b *box) {
	if b.state != "running" {
		refuse(w, http.StatusInternalServerError, "top can only be used on running containers")
		return
	}
	first := p.m.listed(b).Pid
	row := func(pid, parent int, user, cpu, rss, command string) []string {
		since := p.now().Sub(b.made).Round(time.Millisecond)
		return append([]string{strconv.Itoa(pid), strconv.Itoa(parent), strconv.Itoa(first + pid - 1), user, cpu, since.String(), rss}, command)
	}
	rows := [][]string{
		row(1, 0, "root", "0.010", "812", "/init --token "+hexID(p.m.seed, 32, p.m.name, b.name, "secret")),
		row(17, 1, "abc", "1.420", "88412", "/app/"+strings.ToLower(b.name)+" --config /config"),
	}
	if p.h.misbehaves().Hostile {
		rows = append(rows, row(18, 1, hostileText, hostileText, hostileText, hostileText))
	}
	answer(w, map[string]any{"Titles": []string{"PID", "PPID", "HPID", "USER", "%CPU", "ELAPSED", "RSS", "COMMAND"}, "Processes": rows})
}
