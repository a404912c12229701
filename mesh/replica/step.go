package replica

import (
	"math"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/digests"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// A director whose mesh time is over half a second off the median of its mesh is not synced, so
// that no two synced directors are over a second apart. In its admission it steps to the median. A
// step begins a new life of this director, with a boot id and a log of its own, since what it said
// before was said by another clock.
//
// What it stamped by that clock, since it last had the mesh time of the peers that it steps to,
// moves along, but never to before that moment. It moves by whole seconds, the unit of the
// directory, and by less than the clock, so that nothing lies ahead of mesh time. What came from a
// peer is in mesh time already and stays, as do stamps of zero and the id of the mesh.
//
// A long step back moves all that was stamped since then, also by others: peers on this side of a
// long split stamped it, by the same clock. Such a peer may step later, or have died, and a copy
// that stayed would win over the one that it moves. Any step moves what would lie ahead of the
// limit for stamps of our own: a peer whose clock is behind ours may drop that.
//
// Rows stay where the step is a short one back. Some came from peers when this director joined
// them, and a peer may have taken others: by an earlier stamp one would be forgotten here that
// lives there, and peers keep the later activity. By a longer step rows move: peers drop what lies
// that far ahead.
//
// In a step back the moments up to which mappings are forgotten do as rows do. Otherwise rows would
// fall behind the one that they came after, or come up from behind it. In a step forward those of
// peers stay. They may be of the time to which we step, and later ones would have all directors
// forget more.

const (
	// maxAhead is how far ahead of mesh time a value of a peer may be. It is dropped beyond.
	maxAhead = 5 * time.Second
	// ownAhead is how far ahead a stamp of our own may be. It is refused beyond, before peers drop
	// it.
	ownAhead = 4 * time.Second
)

// step sets mesh time forward by an offset, or back.
func (c *Core) step(now mono.Time, offset time.Duration) {
	after := c.momentInCommon(now, offset)
	c.counters.ClockSteps++
	c.logf(LogWarn, "mesh time stepped to that of the mesh",
		Field{"offset", offset.Round(time.Millisecond)})
	c.flushOutbox(now)
	if c.log.Last() > 0 || c.admission.bootstrapped {
		ended, last := logs.ID{Name: c.cfg.Name, Boot: c.boot}, c.log.Last()
		c.endLife(now, ErrClockStepped, "mesh time was stepped")
		c.logs.Ended(now, ended, last)
		c.admission.holds = &holdings{since: logs.Since(after.Time())}
		c.keep(nil)
	} else if c.diskMoves(now, offset) {
		c.keep(nil)
	} // else it has said nothing yet: peers learn of the step by the next beat
	// Since then we have stamped nothing: what lies later came from peers. If we never answered,
	// all did.
	until := c.clock.At(c.admission.unsyncedAt)
	drifted := c.diskDrifted(now, offset)
	if drifted { // what it holds was stamped by the time of one side of a split
		until = max(until, c.disk.until)
	}
	c.slew(offset)
	c.late.Restart(c.clock.At(now))
	for _, p := range c.peers.all {
		p.clock.Stepped(after, offset)
	}
	c.stepApart(after, offset)
	by := meshtime.WholeSeconds(offset)
	c.moveStamped(after, until, c.clock.At(now).Add(ownAhead), by)
	if drifted && rowsMove(by) && c.disk.until > after.Time() {
		c.disk.until = max(c.disk.until.Add(by), after.Time()) // so it need not be set aside
	}
	c.restartMoves(now)
	c.digests = digests.Set{}
	c.setAside(now)
	c.hlc.Restart(max(c.table.LastStamp(), directory.StampAt(c.clock.At(now))))
}

// diskDrifted reports whether a step may be by what the two sides of a split have drifted apart
// since our data directory missed nothing. By a longer one we only mend the wall clock that we
// started with: what the disk holds was stamped before that was off.
func (c *Core) diskDrifted(now mono.Time, offset time.Duration) bool {
	if c.disk == nil || c.disk.whole == 0 {
		return false
	}
	theirs := c.clock.At(now).Add(offset)
	return offset.Abs() <= meshtime.MayBeApart(theirs.Sub(c.disk.whole))
}

// diskMoves reports whether a step may move something that our data directory holds. It holds that
// as it was, so that all of it has to be kept anew.
func (c *Core) diskMoves(now mono.Time, offset time.Duration) bool {
	latest := c.clock.At(now).Add(offset + ownAhead)
	return c.diskDrifted(now, offset) || c.disk != nil && c.disk.until > latest
}

// momentInCommon is when we last had the time of the peers that we are about to step to. If we met
// them only now, they may belong to a mesh that we lost contact with: then the moment counts that
// we had in common with its other directors.
//
// A moment that their time has not come to is of a clock that only this side of a split had: with a
// director that has died or left since, or begun anew over there, or until we ourselves began anew.
// Our data directory then tells since when some were apart, and who, or those that let us in do.
//
// Where their time is ahead it has come to all moments. So a director that has begun anew, on
// whatever side, does not count beside others that go on in the lives in which they were with us.
// Nor does it if it counts such a one that we have not met again: their time may have come to a
// moment of our side's clock since.
func (c *Core) momentInCommon(now mono.Time, offset time.Duration) directory.Micros {
	latest := c.clock.Micros(now).Add(offset + ownAhead)
	passed := func(moment directory.Micros) directory.Micros {
		if moment > latest {
			return 0
		}
		return moment
	}
	common := passed(c.forgottenWith)
	if c.disk != nil {
		common = max(common, passed(c.disk.whole.Micros()))
	}
	keepers, drifted := c.timekeepers(now), c.diskDrifted(now, offset)
	withPeer := func(p *peer) (with directory.Micros, apart, goesOn bool) {
		with, goesOn = passed(p.clock.With()), p.clock.Together()
		if apart = with == 0; apart {
			with, goesOn = c.togetherBefore(p, drifted)
			with = passed(with)
		}
		return with, apart, goesOn
	}
	var theirs, lasting directory.Micros // lasting: of peers in the same life still
	met := false
	for _, p := range c.peers.all {
		with, apart, goesOn := withPeer(p)
		if !p.live {
			common = max(common, with)
		}
		if !keepers.include(p) || !p.clock.Off() {
			continue
		}
		theirs = max(theirs, with)
		met = met || with != 0 && (p.live || apart)
		if goesOn {
			lasting = max(lasting, with)
			continue
		}
		for l := range p.counts {
			if q := c.outOfTouch(l); q != nil {
				if with, _, goesOn := withPeer(q); goesOn {
					lasting = max(lasting, with)
				}
			}
		}
	}
	switch {
	case lasting != 0:
		return lasting
	case met:
		return theirs
	}
	return common
}

// isLong reports whether a step is a long one back.
func isLong(by time.Duration) bool { return by < -ownAhead }

// rowsMove reports whether all rows move by a step that were stamped since the moment in common.
func rowsMove(by time.Duration) bool { return by >= 0 || isLong(by) }

// moveStamped moves what was stamped here in this life after one moment and not after another; by a
// long step back also what peers stamped, and by any step what lies after the latest that we may
// send.
func (c *Core) moveStamped(
	after directory.Micros, until, latest directory.Time, by time.Duration,
) {
	last, all := until.Tick(), c.cfg.Guards.MoveAllStamps
	if all {
		after, last = 0, math.MaxUint32
	}
	long := isLong(by)
	rowsMove := rowsMove(by) || all
	floor := directory.StampAt(after.Time())
	moved := func(s directory.Stamp) directory.Stamp {
		ours := c.own.Contains(s) || long && s.Tick() <= last || s.Time() > latest || all
		if s <= floor || !ours {
			return s
		}
		return max(s.Add(by), floor+1)
	}
	forgotten := moved
	if !rowsMove {
		forgotten = func(s directory.Stamp) directory.Stamp {
			if s.Time() > latest {
				return moved(s)
			}
			return s
		}
	}
	view := func() {
		// peers lack it, their log of us ends
		if rowsMove {
			c.dir.Shift(after.Time().Tick(), last, latest.Tick(), by, c.outbox.Push)
			if by != 0 {
				c.logs.DropMessages() // they hold the rows as they were
			}
		}
		c.table.Restamp(moved, forgotten)
		c.own = nil
		c.dir.SetBackends(c.table.Snapshot().Backends)
	}
	c.changeView(view)
	c.moves.Held.Restamp(func(u ring.User) (directory.Mapping, bool) {
		m, status := c.dir.Find(u.Tag, u.Hash, 0)
		return m, status != directory.None
	})
}

// endLife ends all that belongs to this life's boot id: streams, the log, what peers know of us,
// and the operations that wait for them, with this error.
func (c *Core) endLife(now mono.Time, err error, why string) {
	c.losers.Clear() // their stamps are those of before
	c.boots = append(c.boots, c.boot)
	c.boot = max(c.rand.Uint64(), 1)
	c.emit(NewLife{Boot: c.boot})
	a := &c.admission
	a.cold, a.coldSince = nil, 0 // whom we wait for since the step before we go on to wait for
	for _, p := range c.peers.all {
		if p.out || p.in != 0 {
			c.emit(CloseStream{Peer: p.name, Reason: why})
		}
		if p.live {
			a.named.Renew(now, wire.Life{Name: p.name, Boot: p.boot}) // it lives on: wait for it
		}
		delete(c.sessions, p.in)
		p.out, p.in, p.sentAt = false, 0, 0
		p.endContact()
		p.said = nil
		p.disk.kept = 0
		p.Forget()
	}
	c.log = logs.Own{}
	c.endTableOperations(err)
	c.barrier.Abandon()
	c.receiver.Abandon()
	c.donations.Abandon()
	c.evaluate(now)
}
