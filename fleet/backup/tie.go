package backup

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// tieScript prints what ties snapshots to the jobs whose units are its
// arguments: the commands that their units run, for rustic the parts of its
// profile that say what is saved, and the paths that nixpkgs' restic module
// hands over in a file. Of a profile only the sections on backups are printed,
// and of URLs no login: passwords stay on the host.
const tieScript = `
export LC_ALL=C SYSTEMD_COLORS=0
command -v systemctl >/dev/null || exit 0
clean() { sed 's|://[^/@ ]*@|://|g' | head -c 65536; }
profile_of() { # what a profile of rustic says about backups
	on=
	while IFS= read -r line; do
		case $line in
		*use-profiles*) printf 'profile # use-profiles\n' ;;
		'[backup]'* | '[[backup.snapshots]]'* | '[[backup.sources]]'*) on=y ;;
		'['[a-z]* | '[['[a-z]*) on= ;;
		esac
		[ -z "$on" ] || printf 'profile %s\n' "$line"
	done
}
for unit; do
	printf 'unit %s\n' "$unit"
	start=$(systemctl show -p ExecStart --value "$unit")
	commands=$(printf '%s\n' "$start" | sed -n 's|^{ path=[^;]* ; argv\[\]=\(.*\) ; ignore_errors=.*|\1|p')
	for p in $(printf '%s\n' "$start" | sed -n 's|^{ path=\([^ ;]*\) ;.*|\1|p'); do
		[ "$(head -c 2 "$p" 2>/dev/null)" = '#!' ] || continue
		commands="$commands
$(head -c 65536 "$p" | sed -n 's|.*[ /"]\(r[eu]stic"\{0,1\} .*\)|\1|p')"
	done
	printf '%s\n' "$commands" | sed 's/^/command /' | clean
	for p in $(printf '%s\n' "$commands" | sed -n -e 's/.* -P[ =]"*\([^ ;"]*\).*/\1/p' -e 's/.* --use-profile[ =]"*\([^ ;"]*\).*/\1/p'); do
		printf 'named %s\n' "$p"
		head -c 65536 "/etc/rustic/$p.toml" 2>/dev/null | profile_of | clean
	done
	for p in $(systemctl show -p ExecStartPre --value "$unit" | sed -n 's|^{ path=\([^ ;]*\) ;.*|\1|p'); do
		[ "$(head -c 2 "$p" 2>/dev/null)" = '#!' ] || continue
		! grep -q dynamicFilesFromScript "$p" || echo dynamic
		for f in $(sed -n 's|.*\(/nix/store/[^ /]*-staticPaths\).*|\1|p' "$p"); do sed 's/^/path /' "$f" | clean; done
	done
done
`

// tie is what all snapshots of one command have in common. What is not told
// is nil, and says nothing about a snapshot.
type tie struct {
	host  string // "": the host's own name
	label *string
	tags  []string
	paths []string
}

// How well a snapshot fits a job. A snapshot that fits several jobs is of the
// one that it fits best.
const (
	fitNot   = iota
	fitMaybe // nothing tells whether it is the job's
	fitPart  // some of the paths are missing in it: restic leaves out those that do not exist
	fitWell
)

// fit tells how well a snapshot fits what the command of a job would make.
func (t tie) fit(s Snapshot) int {
	switch {
	case t.host != "" && !sameHost(t.host, s.Host),
		t.label != nil && *t.label != s.Label,
		t.tags != nil && !sameSet(t.tags, s.Tags):
		return fitNot
	case t.paths == nil && (t.label == nil || *t.label == "") && len(t.tags) == 0:
		return fitMaybe
	case t.paths == nil, sameSet(t.paths, s.Paths):
		return fitWell
	case len(s.Paths) > 0 && within(s.Paths, t.paths):
		return fitPart
	}
	return fitNot
}

func within(a, b []string) bool {
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}

func sameSet(a, b []string) bool { return within(a, b) && within(b, a) }

// fitOf is how well a snapshot fits the best of a job's commands.
func fitOf(ties []tie, s Snapshot) int {
	if len(ties) == 0 {
		return fitMaybe
	}
	best := fitNot
	for _, t := range ties {
		best = max(best, t.fit(s))
	}
	return best
}

// readTies asks what ties snapshots to jobs, by their units. Where it cannot be
// told, nothing is known of them.
func readTies(ctx context.Context, l link.Link, jobs []evidence) map[string][]tie {
	args := []string{}
	tools := map[string]string{}
	for _, e := range jobs {
		if canList(e) {
			args, tools[e.Unit] = append(args, e.Unit), e.Tool
		}
	}
	if len(args) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := link.Script(tieScript, args...)
	cmd.Root = true
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return nil
	}
	return parseTies(res.Stdout, tools)
}

// saying is what tieScript printed of one unit.
type saying struct {
	commands, paths []string
	profile         []string
	named           int // profiles of rustic
	dynamic         bool
}

// parseTies reads what tieScript prints.
func parseTies(out []byte, tools map[string]string) map[string][]tie {
	ties := map[string][]tie{}
	unit, said := "", saying{}
	end := func() {
		if unit != "" {
			ties[unit] = said.ties(tools[unit])
		}
	}
	for line := range strings.Lines(string(out)) {
		word, rest, _ := strings.Cut(fleet.Clean(strings.TrimRight(line, "\n")), " ")
		switch word {
		case "unit":
			end()
			unit, said = rest, saying{}
		case "command":
			said.commands = append(said.commands, rest)
		case "path":
			said.paths = append(said.paths, rest)
		case "named":
			said.named++
		case "profile":
			said.profile = append(said.profile, rest)
		case "dynamic":
			said.dynamic = true
		}
	}
	end()
	return ties
}

// ties are those of each command that saves something; none where one of them
// is not understood: what it makes could be anything.
func (s saying) ties(tool string) []tie {
	var out []tie
	for _, c := range s.commands {
		args, ok := backupArgs(tool, c)
		if !ok {
			continue
		}
		given, ok := s.parse(args)
		if !ok {
			return nil
		}
		if tool == "rustic" {
			sections, ok := s.sections(given)
			if !ok {
				return nil
			}
			out = append(out, sections...)
			continue
		}
		given.label = nil
		out = append(out, given.tie)
	}
	return out
}

// backupArgs are the arguments of a command behind "backup".
func backupArgs(tool, command string) ([]string, bool) {
	words := strings.Fields(strings.NewReplacer(`"`, " ", "'", " ").Replace(command))
	if len(words) == 0 || path.Base(words[0]) != tool {
		return nil, false
	}
	i := slices.Index(words, "backup")
	if i < 0 {
		return nil, false
	}
	return append(words[1:i:i], words[i+1:]...), true
}

// Options of restic and rustic, by what they say of snapshots. Those with a
// value that says nothing of them must be known, to tell values from paths.
var (
	switches = strings.Fields(`-x --one-file-system --exclude-caches --ignore-inode --ignore-ctime --with-atime --skip-if-unchanged
		--no-scan -q --quiet -v --verbose --json --no-lock --no-cache --cleanup-cache --insecure-tls -f --force --use-fs-snapshot --stdin
		--no-extra-verify --init --no-require-git --git-ignore --no-progress --ignore-devid --set-atime --skip-identical-parent`)
	valued = strings.Fields(`-e --exclude --iexclude --exclude-file --iexclude-file --exclude-if-present --exclude-larger-than --parent
		--read-concurrency -g --group-by -r --repo --repository --repository-file -p --password-file --password-command --key-hint
		--cache-dir --cacert --tls-client-cert -o --option --limit-upload --limit-download --compression --pack-size --retry-lock
		-P --use-profile --glob --iglob --glob-file --iglob-file --custom-ignorefile --log-level --log-file --time --description`)
)

// given is what a command's own arguments tell.
type given struct {
	tie
	asPath string
}

// parse reads the arguments of a backup command; false: not all of them is understood.
func (s saying) parse(args []string) (given, bool) {
	g := given{tie: tie{tags: []string{}}}
	var paths []string
	open := false // there may be more paths
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		take := func() string {
			if !joined && i+1 < len(args) {
				i++
				return args[i]
			}
			return value
		}
		switch {
		case strings.HasPrefix(args[i], "/"):
			paths = append(paths, path.Clean(args[i]))
		case name == "--tag":
			g.tags = append(g.tags, strings.Split(take(), ",")...)
		case name == "--host" || name == "-H" || name == "--hostname":
			g.host = take()
		case name == "--label":
			label := take()
			g.label = &label
		case name == "--as-path":
			g.asPath = take()
		case name == "--stdin-filename":
			paths = append(paths, path.Join("/", take()))
		case name == "--files-from" || name == "--files-from-verbatim":
			take()
			paths = append(paths, s.paths...)
			open = open || s.dynamic || len(s.paths) == 0
		case slices.Contains(valued, name):
			take()
		case !slices.Contains(switches, name):
			return g, false
		}
	}
	if !open && !slices.ContainsFunc(paths, oddPath) {
		g.paths = paths
	}
	return g, true
}

// oddPath tells a path that stands for another: relative ones, patterns, variables.
func oddPath(p string) bool { return !strings.HasPrefix(p, "/") || strings.ContainsAny(p, "*?[$`\\|;") }

// sections are the ties of the snapshots that rustic's profile tells of, with
// what the command itself tells in their place.
func (s saying) sections(g given) ([]tie, bool) {
	text := strings.Join(s.profile, "\n")
	inherits := strings.Contains(text, "# use-profiles")
	var in struct {
		Backup map[string]any `toml:"backup"`
	}
	if s.named > 1 || toml.Unmarshal([]byte(text), &in) != nil {
		return nil, false
	}
	common := section(in.Backup, tie{tags: []string{}})
	list := tables(in.Backup["snapshots"])
	if len(list) == 0 {
		list = tables(in.Backup["sources"]) // before 0.9
	}
	if len(list) == 0 || len(g.paths) > 0 {
		list = []map[string]any{{}}
	}
	var out []tie
	for _, sec := range list {
		t := section(sec, common).with(g)
		if t.label == nil {
			t.label = new(string)
		}
		switch {
		case *t.label != "":
			t.paths, t.tags = nil, nil // made to tell snapshots apart, and enough
		case inherits: // the rest may stand in another profile
			return nil, false
		}
		out = append(out, t)
	}
	return out, true
}

// with puts what a command tells in the place of what its profile does.
func (t tie) with(g given) tie {
	if g.label != nil {
		t.label = g.label
	}
	if len(g.tags) > 0 {
		t.tags = g.tags
	}
	if g.host != "" {
		t.host = g.host
	}
	if len(g.paths) > 0 {
		t.paths = g.paths
	}
	if g.asPath != "" {
		t.paths = []string{g.asPath}
	}
	return t
}

// section reads one section of a profile over what holds for all.
func section(in map[string]any, t tie) tie {
	if v, ok := in["label"].(string); ok {
		t.label = &v
	}
	if v, ok := in["host"].(string); ok {
		t.host = v
	}
	for _, key := range []string{"tags", "tag"} {
		if v := texts(in[key]); len(v) > 0 {
			t.tags = strings.Split(strings.Join(v, ","), ",")
		}
	}
	for _, key := range []string{"sources", "source"} {
		if v := texts(in[key]); len(v) > 0 {
			t.paths = v
		}
	}
	if v, ok := in["as-path"].(string); ok && v != "" {
		t.paths = []string{v}
	}
	return t
}

// texts reads a text or a list of them.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return strings.Fields(v)
	case []any:
		var out []string
		for _, x := range v {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func tables(v any) []map[string]any {
	list, _ := v.([]any)
	var out []map[string]any
	for _, x := range list {
		if m, ok := x.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}
