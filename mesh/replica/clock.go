package replica

import (
	"slices"
	"sync/atomic"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// Mesh time is the clock of stamps, activity and expiry. It runs on the monotonic clock of each
// director plus an offset. Wall clocks only vote: a director slews its offset towards the median
// vote, so mesh time follows the wall clocks and cannot run away. Votes and mesh times are compared
// in microseconds; what is cut off at each exchange would add up.

const (
	slewEvery     = 200 * time.Millisecond
	slewPerSecond = 5 * time.Millisecond // the most that the offset changes in a second
	voteReach     = 10 * time.Second     // a vote further away counts as one this far away
	// leash is how far from the median mesh time of the mesh the votes may lead a director.
	leash = 200 * time.Millisecond
	// clockTolerance is how far off that median a director may be and answer by itself; see
	// step.go. A round trip that takes longer tells too little of a peer's clock.
	clockTolerance = 500 * time.Millisecond
	// mergeTolerance is how far a peer's mesh time may be from ours for its messages to be merged.
	mergeTolerance = 2 * time.Second
	// tripSlack is how much longer a peer may say that it held an echo than that can have been.
	tripSlack = 50 * time.Millisecond
	// sampleAge is after how long a worse sample of a peer's clock is better than the last good
	// one.
	sampleAge = 5 * time.Second
)

// earliest is the least that mesh time starts with. A machine without a battery may think that it
// is 1970 or 2000; mappings cannot store times of before 2024, so nothing could be moved from
// there.
const earliest = directory.FirstTime + directory.Time(time.Hour/time.Millisecond)

// meshClock is mesh time. Reading it is safe for concurrent use; only the core changes it.
type meshClock struct {
	zero   directory.Micros // mesh time at the monotonic clock's zero, with an offset of zero
	offset atomic.Int64     // time.Duration

	wallZero   directory.Micros // wall clock at the monotonic clock's zero, as last read
	adjustedAt time.Duration
	offSince   time.Duration   // when it was last noticed that mesh time is off
	scratch    []time.Duration // for medians
}

func (m *meshClock) init(wall directory.Micros, now time.Duration) {
	wall = max(wall, earliest.Micros())
	m.zero = wall.Add(-now)
	m.wallZero, m.adjustedAt = m.zero, now
}

// micros is mesh time in microseconds.
func (m *meshClock) micros(now time.Duration) directory.Micros {
	return m.zero.Add(now + time.Duration(m.offset.Load()))
}

// at is mesh time in milliseconds.
func (m *meshClock) at(now time.Duration) directory.Time { return m.micros(now).Time() }

// wall is this director's wall clock.
func (m *meshClock) wall(now time.Duration) directory.Micros { return m.wallZero.Add(now) }

// ReadWall takes a reading of the wall clock. Read it every second or so: it may be set, and drift.
// Without readings it is taken to run as the monotonic clock does.
func (c *Core) ReadWall(now time.Duration, wall directory.Micros) {
	c.clock.wallZero = wall.Add(-now)
}

// peerClock is what we know of a peer's clocks, measured against our mesh time: all durations are
// theirs less ours, and change when ours does.
type peerClock struct {
	guess time.Duration // its mesh time by its hello, which came by one way of unknown length

	// By round trips.
	known     bool
	skew      time.Duration // its mesh time
	bestTrip  time.Duration // shortest round trip of late; samples that took much longer say little
	sampledAt time.Duration
	askedAt   time.Duration // when our beat was sent that the sample answers
	// Of round trips that are too long for a sample only bounds are known, until there is one.
	bounded     bool
	least, most time.Duration

	together bool // it and we, in the lives that we have now, had one mesh time

	steady   time.Duration // skew of a moment ago
	steadyAt time.Duration // when that moment was

	// What outlasts the peer's life.
	votes bool             // it was of our mesh with a known clock; its last vote counts until it is gone for good
	vote  time.Duration    // its wall clock
	with  directory.Micros // when it was last of our mesh, live, and of our time; 0: never
}

// nextLife keeps what outlasts a life of the peer.
func (k peerClock) nextLife() peerClock {
	return peerClock{votes: k.votes, vote: k.vote, with: k.with}
}

// hello takes the peer's mesh time, less ours, from a hello. A sample of before the peer was out of
// reach, or we stood still, says nothing any more. A hello comes late, so that its peer is not
// behind what it says.
func (k *peerClock) hello(now, guess time.Duration) {
	k.guess = guess
	k.known = k.known && k.recent(now) && guess <= k.skew+clockTolerance
	k.bounded = false
}

// recent reports whether the sample is of a moment ago. Streams that were closed, because we
// stepped, are open again within that time.
func (k *peerClock) recent(now time.Duration) bool { return now-k.sampledAt <= failAfter }

// near reports whether the peer's mesh time is so near ours that its messages can be merged. Until
// a round trip has told, its hello must do. One that takes seconds does not tell that it is not
// near.
func (k *peerClock) near() bool {
	switch {
	case k.known:
		return k.skew.Abs() <= mergeTolerance
	case k.bounded:
		return k.least <= mergeTolerance && k.most >= -mergeTolerance
	}
	return k.guess.Abs() <= mergeTolerance
}

// far reports whether the peer's mesh time is for sure not near ours, so that it need not be waited
// for. A hello is read later than it was written, after a pause of ours much later: it can show
// that the peer is ahead, and not that it is behind.
func (k *peerClock) far() bool {
	if !k.known && !k.bounded {
		return k.guess > mergeTolerance
	}
	return !k.near()
}

// isAhead takes note that we stood still, and the peer's mesh time is ahead of ours by this or
// more. What it sends until we have stepped is not of our time. Any round trip tells more.
func (k *peerClock) isAhead(now, by time.Duration) {
	if by > k.skew {
		k.skew, k.known, k.sampledAt, k.bestTrip = by, true, now, clockTolerance
	}
}

// sampleClock takes a peer's clocks as read half a round trip ago. A beat that was queued
// somewhere, behind a replay or in the kernel of a director that slept, says little of them: such
// samples are passed over as long as there are better ones.
func (c *Core) sampleClock(now time.Duration, p *peer, rtt time.Duration, m *wire.Beat) {
	k := &p.clock
	if rtt > clockTolerance && !k.known {
		k.bounded, k.least = true, m.MeshTime.Sub(c.clock.micros(now))
		k.most = k.least + rtt
	}
	if rtt > clockTolerance || k.known && rtt > 2*k.bestTrip+20*time.Millisecond && now-k.sampledAt < sampleAge {
		return
	}
	ours := c.clock.micros(now)
	k.skew, k.known = m.MeshTime.Sub(ours)+rtt/2, true
	k.vote = m.Wall.Sub(ours) + rtt/2
	k.bestTrip, k.sampledAt, k.askedAt = rtt, now, time.Duration(m.Echo)
}

// disciplineClock keeps mesh time near that of the peers. The peers' clocks are sampled once a
// beat, so a synced director need not look at each tick.
func (c *Core) disciplineClock(now time.Duration) {
	since := now - c.clock.adjustedAt
	if c.synced() && since < max(slewEvery, c.beatInterval()) {
		return
	}
	c.clock.adjustedAt = now
	if offset := c.checkClock(now); c.admission.clockOff {
		if !c.synced() && c.askedAnew(now) {
			c.step(now, offset)
			c.admission.clockOff = false
		}
		return
	}
	c.noteTogether(now)
	most := slewPerSecond * since / time.Second
	c.slew(min(max(c.slewTarget(now), -most), most))
}

// checkClock looks whether our mesh time is off, and by how much.
func (c *Core) checkClock(now time.Duration) (offset time.Duration) {
	offset, peers := c.meshOffset(now)
	was := c.admission.clockOff
	c.admission.clockOff = peers > 0 && offset.Abs() > clockTolerance && !c.cfg.Guards.NoClockCheck
	if c.admission.clockOff && !was {
		c.clock.offSince = now
	}
	return offset
}

// askedAnew reports whether all peers by whose clocks ours is off have answered what we sent since
// we noticed. What says so first may have been queued while we stood still.
func (c *Core) askedAnew(now time.Duration) bool {
	mesh := c.clockMesh(now)
	for _, p := range c.peers {
		if p.tellsTime(now) && p.mesh.ID == mesh && p.clock.askedAt < c.clock.offSince {
			return false
		}
	}
	return true
}

// noticeOff checks at once, and stops answering if need be, when a peer that counts is suddenly
// off.
func (c *Core) noticeOff(now time.Duration, p *peer) {
	if c.synced() && p.counted && p.clock.known && p.clock.skew.Abs() > clockTolerance {
		if c.checkClock(now); c.admission.clockOff {
			c.evaluate(now)
		}
	}
}

// slew sets mesh time forward or, for a negative d, back.
func (c *Core) slew(d time.Duration) {
	c.clock.offset.Add(int64(d))
	for _, p := range c.peers {
		p.clock.skew -= d
		p.clock.guess -= d
		p.clock.steady -= d
		p.clock.least -= d
		p.clock.most -= d
		p.clock.vote -= d
	}
}

// ofClockMesh reports whether a peer is of the mesh whose time we follow: our own; while joining,
// the one that we join; while there is none yet, that of directors that start together with us.
func (c *Core) ofClockMesh(now time.Duration, p *peer) bool {
	return p.tellsTime(now) && p.mesh.ID == c.clockMesh(now)
}

// tellsTime reports whether we know the peer's mesh time. A live peer tells it with each beat.
func (p *peer) tellsTime(now time.Duration) bool {
	return p.clock.known && (p.live || p.clock.recent(now))
}

func (c *Core) clockMesh(now time.Duration) directory.MeshID {
	best := c.meshRank(now)
	if !c.admission.bootstrapped {
		for _, p := range c.peers {
			if p.tellsTime(now) && c.compareRanks(p.mesh, best) > 0 {
				best = p.mesh
			}
		}
	}
	return best.ID
}

// meshOffset is how far the median mesh time of the mesh is ahead of ours, and of how many peers. A
// member counts itself, a joiner does not. Of an even number the earlier of the two in the middle
// counts, so that two directors agree on which of them is right; but the later one does if the
// earlier half stood still with all their clocks.
func (c *Core) meshOffset(now time.Duration) (offset time.Duration, peers int) {
	times := c.meshTimes(now)
	peers = len(times)
	if c.table.Mesh() == c.clockMesh(now) {
		times = append(times, 0)
	}
	if len(times) == 0 {
		return 0, 0
	}
	slices.Sort(times)
	earlier, later := times[(len(times)-1)/2], times[len(times)/2]
	if later-earlier > clockTolerance && !c.cfg.Guards.NoThawCheck &&
		c.partedFrom(now, earlier, later) {
		return later, peers
	}
	return earlier, peers
}

// partedFrom reports whether a peer had our mesh time, in the lives that we have now, and is on the
// other side of a gap between mesh times. Clocks do not leap ahead within a life, but may stand
// still: those on the earlier side did.
func (c *Core) partedFrom(now time.Duration, earlier, later time.Duration) bool {
	mesh := c.clockMesh(now)
	for _, p := range c.peers {
		across := earlier >= 0 && p.clock.skew >= later || later <= 0 && p.clock.skew <= earlier
		if across && p.clock.together && p.tellsTime(now) && p.mesh.ID == mesh {
			return true
		}
	}
	return false
}

// meshTimes are those of the peers of the mesh, less ours. The slice is scratch.
func (c *Core) meshTimes(now time.Duration) []time.Duration {
	mesh, times := c.clockMesh(now), c.clock.scratch[:0]
	for _, p := range c.peers {
		if p.tellsTime(now) && p.mesh.ID == mesh {
			times = append(times, p.clock.skew)
		}
	}
	c.clock.scratch = times
	return times
}

// slewTarget is how far ahead of ours mesh time should be: at the median vote, yet not further than
// the leash from the median mesh time.
func (c *Core) slewTarget(now time.Duration) time.Duration {
	mesh := c.clockMesh(now)
	votes := append(c.clock.scratch[:0], c.clock.wall(now).Sub(c.clock.micros(now)))
	for _, p := range c.peers {
		if p.tellsTime(now) && p.mesh.ID == mesh || !p.live && !p.left && p.clock.votes {
			votes = append(votes, p.clock.vote)
		}
	}
	for i, v := range votes {
		votes[i] = min(max(v, -voteReach), voteReach)
	}
	c.clock.scratch = votes
	target := median(votes)
	if c.cfg.Guards.NoClockLeash {
		return target
	}
	middle := median(append(c.meshTimes(now), 0))
	return min(max(target, middle-leash), middle+leash)
}

// median is the mean of the two in the middle of an even number. It sorts what it is given.
func median(of []time.Duration) time.Duration {
	slices.Sort(of)
	n := len(of)
	return (of[(n-1)/2] + of[n/2]) / 2
}

// noteTogether remembers with whom we have mesh time in common: until when a round trip shows it.
// We may have stood still since.
func (c *Core) noteTogether(now time.Duration) {
	if !c.admission.bootstrapped {
		return
	}
	mesh := c.table.Mesh()
	for _, p := range c.peers {
		if p.live && p.clock.known && p.mesh.ID == mesh && p.clock.skew.Abs() <= clockTolerance {
			p.clock.votes, p.clock.together = true, true
			p.clock.with = max(p.clock.with, c.clock.micros(p.clock.askedAt))
		}
	}
}
