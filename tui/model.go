package tui

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/dialog"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Model is the root model, and the only tea.Model there is. Screens and popups
// are plain structs that it asks and that answer with effects.
type Model struct {
	opts   Options
	ctx    context.Context // ends when the UI ends, and with it all it began
	cancel context.CancelFunc
	clock  func() time.Time // for what happens on the screen, as typing too early
	notice <-chan struct{}
	unsub  func()

	c      *screen.Context
	nav    nav
	popups []screen.Popup
	line   *findLine
	flash  flash
	jobs   []*dialog.Job
	batch  []*dialog.Job // those that are, or last were, under way together

	answered map[int]bool // questions that were answered but are still in the store
	seen     time.Time    // newest message when the message screen was open last
	told     time.Time    // of the newest message that was looked at
	blurred  bool
	away     bool // a shell has the terminal
	mouseOff bool
	counting bool // a countMsg is on its way
	looked   fleet.Focus
	aimed    *fleet.Focus // what will be looked at if it stays so for a moment; nil: what is
	lookGen  int

	cmds   []tea.Cmd // of the message that is being handled
	rev    uint64    // counts changes of what is shown
	drawn  frameKey
	frame  tea.View
	canvas *widget.Canvas
}

// New makes the root model. Close must be called when its program has ended.
func New(opts Options) (*Model, error) { return newModel(context.Background(), opts) }

func newModel(ctx context.Context, opts Options) (*Model, error) {
	opts = opts.withDefaults()
	theme, err := themes.Named(opts.Theme)
	if err != nil {
		return nil, err
	}
	glyphs, err := themes.GlyphSet(opts.Glyphs)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	m := &Model{opts: opts, ctx: ctx, cancel: cancel, clock: time.Now, mouseOff: opts.NoMouse, answered: map[int]bool{}}
	m.notice, m.unsub = opts.Store.Subscribe()
	m.c = &screen.Context{
		Theme: theme, Glyphs: glyphs, Keys: screen.NewKeymap(bindings(opts.Actions), opts.Keys),
		Console: opts.Console, ReadOnly: opts.ReadOnly, Version: opts.Version, Now: opts.Now(),
	}
	m.take(look(opts.Store, opts.Now()))
	m.seen = m.newest()
	m.told = m.seen
	m.nav.open(m.newScreen(screen.Place{Screen: screen.Fleet}))
	m.apply(m.nav.top().Open(m.c))
	m.followQuestions()
	return m, nil
}

// Close ends all that the UI began in the background.
func (m *Model) Close() {
	m.cancel()
	m.unsub()
	m.nav.top().Close()
}

// Init implements tea.Model.
func (m *Model) Init() tea.Cmd {
	cmds := slices.Concat(m.cmds, []tea.Cmd{m.waitStore(), m.after(agesEvery, tickMsg{})})
	m.cmds = nil
	if overSSH(m.opts.Environ) {
		cmds = append(cmds, tea.Raw(askSynchronized))
	}
	return tea.Batch(cmds...)
}

// Update implements tea.Model. It only finds out whose message it is.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	m.cmds = nil
	m.rev++
	m.c.Now = m.opts.Now()
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.c.W, m.c.H = msg.Width, msg.Height
	case tea.KeyPressMsg:
		m.keyPress(msg)
	case tea.PasteMsg:
		m.paste(msg.Content)
	case tea.MouseClickMsg:
		m.click(msg)
	case tea.MouseWheelMsg:
		m.wheel(msg)
	case tea.FocusMsg:
		m.blurred = false
	case tea.BlurMsg:
		m.blurred = true
	case freshMsg:
		m.fresh(msg)
	case tickMsg:
		m.take(fresh{snap: m.c.Snap, fleet: words.JudgeAll(m.c.Snap.Hosts, m.c.Now)})
		m.later(m.after(agesEvery, tickMsg{}))
	case countMsg:
		m.counting = false
	case flashOver:
		m.flash.over(msg)
	case lookMsg:
		m.lookNow(msg)
	case shellOver:
		m.shellOver(msg)
	case planMsg:
		m.planned(msg)
	case planTick:
		m.stillPlans(msg)
	case moreMsg:
		m.filled(msg)
	case jobMsg:
		m.progressed(msg)
	case tea.ColorProfileMsg, tea.EnvMsg, tea.KeyboardEnhancementsMsg, tea.ModeReportMsg, tea.RawMsg:
		m.rev-- // nothing on the screen changes
	default:
		m.apply(m.nav.top().Receive(m.c, msg))
	}
	m.followQuestions()
	m.countDown()
	m.lookLater()
	return m, tea.Batch(m.cmds...)
}

// later has a command run after the message that is being handled.
func (m *Model) later(cmd tea.Cmd) {
	if cmd != nil {
		m.cmds = append(m.cmds, cmd)
	}
}

// tickMsg says that ages may read differently now.
type tickMsg struct{}

// agesEvery is how often ages are looked at. They are told in minutes, so most
// looks change nothing and write nothing.
const agesEvery = 20 * time.Second

// after gives a message after a while, unless the UI ends before. Bubble Tea's
// own Tick would outlive it.
func (m *Model) after(d time.Duration, msg tea.Msg) tea.Cmd {
	ctx := m.ctx
	return func() tea.Msg {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			return msg
		}
	}
}
