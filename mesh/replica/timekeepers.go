package replica

import (
	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/rank"
)

// timekeepers are the peers whose time we follow: those of one mesh whose mesh time we know.
type timekeepers struct {
	mesh directory.MeshID
	now  mono.Time
}

// timekeepers returns the peers whose time we follow: those of our own mesh; while joining, of the
// mesh that we join; while there is none yet, the directors that start together with us.
func (c *Core) timekeepers(now mono.Time) timekeepers {
	best := c.meshRank(now)
	if !c.admission.bootstrapped {
		for _, p := range c.peers.all {
			if p.timeKnown(now) && rank.Compare(p.mesh, best, c.cfg.Guards.RankByExactAge) > 0 {
				best = p.mesh
			}
		}
	}
	return timekeepers{best.ID, now}
}

// include reports whether a peer is one of them.
func (k timekeepers) include(p *peer) bool {
	return p.timeKnown(k.now) && p.mesh.ID == k.mesh && !p.left
}

// clocks returns the clocks of all of them.
func (k timekeepers) clocks(of peerList) (clocks []*meshtime.Peer) {
	for _, p := range of {
		if k.include(p) {
			clocks = append(clocks, &p.clock)
		}
	}
	return clocks
}

// voters returns the clocks whose votes count. The last vote of a peer that failed counts, the vote
// of a peer that left does not.
func (k timekeepers) voters(of peerList) (clocks []*meshtime.Peer) {
	for _, p := range of {
		if k.include(p) || !p.live && !p.left && p.clock.Votes() {
			clocks = append(clocks, &p.clock)
		}
	}
	return clocks
}

// timeKnown reports whether we know the peer's mesh time.
func (p *peer) timeKnown(now mono.Time) bool { return p.clock.Known(now, p.live) }
