package replica

import (
	"slices"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// Applied and kept. A change is applied when all counted peers have it in memory: barriers, holds,
// admission and exclusion know of nothing else. It is kept by a director when its data directory
// has it on the disk. Directors say in their beats how far they have kept the log of whom they send
// the beat to. The operator's answer waits until all have kept the change that have a data
// directory, for keptWithin at most, and then names those that had not. So a slow disk holds up
// answers to operators, and nothing else.

const (
	// keptWithin is how long an answer waits for disks.
	keptWithin = 2 * time.Second
	// hurryEvery is how often disks are synced at most because somebody may wait for it.
	hurryEvery = 100 * time.Millisecond
	// maxNotes bounds what is remembered of marks that are not kept yet. Of more, the last two
	// become one.
	maxNotes = 64
)

// keptNote says up to where a peer's log was given to the data directory before a mark.
type keptNote struct {
	mark uint64 // number of the Keep
	seq  uint64
}

// peerDisk is what is known of the disks with what a peer wrote, and of its own.
type peerDisk struct {
	keeps  bool       // it has a data directory
	kept   uint64     // up to where it has kept our log
	notes  []keptNote // of its log, oldest first
	ours   uint64     // up to where we have kept its log
	report bool       // it may wait to hear that we have kept more of it
}

// note notes how much of the peer's log stands before a mark.
func (d *peerDisk) note(n keptNote) {
	if len(d.notes) == maxNotes {
		d.notes[maxNotes-1] = n
		return
	}
	d.notes = append(d.notes, n)
}

// reached notes that our disk has all up to a mark. It reports whether that is more of the peer's
// log than before.
func (d *peerDisk) reached(mark uint64) (more bool) {
	for len(d.notes) > 0 && d.notes[0].mark <= mark {
		more = more || d.notes[0].seq > d.ours
		d.ours = max(d.ours, d.notes[0].seq)
		d.notes = d.notes[1:]
	}
	return more
}

// hurries reports whether somebody may wait for a message of a log to be kept.
func hurries(m wire.Message) bool {
	return m.Kind() == wire.KindTable || m.Kind() == wire.KindHold
}

// noteMark notes what stands before the mark that was just made.
func (c *Core) noteMark() {
	for _, p := range c.peers.all {
		if p.log == nil {
			continue
		}
		if have := p.log.Have(); len(have) > 0 && have[0].From == 1 {
			p.disk.note(keptNote{c.lastKeep, have[0].To})
		}
	}
}

// Kept takes note that the data directory has on its disk all up to the Keep of this number.
func (c *Core) Kept(now mono.Time, n uint64) {
	defer c.enter(now)()
	c.keptUpTo = max(c.keptUpTo, n)
	for _, p := range c.peers.all {
		if p.disk.reached(n) && p.disk.report {
			p.disk.report = false
			c.beatTo(now, p)
		}
	}
	c.settleKept(now)
}

// awaited is what an applied operation waits for.
type awaited struct {
	own   uint64 // Keep of ours
	seq   uint64 // message of our log
	until mono.Time
}

// awaitKept lets an operation that is applied wait for the disks. It reports whether there is
// anything to wait for.
func (c *Core) awaitKept(o *operationState) bool {
	if !o.durable || o.awaits != nil {
		return false
	}
	now := c.lookups.LastInput()
	o.awaits = &awaited{own: c.lastKeep, seq: c.log.Last(), until: now.Add(keptWithin)}
	if missing := c.notKept(o.awaits); len(missing) == 0 {
		c.noteKept(o, missing)
		return false
	}
	o.table = nil // it is applied: nothing of the barrier can end it any more
	c.hurry = true
	return true
}

// notKept are the directors that have not kept what an operation waits for, sorted.
func (c *Core) notKept(a *awaited) (names []string) {
	if c.keeps && c.keptUpTo < a.own {
		names = append(names, c.cfg.Name)
	}
	for _, p := range c.peers.all {
		if p.live && p.Counted && p.disk.keeps && p.disk.kept < a.seq {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return names
}

// noteKept notes in the outcome of an operation who has not kept it.
func (c *Core) noteKept(o *operationState, missing []string) {
	keepers := c.keepers()
	if keepers == 0 {
		missing = c.keepersAway()
	}
	o.outcome.NotKept = missing
	o.outcome.KeptByNone = len(missing) > 0 && len(missing) >= keepers
}

// keepersAway are the directors with a data directory that are not counted and have not left,
// sorted.
func (c *Core) keepersAway() (names []string) {
	for _, p := range c.peers.all {
		if !(p.live && p.Counted) && !p.left && p.disk.keeps && !c.table.Removed(p.addr) {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return names
}

// keepers is how many counted directors have a data directory, this one included.
func (c *Core) keepers() (n int) {
	if c.keeps {
		n++
	}
	for _, p := range c.peers.all {
		if p.live && p.Counted && p.disk.keeps {
			n++
		}
	}
	return n
}

// settleKept ends the operations that wait for disks no longer.
func (c *Core) settleKept(now mono.Time) {
	for _, id := range c.operationIDs() {
		o := c.ops[id]
		if o.awaits == nil {
			continue
		}
		missing := c.notKept(o.awaits)
		if len(missing) > 0 && now < o.awaits.until {
			continue
		}
		c.noteKept(o, missing)
		c.endOperation(id, nil)
	}
}
