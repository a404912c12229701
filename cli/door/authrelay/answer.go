package authrelay

import (
	"bytes"
	"context"
	"net/netip"
	"sync"
	"time"

	"directormesh/ring"
)

// outputs are buffers for what a batch of lines becomes. Connections on which nothing happens have none.
type outputs struct{ pool sync.Pool }

// maxOutput is the largest buffer that is kept.
const maxOutput = 256 << 10

func (o *outputs) take() *[]byte {
	if b, ok := o.pool.Get().(*[]byte); ok {
		*b = (*b)[:0]
		return b
	}
	return new([]byte)
}

func (o *outputs) give(b *[]byte) {
	if cap(*b) <= maxOutput {
		o.pool.Put(b)
	}
}

// answer passes on all complete reply lines, in one write. Lines whose user has to wait stay behind, without holding up the
// others. False: the link is over.
func (l *link) answer(in *lineReader) bool {
	out := l.s.outputs.take()
	defer l.s.outputs.give(out)
	l.mu.Lock()
	defer l.mu.Unlock()
	var counts tally
	names := l.s.director.Names()
	for line := in.next(); line != nil; line = in.next() {
		*out = l.reply(*out, line, names, &counts)
	}
	counts.report(l.s.metrics)
	return l.write(*out)
}

// tally counts what became of a batch of lines.
type tally struct{ completed, unchanged, failed int }

func (t tally) report(m *metrics) {
	m.completed.Add(float64(t.completed))
	m.unchanged.Add(float64(t.unchanged))
	m.failed.Add(float64(t.failed))
}

// reply appends to out what the client gets for one line of auth, which is nothing yet if the user has to wait. mu must be
// held.
func (l *link) reply(out, line []byte, names map[netip.Addr]string, counts *tally) []byte {
	body, ending := cutEnding(line)
	verb, rest := cutField(body)
	id, fields := cutField(rest)
	if l.s.protocol.completes(verb) && fields != nil {
		if r, ok := parseReply(fields); ok {
			tag, hash := l.tagOf(&r), l.s.completer.hash(&r)
			backend, ok := l.s.director.TryLookup(tag, hash)
			if !ok {
				return l.hold(out, line, id, counts)
			}
			counts.completed++
			l.forget(id)
			return l.complete(out, body, ending, &r, place{tag, hash, backend, names[backend]})
		}
	}
	counts.unchanged++
	if l.s.protocol.final(verb) {
		l.forget(id)
	}
	return append(out, line...)
}

// tagOf returns the tag of a reply. mu must be held.
func (l *link) tagOf(r *reply) ring.Tag {
	if string(r.tag) != string(l.tag) {
		l.tag = ring.Tag(r.tag)
	}
	return l.tag
}

// place is the result of a lookup.
type place struct {
	tag     ring.Tag
	hash    ring.UserHash
	backend netip.Addr
	name    string // of the backend, "" if it was configured by its address
}

func (l *link) complete(out, body, ending []byte, r *reply, p place) []byte {
	out, err := l.s.completer.append(out, body, ending, r, p)
	if err != nil {
		l.s.troubles.note(badField).Err(err).Msg(texts[badField])
	}
	if l.s.seen != nil && len(r.user) > 0 {
		l.s.seen(p.hash, r.user, p.backend)
	}
	return out
}

// hold lets a reply wait for its user in a goroutine of its own. mu must be held.
func (l *link) hold(out, line, id []byte, counts *tally) []byte {
	if l.s.held.Add(1) > maxHeld || !l.remember(id, plain) {
		l.s.held.Add(-1)
		l.s.troubles.note(tooManyHeld).Int("most", maxHeld).Msg(texts[tooManyHeld])
		counts.failed++
		l.forget(id)
		_, ending := cutEnding(line)
		return plain.appendFailure(out, id, ending)
	}
	l.s.metrics.held.Inc()
	line = bytes.Clone(line) // the buffer it is in will be read into
	l.held.Go(func() {
		defer l.s.held.Add(-1)
		defer l.s.metrics.held.Dec()
		l.await(line)
	})
	return out
}

// await answers a held reply.
func (l *link) await(line []byte) {
	ctx, cancel := context.WithTimeout(l.ctx, lookupTime)
	defer cancel()
	body, ending := cutEnding(line)
	_, rest := cutField(body)
	id, fields := cutField(rest)
	r, _ := parseReply(fields)
	tag, hash := ring.Tag(r.tag), l.s.completer.hash(&r)
	began := time.Now()
	backend, err := l.s.director.Lookup(ctx, tag, hash)
	if l.ctx.Err() != nil {
		return // the client was told already
	}

	l.mu.Lock()
	lost := l.settle(id, body, ending, &r, place{tag, hash, backend, l.s.director.Names()[backend]}, err)
	l.mu.Unlock()
	if err != nil {
		l.s.troubles.note(lookupFailed).Stringer("user_hash", hash).Str("tag", string(tag)).Dur("took", time.Since(began)).Err(err).
			Msg(texts[lookupFailed])
	}
	if lost {
		l.end()
	}
}

// settle writes the answer to a held reply. mu must be held. True: the client is lost.
func (l *link) settle(id, body, ending []byte, r *reply, p place, err error) (lost bool) {
	l.forget(id)
	if err != nil {
		l.s.metrics.failed.Inc()
		return !l.write(plain.appendFailure(nil, id, ending))
	}
	l.s.metrics.completed.Inc()
	return !l.write(l.complete(nil, body, ending, r, p))
}
