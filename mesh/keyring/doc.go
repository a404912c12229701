// Package keyring is the replicated keyring of a mesh: which keys there are, which one encrypts,
// which directors have which, and the rotation under way.
//
// It owns the laws by which keyrings merge, and the questions that must be answered before a key is
// used or removed. It has no I/O and no clock: package mesh sends, keeps and applies what it says.
//
// # Parts
//
//	key       added or removed; removed is final, and is never forgotten
//	primary   which key encrypts: the last value written counts
//	rotation  one at a time: the last one written counts
//	holder    for each director, what it says of its own keys
//
// Merging is commutative, associative and idempotent. Values are ordered by a count that each
// writer raises above all that it has seen, so no clock matters.
//
// # Nobody is locked out
//
// A key may encrypt once every known director has it, and may go once every known director encrypts
// with another. A director is known until it has left, was removed or was forgotten, however long
// it is away. It keeps its keyring on disk before it reports what it has.
//
// # Rotation
//
// Whatever changes which keys are used is a rotation: to use another key, to remove one, and both.
// It has three steps. Any director may take the next one; two who do it write the same.
//
//	1  every known director has the new key, and knows of this rotation
//	2  the new key encrypts; every known director uses it
//	3  the old key is removed, and the rotation has ended
//
// Of two rotations that begin at the same time one loses when they merge. No step is taken before
// every known director has named the rotation as the one that it knows, the loser's director too.
// By then that one has given its own up. So nobody removes a key that somebody else begins to use.
package keyring
