package fleet

import (
	"context"
	"io"
)

// Scope says what an action acts on.
type Scope string

// Scopes.
const (
	ScopeHost      Scope = "host"
	ScopeContainer Scope = "container"
	ScopeUnit      Scope = "unit"
	ScopeFleet     Scope = "fleet"
	ScopeJob       Scope = "job"     // a backup job: [Target.Item]
	ScopeFinding   Scope = "finding" // a problem of a host: [Target.Finding]
	ScopeNode      Scope = "node"    // nodes of the tailnet: [Target.Nodes]
	ScopeDNS       Scope = "dns"     // a DNS server of a host: [Target.DNS]
)

// Target is what an action is asked to act on.
type Target struct {
	Hosts      []State
	Container  string   // name, with ContainerUser, for ScopeContainer
	User       string   // whose container or user unit; empty: root's
	Unit       string   // for ScopeUnit
	Item       string   // the key of a backup job, for ScopeJob
	Snapshot   string   // of that job, where one was chosen
	Path       string   // of a file or folder in it
	Finding    string   // the key of a problem, for ScopeFinding
	Nodes      []string // the IDs of nodes of the tailnet, for ScopeNode
	DNS        string   // the key of a DNS server, for ScopeDNS
	Image      string   // the name of one, in place of a container's
	Generation int      // of the one host's systems, where one was chosen; 0: none

	Each []Target // where several containers or units are marked: each of them, with its host; see [Action.Over]

	Chosen map[string]string // what was chosen of the action's choices, by their IDs
}

// Choice is something that can be chosen before an action is planned.
type Choice struct {
	ID     string
	Title  string
	Values []string // the first is what is done where nothing is chosen
	Typed  bool     // any text may be typed: the first value is what stands there

	Optional bool                // of what is typed: nothing need be
	Hint     string              // what it is where nothing is typed
	Help     string              // one line: what may be chosen, where its title does not say it
	Rare     bool                // hardly ever chosen: told behind those that are
	When     func(Target) bool   // whether there is anything to choose, with what is chosen; nil: always
	Wrong    func(Target) string // why what is chosen cannot be meant; "" or nil: it can
}

// Offered tells whether there is anything to choose for t.
func (c Choice) Offered(t Target) bool { return c.When == nil || c.When(t) }

// Fault is why what t has of the choice cannot be meant, or "".
func (c Choice) Fault(t Target) string {
	switch {
	case c.Typed && !c.Optional && t.Chose(c) == "":
		return c.Title + ": nothing is typed yet"
	case c.Wrong == nil:
		return ""
	}
	return c.Wrong(t)
}

// Chose gives what was chosen, or what is done where nothing is.
func (t Target) Chose(c Choice) string {
	if v, ok := t.Chosen[c.ID]; ok {
		return v
	}
	return c.Values[0]
}

// Action is something a person can have done. It is declared once and feeds
// the keys, the palette, the menu, the command line, the help and the docs.
type Action struct {
	ID       string // "rollback"; also the subcommand
	Title    string // "Roll back"
	Help     string // one line: what it does
	Keys     []string
	Scope    Scope
	Danger   bool                // changes a host: off when read-only, asks first
	Single   bool                // of a container or unit: not for several at once
	Disabled func(Target) string // why it cannot be done now; "" or nil: it can
	Choices  []Choice            // what a person may choose before it is planned
	Plan     func(context.Context, Target) (Plan, error)
	Prepare  func(context.Context, Target, func(line string)) (Plan, error) // in place of Plan where that takes long: it says how far it is
	Run      func(context.Context, Target, func(line string)) error
}

// Off gives the reason why the action cannot be done to t, or "".
func (a Action) Off(t Target) string {
	if a.Disabled == nil {
		return ""
	}
	return a.Disabled(t)
}

// Plans tells whether what the action will do is told before.
func (a Action) Plans() bool { return a.Plan != nil || a.Prepare != nil }

// Planned is what the action will do to t; say is told how far finding that out is.
func (a Action) Planned(ctx context.Context, t Target, say func(line string)) (Plan, error) {
	if a.Prepare != nil {
		return a.Prepare(ctx, t, say)
	}
	return a.Plan(ctx, t)
}

// Plan is what an action will do, told before it does it.
type Plan struct {
	Title string
	Lines []string
	Typed string   // what must be typed to agree; empty: y
	Log   []string // of what failed while it was found out; it is opened by a key

	// More gives lines that take longer to find out: they are filled in after the
	// question is shown. May be nil.
	More func(context.Context) []string
}

// Focus is what a person is looking at; it decides what is kept live.
type Focus struct {
	Host       HostID   // "" on the fleet screen
	Tab        string   // "containers", "metrics", …
	Containers []string // IDs of the containers on screen: their stats stream
	Idle       bool     // nobody is looking (a shell is open, the terminal lost focus)
}

// TabNetwork is the Tab of a focus in which what passes through links is measured: of
// its host, or of all where it has none.
const TabNetwork = "network"

// Session is an interactive program that takes over the terminal, such as a
// shell on a host. It fits Bubble Tea's ExecCommand.
type Session interface {
	SetStdin(io.Reader)
	SetStdout(io.Writer)
	SetStderr(io.Writer)
	Run() error
}

// Console is what screens and commands may ask for beyond the facts in the
// store. None of its methods block on a host, except where they take a context.
type Console interface {
	// Look says what is on the screen now.
	Look(Focus)
	// Refresh asks a host everything again, at once; "" is every host.
	Refresh(HostID)
	// Answer answers a question of the store.
	Answer(id int, reply Reply)
	// Logs opens a log, or several as one.
	Logs(context.Context, LogQuery) (LogStream, error)
	// SaveLog writes lines of a log to a file of this machine and tells where.
	SaveLog(name string, lines []string) (path string, err error)
	// Series reads measurements for charts, of a host or of one of its containers.
	Series(ctx context.Context, host HostID, q SeriesQuery) ([]Series, error)
	// Units reads all units of a host, with what each costs to ask for.
	Units(context.Context, HostID) (UnitList, error)
	// Shared reads the pods, networks and volumes of a host, and who uses them.
	Shared(context.Context, HostID) Fact[Shared]
	// Unit reads all that systemd tells of one unit; user is whose it is. What its
	// file puts into the environment is hidden unless secrets says otherwise.
	Unit(ctx context.Context, host HostID, unit, user string, secrets bool) (UnitDetail, error)
	// Container reads all that an engine tells of a container of the store; what
	// looks secret is hidden unless secrets says otherwise.
	Container(ctx context.Context, host HostID, c Container, secrets bool) (ContainerDetail, error)
	// Processes reads which processes run in a container, as Container does.
	Processes(ctx context.Context, host HostID, c Container, secrets bool) (ContainerTop, error)
	// Snapshots reads the snapshots of a backup job, newest first.
	Snapshots(ctx context.Context, host HostID, job string) ([]BackupSnapshot, error)
	// SnapshotFiles reads one folder of a snapshot.
	SnapshotFiles(ctx context.Context, host HostID, job, snapshot, path string) (FileList, error)
	// SnapshotDiff reads how two snapshots of a job differ.
	SnapshotDiff(ctx context.Context, host HostID, job, from, to string) (SnapshotDiff, error)
	// Images reads the images of a host under each of their names; newer has the
	// registries asked before.
	Images(ctx context.Context, host HostID, newer bool) Fact[[]NamedImage]
	// Ping asks how traffic from this machine gets to nodes of the tailnet, and tells
	// each as it is known. It returns when all have answered, or will not.
	Ping(ctx context.Context, nodes []Node, tell func(id string, path Fact[Path]))
	// Trace goes the way from a public name to what answers.
	Trace(ctx context.Context, url string) (Trace, error)
	// Shell gives an interactive login on a host.
	Shell(HostID) (Session, error)
	// Exec gives a shell in a container; user is whose container it is. It ends
	// with the context, and what was begun in the container with it.
	Exec(ctx context.Context, host HostID, container, user string) (Session, error)
}
