package logs

import (
	"iter"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
)

const (
	// KeptFor is how long a director keeps its own log for replays.
	KeptFor = 30 * time.Second
	// newestFor is how much of it a peer gets that takes a snapshot besides.
	newestFor     = 2 * time.Second
	ownBytes      = 64 << 20
	entryOverhead = 96 // bytes of an entry beside its rows, about
)

// entry is a message of a log as it is kept.
type entry struct {
	seq   uint64
	at    mono.Time    // when it was written or came
	bytes int          // about
	msg   wire.Message // shared with all that sent or got it; never changed
}

// Own is this director's log of one life, as far as it is kept for replay. The zero value is the
// log of a life that begins.
type Own struct {
	last    uint64  // number of the newest message ever written; 0: none
	entries []entry // the newest messages up to last, without a hole between
	bytes   int     // of entries, about; ownBytes at most
}

// Append gives a message the next number and keeps it for a while.
func (o *Own) Append(now mono.Time, m wire.Message) {
	o.last++
	wire.SetSeq(m, o.last)
	size := sizeOf(m)
	o.entries = append(o.entries, entry{o.last, now, size, m})
	o.bytes += size
	o.trim(ownBytes)
}

// Last is the number of the newest message, 0 if nothing has been written.
func (o *Own) Last() uint64 { return o.last }

// Whole reports whether all that was ever written is kept.
func (o *Own) Whole() bool { return uint64(len(o.entries)) == o.last }

// Replay yields what is kept of the log after a number, oldest first. With newest it yields only
// what was written a moment ago.
func (o *Own) Replay(now mono.Time, after uint64, newest bool) iter.Seq[wire.Message] {
	return func(yield func(wire.Message) bool) {
		for _, e := range o.entries {
			if e.seq > after && (!newest || now.Sub(e.at) <= newestFor) && !yield(e.msg) {
				return
			}
		}
	}
}

// Prune drops what has been kept for long enough.
func (o *Own) Prune(now mono.Time) {
	n := 0
	for n < len(o.entries) && now.Sub(o.entries[n].at) > KeptFor {
		n++
	}
	o.drop(n)
}

// trim drops the oldest messages until the rest fits.
func (o *Own) trim(limit int) {
	n, bytes := 0, o.bytes
	for n < len(o.entries) && bytes > limit {
		bytes -= o.entries[n].bytes
		n++
	}
	o.drop(n)
}

func (o *Own) drop(n int) {
	if n == 0 {
		return
	}
	for i := range n {
		o.bytes -= o.entries[i].bytes
		o.entries[i].msg = nil
	}
	o.entries = o.entries[n:]
}

// sizeOf is about what a message of a log takes in memory.
func sizeOf(m wire.Message) int {
	size := entryOverhead
	switch m := m.(type) {
	case *wire.Rows:
		size += rowset.Bytes(m.Blocks)
	case *wire.Hold:
		size += rowset.Bytes(m.Blocks)
	case *wire.Table:
		size += rowset.ChangeBytes(m.Change)
	case *wire.Unknown:
		size += len(m.Fields)
	}
	return size
}
