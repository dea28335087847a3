package fleet_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// running is a host of which some services run.
func running(units ...string) fleet.State {
	s := up()
	s.Units.Value = nil
	for _, u := range units {
		s.Units.Value = append(s.Units.Value, fleet.Unit{Name: u, Active: "active"})
	}
	return s
}

// TestRole: who says what a host is for, and what runs there where nobody does.
func TestRole(t *testing.T) {
	called := func(name string, tags ...string) fleet.State {
		s := running("samba-smbd.service")
		s.Host = fleet.Host{Name: name, Tags: tags}.Told()
		return s
	}
	configured := called("storage", "router")
	configured.Host = fleet.Host{Name: "storage", Role: fleet.RoleCloud, RoleFrom: fleet.ByConfig, Tags: []string{"router"}}.Told()
	none := called("laptop")
	none.Host = fleet.Host{Name: "laptop", Role: fleet.RoleNone, RoleFrom: fleet.ByConfig}.Told()
	at := func(s fleet.State, addr string) fleet.State {
		s.Host.Addresses = []fleet.Address{{Via: fleet.ViaConfig, Host: addr}}
		return s
	}
	disk := func(s fleet.State, kind string, size uint64) fleet.State {
		s.Metrics.Value.Disks = []fleet.Disk{{Mount: "/srv", Type: kind, Total: size, Avail: size}}
		return s
	}
	small := running()
	small.System.Value.Arch, small.Metrics.Value.Memory = "aarch64", fleet.Memory{Total: 1 << 30}
	large := running()
	large.System.Value.Arch, large.Metrics.Value.Memory = "aarch64", fleet.Memory{Total: 24 << 30}
	failed := running("nfs-server.service")
	failed.Units.Value[0].Active = "failed"
	theirs := running("nfs-server.service")
	theirs.Units.Value[0].User = "ada"
	leases := running("dnsmasq.service")
	leases.Listens = fleet.Known([]fleet.Listener{{Proto: "udp", Address: "0.0.0.0", Port: 67, Unit: "dnsmasq.service"}}, noon, "ss")
	virtual := running("libvirtd.service")
	virtual.Listens = fleet.Known([]fleet.Listener{{Proto: "udp", Address: "0.0.0.0", Port: 67, Unit: "libvirtd.service"}}, noon, "ss")
	tagged := running()
	tagged.Host = fleet.Host{Name: "x", Tags: []string{"server"}}.Told()
	lost := running("display-manager.service").Lost(errors.New("no answer"), noon)
	for name, c := range map[string]struct {
		state fleet.State
		want  string
	}{
		"the configuration before a tag":  {configured, "cloud: configuration"},
		"the configuration says none":     {none, ": configuration"},
		"a tag before its name":           {called("storage", "server", "router"), "router: tag router"},
		"a tag in other words":            {called("box", "workstation"), "desktop: tag workstation"},
		"its name before what runs":       {called("Router"), "router: its name"},
		"a name that only begins so":      {called("router-2"), "storage: its samba-smbd.service"},
		"leases by kea":                   {running("caddy.service", "kea-dhcp4-server.service"), "router: its kea-dhcp4-server.service"},
		"a line to a provider":            {running("pppd-wan.service"), "router: its pppd-wan.service"},
		"leases by dnsmasq":               {leases, "router: its dnsmasq gives leases"},
		"leases to virtual machines":      {virtual, ""},
		"names by dnsmasq":                {running("dnsmasq.service"), ""},
		"a screen":                        {running("greetd.service", "samba-smbd.service"), "desktop: its greetd.service"},
		"a screen and a large disk":       {disk(running("display-manager.service"), "btrfs", 2e12), "desktop: its display-manager.service"},
		"shares":                          {running("nfs-server.service"), "storage: its nfs-server.service"},
		"a large pool":                    {disk(running(), "zfs", 29e12), "storage: its zfs at /srv"},
		"a small one":                     {disk(running(), "zfs", 2e11), ""},
		"a large disk of another kind":    {disk(running(), "ext4", 29e12), ""},
		"sites, in the internet":          {at(running("caddy.service"), "49.12.0.7"), "cloud: its caddy.service"},
		"sites, in the internet by IPv6":  {at(running("nginx.service"), "2a01:4f8::1"), "cloud: its nginx.service"},
		"sites, at home":                  {at(running("caddy.service"), "10.77.0.12"), ""},
		"sites, in the tailnet":           {at(running("caddy.service"), "100.64.0.12"), ""},
		"sites, in the tailnet by IPv6":   {at(running("caddy.service"), "fd7a:115c:a1e0::1"), ""},
		"a small board":                   {small, "edge: a small aarch64"},
		"a large one":                     {large, ""},
		"a service that does not run":     {failed, ""},
		"a person's own service":          {theirs, ""},
		"what it did before it went away": {lost, "desktop: its display-manager.service"},
		"nothing is known":                {fleet.State{}, ""},
		"the tag as Tailscale writes it":  {called("x", "tag:nas"), "storage: tag tag:nas"},
		"a tag that is no role":           {tagged, ""},
	} {
		role, from := c.state.Role()
		if got := strings.TrimSuffix(string(role)+": "+from, ": "); strings.TrimSpace(got) != strings.TrimSpace(c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if placed := c.state.Placed(); placed.Role != role || placed.RoleFrom != from {
			t.Errorf("%s: placed as %q", name, placed.Role)
		}
	}
}

func TestTiers(t *testing.T) {
	h := fleet.Host{Tags: []string{"server", "Tier2", "tier1"}}.Told()
	if h.Tier != "tier2" || h.TierFrom != "tag Tier2" {
		t.Errorf("%q %q", h.Tier, h.TierFrom)
	}
	if h := (fleet.Host{Tier: "core", TierFrom: fleet.ByFlake, Tags: []string{"tier1"}}).Told(); h.Tier != "core" {
		t.Errorf("%q", h.Tier)
	}
	got := []string{"", "tier10", "core", "tier2", "", "tier-1", "zeta"}
	slices.SortStableFunc(got, fleet.CompareTiers)
	if want := []string{"core", "tier-1", "tier2", "tier10", "zeta", "", ""}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestSleeps: a desktop that is switched off is no problem; that is not said of
// anything else that does not answer.
func TestSleeps(t *testing.T) {
	away := func(change func(*fleet.State)) fleet.State {
		s := up()
		s.Backups.Value[0].State = fleet.BackupStale
		s.Host = fleet.Host{Name: "laptop", Presence: fleet.Known(fleet.Presence{LastSeen: noon.Add(-time.Hour)}, noon, "tailscaled")}.Told()
		s = s.Lost(errors.New("no address answers"), noon)
		if change != nil {
			change(&s)
		}
		return s
	}
	if s := away(nil); !s.Sleeps() || len(s.Problems(noon)) != 0 {
		t.Errorf("a laptop that is off: %v", s.Problems(noon))
	}
	for name, c := range map[string]struct {
		change func(*fleet.State)
		want   string
	}{
		"a router":                             {func(s *fleet.State) { s.Host.Role = fleet.RoleRouter }, "offline"},
		"of no role":                           {func(s *fleet.State) { s.Host.Role = fleet.RoleNone }, "offline"},
		"the tailnet says it is online":        {func(s *fleet.State) { s.Host.Presence.Value.Online = true }, "not reachable"},
		"the tailnet is not heard any more":    {func(s *fleet.State) { s.Host.Presence.Err = "tailscaled is gone" }, "not reachable"},
		"it is on no tailnet":                  {func(s *fleet.State) { s.Host.Presence = fleet.Fact[fleet.Presence]{} }, "not reachable"},
		"its key has expired":                  {func(s *fleet.State) { s.Host.Presence.Value.Expired = true }, "expired"},
		"it was not asked since the beginning": {func(s *fleet.State) { s.Reach.Err = fleet.Remembered }, "not asked yet"},
		"it answers another way":               {func(s *fleet.State) { s.Reach = fleet.Known(fleet.Reach{State: fleet.Up}, noon, "ssh") }, "unknown"},
	} {
		s := away(c.change)
		problems := s.Problems(noon)
		if s.Sleeps() || len(problems) == 0 || !slices.ContainsFunc(problems, func(p fleet.Problem) bool { return strings.Contains(p.What, c.want) }) {
			t.Errorf("%s: sleeps %v, %+v", name, s.Sleeps(), problems)
		}
	}
}

// TestATierOfTheFlakeStays while the flake is not asked, which takes seconds.
func TestATierOfTheFlakeStays(t *testing.T) {
	store := fleet.NewStore()
	set := func(h fleet.Host) fleet.Host {
		h.ID = "1"
		store.SetHosts([]fleet.Host{h}, nil, nil)
		s, _ := store.Get("1")
		return s.Host
	}
	set(fleet.Host{Sources: []string{"tailscale", "flake"}, Tier: "tier1", TierFrom: fleet.ByFlake})
	if h := set(fleet.Host{Sources: []string{"tailscale"}}); h.Tier != "tier1" || h.TierFrom != fleet.ByFlake {
		t.Errorf("it was forgotten: %+v", h)
	}
	if h := set(fleet.Host{Sources: []string{"tailscale"}, Tier: "tier2", TierFrom: fleet.ByConfig}); h.Tier != "tier2" {
		t.Errorf("it hides what the configuration says: %+v", h)
	}
	set(fleet.Host{Sources: []string{"flake"}, Tier: "tier1", TierFrom: fleet.ByFlake})
	if h := set(fleet.Host{Sources: []string{"flake"}}); h.Tier != "" {
		t.Errorf("the flake says no more that it is in one: %+v", h)
	}
}

// TestTheOrderOfRoles: hosts without one stand among the others.
func TestTheOrderOfRoles(t *testing.T) {
	roles := append(slices.Clone(fleet.Roles), "")
	slices.SortFunc(roles, func(a, b fleet.Role) int { return a.Weight() - b.Weight() })
	if want := []fleet.Role{"router", "storage", "cloud", "", "edge", "desktop"}; !slices.Equal(roles, want) {
		t.Errorf("%q", roles)
	}
	snap := fleet.Snapshot{}
	for _, name := range []string{"desktop", "vault", "storage", "router"} {
		s := up()
		s.Host = fleet.Host{ID: fleet.HostID(name), Name: name}.Told()
		s.Units.Value = []fleet.Unit{{Name: "a.service", Active: "failed"}}
		snap.Hosts = append(snap.Hosts, s)
	}
	var got []string
	for _, f := range snap.Findings(noon) {
		got = append(got, f.Host)
	}
	if want := "router storage vault desktop"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %q", got, want)
	}
}
