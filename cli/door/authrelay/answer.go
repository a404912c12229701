package authrelay

import (
	"bytes"
	"context"
	"net/netip"
	"time"

	"directormesh/cli/door/audit"
	"directormesh/mesh/wording"
	"directormesh/ring"
)

// answer passes on all complete reply lines, in one write. Lines whose user has to wait stay
// behind, without holding up the others. False: the link is over.
func (l *link) answer(in *lineReader) bool {
	l.mu.Lock()
	return finish(l.answerLocked(in))
}

// tryAnswer does so as far as nothing has to be waited for.
func (l *link) tryAnswer(in *lineReader) (rest func() bool, ok bool) {
	if !l.mu.TryLock() {
		return func() bool { return l.answer(in) }, true
	}
	return l.answerLocked(in)
}

// answerLocked is tryAnswer with mu locked, which it unlocks.
func (l *link) answerLocked(in *lineReader) (rest func() bool, ok bool) {
	b := l.s.batches.take()
	b.names = l.s.director.Names()
	l.answerInto(b, in)
	b.counts.report(l.s.metrics)
	left, ok := l.tryWrite(b.out)
	if len(left) > 0 {
		return func() bool {
			defer l.s.batches.give(b)
			defer l.mu.Unlock()
			return l.writeRest(left)
		}, true
	}
	l.mu.Unlock()
	l.s.batches.give(b)
	return nil, ok
}

// answerInto appends the answers to all complete reply lines to the output. mu must be locked.
func (l *link) answerInto(b *batch, in *lineReader) {
	var began time.Duration
	for b.next(in, l) {
		if len(b.lookups) == 0 {
			l.reply(b)
			continue
		}
		if began == 0 {
			began = l.s.uptime()
		}
		l.s.director.TryLookups(b.lookups)
		before := b.counts.completed
		l.reply(b)
		b.shard.Answered(b.counts.completed-before, l.s.uptime()-began)
	}
}

// tally counts what became of a batch of lines.
type tally struct{ completed, unchanged, failed int }

func (t tally) report(m *metrics) {
	m.completed.Add(float64(t.completed))
	m.unchanged.Add(float64(t.unchanged))
	m.failed.Add(float64(t.failed))
}

// reply appends to the output what the client gets for each line of a batch that has been looked
// up, which is nothing yet if the user has to wait. mu must be locked.
func (l *link) reply(b *batch) {
	lookups := b.lookups
	for i := range b.lines {
		p := &b.lines[i]
		if !p.wants {
			b.counts.unchanged++
			if p.final {
				l.forget(p.id)
			}
			b.out = append(b.out, p.line...)
			continue
		}
		found := &lookups[0]
		lookups = lookups[1:]
		if !found.Backend.IsValid() {
			b.out = l.hold(b.out, p, &b.counts)
			continue
		}
		b.counts.completed++
		l.forget(p.id)
		b.out = l.complete(b.out, p, assignment{found.Hash, found.Backend, b.names[found.Backend]})
	}
}

// tagOf returns the tag of a reply. mu must be locked.
func (l *link) tagOf(r *reply) ring.Tag {
	if string(r.tag) != string(l.tag) {
		l.tag = ring.Tag(r.tag)
	}
	return l.tag
}

// assignment is the result of a lookup.
type assignment struct {
	hash    ring.UserHash
	backend netip.Addr
	name    string // of the backend, "" if it was configured by its address
}

func (l *link) complete(out []byte, p *pending, at assignment) []byte {
	out, err := l.s.completer.append(out, p.body(), p.ending, &p.reply, at)
	if err != nil {
		l.s.troubles.note(badField).Err(wording.Plain(err)).Msg(texts[badField])
	}
	if l.s.seen != nil && len(p.reply.user) > 0 {
		l.s.seen(at.hash, p.reply.user, at.backend)
	}
	return out
}

// hold lets a reply wait for its user in a goroutine of its own. mu must be locked.
func (l *link) hold(out []byte, p *pending, counts *tally) []byte {
	room := l.takeHeld()
	if room && !l.remember(p.id, plain) {
		l.giveHeld()
		room = false
	}
	if !room {
		l.s.troubles.note(tooManyHeld).Int("most", maxHeld).Int("most_of_one", maxOwnHeld).
			Msg(texts[tooManyHeld])
		counts.failed++
		l.s.lookups.Shard().Failed(0)
		l.forget(p.id)
		return plain.appendFailure(out, p.id, p.ending)
	}
	l.s.metrics.held.Inc()
	line := bytes.Clone(p.line) // the buffer it is in will be read into
	l.held.Go(func() {
		defer l.giveHeld()
		defer l.s.metrics.held.Dec()
		l.await(line)
	})
	return out
}

// await answers a held reply.
func (l *link) await(line []byte) {
	ctx, cancel := context.WithTimeout(l.ctx, lookupTime)
	defer cancel()
	var p pending
	p.read(l.s.protocol, line)
	tag, hash := ring.Tag(p.reply.tag), l.s.completer.hash(&p.reply)
	began := time.Now()
	backend, err := l.s.director.Lookup(ctx, tag, hash)
	took := time.Since(began)
	if err != nil {
		l.s.lookups.Shard().Failed(took)
	} else {
		l.s.lookups.Shard().Answered(1, took)
	}
	if l.ctx.Err() != nil {
		return // the client has its answer already
	}

	l.mu.Lock()
	lost := l.settle(&p, assignment{hash, backend, l.s.director.Names()[backend]}, err)
	l.mu.Unlock()
	if err != nil {
		l.s.troubles.note(lookupFailed).Uint32("user_hash", uint32(hash)).Str("tag", string(tag)).
			Float64("took_ms", audit.Milliseconds(took)).Err(wording.Plain(err)).
			Msg(texts[lookupFailed])
	}
	if lost {
		l.end()
	}
}

// settle writes the answer to a held reply. mu must be locked. True: the client is lost.
func (l *link) settle(p *pending, at assignment, err error) (lost bool) {
	l.forget(p.id)
	if err != nil {
		l.s.metrics.failed.Inc()
		return !l.write(plain.appendFailure(nil, p.id, p.ending))
	}
	l.s.metrics.completed.Inc()
	return !l.write(l.complete(nil, p, at))
}
