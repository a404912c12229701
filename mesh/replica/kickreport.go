package replica

import (
	"cmp"
	"slices"

	"directormesh/mesh/wire"
)

// kickResult is what a report of a kick says.
func kickResult(k wire.KickCount) KickResult {
	return KickResult{Count: int(k.Count), Known: k.Known, Left: int(k.Left), Blind: k.Blind}
}

// kickReport is what directors could not do of a kick: an operator must learn of sessions that go
// on where the user is no more. "" is this director.
type kickReport struct {
	left  map[string]int // sessions seen and not ended, above 0
	blind map[string]bool
}

func (k *kickReport) note(director string, r KickResult) {
	if r.Left > 0 {
		if k.left == nil {
			k.left = make(map[string]int)
		}
		k.left[director] = r.Left
	}
	if r.Blind {
		if k.blind == nil {
			k.blind = make(map[string]bool)
		}
		k.blind[director] = true
	}
}

// kicksTold puts a report into the outcome of an operation.
func (c *Core) kicksTold(id uint64, k kickReport) {
	o := c.ops[id]
	if o == nil {
		return
	}
	named := func(director string) string { return cmp.Or(director, c.cfg.Name) }
	for director, sessions := range k.left {
		o.outcome.Left = append(o.outcome.Left, SessionsLeft{named(director), sessions})
	}
	slices.SortFunc(o.outcome.Left, func(a, b SessionsLeft) int { return cmp.Compare(a.Director, b.Director) })
	for director := range k.blind {
		o.outcome.Blind = append(o.outcome.Blind, named(director))
	}
	slices.Sort(o.outcome.Blind)
}
