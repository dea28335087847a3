//go:build lab

package backup_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// byBorg makes a job of borg on a host for a while as NixOS' module does: its unit, its
// timer and its wrapper, and archives that are called failed until they are whole.
const byBorg = `set -e
mkdir -p /run/sextant-borg/src; cd /run/sextant-borg
date >src/a
echo nowhere >passphrase
cat >borg-job-docs <<'W'
#!/bin/sh
export BORG_REPO=/run/sextant-borg/repo BORG_PASSCOMMAND='cat /run/sextant-borg/passphrase'
exec borg "$@"
W
cat >job <<'J'
#!/bin/sh
set -e
name=$(hostname)-docs-$(date +%Y-%m-%dT%H:%M:%S)
/run/sextant-borg/borg-job-docs create --compression lz4 "::$name.failed" /run/sextant-borg/src
/run/sextant-borg/borg-job-docs rename "::$name.failed" "$name"
/run/sextant-borg/borg-job-docs prune --keep-within=1d
J
chmod 755 borg-job-docs job
ln -sf /run/sextant-borg/borg-job-docs /usr/local/bin/borg-job-docs
cat >/run/systemd/system/borgbackup-job-docs.service <<'U'
[Unit]
Description=BorgBackup job docs

[Service]
Type=oneshot
Environment=BORG_REPO=/run/sextant-borg/repo "BORG_PASSCOMMAND=cat /run/sextant-borg/passphrase"
ExecStart=/run/sextant-borg/job
U
printf '[Timer]\nOnCalendar=daily\n' >/run/systemd/system/borgbackup-job-docs.timer
systemctl daemon-reload
systemctl start borgbackup-job-docs.timer
./borg-job-docs init -e repokey-blake2
systemctl start borgbackup-job-docs
sleep 1.1
systemctl start borgbackup-job-docs`

const noBorg = `systemctl stop borgbackup-job-docs.timer
rm -rf /run/sextant-borg /usr/local/bin/borg-job-docs /run/systemd/system/borgbackup-job-docs.*
systemctl daemon-reload
systemctl reset-failed borgbackup-job-docs 2>/dev/null || :`

// TestBorgOfTheLab: a job of borg is as its wrapper says; an archive that failed is no
// newest one; without the wrapper the job's own unit does, and where the repository is
// gone that is said, and no archive of it is told.
func TestBorgOfTheLab(t *testing.T) {
	l := labtest.Load(t).Link(t, "vault")
	sh := func(script string) string { return labtest.Output(t, l, "sh", "-c", script) }
	sh(noBorg)
	defer sh(noBorg)
	sh(byBorg)
	var host struct {
		Archives []struct{ ID, Name, Start string }
	}
	if err := json.Unmarshal([]byte(sh("TZ=UTC borg-job-docs list --json")), &host); err != nil || len(host.Archives) != 2 {
		t.Fatalf("%+v %v", host, err)
	}
	at, err := time.Parse("2006-01-02T15:04:05", host.Archives[1].Start[:19])
	if err != nil {
		t.Fatal(err)
	}
	check := func(how string) {
		t.Helper()
		j := read(t, l, probed(t, l))["docs"]
		if j.Tool != "borg" || j.State != fleet.BackupFresh || j.Snapshots != 2 || !j.NewestSnapshot.Truncate(time.Second).Equal(at) || j.Timer == "" || j.LastSuccess.IsZero() {
			t.Errorf("%s: %+v, want %s", how, j, at)
		}
	}
	check("by the wrapper")
	sh("borg-job-docs create ::vault-docs-2099-01-01T00:00:00.failed /run/sextant-borg/src")
	check("one failed")
	sh("rm /usr/local/bin/borg-job-docs")
	check("without the wrapper")
	sh("mv /run/sextant-borg/repo /run/sextant-borg/away")
	if j := read(t, l, probed(t, l))["docs"]; !j.NewestSnapshot.IsZero() || !strings.Contains(j.Error, "does not exist") {
		t.Errorf("the repository is gone: %+v", j)
	}
}
