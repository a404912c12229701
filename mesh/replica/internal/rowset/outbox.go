package rowset

import (
	"iter"
	"maps"
	"slices"
	"sync"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Outbox collects the rows that lookups make and change until the next batch. Safe for concurrent
// use.
type Outbox struct {
	mu   sync.Mutex
	rows map[ring.Tag][]directory.Mapping // guarded by mu; in the order in which they were pushed
}

// Push adds a row.
func (o *Outbox) Push(tag ring.Tag, m directory.Mapping) {
	o.mu.Lock()
	if o.rows == nil {
		o.rows = make(map[ring.Tag][]directory.Mapping)
	}
	o.rows[tag] = append(o.rows[tag], m)
	o.mu.Unlock()
}

// Take empties the outbox into blocks for one message each. Tags come in order, so that equal
// inputs give equal logs; within a block the hashes do, for a shorter message. Of a user whose row
// was pushed twice both rows are given, the later one behind.
func (o *Outbox) Take() iter.Seq[wire.Block] {
	o.mu.Lock()
	rows := o.rows
	o.rows = nil
	o.mu.Unlock()
	return func(yield func(wire.Block) bool) {
		for _, tag := range slices.Sorted(maps.Keys(rows)) {
			for part := range slices.Chunk(rows[tag], MaxRows) {
				slices.SortStableFunc(part, byHash)
				if !yield(wire.Pack(tag, part)) {
					return
				}
			}
		}
	}
}
