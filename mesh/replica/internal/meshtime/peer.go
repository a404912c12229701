package meshtime

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
)

const (
	// RecentFor is how long a sample says something of a peer that is not live: as long as one may
	// be silent and count as live. Streams that were closed, because we stepped, are open again
	// within that time.
	RecentFor = 5*time.Second + 500*time.Millisecond
	// mergeTolerance is how far a peer's mesh time may be from ours for its messages to be merged.
	mergeTolerance = 2 * time.Second
	// roughTrip is the longest round trip that still says roughly what a peer's mesh time is.
	roughTrip = 3 * Tolerance
	// sampleAge is after how long a worse sample of a peer's clock is better than the last good
	// one.
	sampleAge = 5 * time.Second
	// steadyFor is how long ago the moment is to which a peer's clock is compared; see Leap.
	steadyFor = time.Second
)

// Peer is what we know of a peer's clocks, measured against our mesh time: all durations are theirs
// less ours, and change when ours does.
type Peer struct {
	guess time.Duration // its mesh time by its hello, which came by one way of unknown length

	// By round trips.
	known     bool
	skew      time.Duration // its mesh time
	unsure    time.Duration // how far off that may be: half the round trip; 0 if it is the least
	rough     bool          // that round trip was too long for more than a guess
	bestTrip  time.Duration // shortest round trip of late; samples that took much longer say little
	sampledAt mono.Time
	askedAt   mono.Time // when our beat was sent that the sample answers
	// Of round trips that are too long for a sample only bounds are known, until there is one.
	bounded     bool
	least, most time.Duration

	together bool // it and we, in the lives that we have now, had one mesh time
	// when it last had our mesh time, in our life, if it has stepped since and not had it again; 0
	// otherwise
	stepped directory.Micros

	// A peer that counts may not have had our mesh time yet, since both still slew towards the
	// others. Then lead is how far ahead it is, as far as slewing explains it.
	leads  bool // lead is known
	lead   time.Duration
	leadAt directory.Micros // when it was measured

	steady   time.Duration // skew of a moment ago
	steadyAt mono.Time     // when that moment was

	// What outlasts the peer's life.
	// it was of our mesh with a known clock; its last vote counts until it is gone for good
	votes bool
	vote  time.Duration    // its wall clock
	with  directory.Micros // when it was last of our mesh, live, and of our time; 0: never
	// how far off the skew may have been by which it was
	withUnsure time.Duration
}

// NextLife keeps what outlasts a life of the peer. If its process goes on it has stepped its mesh
// time, away from ours if that was its own: then no moment of ours is in common with the time that
// it has now.
func (p Peer) NextLife(goesOn bool) Peer {
	next := Peer{votes: p.votes, vote: p.vote, with: p.with, withUnsure: p.withUnsure}
	switch {
	case goesOn && p.together:
		next.with, next.stepped = 0, p.with
	case goesOn:
		next.stepped = p.stepped
	}
	return next
}

// Hello takes the peer's mesh time, less ours, from a hello. A sample of before the peer was out of
// reach, or we stood still, says nothing any more. A hello comes late, so that its peer is not
// behind what it says.
func (p *Peer) Hello(now mono.Time, guess time.Duration) {
	p.guess = guess
	p.known = p.known && p.recent(now) && guess <= p.skew+Tolerance
	p.bounded = false
}

// Outdated takes note that the sample is of before we stood still, as shows a later answer, which
// is late: then that is better, although it says only roughly what the time is. One that says too
// little leaves nothing known, unless the peer leaves us behind all the same.
func (p *Peer) Outdated(late Sample, leavesBehind bool) {
	p.rough = leavesBehind || late.Trip <= roughTrip
	p.known = p.rough
}

// recent reports whether the sample is of a moment ago.
func (p *Peer) recent(now mono.Time) bool { return now.Sub(p.sampledAt) <= RecentFor }

// Skew is the peer's mesh time less ours, as far as known.
func (p *Peer) Skew() time.Duration { return p.skew }

// Known reports whether we know the peer's mesh time. Each beat of a live peer carries it.
func (p *Peer) Known(now mono.Time, live bool) bool {
	return p.known && (live || p.recent(now))
}

// Off reports whether the peer's mesh time is known to differ from ours by more than two directors
// of one mesh may from the median.
func (p *Peer) Off() bool { return p.known && p.skew.Abs() > Tolerance }

// Near reports whether the peer's mesh time is so near ours that its messages can be merged. Until
// a round trip has measured it, its hello must do. A hello that took seconds does not show that it
// is not near.
func (p *Peer) Near() bool {
	switch {
	case p.known:
		return p.skew.Abs() <= mergeTolerance || p.rough && p.skew.Abs() <= mergeTolerance+p.unsure
	case p.bounded:
		return p.least <= mergeTolerance && p.most >= -mergeTolerance
	}
	return p.guess.Abs() <= mergeTolerance
}

// Far reports whether the peer's mesh time is for sure not near ours, so that it need not be waited
// for. A hello is read later than it was written, after a pause of ours much later: it can show
// that the peer is ahead, and not that it is behind.
func (p *Peer) Far() bool {
	if !p.known && !p.bounded {
		return p.guess > mergeTolerance
	}
	return !p.Near()
}

// Sample is a reading of a peer's clocks that came with its answer to a question.
type Sample struct {
	Trip     time.Duration // of question and answer, without what the peer held the question
	MeshTime time.Duration // its mesh time when it answered, less ours when the answer came
	Wall     time.Duration // its wall clock, likewise, less our mesh time
	AskedAt  mono.Time     // when the question was sent
}

// Take takes a sample: the peer's clocks as read half a round trip ago. A beat that was queued
// somewhere, behind a replay or in the kernel of a director that slept, says little of them: such
// samples are passed over as long as there are better ones. An answer comes late, so that its peer
// is not behind what it says.
func (p *Peer) Take(now mono.Time, s Sample) {
	if p.known && !p.rough && s.MeshTime > p.skew+Tolerance {
		p.IsAhead(now, s.MeshTime)
	}
	if s.Trip > Tolerance && !p.known {
		p.bounded, p.least = true, s.MeshTime
		p.most = p.least + s.Trip
	}
	// However late the answer to a later question comes, its peer is no further ahead than this.
	behind := p.known && s.AskedAt >= p.sampledAt && s.MeshTime+s.Trip < p.skew-Tolerance
	rough, fresh := s.Trip > Tolerance, now.Sub(p.sampledAt) < sampleAge
	if rough && !behind && !(p.known && (p.rough || !fresh && s.Trip <= roughTrip)) ||
		p.known && !p.rough && !behind && fresh && s.Trip > 2*p.bestTrip+20*time.Millisecond {
		return
	}
	p.skew, p.unsure, p.known, p.rough = s.MeshTime+s.Trip/2, s.Trip/2, true, rough
	if !rough {
		p.vote = s.Wall + s.Trip/2
	}
	p.bestTrip, p.sampledAt, p.askedAt = s.Trip, now, s.AskedAt
}

// AskedSince reports whether the sample answers a question that was sent at this moment or later.
func (p *Peer) AskedSince(at mono.Time) bool { return p.askedAt >= at }

// IsAhead takes note that we stood still, and the peer's mesh time is ahead of ours by this or
// more. What it sends until we have stepped is not of our time. Any round trip tells more.
func (p *Peer) IsAhead(now mono.Time, by time.Duration) {
	if by > p.skew {
		p.skew, p.unsure, p.known, p.rough = by, 0, true, false
		p.sampledAt, p.bestTrip = now, Tolerance
	}
}

// Leap is how much further ahead the peer's mesh time is than a moment ago, by what it tells now.
// No peer's time leaps within a life, so that we stood still for as long. If the peer's clock is
// not known, nothing can be said of it. With anew the moment is now: beats that come late come all
// at once, and the skew follows them.
func (p *Peer) Leap(
	now mono.Time, ahead time.Duration, anew bool,
) (leap time.Duration, known bool) {
	if anew || now.Sub(p.steadyAt) >= steadyFor {
		p.steady, p.steadyAt = p.skew, now
	}
	return ahead - p.steady, p.known
}

// NoteTogether remembers that a round trip showed the peer to have our mesh time, if it did. We may
// have stood still since the question was sent.
func (p *Peer) NoteTogether(k *Clock) {
	if p.known && !p.rough && !p.Off() {
		p.votes, p.together, p.leads, p.stepped = true, true, false, 0
		p.with, p.withUnsure = max(p.with, k.Micros(p.askedAt)), p.unsure
	}
}

// NoteLead remembers how far ahead a peer is that counts and has not had our mesh time yet. Two may
// count each other that are twice as far apart as each may be from the median.
func (p *Peer) NoteLead(k *Clock) {
	at := k.Micros(p.askedAt)
	switch {
	case !p.known || p.rough || p.together:
	case !p.leads && p.skew.Abs() <= 2*Tolerance,
		p.leads && (p.skew-p.lead).Abs() <= slewed(at.Sub(p.leadAt))+2*p.unsure:
		p.leads, p.lead, p.leadAt = true, p.skew, at
	}
}

// leapt is how much further ahead the peer is than its lead, or behind if it is negative. To come
// closer to our time is no leap.
func (p *Peer) leapt() time.Duration {
	return p.skew - min(max(p.skew, min(p.lead, 0)), max(p.lead, 0))
}

// Votes reports whether the peer's vote counts also when it is not live.
func (p *Peer) Votes() bool { return p.votes }

// With is the last moment at which the peer was known to have our mesh time; 0 if it never was.
func (p *Peer) With() directory.Micros { return p.with }

// Together reports whether the peer has had our mesh time in the life that it has now, since we
// last stepped.
func (p *Peer) Together() bool { return p.together }

// SteppedAhead reports whether the peer had our mesh time, and has stepped to one that is ahead.
func (p *Peer) SteppedAhead() bool { return p.stepped != 0 && p.skew > Tolerance }

// LeavesBehind reports whether the peer had our mesh time, in the life that we have now, and is
// further ahead since than slewing can bring it, and than two round trips may err: our clocks stood
// still. So did its own if it has stepped.
func (p *Peer) LeavesBehind(now mono.Time, k *Clock) bool {
	with := p.with
	switch {
	case p.SteppedAhead():
		with = p.stepped
	case p.leads:
		return p.leapt()-p.unsure > MayBeApart(k.Micros(now).Sub(p.leadAt))
	case !p.together:
		return false
	}
	return p.skew-p.unsure > MayBeApart(k.Micros(now).Sub(with))+p.withUnsure
}

// Shift follows a change of our mesh time.
func (p *Peer) Shift(d time.Duration) {
	p.skew -= d
	p.guess -= d
	p.steady -= d
	p.lead -= d
	p.least -= d
	p.most -= d
	p.vote -= d
}

// Stepped follows a step of our mesh time by an offset. What lay between the clocks before does not
// say which of them stood still. Moments after the last one in common are of the new clock.
func (p *Peer) Stepped(after directory.Micros, offset time.Duration) {
	p.together, p.leads, p.stepped = false, false, 0
	if p.with > after {
		p.with = p.with.Add(offset)
	}
}
