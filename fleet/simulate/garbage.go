package simulate

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// What a simulated store path and the boot files take.
const (
	deadPath   = 3*mib + 217*kib
	deadOf     = 60 // store paths that only one generation needs
	kernelSize = 13 * mib
	initrdSize = 31 * mib
)

// garbageProgram plays nixops' program for the garbage: its first argument is the
// command.
func garbageProgram(c Call) int {
	m, args := c.machine(), behind(c.Args)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.land(c.now())
	g := guarding{c, m, c.now(), args}
	switch {
	case g.arg(0) == "look":
		return g.lookForGarbage()
	case !c.Root:
		return g.refuse(10, "not root")
	case g.underWay() != nil:
		return g.refuse(11, "busy: deploy %s is under way", g.underWay().id)
	case g.arg(0) == "delete":
		return g.deleteGenerations()
	}
	return g.collect()
}

// kept is why a generation must stay.
func (g guarding) kept(n int) (why []string) {
	last := 0
	for _, d := range g.m.deploys {
		switch state := d.at(g.m, g.now).state; {
		case state == "CONFIRMED":
			last = d.to
		case !over(state) && (n == d.to || n == d.from):
			why = append(why, "deploy")
		}
	}
	for _, k := range []struct {
		word   string
		number int
	}{{"booted", g.m.booted}, {"default", g.m.standard}, {"last-confirmed", last}, {"running", g.m.running}} {
		if k.number == n {
			why = append(why, k.word)
		}
	}
	return why
}

func (g guarding) lookForGarbage() int {
	for _, d := range g.m.disks {
		if d.mount == "/" || d.mount == "/boot" {
			used := uint64(float64(d.size)*d.full) >> 10
			g.say("room %s %d %d %d %s", map[string]string{"/": "store", "/boot": "boot"}[d.mount], d.size>>10, used, d.size>>10-used, d.mount)
		}
	}
	if g.Root {
		g.sayBootFiles()
	} else {
		g.say("unseen which generations the files in /boot are of: no boot menu of NixOS can be read there")
	}
	for _, gen := range g.m.gens {
		g.say("generation %d %d %s", gen.number, g.m.began.Add(-gen.age).Unix(), g.m.path(gen))
		for _, why := range g.kept(gen.number) {
			g.say("kept %d %s", gen.number, why)
		}
	}
	if d := g.underWay(); d != nil && g.Root {
		g.say("busy %s", d.id)
	}
	g.say("dead %d %d %d\nlooked", g.m.dead, g.m.dead*deadPath, g.m.dead)
	return 0
}

// sayBootFiles tells which kernel and initrd each entry of the boot menu has.
func (g guarding) sayBootFiles() {
	for _, gen := range g.m.menu() {
		for part, size := range map[string]int{"kernel": kernelSize, "initrd": initrdSize} {
			file := "/boot" + g.m.bootFile(part, gen)
			g.say("file %d %s\nsize %d %s", gen.number, file, size, file)
		}
	}
}

func (g guarding) deleteGenerations() int {
	for _, arg := range g.args[1:] {
		i := slices.IndexFunc(g.m.gens, func(x generation) bool { return fmt.Sprint(x.number) == arg })
		if i < 0 {
			return g.refuse(10, "there is no generation %s", arg)
		}
		if why := g.kept(g.m.gens[i].number); len(why) > 0 {
			return g.refuse(10, "generation %s must stay: %s", arg, strings.Join(why, " "))
		}
	}
	for _, arg := range g.args[1:] {
		g.m.gens = slices.DeleteFunc(slices.Clone(g.m.gens), func(x generation) bool { return fmt.Sprint(x.number) == arg })
		g.m.dead += deadOf
		g.say("deleted %s", arg)
	}
	g.say("nix-env 0 removing profile version %s\nmenu 0 updating the boot menu\ndone", g.arg(len(g.args)-1))
	return 0
}

// collect deletes path after path, until nobody listens any more. The machine is
// locked, but while it waits.
func (g guarding) collect() int {
	stopped := make(chan struct{})
	go func() { // ends with the input, which ends with the session
		_, _ = io.Copy(io.Discard, g.Stdin)
		close(stopped)
	}()
	g.say("finding garbage collector roots...\ndetermining live/dead paths...")
	gone := 0
	code := 0
	for total := g.m.dead; gone < total && code == 0; {
		gone++
		g.say("deleting '/nix/store/%s'", storeHash(g.m.seed, g.m.name, "dead", fmt.Sprint(gone))+"-source")
		g.m.mu.Unlock()
		select {
		case <-stopped:
			code = 1
		case <-g.Context.Done():
			code = 1
		case <-time.After(time.Millisecond):
		}
		g.m.mu.Lock()
	}
	g.m.dead = max(0, g.m.dead-gone)
	root := &g.m.disks[0]
	root.full = max(0, root.full-float64(gone*deadPath)/float64(root.size))
	g.say("%d store paths deleted, %.2f MiB freed\nended %d", gone, float64(gone*deadPath)/mib, code)
	return 0
}
