package podman

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Inspect asks for all that an engine tells of a container, which is named by its
// ID or its name and was read before; user is whose engine, "" is root's. What
// looks secret is hidden before it is handed out, unless secrets says that a
// person wants to see it. What is told of its unit is the list's to know, see
// [Join].
func (e *Engines) Inspect(ctx context.Context, user, id string, secrets bool) (fleet.ContainerDetail, error) {
	var d fleet.ContainerDetail
	err := e.askAbout(ctx, user, id, func(ctx context.Context, api api, c fleet.Container) error {
		b, err := api.inspect(ctx, c.ID)
		if err != nil {
			return err
		}
		d, err = parseInspect(b, veil{shown: secrets})
		d.Container = c
		return err
	}, func(source string) { d.At, d.Source = time.Now().UTC(), source })
	if err != nil {
		return fleet.ContainerDetail{}, err
	}
	return d, nil
}

// askAbout asks one thing of a container within the time a person waits, then
// says who told.
func (e *Engines) askAbout(ctx context.Context, user, id string, question func(context.Context, api, fleet.Container) error, told func(source string)) error {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, readPatience)
	defer stop()
	eng, c, err := e.find(id, user)
	if err == nil {
		err = eng.askOf(flowing(ctx, about), c, question)
	}
	if err != nil {
		return e.unanswered(ctx, cmp.Or(c.Name, id), err)
	}
	told(eng.version())
	return nil
}

func (e *engine) askOf(ctx context.Context, c fleet.Container, question func(context.Context, api, fleet.Container) error) error {
	api, err := e.connect(ctx, nil)
	if err != nil {
		return e.wrong(err)
	}
	return question(ctx, api, c)
}

// unanswered says of which container nothing could be told, and what to do.
func (e *Engines) unanswered(ctx context.Context, name string, err error) error {
	host := e.link.Host().Name
	gone := errors.Is(err, errNotFound)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = errSilent
	}
	err = fmt.Errorf("container %s on %s: %w", fleet.Short(fleet.Clean(name), 80), host, told{err})
	if gone {
		return fleet.WithCure(err, "it is gone or was made anew since it was listed: see sextant containers "+host)
	}
	return err
}

// inspect asks GET /libpod/containers/ID/json.
func (p *podmanAPI) inspect(ctx context.Context, id string) ([]byte, error) {
	return p.get(ctx, "/containers/%s/json", nil, id)
}

// inspect asks GET /containers/ID/json, which Podman's answer is made after.
func (d *dockerAPI) inspect(ctx context.Context, id string) ([]byte, error) {
	if err := d.agree(ctx); err != nil {
		return nil, err
	}
	_, b, err := d.cli.ContainerInspectWithRaw(ctx, id, false)
	return b, err
}

// inspected is a container of GET /containers/ID/json of either engine: the parts
// that are shown. What changed its type between versions is read as it comes.
type inspected struct {
	Path, Image, ImageDigest string
	Args                     []string
	State                    struct {
		Pid, ExitCode int
		OOMKilled     bool
		Error         string
		FinishedAt    time.Time
		Health        *checked
		Healthcheck   *checked // Podman before 4.0
	}
	Mounts          []mount
	NetworkSettings struct{ Networks map[string]*endpoint }
	Config          config
	HostConfig      hostConfig
}

type checked struct {
	Status        string
	FailingStreak int
	Log           []struct {
		Start, End, Output string
		ExitCode           int
	}
}

type mount struct {
	Type, Name, Source, Destination, Mode string
	Options                               []string
	RW                                    bool
}

type endpoint struct {
	IPAddress, GlobalIPv6Address, Gateway, MacAddress string
	IPPrefixLen, GlobalIPv6PrefixLen                  int
	Aliases                                           []string
}

type config struct {
	Hostname, User, WorkingDir string
	Env, CreateCommand         []string
	Labels                     map[string]string
	Tty                        bool
	StopSignal                 json.RawMessage // a number before Podman 5
	StopTimeout                int
	Secrets                    []struct{ Name string }
	Healthcheck                *struct {
		Test                           []string
		Interval, Timeout, StartPeriod int64 // nanoseconds
		Retries                        int
	}
}

type hostConfig struct {
	NetworkMode, PidMode, IpcMode, UsernsMode, Runtime string
	LogConfig                                          struct{ Type string }
	RestartPolicy                                      struct {
		Name              string
		MaximumRetryCount int
	}
	AutoRemove, Privileged, ReadonlyRootfs bool
	CapAdd, CapDrop, SecurityOpt, Dns      []string
	ExtraHosts                             []string
	Devices                                []struct{ PathOnHost, PathInContainer string }
	Memory, NanoCpus, CpuQuota, PidsLimit  int64
	CpuPeriod                              int64
	Tmpfs                                  map[string]string
}

// parseInspect reads what an engine tells of one container.
func parseInspect(b []byte, v veil) (fleet.ContainerDetail, error) {
	var in inspected
	if err := json.Unmarshal(b, &in); err != nil {
		return fleet.ContainerDetail{}, fmt.Errorf("this is no container: %w", jsonError(err))
	}
	d := fleet.ContainerDetail{Secrets: v.shown}
	d.Config = in.config(&v)
	d.Environment = v.environment(in.Config.Env)
	d.Labels = v.labels(in.Config.Labels)
	d.Mounts = in.mounts(&v)
	d.Networks = in.networks(&v)
	d.Health = in.health(&v)
	d.Hidden, d.Cut = v.hidden, v.cut
	return d, nil
}

func (in inspected) config(v *veil) fleet.ContainerConfig {
	c, h := in.Config, in.HostConfig
	out := fleet.ContainerConfig{
		Command: v.args(append([]string{in.Path}, in.Args...), "words of the command"), Made: v.args(c.CreateCommand, "words of the command that made it"),
		User: text(c.User), WorkDir: text(c.WorkingDir), Hostname: text(c.Hostname), TTY: c.Tty, StopSignal: signal(c.StopSignal), StopTimeout: c.StopTimeout,
		Restart: restartPolicy(h.RestartPolicy.Name, h.RestartPolicy.MaximumRetryCount), AutoRemove: h.AutoRemove,
		Privileged: h.Privileged, ReadOnly: h.ReadonlyRootfs, CapAdd: texts(h.CapAdd), CapDrop: texts(h.CapDrop), Security: texts(h.SecurityOpt),
		Memory: uint64(max(0, h.Memory)), CPUs: float64(h.NanoCpus) / 1e9, PIDs: h.PidsLimit,
		NetworkMode: text(h.NetworkMode), PIDMode: text(h.PidMode), IPCMode: text(h.IpcMode), UserNS: text(h.UsernsMode),
		DNS: texts(h.Dns), ExtraHosts: texts(h.ExtraHosts), LogDriver: text(h.LogConfig.Type), Runtime: text(h.Runtime), ImageDigest: text(in.ImageDigest),
		PID: in.State.Pid, OOMKilled: in.State.OOMKilled, Error: v.text(in.State.Error), Finished: happened(in.State.FinishedAt),
	}
	if h.NanoCpus == 0 && h.CpuQuota > 0 && h.CpuPeriod > 0 {
		out.CPUs = float64(h.CpuQuota) / float64(h.CpuPeriod)
	}
	for _, s := range c.Secrets[:min(len(c.Secrets), maxList)] {
		out.SecretNames = append(out.SecretNames, text(s.Name))
	}
	for _, dev := range h.Devices[:min(len(h.Devices), maxList)] {
		name := text(dev.PathOnHost)
		if dev.PathInContainer != "" && dev.PathInContainer != dev.PathOnHost {
			name += ":" + text(dev.PathInContainer)
		}
		out.Devices = append(out.Devices, name)
	}
	return out
}

// happened is a time that engines call 0001-01-01 where it did not come.
func happened(t time.Time) time.Time {
	if t.Year() <= 1970 {
		return time.Time{}
	}
	return t.UTC()
}

func restartPolicy(name string, most int) string {
	if name == "" {
		return "no"
	}
	if most > 0 {
		return text(name) + ":" + strconv.Itoa(most)
	}
	return text(name)
}

// signals are those that people stop programs with, by Linux' numbers.
var signals = map[int]string{1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 9: "SIGKILL", 10: "SIGUSR1", 12: "SIGUSR2", 15: "SIGTERM", 28: "SIGWINCH", 37: "SIGRTMIN+3"}

func signal(raw json.RawMessage) string {
	var n int
	var s string
	switch {
	case len(raw) == 0:
		return ""
	case json.Unmarshal(raw, &n) == nil && n > 0:
		return cmp.Or(signals[n], strconv.Itoa(n))
	case json.Unmarshal(raw, &s) == nil:
		return text(s)
	}
	return ""
}

func (in inspected) mounts(v *veil) []fleet.ContainerMount {
	out := []fleet.ContainerMount{}
	for _, m := range bounded(v, in.Mounts, "mounts") {
		options := m.Options
		if len(options) == 0 && m.Mode != "" {
			options = strings.Split(m.Mode, ",")
		}
		out = append(out, fleet.ContainerMount{
			Type: text(m.Type), Name: text(m.Name), Source: v.text(m.Source), Target: text(m.Destination), ReadOnly: !m.RW, Options: v.texts(options),
		})
	}
	for _, at := range bounded(v, slices.Sorted(maps.Keys(in.HostConfig.Tmpfs)), "mounts in memory") {
		options := strings.Split(in.HostConfig.Tmpfs[at], ",")
		out = append(out, fleet.ContainerMount{Type: "tmpfs", Target: text(at), ReadOnly: slices.Contains(options, "ro"), Options: v.texts(options)})
	}
	slices.SortStableFunc(out, func(a, b fleet.ContainerMount) int { return cmp.Compare(a.Target, b.Target) })
	return out
}

func (in inspected) networks(v *veil) []fleet.ContainerNetwork {
	out := []fleet.ContainerNetwork{}
	for _, name := range bounded(v, slices.Sorted(maps.Keys(in.NetworkSettings.Networks)), "networks") {
		n := fleet.ContainerNetwork{Name: text(name)}
		if e := in.NetworkSettings.Networks[name]; e != nil {
			n.IPv4, n.IPv6 = address(e.IPAddress, e.IPPrefixLen), address(e.GlobalIPv6Address, e.GlobalIPv6PrefixLen)
			n.Gateway, n.MAC, n.Aliases = text(e.Gateway), text(e.MacAddress), texts(e.Aliases)
		}
		out = append(out, n)
	}
	return out
}

func address(ip string, prefix int) string {
	if ip == "" || prefix <= 0 {
		return text(ip)
	}
	return text(ip) + "/" + strconv.Itoa(prefix)
}

// maxRuns is how many runs of a health check are told; engines keep five.
const maxRuns = 10

func (in inspected) health(v *veil) *fleet.ContainerHealth {
	check := in.Config.Healthcheck
	if check == nil || len(check.Test) == 0 || check.Test[0] == "NONE" {
		return nil
	}
	h := &fleet.ContainerHealth{
		Test: v.test(check.Test), Retries: check.Retries, Runs: []fleet.HealthRun{},
		Interval: seconds(check.Interval), Timeout: seconds(check.Timeout), Grace: seconds(check.StartPeriod),
	}
	told := cmp.Or(in.State.Health, in.State.Healthcheck)
	if told == nil {
		return h
	}
	h.Status, h.Streak = text(told.Status), told.FailingStreak
	for i := len(told.Log) - 1; i >= 0 && len(h.Runs) < maxRuns; i-- {
		run := told.Log[i]
		h.Runs = append(h.Runs, fleet.HealthRun{Start: at(run.Start), End: at(run.End), ExitCode: run.ExitCode, Output: v.lines(run.Output)})
	}
	return h
}

func seconds(ns int64) fleet.Seconds { return fleet.Seconds(time.Duration(ns).Seconds()) }

// at reads a time of a check's log; what is none is not told.
func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return happened(t)
}
