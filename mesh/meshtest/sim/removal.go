package sim

import (
	"maps"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
)

// orderMembership orders the director to remove another one from the mesh, or to let it in again.
// For the checker one that is removed leaves: what it does from then on is of no account, but it
// must not answer by itself once it can know.
func (d *director) orderMembership(p *director, remove bool) {
	if !d.alive || d.leaving || d.removed || remove == (p.removed && !p.letIn) {
		return
	}
	w := d.w
	d.input("doors", func() {
		switch {
		case !d.core.Self(d.now()).Synced: // it refuses
		case !remove:
			p.letIn = true
			w.awaitReturn(p)
		case p.removed:
			p.letIn = false
		default:
			p.record(check.Leave{At: w.when(), Director: p.name})
			p.record(check.Stop{At: w.when(), Director: p.name, Removed: true})
			p.removed, p.knownRemoved = true, make(map[*director]int)
			p.withdrawLookups()
			defer w.demands.watchRemoved(w, p, w.now)
		}
		d.core.Do(d.now(), w.id(), replica.SetDirectorRemoved{Addr: p.addr, Removed: remove})
	})
}

// withdrawLookups ends the lookups that a director has not answered when it is removed: their
// clients hang up, and the checker has forgotten them.
func (d *director) withdrawLookups() {
	for _, id := range slices.Sorted(maps.Keys(d.users)) {
		d.core.CancelLookup(id)
	}
	d.users = make(map[uint64]waiting)
}

// removalLost reports whether a removed director is part of the mesh after all: no life in which a
// director had the removal goes on. It was reported to one that died before it could pass it on.
func (w *world) removalLost(d *director) bool {
	for _, p := range w.directors {
		if p.alive && p.holdsRemovalOf(d) {
			d.knownRemoved[p] = p.life
		}
	}
	for p, life := range d.knownRemoved {
		if p.alive && p.life == life {
			return false
		}
	}
	return true
}

func (d *director) holdsRemovalOf(p *director) bool {
	return slices.ContainsFunc(d.core.Table().Directors, func(r directory.DirectorRow) bool {
		return r.Addr == p.addr && r.Removed.Value
	})
}

// awaitReturn makes a director that was let in part of the mesh again, once it is; or when it
// starts again, see start.
func (w *world) awaitReturn(d *director) {
	w.after(100*time.Millisecond, func() {
		if !d.removed || !d.letIn {
			return
		}
		if d.alive && !d.asleep {
			if self := d.core.Self(d.now()); self.Synced && !self.Alone && w.countedAgain(d) {
				d.comeBack()
				d.reportSynced()
				return
			}
		}
		w.awaitReturn(d)
	})
}

// leavesTheRemoved reports whether of all that live only removed directors would be left, and one
// of them has not heard of its removal. What a director that starts next has from that one cannot
// be judged: it is no part of the mesh, and only it still has what was acknowledged. One that has
// heard of its removal gives nothing away.
func (w *world) leavesTheRemoved(a Action, d *director) bool {
	if a.Kind != Crash && a.Kind != Rename && a.Kind != Leave || d.removed {
		return false
	}
	unaware := false
	for _, p := range w.directors {
		if p != d && p.alive && !p.removed {
			return false
		}
		unaware = unaware || p != d && p.alive && !p.holdsRemovalOf(p)
	}
	return unaware
}

// countedAgain reports whether some director of the mesh shows this one as synced. One that was cut
// off all the time knows neither that it was removed nor that it was let in.
func (w *world) countedAgain(d *director) bool {
	for _, p := range w.directors {
		if p == d || !p.alive || p.removed {
			continue
		}
		for _, peer := range p.core.Peers(p.now()) {
			if peer.Name == d.name && peer.State == replica.Synced {
				return true
			}
		}
	}
	return false
}

func (d *director) comeBack() {
	d.removed, d.letIn, d.synced, d.mesh = false, false, false, 0
	d.record(check.Start{At: d.w.when(), Director: d.name})
}

// removedKnows is how long after it could first hear of it a director that was removed must know.
const removedKnows = 15 * time.Second

// watchRemoved demands that a director that was removed does not answer by itself once members that
// hold its removal have reached it without a break since a moment, for as long as it takes to hear.
func (x *demands) watchRemoved(w *world, d *director, since time.Duration) {
	if !d.removed || d.letIn {
		return
	}
	if w.removalLost(d) {
		w.tracef("nobody holds the removal of %s any more", d.name)
		d.letIn = true
		w.awaitReturn(d)
		return
	}
	reached := d.alive && !d.asleep && slices.ContainsFunc(w.directors, func(p *director) bool {
		return p != d && !p.removed && p.alive && w.flows(p, d) && w.flows(d, p) &&
			p.holdsRemovalOf(d)
	})
	switch {
	case !reached:
		since = w.now
	case w.now-since < removedKnows:
	case d.core.Self(d.now()).Synced:
		x.breach(w, "removed", 0, "%s was removed and answers by itself", d.name)
		return
	}
	w.after(demandEvery, func() { x.watchRemoved(w, d, since) })
}
