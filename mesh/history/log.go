package history

import (
	"sync"
	"time"

	"directormesh/directory"
	"directormesh/mesh/store"
	"directormesh/mesh/wire"
)

// segments is of how many files a full log is, about.
const segments = 16

// log is notes of some kinds: the newest in memory, and all of them in files, if there are any.
type log struct {
	fs       store.FS // nil: memory alone
	prefix   string
	maxBytes int64 // of the files
	memory   int   // bytes in memory, about, while notes wait to be written
	calm     int   // bytes in memory, about, if none waits
	maxAge   time.Duration

	lastFound wire.Note // the last note that was on disk when this one was opened; nil: none

	mu        sync.Mutex
	last      uint64      // number of the last note
	tail      []wire.Note // the newest, oldest first; notes are never changed
	tailBytes int
	lost      uint64 // notes that left the tail before they were written
	dropped   bool   // notes left the tail
	files     []file // oldest first
	written   uint64 // notes up to this number are in files
	synced    uint64 // and up to this one on the disk

	// What only the goroutine that writes touches.
	open   *segment // nil: none
	next   uint64   // number of the next file
	syncAt time.Time
}

// file is a file of a log that is not written any more, or the open one.
type file struct {
	number uint64
	size   int64
	begun  directory.Time // mesh time; no note in it is older, about
	// newest is when the last note in it was written, or a later moment.
	newest directory.Time
}

func newLog(
	fs store.FS, prefix string, maxBytes int64, memory int, maxAge time.Duration,
) *log {
	calm := memory / 8
	if fs == nil {
		calm = memory / 2
	}
	return &log{
		fs: fs, prefix: prefix, maxBytes: maxBytes, memory: memory, calm: calm, maxAge: maxAge,
		next: 1,
	}
}

// add adds a note behind the others.
func (l *log) add(n wire.Note, now directory.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	n.Head().N = l.last
	l.tail = append(l.tail, n)
	l.tailBytes += sizeOf(n)
	drop := 0
	for drop < len(l.tail)-1 {
		first := *l.tail[drop].Head()
		waits := l.fs != nil && first.N > l.synced
		if l.tailBytes <= l.calm && (l.fs != nil || now.Sub(first.At) <= l.maxAge) ||
			waits && l.tailBytes <= l.memory {
			break
		}
		if l.fs != nil && first.N > l.written {
			l.lost++
		}
		l.tailBytes -= sizeOf(l.tail[drop])
		drop++
	}
	l.dropped = l.dropped || drop > 0
	clear(l.tail[:drop]) // the array behind it stays for a while
	l.tail = l.tail[drop:]
}

// newest returns when the last note was written; 0: there is none.
func (l *log) newest() directory.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.tail) == 0 {
		return 0
	}
	return l.tail[len(l.tail)-1].Head().At
}

// snapshot returns the notes in memory and the files. What the files have that is also in memory
// is the same.
func (l *log) snapshot() (tail []wire.Note, files []file) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(tail, l.tail...), append(files, l.files...)
}

func (l *log) status() (bytes int64, lost uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.files {
		bytes += f.size
	}
	return bytes, l.lost
}

// unwritten returns the notes in memory that no file has.
func (l *log) unwritten() []wire.Note {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := len(l.tail)
	for i > 0 && l.tail[i-1].Head().N > l.written {
		i--
	}
	return append([]wire.Note(nil), l.tail[i:]...)
}

const (
	bytesPerNote   = 250
	bytesPerRow    = 12
	bytesPerDetail = 64
	bytesPerChange = 256
)

// sizeOf is about what a note takes in memory.
func sizeOf(n wire.Note) int {
	switch n := n.(type) {
	case *wire.AdminNote:
		return 2*bytesPerNote + bytesPerDetail*(len(n.Details)+len(n.Failed)+len(n.NotKept)) +
			len(n.Error) + len(n.Who)
	case *wire.LoginsNote:
		return bytesPerNote + bytesPerRow*n.Block.Len()
	case *wire.TableNote:
		return bytesPerNote + bytesPerChange*n.Change.Rows()
	}
	return bytesPerNote
}
