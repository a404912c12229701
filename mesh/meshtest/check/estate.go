package check

import (
	"slices"
	"time"
)

// An estate is the log of a life that has ended: which parts of it the others have. Directors that
// lack a part ask one that has it; what no live director has is lost (protocol.md, The log of a
// failed director). So of directors that are in touch, what one has the others have soon.
type estate struct {
	director int
	life     int
	started  time.Duration
	ended    time.Duration
	// its director has started again: nothing comes from the old life any more
	closed bool
	kept   time.Duration // until when its director's disk had it then
	known  [][]span      // by director, what its present life surely has
}

// span is a part of a director's log, by when its rows were made, and since when somebody has had
// it.
type span struct{ from, to, since time.Duration }

func (s span) covers(at time.Duration) bool { return s.from <= at && at <= s.to }

// stragglers is how long after the end of a life the last of what it sent arrives.
const stragglers = 5 * time.Second

// bequeath begins the estate of a director that has just stopped.
func (c *contacts) bequeath(t time.Duration, i int) {
	for _, e := range c.estates {
		e.known[i] = nil // what it had of others is gone with it
	}
	d := c.directors[i]
	e := &estate{
		director: i, life: d.life, started: d.startedAt, ended: t,
		known: make([][]span, len(c.directors)),
	}
	c.estates = append(c.estates, e)
	c.collect(e)
}

// probate ends what a life that is over still sends, because the next one begins. That may have
// some of it on disk.
func (c *contacts) probate(i int, kept time.Duration) {
	for _, e := range c.estates {
		if e.director == i && !e.closed {
			c.collect(e)
			e.closed, e.kept = true, min(e.ended, kept)
		}
	}
}

// readDisk notes that a director, synced for the first time in its life, has of its former lives
// what its disk had.
func (c *contacts) readDisk(t time.Duration, i int) {
	for _, e := range c.estates {
		if e.director == i && e.kept > 0 {
			e.give(i, span{e.started, e.kept, t})
		}
	}
}

// admitted is since when both of two directors are synced; forever if they are not.
func (c *contacts) admitted(i, j int) time.Duration {
	a, b := c.directors[i], c.directors[j]
	if !a.synced || !b.synced {
		return forever
	}
	return max(a.since, b.since)
}

// collect notes what has arrived from a life that is over.
func (c *contacts) collect(e *estate) {
	for j, d := range c.directors {
		if j == e.director || !d.alive {
			continue
		}
		s := c.direct(e.director, j)
		if d.syncedAt == never || d.syncedAt > e.ended {
			// its snapshot may have come from somebody who was behind
			s.from = max(s.from, d.startedAt)
		}
		e.give(j, s)
	}
}

// inherit lets those who have been in touch for long enough have what one of them had.
func (c *contacts) inherit(t time.Duration) {
	for _, e := range c.estates {
		if !e.closed && t-e.ended < stragglers {
			c.collect(e)
		}
		for j, heir := range c.directors {
			if !heir.alive || !heir.synced { // what it lacks is on its way still
				continue
			}
			for i, d := range c.directors {
				if i == j || !d.alive || len(e.known[i]) == 0 {
					continue
				}
				since := max(c.shares(i, j), e.ended)
				if i == e.director { // it has them from its disk, and brings them as it is admitted
					since = max(since, c.admitted(i, j))
				}
				if since > t-c.knownIn {
					continue
				}
				for _, s := range e.known[i] {
					if s.since <= t-c.knownIn {
						e.give(j, span{s.from, s.to, t})
					}
				}
			}
		}
	}
}

// give adds a part of the log to what a director has, unless it has that already.
func (e *estate) give(j int, s span) {
	if s.from > s.to {
		return
	}
	for i, h := range e.known[j] {
		if h.from <= s.from && s.to <= h.to {
			return
		}
		if h.from == s.from { // more of the same has arrived
			e.known[j][i] = s
			return
		}
	}
	e.known[j] = append(e.known[j], s)
}

// has reports whether a director surely has what was made at a time.
func (e *estate) has(j int, at time.Duration) bool {
	return slices.ContainsFunc(e.known[j], func(s span) bool { return s.covers(at) })
}
