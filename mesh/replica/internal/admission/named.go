package admission

import (
	"maps"
	"slices"
	"time"

	"directormesh/mesh/mono"
)

// Named is live directors that others named when they admitted us, and since when we know of each.
// We must be in contact with them before we answer; a director that is gone is not waited for for
// ever. Nil names none.
type Named map[string]mono.Time

// Note adds a director, unless it is known.
func (n *Named) Note(now mono.Time, name string) {
	if *n == nil {
		*n = make(Named)
	}
	if !n.Has(name) {
		(*n)[name] = now
	}
}

// Has reports whether a director was named.
func (n Named) Has(name string) bool {
	_, named := n[name]
	return named
}

// Over reports whether a director was waited for for longer than a time.
func (n Named) Over(now mono.Time, name string, longer time.Duration) bool {
	return now.Sub(n[name]) > longer
}

// Names are the directors, sorted.
func (n Named) Names() []string { return slices.Sorted(maps.Keys(n)) }

// Postpone gives all of them so much more time.
func (n Named) Postpone(late time.Duration) {
	for name := range n {
		n[name] = n[name].Add(late)
	}
}
