package proxynotify

import (
	"bytes"

	"directormesh/cli/dovecot/tabbed"
)

// maxLine bounds a line, without its end. Names of users are shorter; what is longer is skipped.
const maxLine = 4096

// splitter cuts a stream into lines. Writers of a FIFO may be cut anywhere; only what is shorter
// than PIPE_BUF comes in one piece.
type splitter struct {
	begun []byte // of a line whose end has not come
	skip  bool   // until the end of the line
}

// add hands the names in all lines that are complete now to each. It returns how many lines were
// skipped.
func (s *splitter) add(data []byte, each func(name string)) (skipped int) {
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n')
		piece := data
		if end >= 0 {
			piece, data = data[:end], data[end+1:]
		} else {
			data = nil
		}
		if !s.skip && len(s.begun)+len(piece) > maxLine {
			s.skip = true
			s.begun = s.begun[:0]
			skipped++
		}
		switch {
		case s.skip:
		case end < 0:
			s.begun = append(s.begun, piece...)
		case len(s.begun) > 0:
			report(append(s.begun, piece...), each)
		default:
			report(piece, each)
		}
		if end >= 0 {
			s.begun, s.skip = s.begun[:0], false
		}
	}
	return skipped
}

func report(line []byte, each func(name string)) {
	if len(line) > 0 {
		each(string(tabbed.UnescapeBytes(line)))
	}
}
