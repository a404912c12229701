package kick

import (
	"container/list"
	"context"
	"sync"
)

// gate lets a number of things in at a time. Who waits gets in in order. The number may change: if
// it falls, those that are in finish.
type gate struct {
	mu      sync.Mutex // guards what follows
	limit   int
	in      int
	waiting list.List // of chan struct{}, closed when its turn has come; oldest first
}

func newGate(limit int) *gate { return &gate{limit: limit} }

// enter waits until one more may be in, or returns the cause of ctx's end. leave ends it.
func (g *gate) enter(ctx context.Context) error {
	g.mu.Lock()
	if g.in < g.limit && g.waiting.Len() == 0 {
		g.in++
		g.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	place := g.waiting.PushBack(turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-turn: // at the same moment; somebody else gets in
		g.in--
		g.admit()
	default:
		g.waiting.Remove(place)
	}
	return context.Cause(ctx)
}

// leave lets the next one in.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.in--
	g.admit()
}

// resize changes how many may be in.
func (g *gate) resize(limit int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit = limit
	g.admit()
}

// size is how many may be in.
func (g *gate) size() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limit
}

// admit lets in who waits, as far as there is room. mu must be locked.
func (g *gate) admit() {
	for g.in < g.limit && g.waiting.Len() > 0 {
		close(g.waiting.Remove(g.waiting.Front()).(chan struct{}))
		g.in++
	}
}
