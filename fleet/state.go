package fleet

// State is everything known of one host. It is a value: a copy in the store
// is never changed, only replaced.
type State struct {
	Host Host

	Reach       Fact[Reach]
	System      Fact[System]
	Inventory   Fact[Inventory]
	Generations Fact[[]Generation]
	Units       Fact[[]Unit] // services that run, failed or own something; see the probe
	Timers      Fact[[]Timer]
	Containers  Fact[[]Container]
	Backups     Fact[[]BackupJob]
	Proc        Fact[Proc]
	Metrics     Fact[Metrics]
	Alarms      Fact[[]Alarm]

	Asking bool                      // a refresh is under way
	Stats  map[string]ContainerStats // by container ID, only for what is on screen
	Trend  []float64                 // CPU of the last readings, 0…1, oldest first
}

// FailedUnits are the names of the units systemd calls failed.
func (s State) FailedUnits() Fact[[]string] {
	return Derive(s.Units, func(units []Unit) []string {
		names := []string{}
		for _, u := range units {
			if u.Failed() {
				names = append(names, u.Name)
			}
		}
		return names
	})
}

// Derive gives a fact computed from another, with its age, source and error.
func Derive[T, U any](f Fact[T], of func(T) U) Fact[U] {
	out := Fact[U]{At: f.At, Source: f.Source, Err: f.Err, ErrAt: f.ErrAt, None: f.None}
	if f.HasValue() {
		out.Value = of(f.Value)
	}
	return out
}
