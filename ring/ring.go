package ring

import (
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
)

// Ring is the hash ring of one tag. It never changes, so it can be used without locks. A nil Ring
// has no backends.
type Ring struct {
	addrs []netip.Addr // backends in CompareAddr order

	// hashes[i] has the points of addrs[i], by vhost number. They depend on nothing but the
	// address, so a ring that is built after this one takes them over: computing them is most of
	// the work.
	hashes [][]uint32

	points []point // ascending

	// starts is an index over the upper bits of the hash: points[starts[k]:starts[k+1]] are those
	// with hash>>shift == k. There are about as many k as points, and MD5 spreads the points
	// evenly, so a lookup scans one or two of them.
	starts []uint32
	shift  uint
}

// A point is a place on the ring, its hash in the upper half, and whose it is, an index to addrs in
// the lower. So equal hashes are in address order, on every director.
type point uint64

func (p point) hash() uint32 { return uint32(p >> 32) }
func (p point) owner() int   { return int(uint32(p)) }

// New returns the ring of all the given backends that are up and have vhosts, in whatever order
// they come. It does not look at their tags. Of rows with the same address, the one with most
// vhosts counts.
func New(backends []Backend) *Ring {
	return rebuild(normalise(backends), nil)
}

// Lookup returns the backend that users with the hash h belong to, or false if the ring has none.
// It costs constant time and no allocation.
func (r *Ring) Lookup(h UserHash) (netip.Addr, bool) {
	if r == nil || len(r.points) == 0 {
		return netip.Addr{}, false
	}
	hash := uint32(h)
	k := hash >> r.shift
	i, end := int(r.starts[k]), int(r.starts[k+1])
	for i < end && r.points[i].hash() < hash {
		i++
	}
	switch {
	case i == len(r.points):
		i = 0
	case i+1 < len(r.points) && r.points[i].hash() == hash && r.points[i+1].hash() == hash:
		i = r.searchEqual(hash)
	}
	return r.addrs[r.points[i].owner()], true
}

// searchEqual chooses among several points with the same hash, which Lookup has seen to exist.
// Dovecot's director takes the one that its binary search happens to meet, so the search must halve
// exactly as it does.
func (r *Ring) searchEqual(hash uint32) int {
	low, high := 0, len(r.points)
	for {
		middle := (low + high) / 2
		switch at := r.points[middle].hash(); {
		case at < hash:
			low = middle + 1
		case at > hash:
			high = middle
		default:
			return middle
		}
	}
}

// normalise returns the usable backends in CompareAddr order, each address once, with their weights
// as vhost counts.
func normalise(backends []Backend) []Backend {
	usable := make([]Backend, 0, len(backends))
	for _, b := range backends {
		if b.Usable() {
			b.VHosts, b.Factor = b.Weight(), 0
			usable = append(usable, b)
		}
	}
	slices.SortFunc(usable, func(a, b Backend) int {
		if c := CompareAddr(a.Addr, b.Addr); c != 0 {
			return c
		}
		return b.VHosts - a.VHosts
	})
	return lighten(slices.CompactFunc(usable, func(a, b Backend) bool { return a.Addr == b.Addr }))
}

// lighten scales vhost counts down that add up to far more than MaxPoints, so that no table
// makes a ring that takes seconds to build, wherever the table came from.
func lighten(backends []Backend) []Backend {
	total := 0
	for _, b := range backends {
		total += b.VHosts
	}
	if total > 2*MaxPoints {
		for i := range backends {
			backends[i].VHosts = max(1, backends[i].VHosts*MaxPoints/total)
		}
	}
	return backends
}

// isOf reports whether r is the ring of these normalised backends.
func (r *Ring) isOf(backends []Backend) bool {
	sameAddr := func(a netip.Addr, b Backend) bool { return a == b.Addr }
	sameVHosts := func(hashes []uint32, b Backend) bool { return len(hashes) == b.VHosts }
	return slices.EqualFunc(r.addrs, backends, sameAddr) &&
		slices.EqualFunc(r.hashes, backends, sameVHosts)
}

// rebuild returns the ring of normalised backends. It takes from prev, which may be nil, the hashes
// that prev has computed already.
func rebuild(backends []Backend, prev *Ring) *Ring {
	addrs := make([]netip.Addr, len(backends))
	hashes := make([][]uint32, len(backends))
	for i, b := range backends {
		addrs[i] = b.Addr
		hashes[i] = pointHashes(b.Addr, b.VHosts, prev.hashesOf(b.Addr))
	}
	return assemble(addrs, hashes)
}

// hashesOf returns what r knows of the points of one backend.
func (r *Ring) hashesOf(a netip.Addr) []uint32 {
	if r == nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(r.addrs, a, CompareAddr)
	if !found {
		return nil
	}
	return r.hashes[i]
}

// pointHashes returns the first count points of a backend, given some of them, none or too many.
// The known ones belong to another ring and are not written to.
func pointHashes(a netip.Addr, count int, known []uint32) []uint32 {
	if count <= len(known) {
		return known[:count:count]
	}
	hashes := make([]uint32, count)
	copy(hashes, known)
	var room [64]byte
	prefix := append(AppendAddrText(room[:0], a), '-')
	for i := len(known); i < count; i++ {
		hashes[i] = first32(strconv.AppendInt(prefix, int64(i), 10))
	}
	return hashes
}

// assemble sorts the points of all backends into a ring. It is a bucket sort whose bucket
// boundaries stay on as the index: count per bucket, turn counts into positions, put each point
// into its bucket, sort inside the buckets.
func assemble(addrs []netip.Addr, hashes [][]uint32) *Ring {
	total := 0
	for _, h := range hashes {
		total += len(h)
	}
	r := &Ring{addrs: addrs, hashes: hashes}
	if total == 0 {
		return r
	}
	prefixBits := uint(bits.Len(uint(total)) - 1)
	r.shift = 32 - prefixBits
	r.points = make([]point, total)
	r.starts = make([]uint32, 1<<prefixBits+1)

	for _, own := range hashes {
		for _, h := range own {
			r.starts[h>>r.shift]++
		}
	}
	position := uint32(0)
	for k, count := range r.starts {
		r.starts[k] = position
		position += count
	}
	for owner, own := range hashes {
		for _, h := range own {
			k := h >> r.shift
			r.points[r.starts[k]] = point(h)<<32 | point(owner)
			r.starts[k]++
		}
	}
	// Every start has moved to the end of its bucket, which is where the next one starts.
	copy(r.starts[1:], r.starts)
	r.starts[0] = 0
	for k := range len(r.starts) - 1 {
		slices.Sort(r.points[r.starts[k]:r.starts[k+1]])
	}
	return r
}
