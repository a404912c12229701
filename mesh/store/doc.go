// Package store owns the files of a director's data directory.
//
// What is kept are the mesh's own messages: table changes and rows, as they travel between
// directors. The package has no merge and no law of its own. What the messages mean, and what is
// taken of them after a restart, is decided by package replica.
//
// # Files
//
//	identity              whose directory it is: format, mesh name, director name
//	segment-0000000007    what was put, in order; only ever appended to
//	snapshot-0000000007   all that was held when segment 7 was begun, at least
//	NAME.new              a file that is being written, nothing yet
//	damaged-NAME          a file that could not be read to its end
//	aside-NAME            a file of a later format, or one that is not to be used
//
// The directory itself is locked while a process uses it.
//
// A file is a sequence of records: length, checksum, kind, content. The checksum covers the number
// of the file and the place in it too, so that a block that strayed is noticed. The first record
// is the head. A segment's head says up to where the segment before it is to be read.
//
// Segments are synced when a wire.Mark is put. Behind each sync a mark is written: it says up to
// where the file is on the disk. So a bad record behind the last mark is what a crash leaves, and
// is cut; a bad record before a mark is damage. A damaged file is renamed and never removed.
//
// A snapshot is written beside, synced, renamed, and the directory synced. Then the segments and
// snapshots before it are removed.
//
// # Gaps
//
// Put never waits. What finds no room in the queue is dropped, which leaves a gap, as do a failed
// write and a failed sync. After a failed sync nothing behind the last mark of that file counts as
// kept, whatever later syncs say. A gap is closed by a new segment and a snapshot of all that the
// director holds. Until that snapshot is complete nothing more is kept.
//
// # Kept
//
// What was put has numbers, which only grow. It is kept up to a number if a start after a crash at
// any later moment finds all that was put up to there. After a start nothing counts as kept before
// the first snapshot is complete: a disk that failed a sync before may still show what it has lost.
//
// # Concurrency
//
// A Store is safe for concurrent use. One goroutine writes, another one writes a snapshot now and
// then. Close waits for both.
package store
