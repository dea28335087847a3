package backup

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// repository is one that several jobs of the lab's storage save into: the
// samples of restic or rustic, and beside them newer snapshots of another job.
func repository(t *testing.T, sampleName string, change func(s map[string]any)) []byte {
	t.Helper()
	var items []map[string]any
	if err := json.Unmarshal(sample(t, sampleName), &items); err != nil {
		t.Fatal(err)
	}
	list := items
	if items[0]["snapshots"] != nil {
		list = nil
		for _, s := range items[0]["snapshots"].([]any) {
			list = append(list, s.(map[string]any))
		}
	}
	out := slices.Clone(list)
	for i, s := range list {
		other := map[string]any{}
		for k, v := range s {
			other[k] = v
		}
		other["id"], other["time"] = fmt.Sprintf("%064d", i), later.Add(-time.Duration(i+1)*time.Hour).Format(time.RFC3339Nano)
		change(other)
		out = append(out, other)
	}
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// twoJobs are a host with two jobs of which the first stopped 40 days ago
// without a failure, and the other goes well.
func twoJobs(tool string) fleet.State {
	prefix := map[string]string{"restic": "restic-backups-", "rustic": "rustic-"}[tool]
	st := lab()
	st.Inventory.Value.Programs = nil
	st.Timers.Value = nil
	st.Units.Value = []fleet.Unit{
		{Name: prefix + "stopped.service", Load: "loaded", Active: "inactive", Sub: "dead", Result: "success", Type: "oneshot"},
		{Name: prefix + "well.service", Load: "loaded", Active: "inactive", Sub: "dead", Result: "success", Type: "oneshot", Exited: later.Add(-time.Hour)},
	}
	return st
}

// TestTwoJobsInOneRepository: each job's newest snapshot is its own.
func TestTwoJobsInOneRepository(t *testing.T) {
	restic := func(args string) string { return "command /usr/bin/restic " + args + "\n" }
	for name, c := range map[string]struct {
		tool, sample  string
		change        func(map[string]any) // what is other about the snapshots of the job that goes well
		stopped, well string               // what tieScript prints of them
		count         int                  // snapshots of the stopped job; 0: not known
		says          string               // of it
	}{
		"by paths": {
			"restic", "restic-0.18-snapshots.json", func(s map[string]any) { s["paths"] = []string{"/var/lib/photos"} },
			restic("backup --exclude-file /x /srv/home /srv/photos/"), restic("backup /var/lib/photos"), 6, "",
		},
		"by paths of which one does not exist": {
			"restic", "restic-0.18-snapshots.json", func(s map[string]any) { s["paths"] = []string{"/srv/docs"} },
			restic("backup /srv/home /srv/photos"), restic("-o x=y backup --one-file-system /srv/docs /srv/gone"), 6, "",
		},
		"by tags": {
			"restic", "restic-0.18-snapshots.json", func(s map[string]any) { s["tags"] = []string{"daily", "x"} },
			restic("backup /srv/home /srv/photos"), restic("backup --tag=x --tag daily --files-from=/run/includes") + "dynamic\n", 6, "",
		},
		"by the paths that nixpkgs' module writes down": {
			"restic", "restic-0.18-snapshots.json", func(s map[string]any) { s["paths"] = []string{"/etc"} },
			restic("backup --files-from=/run/includes") + "path /srv/home\npath /srv/photos\n", "", 6, "",
		},
		"by rustic's label": {
			"rustic", "rustic-0.11-snapshots.json", func(s map[string]any) { s["label"] = "well" },
			"command rustic -P cold backup\nnamed cold\nprofile [backup]\nprofile label = \"cold\"\nprofile [[backup.snapshots]]\nprofile sources = [\"/elsewhere\"]\n",
			"command rustic backup --label well /srv/archive\n", 4, "",
		},
		"by rustic's sources": {
			"rustic", "rustic-0.11-snapshots.json", func(s map[string]any) { s["label"], s["paths"] = "", []string{"/srv/b"} },
			"", "command rustic -P b backup\nnamed b\nprofile [[backup.snapshots]]\nprofile sources = [\nprofile \"/srv/b\"]\n", 4, "",
		},
		"not to be told: the same paths": {
			"restic", "restic-0.18-snapshots.json", func(map[string]any) {},
			restic("backup /srv/home /srv/photos"), restic("backup /srv/photos /srv/home"), 0, "cannot be told from those of well",
		},
		"not to be told: commands that say nothing": {
			"restic", "restic-0.18-snapshots.json", func(s map[string]any) { s["paths"] = []string{"/etc"} },
			"", restic("backup --unheard of /etc"), 0, "cannot be told from those of well",
		},
		"none that fits": {
			"restic", "restic-0.18-snapshots.json", func(map[string]any) {},
			restic("backup /other"), restic("backup /srv/home /srv/photos"), 0, "none with the label, tags and paths of this job",
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := twoJobs(c.tool)
			out := repository(t, c.sample, c.change)
			units := st.Units.Value
			l := &fakeLink{
				ties: "unit " + units[0].Name + "\n" + c.stopped + "unit " + units[1].Name + "\n" + c.well,
				snapshots: func(context.Context, string, string, string) (link.Result, error) {
					return link.Result{Stdout: out}, nil
				},
			}
			at := later.Add(60 * 24 * time.Hour) // the samples are from before
			st.Units.Value[1].Exited = at.Add(-time.Hour)
			jobs := byName(t, Read(t.Context(), l, st, at, nil))
			j := jobs["stopped"]
			if j.Snapshots != c.count || !strings.Contains(j.Error, c.says) || j.State == fleet.BackupFresh || c.count == 0 && !j.NewestSnapshot.IsZero() {
				t.Errorf("%+v", j)
			}
			if c.count > 0 && (j.State != fleet.BackupStale || j.NewestSnapshot.After(later.Add(-2*time.Hour)) || jobs["well"].NewestSnapshot != later.Add(-time.Hour)) {
				t.Errorf("%+v\n%+v", j, jobs["well"])
			}
		})
	}
}

// TestKindsThatNothingTells: one job, but somebody else saves there too.
func TestKindsThatNothingTells(t *testing.T) {
	st := twoJobs("restic")
	st.Units.Value = st.Units.Value[:1]
	out := repository(t, "restic-0.18-snapshots.json", func(s map[string]any) { s["paths"] = []string{"/etc"} })
	l := &fakeLink{snapshots: func(context.Context, string, string, string) (link.Result, error) {
		return link.Result{Stdout: out}, nil
	}}
	st.Backups = fleet.Known([]fleet.BackupJob{{Name: "stopped", Unit: st.Units.Value[0].Name, NewestSnapshot: later, Snapshots: 9, Sources: []string{fromSnapshots}}}, later, "x")
	j := one(t, Read(t.Context(), l, st, later, nil))
	if j.State != fleet.BackupUnknown || !j.NewestSnapshot.IsZero() || j.Snapshots != 0 || !strings.Contains(j.Error, "2 kinds of snapshots") {
		t.Errorf("%+v", j)
	}
}

// TestBackupStatusOfASharedRepository: it tells the newest of both jobs for each.
func TestBackupStatusOfASharedRepository(t *testing.T) {
	st := twoJobs("restic")
	st.Inventory = lab().Inventory
	row := `{"name":"%s","kind":"restic","lastSnapshot":"` + later.Format(time.RFC3339) + `","maxAgeHours":48,"ok":true,"error":null}`
	l := &fakeLink{
		status: prints(fmt.Appendf(nil, "["+row+","+row+"]", "stopped", "well")),
		snapshots: func(context.Context, string, string, string) (link.Result, error) {
			return link.Result{Status: exitNoWay}, nil
		},
	}
	jobs := byName(t, Read(t.Context(), l, st, later, nil))
	if j := jobs["stopped"]; j.State != fleet.BackupUnknown || !j.NewestSnapshot.IsZero() || !strings.Contains(j.Error, "the same snapshot of several jobs") {
		t.Errorf("%+v", j)
	}
	if j := jobs["well"]; j.State != fleet.BackupFresh || !j.NewestSnapshot.IsZero() {
		t.Errorf("%+v", j)
	}
}

// TestTieScript runs the script against units of the test's own, and holds that
// it prints no password.
func TestTieScript(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return p
	}
	script := write("rustic-backup-k", "#!/bin/sh\nTZ=\"\" /nix/store/x/bin/rustic backup /a --as-path \"/b\" -P \"prof\"\n")
	write("rustic/cold.toml", "[repository]\npassword = \"hunter2\"\nrepository = \"rest:https://ada:hunter2@host\"\n\n[backup]\nlabel = \"cold\"\n\n[backup.hooks]\nrun-before = [\"hunter2\"]\n[[backup.snapshots]]\nsources = [\n  \"/srv/a\",\n]\n[forget]\nkeep-daily = 7\n")
	pre := write("pre", "#!/bin/sh\ncat /nix/store/abc-staticPaths >> /run/restic-backups-n/includes\n")
	write("bin/systemctl", `#!/bin/sh
case "$3 $5" in
'ExecStart r.service') echo '{ path=/usr/bin/restic ; argv[]=/usr/bin/restic -r rest:https://ada:hunter2@host/r backup /srv/home ; ignore_errors=no ; start_time=[n/a] }'
echo '{ path=/usr/bin/restic ; argv[]=/usr/bin/restic forget --prune ; ignore_errors=no ; start_time=[n/a] }' ;;
'ExecStart c.service') echo '{ path=/bin/rustic ; argv[]=/bin/rustic -P cold backup ; ignore_errors=no ; start_time=[n/a] }' ;;
'ExecStart k.service') echo '{ path=`+script+` ; argv[]=`+script+` files-k ; ignore_errors=no ; start_time=[n/a] }' ;;
'ExecStart n.service') echo '{ path=/bin/restic ; argv[]=/bin/restic backup --files-from=/run/restic-backups-n/includes ; ignore_errors=no }' ;;
'ExecStartPre n.service') echo '{ path=`+pre+` ; argv[]=`+pre+` ; ignore_errors=no ; start_time=[n/a] }' ;;
esac
`)
	store := write("store/abc-staticPaths", "/var/lib\n/home\n")
	text := strings.NewReplacer("/etc/rustic/", dir+"/rustic/", `\(/nix/store/[^ /]*-staticPaths\).*|\1|p`, `/nix/store/abc-staticPaths.*|`+store+`|p`).Replace(tieScript)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", text, "sextant", "r.service", "c.service", "k.service", "n.service")
	cmd.Env = []string{"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil || strings.Contains(string(out), "hunter2") {
		t.Fatalf("%v\n%s", err, out)
	}
	got := parseTies(out, map[string]string{"r.service": "restic", "c.service": "rustic", "k.service": "rustic", "n.service": "restic"})
	cold, none := "cold", ""
	want := map[string][]tie{
		"r.service": {{tags: []string{}, paths: []string{"/srv/home"}}},
		"c.service": {{label: &cold}},
		"k.service": {{label: &none, tags: []string{}, paths: []string{"/b"}}},
		"n.service": {{tags: []string{}, paths: []string{"/var/lib", "/home"}}},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(tie{})); d != "" {
		t.Errorf("%s\n%s", d, out)
	}
}
