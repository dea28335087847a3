package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// ErrNoContainer means that the Netdata that has the past of a host has none of the
// container's.
var ErrNoContainer = errors.New("no charts of the container")

// containerLines are the series of a container: cpu and memory of its control group.
func (p past) containerLines(ctx context.Context, st fleet.State, q fleet.SeriesQuery) ([]line, error) {
	r, err := p.newest(ctx, "cgroup_*.cpu cgroup_*.mem_usage")
	switch {
	case errors.Is(err, errNotFound): // it has no charts of control groups
	case err != nil:
		return nil, err
	}
	group, err := groupOf(r, st, q)
	if err != nil {
		return nil, err
	}
	return []line{
		{seriesCPU, "cores", []chartID{{group + ".cpu", "cgroup.cpu"}}, func(t []table) func(int) float64 {
			return func(i int) float64 { return t[0].sum(i) / 100 } // percent of one core
		}},
		{seriesMemory, "B", []chartID{{group + ".mem_usage", "cgroup.mem_usage"}}, dimension(mib, "ram")},
	}, nil
}

// groupOf finds the charts of a container's control group. Netdata calls the group
// by the container's ID where it may not ask Podman or Docker for the name.
func groupOf(r row, st fleet.State, q fleet.SeriesQuery) (string, error) {
	var id string
	namesakes := 0
	for _, c := range st.Containers.Value {
		if c.Name != q.Container {
			continue
		}
		if namesakes++; rootless(c.User) == rootless(q.User) {
			id = c.ID
		}
	}
	byName := ""
	for _, chart := range slices.Sorted(maps.Keys(r)) {
		group, ok := strings.CutSuffix(chart, ".cpu")
		if !ok || strings.Contains(group, "conmon") { // who watches over it has its ID, too
			continue
		}
		name := strings.TrimPrefix(group, "cgroup_")
		if len(id) >= shortID && strings.Contains(name, id[:shortID]) {
			return group, nil
		}
		if name == q.Container || name == strings.Map(inID, q.Container) {
			byName = group
		}
	}
	switch {
	case byName == "":
		return "", fmt.Errorf("%w %s", ErrNoContainer, q.Container)
	case namesakes > 1:
		return "", fmt.Errorf("%w %s of %s: several there are called so, and Netdata tells them by name", ErrNoContainer, q.Container, cmp.Or(rootless(q.User), "root"))
	}
	return byName, nil
}

// shortID is how much of a container's ID stands in names.
const shortID = 12

// rootless is the user whose container it is; "" root.
func rootless(user string) string {
	if user == "root" {
		return ""
	}
	return user
}
