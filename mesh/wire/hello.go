package wire

import (
	"math"

	"directormesh/directory"
)

func (s *Settings) encode(w *writer) {
	w.array(4)
	if s.Protocol < 0 || int64(s.Protocol) > math.MaxInt32 {
		w.fail("protocol", "%d is not in 0..%d", s.Protocol, math.MaxInt32)
		return
	}
	w.uint(uint64(s.Protocol))
	w.name("mesh name", s.Mesh)
	w.name("user hash format", s.HashFormat)
	w.int(s.Expire)
}

func (s *Settings) decode(r *reader) {
	extra := r.fields("settings", 4)
	s.Protocol = int(r.uint("protocol", math.MaxInt32))
	s.Mesh = r.name("mesh name")
	s.HashFormat = r.name("user hash format")
	s.Expire = r.int("user expire")
	r.end("settings", extra)
}

const minPeer = 1 + 1 + 1 + minAddr

func (p *Peer) encode(w *writer) {
	w.array(3)
	w.name("director name", p.Name)
	w.uint(p.Boot)
	w.addrPort("director address", p.Addr, optional)
}

func decodePeer(r *reader) (p Peer) {
	extra := r.fields("director", 3)
	p.Name = r.name("director name")
	p.Boot = r.uint64("boot id")
	p.Addr = r.addrPort("director address", optional)
	r.end("director", extra)
	return p
}

func encodeFounding(w *writer, f directory.Founding) {
	w.array(2)
	w.int(int64(f.At))
	w.name("founder", f.By)
}

func decodeFounding(r *reader) (f directory.Founding) {
	extra := r.fields("founding", 2)
	f.At = directory.Time(r.int("founding time"))
	f.By = r.name("founder")
	r.end("founding", extra)
	return f
}

func (m *Hello) encode(w *writer) {
	w.array(5)
	m.Settings.encode(w)
	m.From.encode(w)
	encodeFounding(w, m.Founding)
	w.int(int64(m.MeshTime))
	w.uint(m.Resume)
}

func (m *Hello) decode(r *reader) {
	extra := r.fields("hello", 5)
	m.Settings.decode(r)
	m.From = decodePeer(r)
	m.Founding = decodeFounding(r)
	m.MeshTime = directory.Time(r.int("mesh time"))
	m.Resume = r.uint64("resume")
	r.end("hello", extra)
}

func (m *Refuse) encode(w *writer) {
	w.array(2)
	m.From.encode(w)
	w.remark(m.Reason)
}

func (m *Refuse) decode(r *reader) {
	extra := r.fields("message", 2)
	m.From = decodePeer(r)
	m.Reason = r.remark("reason")
	r.end("message", extra)
}
