package fleet

import (
	"fmt"
	"time"
)

// State is everything known of one host. It is a value: a copy in the store
// is never changed, only replaced.
type State struct {
	Host Host

	Reach       Fact[Reach]
	System      Fact[System]
	Inventory   Fact[Inventory]
	Generations Fact[[]Generation]
	Deploys     Fact[[]Deploy] // newest first
	Units       Fact[[]Unit]   // services that run, failed or own something, the users' too; see the probe
	Timers      Fact[[]Timer]
	Containers  Fact[[]Container]
	Backups     Fact[[]BackupJob]
	Proc        Fact[Proc]
	Metrics     Fact[Metrics]
	Alarms      Fact[[]Alarm]
	Listens     Fact[[]Listener]  // who listens where; asked seldom
	Left        []Left            // who listened before
	Sites       Fact[[]Proxy]     // what its proxies serve; asked seldom
	Services    Fact[[]Service]   // those that Sextant can ask how they are; asked seldom
	Monitors    Fact[[]Monitor]   // monitoring servers of the host, and what they raise; asked seldom
	Secrets     Fact[HostSecrets] // those that it decrypts; asked seldom

	Firewall Fact[Firewall] // what it lets through to whom; asked seldom
	Declared Fact[Declared] // what its modules say should be there; asked seldom

	DNS        Fact[[]DNSServer]   // its DNS servers, and how they block; asked seldom
	MDNS       Fact[[]MDNS]        // its names in the local network; asked seldom
	Networking Fact[Networking]    // how it is on its networks; asked seldom
	NetChanges []NetChange         // what was seen to change there, oldest first
	WAN        *Uplink             // its WAN when that was last certain; nil: it never was
	Rates      map[string]LinkRate // of its links just now, only while they are on the screen; see [State.Rate]

	Raised []HostAlarm                 // what monitors raise of it, be they on another host; of a snapshot, never kept
	Meant  []Meant                     // what is meant to be reached from the internet, of all hosts
	Acks   map[string]Ack              // acknowledged problems, by their keys
	Doing  Doing                       // what is done to it from here just now; never kept
	Asking bool                        // a refresh is under way
	Stats  map[string]ContainerStats   // by container ID, only for what is on screen
	Use    map[string][]ContainerStats // the readings before and that one, oldest first; see [State.Measured]
	Live   []Series                    // measured from now on, only while the host's metrics are on screen and nobody keeps their past
	Trend  []float64                   // CPU of the last readings, 0…1, oldest first
}

// FailedUnits are the names of the units systemd calls failed, the system's and
// the users'; see [Unit.Label].
func (s State) FailedUnits() Fact[[]string] {
	return Derive(s.Failed(), func(units []Unit) []string {
		names := []string{}
		for _, u := range units {
			names = append(names, u.Label())
		}
		return names
	})
}

// Failed are the units systemd calls failed.
func (s State) Failed() Fact[[]Unit] {
	return Derive(s.Units, func(units []Unit) []Unit {
		var failed []Unit
		for _, u := range units {
			if u.Failed() {
				failed = append(failed, u)
			}
		}
		return failed
	})
}

// Derive gives a fact computed from another, with its age, source and error.
func Derive[T, U any](f Fact[T], of func(T) U) Fact[U] {
	out := Fact[U]{At: f.At, Source: f.Source, Err: f.Err, Cure: f.Cure, ErrAt: f.ErrAt, None: f.None}
	if f.HasValue() {
		out.Value = of(f.Value)
	}
	return out
}

// Lost gives the state after the host could not be reached: everything known
// stays with its age, and nothing of it is current.
func (s State) Lost(err error, at time.Time) State {
	why := fmt.Errorf(notReachable+"%w", err)
	s.Unprobed(why, at)
	lose(&s.Deploys, why, at)
	lose(&s.Containers, why, at)
	lose(&s.Backups, why, at)
	lose(&s.Metrics, why, at)
	lose(&s.Alarms, why, at)
	lose(&s.Listens, why, at)
	lose(&s.Sites, why, at)
	lose(&s.Services, why, at)
	lose(&s.Secrets, why, at)
	lose(&s.Firewall, why, at)
	lose(&s.Declared, why, at)
	lose(&s.Monitors, why, at)
	lose(&s.DNS, why, at)
	lose(&s.MDNS, why, at)
	lose(&s.Networking, why, at)
	s.Reach = s.Reach.Refresh(Unknown[Reach](err, at, "ssh"))
	s.Stats, s.Use, s.Live, s.Rates = nil, nil, nil, nil
	return s
}

// notReachable begins why facts are not known of a host that is not reached.
const notReachable = "host not reachable: "

// LostWith tells whether why, the error of a fact, is only that the host itself is
// not reached, as [State.Reach] says.
func (s State) LostWith(why string) bool {
	return s.Reach.Err != "" && why == notReachable+s.Reach.Err
}

func lose[T any](f *Fact[T], why error, at time.Time) {
	if f.None {
		return // what is not there is not there
	}
	f.Err, f.Cure, f.ErrAt = why.Error(), Cure(why), at
}

// Unprobed notes that the host was reached but did not tell what it is.
func (s *State) Unprobed(why error, at time.Time) {
	lose(&s.System, why, at)
	lose(&s.Inventory, why, at)
	lose(&s.Generations, why, at)
	lose(&s.Units, why, at)
	lose(&s.Timers, why, at)
	lose(&s.Proc, why, at)
}
