package directory

import (
	"maps"
	"math"
	"net/netip"
	"slices"
	"sync/atomic"
)

// view is what the directory knows of backends, indexed by the id that rows
// store. A view never changes; SetBackends replaces it. Id 0 is "no backend".
//
// Rows are stored by the view that is current while their leaf is locked. So
// once SetBackends has replaced a view and then passed every lock, nobody can
// still store a row by the old one. A peek loads the view while it watches that
// its row stays, and an id that a row refers to keeps its backend.
type view struct {
	entries []entry
	ids     map[netip.Addr]uint16
	// liveness changes whenever an entry's home or forgotten does.
	liveness uint32
}

// entry is one backend; 64 bytes, a cache line.
type entry struct {
	addr netip.Addr
	home *shard // the tag under which the backend is present; nil if it is not
	// tick up to which its mappings are forgotten; -1 if none, unlisted without a row in the table
	forgotten int64
	mix       uint64 // the address's part in digests
	users     *tally
	// seen is when a sweep first saw the backend with this home and forgotten,
	// as a Time; zero before that.
	seen *atomic.Int64
}

// unlisted marks a backend that left the table with the mesh of which it was. Elsewhere in the mesh
// that was joined nobody ever heard of it; so it must be here as if it had never been.
const unlisted = math.MaxInt64

// maxBackends is how many ids there are.
const maxBackends = math.MaxUint16

func newEntry(addr netip.Addr) entry {
	return entry{
		addr: addr, forgotten: -1, mix: mixAddr(addr), users: new(tally), seen: new(atomic.Int64),
	}
}

func newView() *view {
	return &view{entries: []entry{newEntry(netip.Addr{})}, ids: map[netip.Addr]uint16{}}
}

func (v *view) clone() *view {
	return &view{entries: slices.Clone(v.entries), ids: maps.Clone(v.ids), liveness: v.liveness}
}

// id returns the id under which rows of shard s store a backend. It reports
// false if such a row would be dead, whatever its stamp.
func (v *view) id(s *shard, addr netip.Addr) (uint16, bool) {
	if !addr.IsValid() {
		return 0, true
	}
	id, ok := v.ids[addr]
	return id, ok && v.entries[id].home == s
}

// listed says whether the table has a row of the backend, present or removed. "No backend" counts
// as listed.
func (v *view) listed(id uint16) bool { return v.entries[id].forgotten != unlisted }

// SetBackends gives the directory the list of which backends are in the table, present or
// not, and up to when their mappings are forgotten. Mappings that this makes
// dead stay stored until a sweep drops them. Those of a backend that rows does
// not have any more count for nothing, not even for what they superseded.
//
// There is room for 65,535 backends that are present or have mappings; those
// beyond it are taken as not present.
func (d *Directory) SetBackends(rows []BackendRow) {
	d.backendsMu.Lock()
	defer d.backendsMu.Unlock()

	old := d.view.Load()
	next := old.clone()
	for i := 1; i < len(next.entries); i++ {
		next.entries[i].home, next.entries[i].forgotten = nil, unlisted
	}
	var fresh []entry
	for _, r := range rows {
		if unusable(r.Addr) {
			continue
		}
		// none: removed, but rows of it can still be stored, to count for their generation
		var home *shard
		forgotten := int64(-1)
		if r.present() {
			home = d.ensureShard(r.Presence.Value.Tag)
		}
		if r.Forgotten != 0 && !d.guards.IgnoreForgotten {
			forgotten = int64(r.Forgotten.Tick())
		}
		if id, ok := next.ids[r.Addr]; ok {
			next.entries[id].home, next.entries[id].forgotten = home, forgotten
			continue
		}
		e := newEntry(r.Addr)
		e.home, e.forgotten = home, forgotten
		fresh = append(fresh, e)
	}
	for id := range next.entries {
		was, is := &old.entries[id], &next.entries[id]
		if was.home != is.home || was.forgotten != is.forgotten {
			is.seen = new(atomic.Int64)
			next.liveness = old.liveness + 1
		}
	}

	unused := d.maxBackends + 1 - len(next.entries)
	if more := fresh[min(unused, len(fresh)):]; len(more) > 0 {
		next = d.replaceVanished(next, more)
		fresh = fresh[:unused]
	}
	for _, e := range fresh {
		next.ids[e.addr] = uint16(len(next.entries))
		next.entries = append(next.entries, e)
	}
	d.view.Store(next)
}

// replaceVanished returns v with as many of the fresh entries as there are ids
// to be had from backends that are neither present nor referred to by any
// row. It makes v itself current first: after that no row can begin to refer
// to such a backend. The caller has locked backendsMu.
func (d *Directory) replaceVanished(v *view, fresh []entry) *view {
	d.view.Store(v)
	d.passLocks()
	next := v.clone()
	for id := 1; id < len(next.entries) && len(fresh) > 0; id++ {
		e := &next.entries[id]
		if e.home != nil || e.users.referred() {
			continue
		}
		delete(next.ids, e.addr)
		*e = fresh[0]
		next.ids[e.addr] = uint16(id)
		fresh = fresh[1:]
	}
	return next
}

// passLocks returns when every operation that had locked a leaf at the call
// has let go of it.
func (d *Directory) passLocks() {
	for _, s := range d.shards.Load().byTag {
		for i := range s.groups {
			g := s.groups[i].Load()
			if g == nil {
				continue
			}
			for j := range g.locks {
				l := &g.locks[j]
				l.mu.Lock()
				//lint:ignore SA2001 having waited is all that is wanted
				l.mu.Unlock()
			}
		}
	}
}
