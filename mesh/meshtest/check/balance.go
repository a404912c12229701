package check

import (
	"fmt"
	"slices"
	"time"
)

// The guarantee that balancing gives, beside G1 to G6: a director changes factors within bounds, at
// most every expire time, not while anything else moves users of the tag, and not while it sees too
// little of the mesh (protocol.md, Balance).
const balanceGuarantee = "balance"

// The bounds of factors, in percent.
const leastFactor, noFactor, mostFactor = 50, 100, 150

// mostWeight is the largest weight of a backend.
const mostWeight = 1000

// factorSpan is a time in which some director had a factor.
type factorSpan struct {
	percent     int
	from, until time.Duration
	by          map[string]bool // the directors that have it; none: it is over
}

// factors are those that a backend had anywhere.
type factors struct {
	spans   []*factorSpan
	written map[string]uint64 // the last stamp that each director is known to have written
}

// note notes which factor a director has.
func (f *factors) note(t time.Duration, director string, percent int) {
	open := f.open(director)
	if open != nil && open.percent == percent {
		return
	}
	f.end(t, director)
	for _, s := range f.spans {
		if s.percent == percent && len(s.by) > 0 {
			s.by[director] = true
			return
		}
	}
	f.spans = append(f.spans, &factorSpan{percent, t, forever, map[string]bool{director: true}})
}

func (f *factors) open(director string) *factorSpan {
	for _, s := range f.spans {
		if s.by[director] {
			return s
		}
	}
	return nil
}

// end notes that a director has no factor any more: it has died, or has another one now.
func (f *factors) end(t time.Duration, director string) {
	if s := f.open(director); s != nil {
		if delete(s.by, director); len(s.by) == 0 {
			s.until = t
		}
	}
}

// possible are the factors that the backend may have had at some director between two times.
func (f *factors) possible(since, until time.Duration) (percents []int) {
	for _, s := range f.spans {
		if s.from <= until && s.until >= since && !slices.Contains(percents, s.percent) {
			percents = append(percents, s.percent)
		}
	}
	if percents == nil {
		percents = []int{noFactor}
	}
	return percents
}

// weight is the number of points that a vhost count makes with a factor and a slow start.
func weight(vhosts, percent, start int) int {
	if vhosts == 0 {
		return 0
	}
	const whole = noFactor * wholeStart
	points := vhosts * percent * start / whole
	if vhosts*percent*start%whole >= whole/2 {
		points++
	}
	return min(max(points, 1), mostWeight)
}

// judgeFactors notes the factors that a director has, and judges those that it has just written.
func (c *Checker) judgeFactors(e Judged) {
	for _, b := range e.Backends {
		x := c.table.backend(b.Addr)
		percent := b.Factor
		if percent == 0 {
			percent = noFactor
		}
		x.factors.note(e.When(), e.Director, percent)
		x.balanced = x.balanced || b.Factor != 0
		if b.Factor == 0 || b.FactorBy != e.Director ||
			x.factors.written[e.Director] >= b.FactorWritten {
			continue // it is not of this director, or a command's
		}
		c.judgeFactor(e, b)
	}
	for _, b := range e.Backends {
		if x := c.table.backend(b.Addr); b.Factor != 0 && b.FactorBy == e.Director {
			if x.factors.written == nil {
				x.factors.written = make(map[string]uint64)
			}
			x.factors.written[e.Director] = max(x.factors.written[e.Director], b.FactorWritten)
		}
	}
}

// judgeFactor judges a factor that a director has just written.
func (c *Checker) judgeFactor(e Judged, b Standing) {
	breach := func(format string, args ...any) {
		c.breach(e.When(), balanceGuarantee, User{}, "%s changes the factor of %v to %d %%: %s",
			e.Director, b.Addr, b.Factor, fmt.Sprintf(format, args...))
	}
	if b.Factor < leastFactor || b.Factor > mostFactor {
		breach("out of bounds")
	}
	for _, other := range e.Backends {
		if other.Tag != b.Tag || other.VHosts == 0 {
			continue
		}
		if other.Failed || other.Down || other.Drained || other.Rebalanced || other.Start != 0 {
			breach("%v is %+v", other.Addr, other)
		}
	}
	for _, other := range c.table.backends {
		last := other.factors.written[e.Director]
		if other.tag != b.Tag || last == 0 || last == b.FactorWritten {
			continue
		}
		if pause := time.Duration(b.FactorWritten>>16-last>>16) * time.Millisecond; pause <
			c.rules.Expire {
			breach("%v after that of %v", pause, other.addr)
		}
	}
	c.judgeContact(e.When(), balanceGuarantee, e.Director, "changes factors")
}
