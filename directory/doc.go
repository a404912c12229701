// Package directory holds what the directors of a mesh agree on: the Table of
// backends, and the Directory of mappings that says to which backend each user
// goes. It knows how two versions of either are merged, when a mapping is
// dead, and how to tell by digests whether two directories are equal.
//
// It does not know how changes travel, when a lookup has to wait, or who is
// moved where: that is the mesh's part. There is no I/O here, no clock, no
// goroutine and no log; time is always an argument.
//
// # Table
//
// A Table is replicated state: operations such as Add make a Change, and
// merging all changes in any order gives the same table everywhere. It belongs
// to one goroutine.
//
//	change, err := table.Update(clock.Next(now), "d1", addr, 50, nil)
//	applied := table.Merge(change) // here; what was new goes to the peers
//	directory.SetBackends(table.Snapshot().Backends)
//
// # Directory
//
// A Directory is one sorted tree of 16-byte rows per tag, safe for concurrent
// use and made for tens of millions of mappings. A lookup of a known user takes
// no lock and mostly waits for memory once, for the user's row.
//
//	m, status := d.Find(tag, hash, now)
//	if status != directory.Live {
//		m, _ = d.Assign(tag, hash, backend, now)
//	}
//
// The directory takes what is in the table from SetBackends; mappings whose
// backend is not there are dead from that moment. Somebody has to call
// SweepGroup for all groups of all tags every few seconds: until then dead
// mappings stay counted, and a minute later they stay in memory. Digests as of
// the last epochs cost next to nothing where it has been called since. Whoever
// looks up several users calls Prefetch for all of them first.
//
// # Locks
//
// In the order in which they may be taken: Directory.backendsMu, then either
// Directory.shardsMu or one lock of a group, which is that of 128 leaves.
// Whoever writes takes it, and whoever reads a whole leaf. Find does not: it
// watches the lock's version, see peek. The view of backends is loaded while a
// leaf is held or watched, see the comment on view. Callbacks are called
// without a lock held.
package directory
