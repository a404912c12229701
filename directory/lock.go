package directory

import (
	"sync"
	"sync/atomic"
)

// lock is what writers of 128 leaves take. Lookups do not: they read, and look
// at the version before and after. So they neither wait for a sweep, a digest
// or a snapshot that only reads, nor do they pass a lock's cache line from
// core to core. It fills a cache line of 64 bytes.
type lock struct {
	mu        sync.Mutex
	version   atomic.Uint64           // odd while rows of one of the leaves are being changed
	pack      []row                   // the rows of all the leaves, and room for more
	summaries *[leavesPerLock]summary // of the leaves; nil: there are too few rows
	_         [16]byte
}

// change and changed enclose every change that a reader without the lock must
// not see half done, which is all but those of a single word. The caller has locked
// mu; in between it does nothing that takes long.
func (l *lock) change()  { l.version.Add(1) }
func (l *lock) changed() { l.version.Add(1) }

// bare reports whether the leaves of a lock have neither rows nor room for any.
func (l *lock) bare() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pack) == 0
}

// peeks is how often a lookup that meets changes looks again before it waits
// for the lock: for about as long as most changes take, less than a microsecond.
const peeks = 100

// peek returns a copy of the row of hash h, if there is one, and a view by
// which it is valid. It takes no lock unless it keeps meeting changes.
func (d *Directory) peek(g *group, h uint32) (r row, v *view, ok bool) {
	number := uint8(h >> 16)
	lock, l := g.lockOf(number), &g.leaves[number]
	for range peeks {
		version := lock.version.Load()
		if version%2 != 0 {
			continue
		}
		// An array and a shape that do not belong together would lead out of
		// bounds, so these are checked before the rows are touched.
		first, s := l.first.Load(), shape(l.shape.Load())
		if lock.version.Load() != version {
			continue
		}
		v = d.view.Load()
		rows := rows(first, s)
		i, found := search(rows, s.guess(h), h)
		if found {
			r = rows[i].load()
		}
		if lock.version.Load() == version {
			return r, v, found
		}
	}
	lock.mu.Lock()
	defer lock.mu.Unlock()
	v = d.view.Load()
	s := shape(l.shape.Load())
	stored := rows(l.first.Load(), s)
	i, ok := search(stored, s.guess(h), h)
	if ok {
		r = stored[i]
	}
	return r, v, ok
}
