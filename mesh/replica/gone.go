package replica

import (
	"slices"
	"time"

	"directormesh/mesh/wire"
)

// Rows of the dead. Who counts a director as failed, left or in a new life tells all peers what
// it has of the logs of all that went lately. Who has less asks one that has most, by numbers,
// and asks again if no answer comes or that one dies too. What a live peer has and we do not is
// a gap: until it has come this director does not answer by itself. What nobody alive has is
// lost. Nothing of it enters our own log: whoever lacks it asks for it.
const (
	goneNews  = time.Minute            // those that went within it are told of at each death
	goneKept  = 10 * time.Minute       // then a log is forgotten, unless somebody is away who may ask
	goneTold  = goneKept / 2           // those that went within it are told of to a peer that was out of touch
	maxGone   = 256                    // logs that are remembered, beside those of the peers
	tellEvery = 250 * time.Millisecond // at most
	partBytes = 256 << 10              // of a part of a log, about; a single message may be larger
	// restWithin is how long a peer that says to have more of a log may take to give the next
	// part of it. Then that counts as lost.
	restWithin = 15 * time.Second
)

// rest is what we lack of a log whose writer is gone.
type rest struct {
	wanted     bool
	asked      string // who is to send a part of it; empty: nobody
	askedAt    time.Duration
	progressAt time.Duration   // when the last part came, or we noticed that we lack something
	short      map[string]bool // peers that no longer keep the messages; they give a snapshot
}

// logGone notes that a peer's life is over, or seems to be.
func (c *Core) logGone(now time.Duration, p *peer) {
	if p.log == nil || p.log.goneAt != 0 {
		return
	}
	p.log.goneAt = now
	c.logs.tell = true
	c.seekRest(now, p.log)
}

// tellGone tells all peers what we have of those that went lately.
func (c *Core) tellGone(now time.Duration) {
	if !c.logs.tell || now-c.logs.toldAt < tellEvery {
		return
	}
	c.logs.tell, c.logs.toldAt = false, now
	if m := c.gonePositions(now, goneNews); len(m.Logs) > 0 {
		c.sendAll(m)
	}
}

// seekRestsFrom looks at what a peer said before it was live.
func (c *Core) seekRestsFrom(now time.Duration, p *peer) {
	if len(p.claims) == 0 {
		return
	}
	for _, log := range c.logs.all() {
		if _, said := p.claims[log.id]; said {
			c.seekRest(now, log)
		}
	}
}

// gonePositions is what we have of those that went within a time.
func (c *Core) gonePositions(now, within time.Duration) *wire.GonePositions {
	m := &wire.GonePositions{}
	for _, log := range c.logs.all() {
		if log.goneAt != 0 && now-log.goneAt <= within {
			m.Logs = append(m.Logs, log.position(now))
		}
	}
	return m
}

// tellGoneTo tells a peer that was not in touch, and may lack what went meanwhile.
func (c *Core) tellGoneTo(now time.Duration, p *peer) {
	if m := c.gonePositions(now, goneTold); len(m.Logs) > 0 {
		c.send(p, m)
	}
}

// gotGonePositions takes a peer's word on what it has. If that is less than we have it is told
// so, once, and will ask.
func (c *Core) gotGonePositions(now time.Duration, p *peer, m *wire.GonePositions) {
	more := &wire.GonePositions{}
	for _, at := range m.Logs {
		log, news := c.heardOf(now, p, at)
		if log == nil {
			continue
		}
		if news && len(log.have.without(p.claims[log.id])) > 0 {
			more.Logs = append(more.Logs, log.position(now))
		}
		c.seekRest(now, log)
	}
	if len(more.Logs) > 0 {
		c.send(p, more)
	}
}

// heardOf notes what a peer says to have of a log, and whether that is news.
func (c *Core) heardOf(now time.Duration, p *peer, at wire.Position) (log *peerLog, news bool) {
	id := logID{at.Name, at.Boot}
	if id.boot == 0 || c.isOurs(id) {
		return nil, false
	}
	if log = c.logs.byID[id]; log == nil {
		if c.cfg.Guards.NoJoinerPositions {
			return nil, false
		}
		log = c.openGone(now, id, time.Duration(at.Gone)*time.Millisecond)
	}
	said, before := spansOf(at), p.claims[id]
	if len(before) > 0 && len(said.without(before)) == 0 {
		return log, false
	}
	if p.claims == nil {
		p.claims = make(map[logID]spans)
	}
	_, known := p.claims[id]
	p.claims[id] = before.with(said)
	return log, !known || len(said) > 0
}

// isOurs reports whether a log was written by this process, which has all of it.
func (c *Core) isOurs(id logID) bool {
	return id.name == c.cfg.Name && (id.boot == c.boot || slices.Contains(c.boots, id.boot))
}

// openGone begins to remember a log of which we only hear when its writer is gone. Beyond
// maxGone the one that went first is forgotten.
func (c *Core) openGone(now time.Duration, id logID, ago time.Duration) *peerLog {
	log := c.logs.open(id)
	log.goneAt = max(1, now-ago)
	var first *peerLog
	n := 0
	for _, l := range c.logs.all() {
		if c.attached(l) {
			continue
		}
		n++
		if first == nil || l.goneAt < first.goneAt {
			first = l
		}
	}
	if n > maxGone {
		c.forgetLog(first)
	}
	return log
}

func (c *Core) forgetLog(log *peerLog) {
	delete(c.logs.byID, log.id)
	c.logs.sorted = nil
	c.wantRest(0, log, false)
	for _, p := range c.peers {
		delete(p.claims, log.id)
	}
}

// seekRest asks for what a live peer has of a log and we do not, if its writer is gone.
func (c *Core) seekRest(now time.Duration, log *peerLog) {
	r := &log.rest
	if r.asked != "" {
		p := c.peers[r.asked]
		switch {
		case c.cfg.Guards.NoAskAgain:
			asked := r.asked
			c.wantRest(now, log, p != nil && p.live)
			r.asked = asked
			return
		case p != nil && p.live && now-r.askedAt < askAgain:
			return
		}
	}
	p := c.aheadIn(log)
	c.wantRest(now, log, p != nil)
	switch {
	case p == nil || !c.admission.bootstrapped || r.short[p.name]:
		return // the snapshot has it
	case now-r.progressAt > restWithin:
		c.logf(LogWarn, "the rest of a dead director's log does not come",
			Field{"director", log.id.name}, Field{"peer", p.name})
		c.gained(log, p.claims[log.id])
		c.seekRest(now, log)
	case p.out:
		r.asked, r.askedAt = p.name, now
		c.send(p, &wire.LogRequest{Has: log.position(now)})
	}
}

// aheadIn is the live peer that has most of what we lack of a log; nil if none has any, or if
// its writer is live. Of several the one after the last asked comes next.
func (c *Core) aheadIn(log *peerLog) *peer {
	if c.writes(log) || c.cfg.Guards.NoRests {
		return nil
	}
	var best *peer
	var bestScore [3]uint64
	for _, p := range c.sortedPeers() {
		said, ok := p.claims[log.id]
		if !ok || !p.live || !p.clock.near() {
			continue
		}
		more := said.without(log.have).count()
		score := [3]uint64{more, flag(!log.rest.short[p.name]), flag(p.name > log.rest.asked)}
		if more > 0 && (best == nil || slices.Compare(score[:], bestScore[:]) > 0) {
			best, bestScore = p, score
		}
	}
	return best
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// wantRest keeps the list of logs whose rest we wait for.
func (c *Core) wantRest(now time.Duration, log *peerLog, wanted bool) {
	r := &log.rest
	switch {
	case wanted && !r.wanted:
		c.logs.behind = append(c.logs.behind, log)
		c.counters.RestsWanted++
		r.progressAt = now
	case !wanted && r.wanted:
		c.logs.behind = slices.DeleteFunc(c.logs.behind, func(l *peerLog) bool { return l == log })
		r.asked, r.short = "", nil
	}
	r.wanted = wanted
}

// seekRests asks again for what did not come, and forgets what need no longer be remembered.
func (c *Core) seekRests(now time.Duration) {
	for _, log := range slices.Clone(c.logs.behind) {
		c.seekRest(now, log)
	}
	c.tellGone(now)
	if now-c.logs.cleanedAt < time.Second {
		return
	}
	c.logs.cleanedAt = now
	away := c.someoneAway()
	limit := max(tailBytes/max(1, len(c.logs.byID)), minTailBytes)
	for _, log := range c.logs.all() {
		log.prune(now, limit)
		if log.goneAt == 0 || c.attached(log) {
			continue
		}
		if gone := now - log.goneAt; gone > goneKept && !away || gone > forgetDead {
			c.forgetLog(log)
		}
	}
}

// someoneAway reports whether a director has failed and may come back.
func (c *Core) someoneAway() bool {
	for _, p := range c.peers {
		if !p.live && !p.left && p.boot != 0 {
			return true
		}
	}
	return false
}

// restBySnapshot is a peer from which a snapshot is to be taken, because it no longer keeps the
// messages that we lack; nil if there is none.
func (c *Core) restBySnapshot(now time.Duration) *peer {
	for _, log := range c.logs.behind {
		if p := c.aheadIn(log); p != nil && log.rest.short[p.name] && !c.tried(now, p.name) {
			return p
		}
	}
	return nil
}

// gotLogRequest gives a peer the next part that it lacks of another director's log.
func (c *Core) gotLogRequest(now time.Duration, p *peer, m *wire.LogRequest) {
	part := &wire.LogPart{Name: m.Has.Name, Boot: m.Has.Boot}
	if log := c.logs.byID[logID{m.Has.Name, m.Has.Boot}]; log != nil {
		if lacks := log.have.without(spansOf(m.Has)); len(lacks) > 0 {
			part.From = lacks[0].From
			part.Entries = log.part(lacks[0], partBytes)
			part.Short = len(part.Entries) == 0
		}
	}
	c.send(p, part)
}

// gotLogPart takes a part of a log that we asked for. It changes what its rows change; its
// holds are rows, their sender needs no answer.
func (c *Core) gotLogPart(now time.Duration, p *peer, m *wire.LogPart) {
	log := c.logs.byID[logID{m.Name, m.Boot}]
	if log == nil {
		return
	}
	if log.rest.asked == p.name {
		log.rest.asked = ""
	}
	switch {
	case m.Short:
		if log.rest.short == nil {
			log.rest.short = make(map[string]bool)
		}
		log.rest.short[p.name] = true
	case len(m.Entries) == 0:
		delete(p.claims, log.id) // it was mistaken
	default:
		log.rest.progressAt = now
		c.takePart(now, log, m)
	}
	c.seekRest(now, log)
	c.progressAdmission(now)
}

func (c *Core) takePart(now time.Duration, log *peerLog, m *wire.LogPart) {
	to := m.From - 1
	for _, e := range m.Entries {
		seq, _ := wire.LogSeq(e)
		if seq != to+1 {
			c.counters.Unexpected++
			break
		}
		to = seq
		if log.have.has(seq) {
			continue
		}
		log.keep(now, seq, e)
		c.counters.RestMessages++
		switch e := e.(type) {
		case *wire.Table:
			c.apply(now, e.Change, nil)
		case *wire.Rows:
			c.takeRows(now, e)
		case *wire.Hold:
			c.mergeRows(now, e.Blocks, nil)
			c.runAllBy(e.Blocks, log.id)
		case *wire.Unknown:
			c.gotUnknown(log.id.name, e)
		}
	}
	c.gained(log, spans{}.add(m.From, to))
}
