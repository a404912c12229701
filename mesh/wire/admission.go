package wire

import "directormesh/directory"

func (m *AdmitRequest) encode(w *writer) {
	w.array(5)
	w.uint(m.Nonce)
	w.bool(m.Stopped)
	w.bool(m.Member)
	w.bool(m.Holds)
	w.uint(uint64(m.Since))
}

func (m *AdmitRequest) decode(r *reader) {
	extra := r.fields("message", 5)
	m.Nonce = r.uint64("nonce")
	m.Stopped = r.bool("stopped")
	m.Member = r.bool("member")
	m.Holds = r.bool("holds")
	m.Since = directory.Tick(r.uint32("since"))
	r.end("message", extra)
}

func (m *Admitted) encode(w *writer) {
	fields := 6
	if len(m.Apart) > 0 {
		fields = 7
	}
	w.array(fields)
	w.uint(m.Nonce)
	w.bool(m.Pending)
	w.bool(m.Member)
	encodeChange(w, &m.Change)
	encodeBlocks(w, m.Moving)
	encodePeers(w, "live directors", m.Live)
	if fields > 6 {
		w.list("directors apart", len(m.Apart), MaxDirectors)
		for i := range m.Apart {
			m.Apart[i].encode(w)
		}
	}
}

func (m *Admitted) decode(r *reader) {
	extra := r.fields("message", 6)
	m.Nonce = r.uint64("nonce")
	m.Pending = r.bool("pending")
	m.Member = r.bool("member")
	m.Change = decodeChange(r)
	m.Moving = decodeBlocks(r)
	m.Live = list(r, "live directors", MaxDirectors, minPeer, decodePeer)
	if extra > 0 {
		m.Apart = list(r, "directors apart", MaxDirectors, minApart, decodeApart)
	}
	r.end("message", extra-1)
}

const minApart = 1 + minPeer + 1

func (a *Apart) encode(w *writer) {
	w.array(2)
	a.Director.encode(w)
	w.int(int64(a.Together))
}

func decodeApart(r *reader) (a Apart) {
	extra := r.fields("director apart", 2)
	a.Director = decodePeer(r)
	a.Together = directory.Time(r.int("together"))
	r.end("director apart", extra)
	return a
}

func (m *Waiting) encode(w *writer) {
	w.array(1)
	encodePeers(w, "directors waited for", m.For)
}

func (m *Waiting) decode(r *reader) {
	extra := r.fields("message", 1)
	m.For = list(r, "directors waited for", MaxDirectors, minPeer, decodePeer)
	r.end("message", extra)
}

func encodePeers(w *writer, what string, peers []Peer) {
	w.list(what, len(peers), MaxDirectors)
	for i := range peers {
		peers[i].encode(w)
	}
}

func (m *Exclude) encode(w *writer) {
	w.array(1)
	w.remark(m.Reason)
}

func (m *Exclude) decode(r *reader) {
	extra := r.fields("message", 1)
	m.Reason = r.remark("reason")
	r.end("message", extra)
}
