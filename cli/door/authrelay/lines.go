package authrelay

import (
	"bytes"
	"errors"
	"io"
)

// errLineTooLong ends a connection.
var errLineTooLong = errors.New("line is too long")

// minBuffer is the buffer of a connection on which little happens; there may be thousands of them.
const minBuffer = 2 << 10

// lineReader splits input into lines. Its buffer grows with what comes in one read, up to a limit,
// and shrinks again.
type lineReader struct {
	from  io.Reader
	max   int
	buf   []byte
	start int // of what was read and not yet returned
	end   int
	drops bool // all until the next end of a line
}

func newLineReader(from io.Reader, max int) *lineReader {
	return &lineReader{from: from, max: max, buf: make([]byte, minBuffer)}
}

// fill reads once. Lines that next has returned are not valid any more.
func (r *lineReader) fill() error { return r.fillBy(r.from.Read) }

// fillBy reads once by this function.
func (r *lineReader) fillBy(read func([]byte) (int, error)) error {
	left := r.end - r.start
	switch {
	case left >= maxLine:
		return errLineTooLong
	case r.end == len(r.buf) && r.end < r.max: // the last read would have taken more
		r.resize(min(2*len(r.buf), r.max))
	case r.start > 0 && left == 0 && r.end < minBuffer/2 && len(r.buf) > minBuffer:
		r.resize(minBuffer)
	case r.start > 0:
		copy(r.buf, r.buf[r.start:r.end])
		r.start, r.end = 0, left
	}
	n, err := read(r.buf[r.end:])
	r.end += n
	if n > 0 {
		return nil // an error comes again
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

func (r *lineReader) resize(size int) {
	buf := make([]byte, size)
	r.end = copy(buf, r.buf[r.start:r.end])
	r.start, r.buf = 0, buf
}

// next returns the next complete line with its ending, nil if it is not there yet.
func (r *lineReader) next() []byte {
	if r.drops {
		i := bytes.IndexByte(r.rest(), '\n')
		if r.drops = i < 0; r.drops {
			r.start = r.end
			return nil
		}
		r.start += i + 1
	}
	i := bytes.IndexByte(r.buf[r.start:r.end], '\n')
	if i < 0 || i >= maxLine {
		return nil
	}
	line := r.buf[r.start : r.start+i+1]
	r.start += i + 1
	return line
}

// drop gives up the line that has begun. The next one is that behind its end.
func (r *lineReader) drop() { r.drops = true }

// rest returns what follows the last complete line.
func (r *lineReader) rest() []byte { return r.buf[r.start:r.end] }
