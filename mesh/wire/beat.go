package wire

import "directormesh/directory"

func (m *Beat) encode(w *writer) {
	fields := 11
	switch {
	case m.StandsBack:
		fields = 15
	case m.Kept != 0:
		fields = 14
	case m.Keeps:
		fields = 13
	case m.Loading:
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
	if fields > 12 {
		w.bool(m.Keeps)
	}
	if fields > 13 {
		w.uint(m.Kept)
	}
	if fields > 14 {
		w.bool(m.StandsBack)
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
	if extra > 1 {
		m.Keeps = r.bool("keeps")
	}
	if extra > 2 {
		m.Kept = r.uint64("kept")
	}
	if extra > 3 {
		m.StandsBack = r.bool("stands back")
	}
	r.end("message", extra-4)
}

func (m *Leaving) encode(w *writer) { w.array(0) }

func (m *Leaving) decode(r *reader) { r.end("message", r.fields("message", 0)) }
