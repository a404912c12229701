package replica

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// Of the log of each life of each director we remember how much of it has come here, and keep
// its last messages beside the directory. When a life is over, some of the others may have
// missed its last messages, and digests, which leave recorded activity out, would not find all:
// they ask for them by their numbers, see gone.go.
const (
	// keepTail is how long a message is kept: longer than a director keeps its own log for
	// replays, and then it takes until it counts as failed.
	keepTail = historyFor + 15*time.Second
	// tailBytes bounds what is kept of all logs together. Sixty thousand logins a second in the
	// mesh take a third of it.
	tailBytes = 128 << 20
	// minTailBytes is what each log may take, however many there are.
	minTailBytes = 1 << 20
)

// logID names a log: that of one life of a director.
type logID struct {
	name string
	boot uint64
}

// peerLog is what we have of the log of another director's life.
type peerLog struct {
	id      logID
	have    spans
	seen    uint64         // the highest number that its writer is known to have given out
	wholeAt directory.Time // when none of it was missing, by its writer's mesh time; 0: not known
	goneAt  time.Duration  // since when its writer is not live here; 0: it is, or has just appeared

	tail  []entry // the last messages, by number, some may be missing
	bytes int     // of the tail, about

	rest rest // what we lack of it, once its writer is gone
}

// peerLogs are all of them.
type peerLogs struct {
	byID      map[logID]*peerLog
	sorted    []*peerLog // of byID, by id; nil: to be made
	behind    []*peerLog // those whose rest we wait for, in the order in which we noticed
	tell      bool       // what we have of those that are gone is news to the peers
	toldAt    time.Duration
	cleanedAt time.Duration
}

func (l *peerLogs) init() { l.byID = make(map[logID]*peerLog) }

// all returns the logs in order. The slice is made anew when a log comes or goes, so it can be
// kept while ranging over it.
func (l *peerLogs) all() []*peerLog {
	if l.sorted == nil {
		for _, log := range l.byID {
			l.sorted = append(l.sorted, log)
		}
		slices.SortFunc(l.sorted, func(a, b *peerLog) int {
			return cmp.Or(strings.Compare(a.id.name, b.id.name), cmp.Compare(a.id.boot, b.id.boot))
		})
	}
	return l.sorted
}

// open returns the log of a life, a new one if need be.
func (l *peerLogs) open(id logID) *peerLog {
	log := l.byID[id]
	if log == nil {
		log = &peerLog{id: id}
		l.byID[id] = log
		l.sorted = nil
	}
	return log
}

// takeSeq notes that a log message came by its writer's stream. What comes after a gap is
// applied all the same, rows merge in any order; but as long as the gap is open the peer has
// confirmed nothing.
func (c *Core) takeSeq(now time.Duration, p *peer, seq uint64, m wire.Message) {
	log := p.log
	if seq <= log.seen && log.have.has(seq) {
		return // by a part of the log, or by a snapshot, that was quicker
	}
	log.have = log.have.add(seq, seq)
	log.seen = max(log.seen, seq)
	c.lookForGap(p)
	log.keep(now, seq, m)
	if log.goneAt != 0 {
		c.logs.tell = true // on its way when the peer went
	}
}

// numbersSeen notes that a peer's log goes up to a number.
func (c *Core) numbersSeen(p *peer, to uint64) {
	p.log.seen = max(p.log.seen, to)
	c.lookForGap(p)
}

// lookForGap concludes from what we have of a peer's log whether something of it is missing here.
// Its rest may have come from others while it was away, and leave a hole before it.
func (c *Core) lookForGap(p *peer) {
	switch whole := p.log.have.allTo(p.log.seen); {
	case !whole && !p.gap:
		p.gap = true
		c.counters.Gaps++
		c.logf(LogInfo, "gap in a peer's log", Field{"peer", p.name},
			Field{"has", p.log.have.text()}, Field{"need", p.log.seen})
	case whole && p.gap:
		p.gap = false
		c.counters.GapsRepaired++
	}
}

// gained follows what we have got of a log otherwise than from its writer.
func (c *Core) gained(log *peerLog, more spans) {
	log.have = log.have.with(more)
	log.seen = max(log.seen, log.have.last())
	if p := c.peers[log.id.name]; p != nil && p.log == log {
		c.lookForGap(p)
	}
}

// resume is from where a peer is to replay its log.
func (l *peerLog) resume() uint64 {
	if last := l.have.last(); last > 0 {
		return last
	}
	return l.seen
}

// position is what we have of a log, for others.
func (l *peerLog) position(now time.Duration) wire.Position {
	p := wire.Position{Name: l.id.name, Boot: l.id.boot}
	if l.goneAt != 0 {
		p.Gone = uint32(max(1, min(now-l.goneAt, forgetDead)/time.Millisecond))
	}
	for _, s := range l.have {
		if s.From == 1 {
			p.Seq = s.To
		} else {
			p.Islands = append(p.Islands, s)
		}
	}
	return p
}

// keep remembers a message of the log for a while. It is kept as it came, and shared.
func (l *peerLog) keep(now time.Duration, seq uint64, m wire.Message) {
	e := entry{seq, now, logSize(m), m}
	l.bytes += e.bytes
	if n := len(l.tail); n == 0 || l.tail[n-1].seq < seq {
		l.tail = append(l.tail, e)
		return
	}
	i, _ := l.find(seq)
	l.tail = slices.Insert(l.tail, i, e)
}

func (l *peerLog) find(seq uint64) (at int, found bool) {
	bySeq := func(e entry, seq uint64) int { return cmp.Compare(e.seq, seq) }
	return slices.BinarySearchFunc(l.tail, seq, bySeq)
}

// part returns messages of a span from its beginning on, about as many bytes as wanted; none if
// they are no longer kept.
func (l *peerLog) part(of wire.Span, wanted int) []wire.Message {
	var part []wire.Message
	i, found := l.find(of.From)
	for bytes, seq := 0, of.From; found && seq <= of.To; seq++ {
		if i == len(l.tail) || l.tail[i].seq != seq || bytes > 0 && bytes+l.tail[i].bytes > wanted {
			break
		}
		part = append(part, l.tail[i].msg)
		bytes += l.tail[i].bytes
		i++
	}
	return part
}

// prune drops what is too old, and of the rest the oldest until it fits.
func (l *peerLog) prune(now time.Duration, limit int) {
	n := 0
	for n < len(l.tail) && (now-l.tail[n].at > keepTail || l.bytes > limit) {
		l.bytes -= l.tail[n].bytes
		l.tail[n].msg = nil
		n++
	}
	if l.tail = l.tail[n:]; len(l.tail) == 0 {
		l.tail = nil
	}
}

// attached reports whether a log is the one that a peer writes or, if it is not live, wrote last.
func (c *Core) attached(log *peerLog) bool {
	p := c.peers[log.id.name]
	return p != nil && p.log == log
}

// writes reports whether the writer of a log is live here.
func (c *Core) writes(log *peerLog) bool { return c.attached(log) && c.peers[log.id.name].live }
