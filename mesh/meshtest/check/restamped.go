package check

import "slices"

// noteRestamped notes what a director shows anew with nothing changed but its stamp: a verdict or
// a factor of its own that was moved with its mesh time, by itself or by another that had it. It
// was not written again. Which stamp it has now counts for the time until the next one is.
func (c *Checker) noteRestamped(e Judged) {
	for _, b := range e.Backends {
		shown := c.health.shown[e.Director]
		i := slices.IndexFunc(shown, func(s Standing) bool { return s.Addr == b.Addr })
		if i < 0 {
			continue
		}
		was := shown[i]
		if was.Written != 0 && was.By == e.Director && b.By == was.By && b.Failed == was.Failed {
			c.health.written[verdictID{b.Addr, b.Written, b.By}] = true
			if c.health.last[b.Addr].Written == was.Written {
				c.health.last[b.Addr] = b
			}
		}
		x := c.table.backend(b.Addr)
		if was.FactorWritten != 0 && was.FactorBy == e.Director && b.FactorBy == was.FactorBy &&
			b.Factor == was.Factor && x.factors.written[e.Director] == was.FactorWritten {
			x.factors.written[e.Director] = b.FactorWritten
		}
	}
}
