package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// table is output for people: rows in columns, and notes below a row.
type table struct {
	w     *tabwriter.Writer
	plain bool
	head  []string
	lines int // of any kind, the heading too
}

// row adds a row; the first is the heading. With --plain each fact stands on a
// line of its own: host, what, value.
func (t *table) row(cells ...string) {
	t.lines++
	heading := t.head == nil
	if heading {
		t.head = cells
	}
	switch {
	case !t.plain:
		fmt.Fprintln(t.w, strings.Join(cells, "\t"))
	case !heading:
		for i, c := range cells[1:] {
			fmt.Fprintf(t.w, "%s %s: %s\n", cells[0], strings.ToLower(t.head[i+1]), c)
		}
	}
}

// pair adds a fact with its name, under a section's title where there is one.
func (t *table) pair(section, name, value string) {
	t.lines++
	if t.plain {
		fmt.Fprintln(t.w, strings.TrimSpace(section+" "+name)+": "+value)
		return
	}
	fmt.Fprintln(t.w, name+"\t"+value)
}

// section begins pairs of another kind.
func (t *table) section(title string) {
	if !t.plain {
		fmt.Fprintln(t.w, strings.TrimSuffix("\n"+strings.ToUpper(title), "\n"))
	}
}

// note adds a line across the columns.
func (t *table) note(line string) {
	t.lines++
	fmt.Fprintln(t.w, strings.ReplaceAll(line, "\t", " "))
}

// write writes machine output, or what people fills into a table.
func (o options) write(w io.Writer, machine any, people func(*table)) error {
	if o.json {
		return newJSON(w).Encode(machine)
	}
	t := &table{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0), plain: o.plain}
	people(t)
	if !t.plain && t.lines == 1 && t.head != nil {
		t.note("none")
	}
	return t.w.Flush()
}

// cell is a fact in a table: its value, "-" where there is nothing to know,
// "?" where it is not known.
func cell[T any](f fleet.Fact[T], show func(T) string) string {
	switch {
	case f.Current():
		return show(f.Value)
	case f.None:
		return "-"
	}
	return "?"
}

func plural(n int, word, none string) string {
	if n == 0 {
		return none
	}
	return fmt.Sprintf("%d %s", n, word)
}

func percent(share float64) string {
	if share < 0 {
		return "?"
	}
	return fmt.Sprintf("%.0f%%", share*100)
}

func share(m fleet.Memory) string {
	if m.Total == 0 {
		return "?"
	}
	return percent(float64(m.Used) / float64(m.Total))
}

// fullest is the fullest of the disks.
func fullest(disks []fleet.Disk) string {
	most, at := -1.0, ""
	for _, d := range disks {
		if f := d.Fraction(); f > most {
			most, at = f, d.Mount
		}
	}
	if at == "" {
		return "?"
	}
	return percent(most) + " " + at
}

// age is how long ago something was, in one unit.
func age(at, now time.Time) string {
	if at.IsZero() {
		return "-"
	}
	switch d := now.Sub(at); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// size is bytes in a unit people read.
func size(b uint64) string {
	const k = 1024
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(b), 0
	for ; v >= k && i < len(units)-1; i++ {
		v /= k
	}
	if i == 0 {
		return fmt.Sprintf("%d B", b)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

func isExit(err error) bool {
	var exit exitCode
	return errors.As(err, &exit)
}
