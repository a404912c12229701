package sim

import (
	"net/netip"
	"slices"
	"time"

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
	reachable := p.alive && !p.leaving && w.flows(d, p) && w.flows(p, d)
	if reachable && !p.asleep {
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
// perhaps the caller itself. Two that meet exchange the members that they know; so does everyone
// with somebody it knows, now and then.
func (d *director) join() {
	w := d.w
	if w.now >= d.joinAt {
		d.joinAt = w.now + w.between(8*time.Second, 12*time.Second)
		if !slices.Contains(d.knows, true) {
			d.joinAt = w.now + time.Second
		}
		d.meet(w.directors[w.rand.IntN(len(w.directors))])
	}
	known := slices.DeleteFunc(slices.Clone(w.directors), func(p *director) bool {
		return !d.knows[p.index]
	})
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
