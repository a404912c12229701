package check

import (
	"net/netip"
	"slices"
	"time"
)

// entangled reports whether so much happened to a user at once that nobody can tell from outside
// which backend the user must get at a director: two operations or more may each have moved or
// forgotten the user, none of them is over everywhere, and those who ordered them or answered the
// user meanwhile have not been in touch with each other all the time. In which order the operations
// take effect, and where, follows from rows that no answer shows, so what the rules for one
// operation say of two is wrong now and then. Such a user may be wherever one of the operations or
// the ring may have put the user since. When they are over all rules hold again.
func (c *Checker) entangled(t time.Duration, s *userState, director int, b netip.Addr) bool {
	var acting []*operation
	for _, o := range c.operations {
		if o.at <= t && c.mayStillAct(t, o) && c.touches(o, s) {
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
	if c.contacts.allInTouch(involved, first) ||
		!s.mayHaveBeenOn(b, c.operations) && !c.mayHash(s.user, first, t, b) {
		return false
	}
	c.pardoned++
	return true
}

// mayStillAct reports whether an operation may yet have an effect somewhere.
func (c *Checker) mayStillAct(t time.Duration, o *operation) bool {
	switch o.op.Kind {
	case OpForget, OpRemove, OpAdd:
		return t < o.still
	}
	return t < o.still && o.op.Kind == OpMove || t <= c.endOf(o)+spread
}

// touches reports whether an operation moves this user or drops a mapping of the user, or may do so.
func (c *Checker) touches(o *operation, s *userState) bool {
	switch o.op.Kind {
	case OpForget, OpRemove, OpAdd:
		return slices.ContainsFunc(s.sessions, func(y session) bool { return o.frees(y.backend) }) ||
			slices.ContainsFunc(c.operations, func(m *operation) bool {
				return m.op.Kind == OpMove && m.op.User == s.user && o.frees(m.op.Backend)
			})
	}
	return c.concerns(o, s)
}
