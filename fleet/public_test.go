package fleet

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func record(kind, content string, proxied bool) CloudName {
	return CloudName{Zone: "example.org", Records: []CloudRecord{{Name: "x.example.org", Type: kind, Content: content, Proxied: proxied}}}
}

func TestJudgeOfAPublicName(t *testing.T) {
	theirs, ours, other := []string{"104.16.132.229"}, []string{"203.0.113.3"}, []string{"203.0.113.9"}
	tunnel := func(status string) CloudName {
		n := record("CNAME", "t1.cfargotunnel.com", true)
		n.Tunnel = &CloudTunnel{ID: "t1", Name: "home", Status: status}
		return n
	}
	for name, tt := range map[string]struct {
		n     PublicName
		state Health
		why   string
		way   string
	}{
		"proxied":                    {PublicName{Addresses: theirs, Behind: true, Asked: true, CloudName: record("A", ours[0], true)}, HealthOK, "", "proxied"},
		"direct":                     {PublicName{Addresses: ours, Asked: true, CloudName: record("A", ours[0], false)}, HealthOK, "", "direct"},
		"at home only":               {PublicName{Asked: true, CloudName: CloudName{Zone: "example.org"}}, HealthOK, "", "-"},
		"of another provider":        {PublicName{Addresses: ours, Asked: true}, HealthOK, "", "direct"},
		"Cloudflare was not asked":   {PublicName{Addresses: theirs, Behind: true}, HealthOK, "", "proxied"},
		"proxied, an old answer":     {PublicName{Addresses: ours, Asked: true, CloudName: record("A", ours[0], true)}, HealthBroken, "none of Cloudflare's", "direct"},
		"direct, an old answer":      {PublicName{Addresses: other, Asked: true, CloudName: record("A", ours[0], false)}, HealthBroken, "Cloudflare's record 203.0.113.3", "direct"},
		"the record is gone":         {PublicName{Addresses: theirs, Behind: true, Asked: true, CloudName: CloudName{Zone: "example.org"}}, HealthBroken, "no record of the name in example.org", "proxied"},
		"a zone that it cannot see":  {PublicName{Addresses: theirs, Behind: true, Asked: true}, HealthUnknown, "sees no zone", "proxied"},
		"public DNS does not answer": {PublicName{Err: "no answer", Asked: true, CloudName: record("A", ours[0], true)}, HealthUnknown, "no answer", "?"},
		"a tunnel":                   {PublicName{Addresses: theirs, Behind: true, Asked: true, CloudName: tunnel("healthy")}, HealthOK, "", "tunnel"},
		"a tunnel with less":         {PublicName{Addresses: theirs, Behind: true, Asked: true, CloudName: tunnel("degraded")}, HealthOK, "", "tunnel"},
		"a tunnel that is down":      {PublicName{Addresses: theirs, Behind: true, Asked: true, CloudName: tunnel("down")}, HealthBroken, "tunnel home is down", "tunnel"},
		"a tunnel of no known state": {PublicName{Addresses: theirs, Behind: true, Asked: true, CloudName: tunnel("")}, HealthUnknown, "state is not told", "tunnel"},
	} {
		state, why, cure := tt.n.Judge()
		if state != tt.state || !strings.Contains(why, tt.why) || (why == "") != (state == HealthOK) || (cure != "") != (state == HealthBroken) || tt.n.Way() != tt.way {
			t.Errorf("%s: %s, %q, %q, %s", name, state, why, cure, tt.n.Way())
		}
	}
}

// TestPublicFindings: a tunnel that is down is its host's and folds under the unit that
// failed; what is nobody's is the fleet's, and both can be acknowledged.
func TestPublicFindings(t *testing.T) {
	now := time.Now()
	unit := "cloudflared-tunnel-home.service"
	st := State{Host: Host{ID: "n-edge", Name: "edge"}, Reach: Known(Reach{State: Up}, now, "ssh")}
	st.Units = Known([]Unit{{Name: unit, Load: "loaded", Active: "failed", Sub: "failed"}}, now, "probe")
	down := CloudTunnel{ID: "t1", Name: "home", Status: "down"}
	photos := PublicName{Name: "photos.example.org", Addresses: []string{"104.16.132.229"}, Behind: true, Asked: true, CloudName: record("CNAME", "t1.cfargotunnel.com", true)}
	photos.Tunnel = &down
	old := PublicName{Name: "old.example.org", Addresses: []string{"203.0.113.9"}, Asked: true, CloudName: record("A", "203.0.113.3", false)}
	snap := Snapshot{Hosts: []State{st}, Public: Known(Public{
		Names: []PublicName{photos, old}, Tunnels: []CloudTunnel{down, {ID: "t2", Name: "somebody's", Status: "down"}}, Cloud: "it refuses the token", Cure: "give another",
	}, now, "test")}
	keys := func(list []Finding) (out []string) {
		for _, f := range list {
			out = append(out, f.Host+" "+f.Key)
			for _, c := range f.Folded {
				out = append(out, "under "+c.Key)
			}
		}
		return out
	}
	got := keys(snap.Findings(now))
	for _, want := range []string{"edge unit:" + unit, "under public:tunnel home", " public:old.example.org", " public:cloudflare"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if slices.ContainsFunc(got, func(k string) bool { return strings.Contains(k, "somebody") || strings.Contains(k, "photos") }) {
		t.Errorf("told beside the tunnel, or of others' tunnels: %q", got)
	}
	ack := func(sev Severity) Ack { return Ack{At: now, Until: now.Add(time.Hour), Severity: sev} }
	snap.Acks = map[string]Ack{"public:old.example.org": ack(SeverityWarn)}
	snap.Hosts[0].Acks = map[string]Ack{"public:tunnel home": ack(SeverityFail)}
	for _, f := range snap.OfFleet(now) {
		if want := f.Of.Name != "cloudflare"; (f.Acked != nil) != want {
			t.Errorf("%s: acknowledged %v", f.Key, f.Acked)
		}
	}
	snap.Public.Err, snap.Public.At = Remembered, now.Add(-2*time.Hour)
	if list := snap.OfFleet(now); len(list) != 0 {
		t.Errorf("by what was known two hours ago: %+v", list)
	}
}
