package directory

import (
	"math"
	"net/netip"

	"directormesh/ring"
)

// Touch records activity now in the mapping m and returns it as it is then.
// It reports false, and changes nothing, if the user has another mapping by
// now or if the one stored is dead or moving.
func (d *Directory) Touch(tag ring.Tag, m Mapping, now Time) (Mapping, bool) {
	s := d.shard(tag)
	l, ok := d.lockLeaf(s, leafOf(m.Hash))
	if !ok {
		return Mapping{}, false
	}
	defer l.unlock()
	i, ok := l.search(uint32(m.Hash))
	if !ok {
		return Mapping{}, false
	}
	r := l.rows[i]
	stored := r.mapping(l.view)
	if !stored.same(m) || stored.Moving || !l.view.live(s, r, d.deadline(now)) {
		return Mapping{}, false
	}
	if tick := now.Tick(); tick > stored.Activity {
		l.touch(i, uint32(tick))
		stored.Activity = tick
	}
	return stored, true
}

// Assign gives a user without a backend one: the user has no live mapping, or
// a live "no backend" that is neither moving nor of the last generation. The
// new mapping takes the generation after the row it replaces.
//
// If the user has a live mapping already, Assign returns that and false. If
// the backend is not present under the tag it returns the zero Mapping and
// false.
func (d *Directory) Assign(
	tag ring.Tag, h ring.UserHash, backend netip.Addr, now Time,
) (Mapping, bool) {
	s := d.shard(tag)
	if s == nil || !backend.IsValid() {
		return Mapping{}, false
	}
	p := d.open(s, h, now)
	defer p.leaf.unlock()
	generation := uint16(1)
	if p.status != None {
		stored := p.row.mapping(p.leaf.view)
		if p.status == Live &&
			(stored.Moving || stored.Backend.IsValid() || stored.Generation == MaxGeneration) {
			return stored, false
		}
		if p.status == Live || !d.guards.ResetGeneration {
			generation = NextGeneration(stored.Generation)
		}
	}
	activity := p.activity(now, d.deadline(now))
	return p.put(
		Mapping{Hash: h, Backend: backend, Activity: activity, Generation: generation}, now)
}

// Supersede gives a user another backend, whatever it has now; the zero
// backend means "no backend". The new mapping's generation is above that of
// the row it replaces, dead or live, and above the generation given as above.
// With moving, lookups are to be held until Release.
//
// It also returns what it replaced. If nothing can be changed, because the
// backend is not present under the tag or because the user's live mapping has
// the last generation, the first result is the zero Mapping. "No backend" is
// never given the last generation.
func (d *Directory) Supersede(
	tag ring.Tag, h ring.UserHash, backend netip.Addr, moving bool, now Time, above uint16,
) (next, previous Mapping, was Status) {
	s := d.shard(tag)
	if s == nil {
		if backend.IsValid() {
			return Mapping{}, Mapping{}, None
		}
		s = d.ensureShard(tag)
	}
	p := d.open(s, h, now)
	defer p.leaf.unlock()
	next = Mapping{Hash: h, Backend: backend, Moving: moving}
	next.Activity = p.activity(now, d.deadline(now))
	if p.status != None {
		previous = p.row.mapping(p.leaf.view)
	}
	if p.status == Live && previous.Generation == MaxGeneration {
		return Mapping{}, previous, p.status
	}
	if p.status == Live || !d.guards.ResetGeneration {
		above = max(above, previous.Generation)
	}
	next.Generation = NextGeneration(above)
	if !backend.IsValid() && next.Generation == MaxGeneration {
		// nothing could replace it: the user could not log in until it had died
		return Mapping{}, previous, p.status
	}
	next, _ = p.put(next, now)
	return next, previous, p.status
}

// Release ends the move that made the mapping m. It reports false, and changes
// nothing, if the user has another mapping by now.
func (d *Directory) Release(tag ring.Tag, m Mapping) (Mapping, bool) {
	l, ok := d.lockLeaf(d.shard(tag), leafOf(m.Hash))
	if !ok {
		return Mapping{}, false
	}
	defer l.unlock()
	i, ok := l.search(uint32(m.Hash))
	if !ok || !l.rows[i].mapping(l.view).same(m) {
		return Mapping{}, false
	}
	r := l.rows[i]
	r.bits &^= bitMoving
	l.replace(i, r)
	return r.mapping(l.view), true
}

// slot is where a user's row is or will be, in a locked leaf.
type slot struct {
	leaf   lockedLeaf
	at     int
	row    row // what is there, unless status is None
	status Status
}

// open locks the leaf of a user and finds the user's slot in it. The caller unlocks the leaf.
func (d *Directory) open(s *shard, h ring.UserHash, now Time) slot {
	p := slot{leaf: d.lockNewLeaf(s, leafOf(h))}
	at, ok := p.leaf.search(uint32(h))
	p.at = at
	if ok {
		p.row = p.leaf.rows[at]
		p.status = p.leaf.view.status(s, p.row, d.deadline(now))
	}
	return p
}

// activity returns what a mapping made now has as its activity: now, or that of the row it
// replaces if this is later, by the clock of another director. A row that is dead by the table
// has its say too, as in a merge: else this director would stay behind all that merge the two.
func (p *slot) activity(now Time, due deadline) Tick {
	if p.status == None || int64(p.row.activity) <= int64(due) {
		return now.Tick()
	}
	return max(now.Tick(), Tick(p.row.activity))
}

// put stores m, stamped now or, if that is later, just after what was last
// forgotten of its backend. It reports false, and stores nothing, if the
// mapping would be dead.
func (p *slot) put(m Mapping, now Time) (Mapping, bool) {
	view := p.leaf.view
	id, ok := view.id(p.leaf.shard, m.Backend)
	if !ok {
		return Mapping{}, false
	}
	stamp := max(int64(now.Tick()), view.entries[id].forgotten+1)
	if stamp > math.MaxUint32 {
		return Mapping{}, false
	}
	m.Stamp = Tick(stamp)
	if r := packed(m, id); p.status == None {
		p.leaf.insert(p.at, r)
	} else {
		p.leaf.replace(p.at, r)
	}
	return m, true
}
