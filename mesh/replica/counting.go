package replica

import (
	"slices"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// Streams prove that a director runs: a handshake cannot be recorded and sent again. What comes
// without a stream, by memberlist, counts only if it is of a director whose stream is up here or at
// a live peer. So each director reports to its peers which directors it counts.

// maxLives bounds how many lives a peer may say that it counts.
const maxLives = 2 * MaxDirectors

// MaxDirectors is how many directors a mesh may have.
const MaxDirectors = wire.MaxDirectors

// runs reports whether a life of a director is going on: its frames reach us or a live peer.
func (gs *gossiping) runs(l wire.Life) bool {
	if gs.cfg.Guards.NoFreshness {
		return true
	}
	if p := gs.peers.get(l.Name); p != nil && p.live && p.boot == l.Boot {
		return p.clock.Near() && !gs.strange(p)
	}
	return gs.countedByPeer(l)
}

// vouches reports whether it counts here what a peer says of others.
func (gs *gossiping) vouches(p *peer) bool {
	return p.live && p.clock.Near() && !gs.strange(p)
}

// countedByPeer reports whether a live peer says that it counts a life of a director.
func (gs *gossiping) countedByPeer(l wire.Life) bool {
	return slices.ContainsFunc(gs.peers.all, func(p *peer) bool {
		return gs.vouches(p) && p.counts[l]
	})
}

// peersCountMore reports whether a live peer says that it counts a director that we do not.
func (gs *gossiping) peersCountMore() bool {
	for _, p := range gs.peers.all {
		if !gs.vouches(p) {
			continue
		}
		for l := range p.counts {
			q := gs.peers.get(l.Name)
			if l.Name != gs.cfg.Name && (q == nil || !q.live || !q.Counted || q.boot != l.Boot) {
				return true
			}
		}
	}
	return false
}

// lookForUnmet finds the directors that our peers count, or have lost, and that we have not met
// since we started. A director that restarts on one side of a split knows by that how many are
// missing.
func (gs *gossiping) lookForUnmet(now mono.Time) {
	since := make(map[string]mono.Time)
	for _, p := range gs.peers.all {
		if !gs.vouches(p) {
			continue
		}
		for l := range p.counts {
			gs.noteUnmet(now, l, since)
		}
		for _, l := range p.lost {
			gs.noteUnmet(now, l, since)
		}
	}
	gs.peers.since, gs.peers.unmet = since, nil
	for name, at := range since {
		if now.Sub(at) > failAfter {
			gs.peers.unmet = append(gs.peers.unmet, name)
		}
	}
	slices.Sort(gs.peers.unmet)
}

// noteUnmet adds to since a director that a peer names, if we have not met it.
func (gs *gossiping) noteUnmet(now mono.Time, l wire.Life, since map[string]mono.Time) {
	if p := gs.peers.get(l.Name); l.Name == gs.cfg.Name || p != nil && p.boot != 0 {
		return
	}
	since[l.Name] = now
	if at, known := gs.peers.since[l.Name]; known {
		since[l.Name] = at
	}
}

// sendCounting reports to the peers which directors we count, or count no more, since the last
// time; all of them, if those that we have lost are others.
func (gs *gossiping) sendCounting() {
	m := &wire.Counting{}
	for _, p := range gs.peers.all {
		boot := uint64(0)
		if p.live && p.Counted {
			boot = p.boot
		}
		if boot == p.announced {
			continue
		}
		if p.announced != 0 {
			m.Gone = append(m.Gone, wire.Life{Name: p.name, Boot: p.announced})
		}
		if boot != 0 {
			m.Counts = append(m.Counts, wire.Life{Name: p.name, Boot: boot})
		}
		p.announced = boot
	}
	if lost := gs.lostLives(); !slices.Equal(lost, gs.lost) {
		gs.lost = lost
		m = gs.allCounting()
	} else if len(m.Counts)+len(m.Gone) == 0 {
		return
	}
	gs.sendAll(m)
}

// lostLives are the directors that we have met and are not in touch with, though they neither left
// nor were removed.
func (gs *gossiping) lostLives() (lost []wire.Life) {
	for _, p := range gs.peers.all {
		if p.met && !p.live && !p.left && p.boot != 0 && !p.stranger && len(lost) < maxLives &&
			!gs.table.Removed(p.addr) {
			lost = append(lost, wire.Life{Name: p.name, Boot: p.boot})
		}
	}
	return lost
}

// sendAllCounting reports to a peer, to which a stream has just been opened, what the others know.
func (gs *gossiping) sendAllCounting(p *peer) { gs.send(p, gs.allCounting()) }

// allCounting is what the peers know of whom we count and have lost.
func (gs *gossiping) allCounting() *wire.Counting {
	m := &wire.Counting{Whole: true, Lost: gs.lost}
	for _, q := range gs.peers.all {
		if q.announced != 0 {
			m.Counts = append(m.Counts, wire.Life{Name: q.name, Boot: q.announced})
		}
	}
	return m
}

func (gs *gossiping) gotCounting(now mono.Time, p *peer, m *wire.Counting) {
	if m.Whole {
		p.counts, p.lost = nil, m.Lost[:min(len(m.Lost), maxLives)]
	}
	for _, l := range m.Gone {
		delete(p.counts, l)
	}
	for _, l := range m.Counts {
		if len(p.counts) >= maxLives {
			break
		}
		if p.counts == nil {
			p.counts = make(map[wire.Life]bool)
		}
		p.counts[l] = true
	}
	if m.Whole || len(m.Gone) > 0 {
		gs.moves.MayBeOrphaned()
	}
	gs.retryEarly(now)
}
