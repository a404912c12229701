package check

import "time"

// unknown reports whether a fault kept the director from knowing of a line.
func (c *Checker) unknown(t time.Duration, director int, x *line) bool {
	if c.unknownTo(t, director, x) {
		return true
	}
	if c.contacts.directors[director].settled {
		return false
	}
	for i, d := range c.contacts.directors { // it may have asked any other
		if d.alive && i != director && c.unknownTo(t, i, x) {
			return true
		}
	}
	return false
}

// unknownTo looks at one director. It knows the line if it was within reach of one that announced the line and did not take that
// with it to its grave. Answers that need not have been announced only tell that somebody else must have.
func (c *Checker) unknownTo(t time.Duration, director int, x *line) bool {
	excused := false
	for i := range x.answers {
		g := &x.answers[i]
		switch {
		case t-g.at >= c.rules.Expire+c.rules.share()/2:
		case !g.sure:
			excused = excused || g.lost || c.anySeparated(t, director) || g.relayed && c.anyDied(g.at)
		case c.mustKnow(t, director, g):
			c.explainf(t, "%s must know of %v, which %s answered at %v", c.contacts.directors[director].name, x.backend, c.contacts.directors[g.director].name, g.at)
			return false
		default:
			excused = true
		}
	}
	return excused
}

// mustKnow reports whether the director has no excuse for not knowing of an announced answer.
func (c *Checker) mustKnow(t time.Duration, director int, g *given) bool {
	if !g.orphaned {
		return c.contacts.reached(g.director, g.life, g.at, director, c.rules.BatchLag) ||
			!c.contacts.separated(t, director, g.director)
	}
	for _, h := range g.holders {
		d := c.contacts.directors[h.director]
		if d.alive && d.life == h.life && (h.director == director || !g.lost && !c.contacts.separated(t, director, h.director)) {
			return true
		}
	}
	return false
}

func (c *Checker) anySeparated(t time.Duration, director int) bool {
	for i := range c.contacts.directors {
		if i != director && c.contacts.separated(t, director, i) {
			return true
		}
	}
	return false
}

// anyDied reports whether some director died so soon after a time that it may have taken with it what it did then for another.
func (c *Checker) anyDied(at time.Duration) bool {
	for _, d := range c.contacts.directors {
		if d.stoppedAt >= at-time.Second && d.stoppedAt <= at+2*c.rules.BatchLag {
			return true
		}
	}
	return false
}

// answersLost notes, when a director dies, who has its answers, and which of them it takes with it because somebody has not.
func (c *Checker) answersLost(t time.Duration, i int) {
	life := c.contacts.directors[i].life
	for _, s := range c.users {
		for _, x := range s.lines {
			for n := range x.answers {
				if g := &x.answers[n]; g.director == i && g.life == life {
					c.orphan(g)
				}
			}
		}
	}
}

func (c *Checker) orphan(g *given) {
	g.orphaned = true
	for j, d := range c.contacts.directors {
		switch {
		case j == g.director || !d.alive:
		case c.contacts.reached(g.director, g.life, g.at, j, c.rules.BatchLag):
			g.holders = append(g.holders, holder{j, d.life})
		case d.startedAt < g.at:
			g.lost = true
		}
	}
}
