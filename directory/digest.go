package directory

import (
	"math/bits"
	"net/netip"

	"directormesh/ring"
)

// DigestLeaf returns the digest of one leaf as of the end of an epoch: a sum,
// so order does not matter, over every mapping that had been assigned by then
// and whose life was not over. A mapping counts with hash, generation, stamp
// and backend. Its recorded activity does not count, as that is never the same
// everywhere at one moment; nor does the moving mark.
//
// What is dead by the table now was dead then. Rows dead by time are still
// stored for a minute. So a digest asked for 10 to 20 s after the epoch's end,
// when all changes of the epoch have gone round, is the same on all directors
// that hold the same mappings. The values are compared between directors: a
// change to them is a change of the protocol.
func (d *Directory) DigestLeaf(tag ring.Tag, leaf uint16, epochEnd Time) uint64 {
	return d.digestLeaf(d.shard(tag), leaf, epochEnd)
}

// DigestGroup returns the digests of the 256 leaves whose number begins with
// the 8 bits group. Leaves without rows, most of them in a small tag, cost
// nothing but a look.
func (d *Directory) DigestGroup(
	tag ring.Tag, group uint8, epochEnd Time,
) (leaves [leavesInGroup]uint64) {
	s := d.shard(tag)
	g := s.group(uint16(group) << 8)
	if g == nil {
		return leaves
	}
	for i := range leaves {
		if !g.empty(uint8(i)) {
			leaves[i] = d.digestLeaf(s, uint16(group)<<8|uint16(i), epochEnd)
		}
	}
	return leaves
}

// DigestGroupLive returns the digests of the 256 leaves of a group as of two moments: of the
// mappings that had been assigned by the first, and whose life is not over at the second, which is
// the later one. Two directors that hold the same mappings of then give the same, whatever else
// each has assigned since, and whatever has ended since. It also returns how many rows it looked
// at.
func (d *Directory) DigestGroupLive(
	tag ring.Tag, group uint8, assigned, alive Time,
) (leaves [leavesInGroup]uint64, rows int) {
	s := d.shard(tag)
	if s.group(uint16(group)<<8) == nil {
		return leaves, 0
	}
	for i := range leaves {
		if l, ok := d.lockLeaf(s, uint16(group)<<8|uint16(i)); ok {
			leaves[i] = l.digestLive(assigned, d.deadline(alive))
			rows += len(l.rows)
			l.unlock()
		}
	}
	return leaves, rows
}

func (d *Directory) digestLeaf(s *shard, leaf uint16, epochEnd Time) uint64 {
	l, ok := d.lockLeaf(s, leaf)
	if !ok {
		return 0
	}
	defer l.unlock()
	if sum, ok := l.sum(epochEnd, d.deadline(epochEnd)); ok {
		return sum
	}
	return l.digest(epochEnd)
}

// digest sums up the rows.
func (l *lockedLeaf) digest(epochEnd Time) (sum uint64) {
	return l.digestLive(epochEnd, l.directory.deadline(epochEnd))
}

// digestLive sums up the rows that had been assigned by then, and whose life ends later.
func (l *lockedLeaf) digestLive(assigned Time, due deadline) (sum uint64) {
	last := assigned.Tick()
	for _, r := range l.rows {
		if Tick(r.stamp) <= last && l.view.live(l.shard, r, due) {
			sum += mixRow(r, l.view.entries[r.backend].mix)
		}
	}
	return sum
}

// mixRow hashes one row; addr is the hash of its backend's address.
func mixRow(r row, addr uint64) uint64 {
	x := uint64(r.hash)<<32 | uint64(r.stamp)
	return mix(mix(x^addr) + uint64(r.generation()))
}

// mixAddr hashes an address; "no backend" differs from all of them.
func mixAddr(addr netip.Addr) uint64 {
	const seed = 0x9e3779b97f4a7c15
	if !addr.IsValid() {
		return seed
	}
	h := mix(seed + uint64(addr.BitLen()))
	for _, b := range addr.AsSlice() {
		h = mix(h ^ uint64(b))
	}
	return h
}

// mix spreads each bit of x over all 64. What is summed up must have gone
// through it twice: once is not enough for rows that differ in few bits.
func mix(x uint64) uint64 {
	const k0, k1 = 0xd6e8feb86659fd93, 0xa0761d6478bd642f
	hi, lo := bits.Mul64(x^k0, k1)
	return hi ^ lo
}
