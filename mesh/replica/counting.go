package replica

import (
	"maps"
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

// vouches reports whether we go by what a peer says of others.
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

// lookForUnmet finds the directors that our peers count and that we have not met since we started.
// A director that restarts on one side of a split knows by that how many it has lost. In a large
// mesh it looks now and then: each peer counts hundreds. It reports whether it has looked.
func (gs *gossiping) lookForUnmet(now mono.Time) bool {
	if len(gs.peers.all) > beatManyPeers && now < gs.nextUnmet {
		return false
	}
	gs.nextUnmet = now.Add(failAfter)
	since := make(map[string]mono.Time)
	for _, p := range gs.peers.all {
		if !gs.vouches(p) {
			continue
		}
		for l := range p.counts {
			q := gs.peers.get(l.Name)
			if l.Name == "" || l.Name == gs.cfg.Name || q != nil && q.boot != 0 {
				continue
			}
			since[l.Name] = now
			if at, known := gs.peers.since[l.Name]; known {
				since[l.Name] = at
			}
		}
	}
	gs.peers.since, gs.peers.unmet = since, nil
	for _, name := range slices.Sorted(maps.Keys(since)) {
		if now.Sub(since[name]) > failAfter && len(gs.peers.unmet) < MaxDirectors {
			gs.peers.unmet = append(gs.peers.unmet, name)
		}
	}
	return true
}

// sendCounting reports to the peers which directors we count, or count no more, since the last
// time. They take it that we have what those hold, see snapshotDone. So we do not report one whose
// rows we still lack, or that loads and has not said yet what it holds.
func (gs *gossiping) sendCounting() {
	m := &wire.Counting{}
	for _, p := range gs.peers.all {
		boot := uint64(0)
		if p.live && p.Counted && !p.lacking && !p.loading {
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
	if len(m.Counts) > 0 || len(m.Gone) > 0 {
		gs.sendAll(m)
	}
}

// sendAllCounting reports to a peer, to which a stream has just been opened, what the others know.
func (gs *gossiping) sendAllCounting(p *peer) {
	m := &wire.Counting{Whole: true}
	for _, q := range gs.peers.all {
		if q.announced != 0 {
			m.Counts = append(m.Counts, wire.Life{Name: q.name, Boot: q.announced})
		}
	}
	gs.send(p, m)
}

func (gs *gossiping) gotCounting(now mono.Time, p *peer, m *wire.Counting) {
	if m.Whole {
		p.counts = nil
	}
	for _, l := range m.Gone {
		delete(p.counts, l)
		if p.synced && gs.vouches(p) && !gs.countedByPeer(l) {
			gs.goneUnmet(l)
		}
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
	if len(m.Gone) > 0 {
		gs.moves.MayBeOrphaned()
	}
	gs.retryEarly(now)
}
