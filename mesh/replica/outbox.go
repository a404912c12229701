package replica

import (
	"iter"
	"slices"
	"sync"

	"directormesh/directory"
	"directormesh/ring"
)

// outbox collects the rows that lookups make and change until the next batch. Safe for concurrent
// use.
type outbox struct {
	mu   sync.Mutex
	rows map[ring.Tag][]directory.Mapping
}

func (o *outbox) push(tag ring.Tag, m directory.Mapping) {
	o.mu.Lock()
	if o.rows == nil {
		o.rows = make(map[ring.Tag][]directory.Mapping)
	}
	o.rows[tag] = append(o.rows[tag], m)
	o.mu.Unlock()
}

// take empties the outbox; tags come in order, so that equal inputs give equal logs.
func (o *outbox) take() iter.Seq2[ring.Tag, []directory.Mapping] {
	o.mu.Lock()
	rows := o.rows
	o.rows = nil
	o.mu.Unlock()
	return func(yield func(ring.Tag, []directory.Mapping) bool) {
		tags := make([]ring.Tag, 0, len(rows))
		for tag := range rows {
			tags = append(tags, tag)
		}
		slices.Sort(tags)
		for _, tag := range tags {
			if !yield(tag, rows[tag]) {
				return
			}
		}
	}
}
