package wire

// FirstLaterLog is the first of the kinds, up to the last number, that are kept for messages of a
// log which later releases add. The first field of each is its Seq. So this release can give such a
// message its place in the log without knowing what it says.
const FirstLaterLog Kind = 128

// Unknown is a message of a log whose kind only a later release knows. It takes its place in the
// log and changes nothing here. A director that asks for a part of that log gets it as it came.
type Unknown struct {
	Number Kind // FirstLaterLog or above, and not a kind of this release
	Seq    uint64
	Later  int    // how many fields follow Seq
	Fields []byte // these fields, as they were encoded
}

// Kind implements Message.
func (m *Unknown) Kind() Kind { return m.Number }

func (m *Unknown) encode(w *writer) {
	if _, unknown := newMessage(m.Number).(*Unknown); !unknown {
		w.fail("kind", "%s is not a later kind of a log", m.Number)
		return
	}
	fields := reader{in: m.Fields}
	fields.skip("fields", m.Later)
	if err := fields.close(); err != nil {
		w.fail("fields", "%w", err)
		return
	}
	w.array(1 + m.Later)
	w.uint(m.Seq)
	w.out = append(w.out, m.Fields...)
}

func (m *Unknown) decode(r *reader) {
	m.Later = r.fields("message", 1)
	m.Seq = r.uint64("seq")
	fields := r.in
	r.skip("fields", m.Later)
	if r.err == nil {
		m.Fields = append(m.Fields, fields[:len(fields)-r.left()]...)
	}
}
