package check

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

const (
	// moveLimit is by when every move has been released, wherever its originator is.
	moveLimit = 31 * time.Second
	// spread is what it takes at most until what one director knows has come to all, and back, in a
	// calm mesh.
	spread = 1500 * time.Millisecond
	// troubleSpread is the same while directors fail: silence must be noticed and perhaps an
	// exclusion must run its course.
	troubleSpread = 13 * time.Second
)

// operation is one thing that an operator ordered, and how it went.
type operation struct {
	id       uint64
	at       time.Duration
	director int
	life     int
	op       Op
	// its director had not met the mesh that goes on: it goes by a clock, and perhaps a table, of
	// its own
	stranger bool

	// for how long the host of its director had stood still with its clocks, and it had not noticed
	// that yet
	behind time.Duration

	done       bool
	doneAt     time.Duration
	err        string
	failed     []string
	named      []string        // those of failed that the answer names, or need not
	had        []time.Duration // by director: since when its present life has had it; forever: not
	everywhere time.Duration   // from then on every director has it; forever if that is not known
	still      time.Duration   // from then on it changes nothing any more, be it everywhere or lost
	// moves, flushes: from then on no user is held or moved by it any more
	ended time.Duration
	rough bool // moves, flushes: there was a fault before it ended
	// flushes: who may have gone on with it, because its director was gone or counted as failed
	heirs []heir
	// directors that have stopped and may bring it when they start again; see bringBack
	taken []int
	// what moves many users, or stands in the table: who may have moved users by it, beside its
	// director
	runners []heir
	// how much later another operation must begin to be newer for sure, where it is not known
	unseen time.Duration
	// it stands for what directors do by themselves at any time: nothing comes after it for sure
	standing bool
	// it stands for the moves away from a backend that is out, by whatever directors
	away bool
	// it adds a backend that may not have been there, which drops what was left of its users
	anew bool
}

// frees reports whether the operation drops the mappings of a backend.
func (o *operation) frees(backend netip.Addr) bool {
	switch o.op.Kind {
	case OpForget:
		return !o.op.Backend.IsValid() || o.op.Backend == backend
	case OpRemove:
		return o.op.Backend == backend
	case OpAdd:
		return o.op.Backend == backend && o.anew
	}
	return false
}

// sweeps reports whether the operation moves many users, to where they hash.
func (o *operation) sweeps() bool {
	return o.op.Kind == OpFlush || o.op.Kind == OpDrain || o.op.Kind == OpRebalance
}

// goesOn reports whether another director goes on with it where its own is gone.
func (o *operation) goesOn() bool { return o.sweeps() || o.op.Kind == OpPin }

// moves reports whether the operation may send a user to where the user hashes, or is pinned, at
// any time until it ends.
func (o *operation) moves(u User) bool {
	return o.sweeps() || o.op.Kind == OpPin && o.op.User == u
}

// flushes reports whether the operation may move a user off a backend, to where the user hashes or
// is pinned.
func (o *operation) flushes(u User, backend netip.Addr) bool {
	if o.op.Kind == OpPin {
		return o.op.User == u
	}
	return o.sweeps() && (!o.op.Backend.IsValid() || o.op.Backend == backend)
}

// forgets reports whether it forgets users of a backend for whom it finds no place.
func (o *operation) forgets(backend netip.Addr) bool {
	return o.op.Kind == OpFlush && o.flushes(User{}, backend)
}

// ordered notes a new operation.
func (c *Checker) ordered(e Admin) {
	i := c.contacts.of(e.Director)
	o := &operation{
		id: e.ID, at: e.When(), director: i, life: c.contacts.directors[i].life, op: e.Op,
		everywhere: forever, still: forever, ended: forever,
		stranger: !c.contacts.directors[i].rooted, unseen: unseenMargin,
		behind: c.contacts.directors[i].behind(),
	}
	c.operations = append(c.operations, o)
	c.operationByID[e.ID] = o
	c.table.order(e.When(), o)
	c.contacts.ordered(e.When(), i, e.Op.Kind)
}

// finished notes the end of an operation and judges it by G5.
func (c *Checker) finished(e Done) {
	o := c.operationByID[e.ID]
	if o == nil || o.done {
		c.breach(e.When(), "G5", User{}, "operation %d ended twice or was never ordered", e.ID)
		return
	}
	o.done, o.doneAt, o.err = true, e.When(), e.Error
	o.failed = slices.Clone(e.Failed)
	if e.Error != "" {
		o.learn(o.director, e.When())
		if e.NoEffect {
			c.withdraw(o)
		}
		return
	}
	for i, d := range c.contacts.directors {
		if d.alive && c.contacts.unheardOf(e.When(), o.director, i) {
			o.failed = append(o.failed, d.name)
		}
	}
	o.named = slices.Clip(o.failed)
	for i, d := range c.contacts.directors {
		if d.alive && !slices.Contains(o.failed, d.name) &&
			c.contacts.separated(e.When(), o.director, i) {
			// it may count as failed, and what it lacks is judged by the names alone
			o.failed = append(o.failed, d.name)
		}
	}
	c.acknowledged(o)
	switch o.op.Kind {
	case OpMove:
		if o.op.Wait {
			o.ended = e.When() + spread
		}
		c.moveAcknowledged(o)
	case OpImport:
		c.imported(o)
	case OpKick:
		c.kickAcknowledged(o)
	case OpAdd, OpUpdate, OpRemove, OpDown, OpUp, OpForget, OpDrain, OpUndrain, OpRebalance,
		OpPin, OpUnpin, OpReset:
		c.endDrains(o)
		c.judgeApplied(o, e)
		c.judgeKeptChanges(e)
		c.closeFreed(o)
	case OpFlush, OpCancel: // a flush is judged at its end, see FlushEnded
	default:
		panic(fmt.Sprintf("check: no rule for the operation %d", o.op.Kind))
	}
}

// withdraw forgets an operation that did nothing.
func (c *Checker) withdraw(o *operation) {
	c.table.withdraw(o)
	c.operations = slices.DeleteFunc(c.operations, func(x *operation) bool { return x == o })
}

// endDrains notes that drains of a backend, or the pin of a user, have ended.
func (c *Checker) endDrains(by *operation) {
	ends := func(o *operation) bool {
		switch by.op.Kind {
		case OpUndrain, OpRemove:
			return o.op.Kind == OpDrain && o.op.Backend == by.op.Backend
		case OpPin, OpUnpin:
			return o.op.Kind == OpPin && o.op.User == by.op.User
		}
		return false
	}
	for _, o := range c.operations {
		if ends(o) && !o.standing && o.at < by.at-o.unseen &&
			len(by.failed) == 0 {
			o.ended = min(o.ended, by.doneAt+moveLimit)
		}
	}
}

// originatorDied bounds the operations of a director that stopped: whatever moves it had begun end
// by themselves.
func (c *Checker) originatorDied(t time.Duration, i int) {
	for _, o := range c.operations {
		if o.goesOn() {
			for j, d := range c.contacts.directors {
				if o.director == i && d.alive { // itself too: when it starts from its disk
					c.mayGoOn(o, j)
				}
			}
			continue
		}
		if o.director == i && o.life == c.contacts.directors[i].life && o.ended == forever &&
			!o.away {
			o.ended = t + moveLimit + troubleSpread
		}
	}
}

// noteRough notes which moves and flushes were under way while something was wrong.
func (c *Checker) noteRough(t time.Duration) {
	if c.contacts.lastRough == t {
		for _, o := range c.operations {
			o.rough = o.rough || o.ended > t
		}
	}
}

// judgeApplied is G5 for a table change: every director that lives and is not named as failed has
// applied it, be it in touch or not.
func (c *Checker) judgeApplied(o *operation, e Done) {
	b := c.table.find(o.op.Backend)
	names := make([]string, 0, len(e.Tables))
	for name := range e.Tables {
		names = append(names, name)
	}
	slices.Sort(names)
	origin := e.Tables[c.contacts.directors[o.director].name]
	for _, name := range names {
		i := c.contacts.of(name)
		d := c.contacts.directors[i]
		if !d.alive || d.leaving || !d.synced || slices.Contains(o.named, name) ||
			c.contacts.apart(o.director, i) {
			continue
		}
		has := e.Tables[name]
		c.judgePinApplied(o, name, e.Pins[name], e.When())
		if o.op.Kind == OpForget || o.op.Kind == OpRemove {
			for addr, row := range origin {
				if o.frees(addr) && has[addr].Forgotten < row.Forgotten && !c.freedSince(addr, o) {
					c.breach(e.When(), "G5", User{},
						"%v at %s is acknowledged, but %s has not forgotten the users of %v",
						o.op, c.contacts.directors[o.director].name, name, addr)
				}
			}
		}
		if b == nil || !o.op.Backend.IsValid() {
			continue
		}
		row := has[o.op.Backend]
		for r, value := range [registers]int{
			one(row.Present), row.VHosts, one(row.Down), one(row.Drained), one(row.Standby),
		} {
			r := register(r)
			if !row.Present && r != regPresent {
				continue
			}
			if writes := b.writes[r]; !allowed(writes, o, value) {
				c.breach(e.When(), "G5", User{},
					"%v at %s is acknowledged, but the %v of %v is %d at %s",
					o.op, c.contacts.directors[o.director].name, r, b.addr, value, name)
			}
		}
	}
}

// judgeKeptChanges is G5 for all that was ever acknowledged: it holds on every director that had it
// or must have got it since, for good, unless something later overrode it. Nothing is refused in
// silence.
func (c *Checker) judgeKeptChanges(e Done) {
	t := e.When()
	for i, d := range c.contacts.directors {
		if has, ok := e.Tables[d.name]; ok && d.alive && d.synced && d.rooted {
			for _, text := range c.table.judge(has, t, at(i)) {
				c.breach(t, "G5", User{}, "%s does not hold what was acknowledged: %s",
					d.name, text)
			}
			for _, text := range c.table.judgePins(e.Pins[d.name], t, at(i)) {
				c.breach(t, "G5", User{}, "%s does not hold what was acknowledged: %s",
					d.name, text)
			}
		}
	}
}

// freedSince reports whether another operation may have raised a backend's mark while this one was
// under way.
func (c *Checker) freedSince(addr netip.Addr, o *operation) bool {
	return slices.ContainsFunc(c.operations, func(x *operation) bool {
		return x != o && x.frees(addr) && x.over() > o.at
	})
}

// over is when an operation was done; forever if it is not.
func (o *operation) over() time.Duration {
	if !o.done {
		return forever
	}
	return o.doneAt
}

// allowed reports whether a director that has applied the operation may hold this value: that of
// the operation's own write or of one that may be newer.
func allowed(writes []write, o *operation, value int) bool {
	own := slices.IndexFunc(writes, func(w write) bool { return w.op == o && !w.unsure })
	if own < 0 {
		return true // it does not write this register for sure
	}
	for _, w := range writes {
		if w.value == value && (w.op == o || w.over() >= o.at-o.behind) {
			return true
		}
	}
	return false
}

// kickAcknowledged is G5 for a kick by name: every director of the mesh that lives and is not named
// as failed has asked its kicker.
func (c *Checker) kickAcknowledged(o *operation) {
	for i, d := range c.contacts.directors {
		if !d.alive || d.leaving || !d.synced || d.since > o.at ||
			c.contacts.apart(i, o.director) || slices.Contains(o.named, d.name) {
			continue
		}
		if !slices.ContainsFunc(c.kicks[d.name], func(k Kick) bool {
			return k.Name == o.op.Name && k.When() >= o.at
		}) {
			c.breach(o.doneAt, "G5", User{}, "%v is acknowledged, but %s never kicked",
				o.op, d.name)
		}
	}
}

// imported gives a user what another director says. Nobody holds the user meanwhile, so a line that
// was there goes on beside the new one until the next answer; whoever imports does so before the
// users come.
func (c *Checker) imported(o *operation) {
	s := c.user(o.op.User)
	kept := slices.DeleteFunc(slices.Clone(s.lines), func(x *line) bool {
		return x.backend == o.op.Backend
	})
	s.changed(o.doneAt, o.op.Backend, causeMoved, c.troubled(o.doneAt))
	s.begin(c.lineBy(o), kept)
	s.resolve = len(kept) > 0
}
