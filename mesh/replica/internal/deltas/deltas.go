// Package deltas keeps track of what gossip brings: which deltas were seen, and which wait for a
// sign that their origin runs.
//
// Gossip repeats a delta for seconds, and by many ways; a Window recognises repeats. A delta can
// also be recorded and sent again, years later. So a delta of a director that is not known to run
// is kept among the Early ones for a moment, in case its stream is still being opened, and then
// dropped.
//
// What a delta changes, whether its origin runs, and whether it is passed on is decided by package
// replica. Not safe for concurrent use.
package deltas

import (
	"iter"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
)

const (
	// remembered is how many deltas are recognised as repeats; memberlist repeats one for
	// seconds at the most.
	remembered = 8192

	// EarlyFor is how long a delta waits for a sign that its origin runs.
	EarlyFor = 5 * time.Second
	// MaxEarly and MaxEarlyBytes bound how many do, and what they take in memory, about.
	MaxEarly      = 1024
	MaxEarlyBytes = 1 << 20

	bytesPerDelta = 256 // beside its rows, about
)

// ID identifies a delta in the whole mesh.
type ID struct {
	Origin wire.Life
	N      uint64
}

// IDOf returns that of a delta.
func IDOf(d *wire.Delta) ID { return ID{wire.Life{Name: d.Origin, Boot: d.Boot}, d.N} }

// Window remembers the last deltas seen. The zero value has seen none.
type Window struct {
	seen  map[ID]bool // those of order
	order []ID        // a ring buffer once full
	next  int         // of order, the oldest once that is full
}

// Add remembers a delta that is not among those seen.
func (w *Window) Add(id ID) {
	if w.seen == nil {
		w.seen = make(map[ID]bool)
	}
	w.seen[id] = true
	if len(w.order) < remembered {
		w.order = append(w.order, id)
		return
	}
	delete(w.seen, w.order[w.next])
	w.order[w.next] = id
	w.next = (w.next + 1) % remembered
}

// Has reports whether a delta is one of the last seen.
func (w *Window) Has(id ID) bool { return w.seen[id] }

// Early are deltas whose origin is not known to run. The zero value holds none.
type Early struct {
	list  []early     // oldest first; MaxEarly at most
	ids   map[ID]bool // of list
	bytes int         // of all, about; MaxEarlyBytes at most
}

type early struct {
	at    mono.Time // when it came
	id    ID
	bytes int
	delta *wire.Delta
}

// Len is how many there are.
func (e *Early) Len() int { return len(e.list) }

// Bytes is about what they take in memory.
func (e *Early) Bytes() int { return e.bytes }

// Add keeps a delta, unless it is there already. False means that there is no room.
func (e *Early) Add(now mono.Time, d *wire.Delta) bool {
	id := IDOf(d)
	if e.ids[id] {
		return true
	}
	size := bytesPerDelta + rowset.Bytes(d.Blocks) + rowset.ChangeBytes(d.Change)
	if len(e.list) >= MaxEarly || e.bytes+size > MaxEarlyBytes {
		return false
	}
	if e.ids == nil {
		e.ids = make(map[ID]bool)
	}
	e.list = append(e.list, early{now, id, size, d})
	e.ids[id] = true
	e.bytes += size
	return true
}

// Review takes out, oldest first, the deltas whose origin runs by now, and the deltas that have
// waited for too long. With each it yields whether its origin runs. Runs is asked when it is the
// delta's turn: what the deltas before it changed counts. Nothing may be added meanwhile.
func (e *Early) Review(now mono.Time, runs func(wire.Life) bool) iter.Seq2[*wire.Delta, bool] {
	return func(yield func(*wire.Delta, bool) bool) {
		kept, more := e.list[:0], true
		for _, d := range e.list {
			var running bool
			if more {
				running = runs(d.id.Origin)
			}
			if !more || !running && now.Sub(d.at) <= EarlyFor {
				kept = append(kept, d)
				continue
			}
			delete(e.ids, d.id)
			e.bytes -= d.bytes
			more = yield(d.delta, running)
		}
		clear(e.list[len(kept):])
		e.list = kept
	}
}
