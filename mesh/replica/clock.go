package replica

import (
	"slices"
	"sync/atomic"
	"time"

	"directormesh/directory"
)

const (
	clockTolerance = time.Second           // further off the median than this, a director is not synced
	stepAbove      = 10 * time.Millisecond // smaller offsets are always slewed
	slewEvery      = 200 * time.Millisecond
	slewShare      = 20 // a slew changes the clock's rate by at most 1/20
)

// meshClock is mesh time: the wall clock as read once at start, then the monotonic clock, then corrected towards the
// peers. Reading it is safe for concurrent use.
type meshClock struct {
	wall   directory.Time
	start  time.Duration
	offset atomic.Int64 // time.Duration

	adjustedAt time.Duration
	offsets    []time.Duration // scratch of clockOffset
}

func (m *meshClock) init(wall directory.Time, start time.Duration) {
	m.wall, m.start, m.adjustedAt = wall, start, start
}

func (m *meshClock) at(now time.Duration) directory.Time {
	return m.wall.Add(now - m.start + time.Duration(m.offset.Load()))
}

// disciplineClock keeps mesh time near that of the peers: a synced director slews, another one steps. The peers' clocks are sampled once
// a beat, so a synced director need not look at each tick.
func (c *Core) disciplineClock(now time.Duration) {
	since := now - c.clock.adjustedAt
	if c.synced() && since < max(slewEvery, c.beatInterval()) {
		return
	}
	c.clock.adjustedAt = now
	offset, ok := c.clockOffset(now)
	if !ok {
		c.admission.clockOff = false
		return
	}
	c.admission.clockOff = offset.Abs() > clockTolerance
	if offset.Abs() > stepAbove && !c.synced() {
		c.step(offset)
		c.admission.clockOff = false
		return
	}
	limit := since / slewShare
	c.clock.offset.Add(int64(min(max(offset, -limit), limit)))
	for _, p := range c.peers {
		p.skew -= min(max(offset, -limit), limit)
	}
}

func (c *Core) step(offset time.Duration) {
	c.clock.offset.Add(int64(offset))
	for _, p := range c.peers {
		p.skew -= offset // measured against the old clock
	}
	c.counters.ClockSteps++
	c.logf(LogInfo, "mesh time stepped to the peers' median", Field{"offset", offset})
}

// clockOffset is how far the median of the mesh is ahead of us. The median is the lower one of an even number, so that two
// directors agree on which of them is right. Directors that are not synced follow those that are; a mesh follows an older one.
func (c *Core) clockOffset(now time.Duration) (time.Duration, bool) {
	offsets, others := c.clock.offsets[:0], 0
	for _, p := range c.sortedPeers() {
		switch {
		case !p.live || !p.skewKnown || c.younger(p.founding):
		case p.synced:
			offsets = append(offsets, p.skew)
		default:
			others++
		}
	}
	switch {
	case len(offsets)+others == 0:
		return 0, false
	case c.synced():
		offsets = append(offsets, 0)
	case len(offsets) == 0:
		for _, p := range c.sortedPeers() {
			if p.live && p.skewKnown && !c.younger(p.founding) {
				offsets = append(offsets, p.skew)
			}
		}
		offsets = append(offsets, 0)
	}
	c.clock.offsets = offsets
	slices.Sort(offsets)
	return offsets[(len(offsets)-1)/2], true
}

// younger reports whether f is a mesh founded after ours. Directors that have not founded anything yet are of one age.
func (c *Core) younger(f directory.Founding) bool {
	return f.At > c.table.Founding().At
}
