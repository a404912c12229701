package wire

import "fmt"

// LogSeq returns the place of m in its sender's log, and false if m is not a
// log message.
func LogSeq(m Message) (uint64, bool) {
	switch m := m.(type) {
	case *Table:
		return m.Seq, true
	case *Rows:
		return m.Seq, true
	case *Hold:
		return m.Seq, true
	case *Unknown:
		return m.Seq, true
	default:
		return 0, false
	}
}

// SetSeq gives m its place in its sender's log. It panics if m is not a log
// message.
func SetSeq(m Message, seq uint64) {
	switch m := m.(type) {
	case *Table:
		m.Seq = seq
	case *Rows:
		m.Seq = seq
	case *Hold:
		m.Seq = seq
	case *Unknown:
		m.Seq = seq
	default:
		panic(fmt.Sprintf("wire: a %s message has no place in a log", m.Kind()))
	}
}
