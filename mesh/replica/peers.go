package replica

import (
	"net/netip"
	"slices"
	"strings"

	"directormesh/directory"
	"directormesh/mesh/mono"
)

// peers are the directors that a stream has proven, but for this one. The zero value has none.
type peers struct {
	named map[string]*peer
	// all has the same peers, in the order of their names. It is a new slice whenever a peer comes
	// or goes, so that a loop over it is not disturbed.
	all peerList
	// unmet are the names, in order, of directors that a peer has counted for failAfter and that we
	// have not met in this life; since has those that a peer counts at all, and when we heard so.
	unmet []string
	since map[string]mono.Time
	// apart are more that we have not met, from which we were told that the mesh is apart, see
	// Core.failedUnmet.
	apart []string
}

// missed is how many directors we know of and have not met. Some may have come since we looked.
func (s *peers) missed() (n int) {
	for _, names := range [][]string{s.unmet, s.apart} {
		for _, name := range names {
			if s.get(name) == nil {
				n++
			}
		}
	}
	return n
}

// get returns the peer of a name, or nil.
func (s *peers) get(name string) *peer { return s.named[name] }

// add takes a peer in, of a name that none has yet.
func (s *peers) add(p *peer) {
	if s.named == nil {
		s.named = make(map[string]*peer)
	}
	s.named[p.name] = p
	at, _ := slices.BinarySearchFunc(s.all, p.name, comparePeer)
	s.all = slices.Insert(slices.Clone(s.all), at, p)
}

// remove forgets a peer.
func (s *peers) remove(p *peer) {
	delete(s.named, p.name)
	s.all = slices.DeleteFunc(slices.Clone(s.all), func(q *peer) bool { return q == p })
}

func comparePeer(p *peer, name string) int { return strings.Compare(p.name, name) }

// peerList is peers by name. A question about all of them that needs nothing else is asked here.
type peerList []*peer

// streams names the peers to which a stream is open.
func (l peerList) streams() []string {
	var to []string
	for _, p := range l {
		if p.out {
			to = append(to, p.name)
		}
	}
	return to
}

// live is the number of peers with which frames flow both ways.
func (l peerList) live() (n int) {
	for _, p := range l {
		if p.live {
			n++
		}
	}
	return n
}

// anyAt reports whether a peer has an address, answering there or not.
func (l peerList) anyAt(addr netip.AddrPort) bool {
	return slices.ContainsFunc(l, func(p *peer) bool { return p.addr == addr })
}

// holder is the peer that answers at an address: our stream to it, dialled there, is open. It is
// nil if there is none.
func (l peerList) holder(addr netip.AddrPort) *peer {
	for _, p := range l {
		if p.addr == addr && p.live && p.out {
			return p
		}
	}
	return nil
}

// everyCounted reports whether something is true of all live peers that we count.
func (l peerList) everyCounted(did func(name string) bool) bool {
	for _, p := range l {
		if p.live && p.Counted && !did(p.name) {
			return false
		}
	}
	return true
}

// majority reports whether the peers with which we answer and this director are more than half of
// all directors that we know. One that left or was removed is not missed.
func (s *peers) majority(removed func(netip.AddrPort) bool) bool {
	known, near := 1+s.missed(), 1
	for _, p := range s.all {
		if p.left || p.boot == 0 || p.stranger || removed(p.addr) {
			continue
		}
		known++
		if p.matters() && p.Counted {
			near++
		}
	}
	return 2*near > known
}

// outvote reports whether with these suspects we would have excluded two peers or more, and more
// than half of those that we count: then the fault is with us.
func (l peerList) outvote(next []suspect) bool {
	all, out := 0, 0
	for _, p := range l {
		if p.Excluded() || slices.ContainsFunc(next, func(s suspect) bool { return s.peer == p }) {
			out++
			all++
		} else if p.matters() {
			all++
		}
	}
	return out >= 2 && 2*out > all
}

// someAway reports whether a peer has failed and may come back.
func (l peerList) someAway() bool {
	return slices.ContainsFunc(l, func(p *peer) bool { return !p.live && !p.left && p.boot != 0 })
}

// someAsk reports whether a director that is heard is not synced, and may have asked this other one
// for an answer.
func (l peerList) someAsk(now mono.Time, other *peer) bool {
	return slices.ContainsFunc(l, func(p *peer) bool {
		return p != other && !p.synced && !p.left && p.stillHeard(now)
	})
}

// someNear reports whether there is a peer that was heard of lately and is not in touch both ways
// yet. It may belong to a mesh.
func (l peerList) someNear(now mono.Time) bool {
	return slices.ContainsFunc(l, func(p *peer) bool { return p.near(now) })
}

// someInSight reports whether a peer has shown a sign of life lately.
func (l peerList) someInSight(now mono.Time) bool {
	return slices.ContainsFunc(l, func(p *peer) bool {
		return !p.Barred() && now.Sub(p.seenAt) <= failAfter && p.boot != 0
	})
}

// failed adds to names, of peers that failed before they confirmed, the directors that count as
// failed anyway: they lack what was done, and nobody has waited for them. Peers that left or were
// removed are not missed.
func (s *peers) failed(
	names []string, removed func(netip.AddrPort) bool, lacksIt func(*peer) bool,
) []string {
	for _, name := range s.unmet {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, p := range s.all {
		failing := !p.live || !p.Counted && (p.Barred() || lacksIt(p) && p.wasMember())
		if failing && !p.left && p.boot != 0 && !p.stranger && !removed(p.addr) &&
			!slices.Contains(names, p.name) {
			names = append(names, p.name)
		}
	}
	return names
}

// wasMember reports whether a peer of our mesh has been a member of it, be it in a former life. One
// that is in touch again need not ask to be admitted, and in another life nothing tells that it has
// failed: till then it counts as failed all the same. So does one that answers already and that we
// have only just met. Whoever joins answers nothing before it has our table.
func (p *peer) wasMember() bool { return p.togetherAt != 0 || p.synced }

// PeerMesh says to which mesh a peer belongs, as last heard; 0: to none, or the peer is not known.
func (c *Core) PeerMesh(name string) directory.MeshID {
	if p := c.peers.get(name); p != nil {
		return p.mesh.ID
	}
	return 0
}
