package lookups

import (
	"net/netip"

	"directormesh/ring"
)

// View is what a lookup must know besides the directory. It never changes.
type View struct {
	synced bool
	rings  []*ring.Rings       // by which directors may still answer, today's last; one at least
	down   map[netip.Addr]bool // backends that are down; only true values
	out    map[netip.Addr]bool // backends that failed and are off the ring; only true values
}

// NewView returns a view. Rings are those by which directors may still answer, today's last, one at
// least. The view keeps them; they must not be changed.
func NewView(synced bool, rings []*ring.Rings, backends []ring.Backend) *View {
	v := &View{
		synced: synced, rings: rings, down: make(map[netip.Addr]bool),
		out: make(map[netip.Addr]bool),
	}
	for _, b := range backends {
		if b.Out {
			v.out[b.Addr] = true
		}
		if b.Down {
			v.down[b.Addr] = true
		}
	}
	return v
}

// Today are the rings of today.
func (v *View) Today() *ring.Rings { return v.rings[len(v.rings)-1] }

// Place is where the user belongs by today's ring; false if nowhere.
func (v *View) Place(u ring.User) (netip.Addr, bool) {
	return v.Today().Lookup(u.Tag, u.Hash)
}

// leaving says why a user on a backend that is out gets no answer yet.
func (v *View) leaving(u ring.User, backend netip.Addr) Verdict {
	place, ok, agree := v.agreed(u)
	switch {
	case !agree || place == backend: // as another director may answer still
		return RingChanging
	case !ok:
		return NoBackend
	}
	return OnFailed
}

// agreed is Place, and whether all rings of the view give the user the same place.
func (v *View) agreed(u ring.User) (place netip.Addr, ok, agree bool) {
	place, ok = v.Place(u)
	for _, r := range v.rings[:len(v.rings)-1] {
		if other, _ := r.Lookup(u.Tag, u.Hash); other != place {
			return place, ok, false
		}
	}
	return place, ok, true
}
