package fleet

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Severity of a problem.
type Severity string

// Severities, worst first. SeverityUnknown means that something could not be
// read: neither fine nor broken.
const (
	SeverityFail    Severity = "fail"
	SeverityWarn    Severity = "warn"
	SeverityUnknown Severity = "unknown"
)

// Problem is something a person should know about a host.
type Problem struct {
	Key      string    `json:"key"` // names it: the same in every round and on every client, see [Object.Key]
	What     string    `json:"what"`
	Severity Severity  `json:"severity"`
	Since    time.Time `json:"since,omitzero"`         // when it began, where that is known
	Cure     string    `json:"cure,omitempty"`         // what a person can do about it, where that is known
	Acked    *Ack      `json:"acknowledged,omitempty"` // it is known, and counts for nothing until then
	Of       Object    `json:"of"`                     // what it is about
	Because  []string  `json:"-"`                      // keys of problems that explain it, on this host or, as [FullKey], on another
}

// Object is what a problem is about.
type Object struct {
	Kind string `json:"kind"`           // one of the kinds below
	Name string `json:"name,omitempty"` // of the unit, container, backup job (its key), disk, alarm, fact
	User string `json:"user,omitempty"` // whose unit or container; "" the system's
}

// Kinds of objects.
const (
	KindHost        = "host" // that it is reached
	KindKey         = "key"  // its key on the tailnet
	KindSystem      = "system"
	KindDeploy      = "deploy"
	KindUnit        = "unit"
	KindContainer   = "container"
	KindBackup      = "backup"
	KindBackupCheck = "backup-check" // of its repository; named as the job
	KindRestoreTest = "restore-test" // likewise
	KindDisk        = "disk"
	KindMemory      = "memory"
	KindAlarm       = "alarm"
	KindSite        = "site"
	KindCertificate = "certificate"
	KindService     = "service"
	KindSecret      = "secret"   // of a host
	KindSealed      = "sealed"   // encrypted files of the repository
	KindExposure    = "exposure" // a port ("tcp/443") or a name that the internet reaches
	KindMonitor     = "monitor"
	KindPublic      = "public"  // a name, or a tunnel, as the public finds it
	KindDNS         = "dns"     // a DNS server, or what of it is wrong: "blocky/blocky.service/off"
	KindNetwork     = "network" // "wan", a link, a peer, a DHCP server
	KindFact        = "fact"    // something that could not be read
)

// Key names the object on its host: "unit:podman-x.service", "container:ada/notes".
func (o Object) Key() string {
	if o.User != "" {
		return o.Kind + ":" + o.User + "/" + o.Name
	}
	return strings.TrimSuffix(o.Kind+":"+o.Name, ":")
}

// FullKey names a problem of a host among those of the fleet.
func FullKey(h HostID, key string) string { return string(h) + " " + key }

// Limits from which a disk or memory is a problem, as a share of the whole.
const (
	diskWarn   = 0.90
	diskFail   = 0.97
	memoryWarn = 0.95
)

// Problems are what is wrong with the host, worst first, and what is acknowledged
// last. Of a host that does not answer, what could not be read because of it is
// folded under that; what others tell of it counts all the same.
func (s State) Problems(now time.Time) []Problem {
	list := s.problems(now)
	known := map[string]*Ack{}
	for i, p := range list {
		if a, ok := s.Acks[p.Key]; ok && a.Holds(p.Severity, now) {
			list[i].Acked, known[p.Key] = &a, &a
		}
	}
	for i, p := range list { // and what such a problem explains
		for _, key := range p.Because {
			if a := known[key]; p.Acked == nil && a != nil && a.Holds(p.Severity, now) {
				list[i].Acked = a
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Problem) int { return cmp.Compare(a.rank(), b.rank()) })
	return list
}

func (s State) problems(now time.Time) []Problem {
	var b bench
	s.presenceProblems(now, &b)
	if s.Sleeps() {
		return b // as it may
	}
	if s.unreachable(&b); len(b) > 0 && b[len(b)-1].Of.Kind == KindHost {
		return b
	}
	s.systemProblems(&b)
	s.missingProblems(now, &b)
	s.containerProblems(&b)
	s.backupProblems(&b)
	s.metricProblems(&b)
	s.siteProblems(now, &b)
	s.serviceProblems(now, &b)
	s.secretProblems(now, &b)
	s.exposureProblems(now, &b)
	s.monitorProblems(now, &b)
	s.dnsProblems(now, &b)
	s.networkProblems(now, &b)
	s.unreadProblems(&b)
	return b
}

// bench is where problems are gathered.
type bench []Problem

// add gathers a problem, in which more can be told.
func (b *bench) add(of Object, sev Severity, since time.Time, format string, args ...any) *Problem {
	*b = append(*b, Problem{Key: of.Key(), Of: of, Severity: sev, Since: since, What: fmt.Sprintf(format, args...)})
	return &(*b)[len(*b)-1]
}

// Worst is the severity of the worst problem that is not acknowledged, "" when
// there is none.
func Worst(list []Problem) Severity {
	worst := Severity("")
	for _, p := range list {
		if p.Acked == nil && (worst == "" || rank(p.Severity) < rank(worst)) {
			worst = p.Severity
		}
	}
	return worst
}

// severities are all, worst first.
var severities = []Severity{SeverityFail, SeverityWarn, SeverityUnknown}

func rank(s Severity) int { return slices.Index(severities, s) }

// rank is where the problem stands among others.
func (p Problem) rank() int {
	if p.Acked != nil {
		return len(severities)
	}
	return rank(p.Severity)
}

func (s State) unreachable(b *bench) {
	of := Object{Kind: KindHost}
	switch {
	case !s.Reach.Asked(), s.Reach.Err == Remembered:
		b.add(of, SeverityUnknown, time.Time{}, "not asked yet")
	case s.Reach.Err != "":
		if s.Host.Offline() {
			b.add(of, SeverityUnknown, s.Host.Presence.Value.LastSeen, "offline: %s", s.Reach.Err).Cure = s.Reach.Cure
			return
		}
		// the last time it did answer
		b.add(of, SeverityUnknown, s.Reach.At, "not reachable: %s", s.Reach.Err).Cure = s.Reach.Cure
	}
}

// healthCheck is the name of the transient unit in which Podman runs a health
// check, in the user's systemd for a user's container: the container's own
// problem, which is told as such.
var healthCheck = regexp.MustCompile(`^[0-9a-f]{64}(-[0-9a-f]+)?\.(service|timer)$`)

func (s State) systemProblems(b *bench) {
	s.unitProblems(b)
	if !s.System.Current() {
		return
	}
	sys := s.System.Value
	if sys.RebootNeeded {
		b.add(Object{Kind: KindSystem, Name: "reboot"}, SeverityWarn, time.Time{}, "reboot needed: %s", strings.Join(sys.RebootWhy, ", "))
	}
	if sys.NixOS && sys.Differs() && !s.underWay() {
		b.add(Object{Kind: KindSystem, Name: "default"}, SeverityWarn, time.Time{}, "running system is not the default")
	}
	s.bootProblem(b)
	s.deployProblem(b)
}

// bootProblem is a host that would not come back from its next start.
func (s State) bootProblem(b *bench) {
	for _, g := range s.Generations.Value {
		if g.Default && len(g.BootMissing) > 0 && s.Generations.Current() {
			b.add(Object{Kind: KindSystem, Name: "boot"}, SeverityFail, time.Time{}, "the default, generation %d, cannot boot: not there, or empty: %s", g.Number, strings.Join(g.BootMissing, ", ")).Cure =
				"do not restart it; as root on it remove those that are empty, and have the boot menu written again: /nix/var/nix/profiles/system/bin/switch-to-configuration boot"
		}
	}
}

// unitProblems are the failed units. One that makes a backup says nothing that
// its job does not say better.
func (s State) unitProblems(b *bench) {
	if !s.Units.Current() {
		return
	}
	for _, u := range s.Failed().Value {
		if healthCheck.MatchString(u.Name) {
			continue
		}
		p := b.add(Object{Kind: KindUnit, Name: u.Name, User: u.User}, SeverityFail, later(u.Since, u.Exited), "failed unit: %s", u.Label())
		if j, ok := s.Job(u.Name); ok && u.User == "" && j.Unit == u.Name {
			p.Because = []string{jobObject(j).Key()}
		}
	}
}

func jobObject(j BackupJob) Object { return Object{Kind: KindBackup, Name: j.Key()} }

// presenceProblems are what Tailscale tells of the host without asking it. An
// expired key is often why it does not answer, and only a person can renew it: while
// the host is reached that is less work.
func (s State) presenceProblems(now time.Time, b *bench) {
	p := s.Host.Presence
	if !p.Current() {
		return
	}
	switch left := p.Value.KeyExpiry.Sub(now); {
	case p.Value.Expired:
		b.add(Object{Kind: KindKey}, SeverityWarn, p.Value.KeyExpiry, "Tailscale key expired")
	case !p.Value.KeyExpiry.IsZero() && left < KeySoon:
		b.add(Object{Kind: KindKey, Name: "soon"}, SeverityWarn, time.Time{}, "Tailscale key ends in %s", Count(max(0, int(left.Hours()/24)), "day")).Cure =
			"on it: tailscale up --force-reauth; or turn its expiry off in the admin console"
	}
}

// underWay tells whether a deploy is: until it is over the running system is not
// the default on purpose.
func (s State) underWay() bool {
	return s.Deploys.Current() && len(s.Deploys.Value) > 0 && !s.Deploys.Value[0].State.Over()
}

// deployProblem tells of the newest deploy where that needs somebody: it waits,
// or it went wrong and nothing was deployed since.
func (s State) deployProblem(b *bench) {
	if !s.Deploys.Current() || len(s.Deploys.Value) == 0 {
		return
	}
	d := s.Deploys.Value[0]
	of := Object{Kind: KindDeploy, Name: d.ID} // what is known of one says nothing of the next
	switch d.State {
	case Awaiting:
		b.add(of, SeverityWarn, d.Changed, "a new system waits to be confirmed")
	case RolledBack:
		b.add(of, SeverityWarn, d.Changed, "it went back by itself: %s", d.Why)
	case RollbackFailed:
		b.add(of, SeverityFail, d.Changed, "the roll-back failed: %s", d.Why)
	case Conflict:
		b.add(of, SeverityWarn, d.Changed, "a deploy was left undecided: %s", d.Why)
	case Staged, Activating, Committing, RollingBack:
		b.add(of, SeverityWarn, d.Changed, "deploy under way: %s", strings.TrimSpace(d.State.Words()+" "+d.Why))
	}
}

func (s State) containerProblems(b *bench) {
	if !s.Containers.Current() {
		return
	}
	for _, c := range s.Containers.Value {
		if !c.Broken() {
			continue
		}
		why := c.State
		if c.Health == "unhealthy" {
			why = c.Health
		}
		p := b.add(Object{Kind: KindContainer, Name: c.Name, User: notRoot(c.User)}, SeverityFail, time.Time{}, "container %s: %s", c.Name, why)
		if c.Unit != "" {
			owner := Object{Kind: KindUnit, Name: c.Unit}
			if c.UserUnit {
				owner.User = c.User
			}
			p.Because = []string{owner.Key()}
		}
	}
}

// ContainerOf finds the container that a problem is about.
func (s State) ContainerOf(of Object) (Container, bool) {
	for _, c := range s.Containers.Value {
		if of.Kind == KindContainer && c.Name == of.Name && notRoot(c.User) == of.User {
			return c, true
		}
	}
	return Container{}, false
}

// notRoot is a user whose things are not the system's.
func notRoot(user string) string {
	if user == "root" {
		return ""
	}
	return user
}

func (s State) backupProblems(b *bench) {
	if !s.Backups.Current() {
		return
	}
	for _, j := range s.Backups.Value {
		of := jobObject(j)
		switch j.State {
		case BackupFailed:
			b.add(of, SeverityFail, j.LastRun, "backup %s failed: %s", j.Name, cmp.Or(j.Error, "see its log"))
		case BackupStale:
			b.add(of, SeverityWarn, later(j.LastSuccess, j.NewestSnapshot), "backup %s is older than its limit", j.Name)
		case BackupNever:
			b.add(of, SeverityWarn, time.Time{}, "backup %s never ran", j.Name)
		case BackupUnknown:
			b.add(of, SeverityUnknown, time.Time{}, "backup %s: %s", j.Name, cmp.Or(j.Error, "unknown"))
		}
		if r := j.Repo; r != nil && !r.Check.At.IsZero() && !r.Check.OK {
			b.add(Object{Kind: KindBackupCheck, Name: j.Key()}, SeverityFail, r.Check.At, "backup %s: the check of its repository failed", j.Name)
		}
		if t := j.RestoreTest; t != nil && !t.Well() {
			b.add(Object{Kind: KindRestoreTest, Name: j.Key()}, SeverityFail, t.At, "backup %s: its restore test found %d bad files", j.Name, len(t.Bad))
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s State) metricProblems(b *bench) {
	if s.Metrics.Current() {
		for _, d := range s.Metrics.Value.Disks {
			switch f, of := d.Fraction(), (Object{Kind: KindDisk, Name: d.Mount}); {
			case f >= diskFail:
				b.add(of, SeverityFail, time.Time{}, "disk %s is %.0f %% full", d.Mount, f*100)
			case f >= diskWarn:
				b.add(of, SeverityWarn, time.Time{}, "disk %s is %.0f %% full", d.Mount, f*100)
			}
		}
		if m := s.Metrics.Value.Memory; m.Total > 0 && float64(m.Used) >= memoryWarn*float64(m.Total) {
			b.add(Object{Kind: KindMemory}, SeverityWarn, time.Time{}, "memory is %.0f %% full", 100*float64(m.Used)/float64(m.Total))
		}
	}
	if s.Alarms.Current() {
		for _, a := range s.Alarms.Value {
			sev := SeverityWarn
			if a.Status == "CRITICAL" {
				sev = SeverityFail
			}
			p := b.add(Object{Kind: KindAlarm, Name: a.Name + "/" + a.Chart}, sev, a.Since, "alarm %s: %s", a.Name, a.Value)
			if mount, is := strings.CutPrefix(a.Chart, "disk_space."); is {
				p.Because = []string{Object{Kind: KindDisk, Name: mount}.Key()}
			}
		}
	}
}

// unreadProblems names the facts that were asked for and could not be read.
func (s State) unreadProblems(b *bench) {
	unread(b, "system", s.System)
	s.unreadDeploys(b)
	unread(b, "units", s.Units)
	unread(b, "containers", s.Containers)
	unread(b, "backups", s.Backups)
	unread(b, "metrics", s.Metrics)
	unread(b, "alarms", s.Alarms)
	unreadSeldom(b, "listeners", s.Listens)
	unreadSeldom(b, "sites", s.Sites)
	unreadSeldom(b, "services", s.Services)
	unreadSeldom(b, "declared", s.Declared)
	if !s.System.Current() || s.System.Value.UID == 0 { // else as of deploys
		unreadSeldom(b, "secrets", s.Secrets)
		unreadSeldom(b, "firewall", s.Firewall)
	}
	unreadSeldom(b, "monitors", s.Monitors)
	s.unreadDNS(b) // names of mDNS are no problem, whatever is known of them
	unreadSeldom(b, "networks", s.Networking)
}

// unreadDeploys is no problem where we are not root: that is so every day, and is
// told with all that an ordinary login does not see.
func (s State) unreadDeploys(b *bench) {
	if s.System.Current() && s.System.Value.UID > 0 {
		return
	}
	if s.Deploys.Err == Remembered && s.Inventory.Current() && !s.Inventory.Value.Unsettled() {
		return // they were not asked because the probe saw that nothing waits
	}
	unread(b, "deploys", s.Deploys)
}

func unread[T any](b *bench, name string, f Fact[T]) {
	if f.Err == "" || f.None {
		return
	}
	b.add(Object{Kind: KindFact, Name: name}, SeverityUnknown, f.ErrAt, "%s unknown: %s", name, f.Err).Cure = f.Cure
}
