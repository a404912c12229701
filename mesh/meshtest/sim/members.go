package sim

import (
	"net/netip"
	"slices"
	"time"

	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
)

// lookEvery is how often a director's memberlist looks at the others.
const lookEvery = 500 * time.Millisecond

// membership is what a director's memberlist thinks of another director.
type membership struct {
	name  string // of then
	boot  uint64
	alive bool
	lost  time.Duration // since when it does not answer, 0 if it does
	after time.Duration // for how long it may
}

// membership lets the directors find and lose each other, as memberlist does, without its messages.
func (w *world) membership() {
	w.after(w.pace(lookEvery), w.membership)
	for _, d := range w.directors {
		if !d.alive || d.asleep || d.leaving {
			continue
		}
		if w.schedule.Balancer {
			d.join()
		}
		for _, x := range d.core.Dials() {
			if x.Trust == replica.Proven || x.Name == "" { // the core has the others dialled
				d.contact(x, false)
			}
		}
		for _, p := range w.directors {
			if p != d && (!w.schedule.Balancer || d.knows[p.index]) {
				d.observe(p)
			}
		}
	}
}

// observe is one look of a director's memberlist at another director.
func (d *director) observe(p *director) {
	w := d.w
	m := d.members[p.index]
	if reachable := p.alive && !p.leaving && w.flows(d, p) && w.flows(p, d); reachable && !p.asleep {
		if m != nil && m.alive && m.boot == p.boot {
			m.lost = 0
			return
		}
		if w.chance(0.5) {
			if m != nil && m.alive && m.name != p.name {
				old := m.name
				d.input("members", func() { d.core.MemberFailed(d.now(), old) })
			}
			d.members[p.index] = &membership{name: p.name, boot: p.boot, alive: true}
			d.input("members", func() { d.core.MemberJoined(d.now(), p.name, p.addr, p.boot) })
			d.pushPull(p)
		}
		return
	}
	switch {
	case m == nil || !m.alive:
	case m.lost == 0:
		m.lost, m.after = w.now, w.between(4*time.Second, 9*time.Second)
		d.input("members", func() { d.core.ProbeFailed(d.now(), m.name) })
	case w.now-m.lost > m.after:
		m.alive = false
		d.input("members", func() { d.core.MemberFailed(d.now(), m.name) })
	}
}

// join calls the one address that all are given, behind which a balancer picks some director,
// perhaps the caller itself. Who meets tells the other whom it knows; so does everybody with
// somebody it knows, now and then.
func (d *director) join() {
	w := d.w
	if w.now >= d.joinAt {
		d.joinAt = w.now + w.between(8*time.Second, 12*time.Second)
		if !slices.Contains(d.knows, true) {
			d.joinAt = w.now + time.Second
		}
		d.meet(w.directors[w.rand.IntN(len(w.directors))])
	}
	known := slices.DeleteFunc(slices.Clone(w.directors), func(p *director) bool { return !d.knows[p.index] })
	if len(known) > 0 {
		d.meet(known[w.rand.IntN(len(known))])
	}
}

func (d *director) meet(p *director) {
	if p == d || !p.alive || p.asleep || p.leaving || !d.w.flows(d, p) || !d.w.flows(p, d) {
		return
	}
	for i := range d.knows {
		known := d.knows[i] || p.knows[i]
		d.knows[i], p.knows[i] = known || i == p.index, known || i == d.index
	}
	d.knows[d.index], p.knows[p.index] = false, false
}

// hearOfNobody lets the director's memberlist name one that does not exist, until it is given up.
func (d *director) hearOfNobody(length time.Duration) {
	life := d.life
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, 250}), 9090)
	boot := d.w.rand.Uint64()
	d.input("members", func() { d.core.MemberJoined(d.now(), "phantom", addr, boot) })
	d.w.after(length, func() {
		if d.life == life {
			d.input("members", func() { d.core.MemberFailed(d.now(), "phantom") })
		}
	})
}

// orderMembership tells the director to remove another one from the mesh, or to let it in again.
// For the checker one that is removed leaves: what it does from then on is of no account, but it
// must not answer by itself once it can know.
func (d *director) orderMembership(p *director, remove bool) {
	if !d.alive || d.leaving || d.removed || remove == (p.removed && !p.letIn) {
		return
	}
	w := d.w
	d.input("doors", func() {
		switch {
		case !remove:
			p.letIn = true
			w.awaitReturn(p)
		case p.removed:
			p.letIn = false
		default:
			p.record(check.Leave{At: w.when(), Director: p.name})
			p.record(check.Stop{At: w.when(), Director: p.name})
			p.removed, p.disowned, p.users = true, p.users, make(map[uint64]waiting)
			w.demands.watchRemoved(w, p, w.now)
		}
		d.core.Do(d.now(), w.id(), replica.SetDirectorRemoved{Addr: p.addr, Removed: remove})
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
				d.tellSynced()
				return
			}
		}
		w.awaitReturn(d)
	})
}

// leavesTheRemoved reports whether of all that live only removed directors would be left. What they
// have told whoever starts next cannot be judged: they are no part of the mesh, and all that was
// acknowledged is gone but for them.
func (w *world) leavesTheRemoved(a Action, d *director) bool {
	if a.Kind != Crash && a.Kind != Rename && a.Kind != Leave || d.removed {
		return false
	}
	removed := false
	for _, p := range w.directors {
		if p != d && p.alive && !p.removed {
			return false
		}
		removed = removed || p != d && p.alive
	}
	return removed
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
