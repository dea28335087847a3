package fleet

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

func cell(state CellState, why ...string) Cell { return Cell{state, strings.Join(why, "")} }

// judgeRow answers what the host tells by itself: defined, configured, secrets, backed
// up. why is why what is declared is not known.
func (s State) judgeRow(r *ServiceRow, d Declared, why string, now time.Time) {
	r.Configured = s.configured(r, d, why, now)
	if r.Configured.State == CellBroken && !r.runs() && why == "" {
		r.Missing = r.unit == nil && r.box == nil || r.unit != nil && first(d.missing(*r.unit))
	}
	r.Defined = s.defined(r, d, why)
	r.Undeclared = r.Defined.State == CellBroken
	r.Secrets = s.secretsOf(r, now)
	r.BackedUp = s.backedUp(r, d, why, now)
}

func first(is bool, _ string) bool { return is }

// runs tells whether the container or the unit of a row does.
func (r *ServiceRow) runs() bool {
	return r.box != nil && r.box.Running() || r.unit != nil && r.unit.Runs() || r.Process != ""
}

// defined is whether the modules have it.
func (s State) defined(r *ServiceRow, d Declared, why string) Cell {
	listed := ""
	if r.Listed {
		listed = ", and the registry lists it"
	}
	switch {
	case r.User != "":
		return cell(CellNo, "it is ", r.User, "'s own, and not of the host's modules")
	case why != "":
		return cell(CellUnknown, why)
	case r.unit != nil && r.unit.Declares() && d.Toplevel == "":
		return cell(CellNo, "the host is not NixOS: it has no modules; its unit is ", r.unit.File)
	case r.unit != nil && r.unit.Declares():
		return cell(CellYes, r.unit.Name, " is of the system that runs", listed)
	case r.unit != nil && r.runs():
		return cell(CellBroken, "it runs and is not declared: ", r.unit.leftBy())
	case r.unit != nil:
		return cell(CellNo, r.unit.leftBy(), ", and does not run", listed)
	case r.Listed && r.Unit == "" && r.box == nil:
		return cell(CellYes, "the registry lists it")
	case d.Toplevel == "":
		return cell(CellNo, "the host is not NixOS: it has no modules")
	case r.Unit != "":
		return cell(CellUnknown, r.Unit, " was not there when the host's units were read")
	case r.box != nil && !r.box.Running():
		return cell(CellNo, "no unit has it: it was made by hand, and is ", r.box.State)
	case r.box != nil && r.box.Compose != "":
		return cell(CellUnknown, "no unit has it: it is of the Compose project ", r.box.Compose, ", and what starts that is not told")
	case r.box != nil:
		return cell(CellBroken, "it runs and is not declared: no unit has it, it was started by hand", listed)
	}
	return r.ofProcess()
}

// byHand begins the scopes of what people start: of sessions, and by systemd-run.
var byHand = []string{"session-", "run-", "app-"}

// ofProcess is whether the modules have a process of the system's that is in no unit.
func (r *ServiceRow) ofProcess() Cell {
	if r.scope != "" && !slices.ContainsFunc(byHand, func(b string) bool { return strings.HasPrefix(r.scope, b) }) {
		return cell(CellUnknown, r.Process, " runs in ", r.scope, ", and what starts that is not told")
	}
	return cell(CellBroken, "it runs and is not declared: ", r.Process, " runs in no unit, it was started by hand")
}

// leftBy is where a unit that is not declared comes from.
func (u DeclaredUnit) leftBy() string {
	switch u.Origin {
	case FromNowhere:
		return "the file of " + u.Name + " is gone, it is left over from an older system"
	case FromTransient:
		return u.Name + " was started by hand (systemd-run)"
	}
	return u.Name + " was put there by hand (" + u.File + ")"
}

// configured is whether it runs on the host as its modules want it.
func (s State) configured(r *ServiceRow, d Declared, why string, now time.Time) Cell {
	switch {
	case r.box != nil && r.box.Running() && !s.Containers.Usable(now), r.box == nil && r.unit == nil && r.Container == "" && r.Unit == "" && r.Process != "" && !s.Listens.Usable(now):
		return cell(CellUnknown, cmp.Or(s.Containers.Err, s.Listens.Err, "it was not asked yet"))
	case r.box != nil && r.box.Health == "unhealthy":
		return cell(CellBroken, "its container is unhealthy")
	case r.unit != nil && r.unit.Active == "failed":
		return cell(CellBroken, r.unit.Name, " failed: ", cmp.Or(r.unit.Result, "no reason is told"))
	case r.unit != nil && r.unit.Sub == "auto-restart":
		return cell(CellBroken, r.unit.Name, " fails, and is started again and again")
	case r.box != nil && r.box.Running():
		return cell(CellYes, "its container runs", by(r.Unit))
	case r.Process != "":
		return cell(CellYes, r.Process, " runs")
	case r.box != nil && r.User != "":
		return s.boxDown(r)
	case why != "":
		return cell(CellUnknown, why)
	case r.unit != nil:
		return s.unitConfigured(r, d)
	case r.box != nil:
		return s.boxDown(r)
	case r.User != "":
		return cell(CellYes, r.Unit, " of ", r.User, " listens")
	case r.Unit != "":
		return cell(CellUnknown, r.Unit, " was not there when the host's units were read")
	}
	return s.registered(r, now)
}

func by(unit string) string {
	if unit == "" {
		return ""
	}
	return ", by " + unit
}

// boxDown is a container that does not run, of no unit of the system.
func (s State) boxDown(r *ServiceRow) Cell {
	if r.box.Broken() {
		return cell(CellBroken, "its container is ", r.box.State)
	}
	return cell(CellNo, "its container is ", r.box.State)
}

// unitConfigured is how the unit of a row stands.
func (s State) unitConfigured(r *ServiceRow, d Declared) Cell {
	u := *r.unit
	is, unsure := d.missing(u)
	switch {
	case u.Active == "activating", u.Active == "deactivating", u.Job:
		return cell(CellUnknown, u.Name, " is just starting or stopping")
	case u.Runs():
		return cell(CellYes, u.Name, " is active")
	case u.Masked:
		return cell(CellNo, u.Name, " is masked")
	case u.Template():
		return cell(CellNo, u.Name, " is a template")
	case u.Skipped:
		return cell(CellNo, u.Name, " was not started: its conditions are not met")
	case u.Active == "":
		return cell(CellUnknown, "systemd does not tell of ", u.Name)
	case u.Awaits():
		return cell(CellYes, "started when needed, by ", strings.Join(u.Starters, ", "))
	case is:
		return cell(CellBroken, "declared and missing: ", strings.Join(u.WantedBy, ", "), " wants ", u.Name, ", and it does not run")
	case unsure != "":
		return cell(CellUnknown, u.Name, " does not run: ", unsure)
	case len(u.Idle) > 0:
		return cell(CellUnknown, u.Name, " does not run, and what starts it is not active: ", strings.Join(u.Idle, ", "))
	case u.Type == "oneshot" && u.Ran && !u.Stays:
		return cell(CellYes, u.Name, " runs and ends")
	}
	return cell(CellNo, "nothing starts ", u.Name, " and it does not run")
}

// registered is an entry of the registry of which no unit and no container is known.
func (s State) registered(r *ServiceRow, now time.Time) Cell {
	what := "no unit and no container has its name"
	switch {
	case !s.Containers.None && !s.Containers.Usable(now):
		return cell(CellUnknown, what, "; containers are not known: ", cmp.Or(s.Containers.Err, "not asked yet"))
	case len(r.Ports) == 0:
		return cell(CellUnknown, what, ", and the registry has no port of it")
	case !s.Listens.Usable(now):
		return cell(CellUnknown, what, "; who listens is not known: ", cmp.Or(s.Listens.Err, "not asked yet"))
	case !s.Declared.Value.Settled:
		return cell(CellUnknown, what, "; ", s.Declared.Value.Why)
	}
	for _, p := range r.Ports {
		if who := s.whoAt(p); who != "" {
			return cell(CellUnknown, what, "; at its port ", who)
		}
	}
	return cell(CellBroken, "declared and missing: the registry lists it, ", what, ", and nobody listens at ", portList(r.Ports))
}

func portList(ports []uint16) string {
	var all []string
	for _, p := range ports {
		all = append(all, strconv.Itoa(int(p)))
	}
	return "port " + strings.Join(all[:min(len(all), maxNamed)], ", ")
}

// secretsOf is how the secrets that its unit names stand.
func (s State) secretsOf(r *ServiceRow, now time.Time) Cell {
	f := s.Secrets
	switch {
	case r.User != "":
		return cell(CellNo, "what a user's own service uses is not told")
	case f.None:
		return cell(CellNo, f.Err)
	case !f.Usable(now):
		return cell(CellUnknown, cmp.Or(f.Err, "secrets were not asked yet"))
	case r.Unit == "":
		return cell(CellNo, "it has no unit that could name one")
	}
	var names, missing, older []string
	for _, v := range f.Value.Secrets {
		if !slices.Contains(v.UsedBy, r.Unit) {
			continue
		}
		names = append(names, v.Name)
		switch {
		case v.Missing:
			missing = append(missing, v.Name)
		case slices.Contains(s.Older(v), r.Unit):
			older = append(older, v.Name)
		}
	}
	switch {
	case len(missing) > 0:
		return cell(CellBroken, "not decrypted: ", strings.Join(missing, ", "))
	case len(older) > 0:
		return cell(CellBroken, "it runs with an older one: ", strings.Join(older, ", "), " changed after it was started")
	case len(names) > 0:
		return cell(CellYes, strings.Join(names, ", "))
	case len(f.Value.Unseen) > 0:
		return cell(CellUnknown, "not all was seen: ", f.Value.Unseen[0])
	}
	return cell(CellNo, "its unit names none")
}

// backedUp is whether backup jobs save the folders in which it has its data.
func (s State) backedUp(r *ServiceRow, d Declared, why string, now time.Time) Cell {
	data, unknown := r.data(d, why)
	switch {
	case unknown != "":
		return cell(CellUnknown, unknown)
	case len(data) == 0:
		return cell(CellNo, "no folder of its own is known: no volume, no StateDirectory")
	case s.Backups.None:
		return cell(CellNo, "no backup job is on this host; its data are in ", strings.Join(data, ", "))
	case !s.Backups.Usable(now):
		return cell(CellUnknown, cmp.Or(s.Backups.Err, "backups were not asked yet"))
	case len(s.Backups.Value) == 0:
		return cell(CellNo, "no backup job is on this host; its data are in ", strings.Join(data, ", "))
	}
	return s.saved(data)
}

// saved is whether the backup jobs of the host save folders.
func (s State) saved(data []string) Cell {
	var k keeping
	for _, folder := range data {
		k.keep(folder, s.Backups.Value)
	}
	var untold []string
	for _, j := range s.Backups.Value {
		if len(j.Paths) == 0 && j.State != BackupNever {
			untold = append(untold, j.Name)
		}
	}
	saves, not := strings.Join(k.jobs, ", "), strings.Join(slices.Concat(k.without, k.part), ", ")
	switch {
	case len(k.bad) > 0:
		return cell(CellBroken, strings.Join(k.bad, ", "))
	case not != "" && len(untold) > 0:
		return cell(CellUnknown, "no job is seen to save all of ", not, "; what ", strings.Join(untold, ", "), " saves is not known")
	case len(k.unsure) > 0:
		return cell(CellUnknown, strings.Join(k.unsure, ", "))
	case not != "" && len(k.jobs) == 0:
		return cell(CellNo, "no job saves ", not)
	case not != "":
		return cell(CellPart, saves, " saves it, but not all of ", not)
	}
	return cell(CellYes, saves, " saves ", strings.Join(data, ", "))
}

// keeping is how folders are saved, each judged by the best of the jobs that save it.
type keeping struct {
	jobs    []string // that save some of it
	without []string // folders that none saves
	part    []string // and of which only a part is saved
	bad     []string // "JOB is stale", of the best job of a folder
	unsure  []string // "JOB is unknown", likewise
}

func (k *keeping) keep(folder string, jobs []BackupJob) {
	var best *BackupJob
	part := false
	for i, j := range jobs {
		whole := slices.ContainsFunc(j.Paths, func(p string) bool { return within(folder, p) })
		if !whole && !slices.ContainsFunc(j.Paths, func(p string) bool { return within(p, folder) }) {
			continue
		}
		if !slices.Contains(k.jobs, j.Name) {
			k.jobs = append(k.jobs, j.Name)
		}
		part = part || !whole
		if whole && (best == nil || j.worth() > best.worth()) {
			best = &jobs[i]
		}
	}
	switch {
	case best == nil && part:
		k.part = append(k.part, folder)
	case best == nil:
		k.without = append(k.without, folder)
	case best.worth() == 0:
		k.bad = append(k.bad, best.Name+" is "+string(best.State))
	case best.worth() == 1:
		k.unsure = append(k.unsure, best.Name+" is "+string(best.State))
	}
}

// worth is what a job is worth as a backup: 2 where it is fresh, 1 where that is not
// known, 0 where it is not.
func (j BackupJob) worth() int {
	switch j.State {
	case BackupFresh:
		return 2
	case BackupStale, BackupFailed, BackupNever:
		return 0
	}
	return 1
}

// notData are folders that containers are given of the host and that hold no data of
// theirs.
var notData = []string{"/nix", "/run", "/dev", "/proc", "/sys", "/tmp", "/etc/localtime", "/etc/timezone", "/etc/ssl", "/etc/static", "/var/run"}

// data are the folders in which a service has its data; unknown is why they are not
// known.
func (r *ServiceRow) data(d Declared, why string) (folders []string, unknown string) {
	switch {
	case r.User != "":
		return nil, "what a user's own service has is not told"
	case why != "":
		return nil, why
	}
	if r.unit != nil {
		folders = append(folders, r.unit.State...)
	}
	if r.Container != "" {
		mounts, ok := d.Data[r.Container]
		if !ok {
			return nil, "what its container mounts is not known"
		}
		for _, m := range mounts {
			if !slices.ContainsFunc(notData, func(n string) bool { return within(m, n) }) && !slices.Contains(folders, m) {
				folders = append(folders, m)
			}
		}
	}
	return folders, ""
}

// within tells whether a path is another or lies in it. What systemd keeps for a user
// that it makes up lies in /var/lib/private, and is reached by /var/lib.
func within(p, folder string) bool {
	p, folder = path.Clean(p), path.Clean(folder)
	return folder == "/" || p == folder || strings.HasPrefix(p, folder+"/")
}
