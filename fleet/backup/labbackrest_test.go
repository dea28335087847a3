//go:build lab

package backup_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// playsBackrest has Caddy play Backrest, which is not to be had for the lab, on its
// port: $1 is what it answers for its summary, $2 for operations, $3 the status.
const playsBackrest = `set -e
mkdir -p /run/systemd/system /run/backrest
cat >/run/backrest/Caddyfile <<CADDY
{
	admin off
	auto_https off
}
http://:9898 {
	bind 127.0.0.1
	header Content-Type application/json
	respond /v1.Backrest/GetSummaryDashboard $1 $3
	respond /v1.Backrest/GetOperations $2 $3
}
CADDY
printf '[Service]\nEnvironment=HOME=/run/backrest\nExecStart=/usr/bin/caddy run --config /run/backrest/Caddyfile --adapter caddyfile\n' >/run/systemd/system/backrest.service
systemctl daemon-reload
systemctl restart backrest.service
for i in $(seq 100); do curl -s -o /dev/null http://127.0.0.1:9898/ && exit 0; sleep 0.1; done
exit 1`

const noBackrest = `systemctl stop backrest.service
rm -rf /run/backrest /run/systemd/system/backrest.service
systemctl daemon-reload`

// TestPlansOfBackrestInTheLab reads the plans of a stand-in for Backrest, over its
// port, beside the jobs of the host's units.
func TestPlansOfBackrestInTheLab(t *testing.T) {
	l := labtest.Load(t).Link(t, "cloud")
	before := read(t, l, probed(t, l))
	began := time.Now().Add(-2 * time.Hour).Truncate(time.Second)
	run := func(status string) string {
		return fmt.Sprintf(`{"flowId":["1"],"timestampMs":["%d"],"durationMs":["60000"],"status":["STATUS_%s"],"bytesAdded":["0"]}`, began.UnixMilli(), status)
	}
	plans := "`" + `{"planSummaries":[{"id":"photos","recentBackups":` + run("SUCCESS") + `},{"id":"documents","recentBackups":` + run("ERROR") + `}],"configPath":"/var/lib/backrest/config.json"}` + "`"
	ops := "`" + fmt.Sprintf(`{"operations":[{"planId":"documents","unixTimeStartMs":"%d","displayMessage":"the disk is full","operationBackup":{}}]}`, began.UnixMilli()) + "`"
	defer labtest.Output(t, l, "sh", "-c", noBackrest)
	labtest.Output(t, l, "sh", "-c", playsBackrest, "sh", plans, ops, "200")

	st := probed(t, l)
	jobs := read(t, l, st)
	if j := jobs["photos"]; len(jobs) != len(before)+2 || j.State != fleet.BackupFresh || !j.LastSuccess.Equal(began.Add(time.Minute)) || j.Tool != "backrest" {
		t.Errorf("%d jobs, %d before: %+v", len(jobs), len(before), j)
	}
	if j := jobs["documents"]; j.State != fleet.BackupFailed || j.Error != "the disk is full" {
		t.Errorf("%+v", j)
	}
	labtest.Output(t, l, "sh", "-c", playsBackrest, "sh", plans, ops, "401")
	if j := read(t, l, st)["backrest"]; j.State != fleet.BackupUnknown || !strings.Contains(j.Error, "wants a password") {
		t.Errorf("%+v", j)
	}
}
