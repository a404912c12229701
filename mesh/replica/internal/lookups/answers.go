package lookups

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/ring"
)

const (
	// WakeAfter is how long a director may do nothing, by its monotonic clock. After more it was
	// paused.
	WakeAfter = time.Second

	// lookAhead is for how many users memory is waited for at once. More gains nothing, and the
	// first cache is small.
	lookAhead = 32
)

// Overslept reports whether a director that has done nothing between two moments was paused: others
// may have counted it as failed meanwhile, and what it knew then is not to be relied on.
func Overslept(from, to mono.Time) bool { return to.Sub(from) > WakeAfter }

// Guards switches guards off. Only tests do that; the zero value has all guards on.
type Guards struct {
	// a mapping in its last seconds is answered and recorded whatever the ring says
	NoEndOfLife  bool
	NoHold       bool // lookups of a user being moved are answered
	NoWakeCheck  bool // a director that slept goes on as if nothing had been
	NoDownExpiry bool // mappings on down backends are prolonged
}

// Answers gives and makes the answers of lookups. It is safe for concurrent use; only the core
// changes the view and notes its inputs.
type Answers struct {
	dir    *directory.Directory
	clock  *meshtime.Clock
	outbox *rowset.Outbox // gets each row that a lookup made or changed
	guards Guards

	replaced replacements

	// viewMu is held for reading while a mapping is made from a view, and for writing while the
	// view changes, so that after a change no mapping made from an older view is still on its way
	// to the outbox.
	viewMu    sync.RWMutex
	view      atomic.Pointer[View] // never nil
	lastInput atomic.Int64         // time.Duration; when the core last did something
}

// NewAnswers returns the answers of a director that starts at now. Rows that lookups make or change
// go to the directory and to the outbox.
func NewAnswers(
	now mono.Time, dir *directory.Directory, clock *meshtime.Clock, outbox *rowset.Outbox,
	view *View, guards Guards,
) *Answers {
	a := &Answers{dir: dir, clock: clock, outbox: outbox, guards: guards}
	a.view.Store(view)
	a.NoteInput(now)
	return a
}

// NoteInput notes that the core does something.
func (a *Answers) NoteInput(now mono.Time) { a.lastInput.Store(int64(now)) }

// LastInput is when the core last did something.
func (a *Answers) LastInput() mono.Time { return mono.Time(a.lastInput.Load()) }

// View is what lookups see.
func (a *Answers) View() *View { return a.view.Load() }

// ChangeView lets change alter what lookups depend on, and puts the view that it returns into
// force. No mapping is made meanwhile. When ChangeView returns, no mapping made from an older view
// is missing from the outbox.
func (a *Answers) ChangeView(change func() *View) {
	a.viewMu.Lock()
	a.view.Store(change())
	a.viewMu.Unlock()
}

// overslept reports whether the director was paused until now.
func (a *Answers) overslept(now mono.Time) bool {
	return Overslept(a.LastInput(), now) && !a.guards.NoWakeCheck
}

// Try answers what can be answered at once. It does not allocate for users that have a mapping.
func (a *Answers) Try(now mono.Time, u ring.User) (netip.Addr, bool) {
	if a.overslept(now) {
		return netip.Addr{}, false
	}
	backend, v := a.decide(now, u)
	return backend, v == Answered
}

// TryAll is Try for each of the batch in turn, one user being allowed several times. It waits for
// memory for many users at once. What is not answered gets the zero address.
func (a *Answers) TryAll(now mono.Time, batch []ring.Lookup) {
	if a.overslept(now) {
		Unanswer(batch)
		return
	}
	for ahead := range slices.Chunk(batch, lookAhead) {
		for i := range ahead {
			a.dir.Prefetch(ahead[i].Tag, ahead[i].Hash)
		}
		for i := range ahead {
			l := &ahead[i]
			l.Backend, _ = a.decide(now, ring.User{Tag: l.Tag, Hash: l.Hash})
		}
	}
}

// Unanswer takes the answers of a batch back.
func Unanswer(batch []ring.Lookup) {
	for i := range batch {
		batch[i].Backend = netip.Addr{}
	}
}

// Settle answers a lookup, or gives the zero address and says why not yet. It looks again while
// lookups on other threads get in between.
func (a *Answers) Settle(now mono.Time, u ring.User) (netip.Addr, Verdict) {
	for range 8 {
		if backend, v := a.decide(now, u); v != Raced {
			return backend, v
		}
	}
	return netip.Addr{}, Raced
}

// decide is a user's life as far as one lookup goes: answer and record, or give the zero address
// and say why not yet.
func (a *Answers) decide(now mono.Time, u ring.User) (netip.Addr, Verdict) {
	v := a.view.Load()
	if !v.synced {
		return netip.Addr{}, NotSynced
	}
	t := a.clock.At(now)
	m, status := a.dir.Find(u.Tag, u.Hash, t)
	if status != directory.Live || !m.Backend.IsValid() {
		if status == directory.Live && m.Moving && !a.guards.NoHold {
			return netip.Addr{}, BeingMoved
		}
		return a.assign(v, u, t, m, status)
	}
	if m.Moving && !a.guards.NoHold {
		return netip.Addr{}, BeingMoved
	}
	if len(v.out) > 0 && v.out[m.Backend] {
		return netip.Addr{}, v.leaving(u, m.Backend)
	}
	if t.Sub(m.Activity.Time()) <= a.dir.Share()/2 {
		return m.Backend, Answered
	}
	down := len(v.down) > 0 && v.down[m.Backend]
	// In its last seconds a mapping whose hash has moved is left to die. They are more than the
	// time after which a silent peer has failed, one batch, the clock tolerance and the truncation
	// of ticks together, so no director can have prolonged it meanwhile without our knowing.
	if a.dir.Ends(m).Sub(t) <= directory.EndOfLife && !a.guards.NoEndOfLife {
		if place, _, agree := v.agreed(u); down || !agree || place != m.Backend {
			return netip.Addr{}, Ending
		}
	} else if down && !a.guards.NoDownExpiry {
		return m.Backend, Answered
	}
	recorded, ok := a.dir.Touch(u.Tag, m, t)
	if !ok {
		return netip.Addr{}, Raced
	}
	a.outbox.Push(u.Tag, recorded)
	return recorded.Backend, Answered
}

// assign maps a user that has no mapping; was is what is stored of the user. The lock keeps the
// view from changing until the new row is in the outbox.
func (a *Answers) assign(
	v *View, u ring.User, t directory.Time, was directory.Mapping, status directory.Status,
) (netip.Addr, Verdict) {
	place, ok, agree := v.agreed(u)
	if !agree {
		return netip.Addr{}, RingChanging
	}
	if !ok {
		return netip.Addr{}, NoBackend
	}
	a.viewMu.RLock()
	defer a.viewMu.RUnlock()
	if a.view.Load() != v {
		return netip.Addr{}, Raced
	}
	m, ok := a.dir.Assign(u.Tag, u.Hash, place, t)
	if !ok {
		return netip.Addr{}, Raced
	}
	a.outbox.Push(u.Tag, m)
	if status == directory.Dead && was.Backend.IsValid() && was.Backend != m.Backend {
		a.replaced.add(Replaced{Tag: u.Tag, Was: was, Mapping: m})
	}
	return m.Backend, Answered
}
