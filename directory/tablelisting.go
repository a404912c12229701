package directory

import "net/netip"

// SetListings writes whether the names of backends have their addresses. Backends that are not in
// the table, or of which that is written already, are left out. That one is gone is written just
// after what was said before: a command that another director has been given meanwhile to use it
// all the same is later, and holds.
func (t *Table) SetListings(stamp Stamp, origin string, listings map[netip.Addr]Listing) Change {
	c := t.change()
	for _, b := range t.Backends() {
		listing, ok := listings[b.Addr]
		stored := t.backends[b.Addr].Listing
		if !ok || stored.Value == listing {
			continue
		}
		row := BackendRow{
			Addr: b.Addr, Listing: Register[Listing]{Value: listing, Stamp: stamp, Origin: origin},
		}
		if listing.Gone {
			row.Listing.Stamp = stored.Stamp + 1
		}
		c.Backends = append(c.Backends, row)
	}
	return c
}

// Adopt gives a backend another name. That is written just after what it goes by: what an operator
// says of the backend where it is not heard of yet is later, and holds.
func (t *Table) Adopt(origin string, addr netip.Addr, name string) (Change, error) {
	stored, err := t.present(addr)
	if err != nil {
		return Change{}, err
	}
	named := stored.Presence
	named.Value.Name, named.Stamp, named.Origin = name, named.Stamp+1, origin
	return t.change(BackendRow{
		Addr: addr, Presence: named, Listing: retained(stored, stored.Listing.Stamp+1, origin),
	}), nil
}

// retained is what becomes of the listing of a backend that an operator wants in use: of one that
// is not drained for it, nothing.
func retained(stored BackendRow, stamp Stamp, origin string) (r Register[Listing]) {
	if stored.Listing.Value.drains() {
		r = Register[Listing]{
			Value: Listing{Gone: true, Retained: true}, Stamp: stamp, Origin: origin,
		}
	}
	return r
}
