package replica

import (
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/wire"
)

// ReadWall takes a reading of the wall clock. Read it every second or so: it may be set, and drift.
// Without readings it is taken to run as the monotonic clock does.
func (c *Core) ReadWall(now mono.Time, wall directory.Micros) { c.clock.ReadWall(now, wall) }

// sampleClock takes a peer's clocks from its answer to a beat of ours.
func (c *Core) sampleClock(now mono.Time, p *peer, trip time.Duration, m *wire.Beat) {
	ours := c.clock.Micros(now)
	p.clock.Take(now, meshtime.Sample{
		Trip: trip, MeshTime: m.MeshTime.Sub(ours), Wall: m.Wall.Sub(ours),
		AskedAt: mono.Time(m.Echo),
	})
}

// disciplineClock keeps mesh time near that of the peers. The peers' clocks are sampled once a
// beat, so a synced director need not look at each tick.
func (c *Core) disciplineClock(now mono.Time) {
	most, due := c.clock.Due(now, c.pace().beat(), !c.synced())
	if !due {
		return
	}
	if offset := c.checkClock(now); c.admission.clockOff {
		if !c.synced() && c.askedAnew(now) {
			c.step(now, offset)
			c.admission.clockOff = false
		}
		return
	}
	c.noteTogether()
	c.slew(min(max(c.slewTarget(now), -most), most))
}

// checkClock looks whether our mesh time is off, and by how much.
func (c *Core) checkClock(now mono.Time) (offset time.Duration) {
	offset, peers := c.meshOffset(now)
	was := c.admission.clockOff
	c.admission.clockOff = peers > 0 && offset.Abs() > meshtime.Tolerance &&
		!c.cfg.Guards.NoClockCheck
	if c.admission.clockOff && !was {
		c.clock.NoteOff(now)
	}
	return offset
}

// askedAnew reports whether all peers whose time we follow have answered what we sent since we
// noticed that our clock is off. The answers that showed it may have been queued while we stood
// still.
func (c *Core) askedAnew(now mono.Time) bool {
	before := func(p *meshtime.Peer) bool { return !p.AskedSince(c.clock.OffSince()) }
	return !slices.ContainsFunc(c.timekeepers(now).clocks(c.peers.all), before)
}

// noticeOff checks at once, and stops answering if need be, when a peer that counts is suddenly
// off.
func (c *Core) noticeOff(now mono.Time, p *peer) {
	if c.synced() && p.Counted && p.clock.Off() {
		if c.checkClock(now); c.admission.clockOff {
			c.evaluate(now)
		}
	}
}

// slew sets mesh time forward or, for a negative d, back.
func (c *Core) slew(d time.Duration) {
	c.clock.Move(d)
	for _, p := range c.peers.all {
		p.clock.Shift(d)
	}
}

// meshOffset is how far the median mesh time of the mesh is ahead of ours, and of how many peers.
func (c *Core) meshOffset(now mono.Time) (offset time.Duration, peers int) {
	k := c.timekeepers(now)
	clocks, member := k.clocks(c.peers.all), c.table.Mesh() == k.mesh
	return c.clock.Offset(clocks, member, !c.cfg.Guards.NoThawCheck), len(clocks)
}

// slewTarget is how far ahead of ours mesh time should be.
func (c *Core) slewTarget(now mono.Time) time.Duration {
	k, all := c.timekeepers(now), c.peers.all
	return c.clock.Target(now, k.voters(all), k.clocks(all), !c.cfg.Guards.NoClockLeash)
}

// noteTogether remembers which peers have our mesh time.
func (c *Core) noteTogether() {
	if !c.admission.bootstrapped {
		return
	}
	mesh := c.table.Mesh()
	for _, p := range c.peers.all {
		if p.live && p.mesh.ID == mesh {
			p.clock.NoteTogether(&c.clock)
		}
	}
}
