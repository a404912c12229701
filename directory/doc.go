// Package directory holds what the directors of a mesh agree on: the Table of
// backends, and the Directory of mappings that says to which backend each user
// goes. It merges two versions of either, decides when a mapping is dead, and
// compares two directories by digests.
//
// The mesh decides how changes travel, when a lookup has to wait, and which
// users move. This package has no I/O, no clock, no goroutine and no log; time
// is always an argument.
//
// # Table
//
// A Table is replicated state: operations such as Add make a Change, and
// merging all changes in any order gives the same table everywhere. It belongs
// to one goroutine.
//
//	change, err := table.Update(clock.Next(now), "d1", addr, 50, nil)
//	applied := table.Merge(change) // the new part, which goes to the peers
//	directory.SetBackends(table.Snapshot().Backends)
//
// # Directory
//
// A Directory is one sorted tree of 16-byte rows per tag, safe for concurrent
// use and made for tens of millions of mappings. A lookup of a known user takes
// no lock and, in most cases, waits for memory once, for the user's row.
//
//	m, status := d.Find(tag, hash, now)
//	if status != directory.Live {
//		m, _ = d.Assign(tag, hash, backend, now)
//	}
//
// SetBackends gives the directory the backends of the table; mappings to other
// backends are dead from that moment. The caller must call SweepGroup for all
// groups of all tags every few seconds. Until then dead mappings stay counted,
// and those dead for over a minute stay in memory. Digests as of the last epochs
// cost next to nothing for groups that were swept since. A caller that looks up
// several users should call Prefetch for all of them first.
//
// # Locks
//
// In the order in which they may be taken: Directory.backendsMu, then either
// Directory.shardsMu or one lock of a group. A group is 128 leaves; its lock is
// taken to write, and to read a whole leaf. Find does not take it: it watches
// the lock's version, see peek. The view of backends is loaded while a leaf is
// locked or watched, see the comment on view. Callbacks are called without a
// lock.
package directory
