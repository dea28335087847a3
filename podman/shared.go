package podman

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"

	"github.com/sextant-fleet/sextant/fleet"
)

// Limits on what engines tell of what containers share.
const (
	maxShared  = 2000 // pods, networks, volumes, each, of one engine
	maxVolumes = 500  // volumes of which it is asked who mounts them, one by one
)

// Shared reads the pods, networks and volumes of all engines that the last Read
// asked, and who uses them. Where one engine of several fails the fact has what
// the others tell, and why.
func (e *Engines) Shared(ctx context.Context) fleet.Fact[fleet.Shared] {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	engines, _ := e.there()
	now := time.Now()
	if len(engines) == 0 {
		if f := e.Fact(); f.None && e.wasRead() {
			return fleet.Nothing[fleet.Shared](f.Err, now, f.Source)
		}
		return fleet.Unknown[fleet.Shared](ErrNotRead, now, "")
	}
	slices.SortFunc(engines, (*engine).order)
	read, errs := make([]fleet.Shared, len(engines)), make([]error, len(engines))
	var wg sync.WaitGroup
	for i, eng := range engines {
		wg.Go(func() { read[i], errs[i] = eng.shared(ctx) })
	}
	wg.Wait()
	return together(engines, read, errs, now)
}

// wasRead tells whether a probe has said which engines there are.
func (e *Engines) wasRead() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state.Inventory.HasValue()
}

// together is what several engines told, as one fact.
func together(engines []*engine, read []fleet.Shared, errs []error, now time.Time) fleet.Fact[fleet.Shared] {
	var all fleet.Shared
	var source, wrong []string
	var first error
	for i, eng := range engines {
		if errors.Is(errs[i], errPodman) { // it is read by its own socket
			continue
		}
		if errs[i] != nil {
			first = cmp.Or(first, eng.wrong(errs[i]))
			wrong = append(wrong, eng.wrong(errs[i]).Error())
			continue
		}
		source = append(source, eng.version())
		all.Pods = append(all.Pods, read[i].Pods...)
		all.Networks = append(all.Networks, read[i].Networks...)
		all.Volumes = append(all.Volumes, read[i].Volumes...)
	}
	if len(source) == 0 {
		return fleet.Unknown[fleet.Shared](first, now, "")
	}
	f := fleet.Known(all, now, strings.Join(source, ", "))
	if len(wrong) > 0 {
		f.Err, f.ErrAt = strings.Join(wrong, "; "), now
	}
	return f
}

// shared asks one engine, and says whose all of it is.
func (e *engine) shared(ctx context.Context) (fleet.Shared, error) {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	api, err := e.connect(ctx, nil)
	if err != nil {
		return fleet.Shared{}, err
	}
	s, err := api.shared(ctx)
	if err != nil {
		return fleet.Shared{}, err
	}
	user := e.where().user
	for i := range s.Pods {
		s.Pods[i].Engine, s.Pods[i].User = kindPodman, user
	}
	kind := e.where().kind
	for i := range s.Networks {
		s.Networks[i].Engine, s.Networks[i].User = kind, user
	}
	for i := range s.Volumes {
		s.Volumes[i].Engine, s.Volumes[i].User = kind, user
	}
	return s, nil
}

// shared asks Podman for its pods, networks and volumes, and its containers for
// who is in which network.
func (p *podmanAPI) shared(ctx context.Context) (fleet.Shared, error) {
	var s fleet.Shared
	b, err := p.get(ctx, "/pods/json", nil)
	if err != nil {
		return s, err
	}
	var holders map[string]string
	if s.Pods, holders, err = parsePods(b); err != nil {
		return s, err
	}
	list, err := p.all(ctx, nil, holders)
	if err != nil {
		return s, err
	}
	if b, err = p.get(ctx, "/networks/json", nil); err != nil {
		return s, err
	}
	if s.Networks, err = parseNetworks(b, list, s.Pods); err != nil {
		return s, err
	}
	s.Volumes, err = p.volumes(ctx, holders)
	return s, err
}

// all are the containers that a filter lets through. The one that Podman adds to
// hold a pod has the pod's name: it is what a person knows.
func (p *podmanAPI) all(ctx context.Context, filter map[string][]string, holders map[string]string) ([]fleet.Container, error) {
	params := url.Values{"all": {"true"}}
	if filter != nil {
		only, _ := json.Marshal(filter)
		params.Set("filters", string(only))
	}
	b, err := p.get(ctx, "/containers/json", params)
	if err != nil {
		return nil, err
	}
	_, list, err := parseContainers(b)
	for i, c := range list {
		list[i].Name = cmp.Or(holders[c.ID], c.Name)
	}
	return list, err
}

// volumes asks for the volumes, and of those that are in use by whom: Podman
// tells that only of one at a time.
func (p *podmanAPI) volumes(ctx context.Context, holders map[string]string) ([]fleet.Volume, error) {
	b, err := p.get(ctx, "/volumes/json", nil)
	if err != nil {
		return nil, err
	}
	list, err := parseVolumes(b)
	if err != nil {
		return nil, err
	}
	b, err = p.get(ctx, "/volumes/json", url.Values{"filters": {`{"dangling":["true"]}`}})
	if err != nil {
		return nil, err
	}
	idle, err := parseVolumes(b)
	if err != nil {
		return nil, err
	}
	var ask []int
	for i := range list {
		switch same := func(v fleet.Volume) bool { return v.Name == list[i].Name }; {
		case slices.ContainsFunc(idle, same):
			list[i].Containers = []string{}
		case volumeName.MatchString(list[i].Name) && len(ask) < maxVolumes:
			ask = append(ask, i)
		}
	}
	each(len(ask), 3, func(k int) {
		v := &list[ask[k]]
		if users, err := p.mounting(ctx, v.Name, holders); err == nil {
			v.Containers = users
		}
	})
	return list, ctx.Err()
}

// volumeName is what may name a volume; anything else is not asked for.
var volumeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,250}$`)

// mounting are the names of the containers that mount a volume.
func (p *podmanAPI) mounting(ctx context.Context, name string, holders map[string]string) ([]string, error) {
	list, err := p.all(ctx, map[string][]string{"volume": {name}}, holders)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, c := range list {
		names = append(names, c.Name)
	}
	return sorted(names), nil
}

// parsePods reads the answer of GET /libpod/pods/json; holders are the pods by the
// IDs of the containers that hold them.
func parsePods(b []byte) (pods []fleet.Pod, holders map[string]string, err error) {
	var in []struct {
		ID         string `json:"Id"`
		Name       string
		Status     string
		Created    time.Time
		InfraID    string `json:"InfraId"`
		Networks   []string
		Containers []struct {
			ID     string `json:"Id"`
			Names  string
			Status string
		}
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, nil, fmt.Errorf("this is no list of pods: %w", jsonError(err))
	}
	out, holders := make([]fleet.Pod, 0, len(in)), map[string]string{}
	for _, p := range in[:min(len(in), maxShared)] {
		pod := fleet.Pod{
			Name: text(p.Name), ID: text(p.ID), State: strings.ToLower(text(p.Status)), Created: p.Created.UTC(), Networks: []string{}, Containers: []string{}, Stopped: []string{},
		}
		pod.Networks = append(pod.Networks, texts(p.Networks)...)
		if p.InfraID != "" {
			holders[text(p.InfraID)] = "pod " + pod.Name
		}
		for _, c := range p.Containers[:min(len(p.Containers), maxList)] {
			if c.ID == p.InfraID {
				continue
			}
			pod.Containers = append(pod.Containers, text(c.Names))
			if c.Status != "running" {
				pod.Stopped = append(pod.Stopped, text(c.Names))
			}
		}
		slices.Sort(pod.Containers)
		slices.Sort(pod.Stopped)
		out = append(out, pod)
	}
	slices.SortFunc(out, func(a, b fleet.Pod) int { return strings.Compare(a.Name, b.Name) })
	return out, holders, nil
}

// parseNetworks reads the answer of GET /libpod/networks/json; who is in which is
// told by the containers and the pods.
func parseNetworks(b []byte, list []fleet.Container, pods []fleet.Pod) ([]fleet.Network, error) {
	var in []struct {
		Name, ID, Driver string
		Interface        string `json:"network_interface"`
		Created          time.Time
		Subnets          []struct{ Subnet string }
		Internal         bool
		DNS              bool `json:"dns_enabled"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("this is no list of networks: %w", jsonError(err))
	}
	out := make([]fleet.Network, 0, len(in))
	for _, n := range in[:min(len(in), maxShared)] {
		net := fleet.Network{
			Name: text(n.Name), ID: text(n.ID), Driver: text(n.Driver), Interface: text(n.Interface), Created: n.Created.UTC(),
			Subnets: []string{}, Internal: n.Internal, DNS: n.DNS, Builtin: n.Name == "podman",
		}
		for _, s := range n.Subnets[:min(len(n.Subnets), maxList)] {
			net.Subnets = append(net.Subnets, text(s.Subnet))
		}
		if net.Builtin { // it is not kept anywhere, and made at each look
			net.Created = time.Time{}
		}
		net.Containers = inNetwork(net.Name, list)
		for _, p := range pods { // its containers are in the network of the one that holds it
			if name := "pod " + p.Name; slices.Contains(p.Networks, net.Name) && !slices.Contains(net.Containers, name) {
				net.Containers = append(net.Containers, name)
			}
		}
		out = append(out, net)
	}
	slices.SortFunc(out, func(a, b fleet.Network) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// inNetwork are the names of the containers that are in a network.
func inNetwork(name string, list []fleet.Container) []string {
	names := []string{}
	for _, c := range list {
		if slices.Contains(c.Networks, name) {
			names = append(names, c.Name)
		}
	}
	return sorted(names)
}

// parseVolumes reads the answer of GET /libpod/volumes/json; by whom they are
// mounted is not in it.
func parseVolumes(b []byte) ([]fleet.Volume, error) {
	var in []struct {
		Name, Driver, Mountpoint string
		CreatedAt                time.Time
		Anonymous                bool
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("this is no list of volumes: %w", jsonError(err))
	}
	out := make([]fleet.Volume, 0, len(in))
	for _, v := range in[:min(len(in), maxShared)] {
		out = append(out, fleet.Volume{Name: text(v.Name), Driver: text(v.Driver), Path: text(v.Mountpoint), Anonymous: v.Anonymous, Created: v.CreatedAt.UTC()})
	}
	slices.SortFunc(out, func(a, b fleet.Volume) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// shared asks Docker, whose list of containers tells who uses what. It has no pods.
func (d *dockerAPI) shared(ctx context.Context) (fleet.Shared, error) {
	if err := d.agree(ctx); err != nil {
		return fleet.Shared{}, err
	}
	in, err := d.cli.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return fleet.Shared{}, err
	}
	list := make([]fleet.Container, 0, len(in))
	mounts := map[string][]string{}
	for _, s := range in {
		c := summary(s)
		list = append(list, c)
		for _, m := range s.Mounts {
			if m.Type == "volume" && !slices.Contains(mounts[m.Name], c.Name) {
				mounts[m.Name] = append(mounts[m.Name], c.Name)
			}
		}
	}
	networks, err := d.cli.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		return fleet.Shared{}, err
	}
	volumes, err := d.cli.VolumeList(ctx, volume.ListOptions{})
	if err != nil {
		return fleet.Shared{}, err
	}
	return fleet.Shared{Networks: dockerNetworks(networks, list), Volumes: dockerVolumes(volumes.Volumes, mounts)}, nil
}

// dockerNetworks are Docker's networks. Those called bridge, host and none it
// makes itself.
func dockerNetworks(in []network.Summary, list []fleet.Container) []fleet.Network {
	out := make([]fleet.Network, 0, len(in))
	for _, n := range in[:min(len(in), maxShared)] {
		net := fleet.Network{
			Name: text(n.Name), ID: text(n.ID), Driver: text(n.Driver), Created: n.Created.UTC(), Subnets: []string{}, Internal: n.Internal,
			Builtin: slices.Contains([]string{"bridge", "host", "none"}, n.Name),
		}
		net.DNS = !net.Builtin
		for _, c := range n.IPAM.Config {
			net.Subnets = append(net.Subnets, text(c.Subnet))
		}
		net.Containers = inNetwork(net.Name, list)
		out = append(out, net)
	}
	slices.SortFunc(out, func(a, b fleet.Network) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// dockerVolumes are Docker's volumes; mounts tells who mounts each. A name of 64
// hex digits is one that nobody gave.
func dockerVolumes(in []*volume.Volume, mounts map[string][]string) []fleet.Volume {
	out := make([]fleet.Volume, 0, len(in))
	for _, v := range in[:min(len(in), maxShared)] {
		if v == nil {
			continue
		}
		made, _ := time.Parse(time.RFC3339, v.CreatedAt)
		vol := fleet.Volume{
			Name: text(v.Name), Driver: text(v.Driver), Path: text(v.Mountpoint), Created: made.UTC(), Containers: []string{},
			Anonymous: len(v.Name) == 64 && containerID.MatchString(v.Name),
		}
		vol.Containers = append(vol.Containers, sorted(mounts[v.Name])...)
		out = append(out, vol)
	}
	slices.SortFunc(out, func(a, b fleet.Volume) int { return strings.Compare(a.Name, b.Name) })
	return out
}
