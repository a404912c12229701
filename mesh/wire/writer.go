package wire

import (
	"fmt"
	"net/netip"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"

	"directormesh/ring"
)

// MaxText bounds the bytes of a reason, an error or a value of an auth field.
const MaxText = 4096

// writer writes msgpack to a byte slice. It keeps the first error, after which
// what it writes does not matter.
type writer struct {
	out sink
	enc *msgpack.Encoder
	err error
}

// sink is a byte slice to which an Encoder writes without a buffer between.
type sink []byte

func (s *sink) Write(p []byte) (int, error) {
	*s = append(*s, p...)
	return len(p), nil
}

func (s *sink) WriteByte(c byte) error {
	*s = append(*s, c)
	return nil
}

// newWriter returns a writer that appends to dst. Its Encoder comes from the
// library's pool: to set one up takes longer than to write most messages.
func newWriter(dst []byte) *writer {
	w := &writer{out: dst, enc: msgpack.GetEncoder()}
	w.enc.Reset(&w.out)
	return w
}

// close returns what was written and ends the use of the writer.
func (w *writer) close() ([]byte, error) {
	w.enc.Reset(nil) // the pool should not keep the message
	msgpack.PutEncoder(w.enc)
	w.enc = nil
	return w.out, w.err
}

// fail keeps the first error, one about the named field.
func (w *writer) fail(field, format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("%s: %w", field, fmt.Errorf(format, args...))
	}
}

// keep keeps the error of a call of the Encoder. A sink gives none, but
// another release of the Encoder might.
func (w *writer) keep(err error) {
	if w.err == nil {
		w.err = err
	}
}

// array opens an array of n elements, which must follow.
func (w *writer) array(n int) { w.keep(w.enc.EncodeArrayLen(n)) }

// list opens an array of n elements, of which there may be that many.
func (w *writer) list(field string, n, most int) {
	if n > most {
		w.fail(field, "%w: %d, at most %d are allowed", ErrTooMany, n, most)
	}
	w.array(n)
}

func (w *writer) uint(v uint64) { w.keep(w.enc.EncodeUint(v)) }
func (w *writer) int(v int64)   { w.keep(w.enc.EncodeInt(v)) }
func (w *writer) bool(v bool)   { w.keep(w.enc.EncodeBool(v)) }
func (w *writer) null()         { w.keep(w.enc.EncodeNil()) }

// bytes writes b; nil is written as no bytes.
func (w *writer) bytes(b []byte) {
	w.keep(w.enc.EncodeBytesLen(len(b)))
	w.out = append(w.out, b...)
}

// name writes a word, which may be missing.
func (w *writer) name(field, s string) {
	if s != "" {
		if err := ring.CheckWord(s); err != nil {
			w.fail(field, "%v", err)
			return
		}
	}
	w.keep(w.enc.EncodeString(s))
}

// format writes a format: a name that may have spaces.
func (w *writer) format(field, s string) {
	if problem := formatProblem(s); problem != "" {
		w.fail(field, "%s", problem)
		return
	}
	w.keep(w.enc.EncodeString(s))
}

// formatProblem says why a string is no format, "" if it is one.
func formatProblem(s string) string {
	switch {
	case len(s) > ring.MaxName:
		return fmt.Sprintf("%d bytes, at most %d are allowed", len(s), ring.MaxName)
	case s != ring.Printable(s):
		return "it has a character that cannot be shown"
	}
	return ""
}

// value writes a string of at most MaxText bytes.
func (w *writer) value(field, s string) {
	if len(s) > MaxText {
		w.fail(field, "%d bytes, at most %d are allowed", len(s), MaxText)
		return
	}
	w.keep(w.enc.EncodeString(s))
}

// remark writes a text for people, cut to MaxText bytes: one that is too long
// must not keep its message from being sent.
func (w *writer) remark(s string) {
	s = ring.Printable(s)
	if len(s) > MaxText {
		end := MaxText
		for end > MaxText-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	w.keep(w.enc.EncodeString(s))
}

// addr writes an address as its 4 or 16 bytes; the zero address, if optional,
// as none.
func (w *writer) addr(field string, a netip.Addr, need necessity) {
	if problem := addrProblem(a, need); problem != "" {
		w.fail(field, "%s", problem)
		return
	}
	w.bytes(a.AsSlice())
}

// addrPort writes the bytes of an address followed by the port, the most
// significant byte first.
func (w *writer) addrPort(field string, a netip.AddrPort, need necessity) {
	if problem := addrProblem(a.Addr(), need); problem != "" {
		w.fail(field, "%s", problem)
		return
	}
	b := a.Addr().AsSlice()
	if b != nil {
		b = append(b, byte(a.Port()>>8), byte(a.Port()))
	}
	w.bytes(b)
}

// necessity says whether an address may be missing.
type necessity bool

const (
	required necessity = true
	optional necessity = false
)

// addrProblem says why an address cannot travel, "" if it can.
func addrProblem(a netip.Addr, need necessity) string {
	switch {
	case !a.IsValid() && need == required:
		return "address is missing"
	case a.Zone() != "":
		return fmt.Sprintf("address %q has a zone, which means nothing to other directors", a)
	default:
		return ""
	}
}
