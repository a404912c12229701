package replica

import (
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// beat reports to every peer that we live, and what we know of it.
func (c *Core) beat(now mono.Time) {
	if now < c.nextBeat {
		return
	}
	c.nextBeat = now.Add(c.pace().beat())
	if n := len(c.peers.all); n > beatManyPeers && n != c.beatPeers {
		// Directors that were started together would beat together for ever, and answer thousands
		// of messages at the same moment.
		c.nextBeat = c.nextBeat.Add(-time.Duration(c.rand.Int64N(int64(c.pace().beat()))))
	}
	c.beatPeers = len(c.peers.all)
	c.sendCounting()
	if c.lookForUnmet(now) {
		c.countApart(now)
	}
	c.beatToAll(now)
}

// beatToAll sends a beat to every peer. In a large mesh it matters that they are counted once.
func (c *Core) beatToAll(now mono.Time) {
	majority, standsBack := c.inMajority(), !c.mayAct()
	for _, p := range c.peers.all {
		c.sendBeat(now, p, majority, standsBack)
	}
}

func (c *Core) beatTo(now mono.Time, p *peer) { c.sendBeat(now, p, c.inMajority(), !c.mayAct()) }

func (c *Core) sendBeat(now mono.Time, p *peer, majority, standsBack bool) {
	if !p.out {
		return
	}
	m := &wire.Beat{
		SentAt:     int64(now),
		Echo:       p.sentAt,
		MeshTime:   c.clock.Micros(now),
		Wall:       c.clock.Wall(now),
		Synced:     c.synced(),
		Counted:    p.Counted,
		Seq:        c.log.Last(),
		Users:      uint64(c.dir.Len()),
		Mesh:       c.meshRank(now),
		Majority:   majority,
		Loading:    c.loading(),
		Keeps:      c.keeps,
		Kept:       p.disk.ours,
		StandsBack: standsBack,
	}
	if p.sentAt != 0 {
		m.EchoDelay = int64(now.Sub(p.beatAt))
	}
	c.send(p, m)
}

// isNews reports whether a beat says more than that a peer lives on and is where it was. From all
// others, and in a large mesh there are hundreds of them a second, there is no conclusion to draw.
func (c *Core) isNews(p *peer, m *wire.Beat) bool {
	return p.left || !p.live || p.echoedIn != p.in || !c.synced() ||
		m.Synced != p.synced || m.Counted != p.CountsUs ||
		m.Seq > p.log.Seen() || m.Mesh.ID != c.table.Mesh()
}

func (c *Core) gotBeat(now mono.Time, p *peer, m *wire.Beat) {
	p.sentAt, p.beatAt = m.SentAt, now
	p.users, p.mesh, p.majority, p.loading = m.Users, m.Mesh, m.Majority, m.Loading
	p.standsBack = m.StandsBack
	if c.uncompared(p) {
		c.showMesh(p, c.table.Snapshot())
	}
	if m.Echo > 0 && mono.Time(m.Echo) <= now {
		p.echoAt = max(p.echoAt, mono.Time(m.Echo))
		// The peer measures how long it held the echo: a little too long by a clock faster than
		// ours, and much too long if our clocks stood still meanwhile.
		trip := now.Sub(mono.Time(m.Echo)) - time.Duration(m.EchoDelay)
		p.roundTrip = max(0, trip)
		if trip > -tripSlack {
			c.sampleClock(now, p, p.roundTrip, m)
		} else {
			p.clock.IsAhead(now, m.MeshTime.Sub(c.clock.Micros(now)))
		}
		c.noticeOff(now, p)
	}
	if m.Seq > p.log.Seen() && p.clock.Near() {
		c.numbersSeen(p, m.Seq)
	}
	if !p.gap && m.Seq <= p.log.Seen() {
		// Not our time: the beat may have waited while we slept.
		p.log.NoteWhole(m.MeshTime.Time())
	}
	if p.Counted && !p.behind() && m.Seq <= p.log.Seen() && m.Synced {
		// One that is not synced may still have to offer what it holds.
		p.togetherAt = c.clock.At(now)
		delete(c.apart, p.name)
	}
	if !c.synced() {
		c.disciplineClock(now) // before anything else of the peer is judged by our clock
	}
	if p.synced != m.Synced {
		p.synced = m.Synced
		c.waiters.Recheck()
	}
	c.takeRank(now, p)
	if p.disk.keeps != m.Keeps || p.disk.kept != m.Kept {
		p.disk.keeps, p.disk.kept = m.Keeps, m.Kept
		c.settleKept(now)
	}
	c.meetMesh(now, p)
	p.TakeBeat(m.Counted) // if it gave us up, progressAdmission asks again
	if !p.live && p.echoAt > 0 && now.Sub(p.echoAt) <= c.pace().silence() {
		c.cameAlive(now, p)
	}
	if p.echoedIn != p.in {
		// It does not know yet that we hear it, and need not wait for our next beat.
		p.echoedIn = p.in
		c.beatTo(now, p)
	}
}
