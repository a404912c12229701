package check

import (
	"slices"
	"time"
)

// tableWithin is how long directors may be in touch, one of which has a change of the table, until
// the other one has it too: the first sends it on every stream, at once or when the stream opens
// (protocol.md, The table barrier).
const tableWithin = 3 * time.Second

// A scope says since when the directors that a question is about have surely had an operation;
// forever if they have not.
type scope func(o *operation) time.Duration

// everyone is the scope of all directors of the mesh.
func everyone(o *operation) time.Duration { return o.everywhere }

// at is the scope of one director.
func at(director int) scope {
	return func(o *operation) time.Duration { return min(o.everywhere, o.hadBy(director)) }
}

// near is the scope of a director and all with whom it may be in contact: for their confirmation
// its barriers wait.
func (c *Checker) near(t time.Duration, director int) scope {
	var all []int
	for i, d := range c.contacts.directors {
		if d.alive && (i == director || !c.contacts.cut(t, director, i)) {
			all = append(all, i)
		}
	}
	return func(o *operation) time.Duration {
		latest := never
		for _, i := range all {
			latest = max(latest, o.hadBy(i))
		}
		return min(o.everywhere, latest)
	}
}

// hadBy is since when a director has surely had the operation in its present life, forever if it
// has not.
func (o *operation) hadBy(director int) time.Duration {
	if director < len(o.had) {
		return o.had[director]
	}
	return forever
}

// heardBy reports whether a director had heard of the operation at a time. Of one that was not
// acknowledged all have heard, or nobody ever will, when it changes nothing any more.
func (o *operation) heardBy(director int, t time.Duration) bool {
	return t >= at(director)(o) || !o.done && t >= o.still
}

// mayNotHave reports whether a director may not have heard of an operation, which it did not begin
// itself.
func (c *Checker) mayNotHave(t time.Duration, director int, o *operation) bool {
	began := director == o.director && c.contacts.directors[director].in(o.life)
	return !began && !o.heardBy(director, t)
}

// heardOf reports whether the director that let the user in had heard of the operation. Who has
// heard that a flush began need not have heard of what it did (protocol.md, Moves).
func (y session) heardOf(o *operation) bool {
	return o.heardBy(y.director, y.at) && !slices.Contains(y.unseen, o)
}

func (o *operation) learn(director int, t time.Duration) {
	for len(o.had) <= director {
		o.had = append(o.had, forever)
	}
	o.had[director] = min(o.had[director], t)
}

// forget notes that a director starts with nothing.
func (c *Checker) forget(director int) {
	for _, o := range c.operations {
		if director < len(o.had) {
			o.had[director] = forever
		}
	}
}

// foundsAbove reports whether a director has founded a mesh that all others join in the end, while
// it was cut off from them.
func (c *contacts) foundsAbove(e Synced) bool {
	return c.goesOn(e.Mesh) && len(c.lost) > 0 &&
		!slices.ContainsFunc(c.directors, func(d *director) bool { return d.mesh == e.Mesh })
}

// nothingKnownIn notes that nothing has reached the directors of a mesh that was just founded.
// Those of the others have what they had.
func (c *Checker) nothingKnownIn(mesh uint64) {
	for _, o := range c.operations {
		if o.everywhere == forever {
			continue
		}
		for i, d := range c.contacts.directors {
			if d.alive && d.syncedAt != never && d.mesh != mesh {
				o.learn(i, o.everywhere)
			}
		}
		o.everywhere = forever
	}
}

// acknowledged notes who has what was acknowledged: all that the answer does not name as failed
// (G5). One that has not been synced yet is not waited for: it has what those have that admit it.
func (c *Checker) acknowledged(o *operation) {
	for i, d := range c.contacts.directors {
		if d.alive && d.syncedAt != never && !slices.Contains(o.failed, d.name) &&
			!c.contacts.apart(o.director, i) {
			o.learn(i, o.doneAt)
		}
	}
	if len(o.failed) == 0 && !c.contacts.severalMeshes() {
		o.everywhere, o.still = o.doneAt, o.doneAt
	}
}

// severalMeshes reports whether directors of more than one mesh live.
func (c *contacts) severalMeshes() bool {
	var mesh uint64
	for _, d := range c.directors {
		switch {
		case !d.alive || d.mesh == 0 || d.mesh == mesh:
		case mesh != 0:
			return true
		default:
			mesh = d.mesh
		}
	}
	return false
}

// spreadOperations lets those who share what they have with one that has an operation have it too.
func (c *Checker) spreadOperations(t time.Duration) {
	together := c.contacts.together()
	for _, o := range c.operations {
		switch {
		case o.everywhere != forever:
		case o.done:
			c.spreadOperation(t, o)
		case c.contacts.directors[o.director].removed:
			// it may come back with it
		case c.awaited(o):
		case o.still == forever && max(together, c.endedAt(o)) <= t-c.rules.knownWithin():
			c.settle(t, o) // its director is gone
		}
	}
}

// spreadOperation lets those have an operation who have been in touch for long enough with one that
// has it. Two that go by other times take nothing from each other.
func (c *Checker) spreadOperation(t time.Duration, o *operation) {
	within := tableWithin
	if o.op.Kind == OpMove || o.op.Kind == OpFlush {
		within = c.rules.knownWithin() // it travels as rows
	}
	all := !c.contacts.severalMeshes() // what one has comes to another only when they join
	for j, d := range c.contacts.directors {
		if !d.alive || o.hadBy(j) != forever {
			continue
		}
		has := false
		for i, h := range c.contacts.directors {
			has = has || h.alive && i != j && max(o.hadBy(i), c.contacts.shares(i, j)) <= t-within
		}
		if has {
			o.learn(j, t)
		} else if d.rooted || d.stranded || d.syncedAt == never {
			all = false // one that starts may be stranded, and others take its table
		}
	}
	if all {
		// also of one that lost against another: it has no effect any more
		o.everywhere, o.still = t, t
		c.closeFreed(o)
	}
}

// endedAt is when the life ended in which an operation was ordered, forever if it goes on.
func (c *Checker) endedAt(o *operation) time.Duration {
	for _, e := range c.contacts.estates {
		if e.director == o.director && e.life == o.life {
			return e.ended
		}
	}
	return forever
}

// together is since when all living directors of the mesh, and some others, have been in touch with
// each other; forever if they are not.
func (c *contacts) together(others ...int) time.Duration {
	since := never
	included := func(i int) bool {
		return c.directors[i].alive && (c.directors[i].rooted || slices.Contains(others, i))
	}
	for i := range c.directors {
		for j := range c.directors[:i] {
			if included(i) && included(j) {
				since = max(since, c.inTouch(i, j))
			}
		}
	}
	return since
}

// undisturbed reports whether two directors have been in touch since a time, and gone by one clock,
// in the lives that they had then.
func (c *contacts) undisturbed(i, j int, since time.Duration) bool {
	a, b := c.directors[i], c.directors[j]
	return a.alive && b.alive && a.startedAt <= since && b.startedAt <= since &&
		(i == j || c.shares(i, j) <= since)
}

// allInTouch reports whether some directors have been in touch with each other since a time, in the
// lives that they had then.
func (c *contacts) allInTouch(directors []int, since time.Duration) bool {
	for _, i := range directors {
		for _, j := range directors {
			if !c.undisturbed(i, j, since) {
				return false
			}
		}
	}
	return true
}

// left reports whether a director that lived at a time has been out of another one's reach since.
func (c *contacts) left(by int, since time.Duration) bool {
	for i := range c.directors {
		if c.lifeAt(i, since) != 0 && !c.undisturbed(by, i, since) {
			return true
		}
	}
	return false
}
