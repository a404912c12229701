package logs

import (
	"cmp"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// keepTail is how long a message of a peer's log is kept: longer than its writer keeps it for
// replays, and then it takes until that counts as failed.
const keepTail = KeptFor + 15*time.Second

// LongestGone is how long a director may be away and come back.
const LongestGone = 24 * time.Hour

// ID names a log: that of one life of a director.
type ID struct {
	Name string
	Boot uint64
}

// compareIDs orders logs by name, then by life.
func compareIDs(a, b ID) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Boot, b.Boot))
}

// Peer is what we have of the log of another director's life: which of its numbers, and its last
// messages, in case others miss them when its writer is gone.
type Peer struct {
	id ID
	// numbers whose messages were applied here, or are in a snapshot that was
	have Spans
	// highest number that its writer is known to have given out; not below have
	seen    uint64
	wholeAt directory.Time // when none of it was missing, by its writer's mesh time; 0: not known
	grown   bool           // we have got more of it since the peers were told
	goneAt  mono.Time      // since when its writer is not live here; 0: it is, or has just appeared

	tail  []entry // the last messages, by number, some may be missing
	bytes int     // of the tail, about

	rest rest // what we lack of it, once its writer is gone
}

// ID names the log.
func (l *Peer) ID() ID { return l.id }

// Has reports whether a message of the log has come here.
func (l *Peer) Has(seq uint64) bool { return l.have.Has(seq) }

// Have is which messages have. It must not be changed.
func (l *Peer) Have() Spans { return l.have }

// Seen is the highest number that its writer is known to have given out.
func (l *Peer) Seen() uint64 { return l.seen }

// Whole reports whether nothing is missing here of what its writer is known to have written.
func (l *Peer) Whole() bool { return l.have.AllTo(l.seen) }

// Take notes a message that came by its writer's stream, and keeps it for a while. It reports false
// if the message was here already.
func (l *Peer) Take(now mono.Time, seq uint64, m wire.Message) bool {
	if seq <= l.seen && l.have.Has(seq) {
		return false
	}
	l.have = l.have.Add(seq, seq)
	l.seen = max(l.seen, seq)
	l.Keep(now, seq, m)
	return true
}

// Announced notes that the log goes up to a number.
func (l *Peer) Announced(to uint64) { l.seen = max(l.seen, to) }

// Gained notes what came here of the log otherwise than by its writer's stream.
func (l *Peer) Gained(more Spans) {
	had := l.have
	l.have = l.have.With(more)
	l.grown = l.grown || !slices.Equal(had, l.have)
	l.seen = max(l.seen, l.have.Last())
}

// NoteWhole notes that nothing of the log was missing at a moment of its writer's mesh time.
func (l *Peer) NoteWhole(at directory.Time) { l.wholeAt = at }

// WholeAt is the last such moment; 0 if none is known.
func (l *Peer) WholeAt() directory.Time { return l.wholeAt }

// Resume is the number after which its writer is to replay the log.
func (l *Peer) Resume() uint64 {
	if last := l.have.Last(); last > 0 {
		return last
	}
	return l.seen
}

// Live notes that its writer is live here.
func (l *Peer) Live() { l.goneAt = 0 }

// Gone reports whether its writer is not live here.
func (l *Peer) Gone() bool { return l.goneAt != 0 }

// went notes since when its writer is not live here.
func (l *Peer) went(at mono.Time) { l.goneAt = max(1, at) }

// goneFor is for how long its writer has not been live here.
func (l *Peer) goneFor(now mono.Time) time.Duration { return now.Sub(l.goneAt) }

// Position is what we have of the log, for others.
func (l *Peer) Position(now mono.Time) wire.Position {
	p := wire.Position{Name: l.id.Name, Boot: l.id.Boot}
	if l.Gone() {
		p.Gone = uint32(max(1, min(l.goneFor(now), LongestGone)/time.Millisecond))
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

// Keep keeps a message for a while, as it came.
func (l *Peer) Keep(now mono.Time, seq uint64, m wire.Message) {
	e := entry{seq, now, sizeOf(m), m}
	l.bytes += e.bytes
	if n := len(l.tail); n == 0 || l.tail[n-1].seq < seq {
		l.tail = append(l.tail, e)
		return
	}
	i, _ := l.find(seq)
	l.tail = slices.Insert(l.tail, i, e)
}

func (l *Peer) find(seq uint64) (at int, found bool) {
	bySeq := func(e entry, seq uint64) int { return cmp.Compare(e.seq, seq) }
	return slices.BinarySearchFunc(l.tail, seq, bySeq)
}

// Part returns the next messages that a peer lacks which has the given ones, about partBytes of
// them, and the number of the first. From is 0 if it lacks none, and there are no messages if they
// are no longer kept.
func (l *Peer) Part(has Spans) (from uint64, part []wire.Message) {
	lacks := l.have.Without(has)
	if len(lacks) == 0 {
		return 0, nil
	}
	return lacks[0].From, l.part(lacks[0], partBytes)
}

// part returns messages of a span from its beginning on, about as many bytes as wanted; none if
// they are no longer kept.
func (l *Peer) part(of wire.Span, wanted int) []wire.Message {
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
func (l *Peer) prune(now mono.Time, limit int) {
	n := 0
	for n < len(l.tail) && (now.Sub(l.tail[n].at) > keepTail || l.bytes > limit) {
		l.bytes -= l.tail[n].bytes
		l.tail[n].msg = nil
		n++
	}
	if l.tail = l.tail[n:]; len(l.tail) == 0 {
		l.tail = nil
	}
}
