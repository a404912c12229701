package barrier

import (
	"net/netip"
	"slices"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/ring"
)

// Peer is what a barrier must know of a peer.
type Peer struct {
	Name    string
	Counted bool // it is live, and we count it
	Behind  bool // it holds rows that we lack: we do not know what it answered before
	// Registers is how many of a backend's registers it knows beyond those of the first release.
	// The others it neither goes by nor confirms.
	Registers int
}

// Change is a table change that was applied here and that not all counted peers have confirmed yet.
type Change struct {
	items []*item
	since mono.Time // since when confirmations are waited for
	done  bool      // all have confirmed; it stays so
	// unknownRing: no director has the ring before it. It made us part of a mesh, or is what a
	// member lacked when it admitted us.
	unknownRing bool
	by          string // the only peer that has to confirm it; empty: all

	awaited string   // a peer that had not confirmed when last looked at; empty: not known
	failed  []string // peers that failed before they confirmed, in the order in which they did
}

// item is one row of a change. Registers of a row may be confirmed through different messages, rows
// are not: every message about a row carries all of it.
type item struct {
	backend   directory.BackendRow  // with a valid address, or else
	director  directory.DirectorRow // this one, with a valid address, or else
	pin       directory.PinRow      // this one
	confirmed map[string]bool       // by peer name; none is taken back
}

// NewChange begins to wait for the confirmations of what was applied, but for that of the peer from
// which it came, empty if it came from none. UnknownRing says that we do not know by which ring
// peers go until they have confirmed it.
func NewChange(now mono.Time, applied directory.Change, from string, unknownRing bool) *Change {
	c := &Change{since: now, unknownRing: unknownRing}
	for _, row := range applied.Backends {
		c.items = append(c.items, &item{backend: row, confirmed: map[string]bool{from: true}})
	}
	for _, row := range applied.Directors {
		c.items = append(c.items, &item{director: row, confirmed: map[string]bool{from: true}})
	}
	for _, row := range applied.Pins {
		c.items = append(c.items, &item{pin: row, confirmed: map[string]bool{from: true}})
	}
	return c
}

// Lacking is what one peer has to confirm of our table, whose own table is theirs; nil if it is
// nothing. We do not know the ring that it goes by until then.
func Lacking(
	now mono.Time,
	ours directory.Change,
	peer Peer,
	theirs directory.Change,
) *Change {
	c := NewChange(now, ours, "", true)
	c.by = peer.Name
	c.Confirm(peer, theirs)
	c.items = slices.DeleteFunc(c.items, func(i *item) bool { return i.confirmedBy(peer) })
	if len(c.items) == 0 {
		return nil
	}
	return c
}

// Confirm notes what a peer's statement about its table confirms.
func (c *Change) Confirm(peer Peer, said directory.Change) {
	var open []*item
	for _, i := range c.items {
		if !i.confirmedBy(peer) {
			open = append(open, i)
		}
	}
	if len(open) == 0 {
		return
	}
	// Both may have thousands of rows.
	backends := make(map[netip.Addr]directory.BackendRow, len(said.Backends))
	for _, r := range said.Backends {
		backends[r.Addr] = r
	}
	directors := make(map[netip.AddrPort]directory.DirectorRow, len(said.Directors))
	for _, r := range said.Directors {
		directors[r.Addr] = r
	}
	pins := make(map[ring.User]directory.PinRow, len(said.Pins))
	for _, r := range said.Pins {
		pins[r.User] = r
	}
	for _, i := range open {
		covered := false
		switch {
		case i.backend.Addr.IsValid():
			r, ok := backends[i.backend.Addr]
			covered = ok && r.Covers(i.backend.Known(peer.Registers))
		case i.director.Addr.IsValid():
			r, ok := directors[i.director.Addr]
			covered = ok && r.Covers(i.director)
		default:
			r, ok := pins[i.pin.User]
			covered = ok && r.Covers(i.pin)
		}
		if covered {
			i.confirmed[peer.Name] = true
		}
	}
}

func (c *Change) confirmAll(peer string) {
	for _, i := range c.items {
		i.confirmed[peer] = true
	}
}

func (c *Change) hasConfirmed(peer Peer) bool {
	for _, i := range c.items {
		if !i.confirmedBy(peer) {
			return false
		}
	}
	return true
}

// confirmedBy reports whether a peer has confirmed the row, or knows nothing of what changed in it.
func (i *item) confirmedBy(p Peer) bool {
	switch {
	case i.confirmed[p.Name]:
		return true
	case i.backend.Addr.IsValid():
		return i.backend.Known(p.Registers).Empty()
	case i.director.Addr.IsValid():
		return false
	}
	return p.Registers < directory.PinRegister
}

// ConfirmedBy reports whether a peer answers by this change already. With a gap in its log we do
// not know what it answered before.
func (c *Change) ConfirmedBy(p Peer) bool { return !p.Behind && c.hasConfirmed(p) }

// Awaits reports whether the change waits for a peer.
func (c *Change) Awaits(p Peer) bool {
	return p.Counted && (c.by == "" || c.by == p.Name) && !c.ConfirmedBy(p)
}

// Failed are the peers at which the change may not have arrived. It must not be changed.
func (c *Change) Failed() []string { return c.failed }

func (c *Change) noteFailed(peer Peer) {
	if !c.done && !c.hasConfirmed(peer) && !slices.Contains(c.failed, peer.Name) {
		c.failed = append(c.failed, peer.Name)
	}
}

// leaveMesh takes out what was configured in the mesh that we leave for another: no director there
// has it, so none would ever confirm it.
func (c *Change) leaveMesh() {
	c.items = slices.DeleteFunc(c.items, func(i *item) bool {
		if !i.backend.Addr.IsValid() {
			return false
		}
		i.backend = i.backend.Commanded()
		return i.backend.Empty()
	})
}
