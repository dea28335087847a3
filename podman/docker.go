package podman

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"

	"github.com/sextant-fleet/sextant/fleet"
)

// dockerAPI asks Docker, with Docker's own client.
type dockerAPI struct {
	cli  *client.Client
	wire *wire

	agreeing sync.Mutex
	agreed   bool // on an API version, and that it is Docker

	mu     sync.Mutex
	images map[string]imageFacts // by their IDs
	memory uint64                // bytes the host has; 0: not asked yet
}

func newDockerAPI(w *wire) *dockerAPI {
	cli, err := client.NewClientWithOpts(client.WithHTTPClient(&http.Client{Transport: w, CheckRedirect: client.CheckRedirect}),
		client.WithScheme("http"))
	if err != nil {
		panic(err) // these options do not fail
	}
	return &dockerAPI{cli: cli, wire: w}
}

// errPodman is what Docker's socket says when Podman listens there
// (virtualisation.podman.dockerSocket): it must not be counted twice.
var errPodman = errors.New("it is Podman that listens on Docker's socket")

// agree finds the version both sides speak, once. The answer also tells who
// is there: Podman's compatible API has Podman's name in its Server header.
func (d *dockerAPI) agree(ctx context.Context) error {
	d.agreeing.Lock()
	defer d.agreeing.Unlock()
	if d.agreed {
		return nil
	}
	ping, err := d.cli.Ping(ctx)
	if err != nil {
		return err
	}
	if s := d.wire.server.Load(); s != nil && strings.HasPrefix(*s, "Libpod/") {
		return errPodman
	}
	d.cli.NegotiateAPIVersionPing(ping)
	d.agreed = true
	return nil
}

// ping asks for nothing.
func (d *dockerAPI) ping(ctx context.Context) error {
	_, err := d.cli.Ping(ctx)
	return err
}

// list asks for the containers, their images' dates, and what only each
// container itself can tell: its restarts and when it was started.
func (d *dockerAPI) list(ctx context.Context, ids []string) ([]fleet.Container, error) {
	if err := d.agree(ctx); err != nil {
		return nil, err
	}
	only := filters.NewArgs()
	for _, id := range ids {
		only.Add("id", id)
	}
	in, err := d.cli.ContainerList(ctx, container.ListOptions{All: true, Filters: only})
	if err != nil {
		return nil, err
	}
	list := make([]fleet.Container, 0, len(in))
	for _, s := range in {
		list = append(list, summary(s))
	}
	more := make([]detail, len(list))
	var wg sync.WaitGroup
	wg.Go(func() { each(len(in), 3, func(i int) { more[i] = d.detail(ctx, in[i].ID) }) })
	d.date(ctx, list)
	wg.Wait()
	for i := range list {
		list[i].Restarts, list[i].Started = more[i].restarts, more[i].started
	}
	return list, nil
}

// detail is what a container tells only when it is asked by itself.
type detail struct {
	restarts *int
	started  time.Time
}

// detail asks one container. It may be gone by now: then nothing is known.
func (d *dockerAPI) detail(ctx context.Context, id string) detail {
	if !containerID.MatchString(id) {
		return detail{}
	}
	in, err := d.cli.ContainerInspect(ctx, id)
	if err != nil || in.ContainerJSONBase == nil {
		return detail{}
	}
	out := detail{restarts: &in.RestartCount}
	if in.State != nil {
		if t, err := time.Parse(time.RFC3339Nano, in.State.StartedAt); err == nil && t.Year() > 1 {
			out.started = t.UTC()
		}
	}
	return out
}

// date fills in when the images were made.
func (d *dockerAPI) date(ctx context.Context, list []fleet.Container) {
	if d.fill(list, false) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, imagePatience)
	defer cancel()
	in, err := d.cli.ImageList(ctx, image.ListOptions{})
	if err != nil {
		return // an age is no reason to have no list
	}
	d.mu.Lock()
	d.images = make(map[string]imageFacts, len(in))
	for _, i := range in {
		f := imageFacts{Made: epoch(i.Created)}
		for _, name := range i.RepoDigests { // "name@sha256:…"
			_, d, _ := strings.Cut(name, "@")
			f.Digest = cmp.Or(f.Digest, digest(d))
		}
		for _, name := range repoDigests(i.RepoDigests) {
			f.Digests = append(f.Digests, InFull(name))
		}
		d.images[text(i.ID)] = f
	}
	d.mu.Unlock()
	d.fill(list, true)
}

func (d *dockerAPI) fill(list []fleet.Container, fresh bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fillDates(list, d.images, fresh)
}

// summary makes a container of Docker's list entry.
func summary(s container.Summary) fleet.Container {
	c := fleet.Container{
		Engine: kindDocker, ID: text(s.ID), State: text(s.State), Unit: unitOf(s.Labels),
		Image: text(s.Image), ImageID: text(s.ImageID), Created: epoch(s.Created), Compose: text(s.Labels[composeLabel]),
	}
	c.Health, c.ExitCode = status(s.Status)
	c.Health = health(c.State, c.Health)
	if len(s.Names) > 0 {
		c.Name = text(strings.TrimPrefix(s.Names[0], "/"))
	}
	if s.Command != "" {
		c.Command = []string{fleet.HideCommand(text(s.Command))} // the list is kept
	}
	if s.NetworkSettings != nil {
		for name := range s.NetworkSettings.Networks {
			c.Networks = append(c.Networks, name)
		}
		c.Networks = sorted(texts(c.Networks))
	}
	var ports []fleet.Port
	for _, p := range s.Ports {
		if p.PublicPort != 0 { // else it is only exposed
			ports = append(ports, fleet.Port{
				HostIP: text(p.IP), Host: p.PublicPort, Container: p.PrivatePort, Protocol: protocol(p.Type),
			})
		}
	}
	c.Ports = mergePorts(ports)
	return c
}

var (
	statusHealth = regexp.MustCompile(`\((?:health: )?(healthy|unhealthy|starting)\)$`)
	statusExit   = regexp.MustCompile(`^(?:Exited|Restarting) \((-?\d{1,4})\)`)
)

// status reads the health and the exit code out of Docker's words for people,
// "Up 2 hours (unhealthy)", "Exited (3) 2 seconds ago": its list has them
// nowhere else, and the words have not changed since they exist.
func status(words string) (health string, exit int) {
	if m := statusHealth.FindStringSubmatch(words); m != nil {
		health = m[1]
	}
	if m := statusExit.FindStringSubmatch(words); m != nil {
		exit, _ = strconv.Atoi(m[1])
	}
	return health, exit
}

// logDriver says where a container's log goes.
func (d *dockerAPI) logDriver(ctx context.Context, id string) (string, error) {
	in, err := d.response(ctx, id)
	if err != nil {
		return "", err
	}
	if in.HostConfig == nil {
		return "", errNotTold
	}
	return text(in.HostConfig.LogConfig.Type), nil
}

var errNotTold = errors.New("the engine does not tell")

func (d *dockerAPI) response(ctx context.Context, id string) (container.InspectResponse, error) {
	if err := d.agree(ctx); err != nil {
		return container.InspectResponse{}, err
	}
	in, err := d.cli.ContainerInspect(ctx, id)
	if err == nil && in.ContainerJSONBase == nil {
		err = errNotTold
	}
	return in, err
}

// logs opens a container's log. One with a terminal has a single stream, which
// Docker does not frame.
func (d *dockerAPI) logs(ctx context.Context, id string, q logQuery) (io.ReadCloser, bool, error) {
	short, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	in, err := d.response(short, id)
	if err != nil {
		return nil, false, err
	}
	opts := container.LogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: q.follow, Tail: q.tail()}
	if !q.since.IsZero() {
		opts.Since = q.since.UTC().Format(time.RFC3339Nano)
	}
	if !q.until.IsZero() {
		opts.Until = q.until.UTC().Format(time.RFC3339Nano)
	}
	body, err := d.cli.ContainerLogs(flowing(ctx, raw), in.ID, opts)
	return body, in.Config == nil || !in.Config.Tty, err
}

// each calls do for 0…n-1, in at most workers at once.
func each(n, workers int, do func(int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(n, workers) {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}
