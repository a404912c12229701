package history

import (
	"encoding/binary"
	"errors"
	"fmt"

	"directormesh/mesh/wire"
)

// Topic is that of questions about the history.
const Topic = "history"

// An answer is a row of encoded messages: a wire.HistoryFound, then the notes. Before each stand 4
// bytes, little endian: how many it has.

const lengthSize = 4

// Encode encodes an answer in about most bytes. If it would have more, the oldest notes are left
// out, and the answer says so.
func Encode(found wire.HistoryFound, notes []wire.Note, most int) ([]byte, error) {
	for {
		b, err := appendMessage(nil, &found)
		for _, n := range notes {
			if err != nil || len(b) > most {
				break
			}
			b, err = appendMessage(b, n)
		}
		if err != nil || len(b) <= most || len(notes) == 0 {
			return b, err
		}
		found.More = true
		notes = notes[(len(notes)+1)/2:]
	}
}

func appendMessage(b []byte, m wire.Message) ([]byte, error) {
	start := len(b)
	b, err := wire.AppendEncode(append(b, make([]byte, lengthSize)...), m)
	if err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint32(b[start:], uint32(len(b)-start-lengthSize))
	return b, nil
}

// Decode decodes an answer. Notes of kinds that this release does not know are left out.
func Decode(b []byte) (found wire.HistoryFound, notes []wire.Note, err error) {
	for first := true; len(b) > 0 || first; first = false {
		var m wire.Message
		if m, b, err = cutMessage(b); err != nil {
			return wire.HistoryFound{}, nil, fmt.Errorf("answer: %w", err)
		}
		head, isHead := m.(*wire.HistoryFound)
		note, isNote := m.(wire.Note)
		switch {
		case first && isHead:
			found = *head
		case !first && isNote:
			notes = append(notes, note)
		case first, m != nil:
			return wire.HistoryFound{}, nil, errors.New("answer: a message is out of place")
		}
	}
	return found, notes, nil
}

// cutMessage returns the next message, nil if it is of an unknown kind, and what follows.
func cutMessage(b []byte) (m wire.Message, rest []byte, err error) {
	if len(b) < lengthSize {
		return nil, nil, errors.New("truncated")
	}
	n := binary.LittleEndian.Uint32(b)
	if b = b[lengthSize:]; uint64(n) > uint64(len(b)) {
		return nil, nil, fmt.Errorf("message of %d bytes, %d are left", n, len(b))
	}
	m, err = wire.Decode(b[:n])
	if errors.Is(err, wire.ErrUnknownKind) {
		m, err = nil, nil
	}
	return m, b[n:], err
}
