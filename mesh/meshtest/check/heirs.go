package check

import (
	"slices"
	"time"
)

// heir is a life of a director that may have gone on with what another one began.
type heir struct{ director, life int }

// noteHeirs notes which directors may go on with flushes of others: those that count the others as
// failed. These may run them still, on their side of a split. What stands in the table is run by
// the director that acts for all, whoever ordered it.
func (c *Checker) noteHeirs(t time.Duration) {
	acting := c.contacts.mayActForAll(t)
	for _, o := range c.operations {
		cut := func(i, from int) bool { return c.contacts.links[i][from].gone != forever }
		gone := func(i int) bool {
			return cut(i, o.director) || slices.ContainsFunc(o.runners, func(h heir) bool {
				return cut(i, h.director) // which went on with it, and is gone
			})
		}
		for i := range c.contacts.directors {
			if gone(i) {
				c.mayGoOn(o, i)
			}
		}
		for _, i := range acting {
			if o.goesOn() && o.ended == forever && (o.op.Kind != OpFlush || gone(i)) {
				o.noteRunner(heir{i, c.contacts.directors[i].life})
			}
		}
	}
}

func (o *operation) noteRunner(h heir) {
	if !slices.Contains(o.runners, h) {
		o.runners = append(o.runners, h)
	}
}

// mayActForAll finds the directors that may do what one does for all: they are in contact with half
// of those that live, and with none of a lower name that surely does so (protocol.md, Moves).
func (c *contacts) mayActForAll(t time.Duration) (found []int) {
	surely := make([]bool, len(c.directors))
	for i := range surely {
		surely[i] = c.surelyActs(t, i)
	}
	for i, d := range c.directors {
		alive, near, lower := 0, 0, false
		for j, p := range c.directors {
			if !p.alive {
				continue
			}
			alive++
			if !c.cut(t, i, j) {
				near++
				lower = lower || p.name < d.name && surely[j] && !c.separated(t, i, j)
			}
		}
		if d.alive && !lower && 2*near >= alive {
			found = append(found, i)
		}
	}
	return found
}

// surelyActs reports whether a director is in contact with more than half of all that ever lived.
func (c *contacts) surelyActs(t time.Duration, i int) bool {
	d := c.directors[i]
	if !d.alive || !d.synced || d.paused || d.leaving {
		return false
	}
	near := 0
	for j, p := range c.directors {
		if p.alive && !c.separated(t, i, j) {
			near++
		}
	}
	return 2*near > len(c.directors)
}

// mayGoOn notes that a director may go on with a flush that has not ended, from the beginning: it
// moves users again that hash elsewhere by now.
func (c *Checker) mayGoOn(o *operation, i int) {
	h := heir{i, c.contacts.directors[i].life}
	if o.op.Kind != OpFlush || o.ended != forever || slices.Contains(o.heirs, h) {
		return
	}
	o.heirs = append(o.heirs, h)
	for _, s := range c.users {
		delete(s.used, o)
	}
}

// useUp notes that a flush has had its effect on the user, if an answer with a line shows that:
// with several it is not known which it was.
func (c *Checker) useUp(t time.Duration, s *userState, director int, x *line) {
	if len(x.makers) == 0 ||
		slices.ContainsFunc(x.makers, func(o *operation) bool { return o != x.makers[0] }) {
		return
	}
	o := x.makers[0]
	if o.op.Kind == OpFlush && c.showsAll(t, director, o, x) { // the others go on
		s.used[o] = true
	}
}

// showsAll reports whether an answer shows all that a flush has done to its user. Where others may
// have gone on with it, from the beginning, it may move the user twice. Then only an answer after
// its end does, by a director that knows what each of them did. (For one that does not know what
// the first one did, see flushedApart.) Where a conflict may have put the user there, it may move
// the user until its end.
func (c *Checker) showsAll(t time.Duration, director int, o *operation, x *line) bool {
	if len(o.heirs) == 0 && !x.won {
		return true
	}
	return o.ended <= t && !c.mayAnswerBy(t, director, func(i int) bool {
		return slices.ContainsFunc(o.heirs, func(h heir) bool {
			return c.contacts.lifeAt(h.director, o.ended) == h.life &&
				!c.contacts.knows(t, i, h.director, h.life, o.ended)
		})
	})
}
