package probe

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"net/netip"
	"sync"
	"time"
)

// DefaultAtATime is how many servers are checked at a time unless a Watcher says otherwise. A check
// takes milliseconds, one that fails for want of an answer nearly a whole round.
const DefaultAtATime = 256

// Watcher checks servers again and again, each once in a round. The checks of a round are spread
// over it.
type Watcher struct {
	Prober  *Prober
	Checks  []Check
	Every   time.Duration                           // a round
	Servers func() []netip.Addr                     // those to check; asked in each round
	Report  func(server netip.Addr, failure string) // failure is "" for a good one; must not block
	Seed    uint64                                  // of the spread, another one at each director
	AtATime int                                     // 0: DefaultAtATime
	// Count is told of each server that was checked: the word of its failure, "" if it is good.
	Count func(server netip.Addr, word Word)
}

// Run checks until ctx ends, and waits for the checks that run then.
func (w *Watcher) Run(ctx context.Context) {
	r := watch{
		Watcher: w, turns: make(chan struct{}, cmp.Or(w.AtATime, DefaultAtATime)),
		running: make(map[netip.Addr]bool),
	}
	defer r.all.Wait()
	rounds := time.NewTicker(w.Every)
	defer rounds.Stop()
	for {
		for _, server := range w.Servers() {
			if r.begin(server) {
				r.all.Go(func() { r.check(ctx, server) })
			}
		}
		select {
		case <-rounds.C:
		case <-ctx.Done():
			return
		}
	}
}

// watch is a Watcher that runs.
type watch struct {
	*Watcher
	turns chan struct{}
	all   sync.WaitGroup

	mu      sync.Mutex
	running map[netip.Addr]bool // guarded by mu
}

// begin reports whether a server is to be checked now: its last check has ended.
func (r *watch) begin(server netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running[server] {
		return false
	}
	r.running[server] = true
	return true
}

func (r *watch) end(server netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, server)
}

// check checks a server at its moment of the round, in four fifths of a round at most.
func (r *watch) check(ctx context.Context, server netip.Addr) {
	defer r.end(server)
	moment := time.NewTimer(r.moment(server))
	defer moment.Stop()
	select {
	case <-moment.C:
	case <-ctx.Done():
		return
	}
	select {
	case r.turns <- struct{}{}:
		defer func() { <-r.turns }()
	case <-ctx.Done():
		return
	}
	limited, cancel := context.WithTimeout(ctx, r.Every*4/5)
	defer cancel()
	err := r.Prober.All(limited, server, r.Checks)
	if ctx.Err() != nil {
		return // it did not fail, we stop
	}
	var failure *Failure
	if errors.As(err, &failure) {
		r.Count(server, failure.Word)
		r.Report(server, failure.Error())
		return
	}
	r.Count(server, "")
	r.Report(server, "")
}

// moment is when in a round a server is checked.
func (r *watch) moment(server netip.Addr) time.Duration {
	h := fnv.New64a()
	addr := server.As16()
	h.Write(addr[:]) // never fails
	return time.Duration((h.Sum64() ^ r.Seed) % uint64(r.Every))
}
