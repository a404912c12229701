package replica

import (
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
)

// gaps knows what is missing of the peers' logs.
type gaps struct {
	*output

	counters *Counters
	logs     *logs.Set
	peers    *peers
}

// takeSeq notes that a log message came by its writer's stream. What comes after a gap is
// applied all the same, rows merge in any order; but as long as the gap is open the peer has
// confirmed nothing.
func (gp *gaps) takeSeq(now mono.Time, p *peer, seq uint64, m wire.Message) {
	if !p.log.Take(now, seq, m) {
		return // by a part of the log, or by a snapshot, that was quicker
	}
	if hurries(m) {
		p.disk.report, gp.hurry = true, true
	}
	gp.lookForGap(p)
	if p.log.Gone() {
		gp.logs.Changed() // on its way when the peer went
	}
}

// numbersSeen notes that a peer's log goes up to a number.
func (gp *gaps) numbersSeen(p *peer, to uint64) {
	p.log.Announced(to)
	gp.lookForGap(p)
}

// lookForGap concludes from what we have of a peer's log whether something of it is missing here.
// Its rest may have come from others while it was away, and leave a hole before it.
func (gp *gaps) lookForGap(p *peer) {
	switch whole := p.log.Whole(); {
	case !whole && !p.gap:
		p.gap = true
		gp.counters.Gaps++
		gp.logf(LogInfo, "gap in a peer's log", Field{"peer", p.name},
			Field{"has", p.log.Have().String()}, Field{"need", p.log.Seen()})
	case whole && p.gap:
		p.gap = false
		gp.counters.GapsRepaired++
	}
}

// gained follows what we have got of a log otherwise than from its writer.
func (gp *gaps) gained(log *logs.Peer, more logs.Spans) {
	log.Gained(more)
	if gp.attached(log) {
		gp.lookForGap(gp.peers.get(log.ID().Name))
	}
}

// attached reports whether a log is the one that a peer writes or, if it is not live, wrote last.
func (gp *gaps) attached(log *logs.Peer) bool {
	p := gp.peers.get(log.ID().Name)
	return p != nil && p.log == log
}

// writes reports whether the writer of a log is live here.
func (gp *gaps) writes(log *logs.Peer) bool {
	return gp.attached(log) && gp.peers.get(log.ID().Name).live
}
