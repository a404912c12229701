package replica

import (
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/wire"
)

// timekeeping keeps our mesh time near that of the mesh.
type timekeeping struct {
	*output
	timekeepingPort

	admission *ownAdmission
	cfg       *Config
	clock     *meshtime.Clock
	peers     *peers
	table     *directory.Table
}

// timekeepingPort is what timekeeping needs of the other parts of the core.
type timekeepingPort interface {
	evaluate(now mono.Time)
	loading() bool
	pace() pace
	step(now mono.Time, offset time.Duration)
	synced() bool
	timekeepers(now mono.Time) timekeepers
}

// ReadWall takes a reading of the wall clock. Read it every second or so: it may be set, and drift.
// Without readings it is taken to run as the monotonic clock does.
func (c *Core) ReadWall(now mono.Time, wall directory.Micros) { c.clock.ReadWall(now, wall) }

// sampleClock takes a peer's clocks from its answer to a beat of ours. If we have stood still, as
// another one shows, an answer that comes too late to tell them does tell that what we know of them
// is of before, or too little.
func (tk *timekeeping) sampleClock(now mono.Time, p *peer, trip time.Duration, m *wire.Beat) {
	ours := tk.clock.Micros(now)
	sample := meshtime.Sample{
		Trip: trip, MeshTime: m.MeshTime.Sub(ours), Wall: m.Wall.Sub(ours),
		AskedAt: mono.Time(m.Echo),
	}
	p.clock.Take(now, sample)
	since := tk.clock.OffSince()
	if since != 0 && sample.AskedAt >= since && !p.clock.AskedSince(since) &&
		tk.leftBehind(now, p) {
		p.clock.Outdated(sample, p.clock.LeavesBehind(now, tk.clock))
		p.clock.Take(now, sample)
	}
}

// disciplineClock keeps mesh time near that of the peers. The peers' clocks are sampled once a
// beat, so a synced director need not look at each tick.
func (tk *timekeeping) disciplineClock(now mono.Time) {
	most, due := tk.clock.Due(now, tk.pace().beat(), !tk.synced())
	if !due {
		return
	}
	if offset := tk.checkClock(now); tk.admission.clockOff {
		// What is still to be loaded would stay as it was stamped by the former time.
		if !tk.synced() && !tk.loading() && tk.askedAnew(now) {
			tk.step(now, offset)
			tk.admission.clockOff = false
		}
		return
	}
	tk.noteTogether()
	tk.slew(min(max(tk.slewTarget(now), -most), most))
}

// checkClock looks whether our mesh time is off, and by how much.
func (tk *timekeeping) checkClock(now mono.Time) (offset time.Duration) {
	offset, peers := tk.meshOffset(now)
	off, stood := peers > 0 && offset.Abs() > meshtime.Tolerance, tk.leftBehind(now, nil)
	tk.clock.NoteOff(now, off || stood)
	tk.admission.clockOff = (off || stood && tk.someSilent(now)) && !tk.cfg.Guards.NoClockCheck
	return offset
}

// leftBehind reports whether a peer, other than one, shows that our clocks stood still. Then what
// we know of the others' clocks is of before. One that we do not count may be back from a split,
// and does not show it; but one that has shown it may cease to count meanwhile, and one that has
// stepped does not count.
func (tk *timekeeping) leftBehind(now mono.Time, but *peer) bool {
	k, noted := tk.timekeepers(now), tk.clock.OffSince() != 0
	return !tk.cfg.Guards.NoThawCheck && slices.ContainsFunc(tk.peers.all, func(p *peer) bool {
		return p != but && k.include(p) && (p.Counted || noted || p.clock.SteppedAhead()) &&
			p.clock.LeavesBehind(now, tk.clock)
	})
}

// someSilent reports whether a peer whose time we follow has answered nothing that we sent since we
// noticed that our clock is or may be off. It may be out of reach, and ahead as others are.
func (tk *timekeeping) someSilent(now mono.Time) bool {
	k, since := tk.timekeepers(now), tk.clock.OffSince()
	return slices.ContainsFunc(tk.peers.all, func(p *peer) bool {
		return k.include(p) && !p.clock.AskedSince(since) && p.echoAt <= since
	})
}

// askedAnew reports whether all peers whose time we follow have answered what we sent since we
// noticed that our clock is off. The answers that showed it may have been queued while we stood
// still.
func (tk *timekeeping) askedAnew(now mono.Time) bool {
	before := func(p *meshtime.Peer) bool { return !p.AskedSince(tk.clock.OffSince()) }
	return !slices.ContainsFunc(tk.timekeepers(now).clocks(tk.peers.all), before)
}

// noticeOff checks at once, and stops answering if need be, when a peer that counts, or has stepped
// away from our time, is suddenly off.
func (tk *timekeeping) noticeOff(now mono.Time, p *peer) {
	if tk.synced() && (p.Counted || p.clock.SteppedAhead()) && p.clock.Off() {
		if tk.checkClock(now); tk.admission.clockOff {
			tk.evaluate(now)
		}
	}
}

// slew sets mesh time forward or, for a negative d, back.
func (tk *timekeeping) slew(d time.Duration) {
	tk.clock.Move(d)
	for _, p := range tk.peers.all {
		p.clock.Shift(d)
	}
}

// meshOffset is how far the median mesh time of the mesh is ahead of ours, and of how many peers.
func (tk *timekeeping) meshOffset(now mono.Time) (offset time.Duration, peers int) {
	k := tk.timekeepers(now)
	clocks, member := k.clocks(tk.peers.all), tk.table.Mesh() == k.mesh
	return tk.clock.Offset(clocks, member, !tk.cfg.Guards.NoThawCheck), len(clocks)
}

// slewTarget is how far ahead of ours mesh time should be.
func (tk *timekeeping) slewTarget(now mono.Time) time.Duration {
	k, all := tk.timekeepers(now), tk.peers.all
	return tk.clock.Target(now, k.voters(all), k.clocks(all), !tk.cfg.Guards.NoClockLeash)
}

// noteTogether remembers which peers have our mesh time.
func (tk *timekeeping) noteTogether() {
	if !tk.admission.bootstrapped {
		return
	}
	mesh := tk.table.Mesh()
	for _, p := range tk.peers.all {
		if p.live && p.mesh.ID == mesh {
			p.clock.NoteTogether(tk.clock)
			if p.Counted {
				p.clock.NoteLead(tk.clock)
			}
		}
	}
}
