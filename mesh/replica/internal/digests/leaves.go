package digests

import "directormesh/directory"

// Leaves are the digests of a group's leaves as of the end of an epoch.
func Leaves(rows Rows, of Group, epoch int64) [leavesInGroup]uint64 {
	return rows.DigestGroup(of.Tag, of.Group, epochEnd(epoch))
}

func epochEnd(epoch int64) directory.Time {
	return directory.Time((epoch + 1) * epochLength.Milliseconds())
}

// Comparable reports whether leaf digests of an epoch say something at mesh time t: what happened
// in the epoch has settled, and rows that died since are still there. The one that asks may be a
// little ahead.
func Comparable(t directory.Time, epoch int64) bool {
	end := epochEnd(epoch)
	return t >= end.Add(SettleAfter/2) && t <= end.Add(comparableFor)
}

// Differing are the leaves of a group whose digests differ, RepairLeaves of them at most, by their
// numbers within the tag.
func Differing(group uint8, ours, theirs *[leavesInGroup]uint64) (leaves []uint16) {
	for i := range ours {
		if ours[i] != theirs[i] && len(leaves) < RepairLeaves {
			leaves = append(leaves, uint16(group)<<8|uint16(i))
		}
	}
	return leaves
}

// fold makes one digest of a group's leaves; no rows at all give 0.
func fold(leaves *[leavesInGroup]uint64) uint64 {
	var sum uint64
	for i, d := range leaves {
		if d != 0 {
			sum += mix(d ^ uint64(i+1)*0x9e3779b97f4a7c15)
		}
	}
	return sum
}

// mix scatters 64 bits (the finalizer of MurmurHash3).
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
