package admission

import (
	"maps"
	"slices"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// Named is live directors that others named when they admitted us, each in the life in which it was
// named, and since when we know of it. We must be in contact with them before we answer; a director
// that is gone is not waited for for ever. Nil names none.
type Named map[wire.Life]mono.Time

// Note adds a director, unless it is known, and reports whether it did.
func (n *Named) Note(now mono.Time, who wire.Life) (added bool) {
	if *n == nil {
		*n = make(Named)
	}
	_, known := (*n)[who]
	if !known {
		(*n)[who] = now
	}
	return !known
}

// Renew adds a director, which is waited for from now on.
func (n *Named) Renew(now mono.Time, who wire.Life) {
	n.Note(now, who)
	(*n)[who] = now
}

// Has reports whether a director of this name was named, in whatever life.
func (n Named) Has(name string) bool {
	for who := range n {
		if who.Name == name {
			return true
		}
	}
	return false
}

// Over reports whether a director was waited for for longer than a time.
func (n Named) Over(now mono.Time, who wire.Life, longer time.Duration) bool {
	return now.Sub(n[who]) > longer
}

// All are the directors, sorted.
func (n Named) All() []wire.Life { return slices.SortedFunc(maps.Keys(n), wire.Life.Compare) }

// Postpone gives all of them so much more time.
func (n Named) Postpone(late time.Duration) {
	for who := range n {
		n[who] = n[who].Add(late)
	}
}
