package sim

import (
	"net/netip"

	"directormesh/mesh/meshtest/check"
	"directormesh/ring"
)

// login asks the director for users, as a door would: those that it reads at once are looked up at
// once.
func (d *director) login(users []int) {
	if !d.alive || d.leaving || d.removed {
		return
	}
	d.input("doors", func() {
		w := d.w
		if d.removed {
			return
		}
		ids, batch := make([]uint64, len(users)), make([]ring.Lookup, len(users))
		for i, user := range users {
			u := w.schedule.Users[user]
			ids[i] = w.id()
			w.record(check.Lookup{At: w.when(), ID: ids[i], Director: d.name, User: u})
			d.users[ids[i]] = waiting{user, w.now}
			batch[i] = ring.Lookup{Tag: ring.Tag(u.Tag), Hash: ring.UserHash(u.Hash)}
		}
		d.tryLookups(batch)
		for i, l := range batch {
			backend, ok := l.Backend, l.Backend.IsValid()
			if !ok {
				backend, ok = d.core.Lookup(d.now(), ids[i], l.Tag, l.Hash)
			}
			if ok {
				d.answered(ids[i], backend, nil)
			} else {
				w.tracef("%s: lookup %d of u%d waits", d.name, ids[i], users[i])
			}
		}
	})
}

// tryLookups asks for one user alone as doors do that take one at a time.
func (d *director) tryLookups(batch []ring.Lookup) {
	if len(batch) > 1 {
		d.core.TryLookups(d.now(), batch)
		return
	}
	l := &batch[0]
	if backend, ok := d.core.TryLookup(d.now(), l.Tag, l.Hash); ok {
		l.Backend = backend
	}
}

// answered takes the end of a lookup: the proxy connects to the backend.
func (d *director) answered(id uint64, backend netip.Addr, err error) {
	w := d.w
	l, ok := d.users[id]
	delete(d.users, id)
	d.record(check.Answer{At: w.when(), ID: id, Backend: backend, Failed: err != nil})
	if !ok {
		return
	}
	user := l.user
	w.demands.waited(w, d, w.schedule.Users[user], l.since)
	if err != nil {
		w.tracef("%s: lookup %d of u%d failed: %v", d.name, id, user, err)
		return
	}
	w.tracef("%s: lookup %d of u%d (%v): %v", d.name, id, user, w.schedule.Users[user], backend)
	d.openSession(user, backend)
}
