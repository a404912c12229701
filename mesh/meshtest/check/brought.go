package check

import (
	"slices"
	"time"
)

// An operation that was never acknowledged, and whose director is gone, is known to all that live
// soon, or to none of them. Then it changes nothing any more: unless one that is gone as well had
// it, and starts with what it had, from its disk or because it ran on outside the mesh.

// noteTaken notes which operations a director may have that stops, though others may lack them.
func (c *Checker) noteTaken(i int) {
	for _, o := range c.operations {
		if o.still == forever && !slices.Contains(o.taken, i) && c.contacts.mayHaveHeard(i, o) {
			o.taken = append(o.taken, i)
		}
	}
}

// bringBack lets the operations have an effect again that a director may bring which starts. If it
// starts with nothing it has lost them.
func (c *Checker) bringBack(i int) {
	for _, o := range c.operations {
		switch {
		case o.done || !slices.Contains(o.taken, i):
		case c.contacts.directors[i].brings:
			o.still = forever
		default:
			o.taken = slices.DeleteFunc(o.taken, func(j int) bool { return j == i })
		}
	}
}

// awaited reports whether a director lives that may bring an operation and has not been admitted
// since it started.
func (c *Checker) awaited(o *operation) bool {
	return slices.ContainsFunc(o.taken, func(i int) bool {
		d := c.contacts.directors[i]
		return d.alive && (!d.rooted || d.syncedAt == never)
	})
}

// settle notes that all that live have an operation by now, or none of them has.
func (c *Checker) settle(t time.Duration, o *operation) {
	o.still = t
	o.taken = slices.DeleteFunc(o.taken, func(i int) bool { return c.contacts.directors[i].alive })
	c.closeFreed(o)
}

// mayHaveHeard reports whether an operation may have come to a director, from its own or from one
// that may have had it, by frames that were sent since it began. Not each frame is reported. From
// its own director that started with nothing since it comes no more.
func (c *contacts) mayHaveHeard(i int, o *operation) bool {
	since, heard := o.at-calmGap, slices.Clone(o.taken)
	note := func(j int, newest time.Duration) {
		if newest >= since && !slices.Contains(heard, j) {
			heard = append(heard, j)
		}
	}
	if c.directors[o.director].life == o.life {
		note(o.director, o.at)
	}
	for j := range c.directors {
		note(j, c.links[j][o.director].former)
	}
	for n := 0; n < len(heard); n++ {
		for j := range c.directors {
			l := &c.links[j][heard[n]]
			note(j, max(l.sent, l.former))
		}
	}
	return slices.Contains(heard, i)
}

// forsake notes, as a director dies, which others have started from disks that lack what was
// acknowledged while they were away. One that is left alone before it is admitted goes on without
// that, until another one is back that kept it (G5).
func (c *Checker) forsake() {
	for _, d := range c.contacts.directors {
		lacks := func(o *operation) bool {
			return o.everywhere != forever && o.everywhere >= d.stoppedAt
		}
		d.forsaken = d.alive && d.brings && slices.ContainsFunc(c.operations, lacks)
	}
}
