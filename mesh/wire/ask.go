package wire

// MaxPartBody bounds the body of one part of an answer, so that none holds up what follows it on
// the stream.
const MaxPartBody = 64 << 10

// MaxQuestionBody bounds the body of a question.
const MaxQuestionBody = 4 << 10

// Question asks a director for something that no message of its own asks for. It is answered by
// AnswerParts.
type Question struct {
	ID     uint64 // given by the asker
	Topic  string // what is asked for; who does not know it says so
	Within uint32 // milliseconds for which the asker waits
	Body   []byte // what more there is to ask; its form is up to the topic
}

// AnswerPart is a part of the answer to a Question.
type AnswerPart struct {
	ID    uint64 // of the question
	Index uint32 // counts the parts from 0 on
	Last  bool
	Error string // why there is no more; with Last only
	Body  []byte // MaxPartBody at most; its form is up to the topic
}

func (m *Question) encode(w *writer) {
	w.array(4)
	w.uint(m.ID)
	w.name("topic", m.Topic)
	w.uint(uint64(m.Within))
	w.body(m.Body, MaxQuestionBody)
}

func (m *Question) decode(r *reader) {
	extra := r.fields("message", 4)
	m.ID = r.uint64("id")
	m.Topic = r.name("topic")
	m.Within = r.uint32("within")
	m.Body = r.body(MaxQuestionBody)
	r.end("message", extra)
}

func (m *AnswerPart) encode(w *writer) {
	w.array(5)
	w.uint(m.ID)
	w.uint(uint64(m.Index))
	w.bool(m.Last)
	w.remark(m.Error)
	w.body(m.Body, MaxPartBody)
}

func (m *AnswerPart) decode(r *reader) {
	extra := r.fields("message", 5)
	m.ID = r.uint64("id")
	m.Index = r.uint32("index")
	m.Last = r.bool("last")
	m.Error = r.remark("error")
	m.Body = r.body(MaxPartBody)
	r.end("message", extra)
}

// body writes bytes that are not of this package's form.
func (w *writer) body(b []byte, limit int) {
	if len(b) > limit {
		w.fail("body", "%d bytes, at most %d are allowed", len(b), limit)
		return
	}
	w.bytes(b)
}

// body reads what writer.body wrote, as a copy; no bytes give nil.
func (r *reader) body(limit int) []byte {
	return append([]byte(nil), r.bytes("body", limit)...)
}
