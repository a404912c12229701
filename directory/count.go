package directory

import (
	"net/netip"
	"sync/atomic"
)

// tally counts the rows that refer to a backend: counted are its users; buried
// are the rows that a sweep has found dead and will drop later.
type tally struct {
	counted atomic.Int64
	buried  atomic.Int64
}

// referred says whether any row refers to the backend, provided that rows can
// only go away or be buried, as is so once the backend is not present.
func (t *tally) referred() bool {
	// In this order: a row that is being buried is added there first.
	return t.counted.Load() != 0 || t.buried.Load() != 0
}

func (v *view) tallyOf(r row) *atomic.Int64 {
	users := v.entries[r.backend].users
	if r.bits&bitBuried != 0 {
		return &users.buried
	}
	return &users.counted
}

// added counts a row that was inserted.
func (v *view) added(r row) { v.tallyOf(r).Add(1) }

// replaced counts a row that was put in the place of old.
func (v *view) replaced(old, r row) {
	if old.backend != r.backend || (old.bits^r.bits)&bitBuried != 0 {
		v.tallyOf(r).Add(1)
		v.tallyOf(old).Add(-1)
	}
}

// removed counts a row that was taken out.
func (v *view) removed(r row) { v.tallyOf(r).Add(-1) }

// Users returns how many mappings lead to a backend. Those that have died
// since the last sweep are still counted.
func (d *Directory) Users(backend netip.Addr) int {
	v := d.view.Load()
	id, ok := v.ids[backend]
	if !ok {
		return 0
	}
	return int(v.entries[id].users.counted.Load())
}

// Len returns the number of mappings, "no backend" included. Those that have
// died since the last sweep are still counted.
func (d *Directory) Len() int {
	n := int64(0)
	for _, e := range d.view.Load().entries {
		n += e.users.counted.Load()
	}
	return int(n)
}
