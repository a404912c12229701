package replica

import (
	"net/netip"

	"directormesh/ring"
)

// view is what a lookup needs to know besides the directory: an immutable snapshot.
type view struct {
	synced bool
	rings  []*ring.Rings // kept ones, today's last
	down   map[netip.Addr]bool
}

func (c *Core) makeView() *view {
	v := &view{synced: c.admission.synced, down: make(map[netip.Addr]bool)}
	v.rings = append(v.rings, c.barrier.Rings()...)
	if c.cfg.Guards.NoBarrier {
		v.rings = v.rings[len(v.rings)-1:]
	}
	for _, b := range c.table.Backends() {
		if b.Down {
			v.down[b.Addr] = true
		}
	}
	return v
}

// changeView lets change alter what lookups see. When it returns, no mapping made from an older
// view is missing from the outbox.
func (c *Core) changeView(change func()) {
	c.assignMu.Lock()
	change()
	c.view.Store(c.makeView())
	c.assignMu.Unlock()
	c.waiters.recheck = true
}

// hashed is the user's place on today's ring.
func (v *view) hashed(u ring.User) (netip.Addr, bool) {
	return v.rings[len(v.rings)-1].Lookup(u.Tag, u.Hash)
}

// agreed reports whether all kept rings give the user the same place.
func (v *view) agreed(u ring.User) (place netip.Addr, ok, agree bool) {
	place, ok = v.hashed(u)
	for _, r := range v.rings[:len(v.rings)-1] {
		if other, _ := r.Lookup(u.Tag, u.Hash); other != place {
			return place, ok, false
		}
	}
	return place, ok, true
}
