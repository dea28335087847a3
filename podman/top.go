package podman

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// maxProcesses is how many processes of a container are told.
const maxProcesses = 1000

// Top asks which processes run in a container, as [Engines.Inspect] is asked. Of
// a container that does not run it tells none. In their commands what looks
// secret is hidden unless secrets says otherwise.
func (e *Engines) Top(ctx context.Context, user, id string, secrets bool) (fleet.ContainerTop, error) {
	top := fleet.ContainerTop{Processes: []fleet.ContainerProcess{}}
	err := e.askAbout(ctx, user, id, func(ctx context.Context, api api, c fleet.Container) error {
		if !c.Running() {
			return nil
		}
		titles, rows, err := api.top(ctx, c.ID)
		if err != nil {
			return err
		}
		top, err = processes(titles, rows, veil{shown: secrets})
		return err
	}, func(source string) { top.At, top.Source = time.Now().UTC(), source })
	if err != nil {
		return fleet.ContainerTop{}, err
	}
	return top, nil
}

// top asks GET /libpod/containers/ID/top for columns that Podman itself knows,
// without a ps in the container or on the host.
func (p *podmanAPI) top(ctx context.Context, id string) ([]string, [][]string, error) {
	b, err := p.get(ctx, "/containers/%s/top", url.Values{"ps_args": {"pid,ppid,hpid,user,pcpu,etime,rss,args"}, "stream": {"false"}}, id)
	if err != nil {
		return nil, nil, err
	}
	var in struct {
		Titles    []string
		Processes [][]string
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, nil, fmt.Errorf("this is no list of processes: %w", jsonError(err))
	}
	return in.Titles, in.Processes, nil
}

// top asks GET /containers/ID/top, for which Docker runs the host's ps.
func (d *dockerAPI) top(ctx context.Context, id string) ([]string, [][]string, error) {
	if err := d.agree(ctx); err != nil {
		return nil, nil, err
	}
	in, err := d.cli.ContainerTop(ctx, id, []string{"-eo", "pid,ppid,user,pcpu,etime,rss,args"})
	return in.Titles, in.Processes, err
}

// processes reads the rows of a list of processes by the titles of its columns.
// Docker's PID is the host's; Podman has both, and calls the host's HPID.
func processes(titles []string, rows [][]string, v veil) (fleet.ContainerTop, error) {
	column := map[string]int{}
	for i, t := range titles[:min(len(titles), maxList)] {
		column[strings.ToUpper(strings.TrimSpace(t))] = i
	}
	if _, ok := column["COMMAND"]; !ok {
		return fleet.ContainerTop{}, fmt.Errorf("this is no list of processes: its columns are %q", texts(titles[:min(len(titles), 10)]))
	}
	_, both := column["HPID"]
	top := fleet.ContainerTop{Processes: []fleet.ContainerProcess{}, More: max(0, len(rows)-maxProcesses)}
	for _, row := range rows[:min(len(rows), maxProcesses)] {
		cell := func(title string) string {
			if i, ok := column[title]; ok && i < len(row) {
				return text(row[i])
			}
			return ""
		}
		p := fleet.ContainerProcess{
			PID: number(cell("PID")), HostPID: number(cell("HPID")), Parent: number(cell("PPID")), User: cell("USER"),
			CPU: percent(cell("%CPU")), Elapsed: elapsed(cell("ELAPSED")), Memory: uint64(number(cell("RSS"))) << 10,
		}
		if !both {
			p.PID, p.HostPID = 0, p.PID
		}
		if i := column["COMMAND"]; i < len(row) { // it is the last column, and may hold blanks
			p.Command = v.command(strings.Join(row[i:], " "))
		}
		top.Processes = append(top.Processes, p)
	}
	top.Hidden = v.hidden
	return top, nil
}

// number is a number that is not below 0; 0 where it is none.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// percent is a share in percent of one core, as cores.
func percent(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f < 0 || f > 1e6 {
		return 0
	}
	return f / 100
}

// elapsed reads a time as Podman writes it, 1h2m3.4s, or ps, [[DD-]HH:]MM:SS.
// Below 0 it is not told.
func elapsed(s string) fleet.Seconds {
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return fleet.Seconds(d.Seconds())
	}
	days, clock, ok := strings.Cut(s, "-")
	if !ok {
		days, clock = "0", s
	}
	n, err := strconv.ParseUint(days, 10, 16)
	parts := strings.Split(clock, ":")
	if err != nil || len(parts) < 2 || len(parts) > 3 {
		return -1
	}
	total := time.Duration(0)
	for _, p := range parts {
		u, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return -1
		}
		total = 60*total + time.Duration(u)*time.Second
	}
	return fleet.Seconds((total + time.Duration(n)*24*time.Hour).Seconds())
}
