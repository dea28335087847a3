package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// DNSServer is a DNS server of a host that can be asked how it does: a Blocky.
type DNSServer struct {
	Kind      string    `json:"kind"` // "blocky"
	Unit      string    `json:"unit,omitempty"`
	Container string    `json:"container,omitempty"` // the name of the container it runs in
	User      string    `json:"user,omitempty"`      // whose container; "" root's
	Address   string    `json:"address,omitempty"`   // where its HTTP API was asked: "127.0.0.1:4000"
	Version   string    `json:"version,omitempty"`
	Blocking  *Blocking `json:"blocking"` // null: not known
	Stats     *DNSStats `json:"stats"`    // null: NoStats says why
	NoStats   string    `json:"noStats,omitempty"`
	Lists     *DNSLists `json:"lists"` // null: NoLists says why; where both are there, Lists is of an earlier reading
	NoLists   string    `json:"noLists,omitempty"`
	// MetricsPath is where its metrics are; "" they are off, or not known.
	MetricsPath string    `json:"metricsPath,omitempty"`
	At          time.Time `json:"at"`               // when it was asked
	Err         string    `json:"error,omitempty"`  // why nothing is known of it
	Cure        string    `json:"cure,omitempty"`   // what a person can do about it
	Silent      bool      `json:"silent,omitempty"` // Err: it runs, and nothing answers where its API should
	None        bool      `json:"none,omitempty"`   // Err: it is not meant to be asked, or does not run, and that is no problem of its own
}

// Blocking is whether a DNS server blocks what is on its lists.
type Blocking struct {
	Enabled bool      `json:"enabled"`
	Until   time.Time `json:"until,omitzero"`           // when a pause ends, by our clock; zero: nothing turns it on again
	Groups  []string  `json:"disabledGroups,omitempty"` // of lists, that are off; none: all
}

// DNSStats are what a DNS server counted from Start to End.
type DNSStats struct {
	Source       string      `json:"source"` // "stats", of the last 24 hours; "metrics", since it started
	Start        time.Time   `json:"start,omitzero"`
	End          time.Time   `json:"end,omitzero"`
	Queries      uint64      `json:"queries"`
	Blocked      uint64      `json:"blocked"`
	Cached       uint64      `json:"cached"`
	Errors       uint64      `json:"errors"`
	CacheHitRate *float64    `json:"cacheHitRate"` // 0…1; null: not known
	AverageMs    float64     `json:"avgResponseMs,omitempty"`
	TopDomains   []NameCount `json:"topDomains,omitempty"`
	TopBlocked   []NameCount `json:"topBlockedDomains,omitempty"`
	TopClients   []NameCount `json:"topClients,omitempty"`
}

// NameCount is how often something was seen.
type NameCount struct {
	Name  string `json:"name"`
	Count uint64 `json:"count"`
}

// DNSLists are the lists of a DNS server. Times are by the host's clock, of which At
// is the time when they were read.
type DNSLists struct {
	Groups    []ListGroup `json:"groups"`
	Refreshed time.Time   `json:"refreshed,omitzero"` // when a group was last made anew; zero: not told
	Failed    uint64      `json:"failedAttempts"`     // to download a list, since it started; each list is tried several times
	Unread    string      `json:"unread,omitempty"`   // why Refreshed and Failed are not known
	Started   time.Time   `json:"started,omitzero"`   // its process; zero: not told
	Period    Seconds     `json:"period,omitempty"`   // between two refreshes; 0: not known, below 0: it refreshes nothing by itself
	At        time.Time   `json:"at"`
	// When Failed last rose: not before FailedFrom, which is Started at first sight, and
	// it was seen at FailedSeen.
	FailedFrom time.Time `json:"failedFrom,omitzero"`
	FailedSeen time.Time `json:"failedSeen,omitzero"`
}

// ListGroup is a group of lists, and how many entries its lists have.
type ListGroup struct {
	Name  string `json:"name"`
	Deny  uint64 `json:"denylist"`
	Allow uint64 `json:"allowlist"`
}

// Entries is how many names and addresses all denylists have.
func (l DNSLists) Entries() uint64 {
	var n uint64
	for _, g := range l.Groups {
		n += g.Deny
	}
	return n
}

// None tells whether it is known that the server has no lists.
func (l DNSLists) None() bool { return len(l.Groups) == 0 && l.Failed == 0 && l.Unread == "" }

// Key names the server among those of its host: "blocky/blocky.service", and of a user's
// container "blocky/dns@alice".
func (d DNSServer) Key() string {
	key := d.Kind + "/" + cmp.Or(d.Container, d.Unit)
	if d.User != "" {
		key += "@" + d.User
	}
	return key
}

// Name is what the server is called on its host: its unit or container.
func (d DNSServer) Name() string { return cmp.Or(d.Container, strings.TrimSuffix(d.Unit, ".service")) }

// Title is the kind of server as it is written: "Blocky".
func (d DNSServer) Title() string {
	if d.Kind == "" {
		return "DNS server"
	}
	return strings.ToUpper(d.Kind[:1]) + d.Kind[1:]
}

// BlockedShare is the share of queries that were blocked, 0…1; -1 not known.
func (d DNSServer) BlockedShare() float64 {
	if d.Stats == nil || d.Stats.Queries == 0 {
		return -1
	}
	return float64(d.Stats.Blocked) / float64(d.Stats.Queries)
}

// Word is how blocking stands, in a word, at a time: "blocking", "paused 4m10s",
// "off", "paused 4m10s: ads"; "unknown" where it is not known, and "-" where the
// server is not meant to be asked.
func (d DNSServer) Word(now time.Time) string {
	switch {
	case d.None:
		return "-"
	case d.Blocking == nil:
		return "unknown"
	}
	return d.Blocking.Word(now)
}

// Word is how blocking stands, in a word.
func (b Blocking) Word(now time.Time) string {
	word := "off"
	switch {
	case b.Enabled:
		return "blocking"
	case !b.Until.IsZero() && !now.Before(b.Until):
		return "pause over" // what it is now, nobody has asked yet
	case !b.Until.IsZero():
		word = "paused " + Length(max(time.Second, b.Until.Sub(now).Round(time.Second)))
	}
	if len(b.Groups) > 0 {
		word += ": " + strings.Join(b.Groups, ",")
	}
	return word
}

// Length is a length of time as people write it: "5m", "4m10s", "1h30m".
func Length(d time.Duration) string {
	text := d.String()
	for _, end := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, end) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// DNSServersOf are the DNS servers of the host that a key means, or the name of a unit or
// container; several may have one name. Without a key all are meant but those that are
// not meant to be asked, or where there are no others, these.
func (s State) DNSServersOf(key string) (list []DNSServer) {
	for _, d := range s.DNS.Value {
		switch {
		case key != "" && d.Key() == key:
			return []DNSServer{d}
		case key == "" && !d.None, key != "" && (d.Name() == key || d.Unit == key):
			list = append(list, d)
		}
	}
	if key == "" && len(list) == 0 {
		return s.DNS.Value
	}
	return list
}

// dnsArgs are the words of a command that name a DNS server of the host.
func (s State) dnsArgs(d DNSServer) string {
	if len(s.DNSServersOf("")) > 1 {
		return s.Host.Name + " --server " + d.Key()
	}
	return s.Host.Name
}

// TakeDNS takes in a newer reading of the host's DNS servers. What their counters
// said before stays: a download that failed before an unread reading, or before this
// process began, has failed all the same.
func (s *State) TakeDNS(f Fact[[]DNSServer]) {
	for i, d := range f.Value {
		old := slices.IndexFunc(s.DNS.Value, func(o DNSServer) bool { return o.Key() == d.Key() })
		if old >= 0 {
			f.Value[i].follow(s.DNS.Value[old])
		}
	}
	s.DNS = s.DNS.Refresh(f)
}

// follow takes over from an earlier reading what a newer one needs.
func (d *DNSServer) follow(old DNSServer) {
	switch {
	case old.Lists == nil:
	case d.Lists == nil && d.NoLists != NoMetrics:
		kept := *old.Lists
		d.Lists, d.NoLists = &kept, cmp.Or(d.NoLists, d.Err, "not read")
	case d.Lists != nil:
		d.Lists.follow(*old.Lists)
	}
}

// NoMetrics is why nothing is known of the lists of a DNS server that publishes no metrics.
const NoMetrics = "its metrics are off (prometheus.enable)"

// follow dates the last failed download by an earlier reading of the same process.
func (l *DNSLists) follow(old DNSLists) {
	same := l.Started.Sub(old.Started).Abs() <= 2*time.Second && l.Failed >= old.Failed && !old.At.After(l.At)
	switch {
	case !same || l.Failed == 0:
	case l.Failed == old.Failed:
		l.FailedFrom, l.FailedSeen = old.FailedFrom, old.FailedSeen
	default:
		l.FailedFrom = old.At
	}
}

// refreshTime is how long the first refresh may take, that of the start.
const refreshTime = 5 * time.Minute

// Failing tells whether attempts to download failed, and with them lists: see failing.
func (l DNSLists) Failing() bool { return l.failing() != "" }

// failing is what tells that lists are not as they should be after attempts to download
// them failed: an attempt that failed says little, for each list is tried several times.
// All of it is by the host's clock. At first sight attempts may have failed at any time
// since the start: then a refresh that ended well after the start is trusted.
func (l DNSLists) failing() string {
	if l.Failed == 0 {
		return ""
	}
	for _, g := range l.Groups {
		if g.Deny == 0 && g.Allow == 0 {
			return g.Name + " has no entries"
		}
	}
	since := l.FailedFrom
	if since.Equal(l.Started) {
		since = since.Add(refreshTime)
	}
	if l.FailedFrom.IsZero() || l.Refreshed.After(since) {
		return ""
	}
	return "no refresh is known to have ended since"
}

// Limits of the age of lists.
const (
	staleLists = 7 * 24 * time.Hour // where it is not known how often they are refreshed
	lateLists  = time.Hour          // over two periods
)

// Age is how old the newest group of lists is, by the host's clock, at a time that is
// since after it was read; -1 where that is not known.
func (l DNSLists) Age(since time.Duration) time.Duration {
	if l.Refreshed.IsZero() {
		return -1
	}
	return max(0, l.At.Sub(l.Refreshed)+max(0, since))
}

// Stale tells whether the lists should have been refreshed long ago.
func (l DNSLists) Stale(since time.Duration) bool {
	limit := staleLists
	switch {
	case l.Period < 0, len(l.Groups) == 0:
		return false
	case l.Period > 0:
		limit = 2*l.Period.Duration() + lateLists
	}
	return l.Age(since) > limit
}

// dnsProblems are what is wrong with the host's DNS servers.
func (s State) dnsProblems(now time.Time, b *bench) {
	if !s.DNS.Usable(now) {
		return
	}
	for _, d := range s.DNS.Value {
		add := func(what string, sev Severity, since time.Time, format string, args ...any) *Problem {
			p := b.add(Object{Kind: KindDNS, Name: d.Key() + what}, sev, since, d.Title()+" on "+s.Host.Name+": "+format, args...)
			p.Because = d.explains()
			return p
		}
		switch {
		case d.None:
		case d.Silent:
			add("", SeverityWarn, time.Time{}, "it runs, and its HTTP API does not answer: %s", d.Err).Cure = d.Cure
		case d.Err != "":
			add("", SeverityUnknown, time.Time{}, "%s", d.Err).Cure = d.Cure
		default:
			s.blockingProblems(d, now, add)
		}
	}
}

// unreadDNS says that DNS servers are not known; where that is because units or
// containers are not, that explains it.
func (s State) unreadDNS(b *bench) {
	n := len(*b)
	unreadSeldom(b, "DNS servers", s.DNS)
	for i := range (*b)[n:] {
		for _, name := range []string{"units", "containers"} {
			(*b)[n+i].Because = append((*b)[n+i].Because, Object{Kind: KindFact, Name: name}.Key())
		}
	}
}

// explains are the problems that would explain one of the server.
func (d DNSServer) explains() (keys []string) {
	if d.Unit != "" {
		keys = append(keys, Object{Kind: KindUnit, Name: d.Unit}.Key())
	}
	if d.Container != "" {
		keys = append(keys, Object{Kind: KindContainer, Name: d.Container, User: d.User}.Key())
	}
	return keys
}

// blockingProblems are those of one that answers. One without any list blocks nothing
// on purpose.
func (s State) blockingProblems(d DNSServer, now time.Time, add func(what string, sev Severity, since time.Time, format string, args ...any) *Problem) {
	lists := d.Lists != nil && d.NoLists == ""
	if off := d.Blocking; off != nil && !off.Enabled && off.Until.IsZero() && (!lists || !d.Lists.None()) {
		add("/off", SeverityWarn, time.Time{}, "%s is off, and nothing turns it on again", strings.TrimSpace("blocking "+strings.Join(off.Groups, ", "))).Cure =
			"sextant dns resume " + s.dnsArgs(d)
	}
	if !lists {
		return
	}
	if why := d.Lists.failing(); why != "" {
		skew := d.At.Sub(d.Lists.At) // between the host's clock and ours
		add("/downloads", SeverityWarn, d.Lists.FailedSeen.Add(skew), "%d attempts to download lists failed since it started, and %s", d.Lists.Failed, why).Cure =
			fmt.Sprintf("its log says which (sextant logs %s %s); then sextant dns refresh %s", s.Host.Name, cmp.Or(d.Unit, d.Container), s.dnsArgs(d))
	}
	if since := now.Sub(d.At); d.Lists.Stale(since) {
		days := d.Lists.Age(since).Hours() / 24
		add("/lists", SeverityWarn, time.Time{}, "its lists were last refreshed %.1f days ago", days).Cure = "sextant dns refresh " + s.dnsArgs(d)
	}
}

// DNSAnswer is what a DNS server says of a name.
type DNSAnswer struct {
	Name     string    `json:"query"`
	Type     string    `json:"type"`
	Kind     string    `json:"responseType"` // "BLOCKED", "CACHED", "RESOLVED", …
	Reason   string    `json:"reason"`
	Response string    `json:"response"`
	Code     string    `json:"returnCode"` // "NOERROR", "NXDOMAIN", …
	At       time.Time `json:"at"`
}

// Line is the answer in a line: "BLOCKED (ads): A (0.0.0.0)".
func (a DNSAnswer) Line() string {
	line := a.Name + " " + a.Type + ": " + a.Kind
	if a.Reason != "" && !strings.EqualFold(a.Reason, a.Kind) {
		line += ", because: " + a.Reason
	}
	return line + ", " + cmp.Or(strings.TrimSpace(a.Code+" "+a.Response), "no answer")
}

// dnsEvents are what happened to the lists of the host's DNS servers, by our clock.
func (s State) dnsEvents() []Event {
	var list []Event
	for _, v := range s.DNS.Value {
		l := v.Lists
		if l == nil || v.NoLists != "" {
			continue
		}
		add := func(at time.Time, level Level, text string) {
			if !at.IsZero() {
				list = append(list, Event{At: at.Add(v.At.Sub(l.At)), Kind: EventDNS, Level: level, Text: text, Source: s.DNS.Source})
			}
		}
		add(l.Refreshed, Info, v.Name()+" made its lists anew")
		if l.Failed > 0 {
			add(l.FailedSeen, Warn, fmt.Sprintf("%s: %d attempts to download lists failed", v.Name(), l.Failed))
		}
	}
	return list
}
