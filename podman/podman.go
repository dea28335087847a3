package podman

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containers/podman/v5/pkg/bindings"
	"github.com/containers/podman/v5/pkg/errorhandling"

	"github.com/sextant-fleet/sextant/fleet"
)

// podmanAPI asks Podman, from 4.0 on.
type podmanAPI struct {
	conn *bindings.Connection
	wire *wire

	mu     sync.Mutex
	images map[string]imageFacts // by their IDs
	health map[string]string     // of each container, by its ID, as last told
	counts map[string]restarts   // of each container, by its ID, where the list does not tell
	memory uint64                // bytes the host has; 0: not asked yet
}

func newPodmanAPI(w *wire, path string) *podmanAPI {
	return &podmanAPI{wire: w, conn: &bindings.Connection{
		URI:    &url.URL{Scheme: "unix", Path: path},
		Client: &http.Client{Transport: final{w}, CheckRedirect: stay},
	}}
}

// stay follows no redirects: Podman sends none.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// open sends a request and gives the answer's body, once it is a good one.
func (p *podmanAPI) open(ctx context.Context, endpoint string, params url.Values, in ...string) (io.ReadCloser, error) {
	resp, err := p.conn.DoRequest(ctx, nil, http.MethodGet, endpoint, params, nil, in...)
	if err != nil {
		return nil, err
	}
	if resp.IsSuccess() {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return nil, err
	}
	return nil, refusal(resp.StatusCode, b)
}

// refusal makes an error of an answer that says no. Podman sends
// {"cause","message","response"}.
func refusal(status int, body []byte) error {
	var m errorhandling.ErrorModel
	why := string(body)
	if json.Unmarshal(body, &m) == nil && m.Message != "" {
		why = m.Message
	}
	why = fleet.Short(strings.TrimSpace(fleet.Clean(why)), 300)
	if status == http.StatusNotFound {
		return fmt.Errorf("%w: %s", errNotFound, why)
	}
	return fmt.Errorf("HTTP %d: %s", status, why)
}

var errNotFound = errors.New("not found")

// get reads a whole answer.
func (p *podmanAPI) get(ctx context.Context, endpoint string, params url.Values, in ...string) ([]byte, error) {
	body, err := p.open(ctx, endpoint, params, in...)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// ping asks for nothing.
func (p *podmanAPI) ping(ctx context.Context) error {
	_, err := p.get(ctx, "/_ping", nil)
	return err
}

// list asks for the containers, and for the images' dates at the same time
// where there is more than one connection to ask over.
func (p *podmanAPI) list(ctx context.Context, ids []string) ([]fleet.Container, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	images := make(chan struct{})
	if p.datesKnown() || p.wire.serial() {
		close(images)
	} else {
		go func() { defer close(images); _ = p.readImages(ctx) }()
	}
	params := url.Values{"all": {"true"}}
	if len(ids) > 0 {
		only, _ := json.Marshal(map[string][]string{"id": ids})
		params.Set("filters", string(only))
	}
	b, err := p.get(ctx, "/containers/json", params)
	if err != nil {
		return nil, err
	}
	rows, list, err := parseContainers(b)
	if err != nil {
		return nil, err
	}
	p.note(list, ids)
	p.count(ctx, rows, list, ids)
	p.date(ctx, list, images)
	return list, nil
}

// date fills in when the images were made, once they are read. An age is no
// reason to have no list: what is not told soon enough stays zero.
func (p *podmanAPI) date(ctx context.Context, list []fleet.Container, images <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, imagePatience)
	defer cancel()
	select {
	case <-images:
	case <-ctx.Done():
		return
	}
	if p.fill(list, false) {
		return
	}
	if p.readImages(ctx) == nil { // an image newer than what was kept
		p.fill(list, true)
	}
}

func (p *podmanAPI) datesKnown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.images != nil
}

func (p *podmanAPI) fill(list []fleet.Container, fresh bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fillDates(list, p.images, fresh)
}

// readImages renews the images' dates.
func (p *podmanAPI) readImages(ctx context.Context) error {
	b, err := p.get(ctx, "/images/json", nil)
	if err != nil {
		return err
	}
	images, err := parseImages(b)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.images = images
	return nil
}

// note keeps the health that the events are compared with, of these containers
// or, where none is named, of all there are.
func (p *podmanAPI) note(list []fleet.Container, ids []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(ids) == 0 {
		p.health = make(map[string]string, len(list))
	}
	for _, c := range list {
		p.health[c.ID] = c.Health
	}
}

// listed is a container of GET /libpod/containers/json: the fields of the
// bindings' ListContainer that are shown, with Restarts as it is sent, which
// is not at all before Podman 4.4.
type listed struct {
	ID         string `json:"Id"`
	Names      []string
	Image      string
	ImageID    string
	Command    []string
	Created    time.Time
	StartedAt  int64 // seconds since 1970
	State      string
	Status     string // the health, here; `podman ps` prints another Status
	ExitCode   int
	Exited     bool
	Restarts   *int
	Pid        int
	AutoRemove bool // --rm: such a container is not restarted by Podman
	Labels     map[string]string
	Networks   []string
	PodName    string
	IsInfra    bool
	Ports      []listedPort
}

type listedPort struct {
	HostIP        string `json:"host_ip"`
	ContainerPort uint16 `json:"container_port"`
	HostPort      uint16 `json:"host_port"`
	Range         uint16 `json:"range"`
	Protocol      string `json:"protocol"`
}

// parseContainers reads the answer of GET /libpod/containers/json.
func parseContainers(b []byte) ([]listed, []fleet.Container, error) {
	var in []listed
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, nil, fmt.Errorf("this is no list of containers: %w", jsonError(err))
	}
	out := make([]fleet.Container, 0, len(in))
	for _, l := range in {
		out = append(out, l.container())
	}
	return in, out, nil
}

// composeLabel names the project of a container that Compose made.
const composeLabel = "com.docker.compose.project"

func (l listed) container() fleet.Container {
	c := fleet.Container{
		Engine: kindPodman, ID: text(l.ID), State: text(l.State),
		Image: text(l.Image), ImageID: text(l.ImageID), Unit: unitOf(l.Labels),
		Restarts: l.Restarts, Created: l.Created.UTC(), Started: epoch(l.StartedAt),
		Pod: text(l.PodName), Infra: l.IsInfra, Compose: text(l.Labels[composeLabel]), Networks: texts(l.Networks), Command: fleet.HideArgs(texts(l.Command)), // the list is kept
	}
	if c.State == "stopped" { // it has ended, and is being cleaned up, of which no event tells
		c.State = "exited"
	}
	if len(l.Names) > 0 {
		c.Name = text(l.Names[0])
	}
	if c.Health = health(c.State, l.Status); l.Exited || c.State == "exited" {
		c.ExitCode = l.ExitCode
	}
	ports := make([]fleet.Port, 0, len(l.Ports))
	for _, p := range l.Ports {
		port := fleet.Port{HostIP: text(p.HostIP), Host: p.HostPort, Container: p.ContainerPort, Protocol: protocol(p.Protocol)}
		if p.Range > 1 {
			port.Range = p.Range
		}
		ports = append(ports, port)
	}
	c.Ports = mergePorts(ports)
	return c
}

// imageFacts are what a container's row tells of its image.
type imageFacts struct {
	Made   time.Time
	Digest string // of its manifest; "" not known

	Digests []string // all under which registries have it, "name@sha256:…"
}

// parseImages reads the answer of GET /libpod/images/json.
func parseImages(b []byte) (map[string]imageFacts, error) {
	var in []struct {
		ID      string `json:"Id"`
		Created int64  // seconds since 1970
		Digest  string

		RepoDigests []string
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("this is no list of images: %w", jsonError(err))
	}
	out := make(map[string]imageFacts, len(in))
	for _, i := range in {
		out[text(i.ID)] = imageFacts{epoch(i.Created), digest(i.Digest), repoDigests(i.RepoDigests)}
	}
	return out, nil
}

// repoDigests are the digests of an image with the repositories that it has them in: not
// with those that only keep it.
func repoDigests(list []string) []string {
	var out []string
	for _, d := range texts(list) {
		if d = ranAs(d); !strings.HasPrefix(d, "<none>") && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// jsonError cleans what encoding/json quotes from the host.
func jsonError(err error) error { return errors.New(fleet.Short(fleet.Clean(err.Error()), 200)) }
