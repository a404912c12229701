package authrelay

import (
	"net/netip"
	"sync"

	"directormesh/cli/door/latency"
	"directormesh/ring"
)

// batchSize is how many lines are looked up together: enough for their waits for memory to overlap,
// and little enough for what is kept of them to stay in the processor's first cache.
const batchSize = 32

// pending is a line of auth on its way to the client.
type pending struct {
	line   []byte // as it came
	ending []byte // of the line
	id     []byte
	final  bool // it ends its request
	wants  bool // a backend; only then there is
	reply  reply
}

// read reads a line.
func (p *pending) read(protocol Protocol, line []byte) {
	body, ending := cutEnding(line)
	verb, rest := cutField(body)
	id, fields := cutField(rest)
	p.line, p.ending, p.id, p.final = line, ending, id, protocol.final(verb)
	p.wants = fields != nil && protocol.completes(verb) && p.reply.read(fields)
}

// body returns the line without its ending.
func (p *pending) body() []byte { return p.line[:len(p.line)-len(p.ending)] }

// batch is some of the lines that came in one read, and what becomes of all of these.
type batch struct {
	lines   []pending
	lookups []ring.Lookup         // of those lines that want a backend, in their order
	names   map[netip.Addr]string // of backends
	out     []byte
	counts  tally
	shard   *latency.Shard // where its lookups are counted
}

// next replaces the lines by up to batchSize new complete ones. It returns false if there is no
// complete line.
func (b *batch) next(in *lineReader, l *link) bool {
	b.clear()
	for len(b.lines) < batchSize {
		line := in.next()
		if line == nil {
			break
		}
		b.lines = b.lines[:len(b.lines)+1]
		p := &b.lines[len(b.lines)-1]
		if p.read(l.s.protocol, line); p.wants {
			b.lookups = append(b.lookups, ring.Lookup{
				Tag: l.tagOf(&p.reply), Hash: l.s.completer.hash(&p.reply),
			})
		}
	}
	return len(b.lines) > 0
}

// clear lets go of the lines.
func (b *batch) clear() {
	clear(b.lines)
	b.lines, b.lookups = b.lines[:0], b.lookups[:0]
}

// batches are the batches that are not in use. An idle connection has no batch.
type batches struct {
	lookups *latency.Lookups
	pool    sync.Pool
}

// maxOutput is the largest buffer that is kept.
const maxOutput = 256 << 10

func (s *batches) take() *batch {
	if b, ok := s.pool.Get().(*batch); ok {
		return b
	}
	return &batch{
		lines: make([]pending, 0, batchSize), lookups: make([]ring.Lookup, 0, batchSize),
		shard: s.lookups.Shard(), // a pool gives a processor what it had before
	}
}

func (s *batches) give(b *batch) {
	if cap(b.out) > maxOutput {
		b.out = nil
	}
	b.clear()
	b.names, b.out, b.counts = nil, b.out[:0], tally{}
	s.pool.Put(b)
}
