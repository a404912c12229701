package wire

import "directormesh/directory"

func (m *Beat) encode(w *writer) {
	fields := 11
	if m.Loading {
		fields = 12
	}
	w.array(fields)
	w.int(m.SentAt)
	w.int(m.Echo)
	w.int(m.EchoDelay)
	w.int(int64(m.MeshTime))
	w.int(int64(m.Wall))
	w.bool(m.Synced)
	w.bool(m.Counted)
	w.uint(m.Seq)
	w.uint(m.Users)
	m.Mesh.encode(w)
	w.bool(m.Majority)
	if fields > 11 {
		w.bool(m.Loading)
	}
}

func (m *Beat) decode(r *reader) {
	extra := r.fields("message", 11)
	m.SentAt = r.int("sent at")
	m.Echo = r.int("echo")
	m.EchoDelay = r.int("echo delay")
	m.MeshTime = directory.Micros(r.int("mesh time"))
	m.Wall = directory.Micros(r.int("wall clock"))
	m.Synced = r.bool("synced")
	m.Counted = r.bool("counted")
	m.Seq = r.uint64("seq")
	m.Users = r.uint64("users")
	m.Mesh = decodeMeshRank(r)
	m.Majority = r.bool("majority")
	if extra > 0 {
		m.Loading = r.bool("loading")
	}
	r.end("message", extra-1)
}

func (m *Leaving) encode(w *writer) { w.array(0) }

func (m *Leaving) decode(r *reader) { r.end("message", r.fields("message", 0)) }
