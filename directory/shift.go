package directory

import (
	"math"
	"time"

	"directormesh/ring"
)

// A director whose clock was wrong steps it. What it stamped by the wrong clock
// is moved along by the functions below. What came from others was stamped by
// their clock and stays as it is.

// Shift moves the times of all rows by whole ticks: recorded activity and stamps
// that lie after one tick and not after another, but never to before the first,
// and those after the latest that peers take. It calls each, without a lock, for
// every row that it changed. A later stamp does not bring back what the table
// forgot. Rows are changed leaf by leaf; lookups go on meanwhile.
func (d *Directory) Shift(
	after, until, latest Tick, by time.Duration, each func(tag ring.Tag, m Mapping),
) {
	span := shiftSpan{uint32(after), uint32(until), uint32(latest)}
	ticks := int64(by / (tickMillis * time.Millisecond))
	var changed []Mapping
	for _, tag := range d.Tags() {
		for leaf := range 1 << 16 {
			l, ok := d.lockLeaf(d.shard(tag), uint16(leaf))
			if !ok {
				continue
			}
			changed = l.shift(span, ticks, changed[:0])
			l.unlock()
			for _, m := range changed {
				each(tag, m)
			}
		}
	}
}

// shiftSpan is which ticks Shift moves: those after one and not after another, and those after the
// latest.
type shiftSpan struct{ after, until, latest uint32 }

func (s shiftSpan) moved(tick uint32, by int64) uint32 {
	if tick <= s.after || tick > s.until && tick <= s.latest {
		return tick
	}
	return uint32(min(max(int64(tick)+by, int64(s.after)), math.MaxUint32))
}

// shift appends the rows that it changed to changed.
func (l *lockedLeaf) shift(span shiftSpan, ticks int64, changed []Mapping) []Mapping {
	for i, r := range l.rows {
		was := r
		r.activity = span.moved(r.activity, ticks)
		if ticks < 0 || l.view.liveByTable(l.shard, was) {
			r.stamp = span.moved(r.stamp, ticks)
		}
		if r != was {
			l.replace(i, r)
			changed = append(changed, r.mapping(l.view))
		}
	}
	if l.summary != nil {
		l.summary.base = 0 // its epochs are those of the old clock
	}
	return changed
}

// Restamp replaces each stamp in the table by what moved returns for it: the
// stamps of registers, since when a backend is up or down, and up to when rows
// were dropped for space. Up to when mappings are forgotten becomes what
// forgotten returns for it. Configured registers, of stamp zero, stay.
func (t *Table) Restamp(moved, forgotten func(Stamp) Stamp) {
	replace := func(s *Stamp, by func(Stamp) Stamp) {
		if *s != 0 {
			*s = by(*s)
		}
	}
	restamp := func(s *Stamp) { replace(s, moved) }
	for addr, row := range t.backends {
		restamp(&row.Presence.Stamp)
		restamp(&row.VHosts.Stamp)
		restamp(&row.State.Stamp)
		restamp(&row.State.Value.Since)
		replace(&row.Forgotten, forgotten)
		restamp(&row.Drain.Stamp)
		restamp(&row.Drain.Value.Since)
		restamp(&row.Rebalance.Stamp)
		restamp(&row.Rebalance.Value.Since)
		restamp(&row.Verdict.Stamp)
		restamp(&row.Verdict.Value.Since)
		restamp(&row.Factor.Stamp)
		restamp(&row.Standby.Stamp)
		restamp(&row.Start.Stamp)
		restamp(&row.Start.Value.Since)
		restamp(&row.Listing.Stamp)
		t.backends[addr] = row
	}
	for addr, row := range t.directors {
		restamp(&row.Removed.Stamp)
		t.directors[addr] = row
	}
	for u, row := range t.pins.rows {
		restamp(&row.Backend.Stamp)
		t.pins.rows[u] = row
	}
	restamp(&t.lastDropped)
	restamp(&t.pins.lastDropped)
}

// LastStamp returns the highest stamp in the table.
func (t *Table) LastStamp() Stamp { return t.Snapshot().LastStamp() }

// LastStamp returns the highest stamp in the change.
func (c Change) LastStamp() (last Stamp) {
	last = max(c.Dropped, c.DroppedPins)
	for _, row := range c.Backends {
		last = max(last, row.lastMoment())
	}
	for _, row := range c.Directors {
		last = max(last, row.Removed.Stamp)
	}
	for _, row := range c.Pins {
		last = max(last, row.Backend.Stamp)
	}
	return last
}

// Until returns the change without the rows that hold a stamp after last, and
// whether there were any.
func (c Change) Until(last Stamp) (until Change, dropped bool) {
	if c.LastStamp() <= last {
		return c, false
	}
	until = Change{Mesh: c.Mesh}
	for _, row := range c.Backends {
		if row.lastMoment() <= last {
			until.Backends = append(until.Backends, row)
		}
	}
	for _, row := range c.Directors {
		if row.Removed.Stamp <= last {
			until.Directors = append(until.Directors, row)
		}
	}
	for _, row := range c.Pins {
		if row.Backend.Stamp <= last {
			until.Pins = append(until.Pins, row)
		}
	}
	return until, true
}
