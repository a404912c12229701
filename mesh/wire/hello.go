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
	w.format("user hash format", s.HashFormat)
	w.int(s.Expire)
}

func (s *Settings) decode(r *reader) {
	extra := r.fields("settings", 4)
	s.Protocol = int(r.uint("protocol", math.MaxInt32))
	s.Mesh = r.name("mesh name")
	s.HashFormat = r.format("user hash format")
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

func (m *MeshRank) encode(w *writer) {
	w.array(3)
	w.uint(uint64(m.ID))
	w.bool(m.Grown)
	w.int(m.Age)
}

func decodeMeshRank(r *reader) (m MeshRank) {
	extra := r.fields("mesh", 3)
	m.ID = directory.MeshID(r.uint64("mesh id"))
	m.Grown = r.bool("grown")
	m.Age = r.int("age of the mesh")
	r.end("mesh", extra)
	return m
}

func (m *Hello) encode(w *writer) {
	fields := 9
	if m.Registers != 0 {
		fields = 10
	}
	w.array(fields)
	m.Settings.encode(w)
	m.From.encode(w)
	m.To.encode(w)
	m.Mesh.encode(w)
	w.int(int64(m.MeshTime))
	w.int(m.Up)
	w.bool(m.TakesIn)
	w.uint(m.Resume)
	w.uint(m.Answers)
	if fields > 9 {
		w.uint(m.Registers)
	}
}

func (m *Hello) decode(r *reader) {
	extra := r.fields("hello", 9)
	m.Settings.decode(r)
	m.From = decodePeer(r)
	m.To = decodePeer(r)
	m.Mesh = decodeMeshRank(r)
	m.MeshTime = directory.Micros(r.int("mesh time"))
	m.Up = r.int("up time")
	m.TakesIn = r.bool("takes in")
	m.Resume = r.uint64("resume")
	m.Answers = r.uint64("answered boot id")
	if extra > 0 {
		m.Registers = r.uint64("registers")
	}
	r.end("hello", extra-1)
}

func (m *Refuse) encode(w *writer) {
	fields := 5
	if m.Differs {
		fields = 6
	}
	w.array(fields)
	m.From.encode(w)
	w.remark(m.Reason)
	w.int(m.Up)
	w.uint(uint64(m.Stranger))
	encodeChange(w, &m.Change)
	if fields > 5 {
		w.bool(m.Differs)
	}
}

func (m *Refuse) decode(r *reader) {
	extra := r.fields("message", 5)
	m.From = decodePeer(r)
	m.Reason = r.remark("reason")
	m.Up = r.int("up time")
	m.Stranger = directory.MeshID(r.uint64("mesh id"))
	m.Change = decodeChange(r)
	if extra > 0 {
		m.Differs = r.bool("differs")
		extra--
	}
	r.end("message", extra)
}
