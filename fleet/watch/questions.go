package watch

import (
	"context"
	"slices"
	"sync"

	"github.com/sextant-fleet/sextant/fleet"
)

// Questions puts what links ask into the store, where a screen finds it, and
// takes the answer back. It is a link.Asker.
type Questions struct {
	Store *fleet.Store

	mu      sync.Mutex
	last    int
	waiting []fleet.Question
	replies map[int]chan fleet.Reply
}

// Ask puts a question and waits for its reply, or for the end of ctx.
func (q *Questions) Ask(ctx context.Context, ask fleet.Question) (fleet.Reply, error) {
	reply := make(chan fleet.Reply, 1)
	q.mu.Lock()
	q.last++
	ask.ID = q.last
	if q.replies == nil {
		q.replies = map[int]chan fleet.Reply{}
	}
	q.replies[ask.ID] = reply
	q.waiting = append(q.waiting, ask)
	q.Store.SetQuestions(q.waiting)
	q.mu.Unlock()
	defer q.drop(ask.ID)
	select {
	case r := <-reply:
		return r, nil
	case <-ctx.Done():
		return fleet.Reply{}, context.Cause(ctx)
	}
}

func (q *Questions) drop(id int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.replies, id)
	q.waiting = slices.DeleteFunc(q.waiting, func(a fleet.Question) bool { return a.ID == id })
	q.Store.SetQuestions(q.waiting)
}

// Answer answers a question; one that no longer waits is passed over.
func (q *Questions) Answer(id int, r fleet.Reply) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ch, ok := q.replies[id]; ok {
		select {
		case ch <- r:
		default: // answered already
		}
	}
}
