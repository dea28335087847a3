package tui

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/dialog"
	"github.com/sextant-fleet/sextant/tui/palette"
	"github.com/sextant-fleet/sextant/tui/screen"
)

// planMsg brings the plan of a job.
type planMsg struct {
	job  *dialog.Job
	plan fleet.Plan
	err  error
}

// jobMsg says that a job has said something, or has ended.
type jobMsg struct {
	job  *dialog.Job
	over bool
	err  error
}

// maxJobs bounds the actions that are remembered.
const maxJobs = 30

// planTick says that a plan may still be on its way, and takes longer than told.
type planTick struct{ job *dialog.Job }

// moreMsg brings what was still to be filled into a plan.
type moreMsg struct {
	job   *dialog.Job
	lines []string
}

// start begins an action; where something can be chosen, that is asked first.
func (m *Model) start(a fleet.Action, t fleet.Target) {
	a = a.Over(t)
	if len(a.Choices) > 0 {
		m.popup(dialog.NewForm(a, t))
		return
	}
	m.begin(a, t)
}

// begin begins an action: those that change a host, or have a plan, ask first.
func (m *Model) begin(a fleet.Action, t fleet.Target) {
	j := dialog.NewJob(m.ctx, len(m.jobs), a, t)
	switch {
	case a.Plans():
		j.Asked = m.c.Now
		m.popup(dialog.NewConfirm(j, m.clock))
		m.later(func() tea.Msg {
			plan, err := a.Planned(j.Ctx, t, j.Say)
			return planMsg{j, plan, err}
		})
		m.later(waitLines(j))
		m.later(m.after(time.Second, planTick{j}))
	case a.Danger:
		j.Plan = &fleet.Plan{Title: a.Help}
		m.popup(dialog.NewConfirm(j, m.clock))
	default:
		m.run(j)
	}
}

// planned shows the plan in its popup, if that is still there.
func (m *Model) planned(msg planMsg) {
	j := msg.job
	j.Plan, j.Failed = &msg.plan, msg.err
	if c := m.confirms(j); c != nil {
		c.Planned()
		if c.More = msg.plan.More != nil && msg.err == nil; c.More {
			m.later(func() tea.Msg { return moreMsg{j, msg.plan.More(j.Ctx)} })
		}
	}
}

// filled takes in what was still missing of a plan.
func (m *Model) filled(msg moreMsg) {
	msg.job.Plan.Lines = append(msg.job.Plan.Lines, msg.lines...)
	if c := m.confirms(msg.job); c != nil {
		c.More = false
	}
}

// stillPlans tells how long a plan takes, for as long as it does.
func (m *Model) stillPlans(msg planTick) {
	if msg.job.Plan == nil && m.confirms(msg.job) != nil {
		m.later(m.after(time.Second, msg))
	}
}

// confirms is the popup that asks about a job; nil: it is closed.
func (m *Model) confirms(j *dialog.Job) *dialog.Confirm {
	for _, p := range m.popups {
		if c, ok := p.(*dialog.Confirm); ok && c.Job == j {
			return c
		}
	}
	return nil
}

// run does an action in the background and shows what it says.
func (m *Model) run(j *dialog.Job) {
	m.begun(j)
	j.Began = m.c.Now
	m.jobs = append(m.jobs, j)
	for len(m.jobs) > maxJobs && !m.jobs[0].Running() {
		m.jobs = m.jobs[1:]
	}
	m.popup(dialog.NewProgress(m.jobs, m.clock))
	m.later(func() tea.Msg {
		return jobMsg{job: j, over: true, err: j.Action.Run(j.Ctx, j.Target, j.Say)}
	})
	if j.Asked.IsZero() { // else they are waited for since it was planned
		m.later(waitLines(j))
	}
}

// waitLines waits until a job has said something.
func waitLines(j *dialog.Job) tea.Cmd {
	return func() tea.Msg {
		select {
		case <-j.Ctx.Done():
			return nil
		case <-j.More():
		}
		select {
		case <-j.Ctx.Done():
		case <-time.After(freshEvery):
		}
		return jobMsg{job: j}
	}
}

// progressed takes in what a job said; its end is told and kept.
func (m *Model) progressed(msg jobMsg) {
	j := msg.job
	if !msg.over {
		m.later(waitLines(j))
		return
	}
	stopped := errors.Is(j.Ctx.Err(), context.Canceled)
	j.Ended, j.Err = m.c.Now, msg.err
	j.Cancel()
	did := strings.TrimSpace(j.Action.Title + " " + j.Object())
	what, how := screen.Flash{Level: fleet.Info, Host: j.Hosts(), Text: did + ": done"}, "is done"
	switch {
	case msg.err != nil && stopped:
		how = "was stopped"
		what.Level, what.Text = fleet.Warn, did+": stopped: "+fleet.InFull(msg.err)
	case msg.err != nil:
		how = "failed"
		what.Level, what.Text = fleet.Error, did+" failed: "+fleet.InFull(msg.err)
	default:
		m.opts.Store.Note(fleet.Message{At: m.c.Now, Level: fleet.Info, Host: j.Hosts(), Text: what.Text})
	}
	m.tell(what)
	m.announce(j, how)
	for _, st := range j.Target.Hosts {
		m.opts.Console.Refresh(st.Host.ID)
	}
	m.askScreen()
}

// running is how many actions are under way.
func (m *Model) running() int {
	n := 0
	for _, j := range m.jobs {
		if j.Running() {
			n++
		}
	}
	return n
}

func (m *Model) showJobs() {
	if len(m.jobs) == 0 {
		m.tell(screen.Flash{Level: fleet.Info, Text: "no action was begun yet"})
		return
	}
	m.popup(dialog.NewProgress(m.jobs, m.clock))
}

// asksToQuit tells whether leaving was asked about already.
func (m *Model) asksToQuit() bool {
	if len(m.popups) == 0 {
		return false
	}
	_, ok := m.popups[len(m.popups)-1].(*dialog.Quit)
	return ok
}

// followQuestions opens the popup of the oldest question that waits, and
// closes those of questions that are gone.
func (m *Model) followQuestions() {
	waiting := map[int]bool{}
	for _, q := range m.c.Snap.Questions {
		waiting[q.ID] = true
	}
	for id := range m.answered {
		if !waiting[id] {
			delete(m.answered, id)
		}
	}
	kept := m.popups[:0]
	open := false
	for _, p := range m.popups {
		if d, ok := p.(*dialog.Question); ok {
			if !waiting[d.Ask.ID] || m.answered[d.Ask.ID] {
				continue
			}
			open = true
		}
		kept = append(kept, p)
	}
	m.popups = kept
	if !open && !m.types() {
		m.ask()
	}
}

// ask opens the popup of the oldest question that nobody answered and that
// belongs here.
func (m *Model) ask() {
	for _, q := range m.c.Snap.Questions {
		if !m.answered[q.ID] && m.belongs(q) {
			m.popup(dialog.NewQuestion(q, m.clock))
			m.askAgain(q)
			return
		}
	}
}

// askAgain has the host of a system that waits tell how long it still does.
func (m *Model) askAgain(q fleet.Question) {
	for _, st := range m.c.Snap.Hosts {
		if q.Kind == fleet.AskConfirm && st.Host.Name == q.Host {
			m.opts.Console.Refresh(st.Host.ID)
		}
	}
}

// types tells whether a person types: what opened meanwhile would get the rest
// of it.
func (m *Model) types() bool {
	if n := len(m.popups); n > 0 {
		_, typed := m.popups[n-1].(*palette.List)
		return typed
	}
	return m.line != nil
}

// belongs tells whether a question may open by itself on this screen: who looks into one
// host is not interrupted by another, whose question waits until the fleet is looked at.
// What a host tells only to root can wait until that host is looked into, or something
// is done there.
func (m *Model) belongs(q fleet.Question) bool {
	if st, ok := m.c.Snap.Host(m.nav.top().Place().Host); ok {
		return st.Host.Name == q.Host
	}
	return q.Kind != fleet.AskSudo || m.worksOn(q.Host)
}

// worksOn tells whether something is done on a host, or is about to be.
func (m *Model) worksOn(host string) bool {
	on := func(j *dialog.Job) bool {
		return j.Ended.IsZero() && (j.Has(host) || slices.Contains(slices.Collect(maps.Values(j.Target.Chosen)), host)) // it is built there
	}
	return slices.ContainsFunc(m.jobs, on) || slices.ContainsFunc(m.popups, func(p screen.Popup) bool {
		c, ok := p.(*dialog.Confirm)
		return ok && on(c.Job)
	})
}

// waiting are the questions that do not open here and now.
func (m *Model) waiting() (list []fleet.Question) {
	for _, q := range m.c.Snap.Questions {
		if !m.answered[q.ID] && (!m.belongs(q) || m.types()) {
			list = append(list, q)
		}
	}
	return list
}
