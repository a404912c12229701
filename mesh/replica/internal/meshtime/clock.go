package meshtime

import (
	"slices"
	"sync/atomic"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
)

const (
	// Tolerance is how far off the median mesh time of the mesh a director may be and answer by
	// itself. A round trip that takes longer tells too little of a peer's clock.
	Tolerance = 500 * time.Millisecond
	// SlewPerSecond is the most that the offset changes in a second, unless it steps.
	SlewPerSecond = 5 * time.Millisecond

	slewEvery = 200 * time.Millisecond
	voteReach = 10 * time.Second // a vote further away counts as one this far away
	// leash is how far from the median mesh time of the mesh the votes may lead a director.
	leash = 200 * time.Millisecond
)

// MayBeApart is how far two mesh times may be apart that were one for the last time so long ago, as
// on the two sides of a split: each slews, and neither steps.
func MayBeApart(since time.Duration) time.Duration {
	return Tolerance + slewed(since)
}

// slewed is how far two mesh times may slew apart in a time.
func slewed(in time.Duration) time.Duration {
	return time.Duration(2 * SlewPerSecond.Seconds() * float64(max(in, 0)))
}

// earliest is the least that mesh time starts with. A machine without a battery may think that it
// is 1970 or 2000; mappings cannot store times of before 2024, so nothing could be moved from
// there.
const earliest = directory.FirstTime + directory.Time(time.Hour/time.Millisecond)

// Clock is mesh time. Reading it is safe for concurrent use; only the core changes it.
type Clock struct {
	zero   directory.Micros // mesh time at the monotonic clock's zero, with an offset of zero
	offset atomic.Int64     // time.Duration

	wallZero   directory.Micros // wall clock at the monotonic clock's zero, as last read
	adjustedAt mono.Time        // when it was last looked whether to slew
	offSince   mono.Time        // since when mesh time is, or may be, off; 0: it is not
	scratch    []time.Duration  // for medians
}

// Init begins mesh time with a reading of the wall clock.
func (k *Clock) Init(wall directory.Micros, now mono.Time) {
	wall = max(wall, earliest.Micros())
	k.zero = wall.Add(-now.Sub(0))
	k.wallZero, k.adjustedAt = k.zero, now
}

// Micros is mesh time in microseconds.
func (k *Clock) Micros(now mono.Time) directory.Micros {
	return k.zero.Add(now.Sub(0) + time.Duration(k.offset.Load()))
}

// At is mesh time in milliseconds.
func (k *Clock) At(now mono.Time) directory.Time { return k.Micros(now).Time() }

// Wall is this director's wall clock.
func (k *Clock) Wall(now mono.Time) directory.Micros { return k.wallZero.Add(now.Sub(0)) }

// ReadWall takes a reading of the wall clock.
func (k *Clock) ReadWall(now mono.Time, wall directory.Micros) {
	k.wallZero = wall.Add(-now.Sub(0))
}

// Move sets mesh time forward or, for a negative d, back.
func (k *Clock) Move(d time.Duration) { k.offset.Add(int64(d)) }

// Due reports whether it is time to look whether to slew, and how much that may be at most. Peers'
// clocks are sampled once a beat.
func (k *Clock) Due(now mono.Time, beat time.Duration, always bool) (most time.Duration, due bool) {
	since := now.Sub(k.adjustedAt)
	if !always && since < max(slewEvery, beat) {
		return 0, false
	}
	k.adjustedAt = now
	return SlewPerSecond * since / time.Second, true
}

// NoteOff notes whether mesh time turned out to be off, or may be.
func (k *Clock) NoteOff(now mono.Time, off bool) {
	switch {
	case !off:
		k.offSince = 0
	case k.offSince == 0:
		k.offSince = now
	}
}

// NoteAgain notes that what was answered until now may be of before we stood still once more.
func (k *Clock) NoteAgain(now mono.Time) {
	if k.offSince != 0 {
		k.offSince = now
	}
}

// OffSince is since when that is so.
func (k *Clock) OffSince() mono.Time { return k.offSince }

// Offset is how far the median mesh time of the mesh is ahead of ours. A member counts itself, a
// joiner does not. Of an even number the earlier of the two in the middle counts, so that two
// directors agree on which of them is right; but with thaw the later one does if the earlier half
// stood still with all their clocks.
func (k *Clock) Offset(peers []*Peer, member, thaw bool) time.Duration {
	times := k.times(peers)
	if member {
		times = append(times, 0)
	}
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	earlier, later := times[(len(times)-1)/2], times[len(times)/2]
	if later-earlier > Tolerance && thaw && partedFrom(peers, earlier, later) {
		return later
	}
	return earlier
}

// partedFrom reports whether a peer had our mesh time, in the lives that we have now, and is on the
// other side of a gap between mesh times. Clocks do not leap ahead within a life, but may stand
// still: those on the earlier side did. A peer that has stepped ahead, away from our time, has seen
// that both of us did.
func partedFrom(peers []*Peer, earlier, later time.Duration) bool {
	return slices.ContainsFunc(peers, func(p *Peer) bool {
		ahead, behind := earlier >= 0 && p.skew >= later, later <= 0 && p.skew <= earlier
		stood := p.together || p.leads && p.leapt().Abs() > Tolerance
		return stood && (ahead || behind) || p.SteppedAhead() && ahead
	})
}

// times are the peers' mesh times less ours. The slice is scratch.
func (k *Clock) times(peers []*Peer) []time.Duration {
	times := k.scratch[:0]
	for _, p := range peers {
		times = append(times, p.likely(peers))
	}
	k.scratch = times
	return times
}

// likely is a peer's mesh time less ours. One that is known roughly is taken for that of the peer
// next to it that is known well, if it may be that: it shows which of two clocks has more others on
// its side, and not by how much they differ.
func (p *Peer) likely(peers []*Peer) time.Duration {
	if !p.rough {
		return p.skew
	}
	likely, off := p.skew, p.unsure+Tolerance // the truth is often at the very end
	for _, other := range peers {
		if by := (other.skew - p.skew).Abs(); !other.rough && by <= off {
			likely, off = other.skew, by
		}
	}
	return likely
}

// Target is how far ahead of ours mesh time should be: at the median vote, ours and those of the
// voters, yet not further than the leash from the median mesh time of the mesh's peers.
func (k *Clock) Target(now mono.Time, voters, peers []*Peer, leashed bool) time.Duration {
	votes := append(k.scratch[:0], reach(k.Wall(now).Sub(k.Micros(now))))
	for _, p := range voters {
		votes = append(votes, reach(p.vote))
	}
	k.scratch = votes
	target := Median(votes)
	if !leashed {
		return target
	}
	middle := Median(append(k.times(peers), 0))
	return min(max(target, middle-leash), middle+leash)
}

func reach(vote time.Duration) time.Duration { return min(max(vote, -voteReach), voteReach) }

// Median is the mean of the two in the middle of an even number. It sorts what it is given, which
// must not be empty.
func Median(of []time.Duration) time.Duration {
	slices.Sort(of)
	n := len(of)
	return (of[(n-1)/2] + of[n/2]) / 2
}
