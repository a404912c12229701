package wire

func (m *AdmitRequest) encode(w *writer) {
	w.array(1)
	w.uint(m.Nonce)
}

func (m *AdmitRequest) decode(r *reader) {
	extra := r.fields("message", 1)
	m.Nonce = r.uint64("nonce")
	r.end("message", extra)
}

func (m *Admitted) encode(w *writer) {
	w.array(4)
	w.uint(m.Nonce)
	encodeChange(w, &m.Change)
	encodeBlocks(w, m.Moving)
	w.list("live directors", len(m.Live), MaxDirectors)
	for i := range m.Live {
		m.Live[i].encode(w)
	}
}

func (m *Admitted) decode(r *reader) {
	extra := r.fields("message", 4)
	m.Nonce = r.uint64("nonce")
	m.Change = decodeChange(r)
	m.Moving = decodeBlocks(r)
	m.Live = list(r, "live directors", MaxDirectors, minPeer, decodePeer)
	r.end("message", extra)
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
