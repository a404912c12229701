package replica

import (
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/barrier"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/replica/internal/snapshots"
	"directormesh/mesh/wire"
)

// Rows of the dead. A director that counts another one as failed, left or in a new life tells all
// peers what it has of the logs of all directors that went lately. A director that has less asks a
// peer that has most, by numbers, and asks again if no answer comes or that peer dies too. What a
// live peer has and we lack is a gap: until it has come this director does not answer by itself.
// What no live director has is lost. Nothing of it enters our own log: directors that lack it ask
// for it.
//
// A director whose own life ended, because it stepped its mesh time, tells them of that log too. It
// has all of it, and nobody else may have its end. Only those get that which admit it again: others
// that are out of touch then would not learn from them that there is something to ask for. So does
// one that starts from its data directory.

// deadLogs seeks what peers have of the logs of directors that are gone.
type deadLogs struct {
	*output
	deadLogsPort

	admission *ownAdmission
	cfg       *Config
	counters  *Counters
	logs      *logs.Set
	moves     *moves.Set
	peers     *peers
	receiver  *snapshots.Receiver
}

// deadLogsPort is what deadLogs needs of the other parts of the core.
type deadLogsPort interface {
	apply(now mono.Time, change directory.Change, from *peer) *barrier.Change
	attached(log *logs.Peer) bool
	gained(log *logs.Peer, more logs.Spans)
	isOurs(id logs.ID) bool
	mergeRows(now mono.Time, blocks []wire.Block, each eachMerged)
	progressAdmission(now mono.Time)
	takeRows(now mono.Time, m *wire.Rows)
	takeUnknown(writer string, m *wire.Unknown)
	wholeOnDisk(id logs.ID) directory.Time
	writes(log *logs.Peer) bool
}

// logGone notes that a peer's life is over, or seems to be.
func (dl *deadLogs) logGone(now mono.Time, p *peer) {
	if p.log != nil && dl.logs.Went(now, p.log) {
		dl.seekRest(now, p.log)
	}
}

// reportGone reports to all peers what we have of the logs of directors that went lately.
func (dl *deadLogs) reportGone(now mono.Time) {
	if news := dl.logs.News(now); len(news) > 0 {
		dl.sendAll(&wire.GonePositions{Logs: news})
	}
}

// seekRestsFrom looks at what a peer said before it was live.
func (dl *deadLogs) seekRestsFrom(now mono.Time, p *peer) {
	if len(p.claims) == 0 {
		return
	}
	for _, log := range dl.logs.All() {
		if _, said := p.claims[log.ID()]; said {
			dl.seekRest(now, log)
		}
	}
}

// reportGoneTo reports it to a peer that was not in touch, and may lack what went meanwhile.
func (dl *deadLogs) reportGoneTo(now mono.Time, p *peer) {
	if gone := dl.logs.Gone(now, logs.GoneReported); len(gone) > 0 {
		dl.send(p, &wire.GonePositions{Logs: gone})
	}
}

// gotGonePositions takes a peer's word on what it has. If that is less than we have, it hears
// so once, and will ask.
func (dl *deadLogs) gotGonePositions(now mono.Time, p *peer, m *wire.GonePositions) {
	more := &wire.GonePositions{}
	for _, at := range m.Logs {
		log, news := dl.heardOf(now, p, at)
		if log == nil {
			continue
		}
		if news && p.claims.FallShort(log) {
			more.Logs = append(more.Logs, log.Position(now))
		}
		dl.seekRest(now, log)
	}
	if len(more.Logs) > 0 {
		dl.send(p, more)
	}
}

// heardOf notes what a peer says to have of a log, and whether that is news.
func (dl *deadLogs) heardOf(now mono.Time, p *peer, at wire.Position) (log *logs.Peer, news bool) {
	id := logs.ID{Name: at.Name, Boot: at.Boot}
	if id.Boot == 0 || dl.isOurs(id) {
		return nil, false
	}
	if log = dl.logs.Get(id); log == nil {
		if dl.cfg.Guards.NoJoinerPositions {
			return nil, false
		}
		ago := time.Duration(at.Gone) * time.Millisecond
		var excess *logs.Peer
		if log, excess = dl.logs.OpenGone(id, now.Add(-ago), dl.attached); excess != nil {
			dl.forgetLog(excess)
		}
		log.NoteWhole(dl.wholeOnDisk(id))
	}
	return log, p.claims.Note(id, logs.SpansOf(at))
}

// forgetLog forgets a log, and what the peers said of it.
func (dl *deadLogs) forgetLog(log *logs.Peer) {
	dl.logs.Forget(log)
	for _, p := range dl.peers.all {
		delete(p.claims, log.ID())
	}
}

// forgetLogs forgets all logs: those of a cluster that we leave are nothing to the next one.
func (dl *deadLogs) forgetLogs() {
	for _, log := range dl.logs.All() {
		dl.forgetLog(log)
	}
	for _, p := range dl.peers.all {
		if p.log != nil {
			p.log, p.gap = dl.logs.Open(p.log.ID()), false
		}
	}
}

// seekRest asks for what a live peer has of a log and we do not, if its writer is gone.
func (dl *deadLogs) seekRest(now mono.Time, log *logs.Peer) {
	if asked := log.Asked(); asked != "" {
		p := dl.peers.get(asked)
		live := p != nil && p.live
		switch {
		case dl.cfg.Guards.NoAskAgain:
			dl.wantRest(now, log, live)
			log.Ask(now, asked)
			return
		case live && log.Awaited(now):
			return
		}
	}
	p := dl.aheadIn(log)
	dl.wantRest(now, log, p != nil)
	switch {
	case p == nil || !dl.admission.bootstrapped || log.Short(p.name):
		return // the snapshot has it
	case log.Stalled(now):
		dl.logf(LogWarn, "the rest of a dead director's log does not come",
			Field{"director", log.ID().Name}, Field{"peer", p.name})
		dl.gained(log, p.claims[log.ID()])
		dl.seekRest(now, log)
	case p.out:
		log.Ask(now, p.name)
		dl.send(p, &wire.LogRequest{Has: log.Position(now)})
	}
}

// aheadIn is the live peer to ask for what we lack of a log; nil if none has more than we, or if
// its writer is live.
func (dl *deadLogs) aheadIn(log *logs.Peer) *peer {
	if dl.writes(log) || dl.cfg.Guards.NoRests {
		return nil
	}
	return dl.peers.get(log.Ahead(func(yield func(string, logs.Claims) bool) {
		for _, p := range dl.peers.all {
			if p.live && p.clock.Near() && !yield(p.name, p.claims) {
				return
			}
		}
	}))
}

// wantRest notes whether we wait for the rest of a log.
func (dl *deadLogs) wantRest(now mono.Time, log *logs.Peer, wanted bool) {
	if dl.logs.Want(now, log, wanted) {
		dl.counters.RestsWanted++
	}
}

// seekRests asks again for what did not come, and forgets what need no longer be remembered.
func (dl *deadLogs) seekRests(now mono.Time) {
	for _, log := range slices.Clone(dl.logs.Behind()) {
		dl.seekRest(now, log)
	}
	dl.reportGone(now)
	for _, log := range dl.logs.Clean(now, dl.peers.all.someAway, dl.attached) {
		dl.forgetLog(log)
	}
}

// restBySnapshot is a peer from which a snapshot is to be taken, because it no longer keeps the
// messages that we lack; nil if there is none.
func (dl *deadLogs) restBySnapshot(now mono.Time) *peer {
	for _, log := range dl.logs.Behind() {
		if p := dl.aheadIn(log); p != nil && log.Short(p.name) && p.out &&
			!dl.receiver.Tried(now, p.name) {
			return p
		}
	}
	return nil
}

// gotLogRequest gives a peer the next part that it lacks of another director's log.
func (dl *deadLogs) gotLogRequest(now mono.Time, p *peer, m *wire.LogRequest) {
	part := &wire.LogPart{Name: m.Has.Name, Boot: m.Has.Boot}
	if log := dl.logs.Get(logs.ID{Name: m.Has.Name, Boot: m.Has.Boot}); log != nil {
		part.From, part.Entries = log.Part(logs.SpansOf(m.Has))
		part.Short = part.From != 0 && len(part.Entries) == 0
	}
	dl.send(p, part)
}

// gotLogPart takes a part of a log that we asked for. It changes what its rows change; its
// holds are rows, their sender needs no answer.
func (dl *deadLogs) gotLogPart(now mono.Time, p *peer, m *wire.LogPart) {
	log := dl.logs.Get(logs.ID{Name: m.Name, Boot: m.Boot})
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
		dl.takePart(now, log, m)
	}
	dl.seekRest(now, log)
	dl.progressAdmission(now)
}

func (dl *deadLogs) takePart(now mono.Time, log *logs.Peer, m *wire.LogPart) {
	to := m.From - 1
	for _, e := range m.Entries {
		seq, _ := wire.LogSeq(e)
		if seq != to+1 {
			dl.counters.Unexpected++
			break
		}
		to = seq
		if log.Has(seq) {
			continue
		}
		log.Keep(now, seq, e)
		dl.counters.RestMessages++
		switch e := e.(type) {
		case *wire.Table:
			dl.apply(now, e.Change, nil)
		case *wire.Rows:
			dl.takeRows(now, e)
		case *wire.Hold:
			dl.mergeRows(now, e.Blocks, nil)
			dl.moves.Held.RunAllBy(e.Blocks, log.ID(), false)
		case *wire.Unknown:
			dl.takeUnknown(log.ID().Name, e)
		}
	}
	dl.gained(log, logs.Spans{}.Add(m.From, to))
}
