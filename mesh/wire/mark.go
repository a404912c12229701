package wire

import "directormesh/directory"

const (
	maxLate = 1024 // a director notes fewer
	minLate = 1 + 1 + 1
)

func (m *Mark) encode(w *writer) {
	fields := 6
	switch {
	case len(m.Apart) > 0:
		fields = 9
	case len(m.Logs) > 0:
		fields = 8
	case len(m.Late) > 0:
		fields = 7
	}
	w.array(fields)
	w.int(int64(m.MeshTime))
	w.int(int64(m.Wall))
	w.int(int64(m.Whole))
	m.Mesh.encode(w)
	encodePeers(w, "live directors", m.Live)
	w.int(int64(m.Noted))
	if fields > 6 {
		w.list("late", len(m.Late), maxLate)
		for _, l := range m.Late {
			w.array(2)
			w.int(int64(l.At))
			w.uint(uint64(l.Oldest))
		}
	}
	if fields > 7 {
		encodePositions(w, m.Logs)
	}
	if fields > 8 {
		encodePeers(w, "directors apart", m.Apart)
	}
}

func (m *Mark) decode(r *reader) {
	extra := r.fields("message", 6)
	m.MeshTime = directory.Micros(r.int("mesh time"))
	m.Wall = directory.Micros(r.int("wall clock"))
	m.Whole = directory.Time(r.int("whole"))
	m.Mesh = decodeMeshRank(r)
	m.Live = list(r, "live directors", MaxDirectors, minPeer, decodePeer)
	m.Noted = directory.Time(r.int("noted"))
	if extra > 0 {
		m.Late = list(r, "late", maxLate, minLate, func(r *reader) (l LateRows) {
			extra := r.fields("late", 2)
			l.At = directory.Time(r.int("at"))
			l.Oldest = directory.Tick(r.uint32("oldest"))
			r.end("late", extra)
			return l
		})
	}
	if extra > 1 {
		m.Logs = decodePositions(r)
	}
	if extra > 2 {
		m.Apart = list(r, "directors apart", MaxDirectors, minPeer, decodePeer)
	}
	r.end("message", extra-3)
}
