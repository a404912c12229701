package wire

func (m *KickUser) encode(w *writer) {
	w.array(3)
	w.uint(m.ID)
	w.name("field", m.Field)
	w.value("value", m.Value)
}

func (m *KickUser) decode(r *reader) {
	extra := r.fields("message", 3)
	m.ID = r.uint64("id")
	m.Field = r.name("field")
	m.Value = r.value("value")
	r.end("message", extra)
}

func (m *KickUserDone) encode(w *writer) {
	w.array(4)
	w.uint(m.ID)
	w.uint(uint64(m.Count))
	w.bool(m.Known)
	w.remark(m.Error)
}

func (m *KickUserDone) decode(r *reader) {
	extra := r.fields("message", 4)
	m.ID = r.uint64("id")
	m.Count = r.uint32("kick count")
	m.Known = r.bool("known")
	m.Error = r.remark("error")
	r.end("message", extra)
}
