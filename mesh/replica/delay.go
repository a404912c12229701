package replica

import (
	"net/netip"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/ring"
)

// The last phase of a move: sessions that the kickers have just ended are still ending on the old
// backend. For how long is a guess, the kick delay, unless the backend itself can be asked.

// leastDelay is how long a user is held at least of whom there may have been something. Deliveries
// of mail are over by then, which Dovecot 2.3 does not list.
const leastDelay = 100 * time.Millisecond

// AskVacant asks the old backend of a moved user whether it has sessions of that user left, again
// and again until it has none; to be answered by VacantDone.
type AskVacant struct {
	ID      uint64
	Hash    ring.UserHash
	Tag     ring.Tag
	Backend netip.Addr
	// Within is how long a backend may take to answer at all; Cutoff, until it has none left.
	Within, Cutoff time.Duration
}

func (AskVacant) effect() {}

// startDelay waits for the sessions just ended to be over, unless there can have been none.
func (mo *mover) startDelay(now mono.Time, m *moves.Move) {
	m.Phase, m.Until = moves.Delaying, now.Add(mo.cfg.KickDelay)
	idle := m.Was != directory.Live || !m.Previous.Backend.IsValid() ||
		mo.clock.At(now).Sub(m.Previous.Activity.Time()) > mo.dir.Share()+idleMargin
	switch {
	case !m.Unsure && idle:
		m.Until = now
	case mo.cfg.AsksBackends && m.Was == directory.Live && m.Previous.Backend.IsValid() &&
		m.Previous.Backend != m.Row.Backend:
		mo.askVacant(now, m)
	}
}

// askVacant has the old backend say when it has no session of the user left. Then the user is let
// in at once; but where some kicker does not know what was on its way to the backend, not before
// the kick delay has passed. If the backend cannot be asked the kick delay counts alone.
func (mo *mover) askVacant(now mono.Time, m *moves.Move) {
	delayed, row := m.Until, m.Row
	bound := m.Started.Add(releaseBy)
	if _, known := mo.table.Row(m.Previous.Backend); !known {
		return
	}
	m.Until = bound
	id := mo.newID()
	mo.kicks.Begin(id, bound, func(r KickResult, _ error) {
		if m.Phase != moves.Delaying || !moves.Same(m.Row, row) {
			return
		}
		m.Until = delayed
		if r.Known && !m.Unknown {
			m.Until = min(delayed, max(m.HeldAt.Add(leastDelay), mo.lookups.LastInput()))
		}
		mo.moves.Touch(m)
	})
	mo.emit(AskVacant{
		ID: id, Hash: m.User.Hash, Tag: m.User.Tag, Backend: m.Previous.Backend,
		Within: mo.cfg.KickDelay, Cutoff: bound.Sub(now),
	})
}

// VacantDone takes the answer to an AskVacant effect: vacant says that the backend has no session
// of the user left, else it is not known.
func (c *Core) VacantDone(now mono.Time, id uint64, vacant bool) {
	defer c.enter(now)()
	if vacant {
		c.counters.VacatedMoves++
	} else {
		c.counters.UnansweredMoves++
	}
	c.kicks.Finish(id, KickResult{Known: vacant}, nil)
}
