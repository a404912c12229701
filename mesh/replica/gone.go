package replica

import (
	"slices"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
)

// Rows of the dead. A director that counts another one as failed, left or in a new life tells all
// peers what it has of the logs of all directors that went lately. A director that has less asks a
// peer that has most, by numbers, and asks again if no answer comes or that peer dies too. What a
// live peer has and we lack is a gap: until it has come this director does not answer by itself.
// What no live director has is lost. Nothing of it enters our own log: directors that lack it ask
// for it.

// logGone notes that a peer's life is over, or seems to be.
func (c *Core) logGone(now mono.Time, p *peer) {
	if p.log != nil && c.logs.Went(now, p.log) {
		c.seekRest(now, p.log)
	}
}

// reportGone reports to all peers what we have of the logs of directors that went lately.
func (c *Core) reportGone(now mono.Time) {
	if news := c.logs.News(now); len(news) > 0 {
		c.sendAll(&wire.GonePositions{Logs: news})
	}
}

// seekRestsFrom looks at what a peer said before it was live.
func (c *Core) seekRestsFrom(now mono.Time, p *peer) {
	if len(p.claims) == 0 {
		return
	}
	for _, log := range c.logs.All() {
		if _, said := p.claims[log.ID()]; said {
			c.seekRest(now, log)
		}
	}
}

// reportGoneTo reports it to a peer that was not in touch, and may lack what went meanwhile.
func (c *Core) reportGoneTo(now mono.Time, p *peer) {
	if gone := c.logs.Gone(now, logs.GoneReported); len(gone) > 0 {
		c.send(p, &wire.GonePositions{Logs: gone})
	}
}

// gotGonePositions takes a peer's word on what it has. If that is less than we have, it hears
// so once, and will ask.
func (c *Core) gotGonePositions(now mono.Time, p *peer, m *wire.GonePositions) {
	more := &wire.GonePositions{}
	for _, at := range m.Logs {
		log, news := c.heardOf(now, p, at)
		if log == nil {
			continue
		}
		if news && p.claims.FallShort(log) {
			more.Logs = append(more.Logs, log.Position(now))
		}
		c.seekRest(now, log)
	}
	if len(more.Logs) > 0 {
		c.send(p, more)
	}
}

// heardOf notes what a peer says to have of a log, and whether that is news.
func (c *Core) heardOf(now mono.Time, p *peer, at wire.Position) (log *logs.Peer, news bool) {
	id := logs.ID{Name: at.Name, Boot: at.Boot}
	if id.Boot == 0 || c.isOurs(id) {
		return nil, false
	}
	if log = c.logs.Get(id); log == nil {
		if c.cfg.Guards.NoJoinerPositions {
			return nil, false
		}
		ago := time.Duration(at.Gone) * time.Millisecond
		var excess *logs.Peer
		if log, excess = c.logs.OpenGone(id, now.Add(-ago), c.attached); excess != nil {
			c.forgetLog(excess)
		}
	}
	return log, p.claims.Note(id, logs.SpansOf(at))
}

// isOurs reports whether a log was written by this process, which has all of it.
func (c *Core) isOurs(id logs.ID) bool {
	return id.Name == c.cfg.Name && (id.Boot == c.boot || slices.Contains(c.boots, id.Boot))
}

// forgetLog forgets a log, and what the peers said of it.
func (c *Core) forgetLog(log *logs.Peer) {
	c.logs.Forget(log)
	for _, p := range c.peers.all {
		delete(p.claims, log.ID())
	}
}

// seekRest asks for what a live peer has of a log and we do not, if its writer is gone.
func (c *Core) seekRest(now mono.Time, log *logs.Peer) {
	if asked := log.Asked(); asked != "" {
		p := c.peers.get(asked)
		live := p != nil && p.live
		switch {
		case c.cfg.Guards.NoAskAgain:
			c.wantRest(now, log, live)
			log.Ask(now, asked)
			return
		case live && log.Awaited(now):
			return
		}
	}
	p := c.aheadIn(log)
	c.wantRest(now, log, p != nil)
	switch {
	case p == nil || !c.admission.bootstrapped || log.Short(p.name):
		return // the snapshot has it
	case log.Stalled(now):
		c.logf(LogWarn, "the rest of a dead director's log does not come",
			Field{"director", log.ID().Name}, Field{"peer", p.name})
		c.gained(log, p.claims[log.ID()])
		c.seekRest(now, log)
	case p.out:
		log.Ask(now, p.name)
		c.send(p, &wire.LogRequest{Has: log.Position(now)})
	}
}

// aheadIn is the live peer to ask for what we lack of a log; nil if none has more than we, or if
// its writer is live.
func (c *Core) aheadIn(log *logs.Peer) *peer {
	if c.writes(log) || c.cfg.Guards.NoRests {
		return nil
	}
	return c.peers.get(log.Ahead(func(yield func(string, logs.Claims) bool) {
		for _, p := range c.peers.all {
			if p.live && p.clock.Near() && !yield(p.name, p.claims) {
				return
			}
		}
	}))
}

// wantRest notes whether we wait for the rest of a log.
func (c *Core) wantRest(now mono.Time, log *logs.Peer, wanted bool) {
	if c.logs.Want(now, log, wanted) {
		c.counters.RestsWanted++
	}
}

// seekRests asks again for what did not come, and forgets what need no longer be remembered.
func (c *Core) seekRests(now mono.Time) {
	for _, log := range slices.Clone(c.logs.Behind()) {
		c.seekRest(now, log)
	}
	c.reportGone(now)
	for _, log := range c.logs.Clean(now, c.peers.all.someAway) {
		if !c.attached(log) {
			c.forgetLog(log)
		}
	}
}

// restBySnapshot is a peer from which a snapshot is to be taken, because it no longer keeps the
// messages that we lack; nil if there is none.
func (c *Core) restBySnapshot(now mono.Time) *peer {
	for _, log := range c.logs.Behind() {
		if p := c.aheadIn(log); p != nil && log.Short(p.name) && !c.receiver.Tried(now, p.name) {
			return p
		}
	}
	return nil
}

// gotLogRequest gives a peer the next part that it lacks of another director's log.
func (c *Core) gotLogRequest(now mono.Time, p *peer, m *wire.LogRequest) {
	part := &wire.LogPart{Name: m.Has.Name, Boot: m.Has.Boot}
	if log := c.logs.Get(logs.ID{Name: m.Has.Name, Boot: m.Has.Boot}); log != nil {
		part.From, part.Entries = log.Part(logs.SpansOf(m.Has))
		part.Short = part.From != 0 && len(part.Entries) == 0
	}
	c.send(p, part)
}

// gotLogPart takes a part of a log that we asked for. It changes what its rows change; its
// holds are rows, their sender needs no answer.
func (c *Core) gotLogPart(now mono.Time, p *peer, m *wire.LogPart) {
	log := c.logs.Get(logs.ID{Name: m.Name, Boot: m.Boot})
	if log == nil {
		return
	}
	log.Answered(p.name)
	switch {
	case m.Short:
		log.NoteShort(p.name)
	case len(m.Entries) == 0:
		delete(p.claims, log.ID()) // it was mistaken
	default:
		log.Progressed(now)
		c.takePart(now, log, m)
	}
	c.seekRest(now, log)
	c.progressAdmission(now)
}

func (c *Core) takePart(now mono.Time, log *logs.Peer, m *wire.LogPart) {
	to := m.From - 1
	for _, e := range m.Entries {
		seq, _ := wire.LogSeq(e)
		if seq != to+1 {
			c.counters.Unexpected++
			break
		}
		to = seq
		if log.Has(seq) {
			continue
		}
		log.Keep(now, seq, e)
		c.counters.RestMessages++
		switch e := e.(type) {
		case *wire.Table:
			c.apply(now, e.Change, nil)
		case *wire.Rows:
			c.takeRows(now, e)
		case *wire.Hold:
			c.mergeRows(now, e.Blocks, nil)
			c.moves.Held.RunAllBy(e.Blocks, log.ID())
		case *wire.Unknown:
			c.takeUnknown(log.ID().Name, e)
		}
	}
	c.gained(log, logs.Spans{}.Add(m.From, to))
}
