package check

import (
	"maps"
	"slices"
	"time"
)

// says notes what a director says of itself.
func (c *contacts) says(e Synced) {
	i := c.of(e.Director)
	d := c.directors[i]
	first := d.syncedAt == never || d.stranded
	if d.synced != e.Synced {
		d.since = e.When()
	}
	if d.synced = e.Synced; e.Synced {
		if d.syncedAt == never {
			c.readDisk(e.When(), i)
		}
		d.syncedAt = e.When()
	}
	d.why = e.Why
	if d.mesh != e.Mesh {
		if d.mesh != 0 {
			c.joins(e.When())
			d.comes = true
		}
		d.mesh, d.rooted = e.Mesh, c.goesOn(e.Mesh) && !d.stranded
	}
	d.comes = d.comes && !e.Synced
	switch {
	case e.Synced && first && c.deserted(e.When(), i):
		d.strand()
	case e.Synced:
		c.relieve(e.When(), d)
	}
}

// goesOn reports whether a mesh is the one that all others join in the end.
func (c *contacts) goesOn(mesh uint64) bool { return mesh != 0 && !c.lost[mesh] }

// deserted reports whether a director is cut off from all others of its mesh that live, and there
// are some, or were just now. One that becomes synced then has taken no snapshot: it had met the
// mesh, lost it again, and serves alone (protocol.md, Admission). So have several that start on one
// side of a split: they have of each other what they come with.
func (c *contacts) deserted(t time.Duration, i int) bool {
	others := c.directors[i].forsaken
	for j, p := range c.directors {
		if j == i || !p.alive || c.apart(i, j) {
			continue
		}
		switch {
		case c.cut(t, i, j):
			others = true
		case !p.stranded && p.syncedAt != never:
			return false
		}
	}
	return others
}

// startsAlone notes that a director answers which has not said yet that it is synced: if it is cut
// off, it answers what has waited, and says so then.
func (c *contacts) startsAlone(t time.Duration, i int) {
	if d := c.directors[i]; d.syncedAt == never && d.rooted && c.deserted(t, i) {
		d.strand()
	}
}

// leftAlone reports whether a director is stranded since all others have died, and none is back.
func (c *contacts) leftAlone(d *director) bool {
	return d.stranded &&
		!slices.ContainsFunc(c.directors, func(p *director) bool { return p.alive && p != d })
}

func (d *director) strand() { d.stranded, d.rooted = true, false }

// relieve notes that a director has what the others of its mesh have, if it was stranded.
func (c *contacts) relieve(t time.Duration, d *director) {
	if d.stranded {
		d.stranded, d.rooted = false, c.goesOn(d.mesh)
		c.joins(t)
	}
}

// Foresee looks through a history for the meshes that do not go on, for what their directors do is
// judged by other rules from the beginning: their tables and clocks are their own. Such a mesh
// joins another, or its last director ends while another mesh lives. It must be called before the
// first event, if the directors tell to which mesh they belong. One that has not answered in a mesh
// says nothing of it by joining another.
func (c *Checker) Foresee(history []Event) {
	now := make(map[string]uint64)   // the mesh of each director
	answers := make(map[string]bool) // has been synced in that
	all := make(map[uint64]bool)
	for _, e := range history {
		switch e := e.(type) {
		case Start:
			delete(now, e.Director)
			delete(answers, e.Director)
		case Stop:
			ended := now[e.Director]
			delete(now, e.Director)
			if ended != 0 && len(now) > 0 &&
				!slices.Contains(slices.Collect(maps.Values(now)), ended) {
				c.contacts.lost[ended] = true
			}
		case Synced:
			if e.Mesh == 0 {
				continue
			}
			if c.contacts.lost == nil {
				c.contacts.lost = make(map[uint64]bool)
			}
			if before := now[e.Director]; before != e.Mesh {
				if answers[e.Director] {
					c.contacts.lost[before] = true
				}
				answers[e.Director] = false
			}
			answers[e.Director] = answers[e.Director] || e.Synced
			now[e.Director] = e.Mesh
			all[e.Mesh] = true
		}
	}
	c.table.odd = len(all) > 1
}

// apart reports whether two directors belong to different meshes.
func (c *contacts) apart(i, j int) bool { return c.directors[i].mesh != c.directors[j].mesh }

// judgeRest demands that a director answers by itself soon after the last fault has ended, and goes
// on to do so (G4: a lookup waits only when its own answer is in question).
func (c *Checker) judgeRest(t time.Duration) {
	limit := c.rules.restWithin()
	calm := max(c.faultsEnd, c.rules.Founding)
	if t <= calm+limit {
		return
	}
	for _, d := range c.contacts.directors {
		if !d.alive || d.synced || d.leaving || d.reported == d.since {
			continue
		}
		if since := max(calm, d.since); t > since+limit {
			d.reported = d.since
			c.breach(t, "G4", User{},
				"%s has not been synced since %v, and the last fault ended at %v: %s",
				d.name, d.since, c.faultsEnd, d.why)
		}
	}
}

// heardSinceThaw reports whether a director has heard of another one since that stood still with
// its clocks.
func (c *contacts) heardSinceThaw(i, of int) bool {
	return c.links[i][of].sent >= c.directors[of].thawed+beatWithin
}

// meetingAgain reports whether two directors were cut off from each other and not all of the mesh
// has come together since: as long as links are missing, each side of a split may have the median
// on its side (protocol.md, Mesh time). So it may as long as only one side counts a director that
// has died. If nothing has come between the two but that one stood still, with its clocks, what
// counts is what each sees of the others.
func (c *contacts) meetingAgain(t time.Duration, i, j int) bool {
	a, b := c.directors[i], c.directors[j]
	there, back := c.links[i][j].separated, c.links[j][i].separated
	settled, stood := min(a.settledAt, b.settledAt), max(a.thawed, b.thawed)
	apart := max(there, back) > settled
	if stood > settled && min(there, back) <= settled {
		apart = c.links[i][j].ownClocks
	}
	return apart &&
		(c.together(i, j) > t-contactAgain || c.countsDead(t, i, j) || c.countsDead(t, j, i))
}

// ownClock reports whether a director must go by its own clock, by the clocks of those with which
// it is in touch. Of two halves the later one is right, for clocks may stand still.
func (c *contacts) ownClock(e MeshTimes, i int, within time.Duration) bool {
	own := e.Ahead[c.directors[i].name]
	all, later, earlier := 1, 0, 0
	for j, d := range c.directors {
		theirs, reported := e.Ahead[d.name]
		if j == i || !reported || c.inTouch(i, j) == forever {
			continue
		}
		all++
		switch {
		case theirs > own+within:
			later++
		case theirs < own-within:
			earlier++
		}
	}
	return 2*later < all && 2*earlier <= all
}

// countsDead reports whether a director may still go by the clock of one that has died, and another
// director may not have gone by that.
func (c *contacts) countsDead(t time.Duration, director, other int) bool {
	for i, d := range c.directors {
		if !d.alive && !d.leaving && i != director && i != other &&
			c.links[director][i].sent > t-silence &&
			c.inTouch(other, i) > d.stoppedAt-contactAgain {
			return true
		}
	}
	return false
}

// astrayFor is for how long two clocks may differ: until each of the two has heard a beat of the
// other one after their first contact, or after a step.
const astrayFor = time.Second

// judgeMeshTimes demands that synced directors that are in touch go by one clock.
func (c *Checker) judgeMeshTimes(e MeshTimes) {
	t := e.When()
	c.drifted(e)
	var own []bool
	for i := range c.contacts.directors {
		own = append(own, c.contacts.ownClock(e, i, c.rules.clocksWithin()))
	}
	for i, a := range c.contacts.directors {
		for j, b := range c.contacts.directors[:i] {
			apart := (e.Ahead[a.name] - e.Ahead[b.name]).Abs()
			l, back := &c.contacts.links[i][j], &c.contacts.links[j][i]
			l.otherTime = apart > c.rules.clocksWithin()
			l.ownClocks = own[i] && own[j]
			back.otherTime, back.ownClocks = l.otherTime, l.ownClocks
			if l.otherTime {
				l.otherAt, back.otherAt = t, t
			} else {
				l.sameAt, back.sameAt = t, t
			}
			if c.contacts.otherTimes(t, i, j) {
				l.untaken, back.untaken = t, t
			}
			switch {
			case apart <= c.rules.clocksWithin() || !c.oneClock(e, i, j):
				l.astray = forever
			case l.astray == forever:
				l.astray = t
			case t-l.astray >= astrayFor && !a.astray:
				a.astray = true
				c.breach(t, "G2", User{},
					"the mesh times of %s and %s, both synced and in touch, are %v apart",
					b.name, a.name, apart)
			}
		}
	}
}

// drifted notes how far clocks have come apart, of directors that may be out of touch. When they
// meet again some step, and with the clock all that they stamped meanwhile, by as much: also what
// they stamped while the clocks still agreed.
func (c *Checker) drifted(e MeshTimes) {
	least, most := forever, never
	for _, d := range c.contacts.directors {
		if ahead, ok := e.Ahead[d.name]; ok && d.rooted {
			least, most = min(least, ahead), max(most, ahead)
		}
	}
	for _, o := range c.operations {
		if o.everywhere == forever && most > least {
			o.unseen = max(o.unseen, most-least+unseenMargin)
		}
	}
}

// oneClock reports whether two directors must go by one clock.
func (c *Checker) oneClock(e MeshTimes, i, j int) bool {
	comparable := func(i int) bool {
		d := c.contacts.directors[i]
		_, reported := e.Ahead[d.name]
		return reported && d.synced && d.unaware == forever
	}
	t := e.When()
	return comparable(i) && comparable(j) &&
		!c.contacts.separated(t, i, j) && !c.contacts.separated(t, j, i) &&
		!c.contacts.meetingAgain(t, i, j) && c.contacts.heardSinceThaw(i, j) &&
		c.contacts.heardSinceThaw(j, i)
}
