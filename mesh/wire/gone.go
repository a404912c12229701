package wire

import "math"

// Least sizes of what lists hold, by which reader.list bounds their lengths.
const (
	minSpan     = 1 + 2*1
	minPosition = 1 + 5*1
	minEntry    = 1 + 1 + 1 // head, kind, an array
)

func (p *Position) encode(w *writer) {
	w.array(5)
	w.name("director name", p.Name)
	w.uint(p.Boot)
	w.uint(p.Seq)
	w.list("islands", len(p.Islands), maxIslands)
	for _, s := range p.Islands {
		w.array(2)
		w.uint(s.From)
		w.uint(s.To)
	}
	w.uint(uint64(p.Gone))
}

func (p *Position) decode(r *reader) {
	extra := r.fields("position", 5)
	p.Name = r.name("director name")
	p.Boot = r.uint64("boot id")
	p.Seq = r.uint64("seq")
	p.Islands = list(r, "islands", maxIslands, minSpan, func(r *reader) (s Span) {
		extra := r.fields("island", 2)
		s.From = r.uint64("from")
		s.To = r.uint64("to")
		r.end("island", extra)
		return s
	})
	p.Gone = r.uint32("gone")
	r.end("position", extra)
}

func encodePositions(w *writer, positions []Position) {
	w.list("positions", len(positions), maxPositions)
	for i := range positions {
		positions[i].encode(w)
	}
}

func decodePositions(r *reader) []Position {
	return list(r, "positions", maxPositions, minPosition, func(r *reader) (p Position) {
		p.decode(r)
		return p
	})
}

func (m *GonePositions) encode(w *writer) {
	w.array(1)
	encodePositions(w, m.Logs)
}

func (m *GonePositions) decode(r *reader) {
	extra := r.fields("message", 1)
	m.Logs = decodePositions(r)
	r.end("message", extra)
}

func (m *LogRequest) encode(w *writer) {
	w.array(1)
	m.Has.encode(w)
}

func (m *LogRequest) decode(r *reader) {
	extra := r.fields("message", 1)
	m.Has.decode(r)
	r.end("message", extra)
}

func (m *LogPart) encode(w *writer) {
	w.array(5)
	w.name("director name", m.Name)
	w.uint(m.Boot)
	w.uint(m.From)
	w.bool(m.Short)
	w.list("entries", len(m.Entries), maxEntries)
	for _, e := range m.Entries {
		entry, ok := e.(body)
		if _, logged := LogSeq(e); !ok || !logged {
			w.fail("entry", "%T is no message of a log", e)
			return
		}
		w.array(2)
		w.uint(uint64(e.Kind()))
		entry.encode(w)
	}
}

func (m *LogPart) decode(r *reader) {
	extra := r.fields("message", 5)
	m.Name = r.name("director name")
	m.Boot = r.uint64("boot id")
	m.From = r.uint64("from")
	m.Short = r.bool("short")
	m.Entries = list(r, "entries", maxEntries, minEntry, decodeEntry)
	r.end("message", extra)
}

// decodeEntry reads one message of a log. It fails for every other kind, so that messages do
// not nest.
func decodeEntry(r *reader) Message {
	extra := r.fields("entry", 2)
	kind := Kind(r.uint("entry kind", math.MaxUint8))
	m := newMessage(kind)
	if _, logged := LogSeq(m); !logged {
		r.fail("entry", "a %s message is no message of a log", kind)
		return nil
	}
	m.decode(r)
	r.end("entry", extra)
	return m
}
