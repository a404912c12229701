package wire

import "directormesh/directory"

func (m *Mark) encode(w *writer) {
	w.array(6)
	w.int(int64(m.MeshTime))
	w.int(int64(m.Wall))
	w.int(int64(m.Whole))
	m.Mesh.encode(w)
	encodePeers(w, "live directors", m.Live)
	w.int(int64(m.Noted))
}

func (m *Mark) decode(r *reader) {
	extra := r.fields("message", 6)
	m.MeshTime = directory.Micros(r.int("mesh time"))
	m.Wall = directory.Micros(r.int("wall clock"))
	m.Whole = directory.Time(r.int("whole"))
	m.Mesh = decodeMeshRank(r)
	m.Live = list(r, "live directors", MaxDirectors, minPeer, decodePeer)
	m.Noted = directory.Time(r.int("noted"))
	r.end("message", extra)
}
