package check

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// accuse reports a breach of what a director owes a user who is, or is answered, on a backend. If
// the user is entangled it is pardoned instead, and accuse reports that.
func (c *Checker) accuse(
	t time.Duration, s *userState, director int, b netip.Addr,
	guarantee, format string, args ...any,
) (pardoned bool) {
	if !c.entangled(t, s, director, b) {
		c.breach(t, guarantee, s.user, format, args...)
		return false
	}
	if len(c.pardoned) < maxBreaches {
		c.pardoned = append(c.pardoned, Breach{t, guarantee, s.user, fmt.Sprintf(format, args...)})
	}
	return true
}

// entangled reports whether so much happened to a user at once that nobody can tell from outside
// which backend the user must get at a director: two operations or more may each have moved or
// forgotten the user, or changed what the backends of the user take; none of them is over
// everywhere; and those who ordered them or answered the user meanwhile have not been in touch with
// each other all the time. In which order the operations take effect, and where, follows from rows
// that no answer shows, so what the rules for one operation say of two is wrong now and then. Such
// a user may be wherever one of the operations or the ring may have put the user since. When they
// are over all rules hold again.
func (c *Checker) entangled(t time.Duration, s *userState, director int, b netip.Addr) bool {
	var acting []*operation
	for _, o := range c.operations {
		if o.at <= t && c.mayStillAct(t, o) && c.touches(o, s, b) {
			acting = append(acting, o)
		}
	}
	if len(acting) < 2 {
		return false
	}
	first := acting[0].at
	involved := []int{director}
	for _, o := range acting {
		first = min(first, o.at)
		involved = append(involved, o.director)
	}
	for _, y := range s.sessions {
		if y.at >= first {
			involved = append(involved, y.director)
		}
	}
	return !c.contacts.allInTouch(involved, first) &&
		(s.mayHaveBeenOn(b, c.operations) || c.mayHash(s.user, first, t, b))
}

// mayStillAct reports whether an operation may yet have an effect somewhere.
func (c *Checker) mayStillAct(t time.Duration, o *operation) bool {
	return t <= c.endOf(o)+spread || t < o.still && !o.sweeps() && o.op.Kind != OpPin
}

// touches reports whether an operation moves this user, drops a mapping of the user, or changes
// what a backend takes that the user had or has been answered; or may do so.
func (c *Checker) touches(o *operation, s *userState, answered netip.Addr) bool {
	switch o.op.Kind {
	case OpMove, OpPin, OpFlush, OpRebalance:
		return c.concerns(o, s)
	case OpForget:
		return slices.ContainsFunc(s.sessions, func(y session) bool { return o.frees(y.backend) })
	case OpAdd, OpRemove, OpUpdate, OpDown, OpUp, OpDrain, OpUndrain:
		b := o.op.Backend
		return b == answered || s.mayHaveBeenOn(b, c.operations)
	}
	return false
}
