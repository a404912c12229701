package chaos

import (
	"fmt"
	"slices"
	"time"
)

// claim is a backend that a user was answered, by whom, and when each last did.
type claim struct {
	backend string
	first   time.Duration
	by      map[int]span // asked first, answered last
	answers []Answer     // of the last expire time; each may have prolonged the mapping
}

// add adds an answer, which is the newest.
func (c *claim) add(a Answer, expire time.Duration) {
	s, ok := c.by[a.Director]
	if !ok {
		s.from = a.Asked
	}
	s.to = max(s.to, a.Answered)
	c.by[a.Director] = s
	old := slices.IndexFunc(c.answers, func(b Answer) bool {
		return b.Answered >= a.Answered-expire
	})
	if old < 0 {
		old = len(c.answers)
	}
	c.answers = append(slices.Delete(c.answers, 0, old), a)
}

// last is when it was last answered.
func (c *claim) last() (last time.Duration) {
	for _, s := range c.by {
		last = max(last, s.to)
	}
	return last
}

// userClaims are the claims on a user that may hold.
type userClaims struct{ claims []*claim }

// prolonged is when the mapping was last prolonged for sure: what a director answers right before
// it dies may go with it.
func (j *Judge) prolonged(c *claim) time.Duration {
	for _, a := range slices.Backward(c.answers) {
		if lastIn(j.troubles[a.Director].down, a.Asked, a.Answered+j.limits.Reach) == nil {
			return a.Asked
		}
	}
	return 0
}

func claimOf(claims []*claim, backend string) *claim {
	for _, c := range claims {
		if c.backend == backend {
			return c
		}
	}
	return nil
}

// settled reports whether two claims stood side by side for so long that the mesh must have
// decided, and the other one was answered since.
func (j *Judge) settled(mine, other *claim, a Answer) bool {
	return other.last() > max(mine.last(), mine.first)+j.limits.Settle &&
		other.last() < a.Asked && a.Asked-mine.last() > j.limits.Settle
}

func (j *Judge) lastBy(c *claim) string {
	last := c.last()
	for d, s := range c.by {
		if s.to == last {
			return fmt.Sprintf("%s at %.2fs", j.names[d], last.Seconds())
		}
	}
	return "nobody"
}
