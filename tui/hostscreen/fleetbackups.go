package hostscreen

import (
	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
)

// NewBackups makes the screen of the backups of all hosts: the jobs, what is broken
// first, and the repositories. A job in full is on its host's screen.
func NewBackups() screen.Screen {
	jobs := backups(true)
	jobs.lacking("No backup job is known on any host.", func(st fleet.State) known { return standingOf(st.Backups) }, withoutBackup)
	return &views{list: []view{
		{"Jobs", &page{
			lists: jobs, place: screen.Place{Screen: screen.Backups}, title: "Backups", groups: []string{"deploys"},
			hints: []string{"back", "enter", "snapshots", "view", "logs", "sort", "find", "menu", "refresh", "help"},
			what:  "name", live: "backups",
			where: func(r row) (screen.Place, bool) {
				return screen.Place{Screen: screen.Host, Host: r.of.Host.ID, Tab: "backups", Item: jobOf(r).Key()}, true
			},
		}},
		{"Repositories", newRepositories()},
	}}
}

// withoutBackup names the hosts that have no backup.
func withoutBackup(states []fleet.State) naming {
	var names []string
	for _, st := range states {
		if st.Backups.None || st.Backups.Current() && len(st.Backups.Value) == 0 {
			names = append(names, st.Host.Name)
		}
	}
	return naming{themes.Warn, "no backup: ", names}
}
