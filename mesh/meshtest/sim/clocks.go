package sim

import (
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/mono"
)

// now is the director's monotonic clock. It counts while the process sleeps, and stands still with
// its host.
func (d *director) now() mono.Time {
	t := d.w.now - d.lag
	if d.frozen {
		t = d.frozenAt - d.lag
	}
	return d.origin.Add(t + time.Duration(d.drift*float64(t)))
}

// wall is the wall clock of the director's host. It tells the time again at once when a host that
// stood still goes on.
func (d *director) wall() directory.Micros {
	t := worldStart.Micros().Add(d.w.now + d.wallOff + d.skew)
	if walls := d.w.schedule.Clocks.Walls; walls != nil {
		t = t.Add(time.Duration(walls[d.index].Drift * float64(d.w.now)))
	}
	return t
}

// medianWall is the middle of the wall clocks of all that live, of an even number the mean of the
// middle two.
func (w *world) medianWall() directory.Micros {
	var all []directory.Micros
	for _, d := range w.directors {
		if d.alive && !d.removed {
			all = append(all, d.wall())
		}
	}
	slices.Sort(all)
	low, high := all[(len(all)-1)/2], all[len(all)/2]
	return low.Add(high.Sub(low) / 2)
}

// freeze lets the whole host stand still: the process, and its monotonic clock too.
func (d *director) freeze(length time.Duration) {
	if !d.alive || d.asleep {
		return
	}
	d.asleep = true
	d.record(check.Pause{At: d.w.when(), Director: d.name, Clocks: true})
	d.frozen, d.frozenAt = true, d.w.now
	d.w.noteStandstill()
	life := d.life
	d.w.after(length, func() {
		d.lag += d.w.now - d.frozenAt
		d.frozen = false
		d.w.noteStandstill()
		if d.life == life && d.alive {
			d.wake()
		}
	})
}

// judgedTime is the time by which the checker judges: true time without that in which all hosts
// stood still. Then nothing happens, and nobody can know that it went by.
func (w *world) judgedTime() time.Duration {
	if w.still {
		return w.stillAt - w.stood
	}
	return w.now - w.stood
}

// noteStandstill notes since when all hosts stand still, and that one goes on.
func (w *world) noteStandstill() {
	still := true
	for _, d := range w.directors {
		still = still && (d.frozen || !d.alive)
	}
	switch {
	case still && !w.still:
		w.stillAt = w.now
	case !still && w.still:
		w.stood += w.now - w.stillAt
	}
	w.still = still
}

// pace is how often something happens: rarely while nothing is to happen.
func (w *world) pace(usual time.Duration) time.Duration {
	for _, s := range w.schedule.Idle {
		if w.now >= s.From && w.now < s.To {
			return max(usual, min(10*usual, idleTick))
		}
	}
	return usual
}

// idleTick is the rarest that anything happens while nothing is to happen. A core whose tick is a
// second late thinks that it slept.
const idleTick = 600 * time.Millisecond
