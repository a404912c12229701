package replica

import (
	"cmp"
	"slices"

	"directormesh/mesh/replica/internal/moves"
)

// kicksTold puts a report into the outcome of an operation.
func (c *Core) kicksTold(id uint64, k moves.KickReport) {
	o := c.ops[id]
	if o == nil {
		return
	}
	named := func(director string) string { return cmp.Or(director, c.cfg.Name) }
	for director, sessions := range k.Left {
		o.outcome.Left = append(o.outcome.Left, SessionsLeft{named(director), sessions})
	}
	slices.SortFunc(o.outcome.Left, func(a, b SessionsLeft) int {
		return cmp.Compare(a.Director, b.Director)
	})
	for director := range k.Blind {
		o.outcome.Blind = append(o.outcome.Blind, named(director))
	}
	slices.Sort(o.outcome.Blind)
}
