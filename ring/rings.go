package ring

import (
	"maps"
	"net/netip"
	"slices"
)

// Rings is a snapshot of the rings of all tags. It never changes, so it can be used without locks.
// The zero value and nil have no backends.
type Rings struct {
	byTag  map[Tag]*Ring // only tags with a usable backend
	pinned map[User]netip.Addr
}

// Build returns the rings of the given backends, one for each tag that has a usable backend. prev,
// which may be nil, is the snapshot before the change: tags whose usable backends and vhost counts
// are still the same keep its Ring, and the points of backends that stay are not computed again.
// The result does not depend on prev, nor on the order of the backends.
func Build(backends []Backend, prev *Rings) *Rings {
	tagged := make(map[Tag][]Backend)
	for _, b := range backends {
		if b.Usable() {
			tagged[b.Tag] = append(tagged[b.Tag], b)
		}
	}
	r := &Rings{byTag: make(map[Tag]*Ring, len(tagged))}
	for tag, own := range tagged {
		own = normalise(own)
		before := prev.of(tag)
		if before != nil && before.isOf(own) {
			r.byTag[tag] = before
		} else {
			r.byTag[tag] = rebuild(own, before)
		}
	}
	return r
}

// Lookup returns the backend of the tag that users with the hash h belong to, or false if the tag
// has no usable backend, and the user is not pinned.
func (r *Rings) Lookup(tag Tag, h UserHash) (netip.Addr, bool) {
	if addr, pinned := r.PinOf(User{Tag: tag, Hash: h}); pinned {
		return addr, true
	}
	return r.of(tag).Lookup(h)
}

// PinOf returns where a user is pinned, or false if the user is not.
func (r *Rings) PinOf(u User) (addr netip.Addr, pinned bool) {
	if r == nil || len(r.pinned) == 0 {
		return addr, false
	}
	addr, pinned = r.pinned[u]
	return addr, pinned
}

// PinnedUsers returns the users who are pinned, in order.
func (r *Rings) PinnedUsers() []User {
	if r == nil {
		return nil
	}
	return slices.SortedFunc(maps.Keys(r.pinned), CompareUsers)
}

// Pinned returns rings that give each of these users the backend that the user is pinned to, and
// all others the same place. The map must not be changed any more.
func (r *Rings) Pinned(users map[User]netip.Addr) *Rings {
	return &Rings{byTag: r.byTag, pinned: users}
}

// Tags returns the tags that have a usable backend, sorted. The caller may keep the slice.
func (r *Rings) Tags() []Tag {
	if r == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(r.byTag))
}

// of returns the ring of a tag, nil if it has none.
func (r *Rings) of(tag Tag) *Ring {
	if r == nil {
		return nil
	}
	return r.byTag[tag]
}
