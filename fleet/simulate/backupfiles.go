package simulate

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// saved is a file or folder that a backup holds.
type saved struct {
	path   string
	folder bool
	size   uint64
	at     time.Time
}

// savedBy are what the snapshots of a job hold: a small tree below what it saves.
// Every snapshot has the letters of the days before it, and one more.
func (m *machine) savedBy(b backup, id string) []saved {
	root := "/var/lib/" + b.name
	at := m.began.Add(-40 * day)
	list := []saved{{path: "/var", folder: true, at: at}, {path: "/var/lib", folder: true, at: at}, {path: root, folder: true, at: at}}
	for _, f := range []string{"archive", "inbox"} {
		list = append(list, saved{path: root + "/" + f, folder: true, at: at})
		for i := range 6 {
			name := fmt.Sprintf("%s/%s/%03d.dat", root, f, i+1)
			list = append(list, saved{path: name, size: 2000 + uint64(share(m.seed, name)*90000), at: at.Add(time.Duration(i) * day)})
		}
	}
	for i, s := range m.snapshots(b, false) {
		name := fmt.Sprintf("%s/letter-%d.txt", root, i+1)
		list = append(list, saved{path: name, size: 400 + uint64(share(m.seed, name)*4000), at: s.Time.Add(-time.Hour)})
		if s.ID == id {
			return list
		}
	}
	return nil
}

// content is what a file holds.
func (f saved) content() string {
	text := "This file does not exist (sextant demo). "
	return strings.Repeat(text, int(f.size)/len(text)+1)[:f.size]
}

// lookInto answers what restic and rustic tell of what is in a snapshot.
func lookInto(c Call, b backup) int {
	m := c.machine()
	words, flags := c.split("--archive", "--target", "--include")
	verb := ""
	if len(words) > 0 {
		verb = words[0]
	}
	if verb == "cat" { // its config
		return c.json(map[string]any{"version": 2, "id": hexID(m.seed, 64, m.name, b.name, "repository"), "chunker_polynomial": "20e18fa7594325"})
	}
	id, what := "", "/"
	if len(words) > 1 {
		id, what, _ = strings.Cut(words[1], ":")
	}
	if b.tool != "rustic" && len(words) > 2 {
		what = words[2]
	}
	tree := m.savedBy(b, id)
	if tree == nil {
		fmt.Fprintf(c.Stderr, "Fatal: failed to find snapshot: no matching ID found for prefix %q\n", id)
		return 1
	}
	switch verb {
	case "ls":
		return c.listSaved(b, tree, path.Clean("/"+what))
	case "diff":
		return c.compareSaved(b, tree, m.savedBy(b, append(words, "", "")[2]))
	case "dump":
		return c.dumpSaved(tree, what, flags["--archive"] == "content")
	case "restore":
		dir := flags["--target"]
		if b.tool == "rustic" {
			dir = append(words, "", "")[2]
		} else {
			what = strings.ReplaceAll(flags["--include"], `\`, "")
		}
		m.restore(dir, tree, what)
		return 0
	}
	fmt.Fprintln(c.Stderr, c.Args[0]+": this host does not exist (sextant demo): it cannot do that")
	return 1
}

// below tells whether a file is what is meant, or in it.
func (f saved) below(what string) bool {
	return f.path == what || strings.HasPrefix(f.path, strings.TrimSuffix(what, "/")+"/")
}

func (c Call) listSaved(b backup, tree []saved, folder string) int {
	for _, f := range tree {
		if path.Dir(f.path) != folder && f.path != folder {
			continue
		}
		mode, kind := "-rw-r--r--", "file"
		if f.folder {
			mode, kind = "drwxr-xr-x", "dir"
		}
		if b.tool == "rustic" {
			if f.path != folder || !f.folder {
				fmt.Fprintf(c.Stdout, "%s     root     root %9d %s %q \n", mode, f.size, f.at.UTC().Format("2 Jan 2006 15:04"), path.Base(f.path))
			}
			continue
		}
		line, _ := json.Marshal(map[string]any{"name": path.Base(f.path), "type": kind, "path": f.path, "size": f.size, "permissions": mode, "mtime": f.at, "struct_type": "node", "message_type": "node"})
		fmt.Fprintf(c.Stdout, "%s\n", line)
	}
	return 0
}

func (c Call) compareSaved(b backup, from, to []saved) int {
	has := func(list []saved, p string) bool {
		return slices.ContainsFunc(list, func(f saved) bool { return f.path == p })
	}
	tell := func(sign, p string) {
		if b.tool == "rustic" {
			fmt.Fprintf(c.Stdout, "%s    %q\n", sign, strings.TrimPrefix(p, "/"))
			return
		}
		line, _ := json.Marshal(map[string]string{"message_type": "change", "path": p, "modifier": sign})
		fmt.Fprintf(c.Stdout, "%s\n", line)
	}
	for _, f := range to {
		if !has(from, f.path) {
			tell("+", f.path)
		}
	}
	for _, f := range from {
		if !has(to, f.path) {
			tell("-", f.path)
		}
	}
	return 0
}

func (c Call) dumpSaved(tree []saved, what string, bare bool) int {
	i := slices.IndexFunc(tree, func(f saved) bool { return f.path == what })
	switch {
	case i < 0:
		fmt.Fprintf(c.Stderr, "Fatal: cannot dump file: path %q: not found in snapshot\n", what)
		return 1
	case bare || !tree[i].folder:
		_, _ = io.WriteString(c.Stdout, tree[i].content())
		return 0
	}
	w := tar.NewWriter(c.Stdout)
	for _, f := range tree {
		if f.below(what) && !f.folder {
			_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(f.path, "/"), Mode: 0o644, Size: int64(f.size), ModTime: f.at}) //nolint:gosec // small
			_, _ = io.WriteString(w, f.content())
		}
	}
	if w.Close() != nil {
		return 1
	}
	return 0
}

// restore notes what was restored to a folder.
func (m *machine) restore(dir string, tree []saved, what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.restored == nil {
		m.restored = map[string]uint64{}
	}
	for _, f := range tree {
		if f.below(what) && !f.folder {
			m.restored[dir+"/"+path.Base(f.path)] = f.size
		}
	}
}

// countRestored tells how many files are in a folder, their bytes, and what is free.
func countRestored(c Call) int {
	m := c.machine()
	m.mu.Lock()
	defer m.mu.Unlock()
	files, bytes := 0, uint64(0)
	for p, size := range m.restored {
		if strings.HasPrefix(p, c.arg(1)+"/") {
			files, bytes = files+1, bytes+size
		}
	}
	free := float64(m.disks[0].size) * (1 - m.disks[0].full)
	return c.say(fmt.Sprint(files, " ", bytes, " ", uint64(free)))
}

// testRestore plays a restore test: all comes back as it was, but for what the
// machine's disk has spoilt. $2 is the tool, $3 the job, $6 the snapshot; paths follow
// behind its time.
func testRestore(c Call) int {
	m := c.machine()
	for _, b := range m.backups {
		if b.name != c.arg(3) || b.tool != c.arg(2) {
			continue
		}
		tree := m.savedBy(b, c.arg(6))
		for _, p := range c.Args[min(8, len(c.Args)):] {
			i := slices.IndexFunc(tree, func(f saved) bool { return f.path == p })
			if i < 0 {
				c.say("1 0 changed Fatal: path not found in snapshot")
				continue
			}
			live := "same"
			if strings.Contains(p, "/inbox/") {
				live = "changed"
			}
			c.say("0 " + strconv.FormatUint(tree[i].size, 10) + " " + live + " ")
		}
	}
	return 0
}

// keepTest keeps how a restore test ended: $1 is the file, $2 the line.
func keepTest(c Call) int {
	m := c.machine()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tests == nil {
		m.tests = map[string]string{}
	}
	m.tests[c.arg(1)] = c.arg(2)
	return 0
}

// tellTests prints the last restore tests.
func tellTests(c Call) int {
	m := c.machine()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range behind(c.Args) {
		text := m.tests[f]
		if text == "" && m.name == "storage" && strings.HasSuffix(f, "/restic-documents") {
			at, _ := m.began.Add(-12 * day).UTC().MarshalText()
			text = fmt.Sprintf(`{"at":%q,"snapshot":"3f1c9a02","files":20,"same":17,"changed":3,"bytes":48211004,"took":74}`, at)
		}
		fmt.Fprintf(c.Stdout, "file %s\n%s\n", f, text)
	}
	return c.say("end")
}

// orphans are snapshots of who had the host's name before: storage was once attic.
func (m *machine) orphans(b backup) []snapshot {
	if m.name != "storage" || b.name != "documents" {
		return nil
	}
	var out []snapshot
	for i := range 3 {
		id := hexID(m.seed, 64, "attic", b.name, fmt.Sprint(i))
		out = append(out, snapshot{Time: m.began.Add(-time.Duration(400-30*i) * day), Tree: hexID(m.seed, 64, id, "tree"), Paths: []string{"/var/lib/" + b.name}, Hostname: "attic", Username: "root", Program: "restic 0.16.4", ID: id, Short: id[:8]})
	}
	return out
}

// tellChores tells when repositories were checked and pruned: those of documents by
// units of their own, and those that were asked to be here.
func tellChores(c Call) int {
	m := c.machine()
	m.mu.Lock()
	defer m.mu.Unlock()
	fmt.Fprintf(c.Stdout, "uid %d\nsince %d\n", c.uid(), m.began.Add(-journalDays).Unix())
	tell := func(unit string, at time.Time, well bool) {
		e := map[string]string{"__REALTIME_TIMESTAMP": fmt.Sprint(at.UnixMicro()), "UNIT": unit, "MESSAGE_ID": msgStarted, "JOB_RESULT": "done", "INVOCATION_ID": hexID(m.seed, 32, unit, at.String()), "MESSAGE": "Finished " + unit}
		if strings.HasPrefix(unit, "sextant-") {
			e["MESSAGE_ID"] = msgWell
		}
		if !well {
			e["MESSAGE_ID"], e["UNIT_RESULT"] = msgBad, "exit-code"
		}
		line, _ := json.Marshal(e)
		fmt.Fprintf(c.Stdout, "%s\n", line)
	}
	for _, unit := range behind(c.Args) {
		switch unit {
		case "restic-backups-documents-check.service", "restic-backups-documents-prune.service":
			tell(unit, m.began.Add(-9*day), true)
		case "rustic-ovh-prune.service":
			tell(unit, m.began.Add(-31*day), true)
		}
	}
	for _, w := range m.works {
		if w.marks && w.over && slices.Contains(behind(c.Args), w.unit) {
			tell(w.unit, w.began.Add(3*time.Second), w.status == 0)
		}
	}
	return c.say("end")
}
