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
	w.array(6)
	w.uint(m.ID)
	w.uint(uint64(m.Count))
	w.bool(m.Known)
	w.remark(m.Error)
	w.uint(uint64(m.Left))
	w.bool(m.Blind)
}

func (m *KickUserDone) decode(r *reader) {
	extra := r.fields("message", 6)
	m.ID = r.uint64("id")
	m.Count = r.uint32("kick count")
	m.Known = r.bool("known")
	m.Error = r.remark("error")
	m.Left = r.uint32("sessions left")
	m.Blind = r.bool("blind")
	r.end("message", extra)
}
