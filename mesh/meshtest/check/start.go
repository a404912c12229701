package check

import "time"

// The guarantee that slow starts give, beside G1 to G6: the weight of a backend that comes into use
// grows in steps, none before its time, written by a director that sees enough of the mesh; and
// each start ends, whoever dies meanwhile (protocol.md, Slow start).
const startGuarantee = "slow start"

// wholeStart is how much of its weight a backend has that does not start slowly, in percent.
const wholeStart = 100

// startRest is how long after its time a slow start may go on in peace: looks, and a director that
// acts for all.
const startRest = 10 * time.Second

// lawfulStart is how much of its weight a backend may have, so long after it came into use.
func lawfulStart(passed, over time.Duration) int {
	switch {
	case passed >= over:
		return wholeStart
	case 3*passed >= 2*over:
		return 75
	case 3*passed >= over:
		return 50
	}
	return 25
}

// judgeStarts notes how much of their weights the backends of a director have, and judges the steps
// that it has just written.
func (c *Checker) judgeStarts(e Judged) {
	for _, b := range e.Backends {
		x := c.table.backend(b.Addr)
		percent := b.Start
		if percent == 0 {
			percent = wholeStart
		}
		x.starts.note(e.When(), e.Director, percent)
		x.started = x.started || b.Start != 0
		if b.StartSince == 0 || b.StartBy != e.Director ||
			x.starts.written[e.Director] >= b.StartWritten {
			continue
		}
		if x.starts.written == nil {
			x.starts.written = make(map[string]uint64)
		}
		x.starts.written[e.Director] = b.StartWritten
		c.judgeStart(e, b, percent)
	}
}

// judgeStart judges a step that a director has just written. Its stamps are those of its clock.
func (c *Checker) judgeStart(e Judged, b Standing, percent int) {
	passed := time.Duration(b.StartWritten>>16-b.StartSince>>16) * time.Millisecond
	if percent > lawfulStart(passed, b.StartOver) {
		c.breach(e.When(), startGuarantee, User{}, "%s gives %v %d %% of its weight %v after it "+
			"came into use, of %v", e.Director, b.Addr, percent, passed, b.StartOver)
	}
	if b.StartWritten != b.StartSince {
		c.judgeContact(e.When(), startGuarantee, e.Director, "gives a backend more weight")
	}
}

// judgeStartsEnd demands that no slow start goes on long after its time.
func (c *Checker) judgeStartsEnd(t time.Duration, s State) {
	calm := c.contacts.calmFor(t)
	for addr, row := range s.Table {
		if row.Present && row.Start != 0 && -row.StartLeft > startRest && calm > startRest {
			c.breach(t, startGuarantee, User{}, "%v still has %d %% of its weight, %v after the "+
				"end of its slow start", addr, row.Start, -row.StartLeft)
		}
	}
}
